//! Training.

use super::{State, alone, fd_network};
use crate::boundary::status_of;
use crate::codes::{self, fd_own_cost, fd_own_cost_code};
use crate::matrix::fd_matrix;
use crate::optimizer::{fd_adam, fd_sgd, optimizer};
use crate::overlap::Operands;
use crate::pointer::Place;
use crate::status::{Failure, fd_status, fd_status::*};
use crate::targets::{fd_targets, targets};
use core::ffi::c_void;
use fused_dense::{Error, MatrixView, Network, Targets};

/// A cost of the caller's own. It reads the network's output, batch x outputs, rows one behind the other; writes the gradient
/// of the cost by it, all of it, to `gradient`, which is laid out alike; and returns the cost. A mean over the batch has its
/// factor 1/batch in both. A guarded network takes no step where the cost is infinite or NaN.
///
/// It may not leave by longjmp or an exception. Calls on the same network are refused in it.
pub type fd_cost_fn = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        output: *const f32,
        gradient: *mut f32,
        batch: usize,
        outputs: usize,
    ) -> f64,
>;

/// One step of the optimiser along the gradients of the batch's cost.
///
/// x: batch x inputs, at most max_batch samples. `cost` gets the cost before the step; it may be null. An empty batch is no step.
/// Where the call fails no parameter was changed.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_step(
    network: *mut fd_network,
    x: *const fd_matrix,
    targets: *const fd_targets,
    cost: *mut f64,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe { train(network, x, targets, cost, Leaves::Parameters, |network, x, targets| network.step(x, targets)) }
}

/// The cost of the batch and its gradients by all parameters, which stay in the layers: for fd_network_get_array, or for
/// fd_network_apply_gradients.
///
/// x and `cost` as in fd_network_step. Where the call fails no gradient was changed.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_gradients(
    network: *mut fd_network,
    x: *const fd_matrix,
    targets: *const fd_targets,
    cost: *mut f64,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe { train(network, x, targets, cost, Leaves::Gradients, |network, x, targets| network.gradients(x, targets)) }
}

/// Adds the gradients of one batch as its part of a larger one of `samples` in all (with sample weights: of that sum of
/// weights). The first call after a step starts from zero. `cost` gets this batch's part of the cost.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_accumulate(
    network: *mut fd_network,
    x: *const fd_matrix,
    targets: *const fd_targets,
    samples: f32,
    cost: *mut f64,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe {
        train(network, x, targets, cost, Leaves::Gradients, |network, x, targets| {
            network.accumulate(x, targets, samples)
        })
    }
}

/// The contents of the layers after a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Gradients,
    Parameters,
}

/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
unsafe fn train(
    network: *mut fd_network,
    x: *const fd_matrix,
    target: *const fd_targets,
    cost: *mut f64,
    leaves: Leaves,
    work: impl for<'a> FnOnce(&mut Network, MatrixView<'a>, Targets<'a>) -> Result<f64, Error>,
) -> fd_status {
    status_of(|| {
        let mut operands = Operands::default();
        // SAFETY: the caller vouches for all of them.
        unsafe {
            let (x, cost) = (operands.input("x", x)?, Place::optional(cost, "cost")?);
            let targets = targets(target, &mut operands)?;
            cost.write(alone(network, |state| state.run(leaves, |network| work(network, x, targets)))?);
        }
        Ok(())
    })
}

impl State {
    /// Runs, and keeps in mind whether the layers hold gradients afterwards.
    fn run<R>(&mut self, leaves: Leaves, work: impl FnOnce(&mut Network) -> Result<R, Error>) -> Result<R, Failure> {
        let steps = self.network.steps();
        let result = work(&mut self.network);
        match (&result, leaves) {
            (Ok(_), Leaves::Gradients) => self.has_gradients = true,
            // An empty batch is no step.
            (Ok(_), Leaves::Parameters) => self.has_gradients &= self.network.steps() == steps,
            // Of what a step has refused, something else may stand in their place.
            (Err(Error::NotFinite { .. }), Leaves::Parameters) => self.has_gradients = false,
            (Err(_), _) => {}
        }
        Ok(result?)
    }
}

/// A step of the optimiser down a cost of the caller's own.
///
/// `by` says whether it is computed from a or from z of the last layer; `user` goes to every call of it; `cost` gets what it
/// returns, and may be null.
///
/// Threads: alone with the network. The function is called once, by the calling thread.
///
/// # Safety
/// Pointers are null or valid, and so is every element of the matrix; the function does as fd_cost_fn says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_step_own(
    network: *mut fd_network,
    x: *const fd_matrix,
    by: fd_own_cost_code,
    function: fd_cost_fn,
    user: *mut c_void,
    cost: *mut f64,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe { train_own(network, x, by, (function, user), cost, Leaves::Parameters) }
}

/// The gradients of a cost of the caller's own, as fd_network_gradients leaves them in the layers.
///
/// Threads: alone with the network. The function is called once, by the calling thread.
///
/// # Safety
/// Pointers are null or valid, and so is every element of the matrix; the function does as fd_cost_fn says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_gradients_own(
    network: *mut fd_network,
    x: *const fd_matrix,
    by: fd_own_cost_code,
    function: fd_cost_fn,
    user: *mut c_void,
    cost: *mut f64,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe { train_own(network, x, by, (function, user), cost, Leaves::Gradients) }
}

/// # Safety
/// Pointers are null or valid, and so is every element of the matrix; the function does as `fd_cost_fn` says.
unsafe fn train_own(
    network: *mut fd_network,
    x: *const fd_matrix,
    by: fd_own_cost_code,
    (function, user): (fd_cost_fn, *mut c_void),
    cost: *mut f64,
    leaves: Leaves,
) -> fd_status {
    status_of(|| {
        let Some(function) = function else {
            return Err(Failure::of("function", FD_ERROR_NULL, "expected a pointer, found null"));
        };
        let by = codes::own_cost(by)?;
        // SAFETY: the caller vouches for both.
        let (x, cost) = unsafe { (Operands::default().input("x", x)?, Place::optional(cost, "cost")?) };
        let run = |network: &mut Network| {
            let outputs = network.outputs();
            let own = |output: &[f32], gradient: &mut [f32]| {
                // SAFETY: the caller vouches for the function; both arrays are as large as it is told.
                unsafe { function(user, output.as_ptr(), gradient.as_mut_ptr(), x.rows(), outputs) }
            };
            match (leaves, by) {
                (Leaves::Parameters, fd_own_cost::ByA) => network.step_with_d_a(x, own),
                (Leaves::Parameters, fd_own_cost::ByZ) => network.step_with_d_z(x, own),
                (Leaves::Gradients, fd_own_cost::ByA) => network.gradients_with_d_a(x, own),
                (Leaves::Gradients, fd_own_cost::ByZ) => network.gradients_with_d_z(x, own),
            }
        };
        // SAFETY: the caller vouches for it.
        cost.write(unsafe { alone(network, |state| state.run(leaves, run))? });
        Ok(())
    })
}

/// Scales all gradients down so that their norm, over all parameters together, is at most `max_norm`. `norm` gets the norm that
/// they had; it may be null.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_clip_gradients(
    network: *mut fd_network,
    max_norm: f32,
    norm: *mut f64,
) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both.
        unsafe {
            let norm = Place::optional(norm, "norm")?;
            norm.write(alone(network, |state| {
                state.check_gradients()?;
                state.run(Leaves::Gradients, |network| network.clip_gradients(max_norm))
            })?);
        }
        Ok(())
    })
}

/// A step of the optimiser along the gradients in the layers.
///
/// Threads: alone with the network.
///
/// # Safety
/// `network` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_apply_gradients(network: *mut fd_network) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for it.
        unsafe {
            alone(network, |state| {
                state.check_gradients()?;
                let result = state.network.apply_gradients();
                // Where they are refused they stay as they are.
                state.has_gradients = result.is_err();
                Ok(result?)
            })
        }
    })
}

impl State {
    /// Whether the layers hold gradients of a cost.
    pub(super) fn check_gradients(&self) -> Result<(), Failure> {
        if self.has_gradients { Ok(()) } else { Err(Error::NoGradients.into()) }
    }
}

/// Sets the learning rate of the steps to come: a finite number from 0 on.
///
/// Threads: alone with the network.
///
/// # Safety
/// `network` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_set_learning_rate(network: *mut fd_network, learning_rate: f32) -> fd_status {
    // SAFETY: the caller vouches for it.
    status_of(|| unsafe { alone(network, |state| Ok(state.network.set_learning_rate(learning_rate)?)) })
}

/// Sets another optimiser for the steps to come, one of the two, which keeps as many arrays beside each parameter: what they hold
/// stays.
///
/// Threads: alone with the network.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_set_optimizer(
    network: *mut fd_network,
    sgd: *const fd_sgd,
    adam: *const fd_adam,
) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for all of them.
        unsafe {
            let optimizer = optimizer(sgd, adam)?;
            alone(network, |state| Ok(state.network.set_optimizer(optimizer)?))
        }
    })
}

/// Sets the number of steps taken, beside the optimiser's state (fd_network_set_array).
///
/// Threads: alone with the network.
///
/// # Safety
/// `network` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_set_steps(network: *mut fd_network, steps: u64) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for it.
        unsafe {
            alone(network, |state| {
                state.network.set_steps(steps);
                Ok(())
            })
        }
    })
}
