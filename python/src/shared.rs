//! A value that Python's threads share: whoever waits for it does not hold the interpreter's lock.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{RwLock, TryLockError};

/// A value behind a lock.
///
/// A thread that waits for the lock has released the interpreter's; so a thread that has the lock may ask for the
/// interpreter's, and neither waits for the other for ever.
pub(crate) struct Shared<T> {
    lock: RwLock<T>,
    /// The process whose threads have had the lock last.
    process: AtomicU32,
}

/// Why the value cannot be had.
enum Fault {
    /// An earlier call ended in a panic with the value in its hands.
    Poisoned,
    /// A thread of the parent process had the value when this one was forked: nobody will ever lay it back.
    Inherited,
}

impl<T: Send + Sync> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { lock: RwLock::new(value), process: AtomicU32::new(process::id()) }
    }

    /// Works on the value beside other readers, without the interpreter's lock.
    pub(crate) fn read<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&T) -> R + Send) -> PyResult<R> {
        let found = py.detach(|| {
            let value = self.had(self.lock.try_read(), || self.lock.read().map_err(|_| Fault::Poisoned))?;
            Ok(work(value.deref()))
        });
        found.map_err(|fault| self.raise(fault))
    }

    /// Works on the value alone, without the interpreter's lock.
    pub(crate) fn write<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut T) -> R + Send) -> PyResult<R> {
        let found = py.detach(|| {
            let mut value = self.had(self.lock.try_write(), || self.lock.write().map_err(|_| Fault::Poisoned))?;
            Ok(work(&mut value))
        });
        found.map_err(|fault| self.raise(fault))
    }

    /// Reads something small: with the interpreter's lock, unless another thread is at work on the value.
    pub(crate) fn glance<R: Send>(&self, py: Python<'_>, look: impl FnOnce(&T) -> R + Send) -> PyResult<R> {
        match self.lock.try_read() {
            Ok(value) => Ok(look(&value)),
            Err(_) => self.read(py, look),
        }
    }

    /// The value, if it is free or a thread of this process will lay it back.
    fn had<G>(&self, found: Result<G, TryLockError<G>>, wait: impl FnOnce() -> Result<G, Fault>) -> Result<G, Fault> {
        let own = process::id();
        let value = match found {
            Ok(value) => value,
            Err(TryLockError::Poisoned(_)) => return Err(Fault::Poisoned),
            Err(TryLockError::WouldBlock) if self.process.load(Ordering::Relaxed) != own => {
                return Err(Fault::Inherited);
            }
            Err(TryLockError::WouldBlock) => wait()?,
        };
        self.process.store(own, Ordering::Relaxed);
        Ok(value)
    }

    fn raise(&self, fault: Fault) -> PyErr {
        PyRuntimeError::new_err(match fault {
            Fault::Poisoned => {
                // The next call works again; this one says that something went wrong before.
                self.lock.clear_poison();
                "network: an earlier call failed halfway through, and the parameters may be between two steps. Load a \
                 state, or go on: the next call works"
            }
            Fault::Inherited => {
                "network: expected one that no thread used while this process was forked, found one in use; make a new one"
            }
        })
    }
}
