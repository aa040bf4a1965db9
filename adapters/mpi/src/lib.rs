#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod call;
mod checkpoint;
mod distributed;
mod engine;
mod error;
mod fit;
mod handshake;
mod layout;
mod links;
mod measure;
mod model;
mod options;
mod plan;
mod reduce;
mod shared;
mod sum;
mod tags;

pub use distributed::Distributed;
pub use engine::Step;
pub use error::{Difference, Error};
pub use model::{Job, LogGp, Reduction, groups};
pub use mpi;
pub use options::{Options, State, Way};
pub use plan::Plan;
