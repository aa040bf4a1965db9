//! The targets of a batch: values or classes, and weights of the samples.

mod gather;

pub(crate) use gather::Gathered;

use crate::cost::Cost;
use crate::error::{Error, Operand};
use crate::integers::{Integer, Integers};
use crate::matrix::{Input, check_len};
use core::ops::Range;
use core::ops::RangeInclusive;

/// How far the sum of a row of probabilities may be from 1: as far as rows that were rounded to 16 bits.
const SUM_TOLERANCE: f64 = 1e-3;

/// The wanted outputs of a batch, and the weight of each sample.
///
/// A slice of `f32` is a value for each output, `batch × outputs`; a slice of integers is a class for each sample, from 0. Arrays,
/// slices and vectors of both convert by themselves where targets are asked for.
///
/// A class stands for the row that has 1 at its place and 0 elsewhere, which is never made. Where there is one output, and
/// the cost is not [`Cost::SoftmaxCrossEntropy`], classes 0 and 1 are the targets themselves.
///
/// ```
/// use fused_dense::{Targets, loss};
///
/// let z = [2.0, 0.0, 0.0, 0.0, 0.0, 2.0]; // two samples of three outputs
/// let rows = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
/// let labels: [u8; 2] = [0, 1];
/// let cost = loss::softmax_cross_entropy(&z, &labels, 3)?;
/// assert_eq!(loss::softmax_cross_entropy(&z, &rows, 3)?, cost);
///
/// // The first sample alone counts.
/// let weighted = Targets::classes(&labels).sample_weights(&[2.0, 0.0]);
/// let first = loss::softmax_cross_entropy(&z[..3], &labels[..1], 3)?;
/// assert_eq!(loss::softmax_cross_entropy(&z, weighted, 3)?, first);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// None of an array that is not contiguous, which the call that it is given to refuses.
    rows: Option<Rows<'a>>,
    /// Values in a row of an array, where there was one with rows.
    columns: Option<usize>,
    sample_weights: Option<&'a [f32]>,
}

/// One row of targets for each sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// `batch × outputs`
    Values(&'a [f32]),
    /// One for each sample.
    Classes(Classes<'a>),
}

impl<'a> From<Rows<'a>> for Targets<'a> {
    fn from(rows: Rows<'a>) -> Self {
        Self { rows: Some(rows), columns: None, sample_weights: None }
    }
}

impl<'a> Targets<'a> {
    /// A value for each output: `y: batch × outputs`.
    pub fn values(y: &'a [f32]) -> Self {
        Rows::Values(y).into()
    }

    /// A class for each sample.
    pub fn classes(labels: impl Into<Classes<'a>>) -> Self {
        Rows::Classes(labels.into()).into()
    }

    /// A weight `s` for each sample, finite and at least 0: the cost is `Σ s·L / Σ s` instead of the mean.
    ///
    /// A weight of 2 counts as the sample twice, a weight of 0 as if it were not there.
    #[must_use]
    pub fn sample_weights(self, weights: &'a [f32]) -> Self {
        Self { sample_weights: Some(weights), ..self }
    }

    /// An array that is not contiguous.
    #[cfg(feature = "ndarray")]
    pub(crate) fn unfit() -> Self {
        Self { rows: None, columns: None, sample_weights: None }
    }

    /// Those of an array with rows of so many elements.
    #[cfg(feature = "ndarray")]
    pub(crate) fn columns(self, columns: usize) -> Self {
        Self { columns: Some(columns), ..self }
    }

    fn rows(&self) -> Result<Rows<'a>, Error> {
        self.rows.ok_or(Error::NotASlice { operand: Operand::Targets })
    }

    /// Samples, as far as the targets tell: `None` where values have no outputs.
    ///
    /// # Errors
    /// [`Error::NotWholeRows`] where values are no whole number of rows, [`Error::NotASlice`].
    pub(crate) fn batch(&self, outputs: usize) -> Result<Option<usize>, Error> {
        match self.rows()? {
            Rows::Values(y) => Input::Slice(y).batch(Operand::Targets, outputs),
            Rows::Classes(labels) => Ok(Some(labels.len())),
        }
    }

    /// All that can be wrong with targets for a batch and a cost.
    pub(crate) fn check(self, cost: Cost, batch: usize, outputs: usize) -> Result<Checked<'a>, Error> {
        let checked = self.check_part(cost, batch, outputs)?;
        if self.sample_weights.is_some() {
            check_weight_sum(batch, checked.weight)?;
        }
        Ok(checked)
    }

    /// [`check`](Self::check) for a part of a batch: its weights may have any sum.
    pub(crate) fn check_part(self, cost: Cost, batch: usize, outputs: usize) -> Result<Checked<'a>, Error> {
        let rows = self.rows()?;
        match rows {
            Rows::Values(y) => {
                if let Some(columns) = self.columns.filter(|columns| *columns != outputs) {
                    let found = (y.len().checked_div(columns).unwrap_or(0), columns);
                    return Err(Error::Shape { operand: Operand::Targets, expected: (batch, outputs), found });
                }
                check_len(Operand::Targets, y.len(), batch, outputs)?;
                check_values(cost, y, outputs)?;
            }
            Rows::Classes(labels) => {
                check_len(Operand::Targets, labels.len(), batch, 1)?;
                let classes = match (cost, outputs) {
                    (Cost::BinaryCrossEntropy | Cost::Quadratic, 1) => 2,
                    _ => outputs,
                };
                if let Some(sample) = labels.first_outside(classes) {
                    return Err(Error::Class { sample, classes, found: labels.number(sample) });
                }
            }
        }
        if let Some(weights) = self.sample_weights {
            check_len(Operand::SampleWeights, weights.len(), batch, 1)?;
            check_weights(Operand::SampleWeights, weights)?;
        }
        let weight = self.weight(batch);
        Ok(Checked { rows, sample_weights: self.sample_weights, batch, outputs, weight })
    }
}

/// Whether values are such as the cost is defined for.
fn check_values(cost: Cost, y: &[f32], outputs: usize) -> Result<(), Error> {
    let operand = Operand::Targets;
    match cost {
        Cost::BinaryCrossEntropy => check_range(operand, y, "a value from 0 to 1", 0.0..=1.0),
        Cost::Quadratic => check_range(operand, y, "a finite value", f32::MIN..=f32::MAX),
        Cost::SoftmaxCrossEntropy => {
            check_range(operand, y, "a probability from 0 to 1", 0.0..=1.0)?;
            for (sample, row) in y.chunks_exact(outputs.max(1)).enumerate() {
                let found: f64 = row.iter().map(|&y| f64::from(y)).sum();
                if (found - 1.0).abs() > SUM_TOLERANCE {
                    return Err(Error::RowSum { sample, found });
                }
            }
            Ok(())
        }
    }
}

/// Whether the weights of a batch have a sum to divide by.
pub(crate) fn check_weight_sum(batch: usize, found: f64) -> Result<(), Error> {
    let is_normal = |x: f64| (x as f32).is_normal();
    if batch == 0 || is_normal(found) && is_normal(1.0 / found) {
        Ok(())
    } else {
        Err(Error::WeightSum { operand: Operand::SampleWeights, found })
    }
}

/// Whether all weights are finite and at least 0.
pub(crate) fn check_weights(operand: Operand, weights: &[f32]) -> Result<(), Error> {
    check_range(operand, weights, "a finite value of at least 0", 0.0..=f32::MAX)
}

/// Whether all values are in a range, and none is NaN.
fn check_range(
    operand: Operand,
    values: &[f32],
    expected: &'static str,
    range: RangeInclusive<f32>,
) -> Result<(), Error> {
    // Without an end at the first fault, which would keep the loop from being one over vectors.
    if values.iter().fold(true, |all_fit, value| all_fit & range.contains(value)) {
        return Ok(());
    }
    let index = values.iter().position(|value| !range.contains(value)).unwrap_or(0);
    Err(Error::Value { operand, index, expected, found: values[index] })
}

/// Targets that fit a batch and a cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) sample_weights: Option<&'a [f32]>,
    pub(crate) batch: usize,
    pub(crate) outputs: usize,
    /// `Σ s`, or the number of samples.
    weight: f64,
}

impl<'a> Checked<'a> {
    /// The targets of a sample, where outputs have a target each.
    #[inline]
    pub(crate) fn row(&self, sample: usize) -> Row<'a> {
        match self.rows {
            Rows::Values(y) => Row::Values(&y[sample * self.outputs..][..self.outputs]),
            Rows::Classes(labels) if self.outputs == 1 => Row::Value(labels.class(sample) as f32),
            Rows::Classes(labels) => Row::Class(labels.class(sample)),
        }
    }

    /// The divisor of a sum over the batch; 1 for an empty one.
    pub(crate) fn divisor(&self) -> f64 {
        if self.batch == 0 { 1.0 } else { self.weight }
    }

    /// The weight of a sample.
    #[inline]
    pub(crate) fn sample_weight(&self, sample: usize) -> f32 {
        self.sample_weights.map_or(1.0, |weights| weights[sample])
    }
}

/// The targets of one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    /// One for each output.
    Values(&'a [f32]),
    /// Of the only output.
    Value(f32),
    /// 1 at this output, 0 at all others.
    Class(usize),
}

impl Row<'_> {
    /// The target of an output.
    #[inline]
    pub(crate) fn value(&self, output: usize) -> f32 {
        match *self {
            Self::Values(y) => y[output],
            Self::Value(y) => y,
            Self::Class(class) => f32::from(u8::from(class == output)),
        }
    }
}

/// A class for each sample: a slice, an array or a vector of any [`Integer`] type.
///
/// ```
/// use fused_dense::{Classes, Targets};
///
/// let labels = Classes::from(&[7_u8, 2, 1]);
/// assert_eq!(labels.len(), 3);
/// let targets = Targets::classes(labels).sample_weights(&[1.0, 0.5, 0.5]);
/// # let _ = targets;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Classes<'a> {
    labels: Integers<'a>,
}

impl Classes<'_> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of a sample, which must be one.
    #[inline]
    pub(crate) fn class(&self, sample: usize) -> usize {
        self.labels.get(sample)
    }

    /// Those of a range of samples.
    fn part(&self, samples: Range<usize>) -> Self {
        Self { labels: self.labels.part(samples) }
    }

    fn number(&self, sample: usize) -> i128 {
        self.labels.number(sample)
    }

    /// The first sample whose number is none of the classes.
    fn first_outside(&self, classes: usize) -> Option<usize> {
        self.labels.first_outside(classes)
    }
}

impl<'a, I: Integer> From<&'a [I]> for Classes<'a> {
    fn from(labels: &'a [I]) -> Self {
        Self { labels: I::integers(labels) }
    }
}

impl<'a, I: Integer, const N: usize> From<&'a [I; N]> for Classes<'a> {
    fn from(labels: &'a [I; N]) -> Self {
        labels.as_slice().into()
    }
}

impl<'a, I: Integer> From<&'a Vec<I>> for Classes<'a> {
    fn from(labels: &'a Vec<I>) -> Self {
        labels.as_slice().into()
    }
}

impl<'a, I: Integer> From<&'a [I]> for Targets<'a> {
    fn from(labels: &'a [I]) -> Self {
        Self::classes(labels)
    }
}

impl<'a, I: Integer, const N: usize> From<&'a [I; N]> for Targets<'a> {
    fn from(labels: &'a [I; N]) -> Self {
        Self::classes(labels)
    }
}

impl<'a, I: Integer> From<&'a Vec<I>> for Targets<'a> {
    fn from(labels: &'a Vec<I>) -> Self {
        Self::classes(labels)
    }
}

impl<'a> From<Classes<'a>> for Targets<'a> {
    fn from(labels: Classes<'a>) -> Self {
        Self::classes(labels)
    }
}

impl<'a> From<&'a [f32]> for Targets<'a> {
    fn from(y: &'a [f32]) -> Self {
        Self::values(y)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Targets<'a> {
    fn from(y: &'a [f32; N]) -> Self {
        Self::values(y)
    }
}

impl<'a> From<&'a Vec<f32>> for Targets<'a> {
    fn from(y: &'a Vec<f32>) -> Self {
        Self::values(y)
    }
}
