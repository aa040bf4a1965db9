//! The forward pass: checks, then one product with bias before and activation behind.

use super::{Bias, Dense, Outputs, sink, source};
use crate::error::{Error, Operand};
use crate::gemm::{Gemm, driver};
use crate::isa::Kernels;
use crate::kernel::chain::Start;
use crate::kernel::{Sink, Source};
use crate::matrix::{Input, MatrixView};
use crate::plan;
use crate::summation::Summation;
use crate::threads::share_out;
use crate::workspace::Workspace;

impl Dense {
    /// `z = a_prev · wᵀ + b`, `a = g(z)`.
    ///
    /// `a_prev: batch × inputs`, `w: outputs × inputs`, `b: outputs`, `a` (and `z`): `batch × outputs`. The batch is
    /// the number of rows of `a_prev`. NaN and infinities propagate as IEEE 754 says.
    ///
    /// # Errors
    /// Where an operand has the wrong size or shape, or the instruction set cannot be had; no output is touched then.
    pub fn forward<'a>(
        &mut self,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Input<'a>>,
        b: impl Into<Bias<'a>>,
        outputs: impl Into<Outputs<'a>>,
    ) -> Result<(), Error> {
        let mut workspace = core::mem::take(&mut self.workspace);
        let result = self.forward_in(&mut workspace, a_prev, w, b, outputs);
        self.workspace = workspace;
        result
    }

    /// [`forward`](Self::forward) with the caller's workspace, so that threads can share the layer.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::WorkspaceTooSmall`].
    pub fn forward_in<'a>(
        &self,
        workspace: &mut Workspace,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Input<'a>>,
        b: impl Into<Bias<'a>>,
        outputs: impl Into<Outputs<'a>>,
    ) -> Result<(), Error> {
        let (a_prev, w, b, outputs) = (a_prev.into(), w.into(), b.into(), outputs.into());
        let kernels = self.kernels()?;
        let batch = match a_prev.batch(Operand::APrev, self.inputs)? {
            Some(batch) => batch,
            None => outputs.a.batch(Operand::A, self.outputs)?.unwrap_or(0),
        };
        let a_prev = a_prev.resolve(Operand::APrev, batch, self.inputs)?;
        let w = w.resolve(Operand::W, self.outputs, self.inputs)?;
        let b = match b {
            Bias::None => None,
            Bias::Given(b) => Some(b.resolve(Operand::B, 1, self.outputs)?),
        };
        let mut a = outputs.a.resolve(Operand::A, batch, self.outputs)?;
        let mut z = outputs.z.map(|z| z.resolve(Operand::Z, batch, self.outputs)).transpose()?;
        let scratch = self.scratch(kernels, workspace)?;

        let start = match &b {
            None => Start::Zero,
            Some(b) => Start::Columns(contiguous(b, scratch.vector)),
        };
        let z = z.as_mut().map(sink);
        let (gemm, summation) = self.forward_product(batch, source(&a_prev), source(&w), start, sink(&mut a), z);
        // SAFETY: `select` returned the kernels; every operand was checked against the shape above, the borrows keep
        // outputs apart from inputs and from each other, and the scratch pieces have the length that the driver asks.
        unsafe { run(self, kernels, &gemm, summation, scratch.workers, scratch.worker_len) };
        Ok(())
    }

    /// The forward product and its order of summation.
    pub(super) fn forward_product(
        &self,
        batch: usize,
        a_prev: Source,
        w: Source,
        start: Start,
        a: Sink,
        z: Option<Sink>,
    ) -> (Gemm, Summation) {
        let gemm = Gemm {
            m: batch,
            n: self.outputs,
            k: self.inputs,
            a: a_prev,
            b: w.transposed(),
            c: a,
            z,
            start,
            scale: 1.0,
            add: false,
            activation: self.activation,
        };
        let contiguous_sum = w.col_stride <= w.row_stride;
        (gemm, self.summation.resolve(batch, self.outputs, contiguous_sum))
    }
}

/// A row vector's elements one behind the other: in place where they are, else copied.
fn contiguous(vector: &MatrixView<'_>, scratch: &mut [f32]) -> *const f32 {
    if vector.col_stride() == 1 {
        return vector.as_ptr();
    }
    for (j, element) in scratch[..vector.cols()].iter_mut().enumerate() {
        *element = vector.get(0, j).unwrap_or_default();
    }
    scratch.as_ptr()
}

/// Plans a product, shares it out and computes it.
///
/// # Safety
/// As [`driver::run`] for the whole output; `scratch` holds [`driver::scratch_len`] elements, padded to `worker_len`,
/// for each worker that the layer may use.
pub(super) unsafe fn run(
    layer: &Dense,
    kernels: &Kernels,
    gemm: &Gemm,
    summation: Summation,
    scratch: &mut [f32],
    worker_len: usize,
) {
    let strategy = plan::strategy(kernels, &gemm.shape(), summation);
    let gemm = if strategy.transposed { gemm.transposed() } else { *gemm };
    let workers = plan::workers(gemm.work(), layer.threads.here());
    share_out(workers, scratch, worker_len, &|index, scratch| {
        let part = plan::part(kernels, gemm.m, gemm.n, index, workers);
        // SAFETY: the caller's promise; the parts of different workers are disjoint.
        unsafe { driver::run(kernels, &gemm, &strategy, &part, scratch) };
    });
}
