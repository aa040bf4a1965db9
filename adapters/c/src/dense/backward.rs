//! The backward pass.

use super::pass::{Checked, Pass, Place, place};
use super::{Layer, fd_dense, fd_packed};
use crate::boundary::{handle, status_of};
use crate::matrix::{fd_matrix, fd_matrix_mut, one_of};
use crate::overlap::Operands;
use crate::pointer::{self, Versioned};
use crate::status::{Failure, fd_status};
use core::ptr::null;
use fused_dense::{Gradients, Weights};

/// Adds to d_w, in the place of overwriting it.
pub const FD_ADD_TO_D_W: u32 = 1;
/// Adds to d_b, in the place of overwriting it.
pub const FD_ADD_TO_D_B: u32 = 2;
/// Adds to d_a_prev, in the place of overwriting it.
pub const FD_ADD_TO_D_A_PREV: u32 = 4;

/// A backward pass. Begin with FD_BACKWARD_DEFAULTS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_backward {
    /// sizeof(fd_backward)
    pub size: usize,
    /// The layer's input, batch x inputs.
    pub a_prev: *const fd_matrix,
    /// The weights, outputs x inputs; null where they are packed.
    pub w: *const fd_matrix,
    /// The weights, packed; null where they are not.
    pub packed: *const fd_packed,
    /// Saved by the forward pass, batch x outputs: the activation a, or null.
    pub saved_a: *const fd_matrix,
    /// Saved by the forward pass: the pre-activation z, exact also where a has saturated, or null.
    pub saved_z: *const fd_matrix,
    /// The gradient that comes from above, batch x outputs: the cost's by a, or null.
    pub from_d_a: *const fd_matrix,
    /// The gradient that comes from above: the cost's by z itself, or null.
    pub from_d_z: *const fd_matrix,
    /// The targets of cross-entropy behind a sigmoid, of which follows d_z = a - y; or null.
    pub from_targets: *const fd_matrix,
    /// Where the gradient by w goes, outputs x inputs; null where it is not wanted.
    pub d_w: *const fd_matrix_mut,
    /// Where the gradient by b goes, 1 x outputs; null where it is not wanted.
    pub d_b: *const fd_matrix_mut,
    /// Where the gradient by a_prev goes, batch x inputs; null where it is not wanted.
    pub d_a_prev: *const fd_matrix_mut,
    /// Where d_z goes, batch x outputs; null where it is not wanted.
    pub d_z: *const fd_matrix_mut,
    /// Which gradients are added to: FD_ADD_TO_... together, or 0.
    pub add: u32,
    /// The factor of d_w and d_b: 1 for sums over the batch, 1 / batch for means. Finite, and not 0.
    pub scale: f32,
}

// SAFETY: numbers and pointers, the first of them the size.
unsafe impl Versioned for fd_backward {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            a_prev: null(),
            w: null(),
            packed: null(),
            saved_a: null(),
            saved_z: null(),
            from_d_a: null(),
            from_d_z: null(),
            from_targets: null(),
            d_w: null(),
            d_b: null(),
            d_a_prev: null(),
            d_z: null(),
            add: 0,
            scale: 1.0,
        }
    }
}

/// The gradients of one layer, as `call` asks for them.
///
/// One of w and packed, of saved_a and saved_z, and of from_d_a, from_d_z and from_targets is given. Outputs lie apart from
/// all other operands; where the call fails none was touched.
///
/// Threads: any number at once, each with outputs of its own.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_backward(layer: *const fd_dense, call: *const fd_backward) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both, and for all pointers within.
        unsafe {
            let (layer, call) = (handle(layer, "layer")?, pointer::options(call, "call")?);
            let mut operands = Operands::default();
            let plain = operands.optional_input("w", call.w)?.map(Weights::from);
            if call.packed.is_null() {
                let w = one_of(&["w", "packed"], [plain])?;
                return layer.0.shared("layer", |layer| call.run(layer, operands, w));
            }
            handle(call.packed, "packed")?.0.shared("packed", |packed| {
                let w = one_of(&["w", "packed"], [plain, Some(packed.into())])?;
                layer.0.shared("layer", |layer| call.run(layer, operands, w))
            })
        }
    })
}

impl fd_backward {
    /// # Safety
    /// Pointers are null or valid, and so is every element of a matrix.
    unsafe fn run(&self, layer: &Layer, operands: Operands, w: Weights<'_>) -> Result<(), Failure> {
        let mut operands = operands;
        // SAFETY: the caller vouches for all of them.
        let (pass, gradients) = unsafe {
            let known = FD_ADD_TO_D_W | FD_ADD_TO_D_B | FD_ADD_TO_D_A_PREV;
            (self.pass().read(&mut operands, known)?, self.gradients(&mut operands)?)
        };
        let Checked { a_prev, saved, upstream, d_a_prev, d_z } = pass;
        let gradients = match d_a_prev {
            None => gradients,
            Some(Place::Overwrite(d_a_prev)) => gradients.a_prev(d_a_prev),
            Some(Place::AddTo(d_a_prev)) => gradients.add_to_a_prev(d_a_prev),
        };
        let gradients = match d_z {
            None => gradients,
            Some(d_z) => gradients.z(d_z),
        };
        let workspace = &mut layer.workspaces.get();
        Ok(layer.dense.backward_in(workspace, a_prev, w, saved, upstream, gradients.scale(self.scale))?)
    }

    fn pass(&self) -> Pass {
        let Self { a_prev, saved_a, saved_z, from_d_a, from_d_z, from_targets, d_a_prev, d_z, add, scale, .. } = *self;
        Pass { a_prev, saved_a, saved_z, from_d_a, from_d_z, from_targets, d_a_prev, d_z, add, scale }
    }

    /// The gradients of weights and bias.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn gradients<'a>(&self, operands: &mut Operands) -> Result<Gradients<'a>, Failure> {
        // SAFETY: the caller vouches for both.
        let (d_w, d_b) = unsafe {
            (
                place(operands, "d_w", self.d_w, self.add & FD_ADD_TO_D_W != 0)?,
                place(operands, "d_b", self.d_b, self.add & FD_ADD_TO_D_B != 0)?,
            )
        };
        let gradients = match d_w {
            None => Gradients::new(),
            Some(Place::Overwrite(d_w)) => Gradients::new().w(d_w),
            Some(Place::AddTo(d_w)) => Gradients::new().add_to_w(d_w),
        };
        Ok(match d_b {
            None => gradients,
            Some(Place::Overwrite(d_b)) => gradients.b(d_b),
            Some(Place::AddTo(d_b)) => gradients.add_to_b(d_b),
        })
    }
}
