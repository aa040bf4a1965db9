//! Facts about a network.

use super::{fd_network, shared};
use crate::boundary::status_of;
use crate::codes::{self, fd_cost_code};
use crate::dense::fd_dense_info;
use crate::pointer::{Answer, Versioned};
use crate::status::{Failure, fd_status, fd_status::FD_ERROR_ARGUMENT};
use fused_dense::{Layer, Network};

/// Facts about a network. Set `size` before it is filled.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_network_info {
    /// sizeof(fd_network_info)
    pub size: usize,
    /// Inputs of the first layer.
    pub inputs: usize,
    /// Outputs of the last layer.
    pub outputs: usize,
    pub layer_count: usize,
    /// The most samples of a batch that trains.
    pub max_batch: usize,
    /// Weights and biases of all layers together.
    pub parameter_count: usize,
    /// Arrays that the optimiser keeps beside each parameter.
    pub state_arrays: usize,
    /// Steps taken.
    pub steps: u64,
    pub learning_rate: f32,
    pub cost: fd_cost_code,
    /// Not 0 where the layers hold gradients of a cost, which no step has taken.
    pub has_gradients: i32,
}

// SAFETY: numbers, the first of them the size.
unsafe impl Versioned for fd_network_info {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            inputs: 0,
            outputs: 0,
            layer_count: 0,
            max_batch: 0,
            parameter_count: 0,
            state_arrays: 0,
            steps: 0,
            learning_rate: 0.0,
            cost: 0,
            has_gradients: 0,
        }
    }
}

/// Fills in the facts about a network.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_get_info(network: *const fd_network, info: *mut fd_network_info) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both.
        let info = unsafe { Answer::new(info, "info")? };
        // SAFETY: as above.
        let found = unsafe {
            shared(network, |state| {
                let has_gradients = i32::from(state.has_gradients);
                Ok(fd_network_info { has_gradients, ..fd_network_info::of(&state.network) })
            })?
        };
        info.write(&found);
        Ok(())
    })
}

impl fd_network_info {
    fn of(network: &Network) -> Self {
        let layers = network.layers();
        Self {
            inputs: network.inputs(),
            outputs: network.outputs(),
            layer_count: layers.len(),
            max_batch: network.max_batch(),
            parameter_count: layers.iter().map(|layer| layer.w().len() + layer.b().len()).sum(),
            state_arrays: network.optimizer().state_arrays(),
            steps: network.steps(),
            learning_rate: network.optimizer().learning_rate(),
            cost: codes::cost_code(network.cost()),
            ..Self::new()
        }
    }
}

/// Fills in the facts about one of a network's layers, counted from 0.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_get_layer_info(
    network: *const fd_network,
    layer: usize,
    info: *mut fd_dense_info,
) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both.
        let info = unsafe { Answer::new(info, "info")? };
        // SAFETY: as above.
        let found =
            unsafe { shared(network, |state| fd_dense_info::of(find(state.network.layers(), layer)?.dense()))? };
        info.write(&found);
        Ok(())
    })
}

pub(super) fn find(layers: &[Layer], index: usize) -> Result<&Layer, Failure> {
    layers.get(index).ok_or_else(|| no_layer(layers.len(), index))
}

pub(super) fn no_layer(count: usize, index: usize) -> Failure {
    Failure::of("layer", FD_ERROR_ARGUMENT, format!("expected a number below {count}, found {index}"))
}
