//! Enumerations of C: a caller may pass any number, so that they come as numbers and are looked up.

use crate::status::{Failure, fd_status::FD_ERROR_ENUM};
use core::ffi::{CStr, c_char};
use fused_dense::{Cost, Isa, Summation};

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
    /// The optimiser's state beside the weights: the velocity of SGD with momentum, Adam's first moment.
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

/// A number as C may have it, which need be no value of its enumeration.
pub type fd_cost_code = i32;
/// As `fd_cost_code`.
pub type fd_isa_code = i32;
/// As `fd_cost_code`.
pub type fd_summation_code = i32;
/// As `fd_cost_code`.
pub type fd_class_type_code = i32;
/// As `fd_cost_code`.
pub type fd_array_code = i32;
/// As `fd_cost_code`.
pub type fd_own_cost_code = i32;

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
pub(crate) fn find<T: Copy>(name: &str, code: i32, all: &[(i32, T)]) -> Result<T, Failure> {
    all.iter().find(|(known, _)| *known == code).map(|(_, value)| *value).ok_or_else(|| {
        let text = format!("expected a value from 0 to {} of its enumeration, found {code}", all.len() - 1);
        Failure::of(name, FD_ERROR_ENUM, text)
    })
}

/// The number of a value; -1 for one that only a later version knows.
pub(crate) fn code_of<T: PartialEq>(all: &[(i32, T)], is: impl Fn(&T) -> bool) -> i32 {
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

/// The name of an instruction set, "best" for FD_ISA_BEST; null for a number that is none. Valid for ever.
///
/// Threads: any number at once.
#[unsafe(no_mangle)]
pub extern "C" fn fd_isa_name(isa: fd_isa_code) -> *const c_char {
    name_of(&[c"best", c"portable", c"neon", c"avx2", c"avx512"], isa)
}

/// The name with this number; null where there is none.
pub(crate) fn name_of(names: &[&'static CStr], code: i32) -> *const c_char {
    let name = usize::try_from(code).ok().and_then(|code| names.get(code));
    name.map_or(core::ptr::null(), |name| name.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dense<T>(all: &[(i32, T)]) -> bool {
        all.iter().enumerate().all(|(number, (code, _))| number as i32 == *code)
    }

    #[test]
    fn numbers_have_no_gaps_and_every_instruction_set_has_one() {
        assert!(is_dense(COSTS) && is_dense(ISAS) && is_dense(SUMMATIONS));
        assert!(is_dense(CLASS_TYPES) && is_dense(ARRAYS) && is_dense(OWN_COSTS));
        for isa in Isa::ALL {
            let code = isa_code(*isa);
            assert_eq!(super::isa(code).expect("known"), Some(*isa));
            // SAFETY: the names are static.
            let name = unsafe { CStr::from_ptr(fd_isa_name(code)) };
            assert_eq!(name.to_str(), Ok(isa.name()));
        }
    }

    #[test]
    fn any_number_may_come() {
        for code in [-1, 10, i32::MAX, i32::MIN] {
            let failure = cost(code).expect_err("no cost");
            assert_eq!(failure.status, FD_ERROR_ENUM);
            assert_eq!(failure.text, format!("cost: expected a value from 0 to 2 of its enumeration, found {code}"));
            assert_eq!(isa(code).expect_err("no instruction set").status, FD_ERROR_ENUM);
            assert_eq!(summation(code).expect_err("no order").status, FD_ERROR_ENUM);
            assert_eq!(class_type(code).expect_err("no type").status, FD_ERROR_ENUM);
            assert_eq!(array(code).expect_err("no array").status, FD_ERROR_ENUM);
            assert_eq!(own_cost(code).expect_err("no kind").status, FD_ERROR_ENUM);
            assert!(fd_isa_name(code).is_null());
        }
    }
}
