//! One epoch of training as scikit-learn's stochastic solvers do it.

use super::loss::{Counts, Loss, sum_of_squares};
use crate::network::Core;
use fused_dense::{Adam, Error, Optimizer, Samples, Sgd};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Steps of an epoch at which the weights' squares are summed, where it has more.
const LOOKS: usize = 64;

/// The loop over the batches of one epoch after the other.
pub(super) struct Epoch<'a> {
    samples: Samples<'a>,
    /// The targets of a loss that is not the network's own.
    counts: Option<Counts<'a>>,
    loss: Loss,
    batch: usize,
    alpha: f64,
    order: Vec<usize>,
    /// Samples of this epoch that were gone through.
    done: usize,
    /// The sum of the batches' losses, each times its number of samples.
    sum: f64,
    /// The sum of the weights' squares, when it was taken last.
    squares: f64,
}

impl<'a> Epoch<'a> {
    pub(super) fn new(samples: Samples<'a>, counts: Option<Counts<'a>>, loss: Loss, batch: usize, alpha: f64) -> Self {
        Self { samples, counts, loss, batch, alpha, order: Vec::new(), done: 0, sum: 0.0, squares: 0.0 }
    }

    /// Begins an epoch of the samples in this order.
    pub(super) fn begin(&mut self, order: &[isize]) -> PyResult<()> {
        self.order.clear();
        for &sample in order {
            let found = usize::try_from(sample).ok().filter(|&sample| sample < self.samples.len());
            self.order.push(found.ok_or_else(|| {
                let samples = self.samples.len();
                PyValueError::new_err(format!("order: expected samples from 0 and below {samples}, found {sample}"))
            })?);
        }
        (self.done, self.sum) = (0, 0.0);
        Ok(())
    }

    /// The mean of the loss over the epoch's samples.
    pub(super) fn mean(&self) -> f64 {
        if self.order.is_empty() { 0.0 } else { self.sum / self.order.len() as f64 }
    }

    /// One step: returns whether it was the epoch's last.
    pub(super) fn step(&mut self, core: &mut Core) -> Result<bool, Error> {
        self.look_at_squares(core);
        let (rows, following) = self.order[self.done..].split_at(self.batch.min(self.order.len() - self.done));
        self.samples.prefetch(&following[..self.batch.min(following.len())]);
        let weight = self.samples.weight(rows)?;
        // A batch whose samples all weigh nothing teaches nothing.
        if weight > 0.0 {
            let optimizer = core.optimizer();
            core.set_optimizer(of_step(optimizer, (self.alpha / weight) as f32, core.steps() + 1))?;
            let cost = match self.counts {
                None => core.step_on(&mut self.samples, rows),
                Some(counts) => self
                    .samples
                    .gather(rows)
                    .and_then(|(x, _)| core.step_with_d_z(x, |z, d_z| counts.poisson(rows, weight, z, d_z))),
            };
            // The settings of a single step are nobody else's business.
            core.set_optimizer(optimizer)?;
            let penalty = 0.5 * self.alpha * self.squares / weight;
            self.sum += (cost? / self.loss.divisor(core) + penalty) * rows.len() as f64;
        }
        self.done += rows.len();
        Ok(following.is_empty())
    }

    /// Sums the weights' squares for the penalty in the loss, at each step or at some of them: training does not know it.
    fn look_at_squares(&mut self, core: &Core) {
        let (at, of) = (self.done / self.batch, self.order.len().div_ceil(self.batch));
        if self.alpha > 0.0 && (of <= LOOKS || at * LOOKS % of < LOOKS) {
            self.squares = sum_of_squares(core);
        }
    }
}

/// The optimiser of a step: with this weight decay, and with Adam's `ε` outside of the bias correction.
fn of_step(optimizer: Optimizer, decay: f32, step: u64) -> Optimizer {
    match optimizer {
        Optimizer::Sgd(sgd) => Sgd::weight_decay(sgd, decay).into(),
        Optimizer::Adam(adam) => {
            let beta2 = f64::from(adam.betas.1);
            let kept = beta2.powi(i32::try_from(step).unwrap_or(i32::MAX));
            let epsilon = f64::from(adam.epsilon) / (1.0 - kept).sqrt();
            Adam::weight_decay(adam, decay).epsilon(epsilon as f32).into()
        }
        other => other,
    }
}
