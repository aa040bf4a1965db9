//! The hyperbolic tangent.
//!
//! ```text
//! e^-2|x| = 2^n · e^r              n = round(-2|x| / ln 2),  r = -2|x| - n · ln2 = high + low,  |r| <= ln2/2
//! w = e^r - 1 = high + (low + r²·P(r))            P by xtask (Remez)
//! m = (e^-2|x| - 1) / 2 = (2^(n-1) - 1/2) + 2^(n-1)·w
//! tanh = -m / (1 + m), with the sign of x
//! ```
//!
//! Near zero `m` is `w`, and has its relative accuracy. The denominator's rounding alone costs up to one ULP; so the
//! quotient is a first guess, corrected by its exact residual, in which the rounding errors of `w` and `m` take part:
//!
//! ```text
//! R = 1 / (1 + m),  q = m·R                the one division
//! rem = ((m - q) - q·m) + m_low·R          m - q is exact;  d(m / (1+m)) = dm·R²
//! tanh = |q + rem·R|, with the sign of x
//! ```

use super::coefficients::{EXPM1, LN2_HIGH, LN2_LOW, LOG2_E, ROUND, UNIT};
use super::sigmoid::of_minus_abs;
use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = tanh z`
///
/// In `[-1, 1]`, odd to the bit, monotone, and within 0.82 ULP.
pub(crate) struct Tanh;

/// [`ROUND`] with the exponent of 1/2 added, so that the low bits, shifted into the exponent, make `2^(n-1)`.
const ROUND_HALF: f32 = ROUND + 126.0;

impl Function for Tanh {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        // tanh 9.02 rounds to 1. NaN passes.
        let x = simd.max(simd.splat(-9.03), simd.neg_abs(z));
        let x2 = simd.add(x, x);
        // Down to n = -24, 2^(n-1) - 1/2 is exact. Below, r leaves its interval, but then three digits of w are enough.
        let n = simd.mul_add(x2, simd.splat(LOG2_E), simd.splat(ROUND_HALF));
        let n = simd.max(simd.splat(ROUND_HALF - 24.0), n);
        let half_power = simd.shift_bits_left::<23>(n);
        let n = simd.sub(n, simd.splat(ROUND_HALF));
        let high = simd.neg_mul_add(n, simd.splat(LN2_HIGH), x2); // exact
        let low = simd.mul(n, simd.splat(-LN2_LOW));
        let r = simd.add(high, low);
        let rr = simd.mul(r, r);

        // By powers of r²: no more operations than one by one, and a shorter chain.
        let [c0, c1, c2, c3, c4, c5] = EXPM1;
        let p01 = simd.mul_add(r, simd.splat(c1), simd.splat(c0));
        let p23 = simd.mul_add(r, simd.splat(c3), simd.splat(c2));
        let p45 = simd.mul_add(r, simd.splat(c5), simd.splat(c4));
        let p = simd.mul_add(rr, simd.mul_add(rr, p45, p23), p01);

        let small = simd.mul_add(rr, p, low);
        let w = simd.add(high, small);
        let w_low = simd.sub(small, simd.sub(w, high));
        let offset = simd.sub(half_power, simd.splat(0.5));
        let m = simd.mul_add(w, half_power, offset);
        let m_low = simd.mul_add(w, half_power, simd.sub(offset, m));
        let m_low = simd.mul_add(w_low, half_power, m_low);

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
        let g = of_minus_abs(simd, 4.0 * UNIT, simd.add(z, z));
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
