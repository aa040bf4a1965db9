//! Data to take batches of, for training loops of every kind.

use super::Network;
use super::values::Values;
use crate::error::{Error, Operand};
use crate::matrix::Input;
use crate::sample_rows::SampleRows;
use crate::targets::{Gathered, Targets};

/// Samples to take batches of: their inputs and targets, checked once, and memory for one batch.
///
/// [`Network::fit`] goes through its data by this; with it a loop of your own chooses the samples of each step, sparse
/// ones too.
///
/// ```
/// use fused_dense::{Activation, Network, Samples};
///
/// let (x, y) = ([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]);
/// let mut network = Network::builder(1).layer(1, Activation::Identity).optimizer(0.1).build()?;
/// let mut samples = Samples::new(&network, &x, &y)?;
/// for _ in 0..200 {
///     for rows in [[0, 3], [2, 1]] {
///         network.step_on(&mut samples, &rows)?;
///     }
/// }
/// assert!((network.forward(&[5.0])?[0] - 10.0).abs() < 0.1);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct Samples<'d> {
    x: SampleRows<'d>,
    targets: Targets<'d>,
    len: usize,
    inputs: usize,
    outputs: usize,
    /// No gathered value has a larger magnitude; none where a guard has to look at each batch.
    largest: Option<f32>,
    gathered_x: Values,
    gathered: Gathered,
}

impl<'d> Samples<'d> {
    /// The data for a network: `x: samples × inputs`, and the targets as [`Network::step`] takes them.
    ///
    /// # Errors
    /// Where `x` or the targets have the wrong size, shape or values; [`Error::NotFinite`] where `x` is not finite and the
    /// network's steps are guarded.
    pub fn new(
        network: &Network,
        x: impl Into<SampleRows<'d>>,
        targets: impl Into<Targets<'d>>,
    ) -> Result<Self, Error> {
        let (x, targets) = (x.into(), targets.into());
        network.check_layers()?;
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let len = x.check(inputs)?.or(targets.batch(outputs)?).unwrap_or(0);
        network.objective.check(targets, len, outputs)?;
        let largest = network.largest_of(&x)?;
        let (gathered_x, gathered) = Default::default();
        Ok(Self { x, targets, len, inputs, outputs, largest, gathered_x, gathered })
    }

    /// The same data, with memory of its own for a batch, so that two batches can stand side by side.
    pub(super) fn with_own_memory(&self) -> Self {
        let (gathered_x, gathered) = Default::default();
        Self { gathered_x, gathered, ..*self }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `Σ s` over these samples: their number, where they have no weights.
    ///
    /// # Errors
    /// [`Error::NoSuchSample`]
    pub fn weight(&self, rows: &[usize]) -> Result<f64, Error> {
        self.check_rows(rows)?;
        Ok(self.targets.weight_of(rows))
    }

    /// The inputs and targets of these samples, one behind the other; a sample may be there several times.
    ///
    /// # Errors
    /// [`Error::NoSuchSample`], and [`Error::TooLarge`] where there is no memory for them.
    pub fn gather(&mut self, rows: &[usize]) -> Result<(&[f32], Targets<'_>), Error> {
        self.check_rows(rows)?;
        let too_large = Error::TooLarge { operand: Operand::X };
        let len = rows.len().checked_mul(self.inputs).ok_or(too_large.clone())?;
        if self.gathered_x.len() < len {
            self.gathered_x = Values::zeros(rows.len(), self.inputs).ok_or(too_large)?;
        }
        let x = &mut self.gathered_x[..len];
        self.x.gather(rows, self.inputs, x);
        Ok((x, self.gathered.gather(self.targets, rows, self.outputs)))
    }

    /// Asks for the next batch to be on its way to the cache while the one before it is worked on: for its first samples, as
    /// gathering them asks for the others in time. Samples that are not there are passed over.
    pub fn prefetch(&self, rows: &[usize]) {
        self.x.prefetch_first(rows.iter().copied().filter(|&row| row < self.len), self.inputs);
    }

    fn check_rows(&self, rows: &[usize]) -> Result<(), Error> {
        match rows.iter().position(|&row| row >= self.len) {
            None => Ok(()),
            Some(place) => Err(Error::NoSuchSample { place, samples: self.len, found: rows[place] }),
        }
    }
}

impl Network {
    /// A [`step`](Self::step) on these of the samples. Their values are known to the guard, which does not look at them
    /// again.
    ///
    /// # Errors
    /// [`Error::NoSuchSample`], [`Error::Shape`] where the samples are another network's, and those of
    /// [`step`](Self::step); no parameter is touched then.
    pub fn step_on(&mut self, samples: &mut Samples<'_>, rows: &[usize]) -> Result<f64, Error> {
        let (expected, found) = ((rows.len(), self.inputs()), (rows.len(), samples.inputs));
        if expected != found {
            return Err(Error::Shape { operand: Operand::X, expected, found });
        }
        let largest = samples.largest;
        let (x, targets) = samples.gather(rows)?;
        // Known for this step alone.
        self.largest_of_data = largest;
        let cost = self.step(x, targets);
        self.largest_of_data = None;
        cost
    }

    /// The largest magnitude that an input can have, if a guard wants to know and it is known.
    fn largest_of(&self, x: &SampleRows<'_>) -> Result<Option<f32>, Error> {
        if !self.is_guarded {
            return Ok(None);
        }
        let first = &self.layers.first().ok_or(Error::NoLayers)?.dense;
        let largest = x.largest(|values| first.largest(Input::Slice(values), 1, values.len()))?;
        if !largest.is_finite() {
            return Err(Error::NotFinite { layer: None, operand: Operand::X });
        }
        let most = largest * x.most_in_one_place() as f32;
        Ok(most.is_finite().then_some(most))
    }
}
