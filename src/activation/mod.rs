//! The activations: value and derivative of each, written once over the vectors of any instruction set.
//!
//! To add one: a file here with a type that implements [`Function`], a variant of [`Activation`], its row in
//! [`ACTIVATIONS`] and in [`FUNCTIONS`], and its scalar statement in [`reference`](crate::reference).
//!
//! Every operation is exactly specified, so that bits agree on all instruction sets that fuse multiply-add. `cargo
//! xtask ulp` checks the error bounds that the functions state, at all 2³² arguments or at a share of them.

pub(crate) mod coefficients;
mod elu;
mod exp;
mod gate;
mod gelu;
mod gelu_tanh;
mod identity;
mod leaky_relu;
mod parse;
mod relu;
mod sigmoid;
mod silu;
pub(crate) mod softmax;
mod softplus;
mod spec;
mod tanh;
#[cfg(test)]
mod tests;

pub(crate) use elu::Elu;
pub(crate) use gelu::Gelu;
pub(crate) use gelu_tanh::GeluTanh;
pub(crate) use identity::Identity;
pub(crate) use leaky_relu::LeakyRelu;
pub use parse::ParseActivationError;
pub(crate) use relu::Relu;
pub(crate) use sigmoid::Sigmoid;
pub(crate) use silu::Silu;
pub(crate) use softplus::Softplus;
pub(crate) use tanh::Tanh;

use crate::simd::Arithmetic;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use spec::FUNCTIONS;

/// The function that a layer applies to its pre-activation `z`.
///
/// | | value | derivative from `a` | derivative from `z` |
/// |---|---|---|---|
/// | sigmoid | 0.67 ULP | `a(1-a)` | 1.51 ULP |
/// | tanh | 0.82 ULP | `(1-a)(1+a)` | 1.51 ULP |
/// | ReLU, leaky ReLU | exact, the product rounded | exact | exact |
/// | SiLU | 0.82 ULP | none | 1.13 ULP |
/// | GELU | 1.26 ULP | none | 1.35 ULP |
/// | GELU by tanh | 0.78 ULP | none | 1.48 ULP |
/// | softplus | 0.81 ULP | `1-e^-a`: 0.89 ULP | the sigmoid: 0.67 ULP |
/// | ELU, `alpha = 1` | 0.89 ULP | `a+alpha` | 0.77 ULP |
///
/// Errors are the largest that were found, on every instruction set with fused multiply-add, against the true value
/// (`cargo xtask ulp`): of sigmoid, tanh and their derivatives over all 2³² floats, of the others over every 61st. The unit is that of the true value, down to subnormal results, which are kept. Within ½ of the zero
/// that the derivatives of SiLU (at -1.278) and GELU (at -0.752) have, it is at least that of ⅛: there they are within
/// 2.2·10⁻⁸ of the true value. Without fused multiply-add sigmoid, tanh and their derivatives are within 1.42, 1.01 and 2.1 ULP, and both GELUs within
/// 66 and 145 ULP in their negative tails. From `a`, a derivative is the formula in `f32`: near saturation, where
/// `a` has lost what it needs, nothing is left of it; from `z` it keeps its relative accuracy, 1.3·10⁻⁷, out to
/// subnormal results.
///
/// Infinite `z` have the limit, and NaN passes, save that the derivatives of the piecewise linear ones take it for a number
/// that is not positive.
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
#[derive(Clone, Copy, Debug)]
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
    /// `g(z) = z` where `z ≥ 0`, else `slope · z`; `g' = 1` where `z > 0`, else `slope`.
    ///
    /// Source: A. Maas, A. Hannun and A. Ng, *Rectifier Nonlinearities Improve Neural Network Acoustic Models* (2013).
    LeakyRelu {
        /// Finite, and not negative; 0.01 is usual.
        slope: f32,
    },
    /// `g(z) = z · σ(z)` with the sigmoid `σ`, also called Swish; `g' = σ(z) · (1 + z · σ(-z))`, from `z` alone.
    ///
    /// Source: S. Elfwing, E. Uchibe and K. Doya, *Sigmoid-Weighted Linear Units for Neural Network Function
    /// Approximation in Reinforcement Learning* (2018).
    Silu,
    /// `g(z) = z · Φ(z)` with the normal distribution `Φ(z) = ½ erfc(-z/√2)`; `g' = Φ(z) + z · φ(z)` with its density
    /// `φ(z) = e^{-z²/2}/√(2π)`, from `z` alone.
    ///
    /// Source: D. Hendrycks and K. Gimpel, *Gaussian Error Linear Units* (2016).
    Gelu,
    /// `g(z) = ½z · (1 + tanh(√(2/π) · (z + 0.044715 z³)))`, an approximation of [`Gelu`](Self::Gelu) from the same paper
    /// (PyTorch's `approximate="tanh"`); its own derivative, from `z` alone.
    GeluTanh,
    /// `g(z) = ln(1 + e^z)`, `g' = σ(z) = 1 - e^{-a}`.
    ///
    /// Source: C. Dugas and others, *Incorporating Second-Order Functional Knowledge for Better Option Pricing* (2001).
    Softplus,
    /// `g(z) = z` where `z ≥ 0`, else `alpha · (e^z - 1)`; `g' = 1` where `z > 0`, else `alpha · e^z = a + alpha`.
    ///
    /// Source: D.-A. Clevert, T. Unterthiner and S. Hochreiter, *Fast and Accurate Deep Network Learning by Exponential
    /// Linear Units (ELUs)* (2016).
    Elu {
        /// Finite, and not negative; 1 is usual.
        alpha: f32,
    },
}

/// Every activation with its usual parameter, in the order of the kernel table's rows.
pub(crate) const ACTIVATIONS: &[Activation; FUNCTIONS.len()] = &[
    Activation::Identity,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.01 },
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Softplus,
    Activation::Elu { alpha: 1.0 },
];

impl Activation {
    /// One of each, those that have a parameter with the usual one.
    pub fn all() -> &'static [Self] {
        ACTIVATIONS
    }

    /// Whether the derivative has to be computed from the pre-activation `z`, because `a` does not tell it: `a` is the
    /// same at two `z` with different derivatives. A backward pass from `dA` then takes [`Saved::Z`](crate::Saved::Z) alone.
    ///
    /// ```
    /// use fused_dense::Activation;
    /// assert!(Activation::Gelu.needs_z() && !Activation::Relu.needs_z());
    /// ```
    #[must_use]
    pub fn needs_z(self) -> bool {
        FUNCTIONS[self.index()].needs_z
    }

    /// Row of the kernel table.
    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Sigmoid => 1,
            Self::Tanh => 2,
            Self::Relu => 3,
            Self::LeakyRelu { .. } => 4,
            Self::Silu => 5,
            Self::Gelu => 6,
            Self::GeluTanh => 7,
            Self::Softplus => 8,
            Self::Elu { .. } => 9,
        }
    }

    /// The number that kernels get beside `z`; 0 where there is none.
    #[inline(always)]
    pub(crate) fn parameter(self) -> f32 {
        match self {
            Self::LeakyRelu { slope } => slope,
            Self::Elu { alpha } => alpha,
            _ => 0.0,
        }
    }

    /// The same function with another parameter; none where it has no parameter.
    fn with_parameter(self, parameter: f32) -> Option<Self> {
        match self {
            Self::LeakyRelu { .. } => Some(Self::LeakyRelu { slope: parameter }),
            Self::Elu { .. } => Some(Self::Elu { alpha: parameter }),
            _ => None,
        }
    }

    /// `|g(z)|` is nowhere larger, where `z` is a number; `None` where it grows with `z`.
    pub(crate) fn largest(self) -> Option<f32> {
        match self {
            Self::Sigmoid | Self::Tanh => Some(1.0),
            _ => None,
        }
    }

    /// `|g'(z)|` is nowhere larger, whether it is computed from `z` or from `a`.
    pub(crate) fn steepest(self) -> f32 {
        // Of those without a parameter GELU's is the largest, 1.13.
        2.0 * self.parameter().max(1.0)
    }

    /// Whether kernels can compute with the parameter.
    pub(crate) fn is_valid(self) -> bool {
        let parameter = self.parameter();
        parameter.is_finite() && parameter.is_sign_positive()
    }

    /// Whether the linear layer is all there is; looks at no parameter.
    #[inline(always)]
    pub(crate) fn is_identity(self) -> bool {
        matches!(self, Self::Identity)
    }

    /// The pair of numbers that no other activation has.
    #[inline(always)]
    fn key(self) -> (usize, u32) {
        (self.index(), self.parameter().to_bits())
    }
}

/// By function and the bits of the parameter, so that an activation always equals itself.
impl PartialEq for Activation {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Activation {}

impl Hash for Activation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Activation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of [`Activation::all`], equal functions by [`f32::total_cmp`] of their parameters.
impl Ord for Activation {
    fn cmp(&self, other: &Self) -> Ordering {
        self.index().cmp(&other.index()).then_with(|| self.parameter().total_cmp(&other.parameter()))
    }
}

/// The name, with the parameter behind it where it is not the usual one: `leaky relu`, `leaky relu(0.02)`.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, usual) = (FUNCTIONS[self.index()].name, ACTIVATIONS[self.index()]);
        if *self == usual { f.pad(name) } else { f.pad(&format!("{name}({})", self.parameter())) }
    }
}

/// An activation's value and derivative on vectors. The parameter is the activation's own, 0 for those without.
pub(crate) trait Function {
    /// `g(z)`
    fn value<S: Arithmetic>(simd: S, z: S::V, parameter: f32) -> S::V;
    /// `g'(z)`, from `z`.
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, parameter: f32) -> S::V;
}

/// A function whose value tells its derivative.
pub(crate) trait DerivativeFromA: Function {
    /// `g'(z)`, from `a = g(z)`.
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, parameter: f32) -> S::V;
}
