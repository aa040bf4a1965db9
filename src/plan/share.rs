//! How work is cut into parts: as equal as whole vectors allow, and only as far as it saves time.

use super::{COPY_COST, FMA_COST, Packing, ProductShape, Strategy, TRANSPOSE_COST};
use crate::isa::Kernels;
use crate::summation::Summation;
use crate::threads::{LEAST_COST, Supply};
use core::ops::Range;

/// Elements in a cache line, which two workers had better not write to.
pub(crate) const LINE: usize = 16;

/// Cycles to bring one element from the outer caches.
const TRAFFIC_COST: f64 = 0.1;

/// Cycles for one element of the left operand, once for each panel of the right one.
const PANEL_COST: f64 = 0.15;

/// Cycles for the activation of one output.
const OUTPUT_COST: f64 = 0.4;

/// Cycles for one element of `dz`: two operands read, one written.
const DZ_COST: f64 = 0.3;

/// Cycles to add one block's sum to those before it.
const ADD_UP_COST: f64 = 0.1;

/// Times that a step reads each parameter, as far as time goes: measured between far cores on steps of 79 and of 668
/// thousand parameters.
const STEP_READS: f64 = 2.7;

/// Cycles for each stretch of memory where one worker's columns end and another's begin: both prefetch beyond it what
/// the other writes.
const SEAM_COST: f64 = 80.0;

/// Cycles from which on a worker's part is cut into pieces, and the most pieces: what a worker that is held up can hold
/// up is one of them.
const PIECE_CYCLES: f64 = 200.0e3;
const MAX_PIECES: usize = 4;

/// What pieces may cost, as the time of all against that of the part.
const PIECE_TOLERANCE: f64 = 1.02;

/// What each worker more adds to the cost of sharing out, as a fraction of that of the first.
const WORKER_COST: f64 = 0.1;

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

/// Cuts a product (the transposed one, where the strategy says so) for this many workers: so that the largest part
/// takes the least time, and a long one into several parts for each, where that costs next to nothing. Whoever is held
/// up then leaves parts to the others.
pub(crate) fn grid(kernels: &Kernels, shape: &ProductShape, strategy: &Strategy, workers: usize) -> Grid {
    let (coarse, cycles) = best_grid(kernels, shape, strategy, workers);
    let most = ((cycles / PIECE_CYCLES) as usize).min(MAX_PIECES);
    let fine = (2..=most).rev().find_map(|pieces| {
        let (fine, piece_cycles) = best_grid(kernels, shape, strategy, workers * pieces);
        (piece_cycles * pieces as f64 <= cycles * PIECE_TOLERANCE).then_some(fine)
    });
    fine.unwrap_or(coarse)
}

/// The grid of at most `parts` parts whose largest takes the least time, and the cycles that it takes.
fn best_grid(kernels: &Kernels, shape: &ProductShape, strategy: &Strategy, parts: usize) -> (Grid, f64) {
    // Vectors run along the columns; cache lines along whatever is contiguous.
    let down = shape.c_strides.0 == 1 && shape.c_strides.1 != 1;
    let row_grain = if down { LINE } else { 1 };
    let col_grain = match strategy.packing {
        Packing::Prepacked => strategy.panel_vectors * kernels.lanes,
        _ => kernels.lanes.max(LINE),
    };
    let longest = |len: usize, grain: usize, parts: usize| (len.div_ceil(grain).div_ceil(parts) * grain).min(len);
    let grids = (1..=parts).map(|rows| {
        let grid = Grid { rows, cols: parts / rows, row_grain, col_grain };
        let rows = longest(shape.m, row_grain, grid.rows);
        let cols = longest(shape.n, col_grain, grid.cols);
        let seams = match down {
            false if grid.cols > 1 => rows,
            true if grid.rows > 1 => cols,
            _ => 0,
        };
        (grid, part_cycles(kernels, strategy, rows, cols, shape.k) + SEAM_COST * seams as f64)
    });
    grids.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Grid::WHOLE, 0.0))
}

/// Cycles that one part of a product takes: multiply-adds, and what is packed for it alone.
fn part_cycles(kernels: &Kernels, strategy: &Strategy, rows: usize, cols: usize, depth: usize) -> f64 {
    let (m, n, k) = (rows as f64, cols as f64, depth as f64);
    let multiply_add = match strategy.summation {
        Summation::Lanes => FMA_COST * m * n * depth.div_ceil(kernels.lanes) as f64,
        Summation::Auto | Summation::Chain => {
            let panels = cols.div_ceil(strategy.panel_vectors * kernels.lanes) as f64;
            (FMA_COST * cols.div_ceil(kernels.lanes) as f64 + PANEL_COST * panels) * m * k
        }
    };
    let right = match strategy.packing {
        Packing::InPlace | Packing::Prepacked => 0.0,
        Packing::Copy => COPY_COST,
        Packing::Transpose => TRANSPOSE_COST,
    };
    let left = if strategy.pack_left { COPY_COST } else { 0.0 };
    multiply_add.max(TRAFFIC_COST * (m * k + k * n + m * n)) + right * k * n + left * k * m + OUTPUT_COST * m * n
}

/// Cycles that an `m × n` product with sums of `k` terms takes on one core, roughly: the question of how many work on
/// it comes before its strategy.
pub(crate) fn product_cycles(kernels: &Kernels, m: usize, n: usize, k: usize) -> f64 {
    let vectors = (m * kernels.vectors(n)).min(n * kernels.vectors(m));
    let (m, n, k, vectors) = (m as f64, n as f64, k as f64, vectors as f64);
    (FMA_COST * vectors * k).max(TRAFFIC_COST * (m * k + k * n + m * n))
}

/// Cycles that the activation of an `m × n` output takes on one core.
pub(crate) fn activation_cycles(m: usize, n: usize) -> f64 {
    OUTPUT_COST * m as f64 * n as f64
}

/// Cycles that `dz` and its column sums take on one core.
pub(crate) fn dz_cycles(rows: usize, cols: usize) -> f64 {
    DZ_COST * rows as f64 * cols as f64
}

/// Whether a layer's pass is so light that it takes less than handing over any of it, however near the other cores are:
/// asked first, since the estimates for an answer take a tiny layer a tenth of its time.
#[inline(always)]
pub(crate) fn is_light(kernels: &Kernels, m: usize, n: usize, k: usize) -> bool {
    // No side of a light layer is longer, unless another is nothing; and sizes this small do not overflow.
    if m.max(n).max(k) > 8 * LEAST_COST {
        return false;
    }
    let vectors = (m * kernels.vectors(n)).min(n * kernels.vectors(m));
    let multiplied = vectors.saturating_mul(k) / 2;
    multiplied <= LEAST_COST && multiplied + (m * k + k * n) / 8 + m * n / 2 <= LEAST_COST
}

/// How many workers finish work of this many cycles first, where each reads `moved` elements that the others together
/// have written on the way.
///
/// The predicted time has one minimum and no steps: at the size from which on a worker more is used, it neither gains
/// nor loses.
pub(crate) fn workers(cycles: f64, moved: f64, supply: &Supply) -> usize {
    if cycles <= supply.cost {
        return 1;
    }
    let time = |workers: usize| shared_cycles(cycles, moved, supply, workers);
    (1..=supply.workers.max(1)).min_by(|a, b| time(*a).total_cmp(&time(*b))).unwrap_or(1)
}

/// Cycles that work of this many takes when it is shared by so many workers.
pub(crate) fn shared_cycles(cycles: f64, moved: f64, supply: &Supply, workers: usize) -> f64 {
    if workers == 1 {
        return cycles;
    }
    let (p, others) = (workers as f64, (workers - 1) as f64);
    (cycles + supply.move_cost * moved * others / p) / p + supply.cost * (1.0 + WORKER_COST * (others - 1.0))
}

/// Whether a training step of this many cycles is worth sharing: each worker reads all parameters, and others have
/// updated most of them the step before.
pub(crate) fn step_pays(cycles: f64, parameters: usize, supply: &Supply) -> bool {
    let p = supply.workers as f64;
    cycles / p + supply.move_cost * STEP_READS * parameters as f64 * (p - 1.0) / p < cycles
}

/// A batch in blocks, each computed by one worker.
pub(crate) struct Blocks {
    pub(crate) count: usize,
    /// Blocks that are computed before their sums are added up; none where there is no room for their sums.
    pub(crate) most: usize,
    /// Cycles that a block takes.
    pub(crate) cycles: f64,
    /// Sums of each block.
    pub(crate) sums: usize,
}

/// Cycles that adding up so many sums, which others have written, takes on one core.
pub(crate) fn add_up_cycles(sums: usize, supply: &Supply) -> f64 {
    (ADD_UP_COST + supply.move_cost) * sums as f64
}

/// How many workers finish a batch in blocks first, and in how many cycles; `None` where there are not two blocks.
pub(crate) fn block_workers(blocks: &Blocks, supply: &Supply) -> Option<(usize, f64)> {
    let Blocks { count, most, cycles, sums } = *blocks;
    let time = |workers: usize| {
        let (rounds, others) = (count.div_ceil(most), (workers - 1) as f64);
        let share = rounds * most.min(count).div_ceil(workers);
        let add_up = add_up_cycles(count * sums, supply);
        let add_up = add_up.min(shared_cycles(add_up, 0.0, supply, workers));
        share as f64 * cycles + add_up + rounds as f64 * supply.cost * (1.0 + WORKER_COST * (others - 1.0))
    };
    let most_workers = supply.workers.min(count).min(most);
    (2..=most_workers).map(|workers| (workers, time(workers))).min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(all(test, not(miri)))]
mod tests;
