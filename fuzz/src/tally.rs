//! Counts cases, and those that shared work; printed now and then and at the end.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static CASES: AtomicU64 = AtomicU64::new(0);
static SHARED: AtomicU64 = AtomicU64::new(0);

/// Cases from one print to the next.
const EVERY: u64 = 128;

/// Counts a case.
pub(crate) fn count(shared: bool) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // SAFETY: the function stays where it is, and does not unwind.
        let _ = unsafe { libc::atexit(print) };
    });
    // Relaxed: one thread counts, and prints.
    SHARED.fetch_add(shared.into(), Ordering::Relaxed);
    if (CASES.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(EVERY) {
        print();
    }
}

/// `cargo xtask fuzz` reads the last such line.
extern "C" fn print() {
    eprintln!("tally: {} cases, {} shared", CASES.load(Ordering::Relaxed), SHARED.load(Ordering::Relaxed));
}
