//! The sigmoid, and the derivatives that follow from it.
//!
//! ```text
//! e^-x = 2^n · 2^(j/8) · e^-t          8n + j = round(-8x / ln 2),  t = x + (8n + j) · ln2/8,  |t| <= ln2/16
//!      = p + p·t·Q(t)                   p = 2^n · 2^(j/8), eight powers in a table;  Q by xtask (Remez)
//! 1 + e^-x = s + rest                   s = 1 + p, rounded;  rest = p·t·Q(t) + what the rounding of s lost
//! q = 1 / (s + rest)                    the one division
//! sigmoid = q + q · (1 - q·s - q·rest)
//! ```
//!
//! Neither `e^-x` nor the denominator is ever rounded to one number: `rest` is at most 5 % of `s`, so that its own
//! rounding errors hardly count, and the last step corrects the quotient for all that it missed. What remains is the
//! rounding of that step; in subnormal results the correction is only known roughly.
//!
//! No branch and no sign: with `n` of either sign, one formula serves all `x`. Everything is in units of
//! [`UNIT`], which keeps `e^104` in range, so that results run down to the least subnormal.

use super::coefficients::{EXP, EXPONENT_SHIFT, POWERS, ROUND, STEP_HIGH, STEP_LOW, STEPS_LOG2_E, UNIT};
use super::{DerivativeFromA, Function};
use crate::simd::Arithmetic;

/// `g(z) = 1/(1+e^{-z})`
///
/// In `[0, 1]`, and within 0.67 ULP; 99.94 % of all results are the nearest floats.
pub(crate) struct Sigmoid;

impl Function for Sigmoid {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        // Below, the sigmoid rounds to zero, above to one. NaN passes both.
        let z = simd.min(simd.splat(20.0), simd.max(simd.splat(-104.0), z));
        let exp = exp_of_minus(simd, z);
        let one = simd.splat(UNIT);
        quotient::<S>(simd, UNIT, exp, simd.max(exp.power, one), simd.min(exp.power, one))
    }

    /// `q - q²` with `q = 1/(1+e^|z|) ≤ 1/2`: no cancellation. Within 1.51 ULP.
    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let q = of_minus_abs(simd, UNIT, z);
        simd.neg_mul_add(q, q, q)
    }
}

impl DerivativeFromA for Sigmoid {
    #[inline(always)]
    fn derivative_from_a<S: Arithmetic>(simd: S, a: S::V, _: f32) -> S::V {
        simd.mul(a, simd.sub(simd.splat(1.0), a))
    }
}

/// `scale / (1 + e^|x|)`, `scale` in units of `UNIT`: a multiple by a power of two that subnormal results round with.
#[inline(always)]
pub(super) fn of_minus_abs<S: Arithmetic>(simd: S, scale: f32, x: S::V) -> S::V {
    // Four times the sigmoid rounds to zero below.
    let x = simd.max(simd.splat(-106.0), simd.neg_abs(x));
    let exp = exp_of_minus(simd, x);
    // Here the power is at least 1.
    quotient(simd, scale, exp, exp.power, simd.splat(UNIT))
}

/// `power + slope · q`, times `UNIT`.
#[derive(Clone, Copy)]
pub(super) struct Exp<V> {
    pub(super) power: V,
    pub(super) t: V,
    /// `power · t`
    slope: V,
    /// `Q(t)`
    pub(super) q: V,
}

/// `e^-x` for `-106 ≤ x ≤ 43`. Up to `x = 106`, `t` and `q` are right too, and so are the bits of `power` modulo 2³²: they
/// become a number again once its exponent is raised.
#[inline(always)]
pub(super) fn exp_of_minus<S: Arithmetic>(simd: S, x: S::V) -> Exp<S::V> {
    let steps_and_round = simd.mul_add(x, simd.splat(-STEPS_LOG2_E), simd.splat(ROUND));
    let steps = simd.sub(steps_and_round, simd.splat(ROUND));
    let t = simd.mul_add(steps, simd.splat(STEP_HIGH), x); // exact
    let t = simd.mul_add(steps, simd.splat(STEP_LOW), t);
    let fraction = simd.lookup(&POWERS, steps_and_round);
    let power = simd.add_bits(fraction, simd.shift_bits_left::<EXPONENT_SHIFT>(steps_and_round));
    let [c0, c1, c2, c3] = EXP;
    let q = simd.mul_add(simd.splat(c3), t, simd.splat(c2));
    let q = simd.mul_add(q, t, simd.splat(c1));
    let q = simd.mul_add(q, t, simd.splat(c0));
    Exp { power, t, slope: simd.mul(power, t), q }
}

/// `scale / (1 + e^-x)`, where `larger` and `smaller` are 1 and the power in `e^-x`, in this order or the other, in units of
/// `UNIT`.
#[inline(always)]
fn quotient<S: Arithmetic>(simd: S, scale: f32, exp: Exp<S::V>, larger: S::V, smaller: S::V) -> S::V {
    // Not `larger + smaller`, which would wait for them.
    let sum = simd.add(exp.power, simd.splat(UNIT));
    let lost = simd.sub(smaller, simd.sub(sum, larger));
    let rest = simd.mul_add(exp.slope, exp.q, lost);
    let q = simd.div(simd.splat(scale), simd.add(sum, rest));
    let remainder = simd.neg_mul_add(q, sum, simd.splat(scale));
    let remainder = simd.neg_mul_add(q, rest, remainder);
    let reciprocal = simd.mul(q, simd.splat(1.0 / scale));
    simd.mul_add(remainder, reciprocal, q)
}
