//! A long batch over few weights: each worker takes whole blocks of the batch, from `dz` to the block's share of `dw`.
//!
//! A worker reads the `dz` that it has made itself, and all meet but once: to add up the blocks' sums, which are the
//! chain order's own, in ascending order.

use super::Call;
use super::check::Destination;
use crate::activation::Activation;
use crate::gemm::dz::ColumnSums;
use crate::gemm::{Gemm, driver};
use crate::kernel::{Finish, Sink, Source, Start};
use crate::layer::{Dense, Scratch};
use crate::plan::{self, Asked};
use crate::summation::{SUM_BLOCK, Summation};
use crate::threads::Crew;
use crate::tuning::{LINE, Tuning};
use crate::workspace::padded;
use core::ops::Range;

/// Scratch for a crew whose workers make `dz` themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::layer) struct BlocksLayout {
    /// One worker's `dz`.
    pub(in crate::layer) dz: usize,
    /// The sums of one block, those of `dw` before those of `db`.
    block: usize,
    /// Blocks before their sums are added up; none where a layer has too many weights, or outputs.
    pub(in crate::layer) most: usize,
}

impl BlocksLayout {
    /// `None` where a length overflows.
    pub(in crate::layer) fn new(layer: &Dense, dz_row_stride: usize, tuning: &Tuning) -> Option<Self> {
        if layer.threads.max() == 1 {
            return Some(Self::default());
        }
        let dz = padded(dz_row_stride.checked_mul(SUM_BLOCK)?)?;
        let weights = layer.inputs.checked_mul(layer.outputs)?;
        let block = padded(weights)?.checked_add(padded(layer.outputs)?)?;
        let fits = dz <= tuning.own_dz_max_len && (1..=tuning.block_max_weights).contains(&weights);
        let most = if fits { (tuning.block_sums_len / block).min(tuning.block_max_count) } else { 0 };
        // In whole cache lines, as workers' pieces are.
        Some(Self { dz: dz.min(tuning.own_dz_max_len / LINE * LINE), block, most })
    }

    /// The sums of all blocks.
    pub(in crate::layer) fn sums(&self) -> usize {
        self.block * self.most
    }
}

/// Blocks that a crew shares: what its workers see.
struct Blocks<'c> {
    call: &'c Call<'c>,
    layout: BlocksLayout,
    dz_row_stride: usize,
    sums: *mut f32,
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
        let (piece_len, layout, dz_row_stride) =
            (scratch.piece_len(crew), scratch.layout.blocks, scratch.layout.dz_row_stride);
        let Scratch { block_sums, workers: scratch, .. } = scratch;
        let outputs = self.layer.outputs;
        let sums = if self.d_w.is_some() { self.layer.inputs * outputs } else { 0 };
        let blocks = Blocks { call: self, layout, dz_row_stride, sums: block_sums.as_mut_ptr(), db };
        let all = self.batch.div_ceil(SUM_BLOCK);
        for first in (0..all).step_by(layout.most) {
            let count = layout.most.min(all - first);
            let adders = plan::add_up_workers(self.target, count * sums, outputs, &crew.budget());
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
        let add_to = |to: Option<Destination>| to.is_some_and(|to| to.add) || first + index > 0;
        // SAFETY: the sums have the shapes of `dw` and `db`.
        unsafe {
            let (d_w, d_b) = blocks.sums_of(index);
            if let (Some(db), 0) = (blocks.db, rows.start) {
                let to = Sink { ptr: db, row_stride: outputs, col_stride: 1 };
                self.add_row(d_b, to, outputs, add_to(self.d_b), scratch);
            }
            if let Some(Destination { sink, .. }) = self.d_w {
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
            finish: if add { Finish::add(self.scale) } else { Finish::overwrite(self.scale) },
            activation: Activation::Identity,
            update: None,
        };
        // SAFETY: the caller's promise; a product without terms reads neither operand.
        unsafe { self.compute_unkept(&gemm, Summation::Chain, scratch) };
    }

    /// A product, whole, by a plan that is not kept: workers go over several blocks at once.
    ///
    /// # Safety
    /// As [`driver::run_whole`].
    unsafe fn compute_unkept(&self, gemm: &Gemm, summation: Summation, scratch: &mut [f32]) {
        let plan = plan::plan(&self.asked(gemm, summation, 1, scratch.len()).question());
        // SAFETY: the caller's promise.
        unsafe { driver::run_whole(&plan, gemm, scratch) };
    }
}

impl Blocks<'_> {
    /// Where the sums of a block stand: those of `dw`, and those of `db`.
    ///
    /// # Safety
    /// The block must be one of a round's.
    unsafe fn sums_of(&self, index: usize) -> (Sink, *mut f32) {
        let layer = self.call.layer;
        let db_at = self.layout.block - padded(layer.outputs).unwrap_or(0);
        // SAFETY: there is room for the sums of every block of a round.
        let ptr = unsafe { self.sums.add(index * self.layout.block) };
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
        let (layer, kernels) = (call.layer, call.target.kernels);
        let start = (first + index) * SUM_BLOCK;
        let rows = SUM_BLOCK.min(call.batch - start);
        let (dz, scratch) = scratch.split_at_mut(layout.dz);
        let dz = Sink::rows(dz.as_mut_ptr(), self.dz_row_stride);
        // SAFETY: the block lies inside the batch, for which the caller vouches; its sums and its `dz` are this worker's.
        unsafe {
            let (d_w, d_b) = self.sums_of(index);
            let sums = self.db.map(|_| ColumnSums { ptr: d_b, scale: 1.0, add: false });
            let (pass, dz) = call.dz_pass(start, rows, dz, sums);
            if let Some(pass) = pass {
                pass.run(kernels, 0..layer.outputs, scratch);
            }
            if let Some(to) = call.d_a_prev {
                let (gemm, summation) = call.a_prev_product(start, rows, dz, to);
                call.compute_unkept(&gemm, summation, scratch);
            }
            if call.d_w.is_some() {
                let a_prev = Source { ptr: call.a_prev.at(start, 0), ..call.a_prev };
                let gemm = layer.w_product(rows, dz, a_prev, d_w, Finish::overwrite(1.0));
                call.compute_unkept(&gemm, Summation::Chain, scratch);
            }
        }
    }
}
