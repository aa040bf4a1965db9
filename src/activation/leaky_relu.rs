//! The rectified linear unit that leaks.

use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = z` where `z ≥ 0`, else `slope · z`.
pub(crate) struct LeakyRelu;

impl Function for LeakyRelu {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, slope: f32) -> S::V {
        // Without a slope, 0 · -∞ is no number.
        let lowest = if slope == 0.0 { f32::MIN } else { f32::NEG_INFINITY };
        let leak = simd.mul(simd.splat(slope), simd.max(simd.splat(lowest), z));
        // NaN compares false and so passes through.
        simd.select(simd.lt(z, simd.splat(0.0)), leak, z)
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, slope: f32) -> S::V {
        simd.select(simd.lt(simd.splat(0.0), z), simd.splat(1.0), simd.splat(slope))
    }
}

impl DerivativeFromA for LeakyRelu {
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, slope: f32) -> S::V {
        // The value has the sign of `z`.
        Self::derivative_from_z(simd, a, slope)
    }
}
