//! An optimiser's step within the backward pass.

use super::backward::FD_ADD_TO_D_A_PREV;
use super::pass::{Checked, Pass, Place};
use super::{Layer, fd_dense};
use crate::boundary::{handle, status_of};
use crate::matrix::{Use, fd_matrix, fd_matrix_mut};
use crate::optimizer::{fd_adam, fd_sgd, optimizer};
use crate::overlap::Operands;
use crate::pointer::{self, Versioned};
use crate::status::{Failure, fd_status, fd_status::FD_ERROR_ARGUMENT};
use core::ptr::null;
use fused_dense::{Parameter, Update};

/// A backward pass that updates the weights. Begin with FD_UPDATE_DEFAULTS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_update {
    /// sizeof(fd_update)
    pub size: usize,
    /// The layer's input, batch x inputs.
    pub a_prev: *const fd_matrix,
    /// The weights, outputs x inputs, which the call changes.
    pub w: *const fd_matrix_mut,
    /// The optimiser's state beside the weights, each of their shape and zero before the first step: none, the velocity, or
    /// the first moment and the second. The others are null.
    pub w_state: [*const fd_matrix_mut; 2],
    /// The bias, 1 x outputs, which the call changes; or null.
    pub b: *const fd_matrix_mut,
    /// As w_state, beside the bias.
    pub b_state: [*const fd_matrix_mut; 2],
    /// Saved by the forward pass, as in fd_backward.
    pub saved_a: *const fd_matrix,
    /// As saved_a.
    pub saved_z: *const fd_matrix,
    /// The gradient that comes from above, as in fd_backward.
    pub from_d_a: *const fd_matrix,
    /// As from_d_a.
    pub from_d_z: *const fd_matrix,
    /// As from_d_a.
    pub from_targets: *const fd_matrix,
    /// Where the gradient by a_prev goes, with the weights before the step; null where it is not wanted.
    pub d_a_prev: *const fd_matrix_mut,
    /// Where d_z goes; null where it is not wanted.
    pub d_z: *const fd_matrix_mut,
    /// Room of the weights' shape, initialised, which a batch of more than update_batch samples (fd_dense_info) needs; or null.
    /// Smaller batches are faster with it where the optimiser keeps state and all rows are contiguous.
    pub partial_sums: *const fd_matrix_mut,
    /// The optimiser: one of the two.
    pub sgd: *const fd_sgd,
    /// As sgd.
    pub adam: *const fd_adam,
    /// Which step it is, counted from 1. Adam's depends on it.
    pub step: u64,
    /// FD_ADD_TO_D_A_PREV, or 0.
    pub add: u32,
    /// As in fd_backward.
    pub scale: f32,
}

// SAFETY: numbers and pointers, the first of them the size.
unsafe impl Versioned for fd_update {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            a_prev: null(),
            w: null(),
            w_state: [null(); 2],
            b: null(),
            b_state: [null(); 2],
            saved_a: null(),
            saved_z: null(),
            from_d_a: null(),
            from_d_z: null(),
            from_targets: null(),
            d_a_prev: null(),
            d_z: null(),
            partial_sums: null(),
            sgd: null(),
            adam: null(),
            step: 1,
            add: 0,
            scale: 1.0,
        }
    }
}

/// A backward pass and an optimiser's step in one: each piece of the gradients updates its parameters while it is in the
/// caches.
///
/// Parameters and state are, to the bit, those of the optimiser's rule applied to the gradients of fd_dense_backward. Where the
/// call fails nothing was touched.
///
/// Threads: any number at once, each with parameters and outputs of its own.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_update(layer: *const fd_dense, call: *const fd_update) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both, and for all pointers within.
        unsafe {
            let (layer, call) = (handle(layer, "layer")?, pointer::options(call, "call")?);
            layer.0.shared("layer", |layer| call.run(layer))
        }
    })
}

impl fd_update {
    /// # Safety
    /// Pointers are null or valid, and so is every element of a matrix.
    unsafe fn run(&self, layer: &Layer) -> Result<(), Failure> {
        let mut operands = Operands::default();
        // SAFETY: the caller vouches for all of them.
        let (pass, w, update) = unsafe {
            let pass = self.pass().read(&mut operands, FD_ADD_TO_D_A_PREV)?;
            let update = Update::new(optimizer(self.sgd, self.adam)?).step(self.step).scale(self.scale);
            let w = Parameter::new(operands.output("w", self.w, Use::Change)?);
            let w = with_state(w, &mut operands, ["w_state[0]", "w_state[1]"], self.w_state)?;
            (pass, w, self.outputs(&mut operands, update)?)
        };
        let Checked { a_prev, saved, upstream, d_a_prev, d_z } = pass;
        let update = match d_a_prev {
            None => update,
            Some(Place::Overwrite(d_a_prev)) => update.a_prev(d_a_prev),
            Some(Place::AddTo(d_a_prev)) => update.add_to_a_prev(d_a_prev),
        };
        let update = match d_z {
            None => update,
            Some(d_z) => update.z(d_z),
        };
        Ok(layer.dense.backward_update_in(&mut layer.workspaces.get(), a_prev, w, saved, upstream, update)?)
    }

    fn pass(&self) -> Pass {
        let Self { a_prev, saved_a, saved_z, from_d_a, from_d_z, from_targets, d_a_prev, d_z, add, scale, .. } = *self;
        Pass { a_prev, saved_a, saved_z, from_d_a, from_d_z, from_targets, d_a_prev, d_z, add, scale }
    }

    /// With the bias and the room for partial sums.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn outputs<'a>(&self, operands: &mut Operands, update: Update<'a>) -> Result<Update<'a>, Failure> {
        let mut update = update;
        // SAFETY: the caller vouches for all of them.
        unsafe {
            match operands.optional_output("b", self.b, Use::Change)? {
                Some(b) => {
                    let b = with_state(Parameter::new(b), operands, ["b_state[0]", "b_state[1]"], self.b_state)?;
                    update = update.b(b);
                }
                None if self.b_state.iter().all(|array| array.is_null()) => {}
                None => return Err(Failure::of("b_state", FD_ERROR_ARGUMENT, "expected none without b, found some")),
            }
            if let Some(room) = operands.optional_output("partial_sums", self.partial_sums, Use::Change)? {
                update = update.partial_sums(room);
            }
            Ok(update)
        }
    }
}

/// A parameter with the arrays beside it that are given.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix.
unsafe fn with_state<'a>(
    parameter: Parameter<'a>,
    operands: &mut Operands,
    names: [&'static str; 2],
    state: [*const fd_matrix_mut; 2],
) -> Result<Parameter<'a>, Failure> {
    let mut parameter = parameter;
    for (name, array) in names.into_iter().zip(state) {
        // SAFETY: the caller vouches for it.
        if let Some(array) = unsafe { operands.optional_output(name, array, Use::Change)? } {
            parameter = parameter.state(array);
        }
    }
    Ok(parameter)
}
