//! Packing: panels of the right operand in the order in which the micro-kernel reads them.
//!
//! ```text
//! right operand (depth × width, any strides)      panel (depth × padded width, row-major, zeros behind width)
//! ```

use super::Source;
use crate::simd::Simd;

/// One panel to pack: `depth × width` elements into rows of `row_len ≥ width`, zeros behind.
pub(crate) struct Panel {
    pub(crate) source: Source,
    pub(crate) depth: usize,
    pub(crate) width: usize,
    pub(crate) dst: *mut f32,
    pub(crate) row_len: usize,
}

/// Packs a panel of any strides.
///
/// # Safety
/// The source must be readable at all `depth × width` places, `dst` writable at `depth · row_len`; they do not overlap.
pub(crate) unsafe fn gather(panel: &Panel) {
    for p in 0..panel.depth {
        // SAFETY: p < depth and j < width are covered by the caller's promise, and row_len ≥ width.
        unsafe {
            let (src, dst) = (panel.source.at(p, 0), panel.dst.add(p * panel.row_len));
            if panel.source.col_stride == 1 {
                core::ptr::copy_nonoverlapping(src, dst, panel.width);
            } else {
                for j in 0..panel.width {
                    *dst.add(j) = *src.add(j * panel.source.col_stride);
                }
            }
            core::ptr::write_bytes(dst.add(panel.width), 0, panel.row_len - panel.width);
        }
    }
}

/// Packs a panel whose source is contiguous down the columns (`row_stride == 1`), block by transposed block.
///
/// # Safety
/// As [`gather`]; `source.row_stride == 1`.
#[inline(always)]
pub(crate) unsafe fn transpose<S: Simd>(simd: S, panel: &Panel) {
    let (whole_depth, whole_width) = (panel.depth / S::LANES * S::LANES, panel.width / S::LANES * S::LANES);
    let at = |p: usize, j: usize| Panel {
        // SAFETY: p ≤ depth and j ≤ width: inside the panel or one past it.
        source: Source { ptr: unsafe { panel.source.at(p, j) }, ..panel.source },
        // SAFETY: as above, row_len ≥ width.
        dst: unsafe { panel.dst.add(p * panel.row_len + j) },
        ..*panel
    };
    for j in (0..whole_width).step_by(S::LANES) {
        for p in (0..whole_depth).step_by(S::LANES) {
            let block = at(p, j);
            // SAFETY: a whole block lies inside both, and row p of the source's block is its column.
            unsafe { simd.transpose_block(block.source.ptr, panel.source.col_stride, block.dst, panel.row_len) };
        }
    }
    // SAFETY: the strip below the whole blocks, then the one to their right, padding included.
    unsafe {
        gather_edge(&Panel { depth: panel.depth - whole_depth, width: whole_width, ..at(whole_depth, 0) }, 0);
        gather_edge(&Panel { width: panel.width - whole_width, ..at(0, whole_width) }, panel.row_len - panel.width);
    }
}

/// Copies an edge of a panel, with `padding` zeros behind each row.
///
/// # Safety
/// As [`gather`], where each row has `width + padding` writable elements.
#[inline(always)]
unsafe fn gather_edge(panel: &Panel, padding: usize) {
    for p in 0..panel.depth {
        // SAFETY: covered by the caller's promise.
        unsafe {
            let (src, dst) = (panel.source.at(p, 0), panel.dst.add(p * panel.row_len));
            for j in 0..panel.width {
                *dst.add(j) = *src.add(j * panel.source.col_stride);
            }
            for j in panel.width..panel.width + padding {
                *dst.add(j) = 0.0;
            }
        }
    }
}
