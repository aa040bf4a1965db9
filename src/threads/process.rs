//! Which process this is: a forked child has its parent's memory, but none of its threads.

/// The process that something was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process(u32);

impl Process {
    pub(super) fn current() -> Self {
        // Only Unix forks, and some targets have no processes at all: asking would panic there.
        Self(if cfg!(unix) { std::process::id() } else { 0 })
    }

    /// Whether this is another process by now: a child of the one that it was made in.
    pub(super) fn is_past(self) -> bool {
        self != Self::current()
    }
}
