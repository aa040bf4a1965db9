//! Faults: the codes that functions return, and the texts behind them.

use core::ffi::{CStr, c_char};
use core::fmt;
use fused_dense::{Error, FileError};
use std::cell::RefCell;
use std::ffi::CString;

/// The outcome of a call. Every value but FD_OK is a fault, of which fd_last_error has the text. A later version may add
/// faults: treat a value that you do not know as one.
/// cbindgen:rename-all=None
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fd_status {
    /// The call has done what it says.
    FD_OK = 0,
    /// A pointer that is needed is null.
    FD_ERROR_NULL = 1,
    /// A pointer is not aligned for its type.
    FD_ERROR_MISALIGNED = 2,
    /// The size that a structure says it has is that of no version of it, or a field is set that this library does not know.
    FD_ERROR_STRUCT_SIZE = 3,
    /// A number is no value of its enumeration.
    FD_ERROR_ENUM = 4,
    /// A text is no UTF-8, or names nothing.
    FD_ERROR_TEXT = 5,
    /// Arguments exclude each other, or one is missing.
    FD_ERROR_ARGUMENT = 6,
    /// An operand has the wrong size or shape.
    FD_ERROR_SHAPE = 7,
    /// Elements of an output share a place with each other, or with those of another operand.
    FD_ERROR_OVERLAP = 8,
    /// A setting is no number that it can be.
    FD_ERROR_SETTING = 9,
    /// A target or a weight is no value that the call is defined for.
    FD_ERROR_VALUE = 10,
    /// Layers, activation, cost, optimiser or packed weights do not fit each other.
    FD_ERROR_MISMATCH = 11,
    /// A cost or a gradient of a guarded network is infinite or NaN. No parameter was changed.
    FD_ERROR_NOT_FINITE = 12,
    /// There are no gradients: none were made since the last step.
    FD_ERROR_NO_GRADIENTS = 13,
    /// Memory cannot be had, or a size does not fit it.
    FD_ERROR_MEMORY = 14,
    /// The instruction set or the tuning row cannot be had.
    FD_ERROR_ISA = 15,
    /// A file cannot be read or written.
    FD_ERROR_IO = 16,
    /// A file holds something else than the network asks for.
    FD_ERROR_FORMAT = 17,
    /// Another call uses the handle, and one of the two changes it. Nothing was touched.
    FD_ERROR_BUSY = 18,
    /// A fault of this library: it panicked. The handle is of no more use, and can only be freed.
    FD_ERROR_PANIC = 19,
    /// An earlier call on this handle ended with FD_ERROR_PANIC.
    FD_ERROR_POISONED = 20,
    /// A fault that has no code of its own in this version.
    FD_ERROR_OTHER = 21,
}

use fd_status::*;

/// Every status and its name.
const NAMES: &[(fd_status, &CStr)] = &[
    (FD_OK, c"FD_OK"),
    (FD_ERROR_NULL, c"FD_ERROR_NULL"),
    (FD_ERROR_MISALIGNED, c"FD_ERROR_MISALIGNED"),
    (FD_ERROR_STRUCT_SIZE, c"FD_ERROR_STRUCT_SIZE"),
    (FD_ERROR_ENUM, c"FD_ERROR_ENUM"),
    (FD_ERROR_TEXT, c"FD_ERROR_TEXT"),
    (FD_ERROR_ARGUMENT, c"FD_ERROR_ARGUMENT"),
    (FD_ERROR_SHAPE, c"FD_ERROR_SHAPE"),
    (FD_ERROR_OVERLAP, c"FD_ERROR_OVERLAP"),
    (FD_ERROR_SETTING, c"FD_ERROR_SETTING"),
    (FD_ERROR_VALUE, c"FD_ERROR_VALUE"),
    (FD_ERROR_MISMATCH, c"FD_ERROR_MISMATCH"),
    (FD_ERROR_NOT_FINITE, c"FD_ERROR_NOT_FINITE"),
    (FD_ERROR_NO_GRADIENTS, c"FD_ERROR_NO_GRADIENTS"),
    (FD_ERROR_MEMORY, c"FD_ERROR_MEMORY"),
    (FD_ERROR_ISA, c"FD_ERROR_ISA"),
    (FD_ERROR_IO, c"FD_ERROR_IO"),
    (FD_ERROR_FORMAT, c"FD_ERROR_FORMAT"),
    (FD_ERROR_BUSY, c"FD_ERROR_BUSY"),
    (FD_ERROR_PANIC, c"FD_ERROR_PANIC"),
    (FD_ERROR_POISONED, c"FD_ERROR_POISONED"),
    (FD_ERROR_OTHER, c"FD_ERROR_OTHER"),
];

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: fd_status,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: fd_status, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The fault of an argument, whose name the text begins with.
    pub(crate) fn of(name: impl fmt::Display, status: fd_status, text: impl fmt::Display) -> Self {
        Self { status, text: format!("{name}: {text}") }
    }

    /// The same fault with a name in front of the text.
    pub(crate) fn in_argument(self, name: impl fmt::Display) -> Self {
        Self { text: format!("{name}: {}", self.text), ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(status_of_error(&error), error.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let status = match &error {
            FileError::Io { .. } => FD_ERROR_IO,
            FileError::Network { source } => status_of_error(source),
            _ => FD_ERROR_FORMAT,
        };
        Self::new(status, error.to_string())
    }
}

fn status_of_error(error: &Error) -> fd_status {
    match error {
        Error::Length { .. }
        | Error::NotWholeRows { .. }
        | Error::Shape { .. }
        | Error::OutOfBounds { .. }
        | Error::ViewTooLarge { .. }
        | Error::BatchTooLarge { .. } => FD_ERROR_SHAPE,
        Error::Overlapping { .. } => FD_ERROR_OVERLAP,
        Error::Setting { .. }
        | Error::StepZero
        | Error::Distribution { .. }
        | Error::ActivationParameter { .. }
        | Error::LayerActivation { .. } => FD_ERROR_SETTING,
        Error::Value { .. } | Error::Class { .. } | Error::RowSum { .. } | Error::WeightSum { .. } => FD_ERROR_VALUE,
        Error::TargetsNeedSigmoid { .. }
        | Error::NeedsZ { .. }
        | Error::PackedForIsa { .. }
        | Error::NoPartialSums { .. }
        | Error::StateArrays { .. }
        | Error::NoLayers
        | Error::Chain { .. }
        | Error::Exchanged { .. }
        | Error::ExchangedState { .. }
        | Error::CostNeedsActivation { .. }
        | Error::PositiveWeightNeedsBinary { .. } => FD_ERROR_MISMATCH,
        Error::NotFinite { .. } => FD_ERROR_NOT_FINITE,
        Error::NoGradients => FD_ERROR_NO_GRADIENTS,
        Error::TooLarge { .. } | Error::NetworkTooLarge { .. } | Error::WorkspaceTooSmall { .. } => FD_ERROR_MEMORY,
        Error::UnknownIsa { .. }
        | Error::UnknownTuning { .. }
        | Error::TuningNumber { .. }
        | Error::TuningForIsa { .. }
        | Error::IsaNotBuilt { .. } => FD_ERROR_ISA,
        _ => FD_ERROR_OTHER,
    }
}

thread_local! {
    /// The text of this thread's last failed call.
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps a failure's text for the thread that made the call. C has no text with a NUL in it.
pub(crate) fn keep(failure: Failure) -> fd_status {
    let text = CString::new(failure.text.replace('\0', "\u{fffd}")).unwrap_or_default();
    // Where the thread is ending there is nobody left to ask.
    let _ = LAST.try_with(|last| last.replace(text));
    failure.status
}

/// The text of the last call of this thread that failed: what was expected, and what was found. Empty before the first.
///
/// A call that succeeds leaves the text as it is: look at it where a status says that something failed. It is UTF-8, never
/// null, and valid until the next call of this library by this thread.
///
/// Threads: any number at once; each has a text of its own.
#[unsafe(no_mangle)]
pub extern "C" fn fd_last_error() -> *const c_char {
    LAST.try_with(|last| last.try_borrow().map_or(c"".as_ptr(), |text| text.as_ptr())).unwrap_or(c"".as_ptr())
}

/// The name of a status, such as "FD_ERROR_SHAPE"; "unknown status" for other numbers. Never null, and valid for ever.
///
/// Threads: any number at once.
#[unsafe(no_mangle)]
pub extern "C" fn fd_status_name(status: fd_status_code) -> *const c_char {
    let named = NAMES.iter().find(|(known, _)| *known as fd_status_code == status);
    named.map_or(c"unknown status", |(_, name)| name).as_ptr()
}

/// An `fd_status` as C may have it: any number.
pub type fd_status_code = i32;

#[cfg(test)]
mod tests {
    use super::*;
    use fused_dense::Operand;

    fn last() -> String {
        // SAFETY: the text is valid until this thread's next call.
        unsafe { CStr::from_ptr(fd_last_error()) }.to_str().expect("UTF-8").to_string()
    }

    fn name(status: i32) -> &'static str {
        // SAFETY: the names are static.
        unsafe { CStr::from_ptr(fd_status_name(status)) }.to_str().expect("UTF-8")
    }

    #[test]
    fn a_text_belongs_to_its_thread_and_has_no_end_within() {
        assert_eq!(keep(Failure::new(FD_ERROR_IO, "a\0b")), FD_ERROR_IO);
        std::thread::spawn(|| assert_eq!(last(), "")).join().expect("no panic");
        assert_eq!(last(), "a\u{fffd}b");
    }

    #[test]
    fn each_status_has_its_name_and_its_number() {
        for (number, (status, text)) in NAMES.iter().enumerate() {
            assert_eq!((*status as usize, name(number as i32)), (number, text.to_str().expect("UTF-8")));
            assert_eq!(format!("{status:?}"), name(number as i32));
        }
        for number in [-1, NAMES.len() as i32, i32::MIN, i32::MAX] {
            assert_eq!(name(number), "unknown status");
        }
    }

    #[test]
    fn an_error_keeps_its_words() {
        let error = Error::Length { operand: Operand::W, expected: 2, found: 3 };
        let failure = Failure::from(error.clone()).in_argument("call");
        assert_eq!((failure.status, failure.text), (FD_ERROR_SHAPE, format!("call: {error}")));
        let failure = Failure::from(FileError::Network { source: Error::NoLayers });
        assert_eq!(
            (failure.status, &*failure.text),
            (FD_ERROR_MISMATCH, "file: network: expected at least one layer, found none")
        );
        assert_eq!(Failure::from(FileError::Missing { tensor: "0.weight".into() }).status, FD_ERROR_FORMAT);
    }
}
