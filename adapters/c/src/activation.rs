//! Activations, by number or by name.

use crate::boundary::status_of;
use crate::codes::{code_of, find, name_of};
use crate::pointer::{self, Place};
use crate::status::{Failure, fd_status, fd_status::*};
use core::ffi::{CStr, c_char};
use core::mem::discriminant;
use fused_dense::{Activation, ParseActivationError};

/// The function that a layer applies to its pre-activation z.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_activation {
    /// z
    Identity = 0,
    /// 1 / (1 + e^-z)
    Sigmoid = 1,
    /// tanh z
    Tanh = 2,
    /// max(z, 0)
    Relu = 3,
    /// z where z >= 0, else slope * z. Its parameter is the slope, usually 0.01.
    LeakyRelu = 4,
    /// z * sigmoid(z). The derivative needs z.
    Silu = 5,
    /// z * Phi(z) with the normal distribution Phi. The derivative needs z.
    Gelu = 6,
    /// GELU as approximated by tanh. The derivative needs z.
    GeluTanh = 7,
    /// ln(1 + e^z)
    Softplus = 8,
    /// z where z >= 0, else alpha * (e^z - 1). Its parameter is alpha, usually 1.
    Elu = 9,
}

/// An activation as C may have it: any number.
pub type fd_activation_code = i32;
/// Activations with their usual parameters.
const ACTIVATIONS: &[(i32, Activation)] = &[
    (fd_activation::Identity as i32, Activation::Identity),
    (fd_activation::Sigmoid as i32, Activation::Sigmoid),
    (fd_activation::Tanh as i32, Activation::Tanh),
    (fd_activation::Relu as i32, Activation::Relu),
    (fd_activation::LeakyRelu as i32, Activation::LeakyRelu { slope: 0.01 }),
    (fd_activation::Silu as i32, Activation::Silu),
    (fd_activation::Gelu as i32, Activation::Gelu),
    (fd_activation::GeluTanh as i32, Activation::GeluTanh),
    (fd_activation::Softplus as i32, Activation::Softplus),
    (fd_activation::Elu as i32, Activation::Elu { alpha: 1.0 }),
];

/// An activation's number and its parameter, 0 where it has none.
pub(crate) fn activation_code(activation: Activation) -> (i32, f32) {
    let parameter = match activation {
        Activation::LeakyRelu { slope } => slope,
        Activation::Elu { alpha } => alpha,
        _ => 0.0,
    };
    (code_of(ACTIVATIONS, |known| discriminant(known) == discriminant(&activation)), parameter)
}

/// The three ways in which C says which activation it means.
#[derive(Clone, Copy)]
pub(crate) struct AskedActivation {
    pub(crate) code: i32,
    pub(crate) parameter: *const f32,
    pub(crate) name: *const c_char,
}

impl AskedActivation {
    /// Whether nothing was said.
    pub(crate) fn is_default(&self) -> bool {
        self.code == 0 && self.parameter.is_null() && self.name.is_null()
    }

    /// # Safety
    /// Both pointers are null or valid.
    pub(crate) unsafe fn resolve(self) -> Result<Activation, Failure> {
        if !self.name.is_null() {
            // SAFETY: the caller vouches for it.
            let named = parse(unsafe { pointer::text(self.name, "activation_name")? })?;
            if self.code != 0 || !self.parameter.is_null() {
                let text = "expected activation and parameter to be left out beside it, found one of them";
                return Err(Failure::of("activation_name", FD_ERROR_ARGUMENT, text));
            }
            return Ok(named);
        }
        let usual = find("activation", self.code, ACTIVATIONS)?;
        // SAFETY: the caller vouches for it.
        let Some(parameter) = (unsafe { pointer::value(self.parameter, "parameter")? }) else { return Ok(usual) };
        match usual {
            Activation::LeakyRelu { .. } => Ok(Activation::LeakyRelu { slope: parameter }),
            Activation::Elu { .. } => Ok(Activation::Elu { alpha: parameter }),
            other => {
                let text = format!("expected none for {other}, which has no parameter, found {parameter}");
                Err(Failure::of("parameter", FD_ERROR_ARGUMENT, text))
            }
        }
    }
}

fn parse(name: &str) -> Result<Activation, Failure> {
    name.parse().map_err(|error: ParseActivationError| Failure::new(FD_ERROR_TEXT, error.to_string()))
}

/// Reads an activation's name, such as "relu", "leaky relu" or "leaky relu(0.02)". Case, blanks, _ and - do not matter.
///
/// `activation` and `parameter` may be null. The parameter of an activation that has none is 0.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_activation_parse(
    name: *const c_char,
    activation: *mut fd_activation_code,
    parameter: *mut f32,
) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for all three.
        let (name, activation, parameter) = unsafe {
            (
                pointer::text(name, "name")?,
                Place::optional(activation, "activation")?,
                Place::optional(parameter, "parameter")?,
            )
        };
        let found = activation_code(parse(name)?);
        activation.write(found.0);
        parameter.write(found.1);
        Ok(())
    })
}

/// The name of an activation; null for a number that is none. Valid for ever.
///
/// Threads: any number at once.
#[unsafe(no_mangle)]
pub extern "C" fn fd_activation_name(activation: fd_activation_code) -> *const c_char {
    const NAMES: &[&CStr] = &[
        c"identity",
        c"sigmoid",
        c"tanh",
        c"relu",
        c"leaky relu",
        c"silu",
        c"gelu",
        c"gelu tanh",
        c"softplus",
        c"elu",
    ];
    name_of(NAMES, activation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr::null;

    #[test]
    fn every_activation_has_a_number_and_its_name() {
        let known: Vec<_> = ACTIVATIONS.iter().map(|(_, activation)| *activation).collect();
        assert_eq!(known, Activation::all());
        for (number, (code, activation)) in ACTIVATIONS.iter().enumerate() {
            assert_eq!(*code, number as i32);
            // SAFETY: the names are static.
            let name = unsafe { CStr::from_ptr(fd_activation_name(*code)) };
            assert_eq!(name.to_str(), Ok(&*activation.to_string()));
        }
    }

    #[test]
    fn any_number_may_come() {
        for code in [-1, 10, i32::MAX, i32::MIN] {
            let asked = AskedActivation { code, parameter: null(), name: null() };
            // SAFETY: null pointers.
            let failure = unsafe { asked.resolve() }.expect_err("no activation");
            assert_eq!(failure.status, FD_ERROR_ENUM);
            let text = format!("activation: expected a value from 0 to 9 of its enumeration, found {code}");
            assert_eq!(failure.text, text);
            assert!(fd_activation_name(code).is_null());
        }
    }

    #[test]
    fn activations_are_asked_for_by_number_or_by_name() {
        let asked = |code, parameter: Option<&f32>, name: Option<&CStr>| {
            let parameter = parameter.map_or(null(), core::ptr::from_ref);
            let asked = AskedActivation { code, parameter, name: name.map_or(null(), CStr::as_ptr) };
            // SAFETY: references, or null.
            unsafe { asked.resolve() }.map_err(|failure| failure.status)
        };
        assert_eq!(asked(3, None, None), Ok(Activation::Relu));
        assert_eq!(asked(4, None, None), Ok(Activation::LeakyRelu { slope: 0.01 }));
        assert_eq!(asked(4, Some(&0.5), None), Ok(Activation::LeakyRelu { slope: 0.5 }));
        assert_eq!(asked(9, Some(&0.5), None), Ok(Activation::Elu { alpha: 0.5 }));
        assert_eq!(asked(3, Some(&0.5), None), Err(FD_ERROR_ARGUMENT));
        assert_eq!(asked(0, None, Some(c"Leaky_ReLU(0.25)")), Ok(Activation::LeakyRelu { slope: 0.25 }));
        assert_eq!(asked(0, None, Some(c"softmax")), Err(FD_ERROR_TEXT));
        assert_eq!(asked(1, None, Some(c"relu")), Err(FD_ERROR_ARGUMENT));
        assert_eq!(asked(0, Some(&0.5), Some(c"elu")), Err(FD_ERROR_ARGUMENT));
    }
}
