//! What synchronisation is made of: the standard library's, or loom's for the model checker.

use core::time::Duration;

#[cfg(all(loom, test))]
mod imp {
    pub(in super::super) use loom::cell::UnsafeCell;
    pub(in super::super) use loom::hint::spin_loop;
    pub(in super::super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(in super::super) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(in super::super) use loom::thread::yield_now;
}

#[cfg(not(all(loom, test)))]
mod imp {
    pub(in super::super) use core::hint::spin_loop;
    pub(in super::super) use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(in super::super) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(in super::super) use std::thread::yield_now;

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

/// Asks again and again, with a `rest` between, for at most this long, whether `is_done`; says whether it was.
#[cfg(not(all(loom, test)))]
pub(super) fn spin_until(patience: Duration, rest: impl Fn(), is_done: impl Fn() -> bool) -> bool {
    /// Questions, of some ten nanoseconds each, for one look at the clock.
    const ROUND: usize = 64;
    let mut start = None;
    loop {
        for _ in 0..ROUND {
            if is_done() {
                return true;
            }
            rest();
        }
        if start.get_or_insert_with(std::time::Instant::now).elapsed() >= patience {
            return false;
        }
    }
}

/// The model checker explores every moment at which an answer may come: asking once is enough.
#[cfg(all(loom, test))]
pub(super) fn spin_until(_: Duration, _: impl Fn(), is_done: impl Fn() -> bool) -> bool {
    is_done()
}
