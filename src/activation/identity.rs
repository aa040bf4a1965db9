//! The linear layer alone.

use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = z`
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn value<S: Arithmetic>(_: S, z: S::V, _: f32) -> S::V {
        z
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, _: S::V, _: f32) -> S::V {
        simd.splat(1.0)
    }
}

impl DerivativeFromA for Identity {
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, _: S::V, _: f32) -> S::V {
        simd.splat(1.0)
    }
}
