//! A value that Python's threads share: whoever waits for it does not hold the interpreter's lock.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::{RwLock, TryLockError};

/// A value behind a lock.
///
/// A thread that waits for the lock has released the interpreter's; so a thread that has the lock may ask for the
/// interpreter's, and neither waits for the other for ever.
pub(crate) struct Shared<T>(RwLock<T>);

/// An earlier call ended in a panic with the value in its hands.
struct Poisoned;

impl<T: Send + Sync> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    /// Works on the value beside other readers, without the interpreter's lock.
    pub(crate) fn read<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&T) -> R + Send) -> PyResult<R> {
        py.detach(|| self.0.read().map(|value| work(&value)).map_err(|_| Poisoned)).map_err(|_| self.recover())
    }

    /// Works on the value alone, without the interpreter's lock.
    pub(crate) fn write<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut T) -> R + Send) -> PyResult<R> {
        py.detach(|| self.0.write().map(|mut value| work(&mut value)).map_err(|_| Poisoned)).map_err(|_| self.recover())
    }

    /// Reads something small: with the interpreter's lock, unless another thread is at work on the value.
    pub(crate) fn glance<R: Send>(&self, py: Python<'_>, look: impl FnOnce(&T) -> R + Send) -> PyResult<R> {
        match self.0.try_read() {
            Ok(value) => return Ok(look(&value)),
            Err(TryLockError::Poisoned(_)) => return Err(self.recover()),
            Err(TryLockError::WouldBlock) => {}
        }
        self.read(py, look)
    }

    /// The next call works again; this one says that something went wrong before.
    fn recover(&self) -> PyErr {
        self.0.clear_poison();
        PyRuntimeError::new_err(
            "network: an earlier call failed halfway through; its parameters may be between two steps. Load a state, or \
             go on: the next call works",
        )
    }
}
