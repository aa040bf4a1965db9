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
use super::pieces::Pieces;
use crate::isa::Kernels;
use crate::kernel::Source;
use crate::kernel::dot::DotTile;
use crate::kernel::pack::{Panel, gather};
use crate::plan::{self, Part};
use core::ops::Range;

/// Computes one worker's part of a product in the lanes order, whose right operand comes from the outer caches or not.
///
/// # Safety
/// As [`super::driver::run`].
#[inline(always)]
pub(super) unsafe fn run(kernels: &Kernels, gemm: &Gemm, is_far: bool, part: &Part, scratch: &mut [f32]) {
    let rows = Pieces::new(part.rows.clone(), plan::dot_rows(kernels, part.rows.len(), is_far), 1);
    let cols = Pieces::new(part.cols.clone(), plan::dot_cols(kernels, rows.longest(), is_far), 1);
    let (left_scratch, right_scratch) = scratch.split_at_mut(kernels.dot_rows() * gemm.k);
    let totals = gemm.totals();
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands; gathered groups have at most as
    // many rows of k as the scratch has room for.
    unsafe {
        let left = |rows: Range<usize>, scratch: &mut [f32]| Group::new(gemm.a, rows, gemm.k, scratch);
        let right = |cols: Range<usize>, scratch: &mut [f32]| Group::new(gemm.b.transposed(), cols, gemm.k, scratch);
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
        // Where a tile takes all rows, either order is the same, and the other loop is shorter.
        if part.cols.len() > part.rows.len() && part.rows.len() > rows.longest() {
            for cols in cols {
                let b = right(cols, right_scratch);
                for rows in rows.clone() {
                    tile(left(rows, left_scratch), b);
                }
            }
        } else {
            for rows in rows {
                let a = left(rows, left_scratch);
                for cols in cols.clone() {
                    tile(a, right(cols, right_scratch));
                }
            }
        }
        activate(kernels, gemm, part, scratch);
    }
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
    /// These rows of `terms` elements: in place where they are contiguous, else gathered.
    ///
    /// # Safety
    /// The operand must be readable at all these places.
    #[inline(always)]
    unsafe fn new(operand: Source, rows: Range<usize>, terms: usize, scratch: &mut [f32]) -> Self {
        let (start, len) = (rows.start, rows.len());
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
