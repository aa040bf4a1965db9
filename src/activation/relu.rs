//! The rectified linear unit.

use super::Function;
use crate::simd::Arithmetic;

/// `g(z) = max(z, 0)`
pub(crate) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V) -> S::V {
        let zero = simd.splat(0.0);
        // NaN compares false and so passes through.
        simd.select(simd.lt(z, zero), zero, z)
    }

    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V) -> S::V {
        simd.select(simd.lt(simd.splat(0.0), a), simd.splat(1.0), simd.splat(0.0))
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V) -> S::V {
        Self::derivative_from_a(simd, z)
    }
}
