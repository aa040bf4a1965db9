//! The promised error bounds. The documentation of `Activation` and `src/activation/` quote them.

use super::subject::Subject;
use fused_dense::Activation;

/// The promise of a function over all floats.
pub struct Bound {
    pub subject: Subject,
    /// Largest error in ULP where multiply-add is fused.
    pub fused: f64,
    /// Largest error in ULP of portable kernels where it rounds twice.
    pub unfused: f64,
    /// Pairs of neighbouring floats at which a monotone function steps the wrong way, by one float each, where
    /// multiply-add is fused.
    pub inversions: u64,
}

/// How far a bound may lie above what was measured before it counts as needlessly loose.
pub const SLACK: f64 = 1.02;

/// Every function.
pub const BOUNDS: [Bound; 4] = [
    Bound { subject: Subject::Value(Activation::Sigmoid), fused: 0.67, unfused: 1.42, inversions: 368 },
    Bound { subject: Subject::Value(Activation::Tanh), fused: 0.82, unfused: 1.01, inversions: 0 },
    Bound { subject: Subject::DerivativeFromZ(Activation::Sigmoid), fused: 1.51, unfused: 2.1, inversions: 8 },
    Bound { subject: Subject::DerivativeFromZ(Activation::Tanh), fused: 1.51, unfused: 2.1, inversions: 8 },
];
