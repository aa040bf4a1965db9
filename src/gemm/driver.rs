//! The loops around the micro-kernels.
//!
//! ```text
//! chain:  see `chain`
//! lanes:  see `lanes`
//!
//! outer products, and the chain order for one row: one kernel each
//! ```

use super::epilogue::{activate, collect};
use super::pieces::Pieces;
use super::update::Parameter;
use super::{Gemm, chain, lanes};
use crate::isa::Kernels;
use crate::kernel::Sink;
use crate::kernel::axpyf::{self, Axpyf};
use crate::kernel::chain::{LINE, Start, Tiles};
use crate::kernel::narrow::Narrow;
use crate::kernel::outer::Outer;
use crate::kernel::pack::Panel;
use crate::plan::{self, Part, PlainTiles, Routine, Strategy};
use crate::summation::{SUM_BLOCK, Summation};

/// Elements of scratch that one of so many workers needs for its parts of any product with no dimension but the batch above
/// `longest`, and samples taken `slab_rows` at a time.
///
/// That is a strip and the packed left operand of a part's rows. The more workers, the fewer rows: of a square output cut
/// for `p` of them, one part in `√p`. Where a part has more, [`chain::run`] takes them in pieces, which costs little: each
/// piece packs the right operand anew, so a hundred rows pay for it. A worker on its own gets the pieces of all.
///
/// `None` where the number overflows.
pub(crate) fn scratch_len(kernels: &Kernels, longest: usize, slab_rows: usize, workers: usize) -> Option<usize> {
    // Sixteenths, so that two or three workers do not count as one or two.
    let root = workers.checked_mul(16 * 16)?.isqrt();
    let rows = longest.checked_mul(16)?.div_ceil(root);
    // A row at least, however long its sum.
    let least = longest.max(slab_rows).checked_add(kernels.nr())?;
    let rows = rows.checked_mul(slab_rows + kernels.nr())?.max(least);
    let chain = rows.checked_add(SUM_BLOCK * kernels.nr() + kernels.lanes)?;
    let dot = longest.checked_mul(kernels.dot_rows() + kernels.dot_cols(1))?;
    Some(chain.max(dot))
}

/// Rows of an outer product by which parameters are updated at a time.
const OUTER_ROWS: usize = 8;

/// Plans and computes a product, whole.
///
/// # Safety
/// As [`run`], for all of the output.
pub(crate) unsafe fn run_whole(kernels: &Kernels, gemm: &Gemm, summation: Summation, scratch: &mut [f32]) {
    if gemm.m == 0 || gemm.n == 0 {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        if summation == Summation::Lanes {
            lanes::run_whole(kernels, gemm, scratch);
        } else if let Some(plain) = plan::plain_tiles(kernels, &gemm.shape()) {
            plain_tiles(kernels, gemm, plain, scratch);
        } else {
            chain_whole(kernels, gemm, summation, scratch);
        }
    }
}

/// A product in the chain order that needs a strategy, or two, for columns each.
///
/// # Safety
/// As [`run_whole`].
#[inline(never)]
unsafe fn chain_whole(kernels: &Kernels, gemm: &Gemm, summation: Summation, scratch: &mut [f32]) {
    let shape = gemm.shape();
    let behind = plan::split_cols(kernels, &shape);
    // SAFETY: the caller's promise, for some columns each; transposed, a product is the same.
    unsafe {
        if behind > 0 {
            let first = gemm.n - behind;
            run_whole(kernels, &gemm.of_cols(0..first), summation, scratch);
            return run_whole(kernels, &gemm.of_cols(first..gemm.n), summation, scratch);
        }
        let strategy = plan::strategy(kernels, &shape, summation);
        if strategy.transposed {
            let part = Part { rows: 0..gemm.n, cols: 0..gemm.m };
            run(kernels, &gemm.transposed(), &strategy, &part, scratch);
        } else {
            run(kernels, gemm, &strategy, &Part { rows: 0..gemm.m, cols: 0..gemm.n }, scratch);
        }
    }
}

/// A product of a call or two: so little work that the loops would take as long.
///
/// # Safety
/// As [`run_whole`], for a product for which [`plan::plain_tiles`] gives these tiles.
unsafe fn plain_tiles(kernels: &Kernels, gemm: &Gemm, plain: PlainTiles, scratch: &mut [f32]) {
    let Gemm { m, n, k, a, b, .. } = *gemm;
    let PlainTiles { vectors, height } = plain;
    let totals = gemm.totals();
    let width = vectors * kernels.lanes;
    // Packed panels are read by whole vectors; in place, only those of whole vectors need no mask.
    let table = if n >= width || b.col_stride != 1 { kernels.padded_tiles } else { kernels.tiles };
    let mut call = Tiles {
        panels: 1,
        tiles: if height == m { 1 } else { m / height },
        depth: k,
        a: a.ptr,
        a_row_stride: a.row_stride,
        a_depth_stride: a.col_stride,
        a_tile_stride: height * a.row_stride,
        a_is_far: false,
        a_line_stride: 0,
        ahead: &[],
        b: b.ptr,
        b_depth_stride: b.row_stride,
        c: totals.ptr,
        c_row_stride: totals.row_stride,
        tail: kernels.lanes - width.saturating_sub(n),
        start: gemm.start,
        scale: gemm.scale,
        add: gemm.add,
    };
    // SAFETY: the caller's promise; the plan has chosen tiles that there are, and the scratch has room for SUM_BLOCK rows
    // of a panel.
    unsafe {
        if b.col_stride != 1 {
            let (dst, padding) = (scratch.as_mut_ptr(), width - n);
            (kernels.transpose_pack)(&Panel { source: b, depth: k, width: n, dst, dst_stride: width, padding });
            (call.b, call.b_depth_stride) = (dst, width);
        }
        let mut col = width;
        if n > width {
            call.panels = n / width;
            col = call.panels * width;
        }
        table[vectors - 1][height - 1](&call);
        if col < n {
            let vectors = kernels.vectors(n - col);
            let tail = n - col + kernels.lanes - vectors * kernels.lanes;
            let table = if tail == kernels.lanes { kernels.padded_tiles } else { kernels.tiles };
            let (c, start) = (totals.at(0, col), gemm.start.at(0, col));
            table[vectors - 1][height - 1](&Tiles { panels: 1, b: b.at(0, col), c, tail, start, ..call });
        }
        activate(kernels, gemm, &Part { rows: 0..m, cols: 0..n }, &mut []);
    }
}

/// Computes one worker's part of a product.
///
/// # Safety
/// - `kernels` is a row that `isa::select` returned;
/// - the operands are readable, the outputs writable (with `add` readable) at all their elements inside the part, and
///   no output overlaps an input or another worker's part; where parameters are updated, they and their velocities are
///   the outputs, and `c` is an input (with `add`) or not used;
/// - `strategy` was made for this problem, and `part` lies inside it (of the transposed problem, where the strategy
///   says so);
/// - `scratch` has at least [`scratch_len`] elements.
pub(crate) unsafe fn run(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    if part.rows.is_empty() || part.cols.is_empty() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        match strategy.summation {
            Summation::Lanes => lanes::run(kernels, gemm, strategy.is_far, part, scratch),
            Summation::Auto | Summation::Chain => match (strategy.routine, gemm.update) {
                (Routine::Tiles, _) => chain::run(kernels, gemm, strategy, part, scratch),
                (Routine::Narrow, _) => narrow(kernels, gemm, part),
                (Routine::Axpyf, _) => row(kernels, gemm, strategy, part, scratch),
                (Routine::Outer, None) => {
                    let to = Sink { ptr: gemm.c.at(part.rows.start, part.cols.start), ..gemm.c };
                    outer(kernels, gemm, part, to);
                }
                (Routine::Outer, Some(update)) => outer_update(kernels, gemm, &update.parameter(), part, scratch),
            },
        }
    }
}

/// Columns of a row whose sums stay in the first-level cache.
const ROW_MAX_COLS: usize = 4096;

/// The chain order for one row, by fused axpys.
///
/// # Safety
/// As [`run`]; the part has one row, and the columns of output and right operand are contiguous.
unsafe fn row(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    let i = part.rows.start;
    let totals = gemm.totals();
    for cols in Pieces::new(part.cols.clone(), scratch.len().min(ROW_MAX_COLS), 1) {
        for start in (0..gemm.k).step_by(SUM_BLOCK) {
            // SAFETY: the terms lie inside the sum and the columns inside the part, where the caller vouches for all
            // operands; the scratch has room for one element a column.
            unsafe {
                (kernels.axpyf)(&Axpyf {
                    depth: SUM_BLOCK.min(gemm.k - start),
                    group: if strategy.is_far { axpyf::TERMS } else { SUM_BLOCK },
                    cols: cols.len(),
                    a: gemm.a.at(i, start),
                    a_stride: gemm.a.col_stride,
                    b: gemm.b.at(start, cols.start),
                    b_row_stride: gemm.b.row_stride,
                    sums: scratch.as_mut_ptr(),
                    c: totals.at(i, cols.start),
                    start: if start == 0 { gemm.start.at(i, cols.start) } else { Start::Zero },
                    scale: gemm.scale,
                    add: gemm.add || start > 0,
                });
            }
        }
        // SAFETY: as above; these columns' totals are complete.
        unsafe { activate(kernels, gemm, &Part { rows: i..i + 1, cols }, &mut []) };
    }
}

/// The chain order for few columns.
///
/// # Safety
/// As [`run`]; the strategy is one for few columns.
unsafe fn narrow(kernels: &Kernels, gemm: &Gemm, part: &Part) {
    let Some(kernel) = kernels.narrow else { return };
    let (i, j) = (part.rows.start, part.cols.start);
    for start in (0..gemm.k).step_by(SUM_BLOCK) {
        // SAFETY: the caller's promise; the terms lie inside the sum.
        unsafe {
            kernel(&Narrow {
                rows: part.rows.len(),
                cols: part.cols.len(),
                depth: SUM_BLOCK.min(gemm.k - start),
                a: gemm.a.at(i, start),
                a_row_stride: gemm.a.row_stride,
                b: gemm.b.at(start, j),
                b_depth_stride: gemm.b.row_stride,
                c: gemm.c.at(i, j),
                c_row_stride: gemm.c.row_stride,
                scale: gemm.scale,
                add: gemm.add || start > 0,
            });
        }
    }
}

/// The outer product of a part's rows and columns, in the corner of `to`.
///
/// # Safety
/// As [`run`], where `to` is writable at as many rows and columns, which are contiguous.
#[inline(always)]
unsafe fn outer(kernels: &Kernels, gemm: &Gemm, part: &Part, to: Sink) {
    // SAFETY: the caller's promise.
    unsafe {
        (kernels.outer)(&Outer {
            rows: part.rows.len(),
            cols: part.cols.len(),
            a: gemm.a.at(part.rows.start, 0),
            depth: gemm.k,
            a_row_stride: gemm.a.row_stride,
            a_depth_stride: gemm.a.col_stride,
            b: gemm.b.at(0, part.cols.start),
            b_depth_stride: gemm.b.row_stride,
            c: to.ptr,
            c_row_stride: to.row_stride,
            scale: gemm.scale,
            add: gemm.add,
        });
    }
}

/// Updates parameters by an outer product, piece by piece in long stretches of few rows.
///
/// # Safety
/// As [`run`].
unsafe fn outer_update(kernels: &Kernels, gemm: &Gemm, parameter: &Parameter, part: &Part, scratch: &mut [f32]) {
    // The scratch holds at least SUM_BLOCK terms of a panel.
    let most_cols = SUM_BLOCK * kernels.nr() / OUTER_ROWS;
    for rows in Pieces::new(part.rows.clone(), OUTER_ROWS, 1) {
        for cols in Pieces::new(part.cols.clone(), most_cols, LINE) {
            let piece = Part { rows: rows.clone(), cols };
            let to = Sink { ptr: scratch.as_mut_ptr(), row_stride: piece.cols.len(), col_stride: 1 };
            // SAFETY: the piece lies inside the part, for which the caller vouches, and has room in the scratch.
            unsafe {
                if gemm.add {
                    collect(gemm.c, piece.rows.clone(), piece.cols.clone(), to);
                }
                outer(kernels, gemm, &piece, to);
                parameter.update(kernels, &piece, to.as_source());
            }
        }
    }
}
