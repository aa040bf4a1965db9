//! Workspaces for threads that share a layer.

use crate::error::Error;
use crate::layer::Dense;
use crate::pool::{Pool, Pooled};
use crate::workspace::Workspace;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// Workspaces for hosts that call a layer through `&self` from many threads.
///
/// A call takes one, uses it alone and lays it back. There are never more than callers at once; a caller who finds one
/// allocates nothing, and the plans of its last calls are still in it. Taking one and laying it back are two short locks.
///
/// ```
/// use fused_dense::{Activation, Dense, Error, WorkspacePool};
///
/// let layer = Dense::new(2, 1, Activation::Identity);
/// let pool = WorkspacePool::new(&layer)?;
/// let call = |x: [f32; 2]| {
///     let mut a = [0.0];
///     layer.forward_in(&mut pool.get(), &x, &[3.0, 1.0], &[0.5], &mut a)?;
///     Ok::<f32, Error>(a[0])
/// };
/// std::thread::scope(|scope| {
///     let threads = [1.0, 2.0, 4.0].map(|x| scope.spawn(move || call([x, x])));
///     assert_eq!(threads.map(|thread| thread.join().unwrap()), [Ok(4.5), Ok(8.5), Ok(16.5)]);
/// });
/// assert!(pool.idle() <= 3);
/// # Ok::<(), Error>(())
/// ```
#[derive(Default)]
pub struct WorkspacePool {
    /// Elements of each workspace.
    workspace_len: usize,
    pool: Pool<Workspace>,
}

impl WorkspacePool {
    /// A pool of the workspaces that the layer asks for. Nothing is allocated before one is taken.
    ///
    /// # Errors
    /// As [`Dense::workspace_len`].
    pub fn new(layer: &Dense) -> Result<Self, Error> {
        Self::for_layers([layer])
    }

    /// A pool whose workspaces serve any of the layers.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense, WorkspacePool};
    ///
    /// let layers = [Dense::new(784, 30, Activation::Sigmoid), Dense::new(30, 10, Activation::Sigmoid)];
    /// let pool = WorkspacePool::for_layers(&layers)?;
    /// assert!(pool.get().len() >= layers[0].workspace_len()?.max(layers[1].workspace_len()?));
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dense::workspace_len`] of any of them.
    pub fn for_layers<'a>(layers: impl IntoIterator<Item = &'a Dense>) -> Result<Self, Error> {
        let mut workspace_len = 0;
        for layer in layers {
            workspace_len = layer.workspace_len()?.max(workspace_len);
        }
        Ok(Self { workspace_len, pool: Pool::default() })
    }

    /// A workspace for the caller alone, until it is dropped.
    ///
    /// Where the memory of a new one cannot be had it is empty, which every call reports
    /// ([`Error::WorkspaceTooSmall`]); the next caller tries again.
    #[must_use]
    pub fn get(&self) -> PooledWorkspace<'_> {
        let mut workspace = self.pool.take();
        // A new one, or one whose memory could not be had or was taken out by its last caller.
        if workspace.len() < self.workspace_len || workspace.parts_mut().is_none() {
            *workspace = Workspace::new(self.workspace_len);
        }
        PooledWorkspace(workspace)
    }

    /// Workspaces that wait for a caller.
    pub fn idle(&self) -> usize {
        self.pool.idle()
    }
}

/// A pool for the same layers, without workspaces.
impl Clone for WorkspacePool {
    fn clone(&self) -> Self {
        Self { workspace_len: self.workspace_len, pool: Pool::default() }
    }
}

impl fmt::Debug for WorkspacePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkspacePool")
            .field("workspace_len", &self.workspace_len)
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

/// A [`Workspace`] of a [`WorkspacePool`], to which it returns when it is dropped, also while a thread unwinds.
///
/// ```
/// use fused_dense::{Activation, Dense, WorkspacePool};
///
/// let pool = WorkspacePool::new(&Dense::new(2, 1, Activation::Identity))?;
/// let workspace = pool.get();
/// assert_eq!(pool.idle(), 0);
/// drop(workspace);
/// assert_eq!(pool.idle(), 1);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct PooledWorkspace<'a>(Pooled<'a, Workspace>);

impl Deref for PooledWorkspace<'_> {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.0
    }
}

impl DerefMut for PooledWorkspace<'_> {
    fn deref_mut(&mut self) -> &mut Workspace {
        &mut self.0
    }
}
