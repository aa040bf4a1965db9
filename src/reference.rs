//! The scalar specification of every result, to the bit.
//!
//! Kernels on every instruction set with fused multiply-add return exactly what these loops return, any NaN standing
//! for any other. They are slow, and meant for reading and for tests. All matrices are contiguous and batch-major.

mod activation;
mod softmax;

pub use softmax::{softmax, softmax_backward, softmax_max_and_sum};

use crate::summation::{SUM_BLOCK, SUM_LANES, Summation};
use crate::{Adam, Dense, Optimizer, Sgd};

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
