//! The optimisers' settings.

use crate::matrix::one_of;
use crate::pointer::{self, Versioned};
use crate::status::Failure;
use fused_dense::{Adam, Optimizer, Sgd};

/// Gradient descent. Begin with FD_SGD_DEFAULTS.
///
/// With momentum a parameter keeps one array of state, the velocity; without it none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_sgd {
    /// sizeof(fd_sgd)
    pub size: usize,
    /// A finite number from 0 on.
    pub learning_rate: f32,
    /// From 0, which is none, to 1.
    pub momentum: f32,
    /// Added to the gradient, times the weights. A bias does not decay.
    pub weight_decay: f32,
    /// Not 0 for Nesterov's rule, which asks for a momentum.
    pub is_nesterov: i32,
}

/// Adam, and AdamW. Begin with FD_ADAM_DEFAULTS.
///
/// A parameter keeps two arrays of state, the first and the second moment.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_adam {
    /// sizeof(fd_adam)
    pub size: usize,
    /// A finite number from 0 on.
    pub learning_rate: f32,
    /// The share of the first moment that a step keeps: from 0 to below 1.
    pub beta1: f32,
    /// The share of the second moment that a step keeps: from 0 to below 1.
    pub beta2: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// A finite number from 0 on. A bias does not decay.
    pub weight_decay: f32,
    /// Not 0 for AdamW: weights decay by themselves, rather than through the gradient.
    pub is_decoupled: i32,
}

// SAFETY: numbers, the first of them the size.
unsafe impl Versioned for fd_sgd {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        let size = size_of::<Self>();
        Self { size, learning_rate: 0.01, momentum: 0.0, weight_decay: 0.0, is_nesterov: 0 }
    }
}

// SAFETY: numbers, the first of them the size.
unsafe impl Versioned for fd_adam {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            learning_rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            is_decoupled: 0,
        }
    }
}

impl From<fd_sgd> for Optimizer {
    fn from(settings: fd_sgd) -> Self {
        let fd_sgd { learning_rate, momentum, weight_decay, is_nesterov, .. } = settings;
        let sgd = Sgd::new(learning_rate).momentum(momentum).weight_decay(weight_decay);
        if is_nesterov == 0 { sgd.into() } else { sgd.nesterov().into() }
    }
}

impl From<fd_adam> for Optimizer {
    fn from(settings: fd_adam) -> Self {
        let fd_adam { learning_rate, beta1, beta2, epsilon, weight_decay, is_decoupled, .. } = settings;
        let adam = Adam::new(learning_rate).betas(beta1, beta2).epsilon(epsilon);
        match is_decoupled {
            0 => adam.weight_decay(weight_decay).into(),
            _ => adam.decoupled_weight_decay(weight_decay).into(),
        }
    }
}

/// The one whose settings are given. The numbers are checked where they are used.
///
/// # Safety
/// Pointers are null, or valid for as many bytes as their structures say.
pub(crate) unsafe fn optimizer(sgd: *const fd_sgd, adam: *const fd_adam) -> Result<Optimizer, Failure> {
    // SAFETY: the caller vouches for it.
    let sgd = (!sgd.is_null()).then(|| unsafe { pointer::options(sgd, "sgd") }.map(Optimizer::from));
    // SAFETY: as above.
    let adam = (!adam.is_null()).then(|| unsafe { pointer::options(adam, "adam") }.map(Optimizer::from));
    one_of(&["sgd", "adam"], [sgd, adam])?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::fd_status::*;
    use core::ptr::null;

    #[test]
    fn settings_arrive() {
        let sgd = fd_sgd { learning_rate: 0.5, momentum: 0.25, weight_decay: 0.125, ..fd_sgd::new() };
        assert_eq!(Optimizer::from(sgd), Sgd::new(0.5).momentum(0.25).weight_decay(0.125).into());
        let nesterov = fd_sgd { is_nesterov: -3, ..sgd };
        assert_eq!(Optimizer::from(nesterov), Sgd::new(0.5).momentum(0.25).weight_decay(0.125).nesterov().into());
        assert_eq!(Optimizer::from(fd_adam::new()), Adam::new(0.001).into());
        let adam = fd_adam { beta1: 0.5, beta2: 0.25, epsilon: 0.125, weight_decay: 2.0, ..fd_adam::new() };
        let expected = Adam::new(0.001).betas(0.5, 0.25).epsilon(0.125);
        assert_eq!(Optimizer::from(adam), expected.weight_decay(2.0).into());
        let adamw = fd_adam { is_decoupled: 1, ..adam };
        assert_eq!(Optimizer::from(adamw), expected.decoupled_weight_decay(2.0).into());
    }

    #[test]
    fn one_optimiser_is_given() {
        let (sgd, adam) = (fd_sgd::new(), fd_adam::new());
        // SAFETY: references, or null.
        unsafe {
            assert_eq!(optimizer(&sgd, null()).expect("sgd"), Sgd::new(0.01).into());
            assert_eq!(optimizer(null(), &adam).expect("adam"), Adam::new(0.001).into());
            assert_eq!(optimizer(null(), null()).expect_err("none").status, FD_ERROR_ARGUMENT);
            let failure = optimizer(&sgd, &adam).expect_err("both");
            assert_eq!(
                (failure.status, &*failure.text),
                (FD_ERROR_ARGUMENT, "expected one of sgd, adam, found several")
            );
            let wrong = fd_sgd { size: 3, ..sgd };
            assert_eq!(optimizer(&wrong, null()).expect_err("size").status, FD_ERROR_STRUCT_SIZE);
        }
    }
}
