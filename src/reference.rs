//! The scalar specification of every result, to the bit.
//!
//! Kernels on every instruction set with fused multiply-add return exactly what these loops return, any NaN standing
//! for any other. They are slow, and meant for reading and for tests. All matrices are contiguous and batch-major.

mod softmax;

pub use softmax::{softmax, softmax_backward, softmax_max_and_sum};

use crate::activation::coefficients::{
    EXP, EXPM1, EXPONENT_SHIFT, LN2_HIGH, LN2_LOW, LOG2_E, POWERS, ROUND, STEP_HIGH, STEP_LOW, STEPS_LOG2_E, UNIT,
};
use crate::summation::{SUM_BLOCK, SUM_LANES, Summation};
use crate::{Activation, Adam, Dense, Optimizer, Sgd};

/// The chain order: `old + scale · (start + Σ a·b)` over the terms `(a, b)` of `0..len`.
///
/// ```text
/// for each block of SUM_BLOCK terms, ascending
///     sum = start in the first block, 0 in the others
///     for each term of the block, ascending:  sum = fma(a, b, sum)
///     old = fma(scale, sum, old), or scale · sum where there is no old value
/// ```
pub fn chain(old: Option<f32>, start: f32, scale: f32, len: usize, term: impl Fn(usize) -> (f32, f32)) -> f32 {
    let mut value = old;
    for block in 0..len.div_ceil(SUM_BLOCK).max(1) {
        let mut sum = if block == 0 { start } else { 0.0 };
        for p in block * SUM_BLOCK..len.min((block + 1) * SUM_BLOCK) {
            let (a, b) = term(p);
            sum = a.mul_add(b, sum);
        }
        value = Some(finish(value, scale, sum));
    }
    value.unwrap_or(0.0)
}

/// The lanes order: `old + scale · (start + Σ a·b)` over the terms `(a, b)` of `0..len`.
///
/// ```text
/// lane l of 16 takes the terms p ≡ l (mod 16), ascending:
///     lane[l] = fma(a, b, lane[l])
///     (the terms padded with a = b = 0 to a multiple of 16)
/// for half in 8, 4, 2, 1:  lane[l] = lane[l] + lane[l + half] for l < half
/// sum = start + lane[0], where there is a start, else lane[0]
/// fma(scale, sum, old), or scale · sum where there is no old value
/// ```
pub fn lanes(old: Option<f32>, start: Option<f32>, scale: f32, len: usize, term: impl Fn(usize) -> (f32, f32)) -> f32 {
    let mut lane = [0.0_f32; SUM_LANES];
    for p in 0..len.next_multiple_of(SUM_LANES) {
        let (a, b) = if p < len { term(p) } else { (0.0, 0.0) };
        lane[p % SUM_LANES] = a.mul_add(b, lane[p % SUM_LANES]);
    }
    for half in [8, 4, 2, 1] {
        for l in 0..half {
            lane[l] += lane[l + half];
        }
    }
    finish(old, scale, start.map_or(lane[0], |start| start + lane[0]))
}

fn finish(old: Option<f32>, scale: f32, sum: f32) -> f32 {
    match old {
        None => scale * sum,
        Some(old) => scale.mul_add(sum, old),
    }
}

/// A sum in the order that `summation` resolves to.
fn sum(
    summation: Summation,
    old: Option<f32>,
    start: Option<f32>,
    len: usize,
    term: impl Fn(usize) -> (f32, f32),
) -> f32 {
    match summation {
        Summation::Lanes => lanes(old, start, 1.0, len, term),
        Summation::Auto | Summation::Chain => chain(old, start.unwrap_or(0.0), 1.0, len, term),
    }
}

/// `z = a_prev · wᵀ + b` for a batch; `contiguous_inputs` says whether the weights in use lie contiguous along the
/// inputs (plain `[outputs, inputs]` do), which [`Summation::Auto`] looks at.
pub fn forward_z(
    layer: &Dense,
    batch: usize,
    a_prev: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    contiguous_inputs: bool,
) -> Vec<f32> {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let summation = layer.summation().resolve(batch, outputs, inputs, contiguous_inputs);
    each(batch, outputs, |i, j| {
        let term = |p: usize| (a_prev[i * inputs + p], w[j * inputs + p]);
        sum(summation, None, b.map(|b| b[j]), inputs, term)
    })
}

/// `dA_prev = dz · w`, added to `old` where there is one.
pub fn backward_a_prev(
    layer: &Dense,
    batch: usize,
    dz: &[f32],
    w: &[f32],
    old: Option<&[f32]>,
    contiguous_inputs: bool,
) -> Vec<f32> {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let summation = layer.summation().resolve(batch, inputs, outputs, !contiguous_inputs);
    each(batch, inputs, |i, j| {
        let term = |p: usize| (dz[i * outputs + p], w[p * inputs + j]);
        sum(summation, old.map(|old| old[i * inputs + j]), None, outputs, term)
    })
}

/// `dw = scale · dzᵀ · a_prev`, added to `old` where there is one.
pub fn backward_w(
    layer: &Dense,
    batch: usize,
    dz: &[f32],
    a_prev: &[f32],
    scale: f32,
    old: Option<&[f32]>,
) -> Vec<f32> {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    each(outputs, inputs, |i, j| {
        let term = |p: usize| (dz[p * outputs + i], a_prev[p * inputs + j]);
        chain(old.map(|old| old[i * inputs + j]), 0.0, scale, batch, term)
    })
}

/// `db = scale · Σ_batch dz`, added to `old` where there is one: the chain order with `b = 1`.
pub fn backward_b(layer: &Dense, batch: usize, dz: &[f32], scale: f32, old: Option<&[f32]>) -> Vec<f32> {
    let outputs = layer.outputs();
    each(1, outputs, |_, j| chain(old.map(|old| old[j]), 0.0, scale, batch, |p| (dz[p * outputs + j], 1.0)))
}

/// One parameter's step `step = 1, 2, …` by its gradient: returns its new value, and leaves in `state` what the optimiser
/// keeps for the next step. `decays` says whether weight decay applies to it: to weights it does, to a bias it does not.
///
/// ```text
/// gradient descent, state = [v]
///     g = fma(λ, p, g)                        with weight decay
///     v = fma(μ, v, g)                        with momentum
///     d = v                                   with momentum
///         fma(μ, v, g)                        with Nesterov's momentum
///         g                                   without momentum
///     p = fma(-η, d, p)
///
/// Adam, state = [m, v]
///     g = fma(λ, p, g)                        with weight decay in the gradient
///     m = fma(1 - β₁, g - m, m)
///     v = fma(1 - β₂, g·g, β₂·v)
///     d = m / fma(√v, 1/√(1 - β₂ᵗ), ε)
///     p = p·(1 - η·λ)                         with decoupled weight decay
///     p = fma(-η/(1 - β₁ᵗ), d, p)
/// ```
///
/// Numbers that are made of settings alone are computed in `f64` from the settings' `f32`, in the order in which they are
/// written here, and rounded once to `f32`; powers are [`power`]'s.
///
/// # Panics
/// Where `state` has fewer elements than [`Optimizer::state_arrays`] says.
pub fn update(optimizer: Optimizer, step: u64, decays: bool, parameter: f32, gradient: f32, state: &mut [f32]) -> f32 {
    let decayed = |lambda: f32| match decays && lambda != 0.0 {
        true => lambda.mul_add(parameter, gradient),
        false => gradient,
    };
    match optimizer {
        Optimizer::Sgd(Sgd { learning_rate, momentum, nesterov, weight_decay }) => {
            let g = decayed(weight_decay);
            let mut d = g;
            if momentum != 0.0 {
                state[0] = momentum.mul_add(state[0], g);
                d = if nesterov { momentum.mul_add(state[0], g) } else { state[0] };
            }
            (-learning_rate).mul_add(d, parameter)
        }
        Optimizer::Adam(Adam { learning_rate, betas, epsilon, weight_decay, is_decoupled }) => {
            let [eta, beta1, beta2, lambda] = [learning_rate, betas.0, betas.1, weight_decay].map(f64::from);
            let g = if is_decoupled { gradient } else { decayed(weight_decay) };
            let p = match decays && is_decoupled {
                true => parameter * (1.0 - eta * lambda) as f32,
                false => parameter,
            };
            let [m, v] = [state[0], state[1]];
            let m = ((1.0 - beta1) as f32).mul_add(g - m, m);
            let v = ((1.0 - beta2) as f32).mul_add(g * g, betas.1 * v);
            state[..2].copy_from_slice(&[m, v]);
            let correction = (1.0 / (1.0 - power(beta2, step)).sqrt()) as f32;
            let d = m / v.sqrt().mul_add(correction, epsilon);
            (-((eta / (1.0 - power(beta1, step))) as f32)).mul_add(d, p)
        }
    }
}

/// `base` to a whole power, by squaring.
///
/// ```text
/// power = 1, square = base
/// for each binary digit of the exponent, from the lowest to the highest one
///     power = power · square, where the digit is 1
///     square = square · square
/// ```
pub fn power(base: f64, exponent: u64) -> f64 {
    let (mut power, mut square, mut rest) = (1.0, base, exponent);
    while rest != 0 {
        if rest % 2 == 1 {
            power *= square;
        }
        square *= square;
        rest /= 2;
    }
    power
}

fn each(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    (0..rows * cols).map(|at| value(at / cols, at % cols)).collect()
}

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
        }
    }

    /// `g'(z)` of one value, from `a = g(z)`.
    pub fn derivative_from_a(self, a: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Sigmoid => a * (1.0 - a),
            Self::Tanh => (1.0 - a) * (1.0 + a),
            Self::Relu => {
                if 0.0 < a {
                    1.0
                } else {
                    0.0
                }
            }
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
            Self::Relu => {
                if 0.0 < z {
                    1.0
                } else {
                    0.0
                }
            }
        }
    }
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
fn pow2(n: i32) -> f32 {
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
