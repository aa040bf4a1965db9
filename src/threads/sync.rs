//! The parts of synchronisation: the standard library's, or loom's for the model checker.

#[cfg(not(all(loom, test)))]
use super::clock::Moment;
#[cfg(not(all(loom, test)))]
use crate::tuning::HANDOVER;
use core::time::Duration;

#[cfg(all(loom, test))]
mod imp {
    pub(in super::super) use loom::cell::UnsafeCell;
    pub(in super::super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(in super::super) use loom::sync::{Condvar, Mutex, MutexGuard};
}

#[cfg(not(all(loom, test)))]
mod imp {
    pub(in super::super) use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(in super::super) use std::sync::{Condvar, Mutex, MutexGuard};

    /// The standard library's, with loom's way in.
    pub(in super::super) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(in super::super) fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        pub(in super::super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        pub(in super::super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

pub(super) use imp::*;

/// The mutex's content, whether or not a thread has panicked with it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Asks again and again, for at most this long, whether `is_done`; says whether it was.
///
/// After 20 µs it offers its core to others between the questions: whoever it waits for may be waiting for that very
/// core.
#[cfg(not(all(loom, test)))]
pub(super) fn wait_awake(patience: Duration, is_done: impl Fn() -> bool) -> bool {
    ask(patience.min(HANDOVER.spin), core::hint::spin_loop, &is_done)
        || ask(patience.saturating_sub(HANDOVER.spin), std::thread::yield_now, &is_done)
}

#[cfg(not(all(loom, test)))]
fn ask(patience: Duration, rest: impl Fn(), is_done: impl Fn() -> bool) -> bool {
    // A look at the clock takes as long as several questions: none before the first round is over.
    let mut start = None;
    loop {
        for _ in 0..HANDOVER.questions_per_look {
            if is_done() {
                return true;
            }
            rest();
        }
        if start.get_or_insert_with(Moment::now).elapsed() >= patience {
            return false;
        }
    }
}

/// The model checker explores every moment at which an answer may come: asking once is enough.
#[cfg(all(loom, test))]
pub(super) fn wait_awake(_: Duration, is_done: impl Fn() -> bool) -> bool {
    is_done()
}
