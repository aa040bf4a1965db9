#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

#[cfg(not(any(feature = "flex", feature = "ndarray")))]
compile_error!("fused-dense-burn: expected the feature `flex` or `ndarray`, found neither");

mod autodiff;
mod backend;
mod config;
mod error;
#[cfg(feature = "flex")]
mod flex;
mod host;
mod kernel;
mod linear;
mod matrix;
#[cfg(feature = "ndarray")]
mod ndarray;
mod passes;
mod uninit;

pub use backend::{FusedLinearBackend, LinearBias, LinearOperands, LinearOutcome, fused_linear};
pub use config::FusedLinearConfig;
pub use error::{Error, Operand};
pub use fused_dense::{Activation, Team, Threads};
pub use kernel::FusedKernel;
pub use linear::FusedLinear;
