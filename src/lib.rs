#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod activation;
mod cost;
mod error;
mod gemm;
mod isa;
mod kernel;
mod layer;
pub mod loss;
mod matrix;
#[cfg(feature = "ndarray")]
mod ndarray;
mod network;
mod plan;
pub mod reference;
mod simd;
mod summation;
mod threads;
mod tuning;
mod workspace;

pub use activation::{Activation, ParseActivationError};
pub use cost::Cost;
pub use error::{Error, Operand, ParseIsaError};
pub use isa::{ISA_VARIABLE, Isa, TUNING_VARIABLE};
pub use layer::{
    Bias, Dense, Description, Gradients, Outputs, PackedWeights, Parameter, ProductPlan, RectanglePlan, Saved, Update,
    Upstream, Weights,
};
pub use matrix::{Input, MatrixView, MatrixViewMut, Output};
pub use network::{Layer, Network};
pub use summation::{AUTO_LANES_MAX_SIDE, AUTO_LANES_TERMS, SUM_BLOCK, SUM_LANES, Summation};
pub use threads::{Team, Threads};
pub use tuning::Tuning;
pub use workspace::Workspace;
