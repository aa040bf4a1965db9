//! Facts about a layer.

use super::fd_dense;
use crate::activation::{activation_code, fd_activation_code};
use crate::boundary::{handle, status_of};
use crate::codes::{self, fd_isa_code, fd_summation_code};
use crate::pointer::{Answer, Versioned};
use crate::status::{Failure, fd_status};
use fused_dense::Dense;

/// Facts about a layer. Set `size` before it is filled.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_dense_info {
    /// sizeof(fd_dense_info)
    pub size: usize,
    /// Values in a row of the input.
    pub inputs: usize,
    /// Values in a row of the output.
    pub outputs: usize,
    pub activation: fd_activation_code,
    /// The activation's parameter; 0 where it has none.
    pub parameter: f32,
    /// Not 0 where the derivative follows from z alone: a backward pass from d_a needs z then.
    pub needs_z: i32,
    /// The instruction set that calls use.
    pub isa: fd_isa_code,
    pub summation: fd_summation_code,
    /// Values of scratch memory that a call takes, of which each caller at the same time has its own.
    pub workspace_len: usize,
    /// The most samples of an update without room for partial sums.
    pub update_batch: usize,
}

// SAFETY: numbers, the first of them the size.
unsafe impl Versioned for fd_dense_info {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            inputs: 0,
            outputs: 0,
            activation: 0,
            parameter: 0.0,
            needs_z: 0,
            isa: 0,
            summation: 0,
            workspace_len: 0,
            update_batch: 0,
        }
    }
}

impl fd_dense_info {
    pub(crate) fn of(dense: &Dense) -> Result<Self, Failure> {
        let (activation, parameter) = activation_code(dense.activation());
        Ok(Self {
            size: size_of::<Self>(),
            inputs: dense.inputs(),
            outputs: dense.outputs(),
            activation,
            parameter,
            needs_z: i32::from(dense.activation().needs_z()),
            isa: codes::isa_code(dense.isa()?),
            summation: codes::summation_code(dense.summation()),
            workspace_len: dense.workspace_len()?,
            update_batch: dense.update_batch()?,
        })
    }
}

/// Fills in the facts about a layer.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_dense_get_info(layer: *const fd_dense, info: *mut fd_dense_info) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both.
        let (layer, info) = unsafe { (handle(layer, "layer")?, Answer::new(info, "info")?) };
        let found = layer.0.shared("layer", |layer| fd_dense_info::of(&layer.dense))?;
        info.write(&found);
        Ok(())
    })
}
