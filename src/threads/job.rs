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

use super::payload::discard;
use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, UnsafeCell, fence, lock, wait_awake};
use crate::simd::FloatMode;
use crate::tuning::HANDOVER;
use core::any::Any;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

/// Members that share a post, as cores share a cache: a line that all members of a large machine wrote to would go from
/// one to the next all the time.
const GROUP: usize = if cfg!(all(loom, test)) { 2 } else { 16 };

/// Posts, and so the groups of members.
const MOST_POSTS: usize = if cfg!(all(loom, test)) { 2 } else { 16 };
pub(super) const MAX_MEMBERS: usize = GROUP * MOST_POSTS;

/// Most parts of a post: the open ones are the bits of a word.
const POST_PARTS: usize = u64::BITS as usize;

/// The work of a job, given a member and a part. A pointer, since it lives no longer than the call that leads the job.
type Work = dyn Fn(usize, usize) + Sync;

/// Some members' parts of a job, on one cache line: whoever claims a part has the job with it.
#[repr(align(128))]
struct Post {
    /// A bit for each part that nobody has claimed.
    open: AtomicU64,
    /// Members of the group, its parts and the first of them: of use before a claim: a stale value costs speed, never
    /// soundness. What a claim has acquired is not stale.
    members: AtomicUsize,
    parts: AtomicUsize,
    first: AtomicUsize,
    /// Posts of the job.
    posts: AtomicUsize,
    job: UnsafeCell<*const Work>,
    /// The leader's, which is everybody's for this job.
    mode: FloatMode,
    progress: Progress,
}

/// Written by the helpers, read by the leader.
#[repr(align(128))]
struct Progress {
    /// Parts of this post that helpers have done since the jobs were made, wrapping.
    done: AtomicUsize,
}

/// How the leader rests, and what it must hear of.
#[repr(align(128))]
struct Rest {
    /// Whether the leader sleeps, or is about to, until the last part is done.
    leader_sleeps: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    /// Of the payloads of the helpers' panics the first one.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    has_panicked: AtomicBool,
}

/// Where a leader posts its jobs.
pub(crate) struct Jobs {
    /// One for each group of members.
    posts: [Post; MOST_POSTS],
    rest: Rest,
}

/// A panic of a part, a helper's or the leader's, unwinds from [`Jobs::lead`] when no part is open or claimed any more, and
/// what the helpers have left behind is taken out: whoever comes next finds the jobs at rest.
impl UnwindSafe for Jobs {}

/// As above: a panic does not leave through a shared reference earlier.
impl RefUnwindSafe for Jobs {}

/// A member's place in its group.
fn place(member: usize) -> (usize, usize) {
    (member / GROUP, member % GROUP)
}

impl Jobs {
    pub(super) fn new() -> Self {
        let post = || Post {
            open: AtomicU64::new(0),
            members: AtomicUsize::new(1),
            parts: AtomicUsize::new(1),
            first: AtomicUsize::new(0),
            posts: AtomicUsize::new(1),
            job: UnsafeCell::new(core::ptr::from_ref::<Work>(&|_, _| ())),
            mode: FloatMode::current(),
            progress: Progress { done: AtomicUsize::new(0) },
        };
        Self {
            posts: core::array::from_fn(|_| post()),
            rest: Rest {
                leader_sleeps: AtomicBool::new(false),
                sleep: Mutex::new(()),
                wake: Condvar::new(),
                panic: Mutex::new(None),
                has_panicked: AtomicBool::new(false),
            },
        }
    }

    /// Most parts of a job for so many members.
    pub(super) fn most_parts(members: usize) -> usize {
        if members <= GROUP { POST_PARTS } else { POST_PARTS / GROUP * members }
    }

    /// Calls `work(member, part)` once for each part in `0..parts`, on this thread as member 0 and on whoever
    /// [`help`](Self::help)s. `call` is called once the parts are open, to bring helpers. Returns when all parts are
    /// done, and panics where one has. Helpers work in this thread's floating-point mode.
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
        assert!(members > 0 && (1..=Self::most_parts(members)).contains(&parts), "{parts} parts for {members} members");
        // Somebody has no part where there are fewer parts; the leader has the first.
        let members = members.min(parts);
        // SAFETY: only the lifetime changes. The pointer is followed between claiming a part and counting it as done,
        // and `Unfinished` keeps this call from ending before.
        let job = unsafe { core::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), *const Work>(work) };
        let posts = members.div_ceil(GROUP);
        let first = |post: usize| if post < posts { post * GROUP * parts / members } else { parts };
        let mut unfinished = Unfinished { jobs: self, others: [0; MOST_POSTS], posts: 0, is_complete: false };
        for (index, post) in self.posts[..posts].iter().enumerate() {
            let (first, end) = (first(index), first(index + 1));
            // SAFETY: helpers look at the job only between claiming a part and counting it as done. No part is open, and
            // the leader before has acquired the count of every part that was claimed, so whoever looked did so before.
            post.job.with_mut(|slot| unsafe { *slot = job });
            post.mode.store();
            post.members.store((members - index * GROUP).min(GROUP), Ordering::Relaxed);
            post.parts.store(end - first, Ordering::Relaxed);
            post.first.store(first, Ordering::Relaxed);
            post.posts.store(posts, Ordering::Relaxed);
            // The leader's first part is never open.
            let open = bits_below(end - first) & if index == 0 { !1 } else { u64::MAX };
            unfinished.others[index] =
                post.progress.done.load(Ordering::Relaxed).wrapping_add(open.count_ones() as usize);
            unfinished.posts = index + 1;
            // Release: whoever claims a part sees the job, and all that the leader did before. A store would do; but the
            // model checker knows the order of a word's changes only where each reads the one before.
            post.open.swap(open, Ordering::Release);
        }
        call();
        work(0, 0);
        while let Some((post, part)) = self.claim(0) {
            unfinished.others[post] = unfinished.others[post].wrapping_sub(1);
            work(0, part);
        }
        unfinished.is_complete = true;
        drop(unfinished);
        if let Some(panic) = self.take_panic() {
            resume_unwind(panic);
        }
    }

    /// The payload of the first helper that panicked, if one has. To be asked for when the job is over.
    fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        // Relaxed: written before a count that this leader has acquired.
        if !self.rest.has_panicked.load(Ordering::Relaxed) {
            return None;
        }
        self.rest.has_panicked.store(false, Ordering::Relaxed);
        lock(&self.rest.panic).take()
    }

    /// Whether there is something to claim for this member. A hint: only a claim decides.
    pub(super) fn is_open_to(&self, member: usize) -> bool {
        let (post, place) = place(member);
        let post = &self.posts[post];
        post.open.load(Ordering::Relaxed) != 0 && place < post.members.load(Ordering::Relaxed)
    }

    /// Claims parts and works on them until none is open.
    pub(super) fn help(&self, member: usize) {
        while let Some((post, part)) = self.claim(member) {
            let post = &self.posts[post];
            // SAFETY: the claim acquired what the leader wrote before it opened the part; until the part is counted,
            // the leader stays inside `lead`, writes no other job and keeps this one alive.
            let work = post.job.with(|job| unsafe { &**job });
            let result = {
                let _mode = post.mode.enter();
                catch_unwind(AssertUnwindSafe(|| work(member, part)))
            };
            // Nothing may unwind before the part is counted.
            if let Err(panic) = result {
                self.keep_first(panic);
            }
            // Release: the leader sees what the part wrote. From here on the job may be gone.
            post.progress.done.fetch_add(1, Ordering::Release);
            // Pairs with the fence in `wait_for`: either the leader sees the count, or it is seen to sleep here. It then
            // holds the mutex until it waits.
            fence(Ordering::SeqCst);
            if self.rest.leader_sleeps.load(Ordering::Relaxed) {
                drop(lock(&self.rest.sleep));
                self.rest.wake.notify_one();
            }
        }
    }

    /// Leaves what a panic has left behind to the leader, which panics too.
    fn keep_first(&self, panic: Box<dyn Any + Send>) {
        let mut first = lock(&self.rest.panic);
        if first.is_none() {
            *first = Some(panic);
            self.rest.has_panicked.store(true, Ordering::Relaxed);
        } else {
            drop(first);
            discard(panic);
        }
    }

    /// Takes an open part, and says of which post: one of the member's own, in order, so that the same member meets the
    /// same data call after call; else the one that its owner would come to last, of its group before others.
    fn claim(&self, member: usize) -> Option<(usize, usize)> {
        let (home, place) = place(member);
        let posts = self.posts[home].posts.load(Ordering::Relaxed);
        let away = (0..posts).filter(|post| *post != home).map(|post| (post, GROUP));
        core::iter::once((home, place)).chain(away).find_map(|(post, place)| {
            let part = self.posts[post].claim(place)?;
            Some((post, part))
        })
    }

    /// Waits until helpers have done `count` parts of a post since the jobs were made.
    fn wait_for(&self, post: &Post, count: usize) {
        // Acquire: each count was released behind its part's work, and later counts continue its release sequence.
        let is_done = || post.progress.done.load(Ordering::Acquire) == count;
        if wait_awake(HANDOVER.leader_patience, is_done) {
            return;
        }
        let mut asleep = lock(&self.rest.sleep);
        self.rest.leader_sleeps.store(true, Ordering::Relaxed);
        // Pairs with the fence in `help`.
        fence(Ordering::SeqCst);
        while !is_done() {
            asleep = self.rest.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        self.rest.leader_sleeps.store(false, Ordering::Relaxed);
    }
}

impl Post {
    /// Takes an open part for the member at this place of the group; for one from elsewhere, behind the last place.
    fn claim(&self, place: usize) -> Option<usize> {
        let mut open = self.open.load(Ordering::Relaxed);
        while open != 0 {
            let members = self.members.load(Ordering::Relaxed).max(1);
            let parts = self.parts.load(Ordering::Relaxed);
            let part = own_parts(place, members, parts, open).unwrap_or(63 - open.leading_zeros() as usize);
            let bit = 1 << part;
            // Acquire: reads what the leader's store wrote, or what another claim left of it, which continues the
            // store's release sequence. A word of the same value that belongs to a later job is just as good: what is
            // claimed is then a part of that job.
            let before = self.open.fetch_and(!bit, Ordering::Acquire);
            if before & bit != 0 {
                return Some(self.first.load(Ordering::Relaxed) + part);
            }
            open = before;
        }
        None
    }
}

// SAFETY: the job is the only part of the jobs that is not `Sync` by itself. `lead` argues why writing it never meets a
// reader, and what it points to is `Sync`.
unsafe impl Sync for Jobs {}
// SAFETY: as above.
unsafe impl Send for Jobs {}

/// A job on its way: dropped, also by a panic of the leader's, it takes back the parts that are still open and waits
/// for the others.
struct Unfinished<'j> {
    jobs: &'j Jobs,
    /// The count of each post when the parts that the leader has not claimed are done.
    others: [usize; MOST_POSTS],
    /// Posts that are open.
    posts: usize,
    /// Whether the leader has done its parts without a panic.
    is_complete: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let posts = || self.jobs.posts[..self.posts].iter();
        for (post, others) in posts().zip(&mut self.others) {
            // Relaxed: nothing is read by what was never claimed.
            *others = others.wrapping_sub(post.open.swap(0, Ordering::Relaxed).count_ones() as usize);
        }
        for (post, others) in posts().zip(self.others) {
            self.jobs.wait_for(post, others);
        }
        if !self.is_complete {
            // The leader's own panic is on its way to the caller.
            if let Some(panic) = self.jobs.take_panic() {
                discard(panic);
            }
        }
    }
}

/// A word of this many ones.
fn bits_below(count: usize) -> u64 {
    if count >= POST_PARTS { u64::MAX } else { (1 << count) - 1 }
}

/// The first of the member's own parts that is open.
fn own_parts(member: usize, members: usize, parts: usize, open: u64) -> Option<usize> {
    let first = |member: usize| (member * parts).div_ceil(members);
    let own = open & bits_below(first(member + 1)) & !bits_below(first(member));
    (own != 0).then_some(own.trailing_zeros() as usize)
}

#[cfg(all(loom, test))]
mod tests;
