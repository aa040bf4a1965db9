//! A dense layer: the front door. Checks a call once, then hands pointers down.

// In the order in which the documentation of `Dense` shows their methods.
mod construct;

mod forward;

mod backward;
mod call;
mod describe;
mod extent;
mod packed;
mod standalone;
mod update;

pub use call::{Bias, Gradients, Outputs, Saved, Upstream};
pub use describe::{Description, ProductPlan, RectanglePlan};
pub use packed::{PackedWeights, Weights};
pub use update::{Parameter, Update};
pub(crate) use update::{Rules, UpdateOperands};

use crate::activation::Activation;
use crate::error::Error;
use crate::gemm::driver;
use crate::isa::{Isa, Kernels, Target};
use crate::plan::{self, Plans};
use crate::summation::{SUM_BLOCK, Summation};
use crate::threads::{Crew, ParallelBudget, Sharing};
use crate::tuning::{LINE, Tuning};
use crate::workspace::{Workspace, padded, padded_row_stride};
use backward::blocks::BlocksLayout;

/// A dense layer of `inputs → outputs` with an activation, planned once and called many times.
///
/// With `a_prev: batch × inputs`, `w: outputs × inputs`, `b: outputs` and `g` the activation:
///
/// ```text
/// forward    z = a_prev · wᵀ + b
///            a = g(z)
/// backward   dz = dA ⊙ g'(z)
///            dw = s · dzᵀ · a_prev
///            db = s · Σ_batch dz
///            dA_prev = dz · w
/// ```
///
/// The layer holds no parameters, only the plan and its scratch memory; the caller owns every operand. All matrices
/// are batch-major: plain slices are contiguous rows, anything else is a [`MatrixView`](crate::MatrixView) or
/// [`MatrixViewMut`](crate::MatrixViewMut).
///
/// ```
/// use fused_dense::{Activation, Dense, Gradients, Upstream};
///
/// let (batch, inputs, outputs) = (2, 3, 1);
/// let mut layer = Dense::new(inputs, outputs, Activation::Sigmoid);
/// let x = [1.0, 2.0, 3.0, -1.0, 0.5, 0.25];
/// let (w, b) = ([0.1, -0.2, 0.3], [0.05]);
/// let mut a = [0.0; 2];
/// layer.forward(&x, &w, &b, &mut a)?;
///
/// let d_a = [1.0, -1.0];
/// let (mut d_w, mut d_b, mut d_x) = ([0.0; 3], [0.0; 1], [0.0; 6]);
/// layer.backward(
///     &x,
///     &w,
///     &a,
///     Upstream::Activation(&d_a),
///     Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_x).scale(1.0 / batch as f32),
/// )?;
/// # assert!(d_w[0] > 0.0 && a[0] > 0.5);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dense {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    summation: Summation,
    /// Samples of the whole batch that the samples of a call are a part of, if they are.
    whole_batch: usize,
    threads: Sharing,
    target: Result<Target, Error>,
    layout: Result<WorkspaceLayout, Error>,
    workspace: Workspace,
}

impl Dense {
    /// Values in a row of `a_prev`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Values in a row of `z` and `a`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The order of summation that was asked for.
    pub fn summation(&self) -> Summation {
        self.summation
    }

    /// Lets the calls to come take the orders of sums that a batch of so many samples has, of which theirs are a part; 0 for
    /// a batch of their own.
    pub(crate) fn set_whole_batch(&mut self, samples: usize) {
        self.whole_batch = samples;
    }

    /// Elements (`f32`) of scratch memory that a call of this layer needs, whatever the batch.
    ///
    /// With more threads each has a smaller part of the work and needs less: together they need about the square root of
    /// their number times as much, and some 64 KiB each, up to 128 KiB more where the layer is wide.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the number overflows, and what is wrong with the instruction set.
    pub fn workspace_len(&self) -> Result<usize, Error> {
        self.layout.as_ref().map(|layout| layout.total).map_err(Clone::clone)
    }

    /// The instruction set that calls will use.
    ///
    /// # Errors
    /// An error of the instruction set or of the activation's parameter.
    pub fn isa(&self) -> Result<Isa, Error> {
        Ok(self.kernels()?.isa)
    }

    /// Where the work may run.
    pub(crate) fn threads(&self) -> &Sharing {
        &self.threads
    }

    /// The tuning row that calls are planned by.
    ///
    /// # Errors
    /// An error of the instruction set, of the tuning row or of the activation's parameter.
    pub fn tuning(&self) -> Result<&'static Tuning, Error> {
        Ok(self.target()?.tuning)
    }

    /// Cycles that a call forward and one backward take one core, roughly.
    pub(crate) fn step_cycles(&self, batch: usize) -> f64 {
        let batch = batch.min(MOST_SAMPLES);
        self.target().map_or(0.0, |target| {
            self.forward_cycles(target, batch) + plan::backward_cycles(target, batch, self.inputs, self.outputs)
        })
    }

    /// The workers that could share a call of so many samples; none where it stays on this thread.
    #[inline(always)]
    fn budget(&self, target: Target, batch: usize) -> Option<ParallelBudget> {
        if self.threads.is_serial() || plan::below_parallel_min(target, batch, self.outputs, self.inputs) {
            return None;
        }
        Some(self.threads.here()).filter(|budget| budget.workers > 1)
    }

    /// Whether a training step of this many cycles, with so many parameters, is worth sharing among the layer's threads.
    pub(crate) fn step_pays(&self, cycles: f64, parameters: usize) -> bool {
        self.target().is_ok_and(|target| plan::step_pays(target, cycles, parameters, &self.threads.here()))
    }

    #[inline(always)]
    pub(crate) fn target(&self) -> Result<Target, Error> {
        match &self.target {
            Ok(target) => Ok(*target),
            Err(error) => Err(error.clone()),
        }
    }

    fn kernels(&self) -> Result<&'static Kernels, Error> {
        Ok(self.target()?.kernels)
    }

    /// A call with the layer's own workspace, which is out of its place meanwhile, and lost where the call panics.
    #[inline(always)]
    pub(crate) fn with_workspace<R>(&mut self, call: impl FnOnce(&Self, &mut Workspace) -> R) -> R {
        let mut workspace = core::mem::take(&mut self.workspace);
        let result = call(self, &mut workspace);
        // Nothing stands in its place, so that nothing has to be dropped.
        core::mem::forget(core::mem::replace(&mut self.workspace, workspace));
        result
    }

    /// Cuts the workspace into what a call uses.
    #[inline(always)]
    fn scratch<'w>(&'w self, workspace: &'w mut Workspace) -> Result<Scratch<'w>, Error> {
        let layout = match &self.layout {
            Ok(layout) => layout,
            Err(error) => return Err(error.clone()),
        };
        let (expected, found) = (layout.total, workspace.len());
        let parts = if found < expected { None } else { workspace.parts_mut() };
        let Some((memory, plans)) = parts else {
            return Err(Error::WorkspaceTooSmall { expected, found });
        };
        let (vector, rest) = memory.split_at_mut(layout.vector);
        let (dz, rest) = rest.split_at_mut(layout.dz);
        let (block_sums, workers) = rest.split_at_mut(layout.blocks.sums());
        Ok(Scratch { plans, vector, dz, block_sums, workers, layout })
    }
}

/// The most samples of a batch that a plan counts with: memory has no more elements.
const MOST_SAMPLES: usize = usize::MAX / size_of::<f32>();

/// Elements of the workspace's pieces.
#[derive(Clone, Copy, Debug, Default)]
struct WorkspaceLayout {
    /// The bias or its gradient, where the caller's is strided.
    vector: usize,
    /// `dz` of one chunk of the batch, and how far apart its rows are.
    dz: usize,
    dz_row_stride: usize,
    /// Samples in a chunk: a few blocks of the sums over the batch, so that weights and their gradients pass through the
    /// caches once for all of them.
    chunk_rows: usize,
    /// Scratch for a batch that is shared by blocks.
    blocks: BlocksLayout,
    /// Workers that have a piece of the rest each, for their panels and tiles and a block's `dz`.
    workers: usize,
    /// The whole workspace.
    total: usize,
}

impl WorkspaceLayout {
    fn new(layer: &Dense, target: Target) -> Option<Self> {
        let tuning = target.tuning;
        let longest = layer.inputs.max(layer.outputs);
        let chunk_blocks = (tuning.chunk_max_len / SUM_BLOCK / longest.max(1)).clamp(1, tuning.chunk_max_blocks);
        let chunk_rows = SUM_BLOCK * chunk_blocks;
        let vector = padded(layer.outputs)?;
        let dz_row_stride = padded_row_stride(layer.outputs)?;
        let dz = padded(dz_row_stride.checked_mul(chunk_rows)?)?;
        let blocks = BlocksLayout::new(layer, dz_row_stride, tuning)?;
        let workers = layer.threads.max();
        let worker = padded(driver::scratch_len(target.kernels, longest, chunk_rows, workers)?)?;
        let shared = vector.checked_add(dz)?.checked_add(blocks.sums())?;
        let total = worker.checked_add(blocks.dz)?.checked_mul(workers)?.checked_add(shared)?;
        Some(Self { vector, dz, dz_row_stride, chunk_rows, blocks, workers, total })
    }

    /// Elements of a worker's piece where so many share a call.
    fn piece_len(&self, workers: usize) -> usize {
        let all = self.total - self.vector - self.dz - self.blocks.sums();
        cut(all, if workers == 1 { 1 } else { self.workers })
    }
}

/// The pieces of a workspace.
struct Scratch<'w> {
    plans: &'w mut Plans,
    vector: &'w mut [f32],
    dz: &'w mut [f32],
    block_sums: &'w mut [f32],
    /// Of all workers, as many as there can be, or of those that come.
    workers: &'w mut [f32],
    layout: &'w WorkspaceLayout,
}

impl Scratch<'_> {
    /// Elements of each worker's piece: the fewer come, the larger.
    fn piece_len(&self, crew: &Crew<'_>) -> usize {
        cut(self.workers.len(), crew.members(self.layout.workers))
    }
}

/// Elements of one piece of so many, in whole cache lines.
fn cut(len: usize, pieces: usize) -> usize {
    len / LINE / pieces * LINE
}
