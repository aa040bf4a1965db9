//! A long batch over few weights: each worker takes whole blocks of the batch, from `dz` to the block's share of `dw`.
//!
//! A worker reads the `dz` that it has made itself, and all meet but once: to add up the blocks' sums, which are the
//! chain order's own, in ascending order.

use super::{Call, ColumnSums, Target};
use crate::activation::Activation;
use crate::gemm::{Gemm, driver};
use crate::kernel::chain::Start;
use crate::kernel::{Sink, Source};
use crate::layer::{Dense, Scratch};
use crate::plan;
use crate::summation::{SUM_BLOCK, Summation};
use crate::threads::Crew;
use crate::workspace::{apart, padded};
use core::ops::Range;

/// Most weights of a layer whose gradient stands in scratch once for each block, and room for that.
const MOST_WEIGHTS: usize = 1 << 14;
const PARTIALS_LEN: usize = 1 << 18;

/// Most elements of `dz` that a worker makes for itself: what its second-level cache has room for.
const MOST_OWN_DZ: usize = 1 << 15;

/// Most blocks before their sums are added up.
const MOST_BLOCKS: usize = 64;

/// Scratch for a crew whose workers make `dz` themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::layer) struct BlocksLayout {
    /// One worker's `dz`.
    pub(in crate::layer) dz: usize,
    /// The sums of one block, those of `dw` before those of `db`.
    partial: usize,
    /// Blocks before their sums are added up; none where a layer has too many weights, or outputs.
    pub(in crate::layer) most: usize,
}

impl BlocksLayout {
    /// `None` where a length overflows.
    pub(in crate::layer) fn new(layer: &Dense) -> Option<Self> {
        if layer.threads.max() == 1 {
            return Some(Self::default());
        }
        let block = padded(apart(layer.outputs)?.checked_mul(SUM_BLOCK)?)?;
        let weights = layer.inputs.checked_mul(layer.outputs)?;
        let partial = padded(weights)?.checked_add(padded(layer.outputs)?)?;
        let fits = block <= MOST_OWN_DZ && (1..=MOST_WEIGHTS).contains(&weights);
        let most = if fits { (PARTIALS_LEN / partial).min(MOST_BLOCKS) } else { 0 };
        Some(Self { dz: block.min(MOST_OWN_DZ), partial, most })
    }

    /// The sums of all blocks.
    pub(in crate::layer) fn partials(&self) -> usize {
        self.partial * self.most
    }
}

/// Blocks that a crew shares: what its workers see.
struct Blocks<'c> {
    call: &'c Call<'c>,
    layout: BlocksLayout,
    partials: *mut f32,
    /// Where `db` goes, if it is wanted.
    db: Option<*mut f32>,
}

// SAFETY: workers read the call's inputs and write disjoint rows of its outputs and partial sums; one of them, `db`.
unsafe impl Sync for Blocks<'_> {}

impl Call<'_> {
    /// The whole batch, shared block by block; `db`, where it is wanted, is contiguous.
    ///
    /// # Safety
    /// As [`Call::run`], for a layer whose layout has room for partial sums.
    #[inline(never)]
    pub(super) unsafe fn by_blocks(&self, crew: &Crew<'_>, scratch: &mut Scratch<'_>, db: Option<*mut f32>) {
        let piece_len = scratch.piece_len(crew);
        let Scratch { blocks: layout, partials, workers: scratch, .. } = scratch;
        let layout = *layout;
        let outputs = self.layer.outputs;
        let sums = if self.d_w.is_some() { self.layer.inputs * outputs } else { 0 };
        let blocks = Blocks { call: self, layout, partials: partials.as_mut_ptr(), db };
        let all = self.batch.div_ceil(SUM_BLOCK);
        for first in (0..all).step_by(layout.most) {
            let count = layout.most.min(all - first);
            let supply = crew.supply();
            let adders = plan::workers(plan::add_up_cycles(count * sums, &supply), 0.0, &supply).min(outputs);
            crew.share(count, scratch, piece_len, &|index, scratch| {
                // SAFETY: the caller's promise; each block is computed once.
                unsafe { blocks.compute(first, index, scratch) };
            });
            crew.share(adders, scratch, piece_len, &|index, scratch| {
                // SAFETY: as above; all blocks have been computed, and the rows are this worker's.
                unsafe { blocks.add_up(first, count, plan::share(outputs, 1, index, adders), scratch) };
            });
        }
    }

    /// Adds a block's sums for rows of `dw`, and with the first of them `db`, to what the blocks before it have left.
    ///
    /// # Safety
    /// As [`Blocks::add_up`].
    unsafe fn add_block(
        &self,
        blocks: &Blocks<'_>,
        first: usize,
        index: usize,
        rows: Range<usize>,
        scratch: &mut [f32],
    ) {
        let (inputs, outputs) = (self.layer.inputs, self.layer.outputs);
        let add_to = |target: Option<Target>| target.is_some_and(|target| target.add) || first + index > 0;
        // SAFETY: the partial sums have the shapes of `dw` and `db`.
        unsafe {
            let (d_w, d_b) = blocks.partial(index);
            if let (Some(db), 0) = (blocks.db, rows.start) {
                let to = Sink { ptr: db, row_stride: outputs, col_stride: 1 };
                self.add_row(d_b, to, outputs, add_to(self.d_b), scratch);
            }
            if let Some(target) = self.d_w {
                let sink = target.sink;
                // Rows that follow each other without a gap are one.
                let is_whole = sink.col_stride == 1 && sink.row_stride == inputs;
                let (step, len) = if is_whole { (rows.len().max(1), rows.len() * inputs) } else { (1, inputs) };
                for row in rows.step_by(step) {
                    let to = Sink { ptr: sink.at(row, 0), ..sink };
                    self.add_row(d_w.at(row, 0), to, len, add_to(self.d_w), scratch);
                }
            }
        }
    }

    /// `to = scale · sums`, or `to += scale · sums`: a product without terms that starts from the sums.
    ///
    /// # Safety
    /// `sums` must be readable and `to` writable (with `add` readable) at `len` places.
    unsafe fn add_row(&self, sums: *const f32, to: Sink, len: usize, add: bool, scratch: &mut [f32]) {
        let nothing = Source { ptr: sums, row_stride: len, col_stride: 1 };
        let gemm = Gemm {
            m: 1,
            n: len,
            k: 0,
            a: nothing,
            b: nothing,
            is_prepacked: false,
            c: to,
            z: None,
            start: Start::Columns(sums),
            scale: self.scale,
            add,
            activation: Activation::Identity,
            update: None,
        };
        // SAFETY: the caller's promise; a product without terms reads neither operand.
        unsafe { driver::run_whole(self.kernels, &gemm, Summation::Chain, scratch) };
    }
}

impl Blocks<'_> {
    /// Where the sums of a block stand: those of `dw`, and those of `db`.
    unsafe fn partial(&self, index: usize) -> (Sink, *mut f32) {
        let layer = self.call.layer;
        let db_at = self.layout.partial - padded(layer.outputs).unwrap_or(0);
        // SAFETY: there is room for the sums of every block of a round.
        let ptr = unsafe { self.partials.add(index * self.layout.partial) };
        // SAFETY: as above.
        (Sink { ptr, row_stride: layer.inputs, col_stride: 1 }, unsafe { ptr.add(db_at) })
    }

    /// Adds up the sums of `count` blocks from `first` on, for rows of `dw` and, with the first of them, `db`.
    ///
    /// # Safety
    /// As [`Call::by_blocks`]; the blocks have been computed, and nobody else adds up these rows.
    unsafe fn add_up(&self, first: usize, count: usize, rows: Range<usize>, scratch: &mut [f32]) {
        for index in 0..count {
            // SAFETY: the caller's promise.
            unsafe { self.call.add_block(self, first, index, rows.clone(), scratch) };
        }
    }

    /// `dz` and `dA_prev` of a block, and its sums for `dw` and `db`.
    ///
    /// # Safety
    /// As [`Call::by_blocks`]; nobody else computes this block, and the scratch has a worker's length.
    unsafe fn compute(&self, first: usize, index: usize, scratch: &mut [f32]) {
        let Self { call, layout, .. } = self;
        let (layer, kernels) = (call.layer, call.kernels);
        let start = (first + index) * SUM_BLOCK;
        let rows = SUM_BLOCK.min(call.batch - start);
        let (dz, scratch) = scratch.split_at_mut(layout.dz);
        let row_stride = apart(layer.outputs).unwrap_or(layer.outputs);
        let dz = Sink { ptr: dz.as_mut_ptr(), row_stride, col_stride: 1 };
        // SAFETY: the block lies inside the batch, for which the caller vouches; its sums and its `dz` are this worker's.
        unsafe {
            let (d_w, d_b) = self.partial(index);
            let sums = self.db.map(|_| ColumnSums { ptr: d_b, scale: 1.0, add: false });
            let (pass, dz) = call.dz_pass(start, rows, dz, sums);
            if let Some(pass) = pass {
                pass.run(kernels, 0..layer.outputs, scratch);
            }
            if let Some(target) = call.d_a_prev {
                let (gemm, summation) = call.a_prev_gemm(start, rows, dz, target);
                driver::run_whole(kernels, &gemm, summation, scratch);
            }
            if call.d_w.is_some() {
                let a_prev = Source { ptr: call.a_prev.at(start, 0), ..call.a_prev };
                let gemm = layer.w_product(rows, dz, a_prev, d_w, 1.0, false);
                driver::run_whole(kernels, &gemm, Summation::Chain, scratch);
            }
        }
    }
}
