//! A training loop: epochs of shuffled mini-batches, validation, early stopping.

mod course;

use super::evaluate::Evaluation;
use super::{Network, Samples};
use crate::error::Error;
use crate::matrix::Input;
use crate::targets::Targets;
use core::fmt;
use core::ops::ControlFlow;

/// One epoch of a [`Network::fit`], as its callback sees it.
///
/// ```
/// use fused_dense::{Activation, Fit, Network};
///
/// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
/// let history = network.fit(&[1.0, 2.0], &[2.0, 4.0], Fit::new().epochs(3))?;
/// let last = history.epochs().last().expect("three epochs");
/// assert_eq!(last.number, 3);
/// assert!(last.cost < history.epochs()[0].cost && last.validation.is_none());
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Epoch {
    /// Its number, from 1.
    pub number: usize,
    /// The mean of the cost over all samples, each before the step that it took part in.
    pub cost: f64,
    /// The cost and the accuracy on the validation set after the epoch, where there is one.
    pub validation: Option<Evaluation>,
    /// Whether no epoch before had as low a cost: on the validation set, or in training where there is none.
    pub is_best: bool,
}

/// Why a [`Network::fit`] ended.
///
/// ```
/// use fused_dense::{Activation, Fit, FitEnd, Network};
///
/// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
/// assert_eq!(network.fit(&[1.0], &[2.0], Fit::new().epochs(2))?.end(), FitEnd::AllEpochs);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FitEnd {
    /// All epochs were done.
    AllEpochs,
    /// The cost did not fall for as many epochs as [`Fit::early_stopping`] says.
    NoImprovement,
    /// The callback said so.
    Callback,
}

/// The course of a [`Network::fit`].
///
/// ```
/// use fused_dense::{Activation, Fit, Network};
///
/// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
/// let history = network.fit(&[1.0, 2.0], &[2.0, 4.0], Fit::new().epochs(3))?;
/// assert_eq!((history.epochs().len(), history.best_epoch()), (3, 3));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    epochs: Vec<Epoch>,
    best: usize,
    end: FitEnd,
}

impl History {
    /// All epochs that were done.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The number of the epoch with the lowest cost; 0 where none was done.
    pub fn best_epoch(&self) -> usize {
        self.best
    }

    /// Why it ended.
    pub fn end(&self) -> FitEnd {
        self.end
    }
}

/// The learning rate by the epoch's number.
type Schedule<'a> = Box<dyn FnMut(usize) -> f32 + 'a>;

/// Looks at each epoch, and says whether to go on.
type Callback<'a> = Box<dyn FnMut(&Epoch) -> ControlFlow<()> + 'a>;

/// The samples that are held out of training to validate on.
#[derive(Clone, Copy)]
enum Validation<'a> {
    None,
    Share(f32),
    Given(Input<'a>, Targets<'a>),
}

/// The options of a [`Network::fit`].
///
/// ```
/// use core::ops::ControlFlow;
/// use fused_dense::{Activation, Cost, Fit, Network};
///
/// let x: Vec<f32> = (0..200).map(|i| (i % 20) as f32 / 10.0 - 1.0).collect();
/// let labels: Vec<u8> = x.iter().map(|&x| u8::from(x > 0.0)).collect();
/// let mut network = Network::builder(1)
///     .layer(2, Activation::Identity)
///     .cost(Cost::SoftmaxCrossEntropy)
///     .build()?;
/// let fit = Fit::new().epochs(100).batch(10).seed(3).hold_out(0.2).early_stopping(5).on_epoch(|epoch| {
///     println!("{:3} {:.4}", epoch.number, epoch.cost);
///     ControlFlow::Continue(())
/// });
/// let history = network.fit(&x, &labels, fit)?;
/// assert!(history.epochs()[history.best_epoch() - 1].is_best);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[must_use]
pub struct Fit<'a> {
    epochs: usize,
    first_epoch: usize,
    first_batch: usize,
    batch: Option<usize>,
    seed: u64,
    shuffles: bool,
    validation: Validation<'a>,
    patience: Option<(usize, f64)>,
    learning_rate: Option<Schedule<'a>>,
    on_epoch: Option<Callback<'a>>,
}

impl fmt::Debug for Fit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fit").field("epochs", &self.epochs).field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Fit<'a> {
    /// Ten epochs of shuffled batches as large as the network takes, and nothing besides.
    pub fn new() -> Self {
        Self {
            epochs: 10,
            first_epoch: 1,
            first_batch: 0,
            batch: None,
            seed: 0,
            shuffles: true,
            validation: Validation::None,
            patience: None,
            learning_rate: None,
            on_epoch: None,
        }
    }

    /// How often all samples are gone through.
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// The number of the first epoch, from 1: an epoch's order follows from the seed and its number, so that training that
    /// goes on from [`Network::next_epoch`] goes on with the same batches.
    pub fn first_epoch(self, number: usize) -> Self {
        Self { first_epoch: number, ..self }
    }

    /// Leaves out so many batches of the first epoch: those that training went through before it was stopped
    /// ([`Network::next_batch`]). The cost of that epoch is then the mean over the rest of it.
    pub fn first_batch(self, batches: usize) -> Self {
        Self { first_batch: batches, ..self }
    }

    /// Samples in a batch. The last one of an epoch has those that are left.
    pub fn batch(self, samples: usize) -> Self {
        Self { batch: Some(samples), ..self }
    }

    /// As [`batch`](Self::batch), where no batch was set.
    pub fn batch_or(self, samples: usize) -> Self {
        Self { batch: self.batch.or(Some(samples)), ..self }
    }

    /// The seed of the samples' order, the same on every platform.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Leaves the samples in their order.
    pub fn in_order(self) -> Self {
        Self { shuffles: false, ..self }
    }

    /// Validates on these samples after each epoch.
    pub fn validation(self, x: impl Into<Input<'a>>, targets: impl Into<Targets<'a>>) -> Self {
        Self { validation: Validation::Given(x.into(), targets.into()), ..self }
    }

    /// Holds out a share of the samples, between 0 and 1 and chosen by the seed, and validates on them after each epoch.
    pub fn hold_out(self, share: f32) -> Self {
        Self { validation: Validation::Share(share), ..self }
    }

    /// Ends where the cost has not fallen for so many epochs, and goes back to the parameters, the optimiser's state and the
    /// steps of the best epoch. The cost is that of the validation set, or of training where there is none.
    pub fn early_stopping(self, patience: usize) -> Self {
        Self { patience: Some((patience, self.patience.map_or(0.0, |(_, least)| least))), ..self }
    }

    /// Counts a cost as lower only where it is so by more than this.
    pub fn least_improvement(self, by: f64) -> Self {
        Self { patience: Some((self.patience.map_or(usize::MAX, |(patience, _)| patience), by)), ..self }
    }

    /// The learning rate of each epoch, by its number.
    pub fn learning_rate(self, of_epoch: impl FnMut(usize) -> f32 + 'a) -> Self {
        Self { learning_rate: Some(Box::new(of_epoch)), ..self }
    }

    /// Called after each epoch; may end the training.
    pub fn on_epoch(self, callback: impl FnMut(&Epoch) -> ControlFlow<()> + 'a) -> Self {
        Self { on_epoch: Some(Box::new(callback)), ..self }
    }

    fn check(&self, most: usize) -> Result<usize, Error> {
        let batch = self.batch.unwrap_or(most);
        if batch > most {
            return Err(Error::BatchTooLarge { max: most, found: batch });
        }
        if batch == 0 {
            return Err(Error::Setting { name: "batch", expected: "at least 1", found: 0.0 });
        }
        if let Validation::Share(share) = self.validation
            && !(share > 0.0 && share < 1.0)
        {
            return Err(Error::Setting { name: "hold_out", expected: "a share between 0 and 1", found: share });
        }
        Ok(batch)
    }
}

impl Network {
    /// Trains on samples `x: samples × inputs` and their targets, by [`step`](Self::step)s on mini-batches.
    ///
    /// `x` is a plain slice or a view of contiguous rows. Each epoch goes through the samples in an order of its own, from
    /// the seed and the epoch's number. A batch is gathered in memory that is allocated once.
    ///
    /// # Errors
    /// [`Error::Setting`] and [`Error::BatchTooLarge`] for the options, those of [`step`](Self::step) for the data, and
    /// [`Error::NotASlice`] where `x` is another view, before anything is touched; [`Error::NotFinite`] where training
    /// diverges: the parameters are then those of the last step that did not.
    pub fn fit<'a, 't>(
        &mut self,
        x: impl Into<Input<'a>>,
        targets: impl Into<Targets<'t>>,
        fit: Fit<'_>,
    ) -> Result<History, Error> {
        self.fit_by(x, targets, fit, self.max_batch, &mut Own)
    }

    /// [`fit`](Self::fit) by steps of your own, on batches of up to `most` samples: with gradients that are clipped, say, or
    /// that come from several machines.
    ///
    /// ```
    /// use fused_dense::{Activation, Error, Fit, FitSteps, Network, Samples};
    ///
    /// struct Clipped;
    ///
    /// impl FitSteps for Clipped {
    ///     type Error = Error;
    ///
    ///     fn step(&mut self, network: &mut Network, samples: &mut Samples<'_>, rows: &[usize]) -> Result<f64, Error> {
    ///         let (x, targets) = samples.gather(rows)?;
    ///         let cost = network.gradients(x, targets)?;
    ///         network.clip_gradients(1.0)?;
    ///         network.apply_gradients()?;
    ///         Ok(cost)
    ///     }
    /// }
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
    /// let history = network.fit_by(&[1.0, 2.0], &[2.0, 4.0], Fit::new().epochs(3), 2, &mut Clipped)?;
    /// assert_eq!(history.epochs().len(), 3);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and those of the steps.
    pub fn fit_by<'a, 't, S: FitSteps>(
        &mut self,
        x: impl Into<Input<'a>>,
        targets: impl Into<Targets<'t>>,
        fit: Fit<'_>,
        most: usize,
        steps: &mut S,
    ) -> Result<History, S::Error> {
        let batch = fit.check(most)?;
        course::run(self, x.into(), targets.into(), fit, batch, steps)
    }
}

/// The steps of a [`Network::fit_by`], which has an example.
pub trait FitSteps {
    /// The fault of a step.
    type Error: From<Error>;

    /// A step of the network on these of the samples, whose number and sum of weights are above 0: returns their cost, before
    /// the step.
    ///
    /// # Errors
    /// They end the training.
    fn step(&mut self, network: &mut Network, samples: &mut Samples<'_>, rows: &[usize]) -> Result<f64, Self::Error>;

    /// Called after each step, when the network counts its batch as gone through ([`Network::next_batch`]): a place for
    /// checkpoints.
    ///
    /// # Errors
    /// They end the training.
    fn after_step(&mut self, _network: &mut Network) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether training ends behind an epoch after which [`Fit::on_epoch`] `wants_to` end it.
    ///
    /// # Errors
    /// They end the training.
    fn ends(&mut self, _network: &Network, wants_to: bool) -> Result<bool, Self::Error> {
        Ok(wants_to)
    }
}

/// The network's own steps.
struct Own;

impl FitSteps for Own {
    type Error = Error;

    fn step(&mut self, network: &mut Network, samples: &mut Samples<'_>, rows: &[usize]) -> Result<f64, Error> {
        network.step_on(samples, rows)
    }
}
