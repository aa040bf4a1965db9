//! The activations, value by value.

use crate::Activation;
use crate::activation::coefficients::{
    EXP, EXPM1, EXPONENT_SHIFT, LN2_HIGH, LN2_LOW, LOG2_E, POWERS, ROUND, STEP_HIGH, STEP_LOW, STEPS_LOG2_E, UNIT,
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
        }
    }

    /// `g'(z)` of one value, from `z`.
    pub fn derivative_from_z(self, z: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Sigmoid => {
                let q = logistic(UNIT, at_most(z.abs(), 106.0));
                (-q).mul_add(q, q)
            }
            Self::Tanh => {
                let g = logistic(4.0 * UNIT, at_most((z + z).abs(), 106.0));
                (-g).mul_add(0.25 * g, g)
            }
            Self::Relu => step(z, 0.0),
            Self::LeakyRelu { slope } => step(z, slope),
        }
    }
}

/// `z` where it is not negative, else `slope · z`, and without a slope 0 even of `-∞`.
fn leaky_relu(z: f32, slope: f32) -> f32 {
    match z < 0.0 {
        true if slope == 0.0 => -0.0,
        true => slope * z,
        false => z,
    }
}

/// 1 where `x > 0`, else `below`.
fn step(x: f32, below: f32) -> f32 {
    if 0.0 < x { 1.0 } else { below }
}

/// `1/(1+e^-z)`
fn sigmoid(z: f32) -> f32 {
    logistic(UNIT, -at_most(at_least(z, -104.0), 20.0))
}

/// `scale / (UNIT · (1 + e^y))` for `-43 ≤ y ≤ 106`.
///
/// ```text
/// e^y = 2^(steps/8) · e^-t = power · (1 + t·Q(t))
/// 1 + e^y = sum + rest
/// q = scale / (sum + rest), corrected for what is left of the dividend
/// ```
///
/// `power`, `sum` and `rest` are in units of `UNIT`.
fn logistic(scale: f32, y: f32) -> f32 {
    // Rounded to an integer by the addition.
    let steps = y.mul_add(STEPS_LOG2_E, ROUND) - ROUND;
    let t = steps.mul_add(STEP_LOW, steps.mul_add(STEP_HIGH, -y));
    let [c0, c1, c2, c3] = EXP;
    let q_of_t = c3.mul_add(t, c2).mul_add(t, c1).mul_add(t, c0);

    let (octave, step) = (steps as i32 >> 3, steps as i32 & 7);
    let fraction = f32::from_bits(POWERS[step as usize].to_bits() + ((step as u32) << EXPONENT_SHIFT));
    // Exact. In two factors, as the octave can be beyond the largest exponent.
    let power = fraction * pow2(64) * pow2(octave - 64);

    let (larger, smaller) = if power > UNIT { (power, UNIT) } else { (UNIT, power) };
    let sum = larger + smaller;
    let lost = smaller - (sum - larger);
    let rest = (power * t).mul_add(q_of_t, lost);

    let q = scale / (sum + rest);
    let remainder = (-q).mul_add(rest, (-q).mul_add(sum, scale));
    remainder.mul_add(q * (1.0 / scale), q)
}

/// The hyperbolic tangent.
///
/// ```text
/// e^-2|z| = 2^n · e^r,  r = high + low
/// e^r - 1 = w + w_low = high + (low + r²·P(r))
/// (e^-2|z| - 1) / 2 = m + m_low = (2^(n-1) - 1/2) + 2^(n-1) · (w + w_low)
/// tanh |z| = -m / (1 + m), corrected for the rest of the dividend and for m_low
/// ```
fn tanh(z: f32) -> f32 {
    let x2 = 2.0 * at_least(-z.abs(), -9.03);
    // Rounded to an integer by the addition, together with the n - 1 of the exponent.
    let n = at_least(x2.mul_add(LOG2_E, ROUND + 126.0) - (ROUND + 126.0), -24.0);
    let high = (-n).mul_add(LN2_HIGH, x2);
    let low = n * -LN2_LOW;
    let r = high + low;
    let rr = r * r;
    let [c0, c1, c2, c3, c4, c5] = EXPM1;
    let p45 = r.mul_add(c5, c4);
    let p23 = r.mul_add(c3, c2);
    let p01 = r.mul_add(c1, c0);
    let p = rr.mul_add(rr.mul_add(p45, p23), p01);

    let small = rr.mul_add(p, low);
    let w = high + small;
    let w_low = small - (w - high);
    let half_power = pow2(n as i32 - 1);
    let offset = half_power - 0.5;
    let m = w.mul_add(half_power, offset);
    let m_low = w_low.mul_add(half_power, w.mul_add(half_power, offset - m));

    let reciprocal = 1.0 / (1.0 + m);
    let q = m * reciprocal;
    let remainder = m_low.mul_add(reciprocal, (-q).mul_add(m, m - q));
    remainder.mul_add(reciprocal, q).copysign(z)
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
