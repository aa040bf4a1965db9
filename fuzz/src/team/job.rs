//! One job of a team, and what must be true of it.

use crate::Shared;
use arbitrary::{Arbitrary, Result, Unstructured};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use fused_dense::Team;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

/// Parts, and what some of them do.
#[derive(Debug)]
pub(super) struct Job {
    parts: usize,
    /// Every so many parts one panics, from this one on.
    panics: Option<Panics>,
    /// Parts of the job within each.
    inner_parts: usize,
    /// Turns that each part waits.
    turns: usize,
}

#[derive(Clone, Copy, Debug)]
struct Panics {
    first: usize,
    step: usize,
    /// Whether dropping what the panic carries panics again.
    again: bool,
}

impl<'a> Arbitrary<'a> for Job {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let parts = if u.ratio(1, 8)? { u.int_in_range(60..=400)? } else { u.int_in_range(0..=20)? };
        let panics = if u.ratio(1, 5)? {
            Some(Panics { first: u.int_in_range(0..=parts)?, step: u.int_in_range(1..=9)?, again: u.ratio(1, 4)? })
        } else {
            None
        };
        let inner_parts = if u.ratio(1, 6)? { u.int_in_range(0..=5)? } else { 0 };
        Ok(Self { parts, panics, inner_parts, turns: usize::from(u.arbitrary::<u8>()?) * 8 })
    }
}

/// The payload of a part's panic.
struct Meant {
    part: usize,
    again: bool,
}

impl Drop for Meant {
    fn drop(&mut self) {
        if self.again {
            panic::panic_any(Meant { part: self.part, again: false });
        }
    }
}

/// Panics that are meant are not reported; all others go the way that they went before.
pub(super) fn let_meant_panics_pass() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Meant>() {
            others(panic);
        }
    }));
}

impl Job {
    fn panics_at(&self, part: usize) -> bool {
        self.panics.is_some_and(|Panics { first, step, .. }| part >= first && (part - first).is_multiple_of(step))
    }

    /// Runs the job; whether another thread than the caller's did a part.
    pub(super) fn run(&self, team: &Team) -> Shared {
        let done: Vec<AtomicUsize> = (0..self.parts).map(|_| AtomicUsize::new(0)).collect();
        let (at_work, shared, here) = (AtomicUsize::new(0), AtomicBool::new(false), thread::current().id());
        let work = |part: usize| {
            at_work.fetch_add(1, Ordering::Relaxed);
            if thread::current().id() != here {
                shared.store(true, Ordering::Relaxed);
            }
            self.check_inner(team);
            (0..self.turns).for_each(|_| core::hint::spin_loop());
            // Plain steps: the team itself must bring what was written to the caller.
            done[part].store(done[part].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            at_work.fetch_sub(1, Ordering::Relaxed);
            if self.panics_at(part) {
                let again = self.panics.is_some_and(|panics| panics.again);
                panic::panic_any(Meant { part, again });
            }
        };
        let result = panic::catch_unwind(AssertUnwindSafe(|| team.for_each(self.parts, work)));
        assert_eq!(at_work.into_inner(), 0, "{self:?} on {team:?}: somebody is still at work");
        let counts = done.into_iter().map(AtomicUsize::into_inner);
        match result {
            Ok(()) => {
                assert!(!(0..self.parts).any(|part| self.panics_at(part)), "{self:?} on {team:?}: no panic");
                assert!(counts.into_iter().all(|count| count == 1), "{self:?} on {team:?}: parts done");
            }
            Err(payload) => {
                assert!(counts.into_iter().all(|count| count <= 1), "{self:?} on {team:?}: a part done twice");
                let part = payload.downcast_ref::<Meant>().map(|meant| meant.part);
                assert!(part.is_some_and(|part| self.panics_at(part)), "{self:?} on {team:?}: a panic of {part:?}");
                // This may panic again.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(payload)));
            }
        }
        shared.into_inner()
    }

    fn check_inner(&self, team: &Team) {
        let count = AtomicUsize::new(0);
        team.for_each(self.inner_parts, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), self.inner_parts, "{self:?} on {team:?}: parts within a part");
    }
}
