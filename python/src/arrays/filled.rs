//! Arrays that a call fills.

use super::{Rows, array_of, format_shape, is_readable};
use numpy::{BorrowError, Element, IxDyn, PyArrayDyn, PyArrayMethods, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A new array or the caller's, for a call to fill.
pub(crate) struct Filled<'py, T: Element> {
    array: Bound<'py, PyArrayDyn<T>>,
    /// Keeps other calls from filling the caller's array at the same time.
    _borrow: Option<PyReadwriteArrayDyn<'py, T>>,
}

impl<'py, T: Element> Filled<'py, T> {
    /// A new array of zeros, of the shape `leading × last`.
    pub(crate) fn new(py: Python<'py>, leading: &[usize], last: Option<usize>) -> Self {
        let mut shape = IxDyn(leading);
        if let Some(last) = last {
            shape = IxDyn(&[leading, &[last]].concat());
        }
        Self { array: PyArrayDyn::zeros(py, shape, false), _borrow: None }
    }

    /// The values, which nobody else has: the array is new, or the caller's to be written to.
    pub(crate) fn as_slice_mut(&mut self) -> &mut [T] {
        let len = self.array.len();
        if len == 0 {
            return &mut [];
        }
        // SAFETY: the array is alive as long as `self` and has `len` aligned elements, one behind the other; it is new, or
        // was found to be writeable and apart from the input. That another thread of Python uses the caller's array is the
        // caller's fault, as the module says.
        unsafe { core::slice::from_raw_parts_mut(self.array.data(), len) }
    }

    pub(crate) fn into_array(self) -> Bound<'py, PyArrayDyn<T>> {
        self.array
    }
}

impl<'py> Filled<'py, f32> {
    /// The place for the output of a call that reads `x`: the caller's array, if there is one. Where the two share memory, `x`
    /// becomes a copy.
    pub(crate) fn output(
        x: &mut Rows<'py>,
        outputs: usize,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Filled<'py, f32>> {
        let Some(out) = out else { return Ok(Self::new(x.py(), x.leading(), Some(outputs))) };
        let array = array_of::<f32>("out", out)?;
        let shape = [x.leading(), &[outputs]].concat();
        if array.shape() != shape {
            let (expected, found) = (format_shape(&shape), format_shape(array.shape()));
            return Err(PyValueError::new_err(format!("out: expected an array of shape {expected}, found {found}")));
        }
        if !array.is_c_contiguous() || !is_readable(array) {
            return Err(PyValueError::new_err(
                "out: expected an aligned and C-contiguous array of native byte order, found another",
            ));
        }
        // SAFETY: its elements were found to be `f32`.
        let array = unsafe { array.clone().cast_into_unchecked::<PyArrayDyn<f32>>() };
        let borrow = array.try_readwrite().map_err(|error| match error {
            BorrowError::NotWriteable => {
                PyValueError::new_err("out: expected a writeable array, found a read-only one")
            }
            _ => PyValueError::new_err("out: expected an array for this call alone, found one that another call fills"),
        })?;
        let start = array.data().addr();
        if x.touches(start..start + size_of::<f32>() * array.len()) {
            *x = x.copied()?;
        }
        Ok(Self { array, _borrow: Some(borrow) })
    }
}
