//! Views from the addresses of their first elements, for matrices that are no slices of Rust.

use super::dims::span;
use super::{MatrixView, MatrixViewMut};
use crate::error::Error;
use core::ptr::NonNull;

impl<'a> MatrixView<'a> {
    /// A view from the address of its first element, as a caller in another language has it.
    ///
    /// The view borrows the places of its elements and nothing between them: others may write to the gaps meanwhile, so
    /// that two matrices may lie interleaved in one allocation. An empty matrix has no places, and any address.
    ///
    /// ```
    /// use fused_dense::{Activation, Bias, Dense, MatrixView, MatrixViewMut};
    ///
    /// // Rows of three: two inputs, and behind them the place of the output.
    /// let mut rows = [1.0, 2.0, 0.0, 3.0, 4.0, 0.0];
    /// let first = rows.as_mut_ptr();
    /// // SAFETY: both views lie inside `rows`, share no place, and are gone before `rows` is used again.
    /// let (x, a) = unsafe {
    ///     (MatrixView::from_raw_parts(first, 2, 2, 3, 1)?, MatrixViewMut::from_raw_parts(first.add(2), 2, 1, 3, 1)?)
    /// };
    /// Dense::new(2, 1, Activation::Identity).forward(x, &[1.0, 1.0], Bias::None, a)?;
    /// assert_eq!(rows, [1.0, 2.0, 3.0, 3.0, 4.0, 7.0]);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ViewTooLarge`] where the elements span more memory than an allocation can have, [`Error::Address`] where
    /// the address is null or not that of an `f32`.
    ///
    /// # Safety
    /// For `'a`, which nothing but the caller limits, each place `first + i · row_stride + j · col_stride` of an element
    /// (`i < rows`, `j < cols`) must
    ///
    /// - lie in the allocation that `first` points into,
    /// - hold an initialised `f32` that `first` may read, from any thread,
    /// - be written to by nobody.
    pub unsafe fn from_raw_parts(
        first: *const f32,
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, Error> {
        let first = checked(first.cast_mut(), rows, cols, row_stride, col_stride)?;
        // SAFETY: the caller promises it for the places of a matrix that has elements, whose address is as it was.
        Ok(unsafe { Self::from_raw(first, rows, cols, row_stride, col_stride) })
    }
}

impl<'a> MatrixViewMut<'a> {
    /// A writable view of initialised memory from the address of its first element, as a caller in another language has
    /// it: [`MatrixView::from_raw_parts`] with an example.
    ///
    /// # Errors
    /// [`Error::ViewTooLarge`] where the elements span more memory than an allocation can have, [`Error::Address`] where
    /// the address is null or not that of an `f32`, [`Error::Overlapping`] where the strides do not keep the elements
    /// apart.
    ///
    /// # Safety
    /// For `'a`, which nothing but the caller limits, each place `first + i · row_stride + j · col_stride` of an element
    /// (`i < rows`, `j < cols`) must
    ///
    /// - lie in the allocation that `first` points into,
    /// - hold an initialised `f32` that `first` may read and write, from any thread,
    /// - be read and written by nobody else.
    pub unsafe fn from_raw_parts(
        first: *mut f32,
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, Error> {
        let first = checked(first, rows, cols, row_stride, col_stride)?;
        // SAFETY: the caller promises it for the places of a matrix that has elements, whose address is as it was; their
        // span is checked.
        Ok(unsafe { Self::from_raw(first, rows, cols, row_stride, col_stride)? })
    }

    /// As [`MatrixViewMut::from_raw_parts`], of memory that need not be initialised. As with
    /// [`MatrixViewMut::from_uninit`], a call leaves every element written when it returns `Ok`; a call that would read
    /// the memory, or might leave some of it unwritten, is refused.
    ///
    /// # Errors
    /// As [`MatrixViewMut::from_raw_parts`].
    ///
    /// # Safety
    /// As [`MatrixViewMut::from_raw_parts`], but that the memory need not be initialised.
    pub unsafe fn from_raw_parts_uninit(
        first: *mut f32,
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, Error> {
        // SAFETY: the caller promises it, but for initialised values, which a view with this mark is not read for.
        let view = unsafe { Self::from_raw_parts(first, rows, cols, row_stride, col_stride)? };
        Ok(Self { initialised: false, ..view })
    }
}

/// An address that a view with these strides can begin at; of an empty matrix, one that is not null.
fn checked(first: *mut f32, rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Result<*mut f32, Error> {
    let most = isize::MAX.unsigned_abs() / size_of::<f32>();
    match span(&[rows, cols], &[row_stride, col_stride]) {
        Some(0) => Ok(NonNull::dangling().as_ptr()),
        Some(len) if len <= most => match first.is_null() || !first.is_aligned() {
            true => Err(Error::Address { found: first.addr() }),
            false => Ok(first),
        },
        _ => Err(Error::ViewTooLarge { shape: (rows, cols), strides: (row_stride, col_stride) }),
    }
}
