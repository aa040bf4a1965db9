//! The crate's errors as Python's exceptions.

use fused_dense::{Error, FileError, Operand};
use pyo3::create_exception;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(
    fused_dense,
    DivergenceError,
    PyValueError,
    "A step was refused because its cost or a gradient is infinite or NaN: the parameters are those before it."
);

/// The exception that stands for an error: its text is the crate's.
pub(crate) fn raise(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        // The data's fault, not that of training.
        Error::NotFinite { operand: Operand::X, .. } => PyValueError::new_err(text),
        Error::NotFinite { .. } => DivergenceError::new_err(text),
        Error::TooLarge { .. } | Error::NetworkTooLarge { .. } => PyMemoryError::new_err(text),
        Error::NoGradients
        | Error::UnknownIsa { .. }
        | Error::UnknownTuning { .. }
        | Error::TuningNumber { .. }
        | Error::IsaNotBuilt { .. } => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// The same for files: what the system refused is an `OSError` of its own kind, such as `FileNotFoundError`.
pub(crate) fn raise_file(error: FileError) -> PyErr {
    match error {
        FileError::Io { path, source } => match source.raw_os_error() {
            Some(number) => PyOSError::new_err((number, source.to_string(), path)),
            None => PyOSError::new_err(format!("{}: {source}", path.display())),
        },
        FileError::Network { source } => raise(source),
        other => PyValueError::new_err(other.to_string()),
    }
}
