//! The rectified linear unit.

use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = max(z, 0)`
pub(crate) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let zero = simd.splat(0.0);
        // NaN compares false and so passes through.
        simd.select(simd.lt(z, zero), zero, z)
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        simd.select(simd.lt(simd.splat(0.0), z), simd.splat(1.0), simd.splat(0.0))
    }
}

impl DerivativeFromA for Relu {
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, parameter: f32) -> S::V {
        Self::derivative_from_z(simd, a, parameter)
    }
}
