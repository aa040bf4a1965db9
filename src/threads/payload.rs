//! The payloads of panics that nobody will see.

use core::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops a payload, and never unwinds.
pub(super) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics when it is dropped may leave one of its own kind, and so on without end.
        core::mem::forget(next);
    }
}
