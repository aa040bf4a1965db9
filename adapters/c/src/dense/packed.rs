//! Packed weights.

use super::fd_dense;
use crate::boundary::{Handle, free, give, handle, status_of};
use crate::matrix::fd_matrix;
use crate::overlap::Operands;
use crate::status::fd_status;
use fused_dense::PackedWeights;

/// A copy of a layer's weights in the order in which its kernels read them, for any number of calls of every layer with this
/// shape and instruction set.
pub struct fd_packed(pub(crate) Handle<PackedWeights>);

/// Packs w: outputs x inputs for a layer, and for every other with its shape and instruction set.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid, and so is every element of the matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_packed_new(
    layer: *const fd_dense,
    w: *const fd_matrix,
    packed: *mut *mut fd_packed,
) -> fd_status {
    let pack = || {
        // SAFETY: the caller vouches for both.
        let (layer, w) = unsafe { (handle(layer, "layer")?, Operands::default().input("w", w)?) };
        layer.0.shared("layer", |layer| Ok(fd_packed(Handle::new(layer.dense.pack(w)?))))
    };
    // SAFETY: as above.
    status_of(|| unsafe { give(packed, "packed", pack) })
}

/// Packs other weights of the same shape into the same memory.
///
/// Threads: alone with `packed`; a call that uses it at the same time is refused, or this one is (FD_ERROR_BUSY).
///
/// # Safety
/// Pointers are null or valid, and so is every element of the matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_packed_repack(packed: *mut fd_packed, w: *const fd_matrix) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both.
        let (packed, w) = unsafe { (handle(packed, "packed")?, Operands::default().input("w", w)?) };
        packed.0.alone("packed", |packed| Ok(packed.repack(w)?))
    })
}

/// Frees packed weights. Null is none.
///
/// Threads: no other call may use them at the same time, or afterwards.
///
/// # Safety
/// `packed` is null or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_packed_free(packed: *mut fd_packed) {
    // SAFETY: the caller vouches for it.
    unsafe { free(packed) }
}
