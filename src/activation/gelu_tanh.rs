//! The approximation of GELU by a tanh.
//!
//! ```text
//! z/2 · (1 + tanh u) = z · σ(y),  y = 2u = 2√(2/π) · (z + 0.044715 z³)
//! ```
//!
//! In the tail, `e^y` is as accurate, relative, as `y` is absolute: `y` is computed as a rounded number and what that is
//! too much.

use super::coefficients::{CUBIC, CUBIC_SLOPE};
use super::exp::exp_of_minus_difference;
use super::{Function, gate};
use crate::simd::Arithmetic;

/// `g(z) = z/2 · (1 + tanh(√(2/π) · (z + 0.044715 z³)))`
///
/// Within 0.78 ULP, and its derivative within 1.48.
pub(crate) struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        // Below, the value rounds to zero. NaN passes.
        let x = simd.max(simd.splat(-11.0), z);
        let (y, over) = cubic(simd, x, CUBIC);
        let value = gate::value(simd, x, exp_of_minus_difference(simd, y, over));
        // Above, it rounds to z.
        simd.select(simd.lt(simd.splat(6.0), z), z, value)
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let x = simd.max(simd.splat(-11.0), simd.neg_abs(z));
        let (y, over) = cubic(simd, x, CUBIC);
        let exp = exp_of_minus_difference(simd, y, over);
        // z · y' is a cubic too.
        let (m, over) = cubic(simd, x, CUBIC_SLOPE);
        gate::derivative(simd, z, exp, m, over)
    }
}

/// `x · (a + b · x²)` as a rounded number and what that is too much; `a` and `b` are positive, and given as rounded numbers
/// with their rests.
#[inline(always)]
fn cubic<S: Arithmetic>(simd: S, x: S::V, [a, a_low, b, b_low]: [f32; 4]) -> (S::V, S::V) {
    let (a, b) = (simd.splat(a), simd.splat(b));
    let square = simd.mul(x, x);
    let over = simd.neg_mul_add(x, x, square);
    let product = simd.mul(b, square);
    let over = simd.mul_add(b, over, simd.neg_mul_add(b, square, product));
    let over = simd.neg_mul_add(simd.splat(b_low), square, over);
    let sum = simd.add(a, product);
    let lost = simd.sub(simd.min(a, product), simd.sub(sum, simd.max(a, product)));
    let lost = simd.add(lost, simd.sub(simd.splat(a_low), over));
    let y = simd.mul(x, sum);
    (y, simd.neg_mul_add(x, lost, simd.neg_mul_add(x, sum, y)))
}
