//! Functions `z · σ(y)` of an odd `y(z)`, and their derivatives.
//!
//! ```text
//! g  = z · (q + correction)             q, correction: the quotient σ(y) of `exp`
//! g' = σ(y) · (1 + m · σ(-y)),  m = z · y'(z)
//! ```
//!
//! Since `g(z) - g(-z) = z`, the derivatives at `z` and `-z` add up to 1: it is computed where `z ≤ 0`, and taken from 1
//! elsewhere. There `m ≤ 0`, and `h = 1 + m - m · σ(y)` has a zero, near which its rounding errors are what is left; they
//! are kept. All is scaled, so that only the last step rounds to a subnormal number.

use super::coefficients::{TAIL_SCALE, UNIT};
use super::exp::Exp;
use crate::simd::Arithmetic;

/// `z · σ(y)` for `exp = e^-y`, with the sign of `z`.
#[inline(always)]
pub(super) fn value<S: Arithmetic>(simd: S, z: S::V, exp: Exp<S::V>) -> S::V {
    let quotient = exp.logistic(simd, TAIL_SCALE * UNIT);
    let scaled = simd.mul_add(z, quotient.q, simd.mul(z, quotient.correction(simd)));
    simd.copysign(simd.mul(scaled, simd.splat(1.0 / TAIL_SCALE)), z)
}

/// The derivative at `z`, for `exp = e^-y` and `m - over = z · y'` at `-|z|`.
#[inline(always)]
pub(super) fn derivative<S: Arithmetic>(simd: S, z: S::V, exp: Exp<S::V>, m: S::V, over: S::V) -> S::V {
    let (one, unscale) = (simd.splat(1.0), simd.splat(1.0 / TAIL_SCALE));
    let quotient = exp.logistic_of_large(simd, TAIL_SCALE * UNIT);
    let (q, correction) = (quotient.q, quotient.correction(simd));
    let s = simd.add(one, m);
    let lost = simd.sub(simd.sub(one, simd.sub(s, m)), over);
    let m = simd.mul(m, unscale);
    let h = simd.neg_mul_add(m, q, s);
    let h_low = simd.add(simd.neg_mul_add(m, q, simd.sub(s, h)), lost);
    let scaled = simd.mul_add(q, h, simd.mul_add(correction, h, simd.mul(q, h_low)));
    let below = simd.mul(scaled, unscale);
    simd.select(simd.lt(z, simd.splat(0.0)), below, simd.sub(one, below))
}
