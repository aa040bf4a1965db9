//! The promised error bounds. The documentation of `Activation` and `src/activation/` quote them.
//!
//! Leaky ReLU is a product, and the softplus's derivative from `z` the sigmoid: they have no bounds of their own.

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
pub const BOUNDS: [Bound; 14] = [
    bound(Subject::Value(Activation::Sigmoid), 0.67, 1.42, 368),
    bound(Subject::Value(Activation::Tanh), 0.82, 1.01, 0),
    bound(Subject::DerivativeFromZ(Activation::Sigmoid), 1.51, 2.1, 8),
    bound(Subject::DerivativeFromZ(Activation::Tanh), 1.51, 2.1, 8),
    bound(Subject::Value(Activation::Silu), 0.82, 2.0, 0),
    bound(Subject::DerivativeFromZ(Activation::Silu), 1.13, 2.1, 0),
    bound(Subject::Value(Activation::Gelu), 1.26, 66.0, 0),
    bound(Subject::DerivativeFromZ(Activation::Gelu), 1.35, 66.0, 0),
    bound(Subject::Value(Activation::GeluTanh), 0.78, 145.0, 0),
    bound(Subject::DerivativeFromZ(Activation::GeluTanh), 1.48, 145.0, 0),
    bound(Subject::Value(Activation::Softplus), 0.81, 1.25, 0),
    bound(Subject::DerivativeFromA(Activation::Softplus), 0.89, 0.89, 0),
    bound(Subject::Value(Activation::Elu { alpha: 1.0 }), 0.89, 0.89, 0),
    bound(Subject::DerivativeFromZ(Activation::Elu { alpha: 1.0 }), 0.77, 0.77, 0),
];

const fn bound(subject: Subject, fused: f64, unfused: f64, inversions: u64) -> Bound {
    Bound { subject, fused, unfused, inversions }
}
