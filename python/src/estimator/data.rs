//! Samples to take batches of: rows of an array or of a sparse matrix, with their targets and weights.

use crate::arrays::{Rows, Values, no_array};
use fused_dense::Targets;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The arrays of all samples.
pub(super) struct DataArrays<'py> {
    x: XArrays<'py>,
    y: YArrays<'py>,
    sample_weight: Option<Values<'py, f32>>,
    samples: usize,
    inputs: usize,
    outputs: usize,
}

enum XArrays<'py> {
    Dense(Rows<'py>),
    /// Values, columns and starts of the rows.
    Sparse(Values<'py, f32>, Values<'py, i64>, Values<'py, i64>),
}

enum YArrays<'py> {
    Classes(Values<'py, i64>),
    Values(Values<'py, f32>),
}

impl<'py> DataArrays<'py> {
    pub(super) fn new(
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
        (inputs, outputs): (usize, usize),
    ) -> PyResult<Self> {
        let (x, samples) = match x.cast::<PyTuple>() {
            Ok(parts) => XArrays::sparse(parts, inputs)?,
            Err(_) => XArrays::dense(x, inputs)?,
        };
        let y = YArrays::new(targets, samples, outputs)?;
        let sample_weight = sample_weight.map(|weights| Values::new("sample_weight", weights)).transpose()?;
        if let Some(weights) = &sample_weight {
            weights.expect_shape("sample_weight", &[samples])?;
        }
        Ok(Self { x, y, sample_weight, samples, inputs, outputs })
    }

    pub(super) fn data(&self) -> Data<'_> {
        let x = match &self.x {
            XArrays::Dense(rows) => X::Dense(rows.strided().dense(0..self.samples).unwrap_or_default()),
            XArrays::Sparse(values, columns, starts) => {
                X::Sparse(values.as_slice(), columns.as_slice(), starts.as_slice())
            }
        };
        let y = match &self.y {
            YArrays::Classes(labels) => Y::Classes(labels.as_slice()),
            YArrays::Values(values) => Y::Values(values.as_slice()),
        };
        let sample_weight = self.sample_weight.as_ref().map(Values::as_slice);
        Data { x, y, sample_weight, samples: self.samples, inputs: self.inputs, outputs: self.outputs }
    }
}

impl DataArrays<'_> {
    /// Refuses classes, where a loss needs values.
    pub(super) fn expect_values(&self) -> PyResult<()> {
        match self.y {
            YArrays::Values(_) => Ok(()),
            YArrays::Classes(_) => Err(PyTypeError::new_err("targets: expected float32 for this loss, found classes")),
        }
    }
}

impl<'py> XArrays<'py> {
    fn dense(x: &Bound<'py, PyAny>, inputs: usize) -> PyResult<(Self, usize)> {
        let rows = Rows::new("x", x, inputs)?;
        if rows.leading().len() != 1 || rows.cols() != inputs || rows.strided().dense(0..0).is_none() {
            return Err(PyValueError::new_err(format!(
                "x: expected a C-contiguous array of shape (samples, {inputs}), found another"
            )));
        }
        let samples = rows.rows();
        Ok((Self::Dense(rows), samples))
    }

    /// The parts of a CSR matrix: `(data, indices, indptr, shape)`.
    fn sparse(parts: &Bound<'py, PyTuple>, inputs: usize) -> PyResult<(Self, usize)> {
        let (data, indices, indptr, (samples, cols)) =
            parts.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>, (usize, usize))>()?;
        if cols != inputs {
            return Err(PyValueError::new_err(format!("x: expected {inputs} columns, found {cols}")));
        }
        let values = Values::<f32>::new("x.data", &data)?;
        let (columns, starts) = (indices_of("x.indices", &indices)?, indices_of("x.indptr", &indptr)?);
        starts.expect_shape("x.indptr", &[samples.saturating_add(1)])?;
        columns.expect_shape("x.indices", values.shape())?;
        check_sparse(values.as_slice().len(), columns.as_slice(), starts.as_slice(), inputs)?;
        Ok((Self::Sparse(values, columns, starts), samples))
    }
}

fn indices_of<'py>(name: &str, argument: &Bound<'py, PyAny>) -> PyResult<Values<'py, i64>> {
    let Ok(array) = argument.cast::<PyUntypedArray>() else { return Err(no_array(name, "integers", argument)) };
    let dtype = array.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'i', 8) => Values::new(name, argument),
        (b'i', 4) => Values::converted(array),
        _ => Err(PyTypeError::new_err(format!("{name}: expected a numpy array of int32 or int64, found {dtype}"))),
    }
}

fn check_sparse(len: usize, columns: &[i64], starts: &[i64], inputs: usize) -> PyResult<()> {
    let ascend = starts.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends = (starts.first().copied().unwrap_or(0), starts.last().copied().unwrap_or(0));
    if !ascend || ends.0 != 0 || usize::try_from(ends.1) != Ok(len) {
        return Err(PyValueError::new_err(format!("x.indptr: expected starts of rows from 0 to {len}, found others")));
    }
    match columns.iter().find(|&&column| usize::try_from(column).map_or(true, |column| column >= inputs)) {
        None => Ok(()),
        Some(column) => {
            Err(PyValueError::new_err(format!("x.indices: expected columns from 0 and below {inputs}, found {column}")))
        }
    }
}

impl<'py> YArrays<'py> {
    fn new(targets: &Bound<'py, PyAny>, samples: usize, outputs: usize) -> PyResult<Self> {
        let is_integer = targets.cast::<PyUntypedArray>().is_ok_and(|array| array.dtype().kind() == b'i');
        if is_integer {
            let labels = Values::<i64>::new("targets", targets)?;
            labels.expect_shape("targets", &[samples])?;
            return Ok(Self::Classes(labels));
        }
        let values = Values::<f32>::new("targets", targets)?;
        values.expect_shape("targets", &[samples, outputs])?;
        Ok(Self::Values(values))
    }
}

/// All samples, in numpy's memory.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    x: X<'a>,
    y: Y<'a>,
    sample_weight: Option<&'a [f32]>,
    pub(super) samples: usize,
    inputs: usize,
    pub(super) outputs: usize,
}

#[derive(Clone, Copy)]
enum X<'a> {
    Dense(&'a [f32]),
    Sparse(&'a [f32], &'a [i64], &'a [i64]),
}

#[derive(Clone, Copy)]
enum Y<'a> {
    Classes(&'a [i64]),
    Values(&'a [f32]),
}

impl Data<'_> {
    /// `Σ s`
    pub(super) fn weight(&self) -> f64 {
        weight(self.sample_weight, self.samples)
    }
}

/// The sum of the weights, or the number of samples.
fn weight(sample_weight: Option<&[f32]>, samples: usize) -> f64 {
    sample_weight.map_or(samples as f64, |weights| weights.iter().map(|&s| f64::from(s)).sum())
}

/// The samples of one batch, in memory that is used again for the next one.
#[derive(Default)]
pub(super) struct Batch {
    x: Vec<f32>,
    classes: Vec<i64>,
    values: Vec<f32>,
    sample_weight: Vec<f32>,
    has_classes: bool,
    has_weights: bool,
}

impl Batch {
    /// Copies these samples.
    pub(super) fn gather(&mut self, data: &Data<'_>, rows: impl ExactSizeIterator<Item = usize> + Clone) {
        let (inputs, outputs) = (data.inputs, data.outputs);
        self.x.clear();
        self.x.resize(rows.len() * inputs, 0.0);
        for (to, row) in self.x.chunks_exact_mut(inputs.max(1)).zip(rows.clone()) {
            data.x.row(row, to);
        }
        self.classes.clear();
        self.values.clear();
        match data.y {
            Y::Classes(labels) => self.classes.extend(rows.clone().map(|row| labels[row])),
            Y::Values(values) => {
                rows.clone().for_each(|row| self.values.extend_from_slice(&values[row * outputs..(row + 1) * outputs]));
            }
        }
        self.sample_weight.clear();
        if let Some(weights) = data.sample_weight {
            self.sample_weight.extend(rows.map(|row| weights[row]));
        }
        self.has_classes = matches!(data.y, Y::Classes(_));
        self.has_weights = data.sample_weight.is_some();
    }

    pub(super) fn x(&self) -> &[f32] {
        &self.x
    }

    pub(super) fn targets(&self) -> Targets<'_> {
        let targets = if self.has_classes { Targets::classes(&self.classes) } else { Targets::values(&self.values) };
        if self.has_weights { targets.sample_weights(&self.sample_weight) } else { targets }
    }

    /// A value for each output of each sample, where the targets are no classes.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn sample_weight(&self, sample: usize) -> f32 {
        if self.has_weights { self.sample_weight[sample] } else { 1.0 }
    }

    /// `Σ s`, of this many samples.
    pub(super) fn weight(&self, samples: usize) -> f64 {
        weight(self.has_weights.then_some(&self.sample_weight[..]), samples)
    }
}

impl X<'_> {
    /// Copies a row to a place that is zero.
    fn row(&self, row: usize, to: &mut [f32]) {
        match *self {
            Self::Dense(x) => to.copy_from_slice(&x[row * to.len()..(row + 1) * to.len()]),
            Self::Sparse(values, columns, starts) => {
                let (start, end) = (starts[row] as usize, starts[row + 1] as usize);
                // Elements that stand twice count as their sum.
                for (value, column) in values[start..end].iter().zip(&columns[start..end]) {
                    to[*column as usize] += value;
                }
            }
        }
    }
}
