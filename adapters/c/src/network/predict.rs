//! Inference.

use super::{fd_network, shared};
use crate::boundary::status_of;
use crate::matrix::fd_matrix;
use crate::overlap::Operands;
use crate::pointer::{Answer, Versioned};
use crate::status::fd_status;
use crate::targets::{fd_targets, targets};
use fused_dense::{Error, MatrixView, Network};

/// The cost and the accuracy of samples. Set `size` before it is filled.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_evaluation {
    /// sizeof(fd_evaluation)
    pub size: usize,
    /// A mean over the samples.
    pub cost: f64,
    /// The share of samples whose class is that of the targets; NaN where has_accuracy is 0.
    pub accuracy: f64,
    /// 0 where the targets are no classes, or there are no samples.
    pub has_accuracy: i32,
}

// SAFETY: numbers, the first of them the size.
unsafe impl Versioned for fd_evaluation {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self { size: size_of::<Self>(), cost: 0.0, accuracy: f64::NAN, has_accuracy: 0 }
    }
}

/// The network's output for x: batch x inputs, any batch. `a` has a_len = batch * outputs elements, rows one behind the other.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_predict(
    network: *const fd_network,
    x: *const fd_matrix,
    a: *mut f32,
    a_len: usize,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe { predict(network, x, ("a", a, a_len), |network, x, a| network.predict(x, a)) }
}

/// As fd_network_predict, with the output as probabilities: of a network that descends softmax cross-entropy the softmax of
/// its rows, of any other the output itself.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_predict_probabilities(
    network: *const fd_network,
    x: *const fd_matrix,
    p: *mut f32,
    p_len: usize,
) -> fd_status {
    // SAFETY: the caller vouches for all of them.
    unsafe { predict(network, x, ("p", p, p_len), |network, x, p| network.predict_probabilities(x, p)) }
}

/// The class of each sample of x: the number of its largest output, the first of equals; of a single output whether it is
/// above 1/2.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_predict_classes(
    network: *const fd_network,
    x: *const fd_matrix,
    classes: *mut u32,
    class_count: usize,
) -> fd_status {
    let classes = ("classes", classes, class_count);
    // SAFETY: the caller vouches for all of them.
    unsafe { predict(network, x, classes, |network, x, classes| network.predict_classes(x, classes)) }
}

/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
unsafe fn predict<T>(
    network: *const fd_network,
    x: *const fd_matrix,
    (name, data, len): (&'static str, *mut T, usize),
    work: impl for<'a> FnOnce(&Network, MatrixView<'a>, &mut [T]) -> Result<(), Error>,
) -> fd_status {
    status_of(|| {
        let mut operands = Operands::default();
        // SAFETY: the caller vouches for all of them.
        unsafe {
            let (x, output) = (operands.input("x", x)?, operands.output_array(name, data, len)?);
            shared(network, |state| Ok(work(&state.network, x, output)?))
        }
    })
}

/// The cost of samples, and the accuracy of their classes: any batch.
///
/// Threads: any number at once, beside others that take the network as const.
///
/// # Safety
/// Pointers are null or valid, and so is every element of a matrix or an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_network_evaluate(
    network: *const fd_network,
    x: *const fd_matrix,
    targets: *const fd_targets,
    evaluation: *mut fd_evaluation,
) -> fd_status {
    let given = targets;
    status_of(|| {
        let mut operands = Operands::default();
        // SAFETY: the caller vouches for all of them.
        unsafe {
            let answer = Answer::new(evaluation, "evaluation")?;
            let (x, targets) = (operands.input("x", x)?, self::targets(given, &mut operands)?);
            let found = shared(network, |state| Ok(state.network.evaluate(x, targets)?))?;
            answer.write(&fd_evaluation {
                cost: found.cost,
                accuracy: found.accuracy.unwrap_or(f64::NAN),
                has_accuracy: i32::from(found.accuracy.is_some()),
                ..fd_evaluation::new()
            });
        }
        Ok(())
    })
}
