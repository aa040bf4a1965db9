//! How work is cut into parts: as equal as whole vectors allow, and only as far as it saves time.

use super::{COPY_COST, FMA_COST, Packing, ProductShape, Strategy, TRANSPOSE_COST};
use crate::isa::Kernels;
use crate::summation::Summation;
use crate::threads::Supply;
use core::ops::Range;

/// Elements in a cache line, which two workers had better not write to.
const LINE: usize = 16;

/// Cycles to bring one element from the outer caches.
const TRAFFIC_COST: f64 = 0.1;

/// Cycles for the activation of one output.
const OUTPUT_COST: f64 = 0.4;

/// Cycles for one element of `dz`: two operands read, one written.
const DZ_COST: f64 = 0.3;

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

/// An output cut into `rows × cols` parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    rows: usize,
    cols: usize,
    /// Columns at whose multiples parts begin.
    grain: usize,
}

impl Grid {
    /// One part.
    pub(crate) const WHOLE: Self = Self { rows: 1, cols: 1, grain: LINE };

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
            rows: share(m, 1, index / self.cols, self.rows),
            cols: share(n, self.grain, index % self.cols, self.cols),
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
    let pieces = ((cycles / PIECE_CYCLES) as usize).min(MAX_PIECES);
    if pieces < 2 {
        return coarse;
    }
    let (fine, piece_cycles) = best_grid(kernels, shape, strategy, workers * pieces);
    if piece_cycles * pieces as f64 <= cycles * PIECE_TOLERANCE { fine } else { coarse }
}

/// The grid of at most `parts` parts whose largest takes the least time, and the cycles that it takes.
fn best_grid(kernels: &Kernels, shape: &ProductShape, strategy: &Strategy, parts: usize) -> (Grid, f64) {
    let grain = match strategy.packing {
        Packing::Prepacked => strategy.panel_vectors * kernels.lanes,
        _ => kernels.lanes.max(LINE),
    };
    let grids = (1..=parts).map(|rows| {
        let grid = Grid { rows, cols: parts / rows, grain };
        let rows = shape.m.div_ceil(grid.rows);
        let cols = (shape.n.div_ceil(grain).div_ceil(grid.cols) * grain).min(shape.n);
        (grid, part_cycles(kernels, strategy, rows, cols, shape.k))
    });
    grids.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Grid::WHOLE, 0.0))
}

/// Cycles that one part of a product takes: multiply-adds, and what is packed for it alone.
fn part_cycles(kernels: &Kernels, strategy: &Strategy, rows: usize, cols: usize, depth: usize) -> f64 {
    let (m, n, k) = (rows as f64, cols as f64, depth as f64);
    let vectors = match strategy.summation {
        Summation::Lanes => n * (depth.div_ceil(kernels.lanes) as f64),
        Summation::Auto | Summation::Chain => cols.div_ceil(kernels.lanes) as f64 * k,
    };
    let right = match strategy.packing {
        Packing::InPlace | Packing::Prepacked => 0.0,
        Packing::Copy => COPY_COST,
        Packing::Transpose => TRANSPOSE_COST,
    };
    let left = if strategy.pack_left { COPY_COST } else { 0.0 };
    (FMA_COST * m * vectors).max(TRAFFIC_COST * (m * k + k * n + m * n))
        + right * k * n
        + left * k * m
        + OUTPUT_COST * m * n
}

/// Cycles that an `m × n` product with sums of `k` terms takes on one core, roughly: the question of how many work on
/// it comes before its strategy.
pub(crate) fn product_cycles(kernels: &Kernels, m: usize, n: usize, k: usize) -> f64 {
    let (m, n, k) = (m as f64, n as f64, k as f64);
    let traffic = TRAFFIC_COST * (m * k + k * n + m * n);
    (FMA_COST * m * n * k / kernels.lanes as f64).max(traffic) + OUTPUT_COST * m * n
}

/// Cycles that `dz` and its column sums take on one core.
pub(crate) fn dz_cycles(rows: usize, cols: usize) -> f64 {
    DZ_COST * rows as f64 * cols as f64
}

/// How many workers finish work of this many cycles first.
///
/// With `p` of them it takes `cycles / p + cost · (1 + WORKER_COST · (p - 2))`, which has one minimum and no steps: at
/// the size from which on a worker more is used, it neither gains nor loses.
pub(crate) fn workers(cycles: f64, supply: &Supply) -> usize {
    let time = |workers: usize| match workers {
        1 => cycles,
        p => cycles / p as f64 + supply.cost * (1.0 + WORKER_COST * (p - 2) as f64),
    };
    (1..=supply.workers.max(1)).min_by(|a, b| time(*a).total_cmp(&time(*b))).unwrap_or(1)
}

#[cfg(test)]
mod tests;
