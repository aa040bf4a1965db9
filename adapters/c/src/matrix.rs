//! Matrices of C as the views of fused-dense.

use crate::overlap::{Operands, Places};
use crate::pointer;
use crate::status::{Failure, fd_status::*};
use fused_dense::{MatrixView, MatrixViewMut};

/// A matrix to read: element (i, j) stands at `data[i * row_stride + j * col_stride]`. Strides count elements, and a stride of
/// 0 repeats a row or a column. An empty matrix may have any address.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_matrix {
    /// The first element.
    pub data: *const f32,
    pub rows: usize,
    pub cols: usize,
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one column to the next.
    pub col_stride: usize,
}

/// A matrix to write, laid out as an fd_matrix. No two of its elements share a place: one of the two strides reaches past the
/// whole extent of the other. What is only overwritten need not be initialised.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_matrix_mut {
    /// The first element.
    pub data: *mut f32,
    pub rows: usize,
    pub cols: usize,
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one column to the next.
    pub col_stride: usize,
}

/// The use that a call makes of an output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The old values are never read.
    Overwrite,
    /// The old values are read too.
    Change,
}

impl Operands {
    /// A matrix that the call reads.
    ///
    /// # Safety
    /// The pointer is null or valid, and so is every element of the matrix for reads, for `'a`.
    pub(crate) unsafe fn input<'a>(
        &mut self,
        name: &'static str,
        matrix: *const fd_matrix,
    ) -> Result<MatrixView<'a>, Failure> {
        pointer::check(matrix, name)?;
        // SAFETY: neither null nor misaligned; the caller vouches for the rest.
        let fd_matrix { data, rows, cols, row_stride, col_stride } = unsafe { *matrix };
        check_data(name, data, rows, cols)?;
        // SAFETY: the caller vouches for the elements, and for nobody writing to them.
        let view = unsafe { MatrixView::from_raw_parts(data, rows, cols, row_stride, col_stride) };
        let view = view.map_err(|error| Failure::from(error).in_argument(name))?;
        self.read(name, Places::matrix(data, [rows, cols], [row_stride, col_stride]))?;
        Ok(view)
    }

    /// As [`input`](Self::input), of a matrix that may be left out.
    ///
    /// # Safety
    /// As [`input`](Self::input).
    pub(crate) unsafe fn optional_input<'a>(
        &mut self,
        name: &'static str,
        matrix: *const fd_matrix,
    ) -> Result<Option<MatrixView<'a>>, Failure> {
        if matrix.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller vouches for it.
        unsafe { self.input(name, matrix) }.map(Some)
    }

    /// A matrix that the call writes to.
    ///
    /// # Safety
    /// The pointer is null or valid, and so is every element of the matrix for reads and writes, for `'a`; nobody else uses
    /// them.
    pub(crate) unsafe fn output<'a>(
        &mut self,
        name: &'static str,
        matrix: *const fd_matrix_mut,
        of: Use,
    ) -> Result<MatrixViewMut<'a>, Failure> {
        pointer::check(matrix, name)?;
        // SAFETY: neither null nor misaligned; the caller vouches for the rest.
        let fd_matrix_mut { data, rows, cols, row_stride, col_stride } = unsafe { *matrix };
        check_data(name, data, rows, cols)?;
        let view = match of {
            // SAFETY: the caller vouches for the elements, and for nobody else using them; `add` below refuses those that
            // another operand of the call has.
            Use::Overwrite => unsafe { MatrixViewMut::from_raw_parts_uninit(data, rows, cols, row_stride, col_stride) },
            // SAFETY: as above, and who has a call change elements has set them.
            Use::Change => unsafe { MatrixViewMut::from_raw_parts(data, rows, cols, row_stride, col_stride) },
        };
        let view = view.map_err(|error| Failure::from(error).in_argument(name))?;
        self.write(name, Places::matrix(data, [rows, cols], [row_stride, col_stride]))?;
        Ok(view)
    }

    /// As [`output`](Self::output), of a matrix that may be left out.
    ///
    /// # Safety
    /// As [`output`](Self::output).
    pub(crate) unsafe fn optional_output<'a>(
        &mut self,
        name: &'static str,
        matrix: *const fd_matrix_mut,
        of: Use,
    ) -> Result<Option<MatrixViewMut<'a>>, Failure> {
        if matrix.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller vouches for it.
        unsafe { self.output(name, matrix, of) }.map(Some)
    }

    /// An array that the call reads.
    ///
    /// # Safety
    /// As [`pointer::array`].
    pub(crate) unsafe fn input_array<'a, T>(
        &mut self,
        name: &'static str,
        data: *const T,
        len: usize,
    ) -> Result<&'a [T], Failure> {
        // SAFETY: the caller vouches for it.
        let array = unsafe { pointer::array(data, len, name)? };
        self.read(name, Places::array(data, len))?;
        Ok(array)
    }

    /// An array that the call writes to. It is made once it is known to lie apart from everything else.
    ///
    /// # Safety
    /// As [`pointer::array_mut`].
    pub(crate) unsafe fn output_array<'a, T>(
        &mut self,
        name: &'static str,
        data: *mut T,
        len: usize,
    ) -> Result<&'a mut [T], Failure> {
        pointer::check_array(data, len, name)?;
        self.write(name, Places::array(data, len))?;
        // SAFETY: the caller vouches for it.
        unsafe { pointer::array_mut(data, len, name) }
    }
}

fn check_data(name: &'static str, data: *const f32, rows: usize, cols: usize) -> Result<(), Failure> {
    if rows == 0 || cols == 0 {
        return Ok(());
    }
    pointer::check(data, format_args!("{name}.data"))
}

/// A fault of the two that exclude each other, or of both missing.
pub(crate) fn one_of<T>(names: &[&str], given: impl IntoIterator<Item = Option<T>>) -> Result<T, Failure> {
    let mut given = given.into_iter().flatten();
    let found = match (given.next(), given.next()) {
        (Some(one), None) => return Ok(one),
        (None, _) => "none",
        (Some(_), Some(_)) => "several",
    };
    Err(Failure::new(FD_ERROR_ARGUMENT, format!("expected one of {}, found {found}", names.join(", "))))
}
