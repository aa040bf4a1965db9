//! The data that an estimator hands over: rows of an array or of a sparse matrix, with their targets and weights.

use super::loss::{Counts, Loss};
use super::precision::Precision;
use crate::arrays::{Rows, Values, format_shape, no_array};
use crate::errors::raise;
use crate::network::Network;
use crate::targets::TargetArrays;
use fused_dense::{SampleRows, Samples};
use numpy::{Element, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The arrays of all samples.
pub(super) struct Data<'py> {
    x: X<'py>,
    targets: TargetArrays<'py>,
}

enum X<'py> {
    Single(Rows<'py, f32>),
    /// Read where they are: what large arrays are copied to is seldom in memory yet.
    Double(Rows<'py, f64>),
    /// The values of all entries, their columns, and the starts of the rows.
    Sparse(Values<'py, f32>, Indices, Indices),
}

/// Copies: the crate checks them once, and relies on it.
enum Indices {
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl<'py> Data<'py> {
    /// Data for a network, whose targets suit the loss.
    pub(super) fn new(
        network: &Network,
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
        loss: Loss,
    ) -> PyResult<Self> {
        let (x, samples) = match x.cast::<PyTuple>() {
            Ok(parts) => X::sparse(parts, network.inputs())?,
            Err(_) => X::dense(x, network.inputs())?,
        };
        let targets = TargetArrays::new(targets, sample_weight, &[samples], network.outputs())?;
        if loss == Loss::Poisson && targets.values().is_none() {
            return Err(PyTypeError::new_err("targets: expected float32 for this loss, found classes"));
        }
        Ok(Self { x, targets })
    }

    /// All samples, checked.
    pub(super) fn samples(&self, py: Python<'_>, network: &Network) -> PyResult<Samples<'_>> {
        let (rows, targets) = (self.x.rows(), self.targets.targets());
        network.core.read(py, |core| Samples::new(core, rows, targets))?.map_err(raise)
    }
}

impl Data<'_> {
    /// The targets of a loss that is not the network's own.
    pub(super) fn counts(&self, network: &Network, loss: Loss) -> Option<Counts<'_>> {
        let values = self.targets.values().filter(|_| loss == Loss::Poisson)?;
        Some(Counts { values, sample_weight: self.targets.sample_weight(), outputs: network.outputs() })
    }
}

impl<'py> X<'py> {
    fn dense(x: &Bound<'py, PyAny>, inputs: usize) -> PyResult<(Self, usize)> {
        if x.cast::<PyUntypedArray>().ok().and_then(Precision::of) == Some(Precision::Double) {
            let (rows, samples) = dense_rows(x, inputs)?;
            Ok((Self::Double(rows), samples))
        } else {
            let (rows, samples) = dense_rows(x, inputs)?;
            Ok((Self::Single(rows), samples))
        }
    }

    /// The parts of a CSR matrix: `(data, indices, indptr, shape)`.
    fn sparse(parts: &Bound<'py, PyTuple>, inputs: usize) -> PyResult<(Self, usize)> {
        let (data, indices, indptr, (samples, cols)) =
            parts.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>, (usize, usize))>()?;
        if cols != inputs {
            return Err(PyValueError::new_err(format!("x: expected {inputs} columns, found {cols}")));
        }
        let columns = Indices::new("x.indices", &indices)?;
        let starts = Indices::new("x.indptr", &indptr)?;
        if starts.len() != samples.saturating_add(1) {
            let found = starts.len();
            return Err(PyValueError::new_err(format!(
                "x.indptr: expected {samples} + 1 starts of rows, found {found}"
            )));
        }
        Ok((Self::Sparse(Values::new("x.data", &data)?, columns, starts), samples))
    }

    fn rows(&self) -> SampleRows<'_> {
        match self {
            Self::Single(rows) => SampleRows::dense(rows.strided().dense(0..rows.rows()).unwrap_or_default()),
            Self::Double(rows) => SampleRows::dense(rows.strided().dense(0..rows.rows()).unwrap_or_default()),
            Self::Sparse(values, columns, starts) => {
                let values = values.as_slice();
                match (columns, starts) {
                    (Indices::I32(columns), Indices::I32(starts)) => SampleRows::sparse(values, columns, starts),
                    (Indices::I32(columns), Indices::I64(starts)) => SampleRows::sparse(values, columns, starts),
                    (Indices::I64(columns), Indices::I32(starts)) => SampleRows::sparse(values, columns, starts),
                    (Indices::I64(columns), Indices::I64(starts)) => SampleRows::sparse(values, columns, starts),
                }
            }
        }
    }
}

/// The rows of a matrix whose elements stand one behind the other, and how many.
fn dense_rows<'py, T: Element>(x: &Bound<'py, PyAny>, inputs: usize) -> PyResult<(Rows<'py, T>, usize)> {
    let rows = Rows::<T>::new("x", x, inputs)?;
    let is_dense = rows.strided().dense(0..rows.rows()).is_some();
    if rows.leading().len() == 1 && is_dense {
        let samples = rows.rows();
        return Ok((rows, samples));
    }
    let found = format_shape(&[rows.leading(), &[rows.cols()]].concat());
    Err(PyValueError::new_err(format!(
        "x: expected a C-contiguous array of shape (samples, {inputs}), found one of shape {found}{}",
        if is_dense { "" } else { " at other strides" }
    )))
}

impl Indices {
    fn new(name: &str, argument: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(array) = argument.cast::<PyUntypedArray>() else { return Err(no_array(name, "integers", argument)) };
        let dtype = array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'i', 4) => Ok(Self::I32(Values::new(name, argument)?.as_slice().to_vec())),
            (b'i', 8) => Ok(Self::I64(Values::new(name, argument)?.as_slice().to_vec())),
            _ => Err(PyTypeError::new_err(format!("{name}: expected a numpy array of int32 or int64, found {dtype}"))),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::I32(indices) => indices.len(),
            Self::I64(indices) => indices.len(),
        }
    }
}
