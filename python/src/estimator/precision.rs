//! The floating-point type of an array.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// The precision of an array's elements, in whatever order of bytes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Precision {
    Single,
    Double,
}

impl Precision {
    /// None where the elements are of another type.
    pub(super) fn of(array: &Bound<'_, PyUntypedArray>) -> Option<Self> {
        let dtype = array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'f', 4) => Some(Self::Single),
            (b'f', 8) => Some(Self::Double),
            _ => None,
        }
    }
}
