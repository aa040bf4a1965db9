//! The exponential linear unit.

use super::exp::{SCALE, exp_scaled, expm1};
use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = z` where `z ≥ 0`, else `alpha · (e^z - 1)`.
///
/// With `alpha = 1` within 0.89 ULP, and its derivative from `z` within 0.77.
pub(crate) struct Elu;

impl Function for Elu {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, alpha: f32) -> S::V {
        let (m, m_low) = expm1(simd, 1.0, simd.max(simd.splat(-18.06), z));
        let alpha = simd.splat(alpha);
        let below = simd.mul_add(alpha, m, simd.mul(alpha, m_low));
        // NaN compares false and so passes through.
        simd.select(simd.lt(z, simd.splat(0.0)), below, z)
    }

    /// `alpha · e^z` where `z ≤ 0`.
    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, alpha: f32) -> S::V {
        // The scale goes where neither a large factor overflows nor a small one loses digits.
        let (alpha, unscale) = if alpha < 1.0 { (alpha, 1.0 / SCALE) } else { (alpha / SCALE, 1.0) };
        // Here e^z is 2^-189, below the least float's ratio to 2^39.
        let lowest = simd.splat(-131.0);
        let exp = exp_scaled(simd, simd.max(lowest, z), simd.splat(0.0));
        let alpha = simd.splat(alpha);
        let below = simd.mul_add(alpha, exp.s, simd.mul(alpha, exp.lost));
        let below = simd.mul(simd.mul(below, exp.power), simd.splat(unscale));
        let below = simd.select(simd.lt(z, lowest), simd.splat(0.0), below);
        simd.select(simd.lt(simd.splat(0.0), z), simd.splat(1.0), below)
    }
}

impl DerivativeFromA for Elu {
    /// `alpha · e^z = a + alpha` where `a ≤ 0`.
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, alpha: f32) -> S::V {
        simd.select(simd.lt(simd.splat(0.0), a), simd.splat(1.0), simd.add(a, simd.splat(alpha)))
    }
}
