//! Enumerations of C: a caller may pass any number, so that they come as numbers and are looked up.

use crate::boundary::status_of;
use crate::pointer::{self, Place};
use crate::status::{Failure, fd_status, fd_status::*};
use core::ffi::{CStr, c_char};
use fused_dense::{Activation, Cost, Isa, Summation};

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

/// The cost that a network descends, a mean over the batch.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_cost {
    /// Half the squared distance to the targets, behind any activation.
    Quadratic = 0,
    /// Cross-entropy of each output on its own. The last layer is a sigmoid.
    BinaryCrossEntropy = 1,
    /// Cross-entropy of classes that exclude each other. The last layer is the identity.
    SoftmaxCrossEntropy = 2,
}

/// An instruction set, as a cap: none above it is used.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_isa {
    /// The best that the CPU has and the environment variable FUSED_DENSE_ISA allows.
    Best = 0,
    /// The instructions of the build's target.
    Portable = 1,
    /// NEON
    Neon = 2,
    /// AVX2 with FMA
    Avx2 = 3,
    /// AVX-512F
    Avx512 = 4,
}

/// The order in which the terms of a sum are added.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_summation {
    /// Whichever of the two is faster. The bits of a sample may depend on the batch around it and on the weights' layout.
    Auto = 0,
    /// Blocks of 256 fused multiply-adds, in ascending order.
    Chain = 1,
    /// Sixteen interleaved chains.
    Lanes = 2,
}

/// The type of an array of classes.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_class_type {
    /// uint8_t
    U8 = 0,
    /// uint16_t
    U16 = 1,
    /// uint32_t
    U32 = 2,
    /// uint64_t
    U64 = 3,
    /// int32_t
    I32 = 4,
    /// int64_t
    I64 = 5,
}

/// An array of a network's layer.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_array {
    /// The weights, outputs x inputs.
    W = 0,
    /// The bias, one value for each output.
    B = 1,
    /// The cost's gradient by the weights. Read only.
    D_W = 2,
    /// The cost's gradient by the bias. Read only.
    D_B = 3,
    /// What the optimiser keeps beside the weights: the velocity of SGD with momentum, Adam's first moment.
    W_STATE_0 = 4,
    /// The same beside the bias.
    B_STATE_0 = 5,
    /// Adam's second moment beside the weights.
    W_STATE_1 = 6,
    /// The same beside the bias.
    B_STATE_1 = 7,
}

/// The output that a cost of the caller's own is computed from, and whose gradient it writes.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_own_cost {
    /// The last layer's activation a.
    ByA = 0,
    /// The last layer's pre-activation z.
    ByZ = 1,
}

/// Numbers as C may have them, which need be no value of their enumeration.
pub type fd_activation_code = i32;
/// As `fd_activation_code`.
pub type fd_cost_code = i32;
/// As `fd_activation_code`.
pub type fd_isa_code = i32;
/// As `fd_activation_code`.
pub type fd_summation_code = i32;
/// As `fd_activation_code`.
pub type fd_class_type_code = i32;
/// As `fd_activation_code`.
pub type fd_array_code = i32;
/// As `fd_activation_code`.
pub type fd_own_cost_code = i32;

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

const COSTS: &[(i32, Cost)] = &[
    (fd_cost::Quadratic as i32, Cost::Quadratic),
    (fd_cost::BinaryCrossEntropy as i32, Cost::BinaryCrossEntropy),
    (fd_cost::SoftmaxCrossEntropy as i32, Cost::SoftmaxCrossEntropy),
];

const ISAS: &[(i32, Option<Isa>)] = &[
    (fd_isa::Best as i32, None),
    (fd_isa::Portable as i32, Some(Isa::Portable)),
    (fd_isa::Neon as i32, Some(Isa::Neon)),
    (fd_isa::Avx2 as i32, Some(Isa::Avx2)),
    (fd_isa::Avx512 as i32, Some(Isa::Avx512)),
];

const SUMMATIONS: &[(i32, Summation)] = &[
    (fd_summation::Auto as i32, Summation::Auto),
    (fd_summation::Chain as i32, Summation::Chain),
    (fd_summation::Lanes as i32, Summation::Lanes),
];

const CLASS_TYPES: &[(i32, fd_class_type)] = &[
    (fd_class_type::U8 as i32, fd_class_type::U8),
    (fd_class_type::U16 as i32, fd_class_type::U16),
    (fd_class_type::U32 as i32, fd_class_type::U32),
    (fd_class_type::U64 as i32, fd_class_type::U64),
    (fd_class_type::I32 as i32, fd_class_type::I32),
    (fd_class_type::I64 as i32, fd_class_type::I64),
];

const ARRAYS: &[(i32, fd_array)] = &[
    (fd_array::W as i32, fd_array::W),
    (fd_array::B as i32, fd_array::B),
    (fd_array::D_W as i32, fd_array::D_W),
    (fd_array::D_B as i32, fd_array::D_B),
    (fd_array::W_STATE_0 as i32, fd_array::W_STATE_0),
    (fd_array::B_STATE_0 as i32, fd_array::B_STATE_0),
    (fd_array::W_STATE_1 as i32, fd_array::W_STATE_1),
    (fd_array::B_STATE_1 as i32, fd_array::B_STATE_1),
];

const OWN_COSTS: &[(i32, fd_own_cost)] =
    &[(fd_own_cost::ByA as i32, fd_own_cost::ByA), (fd_own_cost::ByZ as i32, fd_own_cost::ByZ)];

/// The value with this number. Numbers go up from 0 without gaps.
fn find<T: Copy>(name: &str, code: i32, all: &[(i32, T)]) -> Result<T, Failure> {
    all.iter().find(|(known, _)| *known == code).map(|(_, value)| *value).ok_or_else(|| {
        let text = format!("expected a value from 0 to {} of its enumeration, found {code}", all.len() - 1);
        Failure::of(name, FD_ERROR_ENUM, text)
    })
}

/// The number of a value; -1 for one that only a later version knows.
fn code_of<T: PartialEq>(all: &[(i32, T)], is: impl Fn(&T) -> bool) -> i32 {
    all.iter().find(|(_, value)| is(value)).map_or(-1, |(code, _)| *code)
}

pub(crate) fn cost(code: i32) -> Result<Cost, Failure> {
    find("cost", code, COSTS)
}

pub(crate) fn isa(code: i32) -> Result<Option<Isa>, Failure> {
    find("isa", code, ISAS)
}

pub(crate) fn summation(code: i32) -> Result<Summation, Failure> {
    find("summation", code, SUMMATIONS)
}

pub(crate) fn class_type(code: i32) -> Result<fd_class_type, Failure> {
    find("class_type", code, CLASS_TYPES)
}

pub(crate) fn array(code: i32) -> Result<fd_array, Failure> {
    find("array", code, ARRAYS)
}

pub(crate) fn own_cost(code: i32) -> Result<fd_own_cost, Failure> {
    find("by", code, OWN_COSTS)
}

pub(crate) fn cost_code(cost: Cost) -> i32 {
    code_of(COSTS, |known| *known == cost)
}

pub(crate) fn isa_code(isa: Isa) -> i32 {
    code_of(ISAS, |known| *known == Some(isa))
}

pub(crate) fn summation_code(summation: Summation) -> i32 {
    code_of(SUMMATIONS, |known| *known == summation)
}

/// An activation's number and its parameter, 0 where it has none.
pub(crate) fn activation_code(activation: Activation) -> (i32, f32) {
    let parameter = match activation {
        Activation::LeakyRelu { slope } => slope,
        Activation::Elu { alpha } => alpha,
        _ => 0.0,
    };
    (code_of(ACTIVATIONS, |known| core::mem::discriminant(known) == core::mem::discriminant(&activation)), parameter)
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
    name.parse().map_err(|error: fused_dense::ParseActivationError| Failure::new(FD_ERROR_TEXT, error.to_string()))
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

/// The name of an instruction set, "best" for FD_ISA_BEST; null for a number that is none. Valid for ever.
///
/// Threads: any number at once.
#[unsafe(no_mangle)]
pub extern "C" fn fd_isa_name(isa: fd_isa_code) -> *const c_char {
    name_of(&[c"best", c"portable", c"neon", c"avx2", c"avx512"], isa)
}

fn name_of(names: &[&'static CStr], code: i32) -> *const c_char {
    let name = usize::try_from(code).ok().and_then(|code| names.get(code));
    name.map_or(core::ptr::null(), |name| name.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr::null;

    fn is_dense<T>(all: &[(i32, T)]) -> bool {
        all.iter().enumerate().all(|(number, (code, _))| number as i32 == *code)
    }

    #[test]
    fn every_value_of_the_crate_has_a_number() {
        assert!(is_dense(ACTIVATIONS) && is_dense(COSTS) && is_dense(ISAS) && is_dense(SUMMATIONS));
        assert!(is_dense(CLASS_TYPES) && is_dense(ARRAYS) && is_dense(OWN_COSTS));
        let known: Vec<_> = ACTIVATIONS.iter().map(|(_, activation)| *activation).collect();
        assert_eq!(known, Activation::all());
        for isa in Isa::ALL {
            assert_eq!(super::isa(isa_code(*isa)).expect("known"), Some(*isa));
        }
    }

    #[test]
    fn names_are_the_crates() {
        let read = |name: *const c_char| {
            // SAFETY: the names are static.
            unsafe { CStr::from_ptr(name) }.to_str().expect("UTF-8")
        };
        for (code, activation) in ACTIVATIONS {
            assert_eq!(read(fd_activation_name(*code)), activation.to_string());
        }
        for (code, isa) in &ISAS[1..] {
            assert_eq!(read(fd_isa_name(*code)), isa.expect("one").name());
        }
        for code in [-1, 10, i32::MAX, i32::MIN] {
            assert!(fd_activation_name(code).is_null() && fd_isa_name(code).is_null());
        }
    }

    #[test]
    fn any_number_may_come() {
        for code in [-1, 10, i32::MAX, i32::MIN] {
            let asked = AskedActivation { code, parameter: null(), name: null() };
            // SAFETY: null pointers.
            let failure = unsafe { asked.resolve() }.expect_err("no activation");
            assert_eq!(failure.status, FD_ERROR_ENUM);
            assert_eq!(
                failure.text,
                format!("activation: expected a value from 0 to 9 of its enumeration, found {code}")
            );
            assert_eq!(cost(code).expect_err("no cost").status, FD_ERROR_ENUM);
            assert_eq!(isa(code).expect_err("no instruction set").status, FD_ERROR_ENUM);
            assert_eq!(summation(code).expect_err("no order").status, FD_ERROR_ENUM);
            assert_eq!(class_type(code).expect_err("no type").status, FD_ERROR_ENUM);
            assert_eq!(array(code).expect_err("no array").status, FD_ERROR_ENUM);
            assert_eq!(own_cost(code).expect_err("no kind").status, FD_ERROR_ENUM);
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
