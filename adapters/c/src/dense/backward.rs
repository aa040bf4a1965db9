//! The backward pass.

use super::{Layer, fd_dense, fd_packed};
use crate::boundary::{handle, status_of};
use crate::matrix::{Use, fd_matrix, fd_matrix_mut, one_of};
use crate::overlap::Operands;
use crate::pointer::{self, Versioned};
use crate::status::{Failure, fd_status, fd_status::*};
use core::ptr::null;
use fused_dense::{Gradients, MatrixView, Saved, Upstream, Weights};

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
        let scale = check_scale(self.scale)?;
        // SAFETY: the caller vouches for all of them.
        let (a_prev, saved, upstream, gradients) = unsafe {
            (
                operands.input("a_prev", self.a_prev)?,
                saved(&mut operands, self.saved_a, self.saved_z)?,
                upstream(&mut operands, self.from_d_a, self.from_d_z, self.from_targets)?,
                self.gradients(&mut operands)?,
            )
        };
        let workspace = &mut layer.workspaces.get();
        Ok(layer.dense.backward_in(workspace, a_prev, w, saved, upstream, gradients.scale(scale))?)
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn gradients<'a>(&self, operands: &mut Operands) -> Result<Gradients<'a>, Failure> {
        check_flags(self.add, FD_ADD_TO_D_W | FD_ADD_TO_D_B | FD_ADD_TO_D_A_PREV)?;
        let adds = |flag| self.add & flag != 0;
        let of = |flag| if adds(flag) { Use::Change } else { Use::Overwrite };
        let mut gradients = Gradients::new();
        // SAFETY: the caller vouches for all of them.
        unsafe {
            if let Some(d_w) = operands.optional_output("d_w", self.d_w, of(FD_ADD_TO_D_W))? {
                gradients = if adds(FD_ADD_TO_D_W) { gradients.add_to_w(d_w) } else { gradients.w(d_w) };
            }
            if let Some(d_b) = operands.optional_output("d_b", self.d_b, of(FD_ADD_TO_D_B))? {
                gradients = if adds(FD_ADD_TO_D_B) { gradients.add_to_b(d_b) } else { gradients.b(d_b) };
            }
            if let Some(d_a_prev) = operands.optional_output("d_a_prev", self.d_a_prev, of(FD_ADD_TO_D_A_PREV))? {
                let adds = adds(FD_ADD_TO_D_A_PREV);
                gradients = if adds { gradients.add_to_a_prev(d_a_prev) } else { gradients.a_prev(d_a_prev) };
            }
            if let Some(d_z) = operands.optional_output("d_z", self.d_z, Use::Overwrite)? {
                gradients = gradients.z(d_z);
            }
        }
        Ok(gradients)
    }
}

/// The operand that the forward pass saved.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
pub(super) unsafe fn saved<'a>(
    operands: &mut Operands,
    a: *const fd_matrix,
    z: *const fd_matrix,
) -> Result<Saved<'a>, Failure> {
    // SAFETY: the caller vouches for both.
    let (a, z) = unsafe { (operands.optional_input("saved_a", a)?, operands.optional_input("saved_z", z)?) };
    one_of(&["saved_a", "saved_z"], [a.map(Saved::from), z.map(Saved::z)])
}

/// The gradient that comes from above.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
pub(super) unsafe fn upstream<'a>(
    operands: &mut Operands,
    d_a: *const fd_matrix,
    d_z: *const fd_matrix,
    targets: *const fd_matrix,
) -> Result<Upstream<MatrixView<'a>>, Failure> {
    // SAFETY: the caller vouches for all of them.
    let (d_a, d_z, targets) = unsafe {
        (
            operands.optional_input("from_d_a", d_a)?,
            operands.optional_input("from_d_z", d_z)?,
            operands.optional_input("from_targets", targets)?,
        )
    };
    let given = [d_a.map(Upstream::Activation), d_z.map(Upstream::PreActivation), targets.map(Upstream::Targets)];
    one_of(&["from_d_a", "from_d_z", "from_targets"], given)
}

/// A factor of 0 makes all gradients 0: who gives it has not begun with the structure's defaults.
pub(super) fn check_scale(scale: f32) -> Result<f32, Failure> {
    if scale.is_finite() && scale != 0.0 {
        return Ok(scale);
    }
    Err(Failure::new(FD_ERROR_SETTING, format!("expected scale to be a finite number other than 0, found {scale}")))
}

pub(super) fn check_flags(add: u32, known: u32) -> Result<(), Failure> {
    if add & !known == 0 {
        return Ok(());
    }
    Err(Failure::of("add", FD_ERROR_ENUM, format!("expected flags among {known:#x}, found {add:#x}")))
}
