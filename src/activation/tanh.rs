//! The hyperbolic tangent.
//!
//! ```text
//! m = (e^-2|x| - 1) / 2                 `exp`, as a rounded number and the rest
//! tanh = -m / (1 + m), with the sign of x
//! ```
//!
//! The denominator's rounding alone costs up to one ULP; so the quotient is a first guess, corrected by its exact residual,
//! in which the rounding errors of `m` take part:
//!
//! ```text
//! R = 1 / (1 + m),  q = m·R                the one division
//! rem = ((m - q) - q·m) + m_low·R          m - q is exact;  d(m / (1+m)) = dm·R²
//! tanh = |q + rem·R|, with the sign of x
//! ```

use super::coefficients::UNIT;
use super::exp::{expm1, logistic_of_minus_abs};
use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = tanh z`
///
/// In `[-1, 1]`, odd to the bit, monotone, and within 0.82 ULP.
pub(crate) struct Tanh;

impl Function for Tanh {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        // tanh 9.02 rounds to 1. NaN passes.
        let x = simd.max(simd.splat(-9.03), simd.neg_abs(z));
        let (m, m_low) = expm1(simd, 0.5, simd.add(x, x));
        let one = simd.splat(1.0);
        let reciprocal = simd.div(one, simd.add(one, m));
        let q = simd.mul(m, reciprocal);
        let remainder = simd.neg_mul_add(q, m, simd.sub(m, q));
        let remainder = simd.mul_add(m_low, reciprocal, remainder);
        simd.copysign(simd.mul_add(remainder, reciprocal, q), z)
    }

    /// `g - g²/4` with `g = 4/(1+e^{2|z|}) ≤ 2`: no cancellation. Within 1.51 ULP.
    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let g = logistic_of_minus_abs(simd, 4.0 * UNIT, simd.add(z, z));
        simd.neg_mul_add(g, simd.mul(g, simd.splat(0.25)), g)
    }
}

impl DerivativeFromA for Tanh {
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, _: f32) -> S::V {
        let one = simd.splat(1.0);
        simd.mul(simd.sub(one, a), simd.add(one, a))
    }
}
