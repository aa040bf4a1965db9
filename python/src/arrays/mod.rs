//! numpy's arrays as the crate's matrices and slices.
//!
//! Memory is numpy's own wherever the crate can read it. While a call runs without the interpreter's lock another thread of
//! Python may write to an array that the call reads, as with numpy's own functions: the values that it computes are then
//! any, but it reads and writes no other memory.

mod filled;
mod rows;
mod values;

pub(crate) use filled::Filled;
pub(crate) use rows::{Rows, Strided};
pub(crate) use values::Values;

use numpy::npyffi::{NPY_ARRAY_CARRAY_RO, NPY_ARRAY_ENSUREARRAY, NPY_ARRAY_ENSURECOPY, PY_ARRAY_API};
use numpy::{Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods, dtype};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::fmt::Write;

/// The error of an argument that is no numpy array.
pub(crate) fn no_array(name: &str, expected: &str, argument: &Bound<'_, PyAny>) -> PyErr {
    let found = argument.get_type().name().map_or_else(|_| "another object".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{name}: expected a numpy array of {expected}, found {found}"))
}

/// The array of an argument that has to have elements `T`, in whatever order of bytes.
fn array_of<'a, 'py, T: Element>(
    name: &str,
    argument: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    let wanted = dtype::<T>(argument.py());
    let Ok(found) = argument.cast::<PyUntypedArray>() else {
        return Err(no_array(name, &wanted.to_string(), argument));
    };
    let of_array = found.dtype();
    // The number leaves out the order of bytes.
    if of_array.num() == wanted.num() || of_array.is_equiv_to(&wanted) {
        return Ok(found);
    }
    let array = if name.contains(' ') { "array" } else { name };
    Err(PyTypeError::new_err(format!(
        "{name}: expected a numpy array of {wanted}, found {of_array}; convert it with {array}.astype(numpy.{wanted})"
    )))
}

/// Whether Rust can read the elements where they are.
fn is_readable(array: &Bound<'_, PyUntypedArray>) -> bool {
    array.is_aligned() && array.dtype().is_native_byteorder() != Some(false)
}

/// The same values one behind the other, as elements `T`.
fn copied<'py, T: Element>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = array.py();
    let wanted = dtype::<T>(py).into_dtype_ptr();
    // SAFETY: the array is alive; the reference to the type is handed over; the result is a new reference or none.
    let copy = unsafe {
        let flags = NPY_ARRAY_CARRAY_RO | NPY_ARRAY_ENSUREARRAY | NPY_ARRAY_ENSURECOPY;
        let copy = PY_ARRAY_API.PyArray_FromArray(py, array.as_array_ptr(), wanted, flags);
        Bound::from_owned_ptr_or_err(py, copy.cast())?
    };
    Ok(copy.cast_into::<PyUntypedArray>()?)
}

/// The address of the first element of an array of `T`.
fn first<T: Element>(array: &Bound<'_, PyUntypedArray>) -> *mut T {
    // SAFETY: only the address is read, which stands at the same place whatever the elements are.
    unsafe { array.cast_unchecked::<PyArrayDyn<T>>() }.data()
}

/// The shape as Python writes it.
pub(crate) fn format_shape(shape: &[usize]) -> String {
    let mut text = String::from("(");
    for (axis, length) in shape.iter().enumerate() {
        let _ = write!(text, "{}{length}", if axis == 0 { "" } else { ", " });
    }
    text + if shape.len() == 1 { ",)" } else { ")" }
}
