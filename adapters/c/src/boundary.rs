//! The border between C and Rust: no panic crosses it, and every handle is reached through it.

use crate::pointer;
use crate::status::{Failure, fd_status, keep};
use core::any::Any;
use core::fmt;
use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{RwLock, TryLockError};

#[cfg(not(panic = "unwind"))]
compile_error!("fused-dense-c promises that no panic ends the host: it has to be built with panic = \"unwind\"");

/// Runs a call, and makes a status of its outcome. Every function of the interface that can fail is one call of this.
pub(crate) fn status_of(call: impl FnOnce() -> Result<(), Failure>) -> fd_status {
    // Handles that a panic leaves half changed are poisoned, and nobody sees their contents again.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => fd_status::FD_OK,
        Ok(Err(failure)) => keep(failure),
        Err(payload) => keep(of_panic(payload)),
    }
}

fn of_panic(payload: Box<dyn Any + Send>) -> Failure {
    let text = text_of(&*payload).unwrap_or("no text").to_string();
    discard(payload);
    Failure::new(fd_status::FD_ERROR_PANIC, format!("fault of fused-dense, please report it: {text}"))
}

/// The words of a panic, if it has any.
fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Drops a payload, and never unwinds.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Words are dropped in peace. A payload of another kind may panic again, and so on without end.
        if text_of(&*next).is_none() {
            mem::forget(next);
        }
    }
}

/// The object behind a handle of C.
///
/// Functions that take it as `const` share it, all others have it alone. C cannot be held to that by its types, so that a
/// lock is: whoever finds it taken is refused, and nobody waits, neither for another thread nor for itself.
pub(crate) struct Handle<T> {
    is_poisoned: AtomicBool,
    value: RwLock<T>,
}

impl<T> Handle<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { is_poisoned: AtomicBool::new(false), value: RwLock::new(value) }
    }

    /// A call that changes nothing, beside others of its kind.
    pub(crate) fn shared<R>(
        &self,
        name: impl fmt::Display + Copy,
        call: impl FnOnce(&T) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.check(name)?;
        let value = self.value.try_read().map_err(|error| refusal(name, &error))?;
        self.poisoning(|| call(&value))
    }

    /// A call that has the value alone.
    pub(crate) fn alone<R>(
        &self,
        name: impl fmt::Display + Copy,
        call: impl FnOnce(&mut T) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.check(name)?;
        let mut value = self.value.try_write().map_err(|error| refusal(name, &error))?;
        self.poisoning(|| call(&mut value))
    }

    fn check(&self, name: impl fmt::Display) -> Result<(), Failure> {
        if self.is_poisoned.load(Ordering::Acquire) { Err(poisoned(name)) } else { Ok(()) }
    }

    /// Poisons the handle if the call unwinds.
    fn poisoning<R>(&self, call: impl FnOnce() -> R) -> R {
        struct Poison<'h>(&'h AtomicBool);
        impl Drop for Poison<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let poison = Poison(&self.is_poisoned);
        let result = call();
        mem::forget(poison);
        result
    }
}

fn poisoned(name: impl fmt::Display) -> Failure {
    let text = "expected a handle that works, found one on which an earlier call panicked; free it";
    Failure::of(name, fd_status::FD_ERROR_POISONED, text)
}

fn refusal<G>(name: impl fmt::Display, error: &TryLockError<G>) -> Failure {
    match error {
        TryLockError::Poisoned(_) => poisoned(name),
        TryLockError::WouldBlock => {
            let text = "expected no other call that uses the handle while one changes it, found one";
            Failure::of(name, fd_status::FD_ERROR_BUSY, text)
        }
    }
}

/// The handle behind a pointer of C.
///
/// # Safety
/// The pointer is null, or one that [`give`] made and that nobody frees during `'a`.
pub(crate) unsafe fn handle<'a, H>(pointer: *const H, name: impl fmt::Display) -> Result<&'a H, Failure> {
    pointer::check(pointer, name)?;
    // SAFETY: the pointer is neither null nor misaligned, and the caller vouches for the rest.
    Ok(unsafe { &*pointer })
}

/// Makes a handle and gives it to C, null where that fails.
///
/// # Safety
/// The place is null, or valid for a write.
pub(crate) unsafe fn give<H>(
    place: *mut *mut H,
    name: impl fmt::Display,
    make: impl FnOnce() -> Result<H, Failure>,
) -> Result<(), Failure> {
    pointer::check(place, name)?;
    // SAFETY: the place is neither null nor misaligned, and the caller vouches for the rest.
    unsafe { place.write(core::ptr::null_mut()) };
    let handle = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { place.write(handle) };
    Ok(())
}

/// Frees a handle; null is none.
///
/// # Safety
/// The pointer is null, or one that [`give`] made, which is not used afterwards.
pub(crate) unsafe fn free<H>(pointer: *mut H) {
    if pointer.is_null() {
        return;
    }
    // The status has nobody to go to; its text stays for who asks.
    let _ = status_of(|| {
        // SAFETY: `give` made it of a box, and the caller gives it up.
        drop(unsafe { Box::from_raw(pointer) });
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use fd_status::*;
    use std::sync::Barrier;

    #[test]
    fn a_panic_becomes_a_status_and_poisons_its_handle() {
        let handle = Handle::new(1);
        assert_eq!(status_of(|| handle.shared("layer", |_| -> Result<(), Failure> { panic!("one") })), FD_ERROR_PANIC);
        assert_eq!(status_of(|| handle.shared("layer", |_| Ok(()))), FD_ERROR_POISONED);
        assert_eq!(status_of(|| handle.alone("layer", |_| Ok(()))), FD_ERROR_POISONED);

        let handle = Handle::new(1);
        let text = format!("{}", 2);
        assert_eq!(
            status_of(|| handle.alone("layer", |_| -> Result<(), Failure> { panic!("{text}") })),
            FD_ERROR_PANIC
        );
        let failure = handle.alone("layer", |_| Ok(())).expect_err("poisoned");
        assert!(failure.status == FD_ERROR_POISONED && failure.text.starts_with("layer: "), "{failure:?}");
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_not_come_through() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("within a payload");
            }
        }
        assert_eq!(status_of(|| std::panic::panic_any(Bomb)), FD_ERROR_PANIC);
    }

    #[test]
    fn a_failure_is_no_panic() {
        let handle = Handle::new(1);
        let fails = || Err::<(), _>(Failure::new(FD_ERROR_SHAPE, "x"));
        assert_eq!(status_of(|| handle.alone("layer", |_| fails())), FD_ERROR_SHAPE);
        assert_eq!(
            status_of(|| handle.alone("layer", |value| {
                *value += 1;
                Ok(())
            })),
            FD_OK
        );
        assert_eq!(handle.shared("layer", |value| Ok(*value)).expect("a value"), 2);
    }

    #[test]
    fn calls_share_a_handle_or_are_refused() {
        let handle = Handle::new(1);
        let busy = |result: Result<(), Failure>| result.expect_err("busy").status == FD_ERROR_BUSY;
        // By the same thread, which would wait for itself.
        let within = handle.alone("network", |_| {
            Ok(busy(handle.shared("network", |_| Ok(()))) && busy(handle.alone("network", |_| Ok(()))))
        });
        assert!(within.expect("no failure"));
        // By two threads at once.
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let both = handle.shared("network", |_| {
                        barrier.wait();
                        let is_refused = busy(handle.alone("network", |_| Ok(())));
                        barrier.wait();
                        Ok(is_refused)
                    });
                    assert!(both.expect("both at once"));
                });
            }
        });
        assert!(handle.alone("network", |_| Ok(())).is_ok(), "nothing stays behind");
    }

    #[test]
    fn handles_are_given_and_freed() {
        let mut place = core::ptr::dangling_mut::<Handle<String>>();
        let failing = || Err(Failure::new(FD_ERROR_SHAPE, "x"));
        // SAFETY: the place is this function's own.
        let failure = unsafe { give(&mut place, "layer", failing) }.expect_err("no handle");
        assert!(failure.status == FD_ERROR_SHAPE && place.is_null());
        // SAFETY: as above.
        unsafe { give(&mut place, "layer", || Ok(Handle::new("x".to_string()))) }.expect("a handle");
        // SAFETY: given just now.
        let found = unsafe { handle(place, "layer") }.expect("a handle").shared("layer", |text| Ok(text.clone()));
        assert_eq!(found.expect("a text"), "x");
        // SAFETY: as above, and not used again; null is none.
        unsafe {
            free(place);
            free(core::ptr::null_mut::<Handle<String>>());
        }
        // SAFETY: null is none.
        let failure = unsafe { handle(core::ptr::null::<Handle<i32>>(), "layer") }.err().expect("null");
        assert_eq!((failure.status, &*failure.text), (FD_ERROR_NULL, "layer: expected a pointer, found null"));
    }
}
