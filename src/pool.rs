//! Values that threads take in turn, so that each has one of its own and none is made twice.

use core::mem;
use core::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Values at rest. There are never more than were taken at once, and the one that was used last is taken first: what it has in
/// caches is the freshest.
///
/// A value begins as `T::default()`, which should allocate nothing: whoever takes it looks whether it is as it must be, and
/// makes it so. What stands behind a value that is handed out is `T::default()` too, for a moment.
#[derive(Debug, Default)]
pub(crate) struct Pool<T: Default> {
    idle: Mutex<Vec<T>>,
}

impl<T: Default> Pool<T> {
    /// One of those at rest, or a new one. No lock is held while it is used.
    pub(crate) fn take(&self) -> Pooled<'_, T> {
        let value = self.with(Vec::pop);
        Pooled { value: value.unwrap_or_default(), pool: self }
    }

    /// How many are at rest.
    pub(crate) fn idle(&self) -> usize {
        self.with(|idle| idle.len())
    }

    /// Nothing panics while the lock is held, so that there is nothing half done behind a poisoned one.
    fn with<R>(&self, action: impl FnOnce(&mut Vec<T>) -> R) -> R {
        action(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lays a value to rest. Where there is no memory for one more place it is handed back, to be dropped behind the lock.
    fn put(&self, value: T) -> Option<T> {
        self.with(|idle| match idle.try_reserve(1) {
            Ok(()) => {
                idle.push(value);
                None
            }
            Err(_) => Some(value),
        })
    }
}

/// A value that returns to its pool when it is dropped, whether by the end of a call or by a panic.
#[derive(Debug)]
pub(crate) struct Pooled<'a, T: Default> {
    value: T,
    pool: &'a Pool<T>,
}

impl<T: Default> Deref for Pooled<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Default> DerefMut for Pooled<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Default> Drop for Pooled<'_, T> {
    fn drop(&mut self) {
        drop(self.pool.put(mem::take(&mut self.value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn the_last_one_used_is_taken_first() {
        let pool = Pool::<u32>::default();
        let (mut first, mut second) = (pool.take(), pool.take());
        (*first, *second) = (1, 2);
        drop(first);
        drop(second);
        assert_eq!(pool.idle(), 2);
        assert_eq!((*pool.take(), pool.idle()), (2, 1), "while one is out");
        let (second, first, new) = (pool.take(), pool.take(), pool.take());
        assert_eq!((*second, *first, *new, pool.idle()), (2, 1, 0, 0));
    }

    #[test]
    fn a_poisoned_lock_loses_nothing() {
        let pool = Pool::<u32>::default();
        *pool.take() = 5;
        let result = catch_unwind(AssertUnwindSafe(|| pool.with(|_| panic!("while the lock is held"))));
        assert!(result.is_err() && pool.idle.is_poisoned());
        assert_eq!((pool.idle(), *pool.take()), (1, 5));
    }
}
