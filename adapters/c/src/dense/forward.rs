//! The forward pass.

use super::{Layer, fd_dense, fd_packed};
use crate::boundary::{handle, status_of};
use crate::matrix::{Use, fd_matrix, fd_matrix_mut};
use crate::overlap::Operands;
use crate::status::{Failure, fd_status};
use fused_dense::{Bias, Outputs, Weights};

/// z = a_prev * w^T + b, a = g(z).
///
/// a_prev: batch x inputs, w: outputs x inputs, b: 1 x outputs or null for none, a: batch x outputs, z: batch x outputs or null
/// where it is not kept. Outputs lie apart from all other operands; where the call fails none was touched.
///
/// Threads: any number at once, each with outputs of its own.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_forward(
    layer: *const fd_dense,
    a_prev: *const fd_matrix,
    w: *const fd_matrix,
    b: *const fd_matrix,
    a: *const fd_matrix_mut,
    z: *const fd_matrix_mut,
) -> fd_status {
    status_of(|| {
        let mut operands = Operands::default();
        // SAFETY: the caller vouches for all of them.
        unsafe {
            let w = operands.input("w", w)?;
            let call = Forward { a_prev, b, a, z };
            handle(layer, "layer")?.0.shared("layer", |layer| call.run(layer, operands, w.into()))
        }
    })
}

/// As fd_dense_forward, with weights that were packed: equal bits, and no transposition in the call.
///
/// Threads: any number at once, each with outputs of its own.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_forward_packed(
    layer: *const fd_dense,
    a_prev: *const fd_matrix,
    w: *const fd_packed,
    b: *const fd_matrix,
    a: *const fd_matrix_mut,
    z: *const fd_matrix_mut,
) -> fd_status {
    status_of(|| {
        let call = Forward { a_prev, b, a, z };
        // SAFETY: the caller vouches for all of them.
        unsafe {
            let (layer, packed) = (handle(layer, "layer")?, handle(w, "w")?);
            packed.0.shared("w", |w| {
                layer.0.shared("layer", |layer| call.run(layer, Operands::default(), Weights::Packed(w)))
            })
        }
    })
}

/// The operands of a call, but for the weights.
struct Forward {
    a_prev: *const fd_matrix,
    b: *const fd_matrix,
    a: *const fd_matrix_mut,
    z: *const fd_matrix_mut,
}

impl Forward {
    /// # Safety
    /// Pointers are null or valid, and so is every element of a matrix.
    unsafe fn run(self, layer: &Layer, operands: Operands, w: Weights<'_>) -> Result<(), Failure> {
        let mut operands = operands;
        // SAFETY: the caller vouches for all of them.
        let (a_prev, b, a, z) = unsafe {
            (
                operands.input("a_prev", self.a_prev)?,
                operands.optional_input("b", self.b)?,
                operands.output("a", self.a, Use::Overwrite)?,
                operands.optional_output("z", self.z, Use::Overwrite)?,
            )
        };
        let b = b.map_or(Bias::None, Bias::from);
        let outputs = match z {
            None => Outputs::new(a),
            Some(z) => Outputs::new(a).z(z),
        };
        Ok(layer.dense.forward_in(&mut layer.workspaces.get(), a_prev, w, b, outputs)?)
    }
}
