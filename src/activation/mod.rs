//! The activations: value and derivative of each, written once over the vectors of any instruction set.
//!
//! To add one: a type here that implements [`Function`], a variant of [`Activation`], and its row in [`ACTIVATIONS`].

use crate::simd::Simd;
use core::fmt;

/// The function that a layer applies to its pre-activation `z`.
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
    fn value<S: Simd>(simd: S, z: S::V) -> S::V;
    /// `g'(z)`, from `a = g(z)`.
    fn derivative_from_a<S: Simd>(simd: S, a: S::V) -> S::V;
    /// `g'(z)`, from `z`.
    fn derivative_from_z<S: Simd>(simd: S, z: S::V) -> S::V;
}

/// `g(z) = z`
pub(crate) struct Identity;
/// `g(z) = 1/(1+e^{-z})`
pub(crate) struct Sigmoid;
/// `g(z) = tanh z`
pub(crate) struct Tanh;
/// `g(z) = max(z, 0)`
pub(crate) struct Relu;

impl Function for Identity {
    #[inline(always)]
    fn value<S: Simd>(_: S, z: S::V) -> S::V {
        z
    }

    #[inline(always)]
    fn derivative_from_a<S: Simd>(simd: S, _: S::V) -> S::V {
        simd.splat(1.0)
    }

    #[inline(always)]
    fn derivative_from_z<S: Simd>(simd: S, _: S::V) -> S::V {
        simd.splat(1.0)
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::V) -> S::V {
        let zero = simd.splat(0.0);
        // NaN compares false and so passes through, which a maximum would not promise.
        simd.select(simd.lt(z, zero), zero, z)
    }

    #[inline(always)]
    fn derivative_from_a<S: Simd>(simd: S, a: S::V) -> S::V {
        simd.select(simd.lt(simd.splat(0.0), a), simd.splat(1.0), simd.splat(0.0))
    }

    #[inline(always)]
    fn derivative_from_z<S: Simd>(simd: S, z: S::V) -> S::V {
        Self::derivative_from_a(simd, z)
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::V) -> S::V {
        let one = simd.splat(1.0);
        let e = exp_of_minus_abs(simd, z);
        let numerator = simd.select(simd.lt(z, simd.splat(0.0)), e, one);
        simd.div(numerator, simd.add(one, e))
    }

    #[inline(always)]
    fn derivative_from_a<S: Simd>(simd: S, a: S::V) -> S::V {
        simd.mul(a, simd.sub(simd.splat(1.0), a))
    }

    #[inline(always)]
    fn derivative_from_z<S: Simd>(simd: S, z: S::V) -> S::V {
        let e = exp_of_minus_abs(simd, z);
        let d = simd.add(simd.splat(1.0), e);
        simd.div(simd.div(e, d), d)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::V) -> S::V {
        let one = simd.splat(1.0);
        let e = exp_of_minus_abs(simd, simd.add(z, z));
        simd.copysign(simd.div(simd.sub(one, e), simd.add(one, e)), z)
    }

    #[inline(always)]
    fn derivative_from_a<S: Simd>(simd: S, a: S::V) -> S::V {
        let one = simd.splat(1.0);
        simd.mul(simd.sub(one, a), simd.add(one, a))
    }

    #[inline(always)]
    fn derivative_from_z<S: Simd>(simd: S, z: S::V) -> S::V {
        let e = exp_of_minus_abs(simd, simd.add(z, z));
        let d = simd.add(simd.splat(1.0), e);
        simd.div(simd.div(simd.mul(simd.splat(4.0), e), d), d)
    }
}

#[inline(always)]
fn exp_of_minus_abs<S: Simd>(simd: S, x: S::V) -> S::V {
    let z = simd.sub(simd.splat(0.0), simd.abs(x));
    let least = simd.splat(-110.0);
    let z = simd.select(simd.lt(z, least), least, z);
    let n = simd.round(simd.mul(z, simd.splat(core::f32::consts::LOG2_E)));
    let r = simd.neg_mul_add(n, simd.splat(0.693_145_75), z);
    let r = simd.neg_mul_add(n, simd.splat(1.428_606_8e-6), r);
    let mut p = simd.splat(1.0 / 720.0);
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = simd.mul_add(p, r, simd.splat(c));
    }
    simd.scale_by_pow2(p, n)
}
