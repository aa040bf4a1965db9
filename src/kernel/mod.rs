//! The kernels, written once over [`Simd`](crate::simd::Simd): `chain` and `dot` compute one tile of a matrix product
//! in the two orders of summation, `outer` a product whose sums have one term, `pack` brings the right operand into the order in which it is read, `elementwise`
//! holds the activation behind a tile and `dz` with its column sums.
//!
//! `build.rs` instantiates them for every instruction set (`isa`); nothing here decides or loops over tiles.

pub(crate) mod chain;
pub(crate) mod dot;
pub(crate) mod elementwise;
pub(crate) mod outer;
pub(crate) mod pack;

/// A matrix to read: element `(i, j)` at `i · row_stride + j · col_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) ptr: *const f32,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

/// A matrix to write: element `(i, j)` at `i · row_stride + j · col_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Sink {
    pub(crate) ptr: *mut f32,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl Source {
    /// # Safety
    /// `(i, j)` must lie inside the matrix or one past its end.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, i: usize, j: usize) -> *const f32 {
        // SAFETY: the caller's place is inside the allocation.
        unsafe { self.ptr.add(i * self.row_stride + j * self.col_stride) }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

impl Sink {
    /// The same matrix, to read.
    pub(crate) fn as_source(self) -> Source {
        Source { ptr: self.ptr, row_stride: self.row_stride, col_stride: self.col_stride }
    }

    /// # Safety
    /// `(i, j)` must lie inside the matrix or one past its end.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, i: usize, j: usize) -> *mut f32 {
        // SAFETY: the caller's place is inside the allocation.
        unsafe { self.ptr.add(i * self.row_stride + j * self.col_stride) }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}
