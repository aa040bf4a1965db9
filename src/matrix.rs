//! Strided matrix views; `operand` has the arguments that take either a view or a plain slice.

mod dims;
mod operand;
mod raw;

pub(crate) use dims::Fault;
#[cfg(feature = "ndarray")]
pub(crate) use dims::{Joined, join};
pub use operand::{Input, Output, Unfit};
pub(crate) use operand::{check_len, whole_rows};

use crate::error::Error;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use dims::span;

/// The strides that count. Along an axis of one element, or of an empty matrix, nothing follows, and whatever its stride is
/// said to be cannot show: it becomes what it is where rows stand one behind the other, as in a slice.
fn counting(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> (usize, usize) {
    let col_stride = if cols <= 1 || rows == 0 { 1 } else { col_stride };
    // No more than twice the span of a row, which fits memory.
    let row_stride = if rows <= 1 || cols == 0 { cols * col_stride } else { row_stride };
    (row_stride, col_stride)
}

fn check_bounds(len: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Result<(), Error> {
    let expected = span(&[rows, cols], &[row_stride, col_stride]);
    match expected {
        Some(needed) if needed <= len => Ok(()),
        _ => Err(Error::OutOfBounds { expected, found: len }),
    }
}

/// A read-only `rows × cols` matrix over a slice: element `(i, j)` stands at `i · row_stride + j · col_stride`.
///
/// Strides count elements. A stride of 0 repeats a row or column. Negative strides cannot be expressed: reverse the
/// data instead. The row stride of a single row, and the column stride of a single column, may be any number: nothing
/// stands there, and views that are the same memory give the same results.
///
/// ```
/// use fused_dense::MatrixView;
/// let features_by_samples = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 features × 3 samples
/// let samples = MatrixView::new(&features_by_samples, 3, 2, 1, 3)?; // the same memory, batch-major
/// assert_eq!(samples.get(2, 1), Some(6.0));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a> {
    /// Valid for reads, for `'a`, at the place of every element. A slice would claim the gaps between them too, where
    /// another view may be writing.
    first: *const f32,
    data: PhantomData<&'a [f32]>,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

// SAFETY: the view is a shared borrow of `f32`s.
unsafe impl Send for MatrixView<'_> {}
// SAFETY: as above.
unsafe impl Sync for MatrixView<'_> {}

impl<'a> MatrixView<'a> {
    /// A view with both strides given.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] where the last element would lie outside `data`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Result<Self, Error> {
        check_bounds(data.len(), rows, cols, row_stride, col_stride)?;
        // SAFETY: every element lies inside `data`, which is borrowed for `'a`.
        Ok(unsafe { Self::from_raw(data.as_ptr(), rows, cols, row_stride, col_stride) })
    }

    /// A view from the address of its first element.
    ///
    /// # Safety
    /// Every element's place must be valid for reads, and nobody may write there, for `'a`.
    pub(crate) unsafe fn from_raw(
        first: *const f32,
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Self {
        let (row_stride, col_stride) = counting(rows, cols, row_stride, col_stride);
        Self { first, data: PhantomData, rows, cols, row_stride, col_stride }
    }

    /// A contiguous row-major view.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] where `data` has fewer than `rows · cols` elements.
    pub fn row_major(data: &'a [f32], rows: usize, cols: usize) -> Result<Self, Error> {
        Self::new(data, rows, cols, cols, 1)
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        let (rows, cols) = (self.cols, self.rows);
        let (row_stride, col_stride) = counting(rows, cols, self.col_stride, self.row_stride);
        Self { rows, cols, row_stride, col_stride, ..self }
    }

    /// `count` rows from `start` on, which the view has.
    pub(crate) fn rows_from(self, start: usize, count: usize) -> Self {
        debug_assert!(start + count <= self.rows);
        let (row_stride, col_stride) = counting(count, self.cols, self.row_stride, self.col_stride);
        let first = self.first.wrapping_add(start * self.row_stride);
        Self { first, rows: count, row_stride, col_stride, ..self }
    }

    /// The elements, where they stand one behind the other.
    fn as_slice(&self) -> Option<&'a [f32]> {
        (self.row_stride == self.cols && self.col_stride == 1).then(|| {
            // SAFETY: the places of the elements, which are valid for reads for `'a`, are all of these, and memory has
            // them, so that their number does not overflow. Of an empty matrix there are none.
            unsafe { core::slice::from_raw_parts(self.first, self.rows * self.cols) }
        })
    }

    /// Element `(row, col)`, or `None` outside the matrix.
    pub fn get(&self, row: usize, col: usize) -> Option<f32> {
        (row < self.rows && col < self.cols).then(|| {
            // SAFETY: the element is inside the matrix, so that its place is valid for reads.
            unsafe { *self.first.add(row * self.row_stride + col * self.col_stride) }
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from one row to the next; of a single row, or none, as if rows stood one behind the other.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Elements from one column to the next; of a single column, or none, 1.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }
}

/// A writable `rows × cols` matrix over a slice: element `(i, j)` stands at `i · row_stride + j · col_stride`.
///
/// No two elements share a place: of the two strides, one must reach past the whole extent of the other.
///
/// ```
/// use fused_dense::{Activation, Bias, Dense, MatrixView, MatrixViewMut};
///
/// let w_by_inputs = [1.0, -1.0, 2.0, -2.0]; // [inputs, outputs]
/// let w = MatrixView::row_major(&w_by_inputs, 2, 2)?.transposed();
/// let mut wide = [9.0; 6]; // the outputs go to the first two columns of rows of three
/// let a = MatrixViewMut::new(&mut wide, 2, 2, 3, 1)?;
/// Dense::new(2, 2, Activation::Identity).forward(&[1.0, 0.0, 0.0, 1.0], w, Bias::None, a)?;
/// assert_eq!(wide, [1.0, -1.0, 9.0, 2.0, -2.0, 9.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct MatrixViewMut<'a> {
    /// Valid for writes, for `'a`, at the place of every element, and there alone, as [`MatrixView`]'s.
    first: *mut f32,
    data: PhantomData<&'a mut [f32]>,
    initialised: bool,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

// SAFETY: the view is an exclusive borrow of `f32`s.
unsafe impl Send for MatrixViewMut<'_> {}
// SAFETY: as above.
unsafe impl Sync for MatrixViewMut<'_> {}

impl<'a> MatrixViewMut<'a> {
    /// A view with both strides given.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] where the last element would lie outside `data`; [`Error::Overlapping`] where the
    /// strides do not keep the elements apart.
    pub fn new(
        data: &'a mut [f32],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, Error> {
        check_bounds(data.len(), rows, cols, row_stride, col_stride)?;
        // SAFETY: every element lies inside `data`, which is initialised and exclusively borrowed for `'a`.
        Ok(unsafe { Self::from_raw(data.as_mut_ptr(), rows, cols, row_stride, col_stride)? })
    }

    /// A contiguous row-major view.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] where `data` has fewer than `rows · cols` elements.
    pub fn row_major(data: &'a mut [f32], rows: usize, cols: usize) -> Result<Self, Error> {
        Self::new(data, rows, cols, cols, 1)
    }

    /// A view of memory that need not be initialised: a call that overwrites it (all do, unless told to add) leaves
    /// every element of the view written when it returns `Ok`. [Room for partial sums](crate::Update::partial_sums), which may
    /// stay unwritten, is refused.
    ///
    /// # Errors
    /// As [`MatrixViewMut::new`].
    pub fn from_uninit(
        data: &'a mut [MaybeUninit<f32>],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, Error> {
        check_bounds(data.len(), rows, cols, row_stride, col_stride)?;
        // SAFETY: every element lies inside `data`, which is exclusively borrowed for `'a`; it is marked as uninitialised.
        let view = unsafe { Self::from_raw(data.as_mut_ptr().cast(), rows, cols, row_stride, col_stride)? };
        Ok(Self { initialised: false, ..view })
    }

    /// A view of initialised memory from the address of its first element.
    ///
    /// # Errors
    /// [`Fault::Overlapping`] where the strides do not keep the elements apart.
    ///
    /// # Safety
    /// Every element's place must be valid for writes, and nobody else may use it, for `'a`; the span of all must not
    /// overflow `usize`.
    pub(crate) unsafe fn from_raw(
        first: *mut f32,
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, Fault> {
        let are_apart = |outer: usize, outer_stride: usize, inner: usize, inner_stride: usize| {
            // `span` of the inner axis alone cannot overflow: it is at most the checked span of both.
            (inner == 1 || inner_stride > 0) && (outer == 1 || outer_stride > (inner - 1) * inner_stride)
        };
        if rows == 0
            || cols == 0
            || are_apart(rows, row_stride, cols, col_stride)
            || are_apart(cols, col_stride, rows, row_stride)
        {
            let (row_stride, col_stride) = counting(rows, cols, row_stride, col_stride);
            Ok(Self { first, data: PhantomData, initialised: true, rows, cols, row_stride, col_stride })
        } else {
            Err(Fault::Overlapping { shape: (rows, cols), strides: (row_stride, col_stride) })
        }
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        let (rows, cols) = (self.cols, self.rows);
        let (row_stride, col_stride) = counting(rows, cols, self.col_stride, self.row_stride);
        Self { rows, cols, row_stride, col_stride, ..self }
    }

    /// `count` rows from `start` on, which the view has.
    fn rows_from(&mut self, start: usize, count: usize) -> MatrixViewMut<'_> {
        debug_assert!(start + count <= self.rows);
        let (row_stride, col_stride) = counting(count, self.cols, self.row_stride, self.col_stride);
        let first = self.first.wrapping_add(start * self.row_stride);
        MatrixViewMut { first, rows: count, row_stride, col_stride, ..*self }
    }

    /// The elements, where they stand one behind the other and are initialised.
    fn as_slice_mut(&mut self) -> Option<&mut [f32]> {
        (self.initialised && self.row_stride == self.cols && self.col_stride == 1).then(|| {
            // SAFETY: the places of the elements, which are initialised and the view's alone for `'a`, are all of these,
            // and memory has them, so that their number does not overflow. Of an empty matrix there are none.
            unsafe { core::slice::from_raw_parts_mut(self.first, self.rows * self.cols) }
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
}
