//! The loops of the lanes order.
//!
//! ```text
//! 1  for each group along the output's longer side, whose operand passes once
//! 2    for each group along the shorter one, whose operand stays near
//!        dot-product kernel over the whole sum
//!    the activation over all rows
//! ```

use super::Gemm;
use super::epilogue::activate;
use crate::isa::Kernels;
use crate::kernel::Source;
use crate::kernel::dot::{DotTile, FAR_MAX_COLS};
use crate::kernel::pack::{Panel, gather};
use crate::plan::Part;

/// Computes one worker's part of a product in the lanes order, whose right operand comes from the outer caches or not.
///
/// # Safety
/// As [`super::driver::run`].
#[inline(always)]
pub(super) unsafe fn run(kernels: &Kernels, gemm: &Gemm, is_far: bool, part: &Part, scratch: &mut [f32]) {
    let Part { rows, cols } = part;
    let height = tile_len(rows.len(), kernels.dot_rows());
    let most_cols = kernels.dot_cols(height);
    let width = tile_len(cols.len(), if is_far { most_cols.min(FAR_MAX_COLS) } else { most_cols });
    let (left_scratch, right_scratch) = scratch.split_at_mut(kernels.dot_rows() * gemm.k);
    let totals = gemm.totals();
    let (mut i, mut j) = (rows.start, cols.start);
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands; gathered groups have at most as
    // many rows of k as the scratch has room for.
    unsafe {
        let left = |i: usize, scratch: &mut [f32]| Group::new(gemm.a, i, height.min(rows.end - i), gemm.k, scratch);
        let right = |j: usize, scratch: &mut [f32]| {
            Group::new(gemm.b.transposed(), j, width.min(cols.end - j), gemm.k, scratch)
        };
        let tile = |a: Group, b: Group| {
            kernels.dot_tiles[a.len - 1][b.len - 1](&DotTile {
                depth: gemm.k,
                a: a.ptr,
                a_row_stride: a.row_stride,
                b: b.ptr,
                b_col_stride: b.row_stride,
                is_far,
                c: totals.at(a.start, b.start),
                c_row_stride: totals.row_stride,
                c_col_stride: totals.col_stride,
                start: gemm.start.at(a.start, b.start),
                scale: gemm.scale,
                add: gemm.add,
            });
        };
        if cols.len() > rows.len() {
            while j < cols.end {
                let b = right(j, right_scratch);
                i = rows.start;
                while i < rows.end {
                    tile(left(i, left_scratch), b);
                    i += height;
                }
                j += width;
            }
        } else {
            while i < rows.end {
                let a = left(i, left_scratch);
                j = cols.start;
                while j < cols.end {
                    tile(a, right(j, right_scratch));
                    j += width;
                }
                i += height;
            }
        }
        activate(kernels, gemm, part, scratch);
    }
}

/// Length of the tiles that a side is cut into: as few as there have to be, about equally long.
#[inline(always)]
fn tile_len(side: usize, most: usize) -> usize {
    // A single tile is the common case of small layers, to which a division is worth as much as a tile.
    if side <= most { side } else { side.div_ceil(side.div_ceil(most)) }
}

/// Rows of an operand that a tile takes, each contiguous along the sum.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    len: usize,
    ptr: *const f32,
    row_stride: usize,
}

impl Group {
    /// `len` rows of `terms` elements from row `start` on: in place where they are contiguous, else gathered.
    ///
    /// # Safety
    /// The operand must be readable at all these places.
    #[inline(always)]
    unsafe fn new(operand: Source, start: usize, len: usize, terms: usize, scratch: &mut [f32]) -> Self {
        let source = Source { ptr: operand.at(start, 0), ..operand };
        if source.col_stride == 1 {
            return Self { start, len, ptr: source.ptr, row_stride: source.row_stride };
        }
        // SAFETY: the caller's promise.
        Self { start, len, ptr: unsafe { gather_rows(source, len, terms, scratch) }, row_stride: terms }
    }
}

/// Copies `rows × terms` elements to the scratch, one row behind the other.
///
/// # Safety
/// The source must be readable at all these places.
#[inline(never)]
unsafe fn gather_rows(source: Source, rows: usize, terms: usize, scratch: &mut [f32]) -> *const f32 {
    let dst = &mut scratch[..rows * terms];
    let panel = Panel { source, depth: rows, width: terms, dst: dst.as_mut_ptr(), dst_stride: terms, padding: 0 };
    // SAFETY: the caller vouches for the source; the slice just taken has room for the panel.
    unsafe { gather(&panel) };
    dst.as_ptr()
}
