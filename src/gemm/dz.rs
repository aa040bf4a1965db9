//! The pass that makes `dz` and `db` of one slab of the batch, block by block of the sums over it, for operands of any strides.

use crate::isa::Kernels;
use crate::kernel::column_sums::SummedRows;
use crate::kernel::elementwise::DzRows;
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source};
use crate::summation::SUM_BLOCK;
use core::ops::Range;

/// `dz` (`rows × cols`) from upstream and saved values, and its column sums.
#[derive(Clone, Copy)]
pub(crate) struct DzPass {
    pub(crate) kernel: unsafe fn(&DzRows),
    pub(crate) rows: usize,
    pub(crate) upstream: Source,
    pub(crate) saved: Source,
    pub(crate) dz: Sink,
    /// The activation's parameter, if it has one.
    pub(crate) parameter: f32,
    pub(crate) db: Option<ColumnSums>,
    /// Whether rows without gaps are computed as one, and summed up behind it: at least one row, of at most four columns.
    pub(crate) joins_rows: bool,
}

/// Where the column sums of `dz` go: `db = scale · Σ dz`, or `db += scale · Σ dz`.
#[derive(Clone, Copy)]
pub(crate) struct ColumnSums {
    pub(crate) ptr: *mut f32,
    pub(crate) scale: f32,
    pub(crate) add: bool,
}

// SAFETY: workers share the sums to write disjoint columns of them.
unsafe impl Send for ColumnSums {}
// SAFETY: as above.
unsafe impl Sync for ColumnSums {}

impl ColumnSums {
    /// The sums from column `j` on.
    fn from(self, j: usize) -> Self {
        Self { ptr: self.ptr.wrapping_add(j), ..self }
    }
}

// SAFETY: workers share a pass to read the inputs and write disjoint columns of the outputs.
unsafe impl Send for DzPass {}
// SAFETY: as above.
unsafe impl Sync for DzPass {}

impl DzPass {
    /// Computes the given columns.
    ///
    /// # Safety
    /// All operands must be valid for `rows × cols`, outputs apart from inputs and from other workers' columns; the
    /// kernel must be one of `kernels`, a row that `isa::select` returned; `scratch` as the driver asks; `joins_rows` as the field
    /// says.
    #[inline(always)]
    pub(crate) unsafe fn run(self, kernels: &Kernels, cols: Range<usize>, scratch: &mut [f32]) {
        if cols.is_empty() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            if self.rows <= SUM_BLOCK && !self.joins_rows && self.has_contiguous_rows() {
                self.contiguous(cols);
            } else {
                self.run_apart(kernels, cols, scratch);
            }
        }
    }

    /// [`run`](Self::run) for all but one block of contiguous rows. By value, as [`driver::run_whole`](super::driver::run_whole)
    /// hands on products: the pass of a small layer stays out of memory.
    ///
    /// # Safety
    /// As [`DzPass::run`].
    #[inline(never)]
    unsafe fn run_apart(self, kernels: &Kernels, cols: Range<usize>, scratch: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.joins_rows && self.has_no_gaps(cols.len()) {
                self.joined(kernels)
            } else if self.rows <= SUM_BLOCK {
                self.run_block(kernels, cols, scratch)
            } else {
                self.blocks(kernels, cols, scratch)
            }
        }
    }

    #[inline(always)]
    fn has_contiguous_rows(&self) -> bool {
        self.upstream.col_stride == 1 && self.saved.col_stride == 1 && self.dz.col_stride == 1
    }

    /// Whether rows of so many columns follow each other without gaps in all operands.
    fn has_no_gaps(&self, cols: usize) -> bool {
        let [upstream, saved] = [self.upstream, self.saved].map(|source| (source.row_stride, source.col_stride));
        [upstream, saved, (self.dz.row_stride, self.dz.col_stride)] == [(cols, 1); 3]
    }

    /// Computes all rows as one, and the sums of their columns behind it.
    ///
    /// # Safety
    /// As [`DzPass::run`], for at least one row, without gaps, of at most four columns.
    #[inline(never)]
    unsafe fn joined(&self, kernels: &Kernels) {
        let (rows, cols) = (self.rows, self.dz.row_stride);
        // SAFETY: one row without gaps holds the elements of all, and their sums have at most four columns.
        unsafe {
            Self { rows: 1, db: None, ..*self }.contiguous(0..rows * cols);
            if let Some(ColumnSums { ptr, scale, add }) = self.db {
                (kernels.column_sums)(&SummedRows { rows, cols, dz: self.dz.ptr, db: ptr, scale, add });
            }
        }
    }

    /// Computes the given columns, block by block.
    ///
    /// # Safety
    /// As [`DzPass::run`].
    #[inline(never)]
    unsafe fn blocks(&self, kernels: &Kernels, cols: Range<usize>, scratch: &mut [f32]) {
        for start in (0..self.rows).step_by(SUM_BLOCK) {
            // SAFETY: the rows and columns lie inside the operands.
            unsafe {
                let block = Self {
                    rows: SUM_BLOCK.min(self.rows - start),
                    upstream: self.upstream.starting_at(start, 0),
                    saved: self.saved.starting_at(start, 0),
                    dz: self.dz.starting_at(start, 0),
                    db: self.db.map(|db| ColumnSums { add: db.add || start > 0, ..db }),
                    ..*self
                };
                block.run_block(kernels, cols.clone(), scratch);
            }
        }
    }

    /// Computes the given columns of one block.
    ///
    /// # Safety
    /// As [`DzPass::run`], for at most [`SUM_BLOCK`] rows.
    #[inline(always)]
    unsafe fn run_block(&self, kernels: &Kernels, cols: Range<usize>, scratch: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.has_contiguous_rows() {
                self.contiguous(cols);
            } else {
                self.strided(kernels, cols, scratch);
            }
        }
    }

    /// Computes the given columns of one block strip by strip in scratch memory.
    ///
    /// # Safety
    /// As [`DzPass::run_block`].
    #[inline(never)]
    unsafe fn strided(&self, kernels: &Kernels, cols: Range<usize>, scratch: &mut [f32]) {
        let width = kernels.nr() / 2;
        let (first, second) = scratch.split_at_mut(SUM_BLOCK * width);
        for j in cols.clone().step_by(width) {
            let strip = j..cols.end.min(j + width);
            let len = strip.len();
            // SAFETY: the columns lie inside the operands. A strip is at most half a panel wide, and two such strips of at
            // most SUM_BLOCK rows fit the scratch.
            unsafe {
                let collect = |from: &Source, to: &mut [f32]| {
                    let dst = Sink::rows(to.as_mut_ptr(), len);
                    let source = from.starting_at(0, j);
                    gather(&Panel { source, depth: self.rows, width: len, dst, padding: 0 });
                    dst.as_source()
                };
                let upstream = collect(&self.upstream, first);
                let saved = collect(&self.saved, second);
                // In place: each element is read before it is written.
                let dz = Sink::rows(first.as_mut_ptr(), len);
                let db = self.db.map(|db| db.from(j));
                Self { upstream: Source { ptr: dz.ptr, ..upstream }, saved, dz, db, ..*self }.contiguous(0..len);
                for i in 0..self.rows {
                    for (offset, j) in strip.clone().enumerate() {
                        *self.dz.at(i, j) = *dz.at(i, offset);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`DzPass::run`]; all operands have contiguous rows.
    #[inline(always)]
    unsafe fn contiguous(&self, cols: Range<usize>) {
        // SAFETY: the columns lie inside the operands, for which the caller vouches.
        unsafe {
            (self.kernel)(&DzRows {
                rows: self.rows,
                cols: cols.len(),
                upstream: self.upstream.at(0, cols.start),
                upstream_row_stride: self.upstream.row_stride,
                saved: self.saved.at(0, cols.start),
                saved_row_stride: self.saved.row_stride,
                dz: self.dz.at(0, cols.start),
                dz_row_stride: self.dz.row_stride,
                parameter: self.parameter,
                db: self.db.map(|db| db.from(cols.start).ptr),
                scale: self.db.map_or(1.0, |db| db.scale),
                add: self.db.is_some_and(|db| db.add),
            });
        }
    }
}
