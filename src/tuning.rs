//! Every number that is about speed and not about results, as data: a row for each instruction set and kind of CPU.
//!
//! `isa` picks the row; `plan` and `threads` read it. Each number is in cycles of one core, in elements (`f32`) or in what its
//! name counts. The decisions in `docs/decisions` say how the rows were measured.

pub(crate) mod caches;
mod numbers;
mod rows;

pub use caches::Caches;
pub use numbers::TuningNumberError;

use core::time::Duration;

/// The makers of CPUs that rows tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    Amd,
    Intel,
}

/// The CPUs that a row was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuMatch {
    pub(crate) vendor: Vendor,
    /// The lowest and highest family, as CPUID counts them.
    pub(crate) families: (u32, u32),
    /// The lowest and highest models of each stretch of them; all where there is none.
    pub(crate) models: &'static [(u32, u32)],
}

/// A CPU by its maker's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) vendor: Vendor,
    pub(crate) family: u32,
    pub(crate) model: u32,
}

impl CpuMatch {
    pub(crate) fn is(&self, cpu: Cpu) -> bool {
        let within = |(low, high): &(u32, u32), number: u32| (*low..=*high).contains(&number);
        let is_model = self.models.is_empty() || self.models.iter().any(|models| within(models, cpu.model));
        cpu.vendor == self.vendor && within(&self.families, cpu.family) && is_model
    }
}

/// One row: how to plan for an instruction set on a kind of CPU.
///
/// A layer takes the row that fits the CPU ([`Dense::tuning`](crate::Dense::tuning) tells which), unless the variable
/// [`TUNING_VARIABLE`](crate::TUNING_VARIABLE) or [`Dense::with_tuning`](crate::Dense::with_tuning) names another. A CPU that no
/// row was measured on takes the general row of its instruction set, made for the sizes of its [`Caches`]. Rows change how fast a
/// call is, never what it returns.
///
/// ```
/// use fused_dense::{Activation, Dense, Tuning};
///
/// let layer = Dense::new(784, 30, Activation::Sigmoid);
/// let row = layer.tuning()?;
/// assert!(Tuning::all().iter().any(|tuning| tuning.name() == row.name()));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    pub(crate) name: &'static str,
    /// The instruction set's name, as `isa::spec` has it.
    pub(crate) isa: &'static str,
    /// The CPUs that take the row; none where it is the general row of its instruction set.
    pub(crate) cpu: Option<CpuMatch>,
    /// The caches that a general row is made for.
    pub(crate) caches: Option<Caches>,

    // The cost model: cycles.
    /// One vector multiply-add of a micro-kernel.
    pub(crate) multiply_add_cost: f64,
    /// One element packed by transposition, or scattered.
    pub(crate) transpose_cost: f64,
    /// One element packed by copying.
    pub(crate) copy_cost: f64,
    /// One element of a left operand that lies across the sum, whole pages from term to term: low tiles take little of each.
    pub(crate) left_across_pages_cost: f64,
    /// The same where terms are more than a page apart, but not whole pages, for each panel of the right operand.
    pub(crate) left_across_long_rows_cost: f64,
    /// One element brought from the outer caches; and where the operands of a product have so many that the second level does not
    /// keep them from one call to the next.
    pub(crate) traffic_cost: f64,
    pub(crate) far_traffic_cost: f64,
    pub(crate) far_traffic_min_len: usize,
    /// One element of the left operand, once for each panel of the right one.
    pub(crate) left_per_panel_cost: f64,
    /// The activation of one output.
    pub(crate) activation_cost: f64,
    /// One element of `dz`: two operands read, one written.
    pub(crate) dz_cost: f64,
    /// One block's sum added to those before it.
    pub(crate) add_up_cost: f64,
    /// One parameter updated by its gradient, with its state.
    pub(crate) update_cost: f64,

    // Which route a product takes.
    /// Vector multiply-adds up to which a product is one call or two.
    pub(crate) single_call_max_len: usize,
    /// Whole vectors behind which columns may be a product of their own, and multiply-adds of the vector that they would fill
    /// from which on they are.
    pub(crate) split_min_vectors: usize,
    pub(crate) split_min_len: usize,
    /// Rows, and factors of the left operand, from which on vectors hold several rows of few columns.
    pub(crate) few_columns_min_rows: usize,
    pub(crate) few_columns_min_len: usize,
    /// Columns from which on an outer product takes more terms than one.
    pub(crate) outer_terms_min_cols: usize,
    /// Columns from which on outer products and single rows cut a row's first vector so that the next begins on a cache line.
    pub(crate) outer_aligned_min_cols: usize,
    pub(crate) row_aligned_min_cols: usize,
    /// Whether an outer product of one term is written, or added, two rows at a time, and whether these may be pages apart.
    pub(crate) outer_writes_in_pairs: bool,
    pub(crate) outer_adds_in_pairs: bool,
    pub(crate) outer_pairs_pages_apart: bool,
    /// Whether an outer product of one term is added by vectors half as wide, where there are any.
    pub(crate) outer_adds_by_halves: bool,
    /// Whether a chain tile computes half of its last vector where half is enough, on an instruction set that has such operations.
    pub(crate) half_last_vectors: bool,
    /// Most vectors of a chain tile where the sum is one block and nothing comes behind it: sums are short there, and the next tile
    /// waits for the stores of a larger one.
    pub(crate) direct_tile_vectors: usize,
    /// Columns of a row whose sums stay in the first-level cache.
    pub(crate) row_max_cols: usize,
    /// Rows of an outer product by which parameters are updated at a time.
    pub(crate) outer_update_rows: usize,

    // Where operands stand.
    /// Elements of the right operand that stay in the first-level cache from one call to the next.
    pub(crate) first_level_len: usize,
    /// Elements from one row to the next that are whole pages apart: reading rows in place is slow from there on.
    pub(crate) page_stride: usize,
    /// Rows from which on a copied panel pays for itself where reading in place is slow; and where rows are whole pages apart, of an
    /// operand with so many elements that it comes from beyond the second-level cache.
    pub(crate) copy_min_rows: usize,
    pub(crate) copy_far_pages_min_rows: usize,
    pub(crate) copy_far_pages_min_len: usize,
    /// Elements of the right operand from which on rows of broken vectors are copied: many a load of them crosses a cache line.
    pub(crate) copy_broken_min_len: usize,
    /// Rows, and elements from row to row, from which on every right operand is copied.
    pub(crate) copy_all_min_rows: usize,
    pub(crate) copy_all_min_stride: usize,
    /// Terms from which on it does, whatever the reason.
    pub(crate) copy_min_terms: usize,
    /// Columns from which on panels of a right operand in place begin on its cache lines, where all its rows can.
    pub(crate) panel_aligned_min_cols: usize,
    /// Rows and terms from which on panels of a right operand in place are a vector narrower than others: their tiles have more rows,
    /// and load less of that operand.
    pub(crate) narrow_panels_min_rows: usize,
    pub(crate) narrow_panels_min_terms: usize,
    /// Panels of the right operand from which on packing the left one pays for itself, and where its terms are whole pages apart.
    pub(crate) pack_left_min_panels: usize,
    /// Terms from which on it does, where they are not whole pages apart.
    pub(crate) pack_left_min_terms: usize,
    pub(crate) pack_left_pages_min_panels: usize,
    /// Terms of the left operand that are packed at a time where they share cache sets.
    pub(crate) pack_left_terms: usize,
    /// Rows, and elements from one row of the output to the next, from which on totals are staged in scratch memory.
    pub(crate) staging_min_rows: usize,
    pub(crate) staging_min_stride: usize,
    /// Terms from which on they are where no activation follows.
    pub(crate) staging_plain_min_terms: usize,
    /// Rows of staged totals that leave the second-level cache room for the panel beside them.
    pub(crate) staging_max_rows: usize,
    /// Elements of the left operand that stay in the second-level cache while all prepacked panels pass by.
    pub(crate) left_max_len: usize,
    /// Elements of the left operand from which on its next tile is prefetched.
    pub(crate) left_prefetch_min_len: usize,

    // In which order tiles go.
    /// Terms up to which an output is written row by row whose rows are a multiple of such a stride apart, or that has so many
    /// elements; its least rows, and the most elements of the right operand, which is read again for each height of tiles.
    pub(crate) along_rows_max_terms: usize,
    pub(crate) along_rows_stride: usize,
    pub(crate) along_rows_far_min_len: usize,
    pub(crate) along_rows_min_rows: usize,
    pub(crate) along_rows_max_len: usize,
    /// Elements of the right operand that stay in the caches while tiles of one height pass by.
    pub(crate) right_max_len: usize,
    /// Elements of the output that a run of tiles may have where the epilogue goes over them next.
    pub(crate) epilogue_max_len: usize,
    /// Outputs up to which, and samples from which on, `dz` is computed as one row where rows have no gaps.
    pub(crate) dz_joined_max_cols: usize,
    pub(crate) dz_joined_min_rows: usize,

    // Dot products.
    /// Rows up to which tiles are as high as they come.
    pub(crate) few_dot_rows: usize,
    /// Rows of a tile up to which, and terms from which on, its vectors begin on the operands' cache lines.
    pub(crate) dot_aligned_max_rows: usize,
    pub(crate) dot_aligned_min_terms: usize,
    /// Terms from which on those of tiles of any height do, where an operand comes from the outer caches.
    pub(crate) dot_aligned_tall_min_terms: usize,
    /// Columns of an output up to which, and terms for each of them from which on, those of tiles of any height do too.
    pub(crate) dot_aligned_narrow_max_cols: usize,
    pub(crate) dot_aligned_narrow_terms: usize,
    /// Outputs from which on a row or two of dot products, of few terms, stay in registers.
    pub(crate) short_dots_min_outputs: usize,
    /// Columns of an output up to which, and rows from which on, dot products are those of the transposed output.
    pub(crate) dot_columns_as_rows_max: usize,
    pub(crate) dot_columns_as_rows_min_len: usize,
    /// Rows up to which, and elements of all of them and of a tile's columns from which on, the rows of a tile go over all columns before
    /// the next rows do; and elements of one tile's rows and columns up to which: the first-level cache keeps these, and not those.
    pub(crate) dot_rows_first_max_rows: usize,
    pub(crate) dot_rows_first_min_len: usize,
    pub(crate) dot_rows_first_max_len: usize,
    /// Elements of the right operand up to which they do, which comes again each time.
    pub(crate) dot_rows_first_max_right_len: usize,
    /// Terms from which on and up to which, and elements of the right operand from which on, one row of dot products goes
    /// through several parts of the columns side by side.
    pub(crate) dot_parts_min_terms: usize,
    pub(crate) dot_parts_max_terms: usize,
    pub(crate) dot_parts_min_len: usize,
    /// Terms from which on and up to which two rows and more do, where the instruction set has a kernel of so many.
    pub(crate) dot_parts_rows_min_terms: usize,
    pub(crate) dot_parts_rows_max_terms: usize,

    // Backward.
    /// Blocks of the batch in a chunk, and elements of `dz` from which on it has one block only.
    pub(crate) chunk_max_blocks: usize,
    pub(crate) chunk_max_len: usize,
    /// Parameters up to which one update behind the whole gradient is cheaper than one for each tile of it; and up to which it is so
    /// by several samples and an optimiser with state.
    pub(crate) update_min_len: usize,
    pub(crate) whole_gradient_max_len: usize,
    /// Samples up to which parameters whose rows are pages apart are updated behind their gradient.
    pub(crate) update_pages_max_terms: usize,
    /// Weights of a layer whose gradient stands in scratch once for each block, room for that, and the most blocks.
    pub(crate) block_max_weights: usize,
    pub(crate) block_sums_len: usize,
    pub(crate) block_max_count: usize,
    /// Elements of `dz` that a worker makes for itself.
    pub(crate) own_dz_max_len: usize,

    // Sharing.
    /// Each stretch of memory where one worker's columns end and another's begin: cycles.
    pub(crate) seam_cost: f64,
    /// Cycles from which on a worker's part is cut into pieces, the most pieces, and what they may cost as the time of all
    /// against that of the part.
    pub(crate) piece_min_cycles: f64,
    pub(crate) max_pieces: usize,
    pub(crate) piece_tolerance: f64,
    /// The addition of each further worker to the cost of a handover, as a fraction of that of the first.
    pub(crate) worker_cost: f64,
    /// Cycles up to which work is never shared.
    pub(crate) parallel_min_cycles: usize,
    /// Times that a training step reads each parameter, as far as time goes.
    pub(crate) step_parameter_reads: f64,
}

impl Tuning {
    /// Every row, the general one of each instruction set behind those of its CPUs, and made for [`Caches::DEFAULT`].
    #[must_use]
    pub fn all() -> &'static [Self] {
        rows::ROWS
    }

    /// The name that [`TUNING_VARIABLE`](crate::TUNING_VARIABLE) takes, with the numbers that were
    /// [changed](Self::with_number) behind it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the row stands for all CPUs of its instruction set that have no row of their own.
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.cpu.is_none()
    }

    /// Whether elements of this stride lie whole pages apart, and so share a few sets of a cache.
    pub(crate) fn is_pages(&self, stride: usize) -> bool {
        stride.is_multiple_of(self.page_stride)
    }

    /// The caches that a general row was made for; `None` where the row was measured on its CPU.
    #[must_use]
    pub fn caches(&self) -> Option<Caches> {
        self.caches
    }
}

/// 1; but 0 in a build for tests with `RUSTFLAGS="--cfg fused_dense_force_sharing"`, where sharing seems to cost nothing: all
/// work that has parts is then shared, however small.
const COSTS: usize = if cfg!(fused_dense_force_sharing) { 0 } else { 1 };

/// `f32`s in one cache line.
pub(crate) const LINE: usize = 16;

/// Elements from row to row, and their multiples, at which rows share a few sets of the caches: 2 KiB.
pub(crate) const SHARED_SETS_STRIDE: usize = 512;

/// Elements of samples to gather that are prefetched ahead of the one that is copied: enough for the memory to have several
/// lines on their way, and few enough that none is lost again.
pub(crate) const GATHER_AHEAD_LEN: usize = 1024;

/// How threads hand work over and wait for it, whatever their instruction set.
pub(crate) struct Handover {
    /// How long a team's worker waits awake for the next job where the last ones came that close, where they did not, and where
    /// the team is kept for one thread.
    pub(crate) patience: Duration,
    pub(crate) least_patience: Duration,
    pub(crate) held_patience: Duration,
    /// How long the leader stays awake for the last parts, and how long anybody asks without offering its core to others.
    pub(crate) leader_patience: Duration,
    pub(crate) spin: Duration,
    /// Questions of one that waits awake for one look at the clock, which takes as long as several.
    pub(crate) questions_per_look: usize,
    /// Jobs for one that is timed: reading the clock twice takes a tenth of a fast handover.
    pub(crate) timed_every: usize,
    /// Cycles that a team's handover costs before anything is measured, and the least and the most that it is taken to.
    pub(crate) first_cost: usize,
    pub(crate) least_cost: usize,
    pub(crate) most_cost: usize,
    /// Cycles of the whole for a nanosecond until the first helper begins: 2½ times as long, and about 4 cycles each.
    pub(crate) cycles_per_nanosecond: u32,
    /// Cycles by which cores that lie apart are dearer, for one more to read an element that another worker has written.
    pub(crate) cycles_per_move: f64,
    /// A backward call's handover by a forward one's: measured between cores near each other and far apart.
    pub(crate) backward_factor: f64,
    /// Cycles of work from which on a sleeping worker is woken for one call alone, and a chain of calls is shared.
    pub(crate) wake_cycles: f64,
}

pub(crate) const HANDOVER: Handover = Handover {
    patience: Duration::from_micros(100),
    least_patience: Duration::from_micros(5),
    held_patience: Duration::from_millis(1),
    leader_patience: Duration::from_micros(200),
    spin: Duration::from_micros(20),
    questions_per_look: 32,
    timed_every: 8,
    first_cost: COSTS * 1500,
    least_cost: COSTS * 1000,
    most_cost: COSTS * 8000,
    cycles_per_nanosecond: 10,
    cycles_per_move: 2500.0,
    backward_factor: 3.5,
    wake_cycles: COSTS as f64 * 100.0e3,
};

/// Handing work over to a rayon pool.
#[cfg(feature = "rayon")]
pub(crate) struct PoolHandover {
    /// How long a worker waits awake for its call's next job.
    pub(crate) patience: Duration,
    /// Cycles of a handover to workers that sleep, and of another one in the same call.
    pub(crate) cost: f64,
    pub(crate) awake_cost: f64,
    /// Cycles to read an element that another worker has written.
    pub(crate) move_cost: f64,
}

#[cfg(feature = "rayon")]
pub(crate) const POOL_HANDOVER: PoolHandover = PoolHandover {
    patience: Duration::from_millis(1),
    cost: COSTS as f64 * 60.0e3,
    awake_cost: COSTS as f64 * 4.0e3,
    move_cost: COSTS as f64 * 0.5,
};
