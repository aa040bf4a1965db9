//! A network's parameters, their gradients, and what the optimiser keeps beside them: copied out and in.

use super::info::{find, no_layer};
use super::{alone, fd_network, shared};
use crate::boundary::status_of;
use crate::codes::{self, fd_array, fd_array_code};
use crate::pointer::{array, array_mut};
use crate::status::{Failure, fd_status, fd_status::*};
use fused_dense::Layer;

/// Copies an array of a layer, counted from 0, to `values`, whose length is that of the array: outputs * inputs beside the
/// weights, outputs beside the bias.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid, `values` for as many elements as it has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_get_array(
    network: *const fd_network,
    layer: usize,
    array: fd_array_code,
    values: *mut f32,
    value_count: usize,
) -> fd_status {
    status_of(|| {
        let array = codes::array(array)?;
        // SAFETY: the caller vouches for both; no memory of a network is its own.
        unsafe {
            let values = array_mut(values, value_count, "values")?;
            shared(network, |state| {
                let found = read(find(state.network.layers(), layer)?, array)?;
                if matches!(array, fd_array::D_W | fd_array::D_B) {
                    state.check_gradients()?;
                }
                check_len(found.len(), values.len())?;
                values.copy_from_slice(found);
                Ok(())
            })
        }
    })
}

/// Sets an array of a layer, as fd_network_get_array copies it. Gradients cannot be set, and those in the layers count as
/// they are.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid, `values` for as many elements as it has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_set_array(
    network: *mut fd_network,
    layer: usize,
    array: fd_array_code,
    values: *const f32,
    value_count: usize,
) -> fd_status {
    let code = array;
    status_of(|| {
        let array = codes::array(code)?;
        // SAFETY: the caller vouches for both; no memory of a network is its own.
        unsafe {
            let values = self::array(values, value_count, "values")?;
            alone(network, |state| {
                let layers = state.network.layers_mut();
                let count = layers.len();
                let place = write(layers.get_mut(layer).ok_or_else(|| no_layer(count, layer))?, array)?;
                check_len(place.len(), values.len())?;
                place.copy_from_slice(values);
                Ok(())
            })
        }
    })
}

/// Where the optimiser's array stands: its number, and whether it is beside the weights or the bias.
fn place_of_state(array: fd_array) -> Option<(usize, usize)> {
    match array {
        fd_array::W_STATE_0 => Some((0, 0)),
        fd_array::B_STATE_0 => Some((0, 1)),
        fd_array::W_STATE_1 => Some((1, 0)),
        fd_array::B_STATE_1 => Some((1, 1)),
        fd_array::W | fd_array::B | fd_array::D_W | fd_array::D_B => None,
    }
}

fn read(layer: &Layer, array: fd_array) -> Result<&[f32], Failure> {
    if let Some((number, of)) = place_of_state(array) {
        return layer.optimizer_state().nth(number).map(|arrays| arrays[of]).ok_or_else(no_state);
    }
    Ok(match array {
        fd_array::W => layer.w(),
        fd_array::B => layer.b(),
        fd_array::D_W => layer.d_w(),
        _ => layer.d_b(),
    })
}

fn write(layer: &mut Layer, array: fd_array) -> Result<&mut [f32], Failure> {
    if let Some((number, of)) = place_of_state(array) {
        let arrays = layer.optimizer_state_mut().nth(number).ok_or_else(no_state)?;
        let [of_w, of_b] = arrays;
        return Ok(if of == 0 { of_w } else { of_b });
    }
    match array {
        fd_array::W => Ok(layer.w_mut()),
        fd_array::B => Ok(layer.b_mut()),
        _ => Err(Failure::of("array", FD_ERROR_ARGUMENT, "expected one that can be set, found a gradient")),
    }
}

fn no_state() -> Failure {
    Failure::of("array", FD_ERROR_MISMATCH, "expected one that the network's optimiser keeps, found another")
}

fn check_len(expected: usize, found: usize) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    Err(Failure::of("values", FD_ERROR_SHAPE, format!("expected {expected} elements, found {found}")))
}
