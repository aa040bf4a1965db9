//! Networks.

// In the order of the header.
mod options;

mod info;

mod train;

mod predict;

mod arrays;
mod files;

pub use arrays::*;
pub use files::*;
pub use info::*;
pub use options::*;
pub use predict::*;
pub use train::*;

use crate::boundary::{Handle, free, give, handle, status_of};
use crate::status::{Failure, fd_status};
use fused_dense::Network;

/// Layers in a chain, with their parameters, gradients and optimiser, trained on mini-batches.
///
/// Functions that take it as const may be called by any number of threads at once. All others have it alone: the caller puts
/// such calls in order, and one that finds another at work is refused (FD_ERROR_BUSY), as the other may be.
pub struct fd_network(Handle<State>);

/// A network, and whether its layers hold gradients of a cost.
#[derive(Clone)]
struct State {
    network: Network,
    has_gradients: bool,
}

/// A call that changes nothing.
///
/// # Safety
/// The pointer is null or a handle that nobody frees meanwhile.
unsafe fn shared<R>(network: *const fd_network, call: impl FnOnce(&State) -> Result<R, Failure>) -> Result<R, Failure> {
    // SAFETY: the caller vouches for it.
    unsafe { handle(network, "network")? }.0.shared("network", call)
}

/// A call that has the network alone.
///
/// # Safety
/// As [`shared`].
unsafe fn alone<R>(
    network: *mut fd_network,
    call: impl FnOnce(&mut State) -> Result<R, Failure>,
) -> Result<R, Failure> {
    // SAFETY: the caller vouches for it.
    unsafe { handle(network, "network")? }.0.alone("network", call)
}

/// Makes a network, plans and initialises it, and allocates its memory.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid, and so are those within.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_new(
    options: *const fd_network_options,
    network: *mut *mut fd_network,
) -> fd_status {
    let make = || {
        // SAFETY: the caller vouches for it.
        let network = unsafe { options::build(options)? };
        Ok(fd_network(Handle::new(State { network, has_gradients: false })))
    };
    // SAFETY: as above.
    status_of(|| unsafe { give(network, "network", make) })
}

/// Makes a copy: parameters, gradients, the optimiser's state, steps and all settings. It shares the team, and nothing else.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_clone(network: *const fd_network, copy: *mut *mut fd_network) -> fd_status {
    // SAFETY: the caller vouches for it.
    let clone = || unsafe { shared(network, |state| Ok(fd_network(Handle::new(state.clone())))) };
    // SAFETY: as above.
    status_of(|| unsafe { give(copy, "copy", clone) })
}

/// Frees a network. Null is none.
///
/// Threads: no other call may use it at the same time, or afterwards.
///
/// # Safety
/// `network` is null or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_free(network: *mut fd_network) {
    // SAFETY: the caller vouches for it.
    unsafe { free(network) }
}
