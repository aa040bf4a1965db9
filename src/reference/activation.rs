//! The activations, value by value.

mod gelu;

use crate::Activation;
use crate::activation::coefficients::{
    EXP, EXPM1, EXPONENT_SHIFT, LN2_HIGH, LN2_LOW, LOG1P, LOG2_E, POWERS, ROUND, STEP_HIGH, STEP_LOW, STEPS_LOG2_E,
    TAIL_SCALE, UNIT,
};

impl Activation {
    /// `g(z)` of one value, to the bit what the kernels compute.
    pub fn value(self, z: f32) -> f32 {
        match self {
            Self::Identity => z,
            Self::Sigmoid => sigmoid(z),
            Self::Tanh => tanh(z),
            Self::Relu => {
                if z < 0.0 {
                    0.0
                } else {
                    z
                }
            }
            Self::LeakyRelu { slope } => leaky_relu(z, slope),
            Self::Silu => silu(z),
            Self::Gelu => gelu::gelu(z),
            Self::GeluTanh => gelu::gelu_tanh(z),
            Self::Softplus => softplus(z),
            Self::Elu { alpha } => elu(z, alpha),
        }
    }

    /// `g'(z)` of one value, from `a = g(z)`; NaN where it [needs `z`](Self::needs_z).
    pub fn derivative_from_a(self, a: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Sigmoid => a * (1.0 - a),
            Self::Tanh => (1.0 - a) * (1.0 + a),
            Self::Relu => step(a, 0.0),
            Self::LeakyRelu { slope } => step(a, slope),
            Self::Silu | Self::Gelu | Self::GeluTanh => f32::NAN,
            Self::Softplus => {
                let (m, m_low) = expm1(1.0, at_least(-a.abs(), -18.06));
                0.0 - (m + m_low)
            }
            Self::Elu { alpha } => step(a, a + alpha),
        }
    }

    /// `g'(z)` of one value, from `z`.
    pub fn derivative_from_z(self, z: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Sigmoid => {
                let q = Quotient::logistic(UNIT, at_most(z.abs(), 106.0)).rounded();
                (-q).mul_add(q, q)
            }
            Self::Tanh => {
                let g = Quotient::logistic(4.0 * UNIT, at_most((z + z).abs(), 106.0)).rounded();
                (-g).mul_add(0.25 * g, g)
            }
            Self::Relu => step(z, 0.0),
            Self::LeakyRelu { slope } => step(z, slope),
            Self::Silu => {
                let x = at_most(z.abs(), 110.0);
                gate_derivative(z, &Quotient::logistic(TAIL_SCALE * UNIT, x), (x, 0.0))
            }
            Self::Gelu => gelu::gelu_derivative(z),
            Self::GeluTanh => gelu::gelu_tanh_derivative(z),
            Self::Softplus => sigmoid(z),
            Self::Elu { .. } if 0.0 < z => 1.0,
            Self::Elu { alpha } => elu_slope(z, alpha),
        }
    }
}

/// 1 where `x > 0`, else `below`.
fn step(x: f32, below: f32) -> f32 {
    if 0.0 < x { 1.0 } else { below }
}

/// `z` where it is not negative, else `slope · z`, and without a slope 0 even of `-∞`.
fn leaky_relu(z: f32, slope: f32) -> f32 {
    match z < 0.0 {
        true if slope == 0.0 => -0.0,
        true => slope * z,
        false => z,
    }
}

/// `1/(1+e^-z)`
fn sigmoid(z: f32) -> f32 {
    Quotient::logistic(UNIT, -at_most(at_least(z, -104.0), 20.0)).rounded()
}

/// `z / (1+e^-z)`
fn silu(z: f32) -> f32 {
    if 20.0 < z {
        return z;
    }
    let x = at_least(z, -110.0);
    gate(x, &Quotient::logistic(TAIL_SCALE * UNIT, -x))
}

/// `z · σ`, with the sign of `z`; `σ` times `TAIL_SCALE`.
fn gate(z: f32, sigmoid: &Quotient) -> f32 {
    (z.mul_add(sigmoid.q, z * sigmoid.correction()) * (1.0 / TAIL_SCALE)).copysign(z)
}

/// The derivative of `z · σ(y(z))`, where `sigmoid = σ(-|y|)`, times `TAIL_SCALE`, and `m + m_low = z · y'(z)`.
///
/// ```text
/// where z < 0:  σ(-|y|) · (h + h_low),  h + h_low = 1 - m + m · σ(-|y|)
/// else          1 - the same
/// ```
fn gate_derivative(z: f32, sigmoid: &Quotient, (m, m_low): (f32, f32)) -> f32 {
    let (q, correction) = (sigmoid.q, sigmoid.correction());
    let s = 1.0 - m;
    let lost = (1.0 - (s + m)) - m_low;
    let m = m * (1.0 / TAIL_SCALE);
    let h = m.mul_add(q, s);
    let h_low = m.mul_add(q, s - h) + lost;
    let below = q.mul_add(h, correction.mul_add(h, q * h_low)) * (1.0 / TAIL_SCALE);
    if z < 0.0 { below } else { 1.0 - below }
}

/// `ln(1 + e^z) = max(z, 0) + 2s + 2s · w · P(w)`, `s = 1 / (1 + 2e^|z|)`, `w = s²`.
fn softplus(z: f32) -> f32 {
    if 20.0 < z {
        return z;
    }
    let quotient = Quotient::new(2.0 * TAIL_SCALE * UNIT, 2.0, at_most(z.abs(), 106.0), 0.0);
    let scaled = quotient.q;
    let s = scaled * (1.0 / TAIL_SCALE);
    let w = 0.25 * s * s;
    let [c0, c1, c2, c3, c4] = LOG1P;
    let p = c4.mul_add(w, c3).mul_add(w, c2).mul_add(w, c1).mul_add(w, c0);
    let rest = (scaled * w).mul_add(p, quotient.correction());
    if z < 0.0 {
        return (scaled + rest) * (1.0 / TAIL_SCALE);
    }
    let (larger, smaller) = if z > s { (z, s) } else { (s, z) };
    let sum = z + s;
    let lost = smaller - (sum - larger);
    sum + rest.mul_add(1.0 / TAIL_SCALE, lost)
}

/// `z` where it is not negative, else `alpha · (e^z - 1)`.
fn elu(z: f32, alpha: f32) -> f32 {
    if z < 0.0 {
        let (m, m_low) = expm1(1.0, at_least(z, -18.06));
        alpha.mul_add(m, alpha * m_low)
    } else {
        z
    }
}

/// `alpha · e^z` for `z ≤ 0`.
fn elu_slope(z: f32, alpha: f32) -> f32 {
    if z < -131.0 {
        return 0.0;
    }
    let (alpha, unscale) = if alpha < 1.0 { (alpha, pow2(-64)) } else { (alpha * pow2(-64), 1.0) };
    let Power { n, s, lost } = Power::new(z, 0.0);
    alpha.mul_add(s, alpha * lost) * pow2(n + 64) * unscale
}

/// A quotient, and what corrects it.
struct Quotient {
    q: f32,
    remainder: f32,
    reciprocal: f32,
}

impl Quotient {
    /// `scale / (UNIT · (1 + e^y))` for `-43 ≤ y ≤ 131`.
    fn logistic(scale: f32, y: f32) -> Self {
        Self::new(scale, 1.0, y, 0.0)
    }

    /// `scale / (UNIT · (1 + factor · e^(y - over)))`, the factor 1 or 2.
    ///
    /// ```text
    /// e^y = 2^(steps/8) · e^-t = power · (1 + t·Q(t))
    /// 1 + factor · e^y = sum + rest
    /// q = scale / (sum + rest), to be corrected for what is left of the dividend
    /// ```
    ///
    /// `power`, `sum` and `rest` are in units of `UNIT`.
    fn new(scale: f32, factor: f32, y: f32, over: f32) -> Self {
        // Rounded to an integer by the addition.
        let steps = y.mul_add(STEPS_LOG2_E, ROUND) - ROUND;
        let t = steps.mul_add(STEP_LOW, steps.mul_add(STEP_HIGH, -y) + over);
        let [c0, c1, c2, c3] = EXP;
        let q_of_t = c3.mul_add(t, c2).mul_add(t, c1).mul_add(t, c0);

        let (octave, step) = (steps as i32 >> 3, steps as i32 & 7);
        let fraction = f32::from_bits(POWERS[step as usize].to_bits() + ((step as u32) << EXPONENT_SHIFT));
        // Exact. In two factors, as the octave can be beyond the largest exponent.
        let power = factor * fraction * pow2(64) * pow2(octave - 64);

        let (larger, smaller) = if power > UNIT { (power, UNIT) } else { (UNIT, power) };
        let sum = larger + smaller;
        let lost = smaller - (sum - larger);
        let rest = (power * t).mul_add(q_of_t, lost);

        let q = scale / (sum + rest);
        let remainder = (-q).mul_add(rest, (-q).mul_add(sum, scale));
        Self { q, remainder, reciprocal: q * (1.0 / scale) }
    }

    /// The number to be added to `q`.
    fn correction(&self) -> f32 {
        self.remainder * self.reciprocal
    }

    /// The quotient, rounded once.
    fn rounded(&self) -> f32 {
        self.remainder.mul_add(self.reciprocal, self.q)
    }
}

/// The hyperbolic tangent.
///
/// ```text
/// (e^-2|z| - 1) / 2 = m + m_low
/// tanh |z| = -m / (1 + m), corrected for the rest of the dividend and for m_low
/// ```
fn tanh(z: f32) -> f32 {
    let (m, m_low) = expm1(0.5, 2.0 * at_least(-z.abs(), -9.03));
    let reciprocal = 1.0 / (1.0 + m);
    let q = m * reciprocal;
    let remainder = m_low.mul_add(reciprocal, (-q).mul_add(m, m - q));
    remainder.mul_add(reciprocal, q).copysign(z)
}

/// `unit · (e^x - 1) = m + m_low` for `-18.06 ≤ x ≤ 0`, the unit a power of two.
///
/// ```text
/// e^x = 2^n · e^r
/// unit · (e^x - 1) = unit · (2^n - 1) + unit · 2^n · (w + w_low)
/// ```
fn expm1(unit: f32, x: f32) -> (f32, f32) {
    // Rounded to an integer by the addition, together with the unit's exponent.
    let round = ROUND + (unit.to_bits() >> 23) as f32;
    let n = at_least(x.mul_add(LOG2_E, round) - round, -24.0);
    let (w, w_low) = expm1_reduced((-n).mul_add(LN2_HIGH, x), n * -LN2_LOW);
    let power = unit * pow2(n as i32);
    let offset = power - unit;
    let m = w.mul_add(power, offset);
    (m, w_low.mul_add(power, w.mul_add(power, offset - m)))
}

/// `e^r - 1 = w + w_low = high + (low + r²·P(r))`, `r = high + low`.
fn expm1_reduced(high: f32, low: f32) -> (f32, f32) {
    let r = high + low;
    let rr = r * r;
    let [c0, c1, c2, c3, c4, c5] = EXPM1;
    let p45 = r.mul_add(c5, c4);
    let p23 = r.mul_add(c3, c2);
    let p01 = r.mul_add(c1, c0);
    let p = rr.mul_add(rr.mul_add(p45, p23), p01);
    let small = rr.mul_add(p, low);
    let w = high + small;
    (w, small - (w - high))
}

/// `2^n · (s + lost)`
struct Power {
    n: i32,
    s: f32,
    lost: f32,
}

impl Power {
    /// `e^(x + low)` for `-131 ≤ x ≤ 0`.
    fn new(x: f32, low: f32) -> Self {
        let n = x.mul_add(LOG2_E, ROUND) - ROUND;
        let (w, w_low) = expm1_reduced((-n).mul_add(LN2_HIGH, x), n.mul_add(-LN2_LOW, low));
        let s = 1.0 + w;
        Self { n: n as i32, s, lost: (w - (s - 1.0)) + w_low }
    }
}

/// `2ⁿ` for `-126 ≤ n ≤ 127`.
pub(super) fn pow2(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// `min(x, limit)`, where NaN passes.
fn at_most(x: f32, limit: f32) -> f32 {
    if limit < x { limit } else { x }
}

/// `max(x, limit)`, where NaN passes.
fn at_least(x: f32, limit: f32) -> f32 {
    if limit > x { limit } else { x }
}
