//! The activations: value and derivative of each, written once over the vectors of any instruction set.
//!
//! To add one: a file here with a type that implements [`Function`], a variant of [`Activation`], its row in
//! [`ACTIVATIONS`], and its scalar statement in [`reference`](crate::reference).
//!
//! Every operation is exactly specified, so that bits agree on all instruction sets that fuse multiply-add. The error
//! bounds that the functions state hold for all 2³² arguments: `cargo xtask ulp` checks each of them.

pub(crate) mod coefficients;
mod identity;
mod relu;
mod sigmoid;
pub(crate) mod softmax;
mod tanh;

pub(crate) use identity::Identity;
pub(crate) use relu::Relu;
pub(crate) use sigmoid::Sigmoid;
pub(crate) use tanh::Tanh;

use crate::simd::Arithmetic;
use core::fmt;

/// The function that a layer applies to its pre-activation `z`.
///
/// | | value | derivative from `a` | derivative from `z` |
/// |---|---|---|---|
/// | sigmoid | 0.67 ULP | `a(1-a)` | 1.51 ULP |
/// | tanh | 0.82 ULP | `(1-a)(1+a)` | 1.51 ULP |
///
/// Errors are the largest over all 2³² floats, on every instruction set with fused multiply-add, against the true value
/// (`cargo xtask ulp`); the unit is that of the true value, down to subnormal results, which are kept. Without fused
/// multiply-add they are 1.42, 1.01 and 2.1 ULP. From `a`, a derivative is the formula in `f32`: near saturation, where
/// `a` has lost what it needs, nothing is left of it; from `z` it keeps its relative accuracy, 1.3·10⁻⁷, out to
/// subnormal results.
///
/// Tanh is monotone. So is the sigmoid, save that at 368 pairs of neighbouring floats out of all it steps back by one
/// float.
///
/// ```
/// use fused_dense::Activation;
///
/// let mut a = [0.0; 3];
/// Activation::Relu.forward(&[-1.0, 0.0, 2.0], &mut a)?;
/// assert_eq!(a, [0.0, 0.0, 2.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Activation {
    /// `g(z) = z`, `g'(z) = 1`: the linear layer alone.
    Identity,
    /// `g(z) = 1/(1+e^{-z})`, `g' = a(1-a)`.
    Sigmoid,
    /// `g(z) = tanh z`, `g' = 1-a²`.
    Tanh,
    /// `g(z) = max(z, 0)` with NaN passed on, `g' = 1` where `z > 0`, else `0`.
    Relu,
}

/// Every activation, in the order of the kernel table's rows.
pub(crate) const ACTIVATIONS: &[Activation] =
    &[Activation::Identity, Activation::Sigmoid, Activation::Tanh, Activation::Relu];

impl Activation {
    /// Every activation.
    pub fn all() -> &'static [Self] {
        ACTIVATIONS
    }

    /// Row of the kernel table.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Identity => "identity",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
        })
    }
}

/// An activation's value and derivative on vectors.
pub(crate) trait Function {
    /// `g(z)`
    fn value<S: Arithmetic>(simd: S, z: S::V) -> S::V;
    /// `g'(z)`, from `a = g(z)`.
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V) -> S::V;
    /// `g'(z)`, from `z`.
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V) -> S::V;
}
