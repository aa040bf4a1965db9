//! A planned layer with the memory that its calls work in.

use core::fmt;
use fused_dense::{Activation, Dense, Error, PooledWorkspace, Threads, WorkspacePool};
use std::sync::Arc;

/// A planned layer `d_input → d_output` with its activation, threads and workspaces, but without parameters.
///
/// Clones share the workspaces. Calls from several threads run at the same time, each in a workspace of its own.
///
/// ```
/// use fused_dense_burn::{Activation, FusedKernel};
///
/// let kernel = FusedKernel::new(784, 30, Activation::Gelu);
/// assert_eq!((kernel.d_input(), kernel.d_output(), kernel.activation()), (784, 30, Activation::Gelu));
/// ```
#[derive(Clone)]
pub struct FusedKernel(Arc<Planned>);

struct Planned {
    dense: Dense,
    workspaces: Result<WorkspacePool, Error>,
}

impl FusedKernel {
    /// Plans a layer for one thread. What is wrong with the activation's parameter or the instruction set is reported by
    /// every call.
    #[must_use]
    pub fn new(d_input: usize, d_output: usize, activation: Activation) -> Self {
        Self::planned(Dense::new(d_input, d_output, activation))
    }

    /// The same layer on these threads, with workspaces of its own. No bit of a result depends on the threads.
    #[must_use]
    pub fn with_threads(&self, threads: impl Into<Threads>) -> Self {
        Self::planned(self.0.dense.clone().with_threads(threads))
    }

    fn planned(dense: Dense) -> Self {
        let workspaces = WorkspacePool::new(&dense);
        Self(Arc::new(Planned { dense, workspaces }))
    }

    /// Values in a row of the input.
    pub fn d_input(&self) -> usize {
        self.0.dense.inputs()
    }

    /// Values in a row of the output.
    pub fn d_output(&self) -> usize {
        self.0.dense.outputs()
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.0.dense.activation()
    }

    /// The layer, and a workspace for one call.
    pub(crate) fn parts(&self) -> Result<(&Dense, PooledWorkspace<'_>), Error> {
        let workspaces = self.0.workspaces.as_ref().map_err(Clone::clone)?;
        Ok((&self.0.dense, workspaces.get()))
    }
}

impl fmt::Debug for FusedKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FusedKernel")
            .field("d_input", &self.d_input())
            .field("d_output", &self.d_output())
            .field("activation", &self.activation())
            .finish_non_exhaustive()
    }
}
