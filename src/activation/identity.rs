//! The linear layer alone.

use super::Function;
use crate::simd::Arithmetic;

/// `g(z) = z`
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn value<S: Arithmetic>(_: S, z: S::V) -> S::V {
        z
    }

    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, _: S::V) -> S::V {
        simd.splat(1.0)
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, _: S::V) -> S::V {
        simd.splat(1.0)
    }
}
