//! GELU and its approximation.

use super::{Power, Quotient, at_least, at_most, gate, gate_derivative, pow2};
use crate::activation::coefficients::{CUBIC, CUBIC_SLOPE, DENSITY, MILLS, TAIL_SCALE, UNIT};

/// `z · Φ(z)`
///
/// ```text
/// x = |z|,  y - over = x · Φ(-x)
/// where z < 0:  -(y - over)
/// else          z - (y - over)
/// ```
pub(super) fn gelu(z: f32) -> f32 {
    if 8.0 < z {
        return z;
    }
    let tail = Tail::new(z);
    let (ratio, ratio_low) = tail.over_denominator(tail.x);
    let product = tail.numerator * tail.power.s;
    let over = (-tail.numerator).mul_add(tail.power.s, product);
    let over = (-tail.numerator_low).mul_add(tail.power.s, over);
    let over = (-tail.numerator).mul_add(tail.power.lost, over);
    let y = ratio * product;
    let over = ratio.mul_add(over, (-ratio).mul_add(product, y));
    let over = (-ratio_low).mul_add(product, over);
    let value = if z < 0.0 {
        tail.scaled(over - y)
    } else {
        let (y, over) = (tail.scaled(y), tail.scaled(over));
        let difference = z - y;
        difference + (((z - difference) - y) + over)
    };
    value.copysign(z)
}

/// `Φ(z) + z · φ(z)`
///
/// ```text
/// below = Φ(-x) - x · φ(x) = e^(-x²/2) · (mills - line)
/// where z < 0:  below
/// else          1 - below
/// ```
pub(super) fn gelu_derivative(z: f32) -> f32 {
    let tail = Tail::new(z);
    let (ratio, ratio_low) = tail.over_denominator(1.0);
    let mills = ratio * tail.numerator;
    let over = (-ratio).mul_add(tail.numerator, mills);
    let over = (-ratio).mul_add(tail.numerator_low, over);
    let over = (-ratio_low).mul_add(tail.numerator, over);
    let [density, density_low] = DENSITY;
    let line = tail.x * density;
    let line_over = (-tail.x).mul_add(density, line);
    let line_over = (-tail.x).mul_add(density_low, line_over);
    let h = mills - line;
    // The rounding error of the difference.
    let part = h - mills;
    let lost = (mills - (h - part)) - (line + part);
    let h_low = lost + (line_over - over);
    let Power { s, lost, .. } = tail.power;
    let below = tail.scaled(s.mul_add(h, lost.mul_add(h, s * h_low)));
    if z < 0.0 { below } else { 1.0 - below }
}

/// The parts of `Φ(-x) = e^(-x²/2) · (1/2 + P(t)) / (x + 5/4)`, `t = (4 - 3/2·x) / (x + 4)`, for `x = |z|`.
struct Tail {
    x: f32,
    power: Power,
    /// `1/2 + P(t)`
    numerator: f32,
    numerator_low: f32,
    /// `x + 5/4`
    denominator: f32,
    denominator_low: f32,
    /// `1 / (x + 5/4)`, roughly.
    reciprocal: f32,
}

impl Tail {
    fn new(z: f32) -> Self {
        let x = at_most(z.abs(), 14.75);
        let square = x * x;
        let over = (-x).mul_add(x, square);
        let power = Power::new(-0.5 * square, 0.5 * over);

        let denominator = x + 1.25;
        let (larger, smaller) = if x > 1.25 { (x, 1.25) } else { (1.25, x) };
        let denominator_low = smaller - (denominator - larger);
        let other = x + 4.0;
        let both = 1.0 / (denominator * other);
        let t = denominator * both * (-1.5_f32).mul_add(x, 4.0);

        let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10] = MILLS;
        let tt = t * t;
        let low = tt.mul_add(t.mul_add(c3, c2), t.mul_add(c1, c0));
        let middle = tt.mul_add(t.mul_add(c7, c6), t.mul_add(c5, c4));
        let high = tt.mul_add(c10, t.mul_add(c9, c8));
        let v = (tt * tt).mul_add((tt * tt).mul_add(high, middle), low);
        let numerator = 0.5 + v;
        let numerator_low = v - (numerator - 0.5);
        Self { x, power, numerator, numerator_low, denominator, denominator_low, reciprocal: other * both }
    }

    /// `dividend / (x + 5/4)`, as a rounded number and the rest.
    fn over_denominator(&self, dividend: f32) -> (f32, f32) {
        let ratio = dividend * self.reciprocal;
        let remainder = (-ratio).mul_add(self.denominator, dividend);
        let remainder = (-ratio).mul_add(self.denominator_low, remainder);
        (ratio, remainder * self.reciprocal)
    }

    /// Times the power of two.
    fn scaled(&self, v: f32) -> f32 {
        v * pow2(self.power.n + 64) * pow2(-64)
    }
}

/// `z · σ(y)`, `y = 2√(2/π) · (z + 0.044715 z³)`.
pub(super) fn gelu_tanh(z: f32) -> f32 {
    if 6.0 < z {
        return z;
    }
    let x = at_least(z, -11.0);
    let (y, over) = cubic(x, CUBIC);
    gate(x, &Quotient::new(TAIL_SCALE * UNIT, 1.0, -y, -over))
}

/// The derivative of the same.
pub(super) fn gelu_tanh_derivative(z: f32) -> f32 {
    let x = at_most(z.abs(), 11.0);
    let (y, over) = cubic(x, CUBIC);
    let (m, m_over) = cubic(x, CUBIC_SLOPE);
    gate_derivative(z, &Quotient::new(TAIL_SCALE * UNIT, 1.0, y, over), (m, -m_over))
}

/// `x · (a + b · x²)` as a rounded number and what that is too much.
fn cubic(x: f32, [a, a_low, b, b_low]: [f32; 4]) -> (f32, f32) {
    let square = x * x;
    let over = (-x).mul_add(x, square);
    let product = b * square;
    let over = b.mul_add(over, (-b).mul_add(square, product));
    let over = (-b_low).mul_add(square, over);
    let sum = a + product;
    let (larger, smaller) = if product > a { (product, a) } else { (a, product) };
    let lost = (smaller - (sum - larger)) + (a_low - over);
    let y = x * sum;
    (y, (-x).mul_add(lost, (-x).mul_add(sum, y)))
}
