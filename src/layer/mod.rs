//! A dense layer: the front door. Checks a call once, then hands pointers down.

// In the order in which the documentation of `Dense` shows their methods.
mod construct;

mod forward;

mod backward;
mod call;
mod describe;
mod packed;
mod standalone;
mod update;

pub use call::{Bias, Gradients, Outputs, Saved, Upstream};
pub use describe::{Description, ProductPlan};
pub use packed::{PackedWeights, Weights};
pub use update::{Parameter, Update};

use crate::activation::Activation;
use crate::error::Error;
use crate::gemm::driver;
use crate::isa::{Isa, Kernels};
use crate::summation::{SUM_BLOCK, Summation};
use crate::threads::Threads;
use crate::workspace::{Workspace, apart, padded};
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
    threads: Threads,
    kernels: Result<&'static Kernels, Error>,
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

    /// Elements (`f32`) of scratch memory that a call of this layer needs, whatever the batch.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the number overflows, and what is wrong with the instruction set.
    pub fn workspace_len(&self) -> Result<usize, Error> {
        self.layout.as_ref().map(|layout| layout.total).map_err(Clone::clone)
    }

    /// The instruction set that calls will use.
    ///
    /// # Errors
    /// What is wrong with the instruction set.
    pub fn isa(&self) -> Result<Isa, Error> {
        Ok(self.kernels()?.isa)
    }

    /// Where the work may run.
    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Cycles that a call forward and one backward take one core, roughly.
    pub(crate) fn step_cycles(&self, batch: usize) -> f64 {
        self.kernels()
            .map_or(0.0, |kernels| self.forward_cycles(kernels, batch) + self.backward_cycles(kernels, batch, 2))
    }

    #[inline]
    fn kernels(&self) -> Result<&'static Kernels, Error> {
        match &self.kernels {
            Ok(kernels) => Ok(kernels),
            Err(error) => Err(error.clone()),
        }
    }

    /// Cuts the workspace into what a call uses.
    #[inline(always)]
    fn scratch<'w>(&self, workspace: &'w mut Workspace) -> Result<Scratch<'w>, Error> {
        let layout = match &self.layout {
            Ok(layout) => layout,
            Err(error) => return Err(error.clone()),
        };
        let (expected, found) = (layout.total, workspace.len());
        if found < expected {
            return Err(Error::WorkspaceTooSmall { expected, found });
        }
        let (vector, rest) = workspace.as_mut_slice().split_at_mut(layout.vector);
        let (slab, rest) = rest.split_at_mut(layout.slab);
        let (partials, workers) = rest.split_at_mut(layout.blocks.partials());
        let WorkspaceLayout { slab_rows, blocks, worker: worker_len, .. } = *layout;
        Ok(Scratch { vector, slab, slab_rows, blocks, partials, workers, worker_len })
    }
}

/// Most blocks of the batch in a slab.
const SLAB_MAX_BLOCKS: usize = 4;

/// Elements of a slab from which on it has one block only.
const SLAB_MAX_LEN: usize = 1 << 20;

/// Elements of the workspace's pieces.
#[derive(Clone, Copy, Debug, Default)]
struct WorkspaceLayout {
    /// The bias or its gradient, where the caller's is strided.
    vector: usize,
    /// `dz` of one slab of the batch.
    slab: usize,
    /// Samples in a slab: a few blocks of the sums over the batch, so that weights and their gradients pass through the
    /// caches once for all of them.
    slab_rows: usize,
    /// What a batch shared by blocks needs.
    blocks: BlocksLayout,
    /// One worker's panels and tiles, and its block's `dz`.
    worker: usize,
    /// The whole workspace.
    total: usize,
}

impl WorkspaceLayout {
    fn new(layer: &Dense, kernels: &Kernels) -> Option<Self> {
        let longest = layer.inputs.max(layer.outputs);
        let slab_rows = SUM_BLOCK * (SLAB_MAX_LEN / SUM_BLOCK / longest.max(1)).clamp(1, SLAB_MAX_BLOCKS);
        let vector = padded(layer.outputs)?;
        let slab = padded(apart(layer.outputs)?.checked_mul(slab_rows)?)?;
        let blocks = BlocksLayout::new(layer)?;
        let worker = padded(driver::scratch_len(kernels, longest, slab_rows)?)?.checked_add(blocks.dz)?;
        let shared = vector.checked_add(slab)?.checked_add(blocks.partials())?;
        let total = worker.checked_mul(layer.threads.max())?.checked_add(shared)?;
        Some(Self { vector, slab, slab_rows, blocks, worker, total })
    }
}

/// The pieces of a workspace.
struct Scratch<'w> {
    vector: &'w mut [f32],
    slab: &'w mut [f32],
    slab_rows: usize,
    blocks: BlocksLayout,
    partials: &'w mut [f32],
    workers: &'w mut [f32],
    worker_len: usize,
}
