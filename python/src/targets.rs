//! The targets of samples as numpy's arrays: values or classes, and weights.

use crate::arrays::{Values, format_shape, no_array};
use fused_dense::Targets;
use numpy::{Element, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Targets, as long as their arrays live.
pub(crate) struct TargetArrays<'py> {
    kind: Kind<'py>,
    sample_weight: Option<Values<'py, f32>>,
}

/// A value for each output, or a class for each sample.
///
/// Classes are copies: the crate checks them once, and relies on it.
enum Kind<'py> {
    Values(Values<'py, f32>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl<'py> TargetArrays<'py> {
    /// Targets of samples in this shape, for a network of so many outputs.
    pub(crate) fn new(
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
        samples: &[usize],
        outputs: usize,
    ) -> PyResult<Self> {
        let kind = Kind::new(targets, samples, outputs)?;
        let sample_weight = sample_weight.map(|weights| Values::new("sample_weight", weights)).transpose()?;
        if let Some(weights) = &sample_weight {
            weights.expect_shape("sample_weight", samples)?;
        }
        Ok(Self { kind, sample_weight })
    }

    pub(crate) fn targets(&self) -> Targets<'_> {
        let targets = match &self.kind {
            Kind::Values(values) => Targets::values(values.as_slice()),
            Kind::U8(labels) => Targets::classes(labels),
            Kind::U16(labels) => Targets::classes(labels),
            Kind::U32(labels) => Targets::classes(labels),
            Kind::U64(labels) => Targets::classes(labels),
            Kind::I32(labels) => Targets::classes(labels),
            Kind::I64(labels) => Targets::classes(labels),
        };
        match self.sample_weight() {
            None => targets,
            Some(weights) => targets.sample_weights(weights),
        }
    }

    /// A value for each output of each sample, where the targets are no classes.
    pub(crate) fn values(&self) -> Option<&[f32]> {
        match &self.kind {
            Kind::Values(values) => Some(values.as_slice()),
            _ => None,
        }
    }

    pub(crate) fn sample_weight(&self) -> Option<&[f32]> {
        self.sample_weight.as_ref().map(Values::as_slice)
    }
}

impl<'py> Kind<'py> {
    fn new(argument: &Bound<'py, PyAny>, samples: &[usize], outputs: usize) -> PyResult<Self> {
        let expected = "float32 or of integers";
        let Ok(array) = argument.cast::<PyUntypedArray>() else { return Err(no_array("targets", expected, argument)) };
        let dtype = array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'f', 4) => {
                let by_output = array.shape().split_last() == Some((&outputs, samples));
                if by_output || outputs == 1 && array.shape() == samples {
                    return Ok(Self::Values(Values::new("targets", argument)?));
                }
                Err(wrong_shape("values", &[samples, &[outputs]].concat(), array))
            }
            (b'i' | b'u', _) if array.shape() != samples => Err(wrong_shape("classes", samples, array)),
            (b'u', 1) => Ok(Self::U8(classes(argument)?)),
            (b'u', 2) => Ok(Self::U16(classes(argument)?)),
            (b'u', 4) => Ok(Self::U32(classes(argument)?)),
            (b'u', 8) => Ok(Self::U64(classes(argument)?)),
            (b'i', 4) => Ok(Self::I32(classes(argument)?)),
            (b'i', 8) => Ok(Self::I64(classes(argument)?)),
            (b'i', _) => Ok(Self::I64(Values::converted(array)?.as_slice().to_vec())),
            _ => Err(PyTypeError::new_err(format!(
                "targets: expected a numpy array of {expected}, found {dtype}; convert it with \
                 targets.astype(numpy.float32), or classes with targets.astype(numpy.int64)"
            ))),
        }
    }
}

fn classes<T: Element + Copy>(argument: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    Ok(Values::new("targets", argument)?.as_slice().to_vec())
}

fn wrong_shape(kind: &str, expected: &[usize], found: &Bound<'_, PyUntypedArray>) -> PyErr {
    let (expected, found) = (format_shape(expected), format_shape(found.shape()));
    PyValueError::new_err(format!("targets: expected {kind} of shape {expected}, found the shape {found}"))
}
