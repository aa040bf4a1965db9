//! The sigmoid-weighted linear unit.

use super::exp::exp_of_minus;
use super::{Function, gate};
use crate::simd::Arithmetic;

/// `g(z) = z / (1 + e^-z)`
///
/// Within 0.82 ULP, and its derivative within 1.13.
pub(crate) struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        // Below, the value rounds to zero. NaN passes.
        let x = simd.max(simd.splat(-110.0), z);
        let value = gate::value(simd, x, exp_of_minus(simd, x));
        // Above, it rounds to z.
        simd.select(simd.lt(simd.splat(20.0), z), z, value)
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let x = simd.max(simd.splat(-110.0), simd.neg_abs(z));
        gate::derivative(simd, z, exp_of_minus(simd, x), x, simd.splat(0.0))
    }
}
