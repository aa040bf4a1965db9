//! The softplus.
//!
//! ```text
//! ln(1 + e^z) = max(z, 0) + ln(1 + e^-|z|)
//! ln(1 + u) = 2 artanh(s),  s = u / (2 + u) = 1 / (1 + 2e^|z|) <= 1/3
//!           = 2s + 2s · w · P(w),  w = s²    P by xtask (Remez)
//! ```
//!
//! The quotient `2s` comes with its correction; the second term is at most 4 % of the first. Where `z < 0`, all is scaled, so
//! that only the last step rounds to a subnormal number.

use super::coefficients::{LOG1P, TAIL_SCALE, UNIT};
use super::exp::{exp_of_minus, expm1};
use super::sigmoid::Sigmoid;
use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = ln(1 + e^z)`
///
/// Within 0.81 ULP.
pub(crate) struct Softplus;

impl Function for Softplus {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        // Below, the softplus rounds to zero. NaN passes.
        let x = simd.max(simd.splat(-106.0), simd.neg_abs(z));
        let unscale = simd.splat(1.0 / TAIL_SCALE);
        let quotient = exp_of_minus(simd, x).doubled(simd).logistic_of_large(simd, 2.0 * TAIL_SCALE * UNIT);
        let scaled = quotient.q;
        let s = simd.mul(scaled, unscale);
        let w = simd.mul(simd.mul(simd.splat(0.25), s), s);
        let [c0, c1, c2, c3, c4] = LOG1P;
        let p = simd.mul_add(simd.splat(c4), w, simd.splat(c3));
        let p = simd.mul_add(p, w, simd.splat(c2));
        let p = simd.mul_add(p, w, simd.splat(c1));
        let p = simd.mul_add(p, w, simd.splat(c0));
        let rest = simd.mul_add(simd.mul(scaled, w), p, quotient.correction(simd));
        let below = simd.mul(simd.add(scaled, rest), unscale);

        let sum = simd.add(z, s);
        let lost = simd.sub(simd.min(s, z), simd.sub(sum, simd.max(s, z)));
        let above = simd.add(sum, simd.mul_add(rest, unscale, lost));
        let value = simd.select(simd.lt(z, simd.splat(0.0)), below, above);
        // Above, the softplus rounds to z.
        simd.select(simd.lt(simd.splat(20.0), z), z, value)
    }

    /// The sigmoid.
    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, parameter: f32) -> S::V {
        Sigmoid::value(simd, z, parameter)
    }
}

impl DerivativeFromA for Softplus {
    /// `1 - e^-a`, within 0.89 ULP; no `a` is negative.
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, _: f32) -> S::V {
        let (m, m_low) = expm1(simd, 1.0, simd.max(simd.splat(-18.06), simd.neg_abs(a)));
        simd.sub(simd.splat(0.0), simd.add(m, m_low))
    }
}
