#![doc = include_str!("../README.md")]
#![allow(non_camel_case_types)]

mod activation;
mod boundary;
mod codes;
mod dense;
mod matrix;
mod network;
mod optimizer;
mod overlap;
mod pointer;
mod status;
mod targets;
mod team;
mod version;

pub use activation::{fd_activation, fd_activation_code, fd_activation_name, fd_activation_parse};
pub use codes::*;
pub use dense::*;
pub use matrix::{fd_matrix, fd_matrix_mut};
pub use network::*;
pub use optimizer::{fd_adam, fd_sgd};
pub use status::*;
pub use targets::fd_targets;
pub use team::{fd_team, fd_team_free, fd_team_new, fd_team_threads};
pub use version::*;
