//! A batch chunk by chunk: `dz` and `db`, then `dA_prev` and `dW`.

use super::Call;
use crate::gemm::dz::{ColumnSums, DzPass};
use crate::gemm::{Gemm, HowToCompute, driver};
use crate::kernel::{Sink, Source};
use crate::layer::Scratch;
use crate::plan::{self, ChunkJobs, Plan, Slot, UpdateBy};
use crate::summation::Summation;
use crate::threads::Crew;
use crate::tuning::LINE;

/// A product and the order of its sums.
type Product<'g> = (Gemm<'g>, Summation);

impl Call<'_> {
    /// Chunk by chunk of the batch.
    ///
    /// # Safety
    /// As [`Call::run`].
    #[inline(never)]
    pub(super) unsafe fn by_chunks(&self, crew: &Crew<'_>, scratch: &mut Scratch<'_>, db: Option<*mut f32>) {
        let most = scratch.layout.chunk_rows;
        // An empty batch is one empty chunk, which sets the gradients to zero or leaves them as they are.
        for start in (0..self.batch.max(1)).step_by(most) {
            let rows = most.min(self.batch - start);
            // SAFETY: rows start..start + rows lie inside the batch, for which the caller vouches.
            unsafe {
                if crew.workers() == 1 {
                    self.chunk(start, rows, scratch, db);
                } else {
                    self.shared_chunk(start, rows, crew, scratch, db);
                }
            }
        }
    }

    /// Rows `start..start + rows` on this thread.
    ///
    /// # Safety
    /// As [`Call::run`], for no more rows inside the batch than a chunk has; `db` has room for one element for each output.
    #[inline(always)]
    pub(super) unsafe fn chunk(&self, start: usize, rows: usize, scratch: &mut Scratch<'_>, db: Option<*mut f32>) {
        let (pass, dz) = self.dz_pass(start, rows, self.dz_sink(scratch), self.column_sums(start, db));
        // SAFETY: the caller's promise; the scratch has the length that the plans are told.
        unsafe {
            if let Some(pass) = pass {
                pass.run(self.target.kernels, 0..self.layer.outputs, scratch.workers);
            }
            let [a_prev_slot, w_slot] = self.slots(start, rows);
            if let Some(destination) = self.d_a_prev {
                let product = self.a_prev_product(start, rows, dz, destination);
                self.compute(&product, a_prev_slot, scratch);
            }
            if let Some(product) = self.w_product(start, rows, dz) {
                self.compute(&product, w_slot, scratch);
            }
        }
    }

    /// A product, whole, by the plan that is kept for it.
    ///
    /// # Safety
    /// As [`driver::run_whole`].
    #[inline(always)]
    unsafe fn compute(&self, (gemm, summation): &Product<'_>, slot: Slot, scratch: &mut Scratch<'_>) {
        let asked = self.asked(gemm, *summation, 1, scratch.workers.len());
        // SAFETY: the caller's promise.
        unsafe { driver::run_whole(scratch.plans.get(slot, &asked), gemm, scratch.workers) };
    }

    #[inline(always)]
    pub(super) fn asked<'g>(
        &self,
        gemm: &'g Gemm<'g>,
        summation: Summation,
        workers: usize,
        scratch_len: usize,
    ) -> HowToCompute<'g> {
        HowToCompute { target: self.target, gemm, summation, workers, scratch_len }
    }

    /// The slots of a chunk's plans. Those of the last chunk, which may be shorter, are apart: a batch of one chunk has no other.
    #[inline(always)]
    fn slots(&self, start: usize, rows: usize) -> [Slot; 2] {
        if start + rows == self.batch { [Slot::DAPrev, Slot::DW] } else { [Slot::WholeDAPrev, Slot::WholeDW] }
    }

    /// Where a chunk's `dz` stands.
    #[inline(always)]
    fn dz_sink(&self, scratch: &mut Scratch<'_>) -> Sink {
        Sink::rows(scratch.dz.as_mut_ptr(), scratch.layout.dz_row_stride)
    }

    /// Where the column sums of the chunk from row `start` on go.
    #[inline(always)]
    fn column_sums(&self, start: usize, db: Option<*mut f32>) -> Option<ColumnSums> {
        let add = self.d_b.is_some_and(|d_b| d_b.add) || start > 0;
        db.map(|ptr| ColumnSums { ptr, scale: self.scale, add })
    }

    /// Rows `start..start + rows`, shared.
    ///
    /// # Safety
    /// As [`Call::chunk`].
    unsafe fn shared_chunk(
        &self,
        start: usize,
        rows: usize,
        crew: &Crew<'_>,
        scratch: &mut Scratch<'_>,
        db: Option<*mut f32>,
    ) {
        let members = crew.workers();
        let (piece_len, own_len) = (scratch.piece_len(crew), scratch.layout.blocks.dz);
        let (dz_sink, db) = (self.dz_sink(scratch), self.column_sums(start, db));
        let (pass, dz) = self.dz_pass(start, rows, dz_sink, db);
        let [a_prev_slot, w_slot] = self.slots(start, rows);
        let mut planned = |slot: Slot, (gemm, summation): Product<'_>| -> Plan {
            *scratch.plans.get(slot, &self.asked(&gemm, summation, members, piece_len - own_len))
        };
        let plans = [
            self.d_a_prev.map(|to| planned(a_prev_slot, self.a_prev_product(start, rows, dz, to))),
            self.w_product(start, rows, dz).map(|product| planned(w_slot, product)),
        ];
        // Parts of the two go together: a member claims its share of both at once.
        let parts = plans.iter().flatten().map(Plan::parts).max().unwrap_or(0);
        let products = |dz: Source| {
            [self.d_a_prev.map(|to| self.a_prev_product(start, rows, dz, to)), self.w_product(start, rows, dz)]
        };
        let chunk = SharedChunk { call: self, crew, plans, parts, piece_len };
        let updates_in_place = self.step.is_some() && self.update_by != UpdateBy::WholeGradient;
        let reads_before_update = updates_in_place && self.d_a_prev.is_some();
        let has_own_dz = self.d_z.is_none() && rows * dz_sink.row_stride <= own_len;
        let scratch = &mut *scratch.workers;
        // SAFETY: the caller's promise.
        unsafe {
            match plan::chunk_jobs(members, parts, reads_before_update, has_own_dz) {
                ChunkJobs::OwnDz => crew.share(parts, scratch, piece_len, &|index, scratch| {
                    let (own, scratch) = scratch.split_at_mut(own_len);
                    let own = Sink { ptr: own.as_mut_ptr(), ..dz_sink };
                    let (pass, dz) = self.dz_pass(start, rows, own, db.filter(|_| index == 0));
                    if let Some(pass) = pass {
                        // This `dz` is the worker's own, and one of them makes `db`.
                        pass.run(self.target.kernels, 0..self.layer.outputs, scratch);
                    }
                    chunk.part(&products(dz), index, scratch);
                }),
                ChunkJobs::DzThenProducts => {
                    chunk.dz(pass, rows, scratch);
                    let products = products(dz);
                    crew.share(parts, scratch, piece_len, &|index, scratch| chunk.part(&products, index, scratch));
                }
                ChunkJobs::DzThenEach => {
                    chunk.dz(pass, rows, scratch);
                    let [a_prev, w] = products(dz);
                    for products in [[a_prev, None], [None, w]] {
                        crew.share(parts, scratch, piece_len, &|index, scratch| chunk.part(&products, index, scratch));
                    }
                }
            }
        }
    }
}

/// A chunk of the batch that a crew shares.
struct SharedChunk<'c> {
    call: &'c Call<'c>,
    crew: &'c Crew<'c>,
    /// Of `dA_prev` and of `dw`.
    plans: [Option<Plan>; 2],
    parts: usize,
    piece_len: usize,
}

impl SharedChunk<'_> {
    /// `dz`, by columns.
    ///
    /// # Safety
    /// As [`Call::chunk`], for the pass of this chunk.
    unsafe fn dz(&self, pass: Option<DzPass>, rows: usize, scratch: &mut [f32]) {
        let Some(pass) = pass else { return };
        let (target, outputs) = (self.call.target, self.call.layer.outputs);
        let cycles = plan::dz_cycles(target, rows, outputs);
        let workers = plan::workers(target, cycles, 0.0, &self.crew.budget());
        self.crew.share(workers, scratch, self.piece_len, &|index, scratch| {
            let cols = plan::share(outputs, target.kernels.lanes.max(LINE), index, workers);
            // SAFETY: the caller's promise; the workers' columns are disjoint.
            unsafe { pass.run(target.kernels, cols, scratch) };
        });
    }

    /// A member's share of the products that there are.
    ///
    /// # Safety
    /// As [`Call::chunk`], for products that the plans were made for; no other member has this share.
    unsafe fn part(&self, products: &[Option<Product<'_>>; 2], index: usize, scratch: &mut [f32]) {
        for (product, plan) in products.iter().zip(&self.plans) {
            let (Some((gemm, _)), Some(plan)) = (product, plan) else { continue };
            for part in plan::share(plan.parts(), 1, index, self.parts) {
                // SAFETY: the caller's promise; the products write to different outputs, and each part is computed once.
                unsafe { driver::run(plan, gemm, part, scratch) };
            }
        }
    }
}
