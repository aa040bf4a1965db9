//! One epoch of training as scikit-learn's stochastic solvers do it.

use super::data::{Batch, Data};
use crate::network::Core;
use fused_dense::{Adam, Error, Optimizer, Sgd};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long steps go on before somebody looks for signals.
const STRETCH: Duration = Duration::from_millis(50);

/// Steps of an epoch at which the weights' squares are summed, where it has more.
const LOOKS: usize = 64;

/// The loss that a step descends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Loss {
    /// The network's own cost.
    Own,
    /// `exp(z) - y·z`, but for what depends on `y` alone.
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

    /// By what a network's cost is divided in scikit-learn: squared errors are means over the outputs, too.
    pub(super) fn divisor(self, core: &Core) -> f64 {
        let is_mean = self == Self::Own && core.cost() == fused_dense::Cost::Quadratic;
        if is_mean { core.outputs() as f64 } else { 1.0 }
    }
}

/// The loop over the batches of one epoch after the other.
pub(super) struct Epoch<'a> {
    data: Data<'a>,
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
    gathered: Batch,
}

impl<'a> Epoch<'a> {
    pub(super) fn new(data: Data<'a>, loss: Loss, batch: usize, alpha: f64) -> Self {
        let (order, gathered) = (Vec::new(), Batch::default());
        Self { data, loss, batch, alpha, order, done: 0, sum: 0.0, squares: 0.0, gathered }
    }

    /// Begins an epoch of the samples in this order.
    pub(super) fn begin(&mut self, order: &[isize]) -> PyResult<()> {
        self.order.clear();
        for &sample in order {
            let found = usize::try_from(sample).ok().filter(|&sample| sample < self.data.samples);
            self.order.push(found.ok_or_else(|| {
                let samples = self.data.samples;
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

    /// Steps until the epoch is over or a while has gone by: returns whether it is over.
    pub(super) fn steps(&mut self, core: &mut Core) -> Result<bool, Error> {
        let start = Instant::now();
        let optimizer = core.optimizer();
        let mut steps = || {
            while self.done < self.order.len() {
                self.step(core, optimizer)?;
                if start.elapsed() >= STRETCH {
                    break;
                }
            }
            Ok(self.done == self.order.len())
        };
        let is_over = steps();
        // The settings of single steps are nobody's business.
        core.set_optimizer(optimizer)?;
        is_over
    }

    fn step(&mut self, core: &mut Core, optimizer: Optimizer) -> Result<(), Error> {
        let end = self.order.len().min(self.done + self.batch);
        let rows = end - self.done;
        self.gathered.gather(&self.data, self.order[self.done..end].iter().copied());
        let weight = self.gathered.weight(rows);
        // A batch whose samples all weigh nothing teaches nothing.
        if weight > 0.0 {
            self.look_at_squares(core);
            core.set_optimizer(of_step(optimizer, (self.alpha / weight) as f32, core.steps() + 1))?;
            let cost = match self.loss {
                Loss::Own => core.step(self.gathered.x(), self.gathered.targets())?,
                Loss::Poisson => {
                    let sizes = (weight, self.data.outputs);
                    core.step_with_d_z(self.gathered.x(), |z, d_z| poisson(&self.gathered, sizes, z, d_z))?
                }
            };
            let penalty = 0.5 * self.alpha * self.squares / weight;
            self.sum += (cost / self.loss.divisor(core) + penalty) * rows as f64;
        }
        self.done = end;
        Ok(())
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

/// The mean of the samples' losses, `y ln(y/ŷ) - y + ŷ` with `ŷ = exp(z)`, and its gradient by `z`.
pub(super) fn poisson(batch: &Batch, (weight, outputs): (f64, usize), z: &[f32], d_z: &mut [f32]) -> f64 {
    let mut sum = 0.0;
    for (at, ((d_z, &z), &y)) in d_z.iter_mut().zip(z).zip(batch.values()).enumerate() {
        let s = f64::from(batch.sample_weight(at / outputs)) / weight;
        let (z, y) = (f64::from(z), f64::from(y));
        let expected = z.exp();
        *d_z = ((expected - y) * s) as f32;
        let of_y = if y == 0.0 { 0.0 } else { y * (y.ln() - z) };
        sum += s * (of_y - y + expected);
    }
    sum
}

/// `Σ w²` over all layers.
pub(super) fn sum_of_squares(core: &Core) -> f64 {
    core.layers().iter().map(|layer| squares(layer.w())).sum()
}

/// `Σ v²` in double precision, in interleaved sums.
fn squares(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(value) * f64::from(value);
    }
    sums.iter().sum()
}
