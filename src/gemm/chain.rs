//! The loops of the chain order.
//!
//! ```text
//! 1  for each panel of nr columns
//! 2    for each block of SUM_BLOCK terms
//!        pack the right operand's panel, if the plan says so
//! 3      for each run of tiles of mr rows
//!          micro-kernel; behind the last block the activation, or the update of parameters by their gradient,
//!          while they are in the first-level cache
//! ```

use super::chunks::{Chunks, Run, Runs};
use super::epilogue::{activate_part, collect, finish_staged};
use super::update::Parameter;
use super::{Gemm, Updated};
use crate::isa::Kernels;
use crate::kernel::chain::{Lhs, Prefetch, Tiles};
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source};
use crate::plan::{Part, RightOperand, TileLoops, TileOrder, Totals};
use crate::summation::SUM_BLOCK;
use crate::tuning::LINE;

/// Computes one worker's part of a product in the chain order.
///
/// # Safety
/// As [`super::driver::run`].
pub(super) unsafe fn run(kernels: &Kernels, gemm: &Gemm, plan: &TileLoops, part: &Part, scratch: &mut [f32]) {
    let piece = if plan.order == TileOrder::Blocks { blocks } else { direct };
    if part.rows.len() <= plan.rows {
        // SAFETY: the caller's promise; the scratch holds what the rows need.
        return unsafe { piece(kernels, gemm, plan, part, scratch) };
    }
    for rows in Chunks::new(part.rows.clone(), plan.rows, 1) {
        let part = Part { rows, cols: part.cols.clone() };
        // SAFETY: the caller's promise, for some of the rows, of which the scratch holds what they need.
        unsafe { piece(kernels, gemm, plan, &part, scratch) };
    }
}

/// Rows and columns, in whole vectors, of the largest tile of a part that is not empty.
pub(super) fn largest_tile(kernels: &Kernels, plan: &TileLoops, part: &Part) -> (usize, usize) {
    let rows = Chunks::new(part.rows.clone(), plan.rows, 1).longest();
    let Cut { panels, tiles } = Cut::new(kernels, plan, &Part { rows: 0..rows, cols: part.cols.clone() }, 0);
    (tiles.longest(), kernels.padded(panels.longest(), plan.half_last))
}

/// Columns from the place in memory where a vector of the right operand would begin on its cache lines to the part's first column, if
/// panels begin there: not where the output's vectors would leave its lines.
#[inline(always)]
fn lead(kernels: &Kernels, gemm: &Gemm, plan: &TileLoops, part: &Part) -> usize {
    if !plan.is_aligned {
        return 0;
    }
    let past_line = |address: usize| (address / size_of::<f32>()) & (kernels.lanes - 1);
    let right = past_line(gemm.b.at(0, part.cols.start) as usize);
    let output = past_line(gemm.totals().at(0, part.cols.start) as usize);
    if right == output { right } else { 0 }
}

/// How a part is cut.
struct Cut {
    panels: Chunks,
    /// The same for all panels, so that a packed left operand fits each.
    tiles: Chunks,
}

impl Cut {
    /// With the part's [`lead`].
    #[inline(always)]
    fn new(kernels: &Kernels, plan: &TileLoops, part: &Part, lead: usize) -> Self {
        let panel_width = plan.panel_vectors * kernels.lanes;
        let panels = match plan.right {
            RightOperand::Prepacked => Chunks::of_len(part.cols.clone(), panel_width),
            _ => Chunks::within_grains(part.cols.clone(), lead, panel_width, kernels.lanes),
        };
        let widest = kernels.vectors(panels.longest());
        let is_cut = plan.is_aligned || part.cols.len() & (kernels.lanes - 1) != 0;
        let is_masked = plan.right == RightOperand::InPlace && is_cut;
        let most_rows = if is_masked { kernels.tiles[widest - 1].len() } else { kernels.mr(widest) };
        let most_rows = most_rows.min(plan.tile_vectors / widest).max(1);
        Self { panels, tiles: Chunks::new(part.rows.clone(), most_rows, 1) }
    }
}

/// The left operand of a part: in place, or packed.
struct Left<'g> {
    gemm: &'g Gemm<'g>,
    /// Where it stands packed: a tile's rows one tile behind the other, all terms of one before the next.
    packed: Option<*const f32>,
    first_row: usize,
    /// Whether tiles prefetch the next one.
    prefetches: bool,
}

impl<'g> Left<'g> {
    /// Packs it where the plan says so.
    ///
    /// # Safety
    /// As [`run`], where the scratch has room for the packed operand and a vector more.
    #[inline(always)]
    unsafe fn new(
        kernels: &Kernels,
        gemm: &'g Gemm<'_>,
        plan: &TileLoops,
        part: &Part,
        tiles: &Chunks,
        scratch: &mut [f32],
    ) -> Self {
        let packed = scratch.as_mut_ptr();
        let first_row = part.rows.start;
        if let Some(terms) = plan.pack_left_terms {
            for first in (0..gemm.k).step_by(terms) {
                let depth = terms.min(gemm.k - first);
                for rows in tiles.clone() {
                    // SAFETY: the rows and terms lie inside the part, where the caller vouches for the operand, and the scratch
                    // has room.
                    unsafe {
                        let source = gemm.a.starting_at(rows.start, first).transposed();
                        let width = rows.len();
                        let dst = Sink::rows(packed.add((rows.start - first_row) * gemm.k + first * width), width);
                        (kernels.copy_pack)(&Panel { source, depth, width, dst, padding: 0 });
                    }
                }
            }
        }
        let packed = plan.pack_left_terms.is_some().then_some(packed.cast_const());
        Self { gemm, packed, first_row, prefetches: plan.prefetches }
    }

    /// A run of tiles from one term on.
    #[inline(always)]
    fn at(&self, tiles: &Run, term: usize) -> Lhs {
        let height = tiles.len;
        match self.packed {
            Some(packed) => {
                let at = packed.wrapping_add((tiles.start - self.first_row) * self.gemm.k + term * height);
                Lhs::packed(at, height, self.gemm.k, self.prefetches)
            }
            None => Lhs::in_place(self.gemm.a.starting_at(tiles.start, term), height, self.prefetches),
        }
    }
}

/// Products of one block whose panels are read in place, with nothing behind: the gradients of a small batch, whose tiles
/// take hardly longer than asking anything about them. Panels that are alike are one call.
///
/// # Safety
/// As [`run`], for such a product.
unsafe fn direct(kernels: &Kernels, gemm: &Gemm, plan: &TileLoops, part: &Part, scratch: &mut [f32]) {
    let Cut { mut panels, tiles } = Cut::new(kernels, plan, part, lead(kernels, gemm, plan, part));
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands.
    unsafe {
        let left = Left::new(kernels, gemm, plan, part, &tiles, scratch);
        // Tiles of each height go over all panels, unless these are too many to stay near until the next height comes.
        let [higher, tiles, _] = tiles.runs();
        if let Some(cols) = panels.take_cut() {
            for tiles in [&higher, &tiles].into_iter().filter(|run| run.count > 0) {
                direct_run(kernels, gemm, plan, &left, &Run::of_one(&cols), tiles);
            }
        }
        if plan.order == TileOrder::AlongRows {
            let panels = panels.runs();
            for tiles in [higher, tiles] {
                for index in 0..tiles.count {
                    let tile = Run { start: tiles.start + index * tiles.len, count: 1, len: tiles.len };
                    for panels in panels.iter().filter(|run| run.count > 0) {
                        direct_run(kernels, gemm, plan, &left, panels, &tile);
                    }
                }
            }
            return;
        }
        if higher.count == 0 || plan.order == TileOrder::ByHeights {
            let panels = panels.runs();
            for tiles in [higher, tiles].iter().filter(|run| run.count > 0) {
                for panels in panels.iter().filter(|run| run.count > 0) {
                    direct_run(kernels, gemm, plan, &left, panels, tiles);
                }
            }
            return;
        }
        for cols in panels {
            let panel = Run::of_one(&cols);
            direct_run(kernels, gemm, plan, &left, &panel, &higher);
            direct_run(kernels, gemm, plan, &left, &panel, &tiles);
        }
    }
}

/// Panels of one width and tiles of one height: one call.
///
/// # Safety
/// As [`run`], for panels and tiles inside the part.
#[inline(never)]
unsafe fn direct_run(kernels: &Kernels, gemm: &Gemm, plan: &TileLoops, left: &Left, panels: &Run, tiles: &Run) {
    let vectors = kernels.vectors(panels.len);
    let padding = vectors * kernels.lanes - panels.len;
    let table = kernels.tiles_for(padding, padding > 0, plan.half_last);
    // SAFETY: the caller's promise.
    unsafe {
        table[vectors - 1][tiles.len - 1](&Tiles {
            panels: panels.count,
            tiles: tiles.count,
            depth: gemm.k,
            a: left.at(tiles, 0),
            prefetch: &[],
            b: gemm.b.starting_at(0, panels.start),
            c: gemm.c.starting_at(tiles.start, panels.start),
            tail: kernels.lanes - padding,
            start: gemm.start(0, tiles.start, panels.start),
            finish: gemm.finish(0),
        });
    }
}

/// Products of any kind, panel by panel.
///
/// # Safety
/// As [`run`].
unsafe fn blocks(kernels: &Kernels, gemm: &Gemm, plan: &TileLoops, part: &Part, scratch: &mut [f32]) {
    let Cut { panels, tiles } = Cut::new(kernels, plan, part, lead(kernels, gemm, plan, part));
    let (right, rest) = scratch.split_at_mut(SUM_BLOCK * kernels.nr());
    let (staging, rest) =
        rest.split_at_mut(if plan.totals != Totals::InPlace { part.rows.len() * kernels.nr() } else { 0 });
    // SAFETY: every panel lies inside the part, where the caller vouches for all operands; `run` has chosen the part so
    // that the staging and the packed left operand fit the scratch.
    unsafe {
        let left = Left::new(kernels, gemm, plan, part, &tiles, rest);
        let updated = gemm.update.map(Updated::parameter);
        for cols in panels {
            let panel = Part { rows: part.rows.clone(), cols };
            let totals = if plan.totals != Totals::InPlace {
                let row_stride = kernels.vectors(panel.cols.len()) * kernels.lanes;
                let staging = Sink::rows(staging.as_mut_ptr(), row_stride);
                if gemm.finish.add && plan.totals == Totals::Staged {
                    collect(gemm.c, panel.rows.clone(), panel.cols.clone(), staging);
                }
                staging
            } else {
                gemm.totals().starting_at(panel.rows.start, panel.cols.start)
            };
            let next_col = Some(panel.cols.end).filter(|&col| col < part.cols.end);
            let call = PanelCall { kernels, gemm, plan, left: &left, tiles: &tiles, updated: updated.as_ref() };
            call.run(&panel, next_col, totals, right);
            if plan.totals == Totals::Staged && updated.is_none() {
                finish_staged(kernels, gemm, &panel, totals);
            }
        }
    }
}

/// Shared by the panels of a part.
struct PanelCall<'c> {
    kernels: &'c Kernels,
    gemm: &'c Gemm<'c>,
    plan: &'c TileLoops,
    left: &'c Left<'c>,
    tiles: &'c Chunks,
    updated: Option<&'c Parameter<'c>>,
}

impl PanelCall<'_> {
    /// One panel, block by block, with its totals in the corner of `totals`; the next one begins at `next_col`.
    ///
    /// # Safety
    /// As [`run`], for the panel; `right` has room for a packed block.
    #[inline(always)]
    unsafe fn run(&self, panel: &Part, next_col: Option<usize>, totals: Sink, right: &mut [f32]) {
        let mut first = 0;
        loop {
            // SAFETY: the caller's promise; the block lies inside the sum.
            unsafe { self.block(panel, first, next_col, totals, right) };
            first += SUM_BLOCK;
            if first >= self.gemm.k {
                return;
            }
        }
    }

    /// The block of all sums that begins with term `first`.
    ///
    /// # Safety
    /// As [`PanelCall::run`], for a term that there is, or the first of none.
    #[inline(never)]
    unsafe fn block(&self, panel: &Part, first: usize, next_col: Option<usize>, totals: Sink, right: &mut [f32]) {
        let Self { kernels, gemm, plan, left, tiles, .. } = *self;
        let width = panel.cols.len();
        let vectors = kernels.vectors(width);
        let padding = vectors * kernels.lanes - width;
        // A panel of whole vectors needs no mask.
        let is_masked = plan.right == RightOperand::InPlace && padding > 0;
        let table = kernels.tiles_for(padding, is_masked, plan.half_last)[vectors - 1];
        let can_prefetch = left.prefetches && !is_masked && vectors == kernels.panel_vectors;
        let depth = SUM_BLOCK.min(gemm.k - first);
        let around = self.around(first, depth);
        let next = if can_prefetch { self.next_block(panel, first + depth, next_col, depth) } else { None };
        let last = next.map_or(0, |(tiles, _)| tiles);
        let mut to_come = tiles.left();
        // SAFETY: the block lies inside the sum and the tiles inside the panel, where the caller vouches for all operands and
        // for the room; a right panel has at most SUM_BLOCK rows of at most nr columns.
        unsafe {
            let b = self.right(panel, first, depth, right);
            for tiles in Runs::activated(tiles.clone(), around.visited(width), plan.epilogue_len, last) {
                let row = if around.is_passing { 0 } else { tiles.start - panel.rows.start };
                let totals = totals.starting_at(row, 0);
                if around.is_collected {
                    collect(gemm.c, tiles.range(), panel.cols.clone(), totals);
                }
                let rows = if can_prefetch {
                    let block = next.filter(|_| to_come <= last).map(|(_, block)| block);
                    to_come -= tiles.count;
                    self.prefetches(block, around.output(gemm, &tiles, panel.cols.start), tiles.len)
                } else {
                    None
                };
                let (kernel, prefetch) = match &rows {
                    None => (table[tiles.len - 1], &[][..]),
                    Some(rows) => (kernels.prefetching_tiles[tiles.len - 1], &rows[..]),
                };
                kernel(&Tiles {
                    panels: 1,
                    tiles: tiles.count,
                    depth,
                    a: left.at(&tiles, first),
                    prefetch,
                    b,
                    c: totals,
                    tail: kernels.lanes - padding,
                    start: gemm.start(first, tiles.start, panel.cols.start),
                    finish: gemm.finish(first),
                });
                around.behind(kernels, gemm, || Part { rows: tiles.range(), cols: panel.cols.clone() }, totals);
            }
        }
    }

    /// The work besides the sums of the block of `depth` terms from `first` on.
    #[inline(always)]
    fn around(&self, first: usize, depth: usize) -> Around<'_> {
        let Self { gemm, plan, updated, .. } = *self;
        let is_last = first + depth == gemm.k;
        Around {
            is_passing: updated.is_some() && gemm.k <= SUM_BLOCK && !gemm.finish.add,
            is_collected: plan.totals == Totals::StagedByRuns && first == 0 && gemm.finish.add,
            is_activated: is_last && plan.totals == Totals::InPlace && gemm.has_epilogue(),
            is_finished: plan.totals == Totals::StagedByRuns && is_last && updated.is_none(),
            updated: updated.filter(|_| is_last),
        }
    }

    /// The rows that a run of tiles prefetches, if any: the next block of the right operand, and the output's rows of each tile.
    #[inline(never)]
    fn prefetches(&self, block: Option<Prefetch>, output: Option<*mut f32>, rows: usize) -> Option<[Prefetch; 2]> {
        let output = output.map(|ptr| Prefetch { ptr, row_stride: self.gemm.c.row_stride, rows });
        (block.is_some() || output.is_some())
            .then(|| [block.unwrap_or(Prefetch::NONE), output.unwrap_or(Prefetch::NONE)])
    }

    /// The block of the right operand behind the one that ends with term `end`, of this panel or the next one, where it is to be
    /// copied from rows of its own, and how many tiles `depth` terms deep it takes to prefetch it: the last ones, or it would
    /// be gone again.
    fn next_block(&self, panel: &Part, end: usize, next_col: Option<usize>, depth: usize) -> Option<(usize, Prefetch)> {
        let Self { gemm, plan, .. } = *self;
        let (term, col) = if end == gemm.k { (0, next_col?) } else { (end, panel.cols.start) };
        let rows = depth / LINE;
        if plan.right != RightOperand::Copied || rows == 0 {
            return None;
        }
        let terms = SUM_BLOCK.min(gemm.k - term);
        Some((terms.div_ceil(rows), Prefetch { ptr: gemm.b.at(term, col), row_stride: gemm.b.row_stride, rows }))
    }

    /// One block of the right operand, from term `first` on, as the micro-kernels read it.
    ///
    /// # Safety
    /// As [`PanelCall::run`], for a block of the sum.
    #[inline(always)]
    unsafe fn right(&self, panel: &Part, first: usize, depth: usize, scratch: &mut [f32]) -> Source {
        let Self { kernels, gemm, plan, .. } = *self;
        let (cols, width) = (&panel.cols, panel.cols.len());
        let padded = kernels.vectors(width) * kernels.lanes;
        let source = gemm.b.starting_at(first, cols.start);
        let dst = Sink::rows(scratch.as_mut_ptr(), padded);
        let packed = Panel { source, depth, width, dst, padding: padded - width };
        match plan.right {
            RightOperand::InPlace => return source,
            RightOperand::Prepacked => {
                return Source::rows(gemm.b.at(0, cols.start).wrapping_add(first * padded), padded);
            }
            // SAFETY: the caller's promise.
            RightOperand::Transposed => unsafe { (kernels.transpose_pack)(&packed) },
            // SAFETY: as above.
            RightOperand::Copied => unsafe { (kernels.copy_pack)(&packed) },
            // SAFETY: as above.
            RightOperand::Gathered => unsafe { gather(&packed) },
        }
        dst.as_source()
    }
}

/// The work on the tiles of one block besides their sums.
struct Around<'c> {
    /// Whether a run's tiles make room for the next: they are complete after one block, and parameters are updated by them.
    is_passing: bool,
    /// Whether the output is staged before it is added to,
    is_collected: bool,
    /// activated in place,
    is_activated: bool,
    /// or brought to the output.
    is_finished: bool,
    /// The parameters that it updates.
    updated: Option<&'c Parameter<'c>>,
}

impl Around<'_> {
    /// Columns of which totals are visited next, and should still be in the first-level cache: all of the panel's or none.
    #[inline(always)]
    fn visited(&self, width: usize) -> usize {
        let is_visited = self.is_activated || self.is_collected || self.is_finished || self.updated.is_some();
        if is_visited { width } else { 0 }
    }

    /// The output's rows to prefetch with a run of tiles: its own rows, or those of the next one, which come first.
    #[inline(always)]
    fn output(&self, gemm: &Gemm, tiles: &Run, col: usize) -> Option<*mut f32> {
        let row = if self.is_finished { tiles.start } else { tiles.range().end };
        (self.is_finished || self.is_collected).then(|| gemm.c.at(row, col))
    }

    /// The work behind the sums of a run of tiles.
    ///
    /// # Safety
    /// As [`PanelCall::run`], where the totals are those of the part.
    #[inline(always)]
    unsafe fn behind(&self, kernels: &Kernels, gemm: &Gemm, part: impl Fn() -> Part, totals: Sink) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.is_activated {
                activate_part(kernels, gemm, &part(), &mut []);
            } else if self.is_finished {
                finish_staged(kernels, gemm, &part(), totals);
            } else if let Some(parameter) = self.updated {
                parameter.update(kernels, &part(), totals.as_source());
            }
        }
    }
}
