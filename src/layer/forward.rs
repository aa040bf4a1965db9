//! The forward pass: checks, then one product with bias before and activation behind.

use super::{Bias, Dense, MOST_SAMPLES, Outputs, Weights};
use crate::error::{Error, Operand};
use crate::gemm::packed::WeightsSource;
use crate::gemm::{Gemm, HowToCompute, driver};
use crate::isa::Target;
use crate::kernel::{Finish, Sink, Source, Start};
use crate::matrix::Input;
use crate::plan::{self, Slot};
use crate::summation::Summation;
use crate::workspace::Workspace;

impl Dense {
    /// `z = a_prev · wᵀ + b`, `a = g(z)`.
    ///
    /// `a_prev: batch × inputs`, `w: outputs × inputs`, `b: outputs`, `a` (and `z`): `batch × outputs`. The batch is
    /// the number of rows of `a_prev`. Weights may be [packed](Dense::pack). NaN and infinities propagate as IEEE 754 says.
    ///
    /// # Errors
    /// Where an operand has the wrong size or shape, the activation's parameter is invalid, or the instruction set cannot
    /// be had; no output is touched then.
    pub fn forward<'a>(
        &mut self,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Weights<'a>>,
        b: impl Into<Bias<'a>>,
        outputs: impl Into<Outputs<'a>>,
    ) -> Result<(), Error> {
        // Before the workspace is taken: a conversion is the caller's code, which may panic.
        let (a_prev, w, b, mut outputs) = (a_prev.into(), w.into(), b.into(), outputs.into());
        self.with_workspace(|layer, workspace| layer.forward_call(workspace, &a_prev, &w, &b, &mut outputs))
    }

    /// [`forward`](Self::forward) with the caller's workspace, so that threads can share the layer.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::WorkspaceTooSmall`].
    pub fn forward_in<'a>(
        &self,
        workspace: &mut Workspace,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Weights<'a>>,
        b: impl Into<Bias<'a>>,
        outputs: impl Into<Outputs<'a>>,
    ) -> Result<(), Error> {
        self.forward_call(workspace, &a_prev.into(), &w.into(), &b.into(), &mut outputs.into())
    }

    /// [`forward_in`](Self::forward_in) by reference: a small layer would wait for the operands' copies.
    #[inline(always)]
    pub(crate) fn forward_call(
        &self,
        workspace: &mut Workspace,
        a_prev: &Input<'_>,
        w: &Weights<'_>,
        b: &Bias<'_>,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), Error> {
        let target = self.target()?;
        let batch = match a_prev.batch(Operand::APrev, self.inputs)? {
            Some(batch) => batch,
            None => outputs.a.batch(Operand::A, self.outputs)?.unwrap_or(0),
        };
        let a_prev = a_prev.source(Operand::APrev, batch, self.inputs)?;
        let w = w.source(self, target.kernels)?;
        let b = match b {
            Bias::None => None,
            Bias::Given(b) => Some(b.source(Operand::B, 1, self.outputs)?),
        };
        let a = outputs.a.sink(Operand::A, batch, self.outputs, false)?;
        let z = match &mut outputs.z {
            None => None,
            Some(z) => Some(z.sink(Operand::Z, batch, self.outputs, false)?),
        };
        let scratch = self.scratch(workspace)?;
        if batch > MOST_SAMPLES {
            // Without outputs: no memory holds so many elements of `a`.
            return Ok(());
        }

        let start = match b {
            None => Start::Zero,
            // SAFETY: the bias was checked above to have one element for each output.
            Some(b) => Start::Columns(unsafe { contiguous(b, self.outputs, scratch.vector) }),
        };
        let (gemm, summation) = self.forward_product(batch, a_prev, &w, start, a, z);
        let (workers, cycles) = self.forward_workers(target, batch);
        if workers == 1 {
            let scratch_len = scratch.workers.len();
            let asked = HowToCompute { target, gemm: &gemm, summation, workers, scratch_len };
            let plan = scratch.plans.get(Slot::Forward, &asked);
            // SAFETY: `select` returned the kernels; every operand was checked against the shape above, the borrows keep
            // outputs apart from inputs and from each other, and the scratch has the length that the plan was told.
            unsafe { driver::run_whole(plan, &gemm, scratch.workers) };
            return Ok(());
        }
        // A copy: nobody has a pointer to the problem of a call on one thread, so that it stays in registers.
        let shared = gemm;
        self.threads.with_crew(workers, cycles, |crew| {
            let gemm = shared;
            let (workers, scratch_len) = (crew.workers(), scratch.piece_len(crew));
            let asked = HowToCompute { target, gemm: &gemm, summation, workers, scratch_len };
            let plan = scratch.plans.get(Slot::Forward, &asked);
            crew.share(plan.parts(), scratch.workers, scratch_len, &|part, scratch| {
                // SAFETY: as above; each part is computed once.
                unsafe { driver::run(plan, &gemm, part, scratch) };
            });
        });
        Ok(())
    }

    /// Workers that share a forward call, and the cycles that it takes one.
    #[inline(always)]
    pub(super) fn forward_workers(&self, target: Target, batch: usize) -> (usize, f64) {
        let Some(budget) = self.budget(target, batch) else { return (1, 0.0) };
        let cycles = self.forward_cycles(target, batch);
        (plan::workers(target, cycles, 0.0, &budget), cycles)
    }

    /// Cycles that a forward call takes one core.
    pub(super) fn forward_cycles(&self, target: Target, batch: usize) -> f64 {
        let (inputs, outputs) = (self.inputs, self.outputs);
        plan::product_cycles(target, batch, outputs, inputs) + plan::activation_cycles(target, batch, outputs)
    }

    /// The forward product and its order of summation.
    #[inline(always)]
    pub(super) fn forward_product(
        &self,
        batch: usize,
        a_prev: Source,
        w: &WeightsSource,
        start: Start,
        a: Sink,
        z: Option<Sink>,
    ) -> (Gemm<'static>, Summation) {
        let summation = self.summation.resolve(batch.max(self.whole_batch), self.outputs, self.inputs, w.along_inputs);
        let (b, is_prepacked) = w.for_forward(summation);
        let gemm = Gemm {
            m: batch,
            n: self.outputs,
            k: self.inputs,
            a: a_prev,
            b,
            is_prepacked,
            c: a,
            z,
            start,
            finish: Finish::overwrite(1.0),
            activation: self.activation,
            update: None,
        };
        (gemm, summation)
    }
}

/// A row vector's elements one behind the other: in place where they are, else copied.
///
/// # Safety
/// The vector must be readable at `len` places.
#[inline(always)]
unsafe fn contiguous(vector: Source, len: usize, scratch: &mut [f32]) -> *const f32 {
    if vector.col_stride == 1 {
        return vector.ptr;
    }
    for (j, element) in scratch[..len].iter_mut().enumerate() {
        // SAFETY: j < len.
        *element = unsafe { *vector.at(0, j) };
    }
    scratch.as_ptr()
}
