//! Other programs that ran on the processor while something was timed.

/// Watches for other work, as far as the system tells.
#[derive(Clone, Copy)]
pub struct Watch {
    /// Whether the calling thread does all the work, so that its own counters tell everything.
    is_alone: bool,
}

/// Counts of events that take the processor away; equal counts mean that nothing did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interference {
    preemptions: i64,
}

impl Watch {
    /// For work on a number of threads. With several nothing is told: libraries' waiting threads yield, which looks
    /// like being taken away.
    pub fn new(threads: usize) -> Self {
        Self { is_alone: threads == 1 }
    }

    /// The counts now.
    pub fn look(self) -> Interference {
        Interference { preemptions: if self.is_alone { preemptions() } else { 0 } }
    }
}

/// How often another thread took the calling thread's core.
#[cfg(target_os = "linux")]
fn preemptions() -> i64 {
    // SAFETY: the structure is all integers, and the call writes nothing else.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage.ru_nivcsw
    }
}

#[cfg(not(target_os = "linux"))]
fn preemptions() -> i64 {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::machine::affinity::use_cores;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn two_threads_on_one_core_are_noticed() {
        let is_noticed = AtomicBool::new(false);
        let busy = || {
            use_cores(1);
            let watch = Watch::new(1);
            let (before, start) = (watch.look(), Instant::now());
            while !is_noticed.load(Ordering::Relaxed) {
                assert!(start.elapsed() < Duration::from_secs(600), "nobody is taken away");
                if watch.look() != before {
                    is_noticed.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(busy);
            scope.spawn(busy);
        });
        assert_eq!(Watch::new(2).look(), Watch::new(2).look());
    }
}
