//! Packing: operands in the order in which the micro-kernel reads them.
//!
//! ```text
//! right operand (depth × width, any strides)   panel (depth rows of width elements, zeros behind them)
//! left operand, rows contiguous down the sum   panel (depth rows of as many elements as the tile has rows)
//! ```

use super::Source;
use crate::simd::Simd;

/// One panel to pack: `depth × width` elements into rows `dst_stride` apart, with `padding` zeros behind each.
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    pub(crate) source: Source,
    pub(crate) depth: usize,
    pub(crate) width: usize,
    pub(crate) dst: *mut f32,
    pub(crate) dst_stride: usize,
    pub(crate) padding: usize,
}

impl Panel {
    /// The panel from row `p` and column `j` on, of another size.
    ///
    /// # Safety
    /// `(p, j)` must lie inside the panel or one past its end.
    unsafe fn block(&self, (p, j): (usize, usize), (depth, width): (usize, usize), padding: usize) -> Self {
        // SAFETY: the caller's place is inside both allocations.
        let (ptr, dst) = unsafe { (self.source.at(p, j), self.dst.add(p * self.dst_stride + j)) };
        Self { source: Source { ptr, ..self.source }, depth, width, dst, padding, ..*self }
    }
}

/// Packs a panel of any strides.
///
/// # Safety
/// The source must be readable at all `depth × width` places, `dst` writable at `depth` rows of `width + padding`; they
/// do not overlap.
pub(crate) unsafe fn gather(panel: &Panel) {
    for p in 0..panel.depth {
        // SAFETY: p < depth and j < width are covered by the caller's promise.
        unsafe {
            let (src, dst) = (panel.source.at(p, 0), panel.dst.add(p * panel.dst_stride));
            if panel.source.col_stride == 1 {
                core::ptr::copy_nonoverlapping(src, dst, panel.width);
            } else {
                for j in 0..panel.width {
                    *dst.add(j) = *src.add(j * panel.source.col_stride);
                }
            }
            core::ptr::write_bytes(dst.add(panel.width), 0, panel.padding);
        }
    }
}

/// Packs a panel whose source is contiguous down the columns (`row_stride == 1`), block by transposed block.
///
/// # Safety
/// As [`gather`]; `source.row_stride == 1`.
#[inline(always)]
pub(crate) unsafe fn transpose<S: Simd>(simd: S, panel: &Panel) {
    let whole_depth = panel.depth / S::LANES * S::LANES;
    let whole_width = panel.width / S::LANES * S::LANES;
    // SAFETY: whole blocks lie inside the panel, row p of the source's block being its column; then come the rows
    // below them, and the columns to their right with the padding.
    unsafe {
        let block = |p: usize, j: usize| {
            let block = panel.block((p, j), (S::LANES, S::LANES), 0);
            simd.transpose_block(block.source.ptr, panel.source.col_stride, block.dst, panel.dst_stride);
        };
        // Along the contiguous side of whichever matrix has its rows farther apart, so that its lines are done at once.
        if panel.source.col_stride > panel.dst_stride {
            for j in (0..whole_width).step_by(S::LANES) {
                for p in (0..whole_depth).step_by(S::LANES) {
                    block(p, j);
                }
            }
        } else {
            for p in (0..whole_depth).step_by(S::LANES) {
                for j in (0..whole_width).step_by(S::LANES) {
                    block(p, j);
                }
            }
        }
        gather(&panel.block((whole_depth, 0), (panel.depth - whole_depth, whole_width), 0));
        gather(&panel.block((0, whole_width), (panel.depth, panel.width - whole_width), panel.padding));
    }
}

/// Packs at most `LANES` columns that are contiguous (`col_stride == 1`), each row behind the other
/// (`dst_stride == width`): a tile's rows of the left operand where they lie contiguous down the sum.
///
/// # Safety
/// As [`gather`], and `LANES` more elements of `dst` must be writable behind the panel.
#[inline(always)]
pub(crate) unsafe fn left<S: Simd>(simd: S, panel: &Panel) {
    let tail = simd.tail(panel.width);
    for p in 0..panel.depth {
        // SAFETY: a whole vector reaches past its row into rows that are written after it, and at the end into the
        // extra elements.
        unsafe {
            let row = simd.load_tail(panel.source.ptr.add(p * panel.source.row_stride), tail);
            simd.store(panel.dst.add(p * panel.width), row);
        }
    }
}
