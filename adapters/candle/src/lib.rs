#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod activation;
mod call;
mod error;
mod fresh;
mod gradients;
mod kernel;
mod linear;
mod rows;
mod sequential;

pub use activation::fused_activation;
pub use candle_nn::Module;
pub use fused_dense;
pub use fused_dense::{Activation, Team, Threads};
pub use gradients::backward;
pub use linear::{FusedLinear, fused_linear, fused_linear_b, fused_linear_no_bias};
pub use sequential::{FusedSequential, FusedSequentialBuilder, fused_sequential};
