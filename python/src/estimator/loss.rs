//! The losses of scikit-learn's estimators, and what belongs to them.

use crate::network::Core;
use fused_dense::Cost;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The loss that a step descends.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Loss {
    /// The network's own cost.
    Own,
    /// Half of the deviance of Poisson's distribution, whose mean is `exp(z)`.
    Poisson,
}

impl Loss {
    pub(super) fn read(name: &str) -> PyResult<Self> {
        match name {
            "cost" => Ok(Self::Own),
            "poisson" => Ok(Self::Poisson),
            _ => Err(PyValueError::new_err(format!("loss: expected cost or poisson, found {name:?}"))),
        }
    }

    /// The number by which a network's cost is divided in scikit-learn: squared errors are means over the outputs, too.
    pub(super) fn divisor(self, core: &Core) -> f64 {
        let is_mean = self == Self::Own && core.cost() == Cost::Quadratic;
        if is_mean { core.outputs() as f64 } else { 1.0 }
    }
}

/// Values to be predicted, with the weights of their samples.
#[derive(Clone, Copy)]
pub(super) struct Counts<'a> {
    pub(super) values: &'a [f32],
    pub(super) sample_weight: Option<&'a [f32]>,
    pub(super) outputs: usize,
}

impl Counts<'_> {
    /// The mean of the losses of these samples, whose weights have the sum `weight`, and its gradient by `z`:
    ///
    /// ```text
    /// Σ s·(y ln(y/ŷ) - y + ŷ) / Σ s,  ŷ = exp(z)
    /// d_z = s·(ŷ - y) / Σ s
    /// ```
    pub(super) fn poisson(&self, rows: &[usize], weight: f64, z: &[f32], d_z: &mut [f32]) -> f64 {
        let outputs = self.outputs;
        let mut sum = 0.0;
        for ((&row, z), d_z) in rows.iter().zip(z.chunks_exact(outputs)).zip(d_z.chunks_exact_mut(outputs)) {
            let share = self.sample_weight.map_or(1.0, |weights| f64::from(weights[row])) / weight;
            let values = &self.values[row * outputs..(row + 1) * outputs];
            for ((d_z, &z), &y) in d_z.iter_mut().zip(z).zip(values) {
                let (z, y) = (f64::from(z), f64::from(y));
                let mean = z.exp();
                *d_z = (share * (mean - y)) as f32;
                let of_y = if y == 0.0 { 0.0 } else { y * (y.ln() - z) };
                sum += share * (of_y - y + mean);
            }
        }
        sum
    }
}

/// `Σ w²` over the weights of all layers.
pub(super) fn sum_of_squares(core: &Core) -> f64 {
    core.layers().iter().map(|layer| squares(layer.w())).sum()
}

/// `Σ v²`: blocks in single precision, several times as fast, and their sum in double. In double throughout where a square
/// leaves the range of single precision.
fn squares(values: &[f32]) -> f64 {
    const BLOCK: usize = 512;
    let quick: f64 = values.chunks(BLOCK).map(|block| f64::from(block_of_squares(block))).sum();
    if quick.is_finite() { quick } else { values.iter().map(|&value| f64::from(value) * f64::from(value)).sum() }
}

/// In interleaved sums, each of at most 32 terms of a block.
fn block_of_squares(values: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}
