//! The loss of all data and its gradient, for solvers of SciPy's.

use super::data::Data;
use super::loss::{Counts, Loss, sum_of_squares};
use super::train::check_alpha;
use crate::arrays::{Filled, Values};
use crate::errors::raise;
use crate::network::{Core, Network};
use fused_dense::{Error, SUM_BLOCK, Samples};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Sets all parameters, and returns scikit-learn's loss of all samples and its gradient.
    ///
    /// flat: float64, each layer's weights as inputs × outputs, then each layer's bias; the gradient has the same order. The
    /// arguments are those of _train.
    #[pyo3(signature = (x, targets, sample_weight, alpha, flat, loss = "cost"))]
    #[allow(clippy::too_many_arguments)] // they are Python's
    fn _loss_and_gradient<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
        alpha: f64,
        flat: &Bound<'py, PyAny>,
        loss: &str,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let loss = Loss::read(loss)?;
        check_alpha(alpha)?;
        let data = Data::new(self, x, targets, sample_weight, loss)?;
        let flat = Values::<f64>::new("flat", flat)?;
        let count =
            self.core.glance(py, |core| core.layers().iter().map(|layer| layer.w().len() + layer.b().len()).sum())?;
        flat.expect_shape("flat", &[count])?;
        let mut gradient = Filled::<f64>::new(py, &[count], None);
        let task = Task { counts: data.counts(self, loss), loss, alpha };
        let (mut samples, flat, places) = (data.samples(py, self)?, flat.as_slice(), gradient.as_slice_mut());
        let found = self.core.write(py, |core| {
            set(core, flat);
            task.run(core, &mut samples, places)
        })?;
        Ok((found.map_err(raise)?, gradient.into_array().into_any()))
    }
}

/// The places of each layer's weights and bias in the flat array.
fn places(core: &Core) -> Vec<(usize, usize)> {
    let mut end = 0;
    let mut take = |len: usize| {
        end += len;
        end - len
    };
    let weights: Vec<usize> = core.layers().iter().map(|layer| take(layer.w().len())).collect();
    weights.into_iter().zip(core.layers().iter().map(|layer| take(layer.b().len()))).collect()
}

fn set(core: &mut Core, flat: &[f64]) {
    let places = places(core);
    for (layer, (of_w, of_b)) in core.layers_mut().iter_mut().zip(places) {
        let (inputs, outputs) = (layer.dense().inputs(), layer.dense().outputs());
        for (output, row) in layer.w_mut().chunks_exact_mut(inputs.max(1)).enumerate() {
            let column = flat[of_w + output..].iter().step_by(outputs);
            row.iter_mut().zip(column).for_each(|(w, &value)| *w = value as f32);
        }
        layer.b_mut().iter_mut().zip(&flat[of_b..]).for_each(|(b, &value)| *b = value as f32);
    }
}

/// The loss that is asked for.
struct Task<'a> {
    counts: Option<Counts<'a>>,
    loss: Loss,
    alpha: f64,
}

impl Task<'_> {
    /// The loss, from sums over chunks of the samples in double precision; adds its gradient.
    fn run(&self, core: &mut Core, samples: &mut Samples<'_>, gradient: &mut [f64]) -> Result<f64, Error> {
        let most = core.max_batch();
        let chunk = if most < SUM_BLOCK { most } else { most - most % SUM_BLOCK };
        let all: Vec<usize> = (0..samples.len()).collect();
        let (places, total, mut sum) = (places(core), samples.weight(&all)?, 0.0);
        for rows in all.chunks(chunk) {
            let weight = samples.weight(rows)?;
            if weight > 0.0 {
                let share = weight / total;
                sum += share * self.gradients(core, samples, rows, weight)?;
                add(core, &places, share, gradient);
            }
        }
        let alpha = if total > 0.0 { self.alpha / total } else { 0.0 };
        add_penalty(core, &places, alpha, gradient);
        Ok(sum / self.loss.divisor(core) + 0.5 * alpha * sum_of_squares(core))
    }

    /// The mean loss of some samples, whose gradients then stand in the layers.
    fn gradients(&self, core: &mut Core, samples: &mut Samples<'_>, rows: &[usize], weight: f64) -> Result<f64, Error> {
        let (x, targets) = samples.gather(rows)?;
        match self.counts {
            None => core.gradients(x, targets),
            Some(counts) => core.gradients_with_d_z(x, |z, d_z| counts.poisson(rows, weight, z, d_z)),
        }
    }
}

/// Adds the gradients that stand in the layers, times a factor.
fn add(core: &Core, places: &[(usize, usize)], factor: f64, sum: &mut [f64]) {
    for (layer, &(of_w, of_b)) in core.layers().iter().zip(places) {
        add_transposed(layer.d_w(), layer.dense().inputs(), factor, &mut sum[of_w..]);
        for (sum, &d_b) in sum[of_b..].iter_mut().zip(layer.d_b()) {
            *sum += factor * f64::from(d_b);
        }
    }
}

/// Adds the gradient of `½·λ·Σ w²`.
fn add_penalty(core: &Core, places: &[(usize, usize)], lambda: f64, sum: &mut [f64]) {
    for (layer, &(of_w, _)) in core.layers().iter().zip(places) {
        add_transposed(layer.w(), layer.dense().inputs(), lambda, &mut sum[of_w..]);
    }
}

/// Adds a matrix of outputs × inputs to one of inputs × outputs.
fn add_transposed(values: &[f32], inputs: usize, factor: f64, sum: &mut [f64]) {
    let outputs = values.len() / inputs.max(1);
    for (output, row) in values.chunks_exact(inputs.max(1)).enumerate() {
        for (sum, &value) in sum[output..].iter_mut().step_by(outputs).zip(row) {
            *sum += factor * f64::from(value);
        }
    }
}
