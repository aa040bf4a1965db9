//! Views of `ndarray` arrays as matrix views, without copying.
//!
//! Any layout fits but one that runs backwards: rows or columns in order, transposed, every other, a range of columns.
//! A vector becomes a matrix of one row.

use crate::error::Error;
use crate::matrix::{MatrixView, MatrixViewMut};
use ::ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};

/// With the feature `ndarray`.
///
/// ```
/// use fused_dense::{Activation, Dense, MatrixView, MatrixViewMut};
/// use ndarray::{Array2, array};
///
/// let x = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]; // 2 features × 3 samples
/// let mut a = Array2::zeros((3, 1));
/// Dense::new(2, 1, Activation::Identity).forward(
///     MatrixView::try_from(x.t())?,
///     &[1.0, 0.5],
///     &[0.0],
///     MatrixViewMut::try_from(a.view_mut())?,
/// )?;
/// assert_eq!(a, array![[3.0], [4.5], [6.0]]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
impl<'a> TryFrom<ArrayView2<'a, f32>> for MatrixView<'a> {
    type Error = Error;

    /// # Errors
    /// [`Error::NegativeStride`]
    fn try_from(array: ArrayView2<'a, f32>) -> Result<Self, Error> {
        let ((rows, cols), strides) = (array.dim(), strides(array.dim(), array.strides())?);
        // SAFETY: a view of an array borrows its elements for `'a`, and these are their places.
        unsafe { Self::from_raw_parts(array.as_ptr(), rows, cols, strides.0, strides.1) }
    }
}

/// With the feature `ndarray`.
impl<'a> TryFrom<ArrayViewMut2<'a, f32>> for MatrixViewMut<'a> {
    type Error = Error;

    /// # Errors
    /// [`Error::NegativeStride`], and [`Error::Overlapping`] where strides interleave rows and columns.
    fn try_from(mut array: ArrayViewMut2<'a, f32>) -> Result<Self, Error> {
        let ((rows, cols), strides) = (array.dim(), strides(array.dim(), array.strides())?);
        // SAFETY: a mutable view of an array borrows its elements exclusively for `'a`, and these are their places.
        unsafe { Self::from_raw_parts(array.as_mut_ptr(), rows, cols, strides.0, strides.1) }
    }
}

/// As a matrix of one row, with the feature `ndarray`.
impl<'a> TryFrom<ArrayView1<'a, f32>> for MatrixView<'a> {
    type Error = Error;

    /// # Errors
    /// [`Error::NegativeStride`]
    fn try_from(array: ArrayView1<'a, f32>) -> Result<Self, Error> {
        array.insert_axis(Axis(0)).try_into()
    }
}

/// As a matrix of one row, with the feature `ndarray`.
impl<'a> TryFrom<ArrayViewMut1<'a, f32>> for MatrixViewMut<'a> {
    type Error = Error;

    /// # Errors
    /// [`Error::NegativeStride`]
    fn try_from(array: ArrayViewMut1<'a, f32>) -> Result<Self, Error> {
        array.insert_axis(Axis(0)).try_into()
    }
}

/// Strides that count forwards.
fn strides((rows, cols): (usize, usize), strides: &[isize]) -> Result<(usize, usize), Error> {
    let stride = |axis: usize, len: usize| match strides[axis] {
        // Nothing follows the only element of an axis, nor any of an empty array, whatever the stride.
        found if len <= 1 || rows == 0 || cols == 0 => Ok(found.unsigned_abs()),
        found => usize::try_from(found).map_err(|_| Error::NegativeStride { axis, found }),
    };
    Ok((stride(0, rows)?, stride(1, cols)?))
}
