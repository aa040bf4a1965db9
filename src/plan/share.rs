//! How work is cut into parts: as equal as whole vectors allow, and only as far as it saves time.

use super::{Question, RightOperand, Route, cost};
use crate::isa::Target;
use crate::threads::ParallelBudget;
use crate::tuning::LINE;
use core::ops::Range;

/// The rectangle of an output that one worker computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) rows: Range<usize>,
    pub(crate) cols: Range<usize>,
}

/// An output cut into `rows × cols` parts, at multiples of the grains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    rows: usize,
    cols: usize,
    row_grain: usize,
    col_grain: usize,
}

impl Grid {
    /// One part.
    pub(crate) const WHOLE: Self = Self { rows: 1, cols: 1, row_grain: 1, col_grain: 1 };

    pub(crate) fn parts(self) -> usize {
        self.rows * self.cols
    }

    /// Parts down the rows, and along the columns.
    pub(crate) fn shape(self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// Rows and columns of the longest part of an `m × n` output.
    pub(crate) fn longest(self, m: usize, n: usize) -> (usize, usize) {
        let longest = |len: usize, grain: usize, parts: usize| (len.div_ceil(grain).div_ceil(parts) * grain).min(len);
        (longest(m, self.row_grain, self.rows), longest(n, self.col_grain, self.cols))
    }

    /// Part `index` of an `m × n` output.
    #[inline(always)]
    pub(crate) fn part(self, m: usize, n: usize, index: usize) -> Part {
        if self == Self::WHOLE {
            return Part { rows: 0..m, cols: 0..n };
        }
        Part {
            rows: share(m, self.row_grain, index / self.cols, self.rows),
            cols: share(n, self.col_grain, index % self.cols, self.cols),
        }
    }
}

/// Share `index` of `0..len` cut into `parts` nearly equal shares at multiples of `grain`.
pub(crate) fn share(len: usize, grain: usize, index: usize, parts: usize) -> Range<usize> {
    let grains = len.div_ceil(grain);
    let at = |index: usize| (grains * index / parts * grain).min(len);
    at(index)..at(index + 1)
}

/// Cuts a product for the workers: so that the largest part takes the least time, and a long one into several parts for each,
/// where that costs next to nothing. Whoever is held up then leaves parts to the others.
pub(super) fn grid(question: &Question, route: &Route) -> Grid {
    let (workers, tuning) = (question.workers, question.target.tuning);
    if workers == 1 || matches!(route, Route::Nothing | Route::SingleCall(_)) {
        return Grid::WHOLE;
    }
    let (coarse, cycles) = best_grid(question, route, workers);
    let most = ((cycles / tuning.piece_min_cycles) as usize).min(tuning.max_pieces);
    let fine = (2..=most).rev().find_map(|pieces| {
        let (fine, piece_cycles) = best_grid(question, route, workers * pieces);
        (piece_cycles * pieces as f64 <= cycles * tuning.piece_tolerance).then_some(fine)
    });
    fine.unwrap_or(coarse)
}

/// The grid of at most `parts` parts whose largest takes the least time, and the cycles that it takes.
fn best_grid(question: &Question, route: &Route, parts: usize) -> (Grid, f64) {
    let (shape, Target { kernels, tuning }) = (&question.shape, question.target);
    // Vectors run along the columns; cache lines along whatever is contiguous.
    let down = shape.c_strides.0 == 1 && shape.c_strides.1 != 1;
    // Two workers had better not write to one cache line. So interleaved rows, which kernels of two rows store together, are not cut.
    let row_grain = if down { LINE } else { 1 };
    let col_grain = match route {
        Route::Tiles(tiles) if tiles.right == RightOperand::Prepacked => tiles.panel_vectors * kernels.lanes,
        _ => kernels.lanes.max(LINE),
    };
    let grids = (1..=parts).map(|rows| {
        let grid = Grid { rows, cols: parts / rows, row_grain, col_grain };
        let (rows, cols) = grid.longest(shape.m, shape.n);
        let seams = match down {
            false if grid.cols > 1 => rows,
            true if grid.rows > 1 => cols,
            _ => 0,
        };
        (grid, cost::part(question, route, rows, cols) + tuning.seam_cost * seams as f64)
    });
    grids.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Grid::WHOLE, 0.0))
}

/// Whether a layer's pass takes less than handing over any of it, however near the other cores are: asked first, since the
/// estimates for an answer take a tiny layer a tenth of its time.
#[inline(always)]
pub(crate) fn below_parallel_min(target: Target, m: usize, n: usize, k: usize) -> bool {
    let Target { kernels, tuning } = target;
    let least = tuning.parallel_min_cycles;
    // No side of so small a layer is longer, unless another is nothing; and sizes this small do not overflow.
    if m.max(n).max(k) > 8 * least {
        return false;
    }
    let vectors = (m * kernels.vectors(n)).min(n * kernels.vectors(m));
    let multiplied = (tuning.multiply_add_cost * vectors.saturating_mul(k) as f64) as usize;
    multiplied <= least && multiplied + (m * k + k * n) / 8 + m * n / 2 <= least
}

/// How many workers finish work of this many cycles first, where each reads `moved` elements that the others together
/// have written on the way.
///
/// The predicted time has one minimum and no steps: at the size from which on a worker more is used, it neither gains
/// nor loses.
pub(crate) fn workers(target: Target, cycles: f64, moved: f64, budget: &ParallelBudget) -> usize {
    if cycles <= budget.cost {
        return 1;
    }
    let time = |workers: usize| shared_cycles(target, cycles, moved, budget, workers);
    (1..=budget.workers.max(1)).min_by(|a, b| time(*a).total_cmp(&time(*b))).unwrap_or(1)
}

/// Cycles that work of this many takes when it is shared by so many workers.
pub(super) fn shared_cycles(target: Target, cycles: f64, moved: f64, budget: &ParallelBudget, workers: usize) -> f64 {
    if workers == 1 {
        return cycles;
    }
    let (p, others) = (workers as f64, (workers - 1) as f64);
    (cycles + budget.move_cost * moved * others / p) / p
        + budget.cost * (1.0 + target.tuning.worker_cost * (others - 1.0))
}

/// Whether a training step of this many cycles is worth sharing: each worker reads all parameters, and others have
/// updated most of them the step before.
pub(crate) fn step_pays(target: Target, cycles: f64, parameters: usize, budget: &ParallelBudget) -> bool {
    let p = budget.workers as f64;
    cycles / p + budget.move_cost * target.tuning.step_parameter_reads * parameters as f64 * (p - 1.0) / p < cycles
}

#[cfg(all(test, not(miri), not(fused_dense_force_sharing)))]
mod tests;
