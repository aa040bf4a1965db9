//! Layers.

// In the order of the header.
mod info;

mod forward;
mod packed;

mod backward;
mod update;

mod pass;

pub use backward::*;
pub use forward::*;
pub use info::*;
pub use packed::*;
pub use update::*;

use crate::activation::{AskedActivation, fd_activation_code};
use crate::boundary::{Handle, free, give, handle, status_of};
use crate::codes::{self, fd_isa_code, fd_summation_code};
use crate::pointer::{self, Versioned};
use crate::status::{Failure, fd_status, fd_status::*};
use crate::team::{self, fd_team};
use core::ffi::c_char;
use core::ptr::null;
use fused_dense::{Dense, WorkspacePool};

/// A layer of a number of inputs and outputs, with an activation. It holds no parameters: the caller owns every operand.
///
/// With a_prev: batch x inputs, w: outputs x inputs, b: outputs and g the activation:
///
/// ```text
/// forward    z = a_prev * w^T + b
///            a = g(z)
/// backward   d_z = d_a . g'(z)
///            d_w = scale * d_z^T * a_prev
///            d_b = scale * the sum of the rows of d_z
///            d_a_prev = d_z * w
/// ```
///
/// Nothing changes a layer once it is made, and any number of threads may call it at once.
pub struct fd_dense(pub(crate) Handle<Layer>);

/// A layer, and workspaces for those who call it at the same time.
pub(crate) struct Layer {
    pub(crate) dense: Dense,
    pub(crate) workspaces: WorkspacePool,
}

impl Layer {
    /// A layer that can be called: with kernels, and memory for a call.
    fn new(dense: Dense) -> Result<Self, Failure> {
        dense.isa()?;
        dense.tuning()?;
        let needed = dense.workspace_len()?;
        let workspaces = WorkspacePool::new(&dense)?;
        let found = workspaces.get().len();
        if found < needed {
            let text = format!("expected memory for {needed} elements of scratch, found none");
            return Err(Failure::of("layer", FD_ERROR_MEMORY, text));
        }
        Ok(Self { dense, workspaces })
    }
}

/// How a layer is to be made. Begin with FD_DENSE_OPTIONS_DEFAULTS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_dense_options {
    /// sizeof(fd_dense_options)
    pub size: usize,
    /// Values in a row of the input.
    pub inputs: usize,
    /// Values in a row of the output.
    pub outputs: usize,
    /// FD_ACTIVATION_IDENTITY by default.
    pub activation: fd_activation_code,
    /// The instruction set above which none is used: FD_ISA_BEST by default.
    pub isa: fd_isa_code,
    /// FD_SUMMATION_AUTO by default. Pinned, results depend neither on the batch around a sample nor on the weights' layout.
    pub summation: fd_summation_code,
    /// The activation's parameter; null for the usual one.
    pub parameter: *const f32,
    /// The activation by name, as fd_activation_parse reads it, in the place of activation and parameter; else null.
    pub activation_name: *const c_char,
    /// The threads that share the work; null for the calling thread alone.
    pub team: *const fd_team,
}

// SAFETY: numbers and pointers, the first of them the size.
unsafe impl Versioned for fd_dense_options {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            inputs: 0,
            outputs: 0,
            activation: 0,
            isa: 0,
            summation: 0,
            parameter: null(),
            activation_name: null(),
            team: null(),
        }
    }
}

/// Makes a layer. Memory for calls is allocated here, and again where more threads call at once than before; no other call
/// allocates.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_new(options: *const fd_dense_options, layer: *mut *mut fd_dense) -> fd_status {
    // SAFETY: the caller vouches for both.
    status_of(|| unsafe { give(layer, "layer", || Ok(fd_dense(Handle::new(make(options)?)))) })
}

/// # Safety
/// The pointer is null or valid, and so are those within.
unsafe fn make(options: *const fd_dense_options) -> Result<Layer, Failure> {
    // SAFETY: the caller vouches for it.
    let options = unsafe { pointer::options(options, "options")? };
    let fd_dense_options { inputs, outputs, activation: code, isa, summation, .. } = options;
    let asked = AskedActivation { code, parameter: options.parameter, name: options.activation_name };
    // SAFETY: as above.
    let (activation, threads) = unsafe { (asked.resolve()?, team::threads(options.team)?) };
    let (cap, summation) = (codes::isa(isa)?, codes::summation(summation)?);
    let dense = Dense::new(inputs, outputs, activation).with_summation(summation).with_threads(threads);
    Layer::new(match cap {
        None => dense,
        Some(cap) => dense.with_isa(cap),
    })
}

/// Makes another layer like this one, with memory of its own.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_clone(layer: *const fd_dense, copy: *mut *mut fd_dense) -> fd_status {
    let clone = || {
        // SAFETY: the caller vouches for it.
        let dense = unsafe { handle(layer, "layer")? }.0.shared("layer", |layer| Ok(layer.dense.clone()))?;
        Ok(fd_dense(Handle::new(Layer::new(dense)?)))
    };
    // SAFETY: as above.
    status_of(|| unsafe { give(copy, "copy", clone) })
}

/// Frees a layer. Null is none. Networks that were made with it keep a copy.
///
/// Threads: no other call may use the layer at the same time, or afterwards.
///
/// # Safety
/// `layer` is null or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_free(layer: *mut fd_dense) {
    // SAFETY: the caller vouches for it.
    unsafe { free(layer) }
}
