#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod activation;
mod cost;
mod error;
#[cfg(feature = "safetensors")]
mod files;
mod floats;
mod gemm;
mod init;
mod integers;
mod isa;
mod kernel;
mod layer;
pub mod loss;
mod matrix;
#[cfg(feature = "ndarray")]
mod ndarray;
mod network;
mod objective;
mod optimizer;
mod plan;
mod pool;
mod random;
pub mod reference;
mod sample_rows;
mod simd;
mod summation;
mod targets;
mod threads;
mod tuning;
mod workspace;
mod workspace_pool;

pub use activation::{Activation, ParseActivationError};
pub use cost::Cost;
pub use error::{Error, Operand, ParseIsaError};
#[cfg(feature = "safetensors")]
pub use files::FileError;
pub use floats::Float;
pub use init::{Init, ParseInitError};
pub use integers::Integer;
pub use isa::{ISA_VARIABLE, Isa, TUNING_VARIABLE};
pub use layer::{
    Bias, Dense, Description, Gradients, Outputs, PackedWeights, Parameter, ProductPlan, RectanglePlan, Saved, Update,
    Upstream, Weights,
};
pub use matrix::{Input, MatrixView, MatrixViewMut, Output, Unfit};
pub use network::{
    BlockSums, Epoch, Evaluation, Fit, FitEnd, FitSteps, History, Layer, Network, NetworkBuilder, Part, Samples,
    WholeBatch, add_block_sums,
};
pub use optimizer::{Adam, Optimizer, Sgd};
pub use random::Shuffle;
pub use sample_rows::SampleRows;
pub use summation::{AUTO_LANES, AutoLanes, SUM_BLOCK, SUM_LANES, Summation};
pub use targets::{Classes, Targets};
pub use threads::{Team, Threads};
pub use tuning::{Caches, Tuning, TuningNumberError};
pub use workspace::Workspace;
pub use workspace_pool::{PooledWorkspace, WorkspacePool};

/// The version of this crate: where programs work together, they can compare theirs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
