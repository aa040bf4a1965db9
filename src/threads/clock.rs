//! The time, on targets that tell it.

use core::time::Duration;
use std::time::Instant;

/// Whether the target has a clock. WebAssembly without a system has none, and asking for the time would trap there;
/// nor has it threads to wait for.
pub(super) const EXISTS: bool = !cfg!(all(target_family = "wasm", target_os = "unknown"));

/// A moment, if the target has a clock.
#[derive(Clone, Copy)]
pub(super) struct Moment(Option<Instant>);

impl Moment {
    pub(super) fn now() -> Self {
        Self(EXISTS.then(Instant::now))
    }

    /// The time since then. Without a clock all time is over: whoever waits for something awake gives up at once.
    pub(super) fn elapsed(self) -> Duration {
        self.0.map_or(Duration::MAX, |moment| moment.elapsed())
    }
}
