//! The scalar specification of every result, to the bit.
//!
//! Kernels on every instruction set with fused multiply-add return exactly what these loops return, any NaN standing
//! for any other. They are slow, and meant for reading and for tests. All matrices are contiguous and batch-major.

mod activation;

use crate::Dense;
use crate::summation::{SUM_BLOCK, SUM_LANES, Summation};

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

/// One parameter's step of gradient descent: its value afterwards and, where it has a velocity, that.
///
/// ```text
/// g = fma(weight_decay, parameter, gradient)
///     or the gradient itself where weight_decay is 0
/// v = fma(momentum, velocity, g), or g where there is no velocity
/// parameter = fma(-learning_rate, v, parameter)
/// ```
pub fn update(
    parameter: f32,
    gradient: f32,
    learning_rate: f32,
    weight_decay: f32,
    momentum_and_velocity: Option<(f32, f32)>,
) -> (f32, Option<f32>) {
    let g = if weight_decay == 0.0 { gradient } else { weight_decay.mul_add(parameter, gradient) };
    let velocity = momentum_and_velocity.map(|(momentum, velocity)| momentum.mul_add(velocity, g));
    ((-learning_rate).mul_add(velocity.unwrap_or(g), parameter), velocity)
}

fn each(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    (0..rows * cols).map(|at| value(at / cols, at % cols)).collect()
}
