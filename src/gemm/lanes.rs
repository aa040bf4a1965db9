//! The loops of the lanes order.
//!
//! ```text
//! 1  for each group of columns
//! 2    for each group of rows
//!        dot-product kernel over the whole sum
//!    the activation over all rows
//! ```

use super::Gemm;
use super::chunks::{Chunks, Run};
use super::epilogue::activate;
use crate::isa::{ColumnsKernel, Kernels};
use crate::kernel::dot::{DotColumns, DotTile};
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source, Start};
use crate::plan::{DotProducts, Part};
use core::ops::Range;

/// Computes a product in the lanes order, whole. A function of its own: with others inlined beside it, it would have their frame.
///
/// # Safety
/// As [`super::driver::run_whole`].
#[inline(never)]
pub(super) unsafe fn run_whole(kernels: &Kernels, gemm: Gemm<'_>, plan: &DotProducts, scratch: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { run(kernels, &gemm, plan, &Part { rows: 0..gemm.m, cols: 0..gemm.n }, scratch) };
}

/// Computes one worker's part of a product in the lanes order.
///
/// # Safety
/// As [`super::driver::run`].
#[inline(always)]
pub(super) unsafe fn run(kernels: &Kernels, gemm: &Gemm, plan: &DotProducts, part: &Part, scratch: &mut [f32]) {
    let is_row_of_tiles = part.rows.len() <= plan.rows;
    // A tile needs no cutting.
    let is_tile = is_row_of_tiles && part.cols.len() <= most_cols(kernels, plan, part.rows.len());
    // SAFETY: every tile lies inside the part, for which the caller vouches.
    unsafe {
        if is_tile {
            row_of_tiles(kernels, gemm, plan, &part.rows, core::iter::once(part.cols.clone()), scratch);
        } else {
            let (rows, cols) = cut(kernels, plan, part);
            match is_row_of_tiles {
                true => row_of_tiles(kernels, gemm, plan, &part.rows, cols, scratch),
                false if plan.rows_first => rows_of_tiles(kernels, gemm, plan, rows, &cols, scratch),
                false => grid_of_tiles(kernels, gemm, plan, &rows, &cols, scratch),
            }
        }
        activate(kernels, gemm, part, scratch);
    }
}

/// Computes a few rows by a kernel that goes over all columns, whole.
///
/// # Safety
/// As [`super::driver::run_whole`], for a product that [`columns`] takes.
#[inline(never)]
pub(super) unsafe fn run_columns(
    kernels: &Kernels,
    gemm: Gemm<'_>,
    kernel: ColumnsKernel,
    is_aligned: bool,
    scratch: &mut [f32],
) {
    // SAFETY: the caller's promise.
    unsafe { columns(kernels, &gemm, kernel, is_aligned, &Part { rows: 0..gemm.m, cols: 0..gemm.n }, scratch) };
}

/// Computes one worker's part of a few rows by a kernel that goes over all columns.
///
/// # Safety
/// As [`super::driver::run`], for a part of as many rows as the kernel has, whose operands lie along the sum.
#[inline(always)]
pub(super) unsafe fn columns(
    kernels: &Kernels,
    gemm: &Gemm,
    kernel: ColumnsKernel,
    is_aligned: bool,
    part: &Part,
    scratch: &mut [f32],
) {
    let (i, j) = (part.rows.start, part.cols.start);
    let (b, c, start) = (gemm.b.starting_at(0, j), gemm.totals().starting_at(i, j), gemm.start.at(i, j));
    let first = DotTile { b, c, start, ..call(gemm, part.rows.len(), true, is_aligned) };
    // SAFETY: the columns lie inside the part, where the caller vouches for all operands.
    unsafe {
        kernel(&DotColumns { first, cols: part.cols.len() });
        activate(kernels, gemm, part, scratch);
    }
}

/// How a part is cut into tiles.
#[inline(always)]
fn cut(kernels: &Kernels, plan: &DotProducts, part: &Part) -> (Chunks, Chunks) {
    let rows = Chunks::new(part.rows.clone(), plan.rows, 1);
    let cols = Chunks::new(part.cols.clone(), most_cols(kernels, plan, rows.longest()), 1);
    (rows, cols)
}

/// The lower a tile is, the wider it can be.
#[inline(always)]
fn most_cols(kernels: &Kernels, plan: &DotProducts, rows: usize) -> usize {
    kernels.dot_cols(rows).min(plan.cols)
}

/// Rows and columns of the largest tile of a part that is not empty.
pub(super) fn largest_tile(kernels: &Kernels, plan: &DotProducts, part: &Part) -> (usize, usize) {
    let (rows, cols) = cut(kernels, plan, part);
    (rows.longest(), cols.longest())
}

/// The call of a tile of so many rows, but for where the tile lies.
#[inline(always)]
fn call(gemm: &Gemm, rows: usize, is_far: bool, is_aligned: bool) -> DotTile {
    DotTile {
        depth: gemm.k,
        a: gemm.a,
        b: gemm.b,
        is_far,
        is_aligned,
        c: gemm.totals(),
        is_interleaved: is_interleaved(gemm, rows),
        start: gemm.start,
        finish: gemm.finish(0),
    }
}

/// Whether so many rows are all of an output which is a transposed matrix without gaps.
#[inline(always)]
fn is_interleaved(gemm: &Gemm, rows: usize) -> bool {
    let totals = gemm.totals();
    (totals.row_stride, totals.col_stride) == (1, rows) && rows == gemm.m && !matches!(gemm.start, Start::Columns(_))
}

/// Tiles side by side: small layers end here, with little around the kernels.
///
/// # Safety
/// As [`run`], for rows that make one tile, and columns inside the part.
#[inline(always)]
unsafe fn row_of_tiles(
    kernels: &Kernels,
    gemm: &Gemm,
    plan: &DotProducts,
    rows: &Range<usize>,
    cols: impl Iterator<Item = Range<usize>>,
    scratch: &mut [f32],
) {
    let (left_scratch, right_scratch) = scratch.split_at_mut(kernels.dot_rows() * gemm.k);
    let (totals, by_cols) = (gemm.totals(), kernels.dot_tiles[rows.len() - 1]);
    let mut call = call(gemm, rows.len(), plan.is_far, rows.len() <= plan.aligned_rows);
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands; gathered operands have at most as
    // many rows of k as the scratch has room for.
    unsafe {
        let left = gemm.a.starting_at(rows.start, 0);
        (call.a.ptr, call.a.row_stride) = contiguous_rows(plan.gathers_left, left, rows.len(), gemm.k, left_scratch);
        for cols in cols {
            let right = gemm.b.starting_at(0, cols.start).transposed();
            (call.b.ptr, call.b.col_stride) =
                contiguous_rows(plan.gathers_right, right, cols.len(), gemm.k, right_scratch);
            call.c.ptr = totals.at(rows.start, cols.start);
            call.start = gemm.start.at(rows.start, cols.start);
            by_cols[cols.len() - 1](&call);
        }
    }
}

/// Tiles side by side, one row of them after the other.
///
/// # Safety
/// As [`run`], for rows and columns inside the part.
#[inline(never)]
unsafe fn rows_of_tiles(
    kernels: &Kernels,
    gemm: &Gemm,
    plan: &DotProducts,
    rows: Chunks,
    cols: &Chunks,
    scratch: &mut [f32],
) {
    for rows in rows {
        // SAFETY: the caller's promise; the rows make one tile.
        unsafe { row_of_tiles(kernels, gemm, plan, &rows, cols.clone(), scratch) };
    }
}

/// Tiles side by side and below each other, by runs of one height and width.
///
/// # Safety
/// As [`run`], for rows and columns inside the part.
#[inline(never)]
unsafe fn grid_of_tiles(
    kernels: &Kernels,
    gemm: &Gemm,
    plan: &DotProducts,
    rows: &Chunks,
    cols: &Chunks,
    scratch: &mut [f32],
) {
    let (rows, cols) = (rows.runs(), cols.runs());
    for cols in cols.iter().filter(|run| run.count > 0) {
        // An operand from the outer caches is read once for tiles of all heights.
        let step = if plan.is_far { 1 } else { cols.count };
        for first in (0..cols.count).step_by(step) {
            let cols = Run { start: cols.start + first * cols.len, count: step, len: cols.len };
            for rows in rows.iter().filter(|run| run.count > 0) {
                // SAFETY: the caller's promise.
                unsafe { tiles(kernels, gemm, plan, rows, &cols, scratch) };
            }
        }
    }
}

/// Tiles of one height and width.
///
/// # Safety
/// As [`run`], for rows and columns inside the part.
#[inline(always)]
unsafe fn tiles(kernels: &Kernels, gemm: &Gemm, plan: &DotProducts, rows: &Run, cols: &Run, scratch: &mut [f32]) {
    let (left_scratch, right_scratch) = scratch.split_at_mut(kernels.dot_rows() * gemm.k);
    let (totals, kernel) = (gemm.totals(), kernels.dot_tiles[rows.len - 1][cols.len - 1]);
    let mut call = call(gemm, rows.len, plan.is_far, rows.len <= plan.aligned_rows);
    for j in cols.starts() {
        // SAFETY: as in `row_of_tiles`.
        unsafe {
            let right = gemm.b.starting_at(0, j).transposed();
            (call.b.ptr, call.b.col_stride) =
                contiguous_rows(plan.gathers_right, right, cols.len, gemm.k, right_scratch);
            for i in rows.starts() {
                let left = gemm.a.starting_at(i, 0);
                (call.a.ptr, call.a.row_stride) =
                    contiguous_rows(plan.gathers_left, left, rows.len, gemm.k, left_scratch);
                call.c.ptr = totals.at(i, j);
                call.start = gemm.start.at(i, j);
                kernel(&call);
            }
        }
    }
}

/// `rows × len` elements with contiguous rows: in place, or gathered. Returns pointer and row stride.
///
/// # Safety
/// The source must be readable at all these places.
#[inline(always)]
unsafe fn contiguous_rows(
    gathers: bool,
    source: Source,
    rows: usize,
    len: usize,
    scratch: &mut [f32],
) -> (*const f32, usize) {
    if !gathers {
        return (source.ptr, source.row_stride);
    }
    // SAFETY: the caller's promise.
    unsafe { gather_rows(source, rows, len, scratch) }
}

/// # Safety
/// As [`contiguous_rows`].
#[inline(never)]
unsafe fn gather_rows(source: Source, rows: usize, len: usize, scratch: &mut [f32]) -> (*const f32, usize) {
    let dst = &mut scratch[..rows * len];
    let dst = Sink::rows(dst.as_mut_ptr(), len);
    // SAFETY: the caller vouches for the source; the slice just taken has room for the panel.
    unsafe { gather(&Panel { source, depth: rows, width: len, dst, padding: 0 }) };
    (dst.ptr, len)
}
