//! How a backward call goes over its batch, and who works on what.

use super::share::{shared_cycles, workers};
use super::{dz_cycles, product_cycles};
use crate::isa::Target;
use crate::summation::SUM_BLOCK;
use crate::threads::ParallelBudget;

/// A backward call, as far as its schedule depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchShape {
    pub(crate) batch: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Samples in a chunk of the batch, for which scratch memory holds `dz`.
    pub(crate) chunk_rows: usize,
    /// Blocks of the batch for whose sums scratch memory has room at a time; 0 where it has none.
    pub(crate) most_blocks: usize,
    /// Whether the gradient of the weights is wanted, and that of the inputs.
    pub(crate) d_w: bool,
    pub(crate) d_a_prev: bool,
    /// Whether sums over part of the batch may stand where `dw` goes.
    pub(crate) has_room: bool,
    /// Whether the rows of that room, of the weights and of their state are contiguous.
    pub(crate) has_contiguous_room: bool,
    /// Whether the weights are to be updated by plain gradient descent.
    pub(crate) descends: bool,
}

/// How a backward call goes over its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) order: BatchOrder,
    pub(crate) workers: usize,
    /// Cycles that one worker alone would take for the work that is shared out at once.
    pub(crate) cycles: f64,
    pub(crate) update_by: UpdateBy,
}

/// How weights get their update, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateBy {
    /// The product that is their gradient is added to them.
    Product,
    /// Each tile of that product updates its weights.
    Tiles,
    /// All of them are updated behind the product, which has room to stand in.
    WholeGradient,
}

/// The order in which the samples of a batch are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchOrder {
    /// All at once, on this thread.
    OneChunk,
    /// Chunk by chunk.
    Chunks,
    /// Block by block, each by one worker.
    Blocks,
}

/// The jobs by which workers share a chunk of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkJobs {
    /// One: each worker makes the `dz` that it needs for itself, then its part of both products.
    OwnDz,
    /// Two: `dz` by columns, then both products together.
    DzThenProducts,
    /// Three: `dz` by columns, then `dA_prev`, then the update of the weights that it has read.
    DzThenEach,
}

impl BatchShape {
    /// Cycles that so many samples take one core: `dz` and the products behind it.
    fn cycles(&self, target: Target, rows: usize) -> f64 {
        let products = f64::from(u8::from(self.d_w) + u8::from(self.d_a_prev));
        let product = product_cycles(target, rows, self.inputs, self.outputs);
        dz_cycles(target, rows, self.outputs) + products * product
    }
}

/// Cycles that a backward call with both products takes one core.
pub(crate) fn backward_cycles(target: Target, rows: usize, inputs: usize, outputs: usize) -> f64 {
    dz_cycles(target, rows, outputs) + 2.0 * product_cycles(target, rows, inputs, outputs)
}

/// Decides for a backward call; the budget tells the workers that could share it, if there are any.
#[inline(always)]
pub(crate) fn schedule(target: Target, shape: &BatchShape, budget: Option<&ParallelBudget>) -> Schedule {
    let serial = || {
        let order = if shape.batch <= shape.chunk_rows { BatchOrder::OneChunk } else { BatchOrder::Chunks };
        Schedule { order, workers: 1, cycles: 0.0, update_by: update_by(target, shape, 1) }
    };
    budget.and_then(|budget| shared(target, shape, budget)).unwrap_or_else(serial)
}

/// The schedule of a call that several workers could share, if that pays.
fn shared(target: Target, shape: &BatchShape, budget: &ParallelBudget) -> Option<Schedule> {
    let cycles = |rows: usize| shape.cycles(target, rows);
    let budget = &ParallelBudget { cost: budget.backward_cost, ..*budget };
    if cycles(shape.batch) <= budget.cost {
        return None;
    }
    let rows = shape.batch.min(shape.chunk_rows);
    // Each worker reads rows or columns of `dz`, which others have made.
    let moved = 2.0 * rows as f64 * shape.outputs as f64;
    let by_chunks = workers(target, cycles(rows), moved, budget);
    let chunks = shape.batch as f64 / rows.max(1) as f64;
    let chunk_cycles = chunks * shared_cycles(target, cycles(rows), moved, budget, by_chunks);
    match block_workers(target, shape, budget) {
        Some((workers, block_cycles)) if shape.has_room && block_cycles < chunk_cycles => Some(Schedule {
            order: BatchOrder::Blocks,
            workers,
            cycles: cycles(shape.batch),
            update_by: UpdateBy::WholeGradient,
        }),
        _ if by_chunks == 1 => None,
        _ => {
            let update_by = update_by(target, shape, by_chunks);
            Some(Schedule { order: BatchOrder::Chunks, workers: by_chunks, cycles: cycles(rows), update_by })
        }
    }
}

/// How an update comes to the weights: in place where the rule is plain descent by one block's sums, since nothing but the
/// block is added then.
fn update_by(target: Target, shape: &BatchShape, workers: usize) -> UpdateBy {
    if shape.descends && shape.batch <= SUM_BLOCK.min(shape.chunk_rows) {
        return UpdateBy::Product;
    }
    let tuning = target.tuning;
    let is_short = (2..=tuning.update_pages_max_terms).contains(&shape.batch);
    let has_pages = workers == 1 && is_short && shape.inputs >= tuning.page_stride;
    // Behind a whole gradient an update goes over long rows of all arrays, where tiles jump from row to row in each. One sample's
    // gradient goes by long rows anyhow, and plain descent has but one array for its tiles.
    let goes_by_rows = shape.has_contiguous_room && shape.batch > 1 && !shape.descends;
    let most = if goes_by_rows { tuning.whole_gradient_max_len } else { tuning.update_min_len };
    let is_small = shape.outputs.saturating_mul(shape.inputs) <= most;
    if shape.has_room && (is_small || has_pages) { UpdateBy::WholeGradient } else { UpdateBy::Tiles }
}

/// How many workers finish a batch in blocks first, and in how many cycles; `None` where there are not two blocks.
pub(super) fn block_workers(target: Target, shape: &BatchShape, budget: &ParallelBudget) -> Option<(usize, f64)> {
    let (count, most) = (shape.batch.div_ceil(SUM_BLOCK), shape.most_blocks);
    let block_cycles = shape.cycles(target, shape.batch.min(SUM_BLOCK));
    let sums = if shape.d_w { shape.inputs.saturating_mul(shape.outputs) } else { 0 };
    let time = |workers: usize| {
        let (rounds, others) = (count.div_ceil(most), (workers - 1) as f64);
        let share = rounds * most.min(count).div_ceil(workers);
        let add_up = add_up_cycles(target, count.saturating_mul(sums), budget);
        let add_up = add_up.min(shared_cycles(target, add_up, 0.0, budget, workers));
        let handovers = rounds as f64 * budget.cost * (1.0 + target.tuning.worker_cost * (others - 1.0));
        share as f64 * block_cycles + add_up + handovers
    };
    let most_workers = budget.workers.min(count).min(most);
    (2..=most_workers).map(|workers| (workers, time(workers))).min_by(|a, b| a.1.total_cmp(&b.1))
}

/// Cycles that adding up so many sums, which others have written, takes on one core.
fn add_up_cycles(target: Target, sums: usize, budget: &ParallelBudget) -> f64 {
    (target.tuning.add_up_cost + budget.move_cost) * sums as f64
}

/// How many workers add up the sums of so many blocks, each for some outputs.
pub(crate) fn add_up_workers(target: Target, sums: usize, outputs: usize, budget: &ParallelBudget) -> usize {
    workers(target, add_up_cycles(target, sums, budget), 0.0, budget).min(outputs)
}

/// Whether `dz` of so many short rows is computed as one long row, where they have no gaps, and summed up behind it.
pub(crate) fn dz_joins_rows(Target { tuning, .. }: Target, rows: usize, cols: usize) -> bool {
    cols <= tuning.dz_joined_max_cols && rows >= tuning.dz_joined_min_rows
}

/// How many workers update so many parameters by their whole gradient, each the weights of some outputs.
pub(crate) fn update_workers(target: Target, parameters: usize, outputs: usize, budget: &ParallelBudget) -> usize {
    let moved = parameters as f64;
    workers(target, target.tuning.update_cost * parameters as f64, moved, budget).min(outputs)
}

/// The jobs of a chunk that `members` share, whose products come in so many parts.
///
/// `reads_before_update` says that all of `dA_prev` has to be read off weights that are then updated, `own_dz` that `dz` is not
/// kept and small enough for each worker to make it itself.
pub(crate) fn chunk_jobs(members: usize, parts: usize, reads_before_update: bool, own_dz: bool) -> ChunkJobs {
    match () {
        () if reads_before_update => ChunkJobs::DzThenEach,
        () if own_dz && (1..=members).contains(&parts) => ChunkJobs::OwnDz,
        () => ChunkJobs::DzThenProducts,
    }
}
