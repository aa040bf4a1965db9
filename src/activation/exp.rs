//! Powers of `e` that are never rounded to one number, and what activations make of them.
//!
//! Two ways. The first takes a table of powers and leaves `e^-x` in two terms, of which a quotient makes good use:
//!
//! ```text
//! e^-x = 2^n · 2^(j/8) · e^-t          8n + j = round(-8x / ln 2),  t = x + (8n + j) · ln2/8,  |t| <= ln2/16
//!      = p + p·t·Q(t)                   p = 2^n · 2^(j/8), eight powers in a table;  Q by xtask (Remez)
//! 1 + e^-x = s + rest                   s = 1 + p, rounded;  rest = p·t·Q(t) + what the rounding of s lost
//! q = 1 / (s + rest)                    the one division
//! 1 / (1 + e^-x) = q + q · (1 - q·s - q·rest)
//! ```
//!
//! `rest` is at most 5 % of `s`, so that its own rounding errors hardly count, and the last step corrects the quotient
//! for all that it missed. Everything is in units of [`UNIT`], which keeps `e^104` in range, so that results run down to
//! the least subnormal.
//!
//! The second leaves `e^x - 1` in two terms, with its relative accuracy near zero:
//!
//! ```text
//! e^x = 2^n · e^r                       n = round(x / ln 2),  r = x - n · ln2 = high + low,  |r| <= ln2/2
//! w = e^r - 1 = high + (low + r²·P(r))  P by xtask (Remez)
//! ```

use super::coefficients::{
    EXP, EXPM1, EXPONENT_SHIFT, LN2_HIGH, LN2_LOW, LOG2_E, POWERS, ROUND, STEP_HIGH, STEP_LOW, STEPS_LOG2_E, UNIT,
};
use crate::simd::Arithmetic;

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

/// A quotient, and what corrects it: the true one is nearly `q + remainder · reciprocal`.
pub(super) struct Quotient<V> {
    pub(super) q: V,
    remainder: V,
    reciprocal: V,
}

impl<V: Copy> Quotient<V> {
    /// The quotient, rounded once.
    #[inline(always)]
    pub(super) fn rounded<S: Arithmetic<V = V>>(self, simd: S) -> V {
        simd.mul_add(self.remainder, self.reciprocal, self.q)
    }

    /// The number to be added to `q`.
    #[inline(always)]
    pub(super) fn correction<S: Arithmetic<V = V>>(&self, simd: S) -> V {
        simd.mul(self.remainder, self.reciprocal)
    }
}

/// `e^-x` for `-131 ≤ x ≤ 43`.
#[inline(always)]
pub(super) fn exp_of_minus<S: Arithmetic>(simd: S, x: S::V) -> Exp<S::V> {
    let steps_and_round = simd.mul_add(x, simd.splat(-STEPS_LOG2_E), simd.splat(ROUND));
    let steps = simd.sub(steps_and_round, simd.splat(ROUND));
    let t = simd.mul_add(steps, simd.splat(STEP_HIGH), x); // exact
    let t = simd.mul_add(steps, simd.splat(STEP_LOW), t);
    assemble(simd, steps_and_round, t)
}

/// `e^-(x - over)`, where `over` is no more than a rounding error of `x`.
#[inline(always)]
pub(super) fn exp_of_minus_difference<S: Arithmetic>(simd: S, x: S::V, over: S::V) -> Exp<S::V> {
    let steps_and_round = simd.mul_add(x, simd.splat(-STEPS_LOG2_E), simd.splat(ROUND));
    let steps = simd.sub(steps_and_round, simd.splat(ROUND));
    let t = simd.sub(simd.mul_add(steps, simd.splat(STEP_HIGH), x), over);
    let t = simd.mul_add(steps, simd.splat(STEP_LOW), t);
    assemble(simd, steps_and_round, t)
}

/// `2^(steps/8) · e^-t`
#[inline(always)]
fn assemble<S: Arithmetic>(simd: S, steps_and_round: S::V, t: S::V) -> Exp<S::V> {
    let fraction = simd.lookup(&POWERS, steps_and_round);
    let power = simd.add_bits(fraction, simd.shift_bits_left::<EXPONENT_SHIFT>(steps_and_round));
    let [c0, c1, c2, c3] = EXP;
    let q = simd.mul_add(simd.splat(c3), t, simd.splat(c2));
    let q = simd.mul_add(q, t, simd.splat(c1));
    let q = simd.mul_add(q, t, simd.splat(c0));
    Exp { power, t, slope: simd.mul(power, t), q }
}

impl<V: Copy> Exp<V> {
    /// Twice as much.
    #[inline(always)]
    pub(super) fn doubled<S: Arithmetic<V = V>>(self, simd: S) -> Self {
        Self { power: simd.add(self.power, self.power), slope: simd.add(self.slope, self.slope), ..self }
    }

    /// `scale / (1 + e)` where the power in `e` may be on either side of 1. `scale` is in units of `UNIT`, and a multiple by
    /// a power of two.
    #[inline(always)]
    pub(super) fn logistic<S: Arithmetic<V = V>>(self, simd: S, scale: f32) -> Quotient<V> {
        let one = simd.splat(UNIT);
        self.quotient(simd, scale, simd.max(self.power, one), simd.min(self.power, one))
    }

    /// The same where the power is at least 1.
    #[inline(always)]
    pub(super) fn logistic_of_large<S: Arithmetic<V = V>>(self, simd: S, scale: f32) -> Quotient<V> {
        self.quotient(simd, scale, self.power, simd.splat(UNIT))
    }

    /// `scale / (1 + e)`, where `larger` and `smaller` are 1 and the power, in this order or the other, in units of `UNIT`.
    #[inline(always)]
    fn quotient<S: Arithmetic<V = V>>(self, simd: S, scale: f32, larger: V, smaller: V) -> Quotient<V> {
        // Not `larger + smaller`, which would wait for them.
        let sum = simd.add(self.power, simd.splat(UNIT));
        let lost = simd.sub(smaller, simd.sub(sum, larger));
        let rest = simd.mul_add(self.slope, self.q, lost);
        let q = simd.div(simd.splat(scale), simd.add(sum, rest));
        let remainder = simd.neg_mul_add(q, sum, simd.splat(scale));
        let remainder = simd.neg_mul_add(q, rest, remainder);
        Quotient { q, remainder, reciprocal: simd.mul(q, simd.splat(1.0 / scale)) }
    }
}

/// `scale / (1 + e^|x|)`; `scale` as in [`Exp::logistic`], so that subnormal results round with it.
#[inline(always)]
pub(super) fn logistic_of_minus_abs<S: Arithmetic>(simd: S, scale: f32, x: S::V) -> S::V {
    // Four times the sigmoid rounds to zero below.
    let x = simd.max(simd.splat(-106.0), simd.neg_abs(x));
    exp_of_minus(simd, x).logistic_of_large(simd, scale).rounded(simd)
}

/// `e^r - 1`, as a rounded number and the rest, for `r = high + low`.
#[inline(always)]
fn expm1_reduced<S: Arithmetic>(simd: S, high: S::V, low: S::V) -> (S::V, S::V) {
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
    (w, simd.sub(small, simd.sub(w, high)))
}

/// `unit · (e^x - 1)`, as a rounded number and the rest, for `-18.06 ≤ x ≤ 0`, below which it rounds to `-unit`. The unit is
/// a power of two.
#[inline(always)]
pub(super) fn expm1<S: Arithmetic>(simd: S, unit: f32, x: S::V) -> (S::V, S::V) {
    // With the unit's exponent added, so that the low bits, shifted into the exponent, make `unit · 2^n`.
    let round = ROUND + (unit.to_bits() >> 23) as f32;
    // Down to n = -24, unit · (2^n - 1) is exact. Below, r leaves its interval, but then three digits of w are enough.
    let n = simd.mul_add(x, simd.splat(LOG2_E), simd.splat(round));
    let n = simd.max(simd.splat(round - 24.0), n);
    let power = simd.shift_bits_left::<23>(n);
    let n = simd.sub(n, simd.splat(round));
    let high = simd.neg_mul_add(n, simd.splat(LN2_HIGH), x); // exact
    let low = simd.mul(n, simd.splat(-LN2_LOW));
    let (w, w_low) = expm1_reduced(simd, high, low);
    let offset = simd.sub(power, simd.splat(unit));
    let m = simd.mul_add(w, power, offset);
    let m_low = simd.mul_add(w, power, simd.sub(offset, m));
    (m, simd.mul_add(w_low, power, m_low))
}

/// `e^x` as `power · (s + lost)`.
pub(super) struct Scaled<V> {
    /// `2^n ·` [`SCALE`]
    pub(super) power: V,
    pub(super) s: V,
    pub(super) lost: V,
}

/// Keeps powers down to `2^-190` from being subnormal.
pub(super) const SCALE: f32 = f32::from_bits((127 + 64) << 23);

/// `e^(x + low)` for `-131 ≤ x ≤ 0` and a `low` that is no more than a rounding error of `x`.
#[inline(always)]
pub(super) fn exp_scaled<S: Arithmetic>(simd: S, x: S::V, low: S::V) -> Scaled<S::V> {
    const ROUND_AND_SCALE: f32 = ROUND + (SCALE.to_bits() >> 23) as f32;
    let n = simd.mul_add(x, simd.splat(LOG2_E), simd.splat(ROUND_AND_SCALE));
    let power = simd.shift_bits_left::<23>(n);
    let n = simd.sub(n, simd.splat(ROUND_AND_SCALE));
    let high = simd.neg_mul_add(n, simd.splat(LN2_HIGH), x); // exact
    let low = simd.mul_add(n, simd.splat(-LN2_LOW), low);
    let (w, w_low) = expm1_reduced(simd, high, low);
    let s = simd.add(simd.splat(1.0), w);
    let lost = simd.sub(w, simd.sub(s, simd.splat(1.0)));
    Scaled { power, s, lost: simd.add(lost, w_low) }
}
