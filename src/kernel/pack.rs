//! Packing: operands in the order in which the micro-kernel reads them.
//!
//! ```text
//! right operand (depth × width, any strides)   panel (depth rows of width elements, padding behind them)
//! left operand, rows contiguous down the sum   panel (depth rows of as many elements as the tile has rows)
//! ```

use super::{Sink, Source};
use crate::simd::{Element, MAX_LANES, Simd};

/// One panel to pack: `depth × width` elements into contiguous rows, with `padding` elements behind each, of
/// any value, that are written so as to be readable. They are converted on the way.
#[derive(Clone, Copy)]
pub(crate) struct Panel<E = f32> {
    pub(crate) source: Source,
    pub(crate) depth: usize,
    pub(crate) width: usize,
    pub(crate) dst: Sink<E>,
    pub(crate) padding: usize,
}

impl<E: Element> Panel<E> {
    /// The panel from row `p` and column `j` on, of another size.
    ///
    /// # Safety
    /// `(p, j)` must lie inside the panel or one past its end.
    unsafe fn block(&self, (p, j): (usize, usize), (depth, width): (usize, usize), padding: usize) -> Self {
        // SAFETY: the caller's place is inside both allocations.
        let dst = unsafe { Sink { ptr: self.dst.ptr.add(p * self.dst.row_stride + j), ..self.dst } };
        Self { source: self.source.starting_at(p, j), depth, width, dst, padding }
    }
}

/// Packs a panel of any strides.
///
/// # Safety
/// The source must be readable at all `depth × width` places, `dst` writable at `depth` rows of `width + padding`; they
/// do not overlap.
pub(crate) unsafe fn gather<E: Element>(panel: &Panel<E>) {
    for p in 0..panel.depth {
        // SAFETY: p < depth and j < width are covered by the caller's promise.
        unsafe {
            let (src, dst) = (panel.source.at(p, 0), panel.dst.ptr.add(p * panel.dst.row_stride));
            if panel.source.col_stride == 1 {
                E::convert(src, dst, panel.width);
            } else {
                for j in 0..panel.width {
                    *dst.add(j) = E::from_f32(*src.add(j * panel.source.col_stride));
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
pub(crate) unsafe fn transpose<S: Simd, E: Element>(simd: S, panel: &Panel<E>) {
    // SAFETY: all places are multiples of LANES inside the panel.
    unsafe {
        // Along the contiguous side of whichever matrix has its rows farther apart, so that its lines are done at once.
        if panel.source.col_stride > panel.dst.row_stride {
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
unsafe fn transpose_at<S: Simd, E: Element>(simd: S, panel: &Panel<E>, p: usize, j: usize) {
    let (depth, width) = ((panel.depth - p).min(S::LANES), (panel.width - j).min(S::LANES));
    // Behind the last column stands the padding.
    let padding = if j + width == panel.width { panel.padding } else { 0 };
    // SAFETY: the block lies inside the panel.
    unsafe {
        let block = panel.block((p, j), (depth, width), padding);
        if depth == S::LANES && width == S::LANES {
            transpose_block(simd, &Panel { depth: S::LANES, width: S::LANES, padding: 0, ..block });
        } else {
            transpose_block(simd, &block);
        }
    }
}

/// Packs a panel of at most `LANES × LANES` elements as [`transpose`] does.
///
/// # Safety
/// As [`transpose`]; `depth`, `width` and `width + padding` are at least 1 and at most `LANES`.
#[inline(always)]
unsafe fn transpose_block<S: Simd, E: Element>(simd: S, panel: &Panel<E>) {
    const { assert!(S::LANES <= MAX_LANES) };
    let (depth, width) = (panel.depth, panel.width + panel.padding);
    let (depth_tail, width_tail) = (simd.tail(depth), simd.tail(width));
    let mut rows = [simd.splat(0.0); MAX_LANES];
    // SAFETY: the panel's elements are the caller's promise, as are `width` elements of each of its rows.
    unsafe {
        for (j, row) in rows.iter_mut().enumerate().take(S::LANES) {
            // Behind the last column the last one again: cheaper than a branch, and padding may hold anything.
            let column = panel.source.at(0, j.min(panel.width - 1));
            *row = if depth == S::LANES { simd.load(column) } else { simd.load_tail(column, depth_tail) };
        }
        for (p, row) in simd.transpose(rows).into_iter().enumerate().take(S::LANES) {
            if p < depth {
                let dst = panel.dst.ptr.add(p * panel.dst.row_stride);
                if width == S::LANES { E::store(simd, dst, row) } else { E::store_tail(simd, dst, row, width_tail) }
            }
        }
    }
}

/// Packs a panel whose source is contiguous along its rows (`col_stride == 1`): columns of the right operand, or a tile's
/// rows of the left one where they lie contiguous down the sum.
///
/// # Safety
/// As [`gather`], for at least one column, with rows at least `width + padding` apart. Rows are written in whole vectors as far as `depth` rows
/// reach.
#[inline(always)]
pub(crate) unsafe fn copy<S: Simd, E: Element>(simd: S, panel: &Panel<E>) {
    let last = (panel.width - 1) / S::LANES * S::LANES;
    let tail = simd.tail(panel.width - last);
    // Rows whose last vector, stored whole, would reach past the panel's end.
    let over = (last + S::LANES).saturating_sub(panel.dst.row_stride);
    let cut = if over == 0 { 0 } else { over.div_ceil(panel.dst.row_stride).min(panel.depth) };
    for p in 0..panel.depth {
        // SAFETY: the last vector, stored whole, covers the padding, or reaches past its row into rows that are written
        // after it; in the last rows it is cut to its row.
        unsafe {
            let (src, dst) = (panel.source.at(p, 0), panel.dst.ptr.add(p * panel.dst.row_stride));
            for j in (0..last).step_by(S::LANES) {
                E::store(simd, dst.add(j), simd.load(src.add(j)));
            }
            let value = simd.load_tail(src.add(last), tail);
            if p < panel.depth - cut {
                E::store(simd, dst.add(last), value);
            } else {
                E::store_tail(simd, dst.add(last), value, tail);
            }
        }
    }
}
