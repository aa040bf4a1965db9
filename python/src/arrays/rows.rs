//! Rows of an array at any strides.

use super::{array_of, copied, first, format_shape, is_readable};
use fused_dense::MatrixView;
use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows of elements `T`, in numpy's memory or in a copy of it.
pub(crate) struct Rows<'py, T = f32> {
    array: Bound<'py, PyUntypedArray>,
    elements: PhantomData<T>,
    shape: (usize, usize),
    /// In elements.
    strides: (usize, usize),
}

impl<'py, T: Element> Rows<'py, T> {
    /// An argument of two dimensions or more, of which all but the last are rows.
    pub(crate) fn new(name: &str, argument: &Bound<'py, PyAny>, cols: usize) -> PyResult<Self> {
        let array = array_of::<T>(name, argument)?;
        let [leading @ .., found] = array.shape() else {
            return Err(no_rows(name, cols, &[]));
        };
        if leading.is_empty() {
            return Err(no_rows(name, cols, &[*found]));
        }
        if *found != cols {
            return Err(no_rows(name, cols, array.shape()));
        }
        let shape = (leading.iter().product(), *found);
        if is_readable(array)
            && let Some(strides) = strides::<T>(array.shape(), array.strides())
        {
            return Ok(Self { array: array.clone(), elements: PhantomData, shape, strides });
        }
        if leading.len() > 1 && is_readable(array) && array.strides().iter().all(|&stride| stride >= 0) {
            return Err(PyValueError::new_err(format!(
                "{name}: expected leading dimensions that are one without a copy, found the shape {} with the strides {:?}; \
                 pass numpy.ascontiguousarray({name})",
                format_shape(array.shape()),
                array.strides()
            )));
        }
        Ok(Self { array: copied::<T>(array)?, elements: PhantomData, shape, strides: (*found, 1) })
    }

    pub(super) fn py(&self) -> Python<'py> {
        self.array.py()
    }

    /// All dimensions but the last.
    pub(crate) fn leading(&self) -> &[usize] {
        let shape = self.array.shape();
        &shape[..shape.len() - 1]
    }

    pub(crate) fn rows(&self) -> usize {
        self.shape.0
    }

    pub(crate) fn cols(&self) -> usize {
        self.shape.1
    }

    /// The elements, for code without the interpreter's lock.
    pub(crate) fn strided(&self) -> Strided<'_, T> {
        Strided { span: self.span(), shape: self.shape, strides: self.strides }
    }

    /// Whether an element stands within these addresses.
    pub(super) fn touches(&self, addresses: Range<usize>) -> bool {
        let own = self.span().as_ptr_range();
        addresses.start < own.end.addr() && own.start.addr() < addresses.end
    }

    /// The same rows, one behind the other: in memory of their own where they are not.
    pub(crate) fn contiguous(self) -> PyResult<Self> {
        if self.strided().dense(0..0).is_some() { Ok(self) } else { self.copied() }
    }

    /// The same rows in memory of their own.
    pub(super) fn copied(&self) -> PyResult<Self> {
        let (array, shape) = (copied::<T>(&self.array)?, self.shape);
        Ok(Self { array, elements: PhantomData, shape, strides: (shape.1, 1) })
    }

    /// From the first element to the last.
    fn span(&self) -> &[T] {
        let ((rows, cols), (row_stride, col_stride)) = (self.shape, self.strides);
        if rows == 0 || cols == 0 {
            return &[];
        }
        let len = (rows - 1) * row_stride + (cols - 1) * col_stride + 1;
        // SAFETY: the array is alive as long as `self`; its strides are not negative, and so all places from its first
        // element to its last lie within memory that numpy has for it, whose size fits `isize`. Elements are aligned. That
        // another thread of Python writes to them is the caller's fault, as the module says.
        unsafe { core::slice::from_raw_parts(first::<T>(&self.array), len) }
    }
}

impl Rows<'_> {
    pub(crate) fn view(&self) -> MatrixView<'_> {
        self.strided().view()
    }
}

/// Elements at strides.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a, T = f32> {
    span: &'a [T],
    shape: (usize, usize),
    strides: (usize, usize),
}

impl<'a, T> Strided<'a, T> {
    pub(crate) fn rows(&self) -> usize {
        self.shape.0
    }

    /// Some rows, where their elements stand one behind the other.
    pub(crate) fn dense(&self, rows: Range<usize>) -> Option<&'a [T]> {
        let ((all, cols), (row_stride, col_stride)) = (self.shape, self.strides);
        let is_dense = (cols <= 1 || col_stride == 1) && (all <= 1 || row_stride == cols);
        is_dense.then(|| &self.span[rows.start * cols..rows.end * cols])
    }

    /// Hands on the elements of some rows, one after the other.
    pub(crate) fn each(&self, rows: Range<usize>, mut hand_on: impl FnMut(&T)) {
        let (cols, (row_stride, col_stride)) = (self.shape.1, self.strides);
        for row in rows {
            (0..cols).for_each(|col| hand_on(&self.span[row * row_stride + col * col_stride]));
        }
    }
}

impl<'a> Strided<'a> {
    pub(crate) fn view(&self) -> MatrixView<'a> {
        let ((rows, cols), (row_stride, col_stride)) = (self.shape, self.strides);
        MatrixView::new(self.span, rows, cols, row_stride, col_stride).expect("the span of these strides")
    }
}

fn no_rows(name: &str, cols: usize, shape: &[usize]) -> PyErr {
    let (found, hint) =
        (format_shape(shape), if shape == [cols] { "; a single sample is x[numpy.newaxis]" } else { "" });
    PyValueError::new_err(format!("{name}: expected an array of shape (samples, {cols}), found {found}{hint}"))
}

/// Strides in elements from row to row and from column to column: none where leading dimensions cannot be one, an element
/// begins within another, or an axis runs backwards.
fn strides<T>(shape: &[usize], bytes: &[isize]) -> Option<(usize, usize)> {
    let in_elements = |bytes: isize| {
        let bytes = usize::try_from(bytes).ok()?;
        bytes.is_multiple_of(size_of::<T>()).then(|| bytes / size_of::<T>())
    };
    let last = shape.len() - 1;
    if shape.contains(&0) {
        return Some((shape[last], 1));
    }
    // An axis of one element goes nowhere.
    let col_stride = if shape[last] == 1 { 1 } else { in_elements(bytes[last])? };
    // The stride of the innermost axis, and what the next one has to have for both to be one.
    let mut rows: Option<(isize, isize)> = None;
    for axis in (0..last).rev().filter(|&axis| shape[axis] > 1) {
        let (row_stride, next) = rows.unwrap_or((bytes[axis], bytes[axis]));
        if bytes[axis] != next {
            return None;
        }
        rows = Some((row_stride, next.checked_mul(shape[axis].try_into().ok()?)?));
    }
    let row_stride = rows.map_or(Some(shape[last]), |(row_stride, _)| in_elements(row_stride))?;
    Some((row_stride, col_stride))
}
