//! Packing: operands in the order in which the micro-kernel reads them.
//!
//! ```text
//! right operand (depth × width, any strides)   panel (depth rows of width elements, padding behind them)
//! left operand, rows contiguous down the sum   panel (depth rows of as many elements as the tile has rows)
//! ```

use super::Source;
use crate::simd::Simd;
use core::mem::MaybeUninit;

/// One panel to pack: `depth × width` elements into rows `dst_stride` apart, with `padding` elements behind each, of
/// any value, that are written so as to be readable.
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
    // SAFETY: all places are multiples of LANES inside the panel.
    unsafe {
        // Along the contiguous side of whichever matrix has its rows farther apart, so that its lines are done at once.
        if panel.source.col_stride > panel.dst_stride {
            for j in (0..panel.width).step_by(S::LANES) {
                for p in (0..panel.depth).step_by(S::LANES) {
                    transpose_at(simd, panel, p, j);
                }
            }
        } else {
            for p in (0..panel.depth).step_by(S::LANES) {
                for j in (0..panel.width).step_by(S::LANES) {
                    transpose_at(simd, panel, p, j);
                }
            }
        }
    }
}

/// The block of [`transpose`] from row `p` and column `j` of the panel on.
///
/// # Safety
/// As [`transpose`], for a place inside the panel.
#[inline(always)]
unsafe fn transpose_at<S: Simd>(simd: S, panel: &Panel, p: usize, j: usize) {
    let (depth, width) = ((panel.depth - p).min(S::LANES), (panel.width - j).min(S::LANES));
    // SAFETY: the block lies inside the panel; its source's rows are the panel's columns.
    unsafe {
        if depth == S::LANES && width == S::LANES {
            let (src, dst) = (panel.source.at(p, j), panel.dst.add(p * panel.dst_stride + j));
            simd.transpose_block(src, panel.source.col_stride, dst, panel.dst_stride);
        } else {
            // Behind the last column stands the padding.
            let padding = if j + width == panel.width { panel.padding } else { 0 };
            transpose_part(simd, &panel.block((p, j), (depth, width), padding));
        }
    }
}

/// Most lanes of an instruction set.
const MAX_LANES: usize = 16;

/// Packs a panel of at most `LANES × LANES` elements as [`transpose`] does, through a whole block of its own.
///
/// # Safety
/// As [`transpose`]; `depth`, `width` and `width + padding` are at least 1 and at most `LANES`.
#[inline(always)]
unsafe fn transpose_part<S: Simd>(simd: S, panel: &Panel) {
    const { assert!(S::LANES <= MAX_LANES) };
    let mut source = MaybeUninit::<[f32; MAX_LANES * MAX_LANES]>::uninit();
    let mut block = MaybeUninit::<[f32; MAX_LANES * MAX_LANES]>::uninit();
    let (source, block) = (source.as_mut_ptr().cast::<f32>(), block.as_mut_ptr().cast::<f32>());
    let (depth, width) = (simd.tail(panel.depth), simd.tail(panel.width + panel.padding));
    // SAFETY: the panel's elements are the caller's promise; both blocks have room for LANES rows of LANES, of which all
    // are written before they are read.
    unsafe {
        for j in 0..S::LANES {
            // Behind the last column the last one again: cheaper than a branch, and padding may hold anything.
            let column = simd.load_tail(panel.source.at(0, j.min(panel.width - 1)), depth);
            simd.store(source.add(j * S::LANES), column);
        }
        simd.transpose_block(source, S::LANES, block, S::LANES);
        for p in 0..panel.depth {
            let row = simd.load(block.add(p * S::LANES));
            simd.store_tail(panel.dst.add(p * panel.dst_stride), row, width);
        }
    }
}

/// Packs columns that are contiguous (`col_stride == 1`), each row behind the other (`dst_stride == width`): a tile's
/// rows of the left operand where they lie contiguous down the sum.
///
/// # Safety
/// As [`gather`], for at least one column, and `LANES` more elements of `dst` must be writable behind the panel.
#[inline(always)]
pub(crate) unsafe fn left<S: Simd>(simd: S, panel: &Panel) {
    let last = (panel.width - 1) / S::LANES * S::LANES;
    let tail = simd.tail(panel.width - last);
    for p in 0..panel.depth {
        // SAFETY: the last vector, stored whole, reaches past its row into rows that are written after it, and at the
        // end into the extra elements.
        unsafe {
            let (src, dst) = (panel.source.at(p, 0), panel.dst.add(p * panel.width));
            for j in (0..last).step_by(S::LANES) {
                simd.store(dst.add(j), simd.load(src.add(j)));
            }
            simd.store(dst.add(last), simd.load_tail(src.add(last), tail));
        }
    }
}
