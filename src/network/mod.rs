//! Dense layers in a chain: trained step by step, or asked through a shared reference.

mod accumulate;
mod builder;
mod evaluate;
#[cfg(feature = "safetensors")]
mod files;
mod fit;
mod guard;
mod layer;
mod parts;
mod passes;
mod predict;
mod samples;
mod values;
mod weights;

pub use builder::NetworkBuilder;
pub use evaluate::Evaluation;
pub use fit::{Epoch, Fit, FitEnd, FitSteps, History};
pub use layer::Layer;
pub use parts::{BlockSums, Part, WholeBatch, add_block_sums};
pub use samples::Samples;

use crate::activation::Activation;
use crate::cost::Cost;
use crate::error::{Error, Operand};
use crate::layer::Dense;
use crate::matrix::Input;
use crate::objective::Objective;
use crate::optimizer::{Optimizer, check_state_arrays};
use crate::targets::{Checked, Targets};
use passes::{Aim, Top};
use predict::Sessions;

/// Dense layers in a chain, trained on mini-batches.
///
/// The network owns parameters, activations, gradients and its optimiser's state, all allocated when it is made: no step
/// allocates, but for what a rayon pool's tasks take. [`Network::builder`] makes one.
///
/// ```
/// use fused_dense::{Activation, Adam, Cost, Network};
///
/// // Exclusive or: the smallest problem that needs a hidden layer.
/// let x = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let y = [0.0, 1.0, 1.0, 0.0];
///
/// let mut network = Network::builder(2)
///     .layer(8, Activation::Tanh)
///     .layer(1, Activation::Sigmoid)
///     .cost(Cost::BinaryCrossEntropy)
///     .optimizer(Adam::new(0.05))
///     .build()?;
/// for _ in 0..200 {
///     network.step(&x, &y)?;
/// }
/// let a = network.forward(&x)?;
/// assert!(a.iter().zip(y).all(|(a, y)| a.round() == y));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    /// Whether the caller could have exchanged a layer since all were found to fit their places.
    may_be_exchanged: bool,
    objective: Objective,
    optimizer: Optimizer,
    /// Steps taken.
    steps: u64,
    /// The number of the last epoch that `fit` has gone through.
    epochs: usize,
    /// Batches that `fit` has gone through of the epoch behind it.
    batches: usize,
    max_batch: usize,
    /// Each layer's inputs and outputs, which a layer that takes its place has to have.
    places: Vec<(usize, usize)>,
    is_guarded: bool,
    /// Whether the layers' gradients are those of a cost, rather than what a step left there.
    has_gradients: bool,
    /// The largest magnitude of all input, while that is known: the guard need not look at each batch of it.
    largest_of_data: Option<f32>,
    sessions: Sessions,
}

impl Network {
    /// The layers, from the input's to the output's.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers, with parameters to be initialised or changed.
    ///
    /// A whole layer may be exchanged for another network's of the same shape with room for as many samples and the same
    /// optimiser's state; every call refuses what does not fit ([`Error::Exchanged`]).
    pub fn layers_mut(&mut self) -> &mut [Layer] {
        self.may_be_exchanged = true;
        &mut self.layers
    }

    /// The cost that a step descends.
    pub fn cost(&self) -> Cost {
        self.objective.cost()
    }

    /// The weight of each output or class in the cost, where they have any.
    pub fn class_weights(&self) -> Option<&[f32]> {
        self.objective.class_weights()
    }

    /// The weight of targets of 1 in binary cross-entropy: 1 where none was set.
    pub fn positive_weight(&self) -> f32 {
        self.objective.positive_weight()
    }

    /// Whether a step is refused where the cost or a gradient is infinite or NaN.
    pub fn is_guarded(&self) -> bool {
        self.is_guarded
    }

    /// The optimiser, with the learning rate of the next step.
    pub fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// The learning rate of the steps to come.
    ///
    /// # Errors
    /// [`Error::Setting`] where it is negative, infinite or NaN; the old one stays then.
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), Error> {
        let optimizer = self.optimizer.with_learning_rate(learning_rate);
        optimizer.check()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// Sets another optimiser for the steps to come, with as many arrays beside each parameter: what they hold stays.
    ///
    /// ```
    /// use fused_dense::{Activation, Adam, Network};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).optimizer(Adam::new(0.01)).build()?;
    /// network.set_optimizer(Adam::new(0.001).decoupled_weight_decay(0.1))?;
    /// assert!(network.set_optimizer(0.1).is_err(), "plain descent keeps no moments");
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] where a setting is none that it can be, [`Error::StateArrays`] where it keeps another number of
    /// arrays; the old one stays then.
    pub fn set_optimizer(&mut self, optimizer: impl Into<Optimizer>) -> Result<(), Error> {
        let optimizer = optimizer.into();
        optimizer.check()?;
        check_state_arrays(Operand::W, optimizer.state_arrays(), self.optimizer.state_arrays())?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// Steps taken so far: of an optimiser that counts them, as Adam does, they are part of the state.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the number of steps taken, beside the state that [`Layer::optimizer_state_mut`] gives access to.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// The number of the epoch that follows the last one that a [`fit`](Self::fit) has gone through; 1 where there is none.
    /// With it as [`Fit::first_epoch`] training goes on with the batches of training that never stopped.
    ///
    /// ```
    /// use fused_dense::{Activation, Fit, Network};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
    /// network.fit(&[1.0, 2.0], &[2.0, 4.0], Fit::new().epochs(3))?;
    /// assert_eq!(network.next_epoch(), 4);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    pub fn next_epoch(&self) -> usize {
        self.epochs.saturating_add(1)
    }

    /// The batches of that epoch that a [`fit`](Self::fit) has gone through already, where it was stopped within the epoch:
    /// [`Fit::first_batch`] takes them.
    pub fn next_batch(&self) -> usize {
        self.batches
    }

    /// Sets the number of the next epoch, counted from 1, beside the steps and the state of a network that training goes on with.
    ///
    /// ```
    /// use fused_dense::{Activation, Network};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
    /// network.set_next_epoch(4);
    /// assert_eq!(network.next_epoch(), 4);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    pub fn set_next_epoch(&mut self, number: usize) {
        (self.epochs, self.batches) = (number.saturating_sub(1), 0);
    }

    /// The most samples in one call that trains.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Inputs of the first layer.
    pub fn inputs(&self) -> usize {
        self.places.first().map_or(0, |place| place.0)
    }

    /// Outputs of the last layer.
    pub fn outputs(&self) -> usize {
        self.places.last().map_or(0, |place| place.1)
    }

    /// The network's output `a: batch × outputs` for `x: batch × inputs`, up to [`max_batch`](Self::max_batch) samples, in
    /// the network's own memory. [`predict`](Self::predict) takes any batch, through a shared reference.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`], [`Error::Exchanged`], and where `x` has the wrong size or shape.
    pub fn forward<'a>(&mut self, x: impl Into<Input<'a>>) -> Result<&[f32], Error> {
        let x = x.into();
        let batch = self.batch(x)?.unwrap_or(0);
        self.in_session(batch, |network| network.forward_pass(x, batch, false))?;
        let output = self.layers.last().ok_or(Error::NoLayers)?;
        Ok(&output.a[..output.output_len(batch)])
    }

    /// One pass forward and one backward: the cost of the batch, and its gradients by all parameters
    /// ([`Layer::d_w`], [`Layer::d_b`]), for an optimiser of your own ([`Layer::parameters_mut`]) or for
    /// [`apply_gradients`](Self::apply_gradients).
    ///
    /// `x: batch × inputs`; the targets are `y: batch × outputs`, or the class of each sample. Gradients are means over
    /// the batch, as the cost is. An empty batch has cost 0 and gradients 0. Gradients may be infinite or NaN: here the
    /// caller looks at them.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`], [`Error::Exchanged`], and where `x` or the targets have the wrong size, shape or
    /// values; no gradient is touched then.
    pub fn gradients<'a, 't>(
        &mut self,
        x: impl Into<Input<'a>>,
        targets: impl Into<Targets<'t>>,
    ) -> Result<f64, Error> {
        self.run_against(x.into(), targets.into(), Aim::Gradients)
    }

    /// One step of the optimiser along the gradients of the batch's cost: returns that cost, before the step.
    ///
    /// `x: batch × inputs`; the targets are `y: batch × outputs`, or the class of each sample. Each parameter is updated
    /// within its layer's backward pass ([`Dense::backward_update`]). An empty batch has cost 0, and is no step.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients), and [`Error::NotFinite`] where the cost or a gradient is infinite or NaN, unless
    /// the network is [unguarded](NetworkBuilder::unguarded); no parameter is touched then.
    pub fn step<'a, 't>(&mut self, x: impl Into<Input<'a>>, targets: impl Into<Targets<'t>>) -> Result<f64, Error> {
        self.run_against(x.into(), targets.into(), Aim::Step)
    }

    /// A step down a cost of your own: `cost(a, d_a)` gets the network's output `a: batch × outputs`, writes the cost's
    /// gradient by it to `d_a`, and returns the cost. A mean over the batch has its factor `1/m` in both.
    ///
    /// ```
    /// use fused_dense::{Activation, Network, Sgd};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).optimizer(Sgd::new(0.1)).build()?;
    /// // The distance to 3, whatever the input.
    /// let distance = |a: &[f32], d_a: &mut [f32]| {
    ///     d_a[0] = (a[0] - 3.0).signum();
    ///     f64::from((a[0] - 3.0).abs())
    /// };
    /// let (first, mut last) = (network.step_with_d_a(&[1.0], distance)?, 0.0);
    /// for _ in 0..10 {
    ///     last = network.step_with_d_a(&[1.0], distance)?;
    /// }
    /// assert!(last < first);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with_d_a<'a>(
        &mut self,
        x: impl Into<Input<'a>>,
        mut cost: impl FnMut(&[f32], &mut [f32]) -> f64,
    ) -> Result<f64, Error> {
        self.run_own(x.into(), Top::ByA(&mut cost), Aim::Step)
    }

    /// [`step_with_d_a`](Self::step_with_d_a) from the last layer's pre-activation: `cost(z, d_z)`.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with_d_z<'a>(
        &mut self,
        x: impl Into<Input<'a>>,
        mut cost: impl FnMut(&[f32], &mut [f32]) -> f64,
    ) -> Result<f64, Error> {
        self.run_own(x.into(), Top::ByZ(&mut cost), Aim::Step)
    }

    /// The [gradients](Self::gradients) of a cost of your own, given as [`step_with_d_a`](Self::step_with_d_a) takes it.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients).
    pub fn gradients_with_d_a<'a>(
        &mut self,
        x: impl Into<Input<'a>>,
        mut cost: impl FnMut(&[f32], &mut [f32]) -> f64,
    ) -> Result<f64, Error> {
        self.run_own(x.into(), Top::ByA(&mut cost), Aim::Gradients)
    }

    /// The [gradients](Self::gradients) of a cost of your own, given as [`step_with_d_z`](Self::step_with_d_z) takes it.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients).
    pub fn gradients_with_d_z<'a>(
        &mut self,
        x: impl Into<Input<'a>>,
        mut cost: impl FnMut(&[f32], &mut [f32]) -> f64,
    ) -> Result<f64, Error> {
        self.run_own(x.into(), Top::ByZ(&mut cost), Aim::Gradients)
    }

    /// Checks, and runs with the network's own cost.
    fn run_against(&mut self, x: Input<'_>, targets: Targets<'_>, aim: Aim) -> Result<f64, Error> {
        let (batch, checked) = self.check(x, targets)?;
        self.run(x, batch, &mut Top::Targets(checked), aim)
    }

    /// Checks, and runs with a cost of the caller's.
    fn run_own(&mut self, x: Input<'_>, mut top: Top<'_>, aim: Aim) -> Result<f64, Error> {
        let batch = self.batch(x)?.unwrap_or(0);
        self.run(x, batch, &mut top, aim)
    }

    /// All parameters and the optimiser's arrays, layer by layer.
    fn arrays_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.layers.iter_mut().flat_map(|Layer { w, b, state, .. }| {
            let others = std::iter::once(b).chain(state.iter_mut().flatten());
            std::iter::once(&mut **w).chain(others.map(|values| &mut **values))
        })
    }

    /// Runs passes as one session of the threads that the layers share: of those of the first layer that has any.
    fn in_session<R>(&mut self, batch: usize, passes: impl FnOnce(&mut Self) -> R) -> R {
        let sharing = self.layers.iter().map(|layer| &layer.dense).find(|dense| dense.threads().max() > 1);
        let Some(sharing) = sharing else { return passes(self) };
        let cycles = self.layers.iter().map(|layer| layer.dense.step_cycles(batch)).sum();
        let parameters = self.layers.iter().map(|layer| layer.w.len()).sum();
        let (threads, pays) = (sharing.threads().clone(), sharing.step_pays(cycles, parameters));
        threads.session(cycles, pays, || passes(self))
    }

    /// Samples in a batch, and its targets, once all is known to fit.
    fn check<'t>(&mut self, x: Input<'_>, targets: Targets<'t>) -> Result<(usize, Checked<'t>), Error> {
        let outputs = self.outputs();
        let batch = match self.batch(x)? {
            Some(batch) => batch,
            // A first layer without inputs takes the batch of the targets.
            None => self.fitting(targets.batch(outputs)?.unwrap_or(0))?,
        };
        Ok((batch, self.objective.check(targets, batch, outputs)?))
    }

    /// Samples in `x`; `None` where the first layer has no inputs and a slice cannot tell.
    fn batch(&mut self, x: Input<'_>) -> Result<Option<usize>, Error> {
        self.check_layers()?;
        // For all calls to come, until a caller could exchange a layer again.
        self.may_be_exchanged = false;
        let inputs = self.inputs();
        let Some(batch) = x.batch(Operand::X, inputs)? else { return Ok(None) };
        // Checked here, where it has its own name: the first layer would call it `a_prev`.
        x.source(Operand::X, batch, inputs)?;
        self.fitting(batch).map(Some)
    }

    /// Whether each layer still fits its place: a caller may have exchanged it for another.
    fn check_layers(&self) -> Result<(), Error> {
        if !self.may_be_exchanged {
            return Ok(());
        }
        for (index, (layer, &(inputs, outputs))) in self.layers.iter().zip(&self.places).enumerate() {
            let found = (layer.dense.inputs(), layer.dense.outputs(), layer.max_batch);
            if (found.0, found.1) != (inputs, outputs) || found.2 < self.max_batch {
                return Err(Error::Exchanged { layer: index, expected: (inputs, outputs, self.max_batch), found });
            }
            let (expected, found) = (self.optimizer.state_arrays(), layer.state.len());
            if expected != found {
                return Err(Error::ExchangedState { layer: index, expected, found });
            }
        }
        self.layers.last().map_or(Ok(()), |last| check_cost(self.cost(), &last.dense))
    }

    fn fitting(&self, batch: usize) -> Result<usize, Error> {
        if batch <= self.max_batch {
            Ok(batch)
        } else {
            Err(Error::BatchTooLarge { max: self.max_batch, found: batch })
        }
    }
}

/// Whether the cost fits the last layer.
fn check_cost(cost: Cost, last: &Dense) -> Result<(), Error> {
    let found: Activation = last.activation();
    match cost.activation() {
        Some(expected) if expected != found => Err(Error::CostNeedsActivation { cost, expected, found }),
        _ => Ok(()),
    }
}
