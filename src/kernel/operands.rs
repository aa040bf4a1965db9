//! The parts of a kernel's call: matrices, the start of sums, and their finish.
//!
//! Elements are `f32`, but for a right operand, which may stand in memory as any [`Element`](crate::simd::Element).
//!
//! A kernel says of each matrix along which side it must be contiguous; that stride is 1 and not read.

/// A matrix to read: element `(i, j)` at `i · row_stride + j · col_stride`.
pub(crate) struct Source<E = f32> {
    pub(crate) ptr: *const E,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

/// A matrix to write: element `(i, j)` at `i · row_stride + j · col_stride`.
pub(crate) struct Sink<E = f32> {
    pub(crate) ptr: *mut E,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

// By hand: derived, they would ask that elements are `Copy`.
impl<E> Clone for Source<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Source<E> {}

impl<E> Clone for Sink<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Sink<E> {}

impl<E> Source<E> {
    /// Rows that are contiguous.
    #[inline(always)]
    pub(crate) fn rows(ptr: *const E, row_stride: usize) -> Self {
        Self { ptr, row_stride, col_stride: 1 }
    }

    /// Address of element `(i, j)`; outside the matrix, which may be empty, an address not to be used.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize, j: usize) -> *const E {
        self.ptr.wrapping_add(i * self.row_stride + j * self.col_stride)
    }

    /// The matrix from element `(i, j)` on.
    #[inline(always)]
    pub(crate) fn starting_at(self, i: usize, j: usize) -> Self {
        Self { ptr: self.at(i, j), ..self }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

impl<E> Sink<E> {
    /// Rows that are contiguous.
    #[inline(always)]
    pub(crate) fn rows(ptr: *mut E, row_stride: usize) -> Self {
        Self { ptr, row_stride, col_stride: 1 }
    }

    /// The matrix from element `(i, j)` on.
    #[inline(always)]
    pub(crate) fn starting_at(self, i: usize, j: usize) -> Self {
        Self { ptr: self.at(i, j), ..self }
    }

    /// The same matrix, to read.
    pub(crate) fn as_source(self) -> Source<E> {
        Source { ptr: self.ptr, row_stride: self.row_stride, col_stride: self.col_stride }
    }

    /// Address of element `(i, j)`; outside the matrix, which may be empty, an address not to be used.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize, j: usize) -> *mut E {
        self.ptr.wrapping_add(i * self.row_stride + j * self.col_stride)
    }

    pub(crate) fn transposed(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// The first value of a tile's accumulators.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// Zero.
    Zero,
    /// A bias for each column: as many elements as the tile has columns.
    Columns(*const f32),
    /// A bias for each row: as many elements as the tile has rows.
    Rows(*const f32),
}

impl Start {
    /// The same biases, seen from a tile `row` down and `col` to the right.
    pub(crate) fn at(self, row: usize, col: usize) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::Columns(bias) => Self::Columns(bias.wrapping_add(col)),
            Self::Rows(bias) => Self::Rows(bias.wrapping_add(row)),
        }
    }
}

/// The use of a block's sum `s`: `scale · s`, or `fma(weight, scale · s, c)`.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    pub(crate) scale: f32,
    /// The factor of the scaled sum where it is added.
    pub(crate) weight: f32,
    /// Whether to add to the output `c`; where not, the output is never read.
    pub(crate) add: bool,
}

impl Finish {
    /// `scale · s`
    #[inline(always)]
    pub(crate) fn overwrite(scale: f32) -> Self {
        Self { scale, weight: 1.0, add: false }
    }

    /// `fma(scale, s, c)`: a product with 1 is exact.
    #[inline(always)]
    pub(crate) fn add(scale: f32) -> Self {
        Self { scale: 1.0, weight: scale, add: true }
    }

    /// `fma(-rate, scale · s, c)`: gradient descent.
    #[inline(always)]
    pub(crate) fn descend(rate: f32, scale: f32) -> Self {
        Self { scale, weight: -rate, add: true }
    }

    /// Of the sum of a further block of the same product, which is added to those before.
    #[inline(always)]
    pub(crate) fn of_next_block(self) -> Self {
        if self.add { self } else { Self::add(self.scale) }
    }
}
