//! The backward pass: a call is checked, scheduled, and run chunk by chunk of the batch, `dz` and `db` in one pass, then `dA_prev`
//! and `dW` from that chunk while it is in the caches.

pub(super) mod blocks;
mod check;
mod chunks;
mod products;

use super::update::Step;
use super::{Dense, Gradients, MOST_SAMPLES, Saved, Scratch, Upstream, Weights};
use crate::error::{Error, Operand};
use crate::gemm::packed::WeightsSource;
use crate::isa::Target;
use crate::kernel::elementwise::DzRows;
use crate::kernel::{Sink, Source};
use crate::matrix::Input;
use crate::plan::{self, BatchOrder, BatchShape, Part, Schedule, UpdateBy};
use crate::threads::Crew;
use crate::workspace::Workspace;
use check::Destination;
use core::ops::Range;

impl Dense {
    /// `dz` from upstream, then `dw = s · dzᵀ · a_prev`, `db = s · Σ_batch dz` and `dA_prev = dz · w`, each where
    /// [`Gradients`] asks for it.
    ///
    /// `a_prev: batch × inputs`, `w: outputs × inputs`, `saved` and `upstream`: `batch × outputs`; each gradient has
    /// its operand's shape. NaN and infinities propagate as IEEE 754 says.
    ///
    /// # Errors
    /// Where an operand has the wrong size or shape, a gradient to be added to is uninitialised, targets come to a
    /// layer without sigmoid, the saved `a` to one that [needs `z`](crate::Activation::needs_z), the activation's parameter
    /// is invalid, or the instruction set cannot be had; no gradient is touched then.
    pub fn backward<'a, T: Into<Input<'a>>>(
        &mut self,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Weights<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        mut gradients: Gradients<'a>,
    ) -> Result<(), Error> {
        // Before the workspace is taken: a conversion is the caller's code, which may panic.
        let (a_prev, w, saved, upstream) = (a_prev.into(), w.into(), saved.into(), upstream.into_input());
        let w = w.source(self, self.kernels()?)?;
        let (a_prev, w, saved, upstream, gradients) = (&a_prev, &w, &saved, &upstream, &mut gradients);
        let operands = Operands { a_prev, w, saved, upstream, gradients, step: None };
        self.with_workspace(|layer, workspace| layer.backward_call(workspace, operands))
    }

    /// [`backward`](Self::backward) with the caller's workspace, so that threads can share the layer.
    ///
    /// # Errors
    /// As [`backward`](Self::backward), and [`Error::WorkspaceTooSmall`].
    pub fn backward_in<'a, T: Into<Input<'a>>>(
        &self,
        workspace: &mut Workspace,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Weights<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        mut gradients: Gradients<'a>,
    ) -> Result<(), Error> {
        let w = w.into().source(self, self.kernels()?)?;
        let (a_prev, saved, upstream) = (a_prev.into(), saved.into(), upstream.into_input());
        let (a_prev, w, saved, upstream, gradients) = (&a_prev, &w, &saved, &upstream, &mut gradients);
        self.backward_call(workspace, Operands { a_prev, w, saved, upstream, gradients, step: None })
    }

    /// Checks, plans and runs.
    #[inline(always)]
    pub(super) fn backward_call(&self, workspace: &mut Workspace, operands: Operands<'_, '_>) -> Result<(), Error> {
        let target = self.target()?;
        let mut call = Call::check(self, target, operands)?;
        let mut scratch = self.scratch(workspace)?;
        let layout = scratch.layout;
        if call.batch > MOST_SAMPLES {
            return Err(Error::TooLarge { operand: Operand::APrev });
        }
        if call.step.is_some() && call.d_w.is_none() && layout.chunk_rows < call.batch {
            return Err(Error::NoPartialSums { max: layout.chunk_rows, found: call.batch });
        }
        let shape = BatchShape {
            batch: call.batch,
            inputs: self.inputs,
            outputs: self.outputs,
            chunk_rows: layout.chunk_rows,
            most_blocks: layout.blocks.most,
            d_w: call.d_w.is_some() || call.step.is_some(),
            d_a_prev: call.d_a_prev.is_some(),
            has_room: call.step.is_none() || call.d_w.is_some(),
            has_contiguous_room: call.step.zip(call.d_w).is_some_and(|(step, room)| step.w.has_rows_like(room.sink)),
            descends: call.step.is_some_and(|step| step.w.rule.is_plain_descent()),
        };
        let schedule = plan::schedule(target, &shape, self.budget(target, call.batch).as_ref());
        call.update_by = schedule.update_by;
        // By reference: copying either costs a tiny layer as much as a kernel.
        let (call, scratch) = (&call, &mut scratch);
        let run = move |crew: &Crew<'_>| {
            // SAFETY: `select` returned the kernels; every operand was checked against the shape above, and the borrows
            // keep outputs apart from inputs and from each other.
            unsafe { call.run(&schedule, crew, scratch) }
        };
        self.threads.with_crew(schedule.workers, schedule.cycles, run);
        Ok(())
    }
}

/// The operands of a backward call, as the caller gave them. By reference: a small layer would wait for their copies.
///
/// The weights' gradient goes to `gradients` or, where there is a step, to the weights themselves, with partial sums in the
/// place for the gradient.
pub(super) struct Operands<'o, 'a> {
    pub(super) a_prev: &'o Input<'a>,
    /// Checked.
    pub(super) w: &'o WeightsSource,
    pub(super) saved: &'o Saved<'a>,
    pub(super) upstream: &'o Upstream<Input<'a>>,
    pub(super) gradients: &'o mut Gradients<'a>,
    pub(super) step: Option<&'o Step<'o>>,
}

/// A checked backward call.
struct Call<'c> {
    layer: &'c Dense,
    target: Target,
    batch: usize,
    a_prev: Source,
    w: &'c WeightsSource,
    saved: Source,
    upstream: Source,
    /// The kernel that computes `dz`; none where upstream is `dz` itself.
    dz_kernel: Option<unsafe fn(&DzRows)>,
    d_w: Option<Destination>,
    d_b: Option<Destination>,
    d_a_prev: Option<Destination>,
    d_z: Option<Sink>,
    scale: f32,
    /// The parameters to be updated behind everything else. `d_w` is room for partial sums then; `db`, of which only the
    /// step is told, stands in scratch memory.
    step: Option<&'c Step<'c>>,
    /// How the weights get their update.
    update_by: UpdateBy,
}

// SAFETY: a call may go to a pool, where workers read its inputs and write disjoint parts of its outputs.
unsafe impl Send for Call<'_> {}
// SAFETY: as above.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    /// Goes over the batch as the schedule says.
    ///
    /// # Safety
    /// All operands must be valid for the layer's shape and the batch, outputs apart from everything else; only a
    /// call with room for partial sums goes by blocks.
    unsafe fn run(&self, schedule: &Schedule, crew: &Crew<'_>, scratch: &mut Scratch<'_>) {
        let outputs = self.layer.outputs;
        if outputs == 0 && (self.layer.inputs == 0 || self.d_a_prev.is_none()) {
            return;
        }
        // A strided `db` is worked on in contiguous scratch.
        let vector = scratch.vector.as_mut_ptr();
        let db = match self.step {
            Some(step) => step.b.map(|_| vector),
            None => self.d_b.map(|d_b| if d_b.sink.col_stride == 1 { d_b.sink.ptr } else { vector }),
        };
        let strided = self.d_b.filter(|d_b| d_b.sink.col_stride != 1);
        // SAFETY: the caller's promise; the vector scratch and `d_b` both hold one element for each output.
        unsafe {
            if let Some(d_b) = strided.filter(|d_b| d_b.add) {
                for j in 0..outputs {
                    *vector.add(j) = *d_b.sink.at(0, j);
                }
            }
            match schedule.order {
                BatchOrder::OneChunk => self.chunk(0, self.batch, scratch, db),
                BatchOrder::Blocks if crew.workers() > 1 => self.by_blocks(crew, scratch, db),
                BatchOrder::Chunks | BatchOrder::Blocks => self.by_chunks(crew, scratch, db),
            }
            if self.update_by == UpdateBy::WholeGradient && self.step.is_some() {
                match crew.workers() {
                    1 => self.update_rows(0..outputs),
                    _ => self.share_update(crew, scratch),
                }
            }
            if let (Some(b), Some(db)) = (self.step.and_then(|step| step.b), db) {
                let gradient = Source { ptr: db, row_stride: outputs, col_stride: 1 };
                b.update(self.target.kernels, &Part { rows: 0..1, cols: 0..outputs }, gradient);
            }
            if let Some(d_b) = strided {
                for j in 0..outputs {
                    *d_b.sink.at(0, j) = *vector.add(j);
                }
            }
        }
    }

    /// Updates the weights by their whole gradient, shared by as many workers as finish it first.
    ///
    /// # Safety
    /// As [`Call::run`], behind everything that reads the weights.
    #[inline(never)]
    unsafe fn share_update(&self, crew: &Crew<'_>, scratch: &mut Scratch<'_>) {
        let outputs = self.layer.outputs;
        let workers = plan::update_workers(self.target, self.layer.inputs * outputs, outputs, &crew.budget());
        let piece_len = scratch.piece_len(crew);
        crew.share(workers, scratch.workers, piece_len, &|index, _| {
            // SAFETY: the caller's promise; the workers' rows are disjoint.
            unsafe { self.update_rows(plan::share(outputs, 1, index, workers)) };
        });
    }

    /// Updates rows of the weights by their gradient, which stands in the room for partial sums.
    ///
    /// # Safety
    /// As [`Call::share_update`]; nobody else updates these rows.
    #[inline(always)]
    unsafe fn update_rows(&self, rows: Range<usize>) {
        let (Some(step), Some(Destination { sink, .. })) = (self.step, self.d_w) else { return };
        let gradient = Source { ptr: sink.at(rows.start, 0), ..sink.as_source() };
        // SAFETY: the room has the weights' shape, and the caller's promise.
        unsafe { step.w.update(self.target.kernels, &Part { rows, cols: 0..self.layer.inputs }, gradient) };
    }
}
