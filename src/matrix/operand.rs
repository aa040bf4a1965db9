//! The arguments that take either a view or a plain slice.

use super::{Fault, MatrixView, MatrixViewMut};
use crate::error::{Error, Operand};
use crate::kernel::{Sink, Source};

/// An input: a plain contiguous row-major slice, or a [`MatrixView`].
///
/// Calls take `impl Into<Input>`, so that `&vec`, `&array`, a slice and a view all fit; with the feature `ndarray` its arrays too.
///
/// ```
/// use fused_dense::{Input, MatrixView};
///
/// let data = vec![1.0, 2.0, 3.0, 4.0];
/// assert!(matches!(Input::from(&data), Input::Slice(_)));
/// assert!(matches!(Input::from(MatrixView::row_major(&data, 2, 2)?), Input::View(_)));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Contiguous rows; the shape follows from the layer and the batch, and the length must fit it exactly.
    Slice(&'a [f32]),
    /// A view with its own shape and strides.
    View(MatrixView<'a>),
    /// An array that is no matrix: a call returns the error.
    Unfit(Unfit),
}

impl<'a> Input<'a> {
    /// Rows of `cols` elements that the input holds; `None` where `cols` is 0 and a slice cannot tell.
    #[inline(always)]
    pub(crate) fn batch(&self, operand: Operand, cols: usize) -> Result<Option<usize>, Error> {
        match self {
            Self::Slice(data) => whole_rows(operand, data.len(), cols),
            Self::View(view) => Ok(Some(view.rows)),
            Self::Unfit(unfit) => Err(unfit.error()),
        }
    }

    /// `count` rows of `cols` elements from row `start` on, which the input has.
    pub(crate) fn rows(self, start: usize, count: usize, cols: usize) -> Self {
        match self {
            Self::Slice(data) => Self::Slice(&data[start * cols..(start + count) * cols]),
            Self::View(view) => Self::View(view.rows_from(start, count)),
            Self::Unfit(unfit) => Self::Unfit(unfit),
        }
    }

    /// An array that is no matrix.
    #[cfg(feature = "ndarray")]
    pub(crate) fn unfit(fault: Fault) -> Self {
        Self::Unfit(Unfit { fault })
    }

    /// The elements, for a call that takes nothing but contiguous rows.
    pub(crate) fn as_slice(&self, operand: Operand) -> Result<&'a [f32], Error> {
        match self {
            Self::Slice(data) => Ok(data),
            Self::View(view) => view.as_slice().ok_or(Error::NotASlice { operand }),
            Self::Unfit(unfit) => Err(unfit.error()),
        }
    }

    /// The input as the kernels see it, once its shape is found to be `rows × cols`: readable, for `'a`, at the place of
    /// every element.
    #[inline(always)]
    pub(crate) fn source(&self, operand: Operand, rows: usize, cols: usize) -> Result<Source, Error> {
        match self {
            Self::Slice(data) => {
                check_len(operand, data.len(), rows, cols)?;
                Ok(Source { ptr: data.as_ptr(), row_stride: cols, col_stride: 1 })
            }
            Self::View(view) => {
                check_shape(operand, (rows, cols), (view.rows, view.cols))?;
                Ok(Source { ptr: view.first, row_stride: view.row_stride, col_stride: view.col_stride })
            }
            Self::Unfit(unfit) => Err(unfit.error()),
        }
    }
}

/// An array in the place of an operand that is no matrix: the call that it is given to returns the error, so that arrays convert
/// to operands by themselves.
///
/// ```
/// use fused_dense::{Error, Input};
///
/// fn columns(x: Input<'_>, inputs: usize) -> Result<usize, Error> {
///     match x {
///         Input::View(view) => Ok(view.cols()),
///         Input::Unfit(unfit) => Err(unfit.error()),
///         _ => Ok(inputs),
///     }
/// }
/// assert_eq!(columns(Input::from(&[1.0, 2.0]), 2), Ok(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    fault: Fault,
}

impl Unfit {
    /// The fault of the array.
    #[cold]
    #[must_use]
    pub fn error(&self) -> Error {
        self.fault.into()
    }
}

/// An output: a plain contiguous row-major slice, or a [`MatrixViewMut`].
///
/// Calls take `impl Into<Output>`, so that `&mut vec`, `&mut array`, a slice and a view all fit; with the feature `ndarray` its
/// arrays too.
///
/// ```
/// use fused_dense::{MatrixViewMut, Output};
///
/// let mut data = vec![0.0; 4];
/// assert!(matches!(Output::from(&mut data), Output::Slice(_)));
/// assert!(matches!(Output::from(MatrixViewMut::row_major(&mut data, 2, 2)?), Output::View(_)));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<'a> {
    /// Contiguous rows; the shape follows from the layer and the batch, and the length must fit it exactly.
    Slice(&'a mut [f32]),
    /// A view with its own shape and strides.
    View(MatrixViewMut<'a>),
    /// An array that is no matrix: a call returns the error.
    Unfit(Unfit),
}

impl<'a> Output<'a> {
    /// Rows of `cols` elements that the output holds; `None` where `cols` is 0 and a slice cannot tell.
    #[inline(always)]
    pub(crate) fn batch(&self, operand: Operand, cols: usize) -> Result<Option<usize>, Error> {
        match self {
            Self::Slice(data) => whole_rows(operand, data.len(), cols),
            Self::View(view) => Ok(Some(view.rows)),
            Self::Unfit(unfit) => Err(unfit.error()),
        }
    }

    /// An array that is no matrix.
    #[cfg(feature = "ndarray")]
    pub(crate) fn unfit(fault: Fault) -> Self {
        Self::Unfit(Unfit { fault })
    }

    /// Rows of `cols` elements that the output has room for; `None` where that says nothing.
    pub(crate) fn whole_rows(&self, cols: usize) -> Option<usize> {
        match self {
            Self::Slice(data) => data.len().checked_div(cols),
            Self::View(view) => Some(view.rows),
            Self::Unfit(_) => None,
        }
    }

    /// `count` rows of `cols` elements from row `start` on, which the output has.
    pub(crate) fn rows(&mut self, start: usize, count: usize, cols: usize) -> Output<'_> {
        match self {
            Self::Slice(data) => Output::Slice(&mut data[start * cols..(start + count) * cols]),
            Self::View(view) => Output::View(view.rows_from(start, count)),
            Self::Unfit(unfit) => Output::Unfit(*unfit),
        }
    }

    /// The elements, for a call that takes nothing but contiguous rows.
    pub(crate) fn as_slice_mut(&mut self, operand: Operand) -> Result<&mut [f32], Error> {
        match self {
            Self::Slice(data) => Ok(data),
            Self::View(view) => view.as_slice_mut().ok_or(Error::NotASlice { operand }),
            Self::Unfit(unfit) => Err(unfit.error()),
        }
    }

    /// The output as the kernels see it, once its shape is found to be `rows × cols`: writable, for `'a`, at the place of
    /// every element, of which no two are one. Memory that may be uninitialised is refused where it is to be
    /// read, or may be left as it is: `needs_values`.
    #[inline(always)]
    pub(crate) fn sink(
        &mut self,
        operand: Operand,
        rows: usize,
        cols: usize,
        needs_values: bool,
    ) -> Result<Sink, Error> {
        match self {
            Self::Slice(data) => {
                check_len(operand, data.len(), rows, cols)?;
                Ok(Sink { ptr: data.as_mut_ptr(), row_stride: cols, col_stride: 1 })
            }
            Self::View(view) => {
                check_shape(operand, (rows, cols), (view.rows, view.cols))?;
                if needs_values && !view.initialised {
                    return Err(Error::Uninitialised { operand });
                }
                Ok(Sink { ptr: view.first, row_stride: view.row_stride, col_stride: view.col_stride })
            }
            Self::Unfit(unfit) => Err(unfit.error()),
        }
    }
}

// The checks below stand in every call, and a small layer takes no longer than a few of them: they are inlined, and
// what only a failure needs is not.

#[inline(always)]
pub(crate) fn whole_rows(operand: Operand, len: usize, cols: usize) -> Result<Option<usize>, Error> {
    match len.checked_rem(cols) {
        None => check_len(operand, len, 0, cols).map(|()| None),
        Some(0) => Ok(Some(len / cols)),
        Some(_) => Err(Error::NotWholeRows { operand, row_len: cols, found: len }),
    }
}

#[inline(always)]
pub(crate) fn check_len(operand: Operand, found: usize, rows: usize, cols: usize) -> Result<(), Error> {
    let expected = rows.checked_mul(cols).ok_or(Error::TooLarge { operand })?;
    if found == expected { Ok(()) } else { Err(Error::Length { operand, expected, found }) }
}

#[inline(always)]
fn check_shape(operand: Operand, expected: (usize, usize), found: (usize, usize)) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Shape { operand, expected, found }) }
}

macro_rules! slices_are_operands {
    ($([$($generics:tt)*] $source:ty),+ $(,)?) => {$(
        impl<'a, $($generics)*> From<&'a $source> for Input<'a> {
            fn from(data: &'a $source) -> Self {
                Self::Slice(data)
            }
        }

        impl<'a, $($generics)*> From<&'a mut $source> for Output<'a> {
            fn from(data: &'a mut $source) -> Self {
                Self::Slice(data)
            }
        }
    )+};
}

slices_are_operands!([] [f32], [] Vec<f32>, [const N: usize] [f32; N]);

impl<'a> From<MatrixView<'a>> for Input<'a> {
    fn from(view: MatrixView<'a>) -> Self {
        Self::View(view)
    }
}

impl<'a> From<MatrixViewMut<'a>> for Output<'a> {
    fn from(view: MatrixViewMut<'a>) -> Self {
        Self::View(view)
    }
}
