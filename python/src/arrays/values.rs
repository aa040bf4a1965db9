//! Values that stand one behind the other.

use super::{array_of, copied, first, format_shape, is_readable};
use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::marker::PhantomData;

/// Values that stand one behind the other.
pub(crate) struct Values<'py, T> {
    array: Bound<'py, PyUntypedArray>,
    elements: PhantomData<T>,
}

impl<'py, T: Element> Values<'py, T> {
    /// An argument's values, copied where they are not contiguous.
    pub(crate) fn new(name: &str, argument: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = array_of::<T>(name, argument)?;
        if array.is_c_contiguous() && is_readable(array) {
            return Ok(Self { array: array.clone(), elements: PhantomData });
        }
        Self::converted(array)
    }

    /// The values of an array of another type, from which numpy converts safely.
    pub(crate) fn converted(array: &Bound<'py, PyUntypedArray>) -> PyResult<Self> {
        Ok(Self { array: copied::<T>(array)?, elements: PhantomData })
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    /// Whether the argument has this shape.
    pub(crate) fn expect_shape(&self, name: &str, shape: &[usize]) -> PyResult<()> {
        if self.shape() == shape {
            return Ok(());
        }
        let (expected, found) = (format_shape(shape), format_shape(self.shape()));
        Err(PyValueError::new_err(format!("{name}: expected an array of shape {expected}, found {found}")))
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        let len = self.array.len();
        if len == 0 {
            return &[];
        }
        // SAFETY: the array is alive as long as `self`, and has `len` elements of this type, aligned and one behind the
        // other. That another thread of Python writes to them is the caller's fault, as the module says.
        unsafe { core::slice::from_raw_parts(first::<T>(&self.array), len) }
    }
}
