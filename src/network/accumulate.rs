//! Steps in parts: gradients of several batches, clipped if wanted, then applied.
//!
//! Unlike a step, which updates each weight while its gradient is in the first-level cache, these go over whole gradients
//! in memory: once to clip, once to apply.

use super::passes::Aim;
use super::{Layer, Network};
use crate::error::Error;
use crate::kernel::update::MOST_STATE;
use crate::matrix::Input;
use crate::targets::Targets;

impl Network {
    /// Adds the gradients of one batch, as its part of a larger one of `samples` in all: returns its part of the cost. The
    /// first call after a step starts from zero.
    ///
    /// With sample weights `samples` is the sum of all weights. Parts of whole multiples of
    /// [`SUM_BLOCK`](crate::SUM_BLOCK) samples give the bits of the whole batch at once.
    ///
    /// ```
    /// use fused_dense::{Activation, Network};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
    /// let (x, y) = ([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]);
    /// network.accumulate(&x[..2], &y[..2], 4.0)?;
    /// network.accumulate(&x[2..], &y[2..], 4.0)?;
    /// network.clip_gradients(1.0)?;
    /// network.apply_gradients()?;
    /// assert_eq!(network.steps(), 1);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients), and [`Error::Setting`] where `samples` is no positive number.
    pub fn accumulate<'a, 't>(
        &mut self,
        x: impl Into<Input<'a>>,
        targets: impl Into<Targets<'t>>,
        samples: f32,
    ) -> Result<f64, Error> {
        let (x, targets) = (x.into(), targets.into());
        if !(samples > 0.0 && samples.is_finite()) {
            return Err(Error::Setting { name: "samples", expected: "a positive number", found: samples });
        }
        self.run_against(x, targets, Aim::Sum { scale: 1.0 / samples, add: self.has_gradients })
    }

    /// Scales all gradients down so that their norm, over all parameters together, is at most `max_norm`: returns the norm
    /// that they had.
    ///
    /// ```text
    /// norm = √ Σ g²                       over all layers' d_w and d_b
    /// g = g · (max_norm / norm)           where norm > max_norm
    /// ```
    ///
    /// Source: R. Pascanu, T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks* (2013),
    /// algorithm 1. Squares are summed in `f64`, in sixteen interleaved sums for each array.
    ///
    /// # Errors
    /// [`Error::NoGradients`] after a step, [`Error::Setting`] where `max_norm` is no positive number,
    /// [`Error::NotFinite`] where a gradient is infinite or NaN; none is touched then.
    pub fn clip_gradients(&mut self, max_norm: f32) -> Result<f64, Error> {
        self.check_layers()?;
        if !self.has_gradients {
            return Err(Error::NoGradients);
        }
        if !(max_norm > 0.0 && max_norm.is_finite()) {
            return Err(Error::Setting { name: "max_norm", expected: "a positive number", found: max_norm });
        }
        self.check_gradients()?;
        let squares = self.layers.iter().map(|layer| sum_of_squares(&layer.d_w) + sum_of_squares(&layer.d_b));
        let norm = squares.sum::<f64>().sqrt();
        if norm > f64::from(max_norm) {
            let factor = (f64::from(max_norm) / norm) as f32;
            for layer in &mut self.layers {
                layer.d_w.iter_mut().chain(layer.d_b.iter_mut()).for_each(|gradient| *gradient *= factor);
            }
        }
        Ok(norm)
    }

    /// A step of the optimiser along the gradients that [`gradients`](Self::gradients) or
    /// [`accumulate`](Self::accumulate) left in the layers. Where nothing changed them in between, the parameters are then to
    /// the bit those of [`step`](Self::step).
    ///
    /// # Errors
    /// [`Error::NoGradients`] after a step, [`Error::NotFinite`] where a gradient is infinite or NaN, unless the network is
    /// [unguarded](crate::NetworkBuilder::unguarded); no parameter is touched then.
    pub fn apply_gradients(&mut self) -> Result<(), Error> {
        self.check_layers()?;
        if !self.has_gradients {
            return Err(Error::NoGradients);
        }
        if self.is_guarded {
            self.check_gradients()?;
        }
        self.apply()
    }

    /// The number of the step behind those that were taken.
    ///
    /// # Errors
    /// [`Error::StepZero`] behind step 2⁶⁴ - 1.
    pub(super) fn number_of_next_step(&self) -> Result<u64, Error> {
        self.steps.checked_add(1).ok_or(Error::StepZero)
    }

    /// A step of the optimiser along the layers' gradients.
    pub(super) fn apply(&mut self) -> Result<(), Error> {
        self.steps = self.number_of_next_step()?;
        self.has_gradients = false;
        let (of_weights, of_biases) = (self.optimizer, self.optimizer.without_weight_decay());
        for Layer { dense, w, b, d_w, d_b, state, .. } in &mut self.layers {
            let kernels = dense.target()?.kernels;
            let (mut of_w, mut of_b): (MostState<'_>, MostState<'_>) = Default::default();
            let count = state.len();
            for ((of_w, of_b), [w, b]) in of_w.iter_mut().zip(&mut of_b).zip(state) {
                (*of_w, *of_b) = (&mut **w, &mut **b);
            }
            of_weights.apply_on(kernels, self.steps, w, d_w, &mut of_w[..count])?;
            of_biases.apply_on(kernels, self.steps, b, d_b, &mut of_b[..count])?;
        }
        Ok(())
    }
}

/// As many arrays as an optimiser keeps beside a parameter at most.
type MostState<'l> = [&'l mut [f32]; MOST_STATE];

/// `Σ v²` in `f64`.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 16];
    let chunks = values.chunks_exact(sums.len());
    let rest = chunks.remainder();
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
