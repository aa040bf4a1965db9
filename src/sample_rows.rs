//! The inputs of many samples, from which batches are gathered: dense rows, or sparse ones.

use crate::error::{Error, Operand};
use crate::floats::{Float, Floats, largest_of_doubles};
use crate::integers::{Integer, Integers};
use crate::matrix::whole_rows;
use crate::tuning::GATHER_AHEAD_LEN;

/// The inputs of many samples: `samples × inputs`, dense or sparse.
///
/// A slice of `f32` is rows one behind the other; [`dense`](Self::dense) takes `f64` too, without a copy of the whole. Sparse
/// rows are those of a CSR matrix: `starts` has one number more than there are samples, and the entries of sample `i` are those
/// from `starts[i]` to below `starts[i + 1]`, each a value and its column. Entries of one row may come in any order; those of
/// one place add up.
///
/// ```
/// use fused_dense::{Activation, Network, SampleRows, Samples};
///
/// let network = Network::builder(3).layer(1, Activation::Identity).build()?;
/// // 0 5 0
/// // 0 0 0
/// // 7 0 9
/// let rows = SampleRows::sparse(&[5.0, 9.0, 7.0], &[1, 2, 0], &[0_u32, 1, 1, 3]);
/// let mut samples = Samples::new(&network, rows, &[1.0, 2.0, 3.0])?;
/// let (x, _) = samples.gather(&[2, 0])?;
/// assert_eq!(x, [7.0, 0.0, 9.0, 0.0, 5.0, 0.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SampleRows<'a> {
    rows: Rows<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Rows<'a> {
    Dense(Floats<'a>),
    Sparse { values: Floats<'a>, columns: Integers<'a>, starts: Integers<'a> },
}

impl<'a> SampleRows<'a> {
    /// Rows one behind the other. Values of `f64` are rounded to the nearest `f32` as batches are taken of them.
    ///
    /// ```
    /// use fused_dense::{Activation, Network, SampleRows, Samples};
    ///
    /// let network = Network::builder(2).layer(1, Activation::Identity).build()?;
    /// let x: [f64; 4] = [0.1, 0.2, 0.3, 0.4];
    /// let mut samples = Samples::new(&network, SampleRows::dense(&x), &[1.0, 2.0])?;
    /// assert_eq!(samples.gather(&[1])?.0, [0.3_f32, 0.4]);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    pub fn dense<F: Float>(x: &'a [F]) -> Self {
        Self { rows: Rows::Dense(F::floats(x)) }
    }

    /// The rows of a CSR matrix: the values of all entries, their columns, and where each row starts and ends.
    pub fn sparse<F: Float, C: Integer, S: Integer>(values: &'a [F], columns: &'a [C], starts: &'a [S]) -> Self {
        let values = F::floats(values);
        Self { rows: Rows::Sparse { values, columns: C::integers(columns), starts: S::integers(starts) } }
    }

    /// Samples, once the rows are known to be whole and of so many inputs; `None` where dense rows have none.
    pub(crate) fn check(&self, inputs: usize) -> Result<Option<usize>, Error> {
        match self.rows {
            Rows::Dense(x) => whole_rows(Operand::X, x.len(), inputs),
            Rows::Sparse { values, columns, starts } => {
                check_sparse(values, columns, starts, inputs)?;
                Ok(Some(starts.len() - 1))
            }
        }
    }

    /// The largest magnitude of all values, rounded to `f32`, of those in single precision as `of_singles` finds it; not finite
    /// where a value is not.
    pub(crate) fn largest<E>(&self, of_singles: impl FnOnce(&'a [f32]) -> Result<f32, E>) -> Result<f32, E> {
        match self.values() {
            Floats::Single(values) => of_singles(values),
            Floats::Double(values) => Ok(largest_of_doubles(values)),
        }
    }

    fn values(&self) -> Floats<'a> {
        match self.rows {
            Rows::Dense(values) | Rows::Sparse { values, .. } => values,
        }
    }

    /// The most entries that may add up to one input.
    pub(crate) fn most_in_one_place(&self) -> usize {
        match self.rows {
            Rows::Dense(_) => 1,
            Rows::Sparse { starts, .. } => {
                (1..starts.len()).map(|end| starts.get(end) - starts.get(end - 1)).max().unwrap_or(0)
            }
        }
    }

    /// Copies rows one behind the other. They were found to be there.
    ///
    /// Each copy overlaps with the way of the next rows from memory: those of samples in random order come from anywhere.
    pub(crate) fn gather(&self, samples: &[usize], inputs: usize, to: &mut [f32]) {
        self.prefetch_first(samples.iter().copied(), inputs);
        let ahead = rows_ahead(inputs);
        for (place, (to, &sample)) in to.chunks_exact_mut(inputs.max(1)).zip(samples).enumerate() {
            if let Some(&next) = samples.get(place + ahead) {
                self.prefetch(next, inputs);
            }
            match self.rows {
                Rows::Dense(x) => x.copy(sample * inputs..(sample + 1) * inputs, to),
                Rows::Sparse { values, columns, starts } => {
                    to.fill(0.0);
                    for entry in starts.get(sample)..starts.get(sample + 1) {
                        to[columns.get(entry)] += values.get(entry);
                    }
                }
            }
        }
    }

    /// Asks for the first of these rows to be brought into the second-level cache: those that gathering has no time to ask for.
    pub(crate) fn prefetch_first(&self, samples: impl Iterator<Item = usize>, inputs: usize) {
        samples.take(rows_ahead(inputs)).for_each(|sample| self.prefetch(sample, inputs));
    }

    fn prefetch(&self, sample: usize, inputs: usize) {
        let row = match self.rows {
            Rows::Dense(_) => sample * inputs..(sample + 1) * inputs,
            Rows::Sparse { starts, .. } => starts.get(sample)..starts.get(sample + 1),
        };
        self.values().prefetch(row);
    }
}

/// Rows that are prefetched ahead of the one that is copied.
fn rows_ahead(inputs: usize) -> usize {
    GATHER_AHEAD_LEN.div_ceil(inputs.max(1))
}

fn check_sparse(values: Floats<'_>, columns: Integers<'_>, starts: Integers<'_>, inputs: usize) -> Result<(), Error> {
    let entries = values.len();
    if columns.len() != entries {
        return Err(Error::Length { operand: Operand::Columns, expected: entries, found: columns.len() });
    }
    if let Some(place) = columns.first_outside(inputs) {
        let expected = "a column below the number of inputs";
        return Err(Error::Place { operand: Operand::Columns, place, expected, found: columns.number(place) });
    }
    let bad_start = |place, expected| {
        Err(Error::Place { operand: Operand::RowStarts, place, expected, found: starts.number(place) })
    };
    if starts.len() == 0 {
        return Err(Error::Length { operand: Operand::RowStarts, expected: 1, found: 0 });
    }
    if let Some(place) = starts.first_outside(entries.saturating_add(1)) {
        return bad_start(place, "a start of at most the number of entries");
    }
    if let Some(place) = (1..starts.len()).find(|&place| starts.get(place) < starts.get(place - 1)) {
        return bad_start(place, "a start of at least the one before");
    }
    Ok(())
}

impl<'a> From<&'a [f32]> for SampleRows<'a> {
    fn from(x: &'a [f32]) -> Self {
        Self::dense(x)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for SampleRows<'a> {
    fn from(x: &'a [f32; N]) -> Self {
        x.as_slice().into()
    }
}

impl<'a> From<&'a Vec<f32>> for SampleRows<'a> {
    fn from(x: &'a Vec<f32>) -> Self {
        x.as_slice().into()
    }
}
