//! One job at a time, cut into parts that a leader and its helpers claim.
//!
//! ```text
//! leader   writes the job ─ opens the parts ─ works ─ claims what is still open ─ waits for what others claimed
//! helper                       └─ claims a part ─ works ─ counts it as done ──────────┘
//! ```
//!
//! Nobody waits for a helper that has claimed nothing: one that comes late, or never, finds no open part and touches
//! neither the job nor anything that it borrows. This is what makes a job of borrowed closures sound, and a
//! descheduled helper harmless.

use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, UnsafeCell, fence, lock, wait_awake};
use core::any::Any;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

/// Most parts of a job: their open ones are the bits of a word.
pub(super) const MAX_PARTS: usize = u64::BITS as usize;

/// What a job does, given a member and a part. A pointer, since it lives no longer than the call that leads the job.
type Work = dyn Fn(usize, usize) + Sync;

/// How long the leader stays awake for the last parts.
const LEADER_PATIENCE: Duration = Duration::from_micros(200);

/// What the leader writes and the helpers read, on one cache line: whoever claims a part has the job with it.
#[repr(align(128))]
struct Post {
    /// A bit for each part that nobody has claimed.
    open: AtomicU64,
    /// Members and parts of the job, of use before a claim: a stale value costs speed, never soundness.
    members: AtomicUsize,
    parts: AtomicUsize,
    job: UnsafeCell<*const Work>,
}

/// What the helpers write and the leader reads.
#[repr(align(128))]
struct Progress {
    /// Parts that helpers have done since the board was made, wrapping.
    done: AtomicUsize,
    /// Whether the leader sleeps, or is about to, until the last part is done.
    leader_sleeps: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    has_panicked: AtomicBool,
}

/// Where a leader posts a job.
pub(crate) struct Board {
    post: Post,
    progress: Progress,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            post: Post {
                open: AtomicU64::new(0),
                members: AtomicUsize::new(1),
                parts: AtomicUsize::new(1),
                job: UnsafeCell::new(core::ptr::from_ref::<Work>(&|_, _| ())),
            },
            progress: Progress {
                done: AtomicUsize::new(0),
                leader_sleeps: AtomicBool::new(false),
                sleep: Mutex::new(()),
                wake: Condvar::new(),
                panic: Mutex::new(None),
                has_panicked: AtomicBool::new(false),
            },
        }
    }

    /// Calls `work(member, part)` once for each part in `0..parts`, on this thread as member 0 and on whoever
    /// [`help`](Self::help)s. `call` is called once the parts are open, to bring helpers. Returns when all parts are
    /// done, and panics where one has.
    ///
    /// # Safety
    /// One leader at a time, which sees all that the leader before it did.
    pub(super) unsafe fn lead(
        &self,
        members: usize,
        parts: usize,
        call: impl FnOnce(),
        work: &(dyn Fn(usize, usize) + Sync),
    ) {
        assert!((1..=MAX_PARTS).contains(&parts), "{parts} parts");
        // A leader that panicked itself has left its helpers' panic behind.
        drop(self.take_panic());
        // SAFETY: only the lifetime changes. The pointer is followed between claiming a part and counting it as done,
        // and `Unfinished` keeps this call from ending before.
        let job = unsafe { core::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), *const Work>(work) };
        // SAFETY: helpers look at the job only between claiming a part and counting it as done. No part is open, and
        // the leader before has acquired the count of every part that was claimed, so whoever looked did so before.
        self.post.job.with_mut(|slot| unsafe { *slot = job });
        self.post.members.store(members, Ordering::Relaxed);
        self.post.parts.store(parts, Ordering::Relaxed);
        let before = self.progress.done.load(Ordering::Relaxed);
        let mut unfinished = Unfinished { board: self, before, others: parts - 1 };
        // Release: whoever claims a part sees the job, and all that the leader did before. The leader's first part is
        // never open. A store would do; but the model checker knows the order of a word's changes only where each reads
        // the one before.
        self.post.open.swap(u64::MAX >> (MAX_PARTS - parts) & !1, Ordering::Release);
        call();
        work(0, 0);
        while let Some(part) = self.claim(0) {
            unfinished.others -= 1;
            work(0, part);
        }
        drop(unfinished);
        if let Some(panic) = self.take_panic() {
            resume_unwind(panic);
        }
    }

    /// What a helper's panic has left, if no leader has taken it yet.
    fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        // Relaxed: written before a count that this leader, or the one before, has acquired.
        if !self.progress.has_panicked.load(Ordering::Relaxed) {
            return None;
        }
        self.progress.has_panicked.store(false, Ordering::Relaxed);
        lock(&self.progress.panic).take()
    }

    /// Whether there is something to claim for this member. A hint: only a claim decides.
    pub(super) fn is_open_to(&self, member: usize) -> bool {
        self.post.open.load(Ordering::Relaxed) != 0 && member < self.post.members.load(Ordering::Relaxed)
    }

    /// Claims parts and works on them until none is open.
    pub(super) fn help(&self, member: usize) {
        while let Some(part) = self.claim(member) {
            // SAFETY: the claim acquired what the leader wrote before it opened the part; until the part is counted,
            // the leader stays inside `lead`, writes no other job and keeps this one alive.
            let work = self.post.job.with(|job| unsafe { &**job });
            // What a panic leaves behind is the leader's, which panics too.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(member, part))) {
                *lock(&self.progress.panic) = Some(panic);
                self.progress.has_panicked.store(true, Ordering::Relaxed);
            }
            // Release: the leader sees what the part wrote. From here on the job may be gone.
            self.progress.done.fetch_add(1, Ordering::Release);
            // Pairs with the fence in `wait_for`: either the leader sees the count, or it is seen to sleep here. It then
            // holds the mutex until it waits.
            fence(Ordering::SeqCst);
            if self.progress.leader_sleeps.load(Ordering::Relaxed) {
                drop(lock(&self.progress.sleep));
                self.progress.wake.notify_one();
            }
        }
    }

    /// Takes an open part: one of the member's own, in order, so that the same member meets the same data call after
    /// call; else the one that its owner would come to last.
    fn claim(&self, member: usize) -> Option<usize> {
        let mut open = self.post.open.load(Ordering::Relaxed);
        while open != 0 {
            let members = self.post.members.load(Ordering::Relaxed).max(1);
            let parts = self.post.parts.load(Ordering::Relaxed);
            let part = own_parts(member, members, parts, open).unwrap_or(63 - open.leading_zeros() as usize);
            let bit = 1 << part;
            // Acquire: reads what the leader's store wrote, or what another claim left of it, which continues the
            // store's release sequence. A word of the same value that belongs to a later job is just as good: what is
            // claimed is then a part of that job.
            let before = self.post.open.fetch_and(!bit, Ordering::Acquire);
            if before & bit != 0 {
                return Some(part);
            }
            open = before;
        }
        None
    }

    /// Waits until helpers have done `count` parts since the board was made.
    fn wait_for(&self, count: usize) {
        // Acquire: each count was released behind its part's work, and later counts continue its release sequence.
        let is_done = || self.progress.done.load(Ordering::Acquire) == count;
        if wait_awake(LEADER_PATIENCE, is_done) {
            return;
        }
        let mut asleep = lock(&self.progress.sleep);
        self.progress.leader_sleeps.store(true, Ordering::Relaxed);
        // Pairs with the fence in `help`.
        fence(Ordering::SeqCst);
        while !is_done() {
            asleep = self.progress.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        self.progress.leader_sleeps.store(false, Ordering::Relaxed);
    }
}

// SAFETY: the job is the only part of a board that is not `Sync` by itself. `lead` argues why writing it never meets a
// reader, and what it points to is `Sync`.
unsafe impl Sync for Board {}
// SAFETY: as above.
unsafe impl Send for Board {}

/// A job on its way: dropped, also by a panic of the leader's, it takes back the parts that are still open and waits
/// for the others.
struct Unfinished<'b> {
    board: &'b Board,
    /// Parts done by helpers before this job.
    before: usize,
    /// Parts that the leader has not claimed.
    others: usize,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Relaxed: nothing is read by what was never claimed.
        let unclaimed = self.board.post.open.swap(0, Ordering::Relaxed).count_ones() as usize;
        self.board.wait_for(self.before.wrapping_add(self.others - unclaimed));
    }
}

/// The first of the member's own parts that is open.
fn own_parts(member: usize, members: usize, parts: usize, open: u64) -> Option<usize> {
    let first = |member: usize| (member * parts).div_ceil(members).min(MAX_PARTS);
    let below = |part: usize| if part == MAX_PARTS { u64::MAX } else { (1 << part) - 1 };
    let own = open & below(first(member + 1)) & !below(first(member));
    (own != 0).then_some(own.trailing_zeros() as usize)
}

#[cfg(all(loom, test))]
mod tests;
