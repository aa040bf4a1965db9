//! The targets of a batch.

use crate::codes::{self, fd_class_type, fd_class_type_code};
use crate::matrix::one_of;
use crate::overlap::Operands;
use crate::pointer::{self, Versioned};
use crate::status::{Failure, fd_status::FD_ERROR_NULL};
use core::ffi::c_void;
use core::ptr::null;
use fused_dense::{Classes, Targets};

/// The wanted outputs of a batch: a value for each output, or a class for each sample. Begin with FD_TARGETS_DEFAULTS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_targets {
    /// sizeof(fd_targets)
    pub size: usize,
    /// batch x outputs values, rows one behind the other; null where there are classes.
    pub values: *const f32,
    pub value_count: usize,
    /// A class for each sample, counted from 0, in an array of class_type; null where there are values.
    pub classes: *const c_void,
    pub class_count: usize,
    pub class_type: fd_class_type_code,
    /// A weight for each sample, finite and at least 0; null for 1 each.
    pub sample_weights: *const f32,
    pub sample_weight_count: usize,
}

// SAFETY: numbers and pointers, the first of them the size.
unsafe impl Versioned for fd_targets {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            values: null(),
            value_count: 0,
            classes: null(),
            class_count: 0,
            class_type: fd_class_type::U8 as i32,
            sample_weights: null(),
            sample_weight_count: 0,
        }
    }
}

/// The targets that C gives.
///
/// # Safety
/// The pointer is null or valid, as are those within it for as many elements as it says, for `'a`.
pub(crate) unsafe fn targets<'a>(pointer: *const fd_targets, operands: &mut Operands) -> Result<Targets<'a>, Failure> {
    // SAFETY: the caller vouches for it.
    let given = unsafe { pointer::options(pointer, "targets")? };
    let values = (!given.values.is_null() || given.value_count > 0).then(|| {
        // SAFETY: the caller vouches for it.
        unsafe { operands.input_array("values", given.values, given.value_count) }.map(Targets::values)
    });
    let classes = (!given.classes.is_null() || given.class_count > 0).then(|| {
        // SAFETY: the caller vouches for it.
        unsafe { classes(&given, operands) }.map(Targets::classes)
    });
    let targets =
        one_of(&["values", "classes"], [values, classes]).map_err(|failure| failure.in_argument("targets"))??;
    if given.sample_weights.is_null() && given.sample_weight_count == 0 {
        return Ok(targets);
    }
    let (weights, count) = (given.sample_weights, given.sample_weight_count);
    if weights.is_null() {
        return Err(Failure::of("sample_weights", FD_ERROR_NULL, "expected a pointer, found null"));
    }
    // SAFETY: the caller vouches for it.
    let weights = unsafe { operands.input_array("sample_weights", weights, count)? };
    Ok(targets.sample_weights(weights))
}

/// # Safety
/// As [`targets`].
unsafe fn classes<'a>(given: &fd_targets, operands: &mut Operands) -> Result<Classes<'a>, Failure> {
    /// # Safety
    /// As [`targets`].
    unsafe fn of<'a, T>(given: &fd_targets, operands: &mut Operands) -> Result<Classes<'a>, Failure>
    where
        T: 'a,
        &'a [T]: Into<Classes<'a>>,
    {
        // SAFETY: the caller vouches for it.
        unsafe { operands.input_array("classes", given.classes.cast::<T>(), given.class_count) }.map(Into::into)
    }
    let class_type = codes::class_type(given.class_type)?;
    // SAFETY: the caller vouches for it.
    unsafe {
        match class_type {
            fd_class_type::U8 => of::<u8>(given, operands),
            fd_class_type::U16 => of::<u16>(given, operands),
            fd_class_type::U32 => of::<u32>(given, operands),
            fd_class_type::U64 => of::<u64>(given, operands),
            fd_class_type::I32 => of::<i32>(given, operands),
            fd_class_type::I64 => of::<i64>(given, operands),
        }
    }
}
