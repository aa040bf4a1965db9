//! Networks in files.

use super::{State, alone, fd_network, shared};
use crate::boundary::status_of;
use crate::pointer;
use crate::status::{Failure, fd_status};
use core::ffi::c_char;
use fused_dense::FileError;
use std::path::PathBuf;

/// A path of C: bytes on Unix, UTF-8 elsewhere.
///
/// # Safety
/// The pointer is null, or one to a text that ends with a NUL.
unsafe fn path(path: *const c_char) -> Result<PathBuf, Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: the caller vouches for it.
        let bytes = unsafe { pointer::bytes(path, "path")? }.to_bytes();
        Ok(std::ffi::OsStr::from_bytes(bytes).into())
    }
    #[cfg(not(unix))]
    // SAFETY: the caller vouches for it.
    Ok(unsafe { pointer::text(path, "path")? }.into())
}

/// Writes the parameters to a file in the format safetensors, under the names that PyTorch gives those of a Sequential. The file
/// takes the place of an old one as a whole or not at all. `path` is UTF-8; on Unix any bytes.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_save(network: *const fd_network, path: *const c_char) -> fd_status {
    // SAFETY: the caller vouches for both.
    unsafe { write(network, path, |state, path| state.network.save(path)) }
}

/// Writes all that training goes on from: the parameters, the optimiser with its settings and state, the steps taken.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_save_checkpoint(network: *const fd_network, path: *const c_char) -> fd_status {
    // SAFETY: the caller vouches for both.
    unsafe { write(network, path, |state, path| state.network.save_checkpoint(path)) }
}

/// Reads the parameters from a file that fd_network_save, fd_network_save_checkpoint or another program wrote. The layers'
/// gradients count as none. Where the call fails nothing was changed.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_load(network: *mut fd_network, path: *const c_char) -> fd_status {
    // SAFETY: the caller vouches for both.
    unsafe { read(network, path, |state, path| state.network.load(path)) }
}

/// Reads what fd_network_save_checkpoint wrote, the optimiser's settings included. The layers' gradients count as none. Where the
/// call fails nothing was changed.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_load_checkpoint(network: *mut fd_network, path: *const c_char) -> fd_status {
    // SAFETY: the caller vouches for both.
    unsafe { read(network, path, |state, path| state.network.load_checkpoint(path)) }
}

/// # Safety
/// Pointers are null or valid.
unsafe fn write(
    network: *const fd_network,
    path: *const c_char,
    work: fn(&State, PathBuf) -> Result<(), FileError>,
) -> fd_status {
    // SAFETY: the caller vouches for both.
    status_of(|| unsafe {
        let path = self::path(path)?;
        shared(network, |state| Ok(work(state, path)?))
    })
}

/// # Safety
/// Pointers are null or valid.
unsafe fn read(
    network: *mut fd_network,
    path: *const c_char,
    work: fn(&mut State, PathBuf) -> Result<(), FileError>,
) -> fd_status {
    // SAFETY: the caller vouches for both.
    status_of(|| unsafe {
        let path = self::path(path)?;
        alone(network, |state| {
            work(state, path)?;
            state.has_gradients = false;
            Ok(())
        })
    })
}
