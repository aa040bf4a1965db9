//! Walks a plan: rectangle by rectangle, each by its route.

use super::chunks::Chunks;
use super::epilogue::{activate, activate_part, collect};
use super::update::Parameter;
use super::{Gemm, chain, lanes};
use crate::isa::Kernels;
use crate::kernel::axpyf::Axpyf;
use crate::kernel::chain::{Lhs, Tiles};
use crate::kernel::narrow::Narrow;
use crate::kernel::outer::Outer;
use crate::kernel::pack::Panel;
use crate::kernel::{Name, Operation, Sink};
use crate::plan::{self, Grid, OuterProduct, Part, Plan, Rectangle, Route, SingleCall, SingleRow};
use crate::summation::SUM_BLOCK;
use crate::tuning::LINE;

/// Elements of scratch that one of so many workers needs for its parts of any product with no dimension but the batch above
/// `longest`, and samples taken `slab_rows` at a time.
///
/// That is staged totals and the packed left operand of a part's rows. The more workers, the fewer rows: of a square output cut
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

/// Computes a product, whole.
///
/// Small products end here, and as no function that is not inlined gets a pointer to the problem, it stays in registers. The others
/// get copies, which are stored where they would have been stored anyhow.
///
/// # Safety
/// As [`run`], for all of the output.
#[inline(always)]
pub(crate) unsafe fn run_whole(plan: &Plan, gemm: &Gemm, scratch: &mut [f32]) {
    let kernels = plan.target.kernels;
    // SAFETY: the caller's promise.
    unsafe {
        match plan.single_route() {
            Some(Route::SingleCall(call)) => single_call(kernels, gemm, call, scratch),
            Some(Route::DotsByParts { aligned }) => {
                lanes::run_columns(kernels, *gemm, kernels.dots_by_parts[gemm.m - 1], *aligned, scratch);
            }
            Some(Route::ShortDots(kernel)) => lanes::run_columns(kernels, *gemm, *kernel, false, scratch),
            Some(Route::DotProducts(dots)) => lanes::run_whole(kernels, *gemm, dots, scratch),
            _ => whole_rectangles(plan, *gemm, scratch),
        }
    }
}

/// Computes part `index` of a product: a part of each rectangle.
///
/// # Safety
/// - the plan was made for this product, of kernels that `isa::select` returned;
/// - the operands are readable, the outputs writable (with `add` readable) at all their elements inside the part, and
///   no output overlaps an input or another worker's part; where parameters are updated, they and their velocities are
///   the outputs, and `c` is an input (with `add`) or not used;
/// - `scratch` has at least as many elements as the plan was told.
pub(crate) unsafe fn run(plan: &Plan, gemm: &Gemm, index: usize, scratch: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { rectangles(plan, gemm, Some(index), scratch) };
}

/// All rectangles, whole.
///
/// # Safety
/// As [`run_whole`].
#[inline(never)]
unsafe fn whole_rectangles(plan: &Plan, gemm: Gemm<'_>, scratch: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { rectangles(plan, &gemm, None, scratch) };
}

/// All rectangles, whole or their parts of this index.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn rectangles(plan: &Plan, gemm: &Gemm, index: Option<usize>, scratch: &mut [f32]) {
    for rectangle in plan.rectangles() {
        // SAFETY: the caller's promise.
        unsafe {
            match rectangle.cols == gemm.n && !rectangle.transposed {
                true => parts(plan, gemm, rectangle, index, scratch),
                false => cut_parts(plan, gemm, rectangle, index, scratch),
            }
        }
    }
}

/// The parts of a rectangle of some columns of the product, or of the transposed one.
///
/// # Safety
/// As [`run`].
#[inline(never)]
unsafe fn cut_parts(plan: &Plan, gemm: &Gemm, rectangle: &Rectangle, index: Option<usize>, scratch: &mut [f32]) {
    let Rectangle { col, cols, transposed, .. } = *rectangle;
    let mut product = gemm.of_cols(col..col + cols);
    if transposed {
        product = product.transposed();
    }
    // SAFETY: the caller's promise, for some columns of the output; transposed, a product is the same.
    unsafe { parts(plan, &product, rectangle, index, scratch) };
}

/// The parts of a rectangle that is all of this product.
///
/// # Safety
/// As [`run`].
#[inline(never)]
unsafe fn parts(plan: &Plan, gemm: &Gemm, rectangle: &Rectangle, index: Option<usize>, scratch: &mut [f32]) {
    let kernels = plan.target.kernels;
    // SAFETY: the caller's promise.
    unsafe {
        match index {
            Some(index) if plan.parts() > 1 => {
                let grid = rectangle.grid;
                for part in plan::share(grid.parts(), 1, index, plan.parts()) {
                    route(kernels, gemm, rectangle, &grid.part(gemm.m, gemm.n, part), scratch);
                }
            }
            _ => route(kernels, gemm, rectangle, &Grid::WHOLE.part(gemm.m, gemm.n, 0), scratch),
        }
    }
}

/// Name of the kernel that computes a rectangle of `rows × cols`, transposed if the plan says so: of several tiles the
/// largest. `None` where nothing is computed.
pub(crate) fn kernel_name(kernels: &Kernels, rectangle: &Rectangle, rows: usize, cols: usize) -> Option<Name> {
    let (rows, cols) = rectangle.grid.longest(rows, cols);
    let part = &Part { rows: 0..rows, cols: 0..cols };
    let (operation, (rows, cols)) = match &rectangle.route {
        Route::Nothing => return None,
        Route::SingleCall(call) => (Operation::Chain, (call.height, call_width(kernels, call))),
        Route::FewColumns(_) => (Operation::Quads, (kernels.lanes / 4, 4)),
        Route::OuterProduct(_) => (Operation::Outer, (1, kernels.lanes)),
        Route::SingleRow(_) => (Operation::Axpyf, (1, kernels.registers / 2 * kernels.lanes)),
        Route::DotsByParts { .. } => (Operation::DotsByParts, (rows, kernels.dot_parts[rows - 1])),
        Route::ShortDots(_) => (Operation::ShortDots, (rows, kernels.folded)),
        Route::DotProducts(dots) => (Operation::Dots, lanes::largest_tile(kernels, dots, part)),
        Route::Tiles(tiles) => (Operation::Chain, chain::largest_tile(kernels, tiles, part)),
    };
    Some(Name { operation, rows, cols, isa: kernels.isa.name() })
}

/// Columns of a panel that its kernel computes.
fn call_width(kernels: &Kernels, call: &SingleCall) -> usize {
    kernels.padded(call.width + call.tail - kernels.lanes, call.half_last)
}

/// A part of a rectangle, whose product is transposed if the plan says so.
///
/// # Safety
/// As [`run`], for this part.
#[inline(always)]
unsafe fn route(kernels: &Kernels, gemm: &Gemm, rectangle: &Rectangle, part: &Part, scratch: &mut [f32]) {
    if part.rows.is_empty() || part.cols.is_empty() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        match &rectangle.route {
            Route::Nothing => {}
            Route::SingleCall(call) => single_call(kernels, gemm, call, scratch),
            Route::Tiles(tiles) => chain::run(kernels, gemm, tiles, part, scratch),
            Route::DotsByParts { aligned } => {
                let kernel = kernels.dots_by_parts[part.rows.len() - 1];
                lanes::columns(kernels, gemm, kernel, *aligned, part, scratch);
            }
            Route::ShortDots(kernel) => lanes::columns(kernels, gemm, *kernel, false, part, scratch),
            Route::DotProducts(dots) => lanes::run(kernels, gemm, dots, part, scratch),
            Route::SingleRow(row) => single_row(kernels, gemm, row, part, scratch),
            Route::FewColumns(kernel) => few_columns(*kernel, gemm, part),
            Route::OuterProduct(outer) => match gemm.update {
                None => {
                    let to = gemm.c.starting_at(part.rows.start, part.cols.start);
                    outer_product(kernels, gemm, outer, part, to);
                }
                Some(update) => outer_update(kernels, gemm, outer, &update.parameter(), part, scratch),
            },
        }
    }
}

/// A product of a call or two: so little work that loops would take as long.
///
/// # Safety
/// As [`run_whole`], for a product for which this call was planned.
#[inline(always)]
unsafe fn single_call(kernels: &Kernels, gemm: &Gemm, plan: &SingleCall, scratch: &mut [f32]) {
    let Gemm { m, n, k, a, b, .. } = *gemm;
    let totals = gemm.totals();
    let mut call = Tiles {
        panels: plan.panels,
        tiles: plan.tiles,
        depth: k,
        a: Lhs::in_place(a, plan.height, false),
        prefetch: &[],
        b,
        c: totals,
        tail: plan.tail,
        start: gemm.start,
        finish: gemm.finish(0),
    };
    // SAFETY: the caller's promise; the plan has chosen tiles that there are, and the scratch has room for SUM_BLOCK rows
    // of a panel.
    unsafe {
        if plan.packs_right {
            let dst = Sink::rows(scratch.as_mut_ptr(), plan.width);
            (kernels.transpose_pack)(&Panel { source: b, depth: k, width: n, dst, padding: plan.width - n });
            call.b = dst.as_source();
        }
        (plan.kernel)(&call);
        if let Some((kernel, tail)) = plan.rest {
            let col = plan.panels * plan.width;
            let (b, c, start) = (b.starting_at(0, col), totals.starting_at(0, col), gemm.start.at(0, col));
            kernel(&Tiles { panels: 1, b, c, tail, start, ..call });
        }
        activate(kernels, gemm, &Part { rows: 0..m, cols: 0..n }, &mut []);
    }
}

/// The chain order for one row, by fused axpys.
///
/// # Safety
/// As [`run`]; the part has one row, and the columns of output and right operand are contiguous.
unsafe fn single_row(kernels: &Kernels, gemm: &Gemm, row: &SingleRow, part: &Part, scratch: &mut [f32]) {
    let i = part.rows.start;
    let totals = gemm.totals();
    for cols in Chunks::new(part.cols.clone(), row.cols, 1) {
        let mut first = 0;
        while first < gemm.k {
            let depth = SUM_BLOCK.min(gemm.k - first);
            let blocks = row.blocks_of((gemm.k - first) / SUM_BLOCK);
            // SAFETY: the terms lie inside the sum and the columns inside the part, where the caller vouches for all
            // operands; the scratch has room for one element a column; several blocks are whole ones, and as few as the
            // plan allows for its columns.
            unsafe {
                (kernels.axpyf)(&Axpyf {
                    depth,
                    blocks,
                    group: row.terms,
                    cols: cols.len(),
                    is_aligned: row.aligned,
                    a: gemm.a.starting_at(i, first),
                    b: gemm.b.starting_at(first, cols.start),
                    sums: scratch.as_mut_ptr(),
                    c: totals.starting_at(i, cols.start),
                    start: gemm.start(first, i, cols.start),
                    finish: gemm.finish(first),
                });
            }
            first += blocks * depth;
        }
        // SAFETY: as above; these columns' totals are complete.
        unsafe { activate_part(kernels, gemm, &Part { rows: i..i + 1, cols }, &mut []) };
    }
}

/// The chain order for few columns.
///
/// # Safety
/// As [`run`]; the plan is one for few columns.
unsafe fn few_columns(kernel: unsafe fn(&Narrow), gemm: &Gemm, part: &Part) {
    let (i, j) = (part.rows.start, part.cols.start);
    for first in (0..gemm.k).step_by(SUM_BLOCK) {
        // SAFETY: the caller's promise; the terms lie inside the sum.
        unsafe {
            kernel(&Narrow {
                rows: part.rows.len(),
                cols: part.cols.len(),
                depth: SUM_BLOCK.min(gemm.k - first),
                a: gemm.a.starting_at(i, first),
                b: gemm.b.starting_at(first, j),
                c: gemm.c.starting_at(i, j),
                finish: gemm.finish(first),
            });
        }
    }
}

/// The outer product of a part's rows and columns, in the corner of `to`.
///
/// # Safety
/// As [`run`], where `to` is writable at as many rows and columns, which are contiguous.
#[inline(always)]
unsafe fn outer_product(kernels: &Kernels, gemm: &Gemm, plan: &OuterProduct, part: &Part, to: Sink) {
    let kernel = match kernels.outer_by_halves {
        Some(kernel) if plan.adds_by_halves && gemm.finish.add => kernel,
        _ => kernels.outer,
    };
    // SAFETY: the caller's promise.
    unsafe {
        kernel(&Outer {
            rows: part.rows.len(),
            cols: part.cols.len(),
            is_aligned: plan.aligned,
            pairs: if gemm.finish.add { plan.added_pairs } else { plan.written_pairs },
            depth: gemm.k,
            a: gemm.a.starting_at(part.rows.start, 0),
            b: gemm.b.starting_at(0, part.cols.start),
            c: to,
            finish: gemm.finish(0),
        });
    }
}

/// Updates parameters by an outer product, piece by piece in long stretches of few rows.
///
/// # Safety
/// As [`run`].
unsafe fn outer_update(
    kernels: &Kernels,
    gemm: &Gemm,
    plan: &OuterProduct,
    parameter: &Parameter,
    part: &Part,
    scratch: &mut [f32],
) {
    for rows in Chunks::new(part.rows.clone(), plan.update_rows, 1) {
        for cols in Chunks::new(part.cols.clone(), plan.update_cols, LINE) {
            let piece = Part { rows: rows.clone(), cols };
            let to = Sink::rows(scratch.as_mut_ptr(), piece.cols.len());
            // SAFETY: the piece lies inside the part, for which the caller vouches, and has room in the scratch.
            unsafe {
                if gemm.finish.add {
                    collect(gemm.c, piece.rows.clone(), piece.cols.clone(), to);
                }
                outer_product(kernels, gemm, plan, &piece, to);
                parameter.update(kernels, &piece, to.as_source());
            }
        }
    }
}
