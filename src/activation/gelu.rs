//! The Gaussian error linear unit, by the error function.
//!
//! With `x = |z|`, `Φ` the normal distribution and `φ` its density:
//!
//! ```text
//! Φ(-x) = e^(-x²/2) · (1/2 + v) / (x + 5/4)       Mills' ratio in other words
//! v = P(t),  t = (4 - 3/2·x) / (x + 4)            -0.98 < t <= 1;  P by xtask (Remez)
//!
//! z <= 0:  g = -x · Φ(-x)             g' = Φ(-x) - x · φ(x) = e^(-x²/2) · ((1/2 + v) / (x + 5/4) - x / √(2π))
//! z >= 0:  g = z - x · Φ(-x)          g' = 1 - (Φ(-x) - x · φ(x))
//! ```
//!
//! `x + 5/4` makes the ratio so flat that `v` is at most a quarter of `1/2`, and level at zero, where errors of `t` would
//! count most. So the rounding errors of `v` hardly count. All other factors are rounded numbers with their rests, of
//! which the rests go into the last step; `x²` is exact, since `e^(-x²/2)` is as accurate, relative, as its argument is
//! absolute. So the negative tail has its relative accuracy out to the least subnormal. One division serves `1/(x + 5/4)`
//! and `1/(x + 4)`.
//!
//! "over" is what a rounded number is too much.

use super::Function;
use super::coefficients::{DENSITY, MILLS};
use super::exp::{SCALE, Scaled, exp_scaled};
use crate::simd::Arithmetic;

/// `g(z) = z · Φ(z)`
///
/// Within 1.26 ULP, and its derivative within 1.35.
pub(crate) struct Gelu;

/// The parts of `Φ(-x)`, for `x = |z|`.
struct Tail<V> {
    x: V,
    /// `e^(-x²/2)`
    exp: Scaled<V>,
    /// `1/2 + v`
    numerator: V,
    numerator_low: V,
    /// `x + 5/4`
    denominator: V,
    denominator_low: V,
    /// `1 / (x + 5/4)`, roughly.
    reciprocal: V,
}

impl Function for Gelu {
    #[inline(always)]
    fn value<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let tail = Tail::new(simd, z);
        let Tail { exp, numerator, numerator_low, .. } = &tail;
        let (ratio, ratio_low) = tail.over_denominator(simd, tail.x);
        // y = x · Φ(-x), but for the power of two.
        let product = simd.mul(*numerator, exp.s);
        let over = simd.neg_mul_add(*numerator, exp.s, product);
        let over = simd.neg_mul_add(*numerator_low, exp.s, over);
        let over = simd.neg_mul_add(*numerator, exp.lost, over);
        let y = simd.mul(ratio, product);
        let over = simd.mul_add(ratio, over, simd.neg_mul_add(ratio, product, y));
        let over = simd.neg_mul_add(ratio_low, product, over);

        let unscale = simd.splat(1.0 / SCALE);
        let scaled = |v: S::V| simd.mul(simd.mul(v, exp.power), unscale);
        let below = scaled(simd.sub(over, y));
        let (y, over) = (scaled(y), scaled(over));
        let difference = simd.sub(z, y);
        let lost = simd.sub(simd.sub(z, difference), y);
        let above = simd.add(difference, simd.add(lost, over));
        let value = simd.copysign(simd.select(simd.lt(z, simd.splat(0.0)), below, above), z);
        // Above, the value rounds to z.
        simd.select(simd.lt(simd.splat(8.0), z), z, value)
    }

    #[inline(always)]
    fn derivative_from_z<S: Arithmetic>(simd: S, z: S::V, _: f32) -> S::V {
        let one = simd.splat(1.0);
        let tail = Tail::new(simd, z);
        let Tail { x, exp, numerator, numerator_low, .. } = &tail;
        let (ratio, ratio_low) = tail.over_denominator(simd, one);
        let mills = simd.mul(ratio, *numerator);
        let over = simd.neg_mul_add(ratio, *numerator, mills);
        let over = simd.neg_mul_add(ratio, *numerator_low, over);
        let over = simd.neg_mul_add(ratio_low, *numerator, over);
        let [density, density_low] = DENSITY.map(|density| simd.splat(density));
        let line = simd.mul(*x, density);
        let line_over = simd.neg_mul_add(*x, density, line);
        let line_over = simd.neg_mul_add(*x, density_low, line_over);
        // Either may be the larger one.
        let h = simd.sub(mills, line);
        let part = simd.sub(h, mills);
        let lost = simd.sub(simd.sub(mills, simd.sub(h, part)), simd.add(line, part));
        let h_low = simd.add(lost, simd.sub(line_over, over));
        let scaled = simd.mul_add(exp.s, h, simd.mul_add(exp.lost, h, simd.mul(exp.s, h_low)));
        let below = simd.mul(simd.mul(scaled, exp.power), simd.splat(1.0 / SCALE));
        simd.select(simd.lt(z, simd.splat(0.0)), below, simd.sub(one, below))
    }
}

impl<V: Copy> Tail<V> {
    #[inline(always)]
    fn new<S: Arithmetic<V = V>>(simd: S, z: V) -> Self {
        // Beyond, both functions are zero or the line. NaN passes.
        let x = simd.sub(simd.splat(0.0), simd.max(simd.splat(-14.75), simd.neg_abs(z)));
        let square = simd.mul(x, x);
        let over = simd.neg_mul_add(x, x, square);
        let half = simd.splat(0.5);
        let exp = exp_scaled(simd, simd.mul(square, simd.splat(-0.5)), simd.mul(over, half));

        let shift = simd.splat(1.25);
        let denominator = simd.add(x, shift);
        let denominator_low = simd.sub(simd.min(shift, x), simd.sub(denominator, simd.max(shift, x)));
        let other = simd.add(x, simd.splat(4.0));
        let both = simd.div(simd.splat(1.0), simd.mul(denominator, other));
        let reciprocal = simd.mul(other, both);
        let t = simd.mul(simd.mul(denominator, both), simd.neg_mul_add(simd.splat(1.5), x, simd.splat(4.0)));

        // By powers of t²: a shorter chain.
        let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10] = MILLS.map(|c| simd.splat(c));
        let tt = simd.mul(t, t);
        let tttt = simd.mul(tt, tt);
        let low = simd.mul_add(tt, simd.mul_add(t, c3, c2), simd.mul_add(t, c1, c0));
        let middle = simd.mul_add(tt, simd.mul_add(t, c7, c6), simd.mul_add(t, c5, c4));
        let high = simd.mul_add(tt, c10, simd.mul_add(t, c9, c8));
        let v = simd.mul_add(tttt, simd.mul_add(tttt, high, middle), low);
        let numerator = simd.add(half, v);
        let numerator_low = simd.sub(v, simd.sub(numerator, half));
        Self { x, exp, numerator, numerator_low, denominator, denominator_low, reciprocal }
    }

    /// `dividend / (x + 5/4)`, as a rounded number and the rest.
    #[inline(always)]
    fn over_denominator<S: Arithmetic<V = V>>(&self, simd: S, dividend: V) -> (V, V) {
        let ratio = simd.mul(dividend, self.reciprocal);
        let remainder = simd.neg_mul_add(ratio, self.denominator, dividend);
        let remainder = simd.neg_mul_add(ratio, self.denominator_low, remainder);
        (ratio, simd.mul(remainder, self.reciprocal))
    }
}
