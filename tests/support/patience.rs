//! Waiting for what must come. No test depends on how fast that is: only a hang takes this long.

#![allow(dead_code)] // every test binary uses a part of this

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits before it takes something to hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited for ever until {what}");
        thread::yield_now();
    }
}
