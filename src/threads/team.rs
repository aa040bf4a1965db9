//! Threads that wait for work awake, for a moment.

use super::clock::{self, Moment};
use super::handover::HandoverCost;
use super::job::{Jobs, MAX_MEMBERS};
use super::payload::discard;
use super::process::Process;
use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence, wait_awake};
use crate::tuning::HANDOVER;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};

/// Threads for layers, and for loops of your own, that share out work in well under a microsecond.
///
/// A worker that has done its part stays awake for up to 100 µs for the next job, as one layer follows another within a
/// training step, and then sleeps: an idle team uses no processor time. Whoever hands work in works too, and takes
/// over what no worker has begun: a worker that the system keeps from running holds up nothing but the part that it
/// is at.
///
/// A team is a handle: clones are the same team, and its threads end with the last one. It does one job at a time: of
/// calls made at once, or from inside a job, one is shared out and the others run on their own threads.
///
/// ```
/// use fused_dense::{Activation, Dense, Team};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let team = Team::new(2);
/// let layer = Dense::new(784, 512, Activation::Sigmoid).with_threads(&team);
/// # assert_eq!(layer.describe(128)?.forward.workers, team.threads());
///
/// // The same threads for what happens between the layers.
/// let sum = AtomicUsize::new(0);
/// team.for_each(10, |part| { sum.fetch_add(part, Ordering::Relaxed); });
/// assert_eq!(sum.into_inner(), 45);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone)]
pub struct Team(Arc<Workers>);

/// Ends the threads when it is dropped.
struct Workers {
    shared: Arc<Shared>,
    /// Nobody but `drop` does more than count them, so that no panic leaves one half used.
    handles: AssertUnwindSafe<Vec<JoinHandle<()>>>,
}

/// Shared by the threads.
struct Shared {
    jobs: Jobs,
    handover: HandoverCost,
    /// The thread that may hand in jobs: nobody yet ([`FREE`]), whoever does just now ([`LED`]), or the thread of this mark.
    leader: AtomicUsize,
    /// Whether the team is kept for one thread's jobs; apart from what every job writes.
    is_held: Flag,
    is_over: AtomicBool,
    /// Whether a worker sleeps.
    sleeps: Box<[Flag]>,
    /// The workers' threads, once they are all there.
    threads: OnceLock<Box<[Thread]>>,
    /// Members of the last job that woke anybody.
    wanted: AtomicUsize,
    start: Moment,
    /// Microseconds from the start to when light work last met a sleeping worker.
    last_light: AtomicU64,
    /// The process that has the workers.
    process: Process,
}

/// A flag on a cache line of its own, which changes hands only when it does.
#[repr(align(128))]
struct Flag(AtomicBool);

const FREE: usize = 0;
const LED: usize = 1;

/// A number that no other thread alive has, and neither [`FREE`] nor [`LED`].
fn mark() -> usize {
    thread_local!(static MARK: u64 = const { 0 });
    MARK.with(|mark| core::ptr::from_ref(mark).addr())
}

impl Team {
    /// Most threads of a team.
    pub const MAX_THREADS: usize = MAX_MEMBERS;

    /// A team of this many threads, the caller's among them: `new(2)` starts one.
    ///
    /// At least one and at most [`MAX_THREADS`](Self::MAX_THREADS), and fewer where the system refuses more, one on
    /// targets without threads or a clock (`wasm32-unknown-unknown`); [`threads`](Self::threads) tells.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self::with_start(threads, |_| ())
    }

    /// A team whose workers `1..threads` each call `start` first, with their index: the place to pin a thread to a
    /// core, or to set its priority. The caller's thread is its own affair.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// fn pin(core: usize) {
    ///     // SAFETY: a set of cores is plain bits, and the call only reads it.
    ///     unsafe {
    ///         let mut cores: libc::cpu_set_t = core::mem::zeroed();
    ///         libc::CPU_SET(core, &mut cores);
    ///         libc::sched_setaffinity(0, size_of_val(&cores), &cores);
    ///     }
    /// }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn pin(_: usize) {}
    ///
    /// let team = fused_dense::Team::with_start(2, pin);
    /// ```
    #[must_use]
    pub fn with_start(threads: usize, start: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let most = if clock::EXISTS { Self::MAX_THREADS } else { 1 };
        let threads = threads.clamp(1, most);
        let shared = Arc::new(Shared {
            jobs: Jobs::new(),
            handover: HandoverCost::new(),
            leader: AtomicUsize::new(FREE),
            is_held: Flag(AtomicBool::new(false)),
            is_over: AtomicBool::new(false),
            sleeps: (0..threads).map(|_| Flag(AtomicBool::new(false))).collect(),
            threads: OnceLock::new(),
            wanted: AtomicUsize::new(1),
            start: Moment::now(),
            process: Process::current(),
            last_light: AtomicU64::new(0),
        });
        let start = Arc::new(start);
        let handles = (1..threads).map_while(|member| {
            let (shared, start) = (Arc::clone(&shared), Arc::clone(&start));
            let serve = move || {
                start(member);
                shared.serve(member);
            };
            thread::Builder::new().name(format!("fused-dense {member}")).spawn(serve).ok()
        });
        let handles: Vec<_> = handles.collect();
        // Nobody else sets it.
        let _ = shared.threads.set(handles.iter().map(|handle| handle.thread().clone()).collect());
        Self(Arc::new(Workers { shared, handles: AssertUnwindSafe(handles) }))
    }

    /// Threads that share a job, the caller's among them.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.handles.len() + 1
    }

    /// Calls `work(part)` once for each part in `0..parts`, on the caller's and the team's threads; returns when all
    /// are done.
    ///
    /// # Panics
    /// Where `work` does.
    pub fn for_each(&self, parts: usize, work: impl Fn(usize) + Sync) {
        let lead = self.lead();
        let most = Jobs::most_parts(self.threads());
        for first in (0..parts).step_by(most) {
            let parts = most.min(parts - first);
            match &lead {
                Some(lead) => lead.share(self.threads(), parts, false, &|_, part| work(first + part)),
                None => (first..first + parts).for_each(&work),
            }
        }
    }

    /// Keeps the team for this thread's calls until `work` is done, and its workers awake between them: for a chain of
    /// layers, or a training step, with moments of other work in between.
    ///
    /// Workers that sleep are woken at once, and wait awake for up to a millisecond each time. Of calls that other
    /// threads make meanwhile each runs on its own thread. Where another thread has the team, `work` just runs.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense, Team};
    ///
    /// let team = Team::new(2);
    /// let mut layers = [(64, 32), (32, 10)].map(|(k, n)| Dense::new(k, n, Activation::Tanh).with_threads(&team));
    /// let (x, w, b) = (vec![0.5; 8 * 64], vec![0.1; 32 * 64], vec![0.0; 32]);
    /// let (mut hidden, mut a) = (vec![0.0; 8 * 32], vec![0.0; 8 * 10]);
    /// team.hold(|| {
    ///     layers[0].forward(&x, &w, &b, &mut hidden)?;
    ///     layers[1].forward(&hidden, &w[..10 * 32], &b[..10], &mut a)
    /// })?;
    /// # assert!(a[0] > 0.9);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    pub fn hold<R>(&self, work: impl FnOnce() -> R) -> R {
        let shared = &self.0.shared;
        // Acquire: as in `lead`.
        let is_free = shared.leader.compare_exchange(FREE, mark(), Ordering::Acquire, Ordering::Relaxed).is_ok();
        let _hold = is_free.then(|| {
            shared.is_held.0.store(true, Ordering::Relaxed);
            shared.wake(self.threads());
            Hold { shared }
        });
        work()
    }

    /// The cost of sharing out a job, as the last ones had it.
    pub(super) fn handover(&self) -> &HandoverCost {
        &self.0.shared.handover
    }

    /// The right to hand in jobs; `None` while somebody has it.
    pub(super) fn lead(&self) -> Option<Lead<'_>> {
        let leader = &self.0.shared.leader;
        // Acquire: all that the leader before did, its release is in `Lead::drop`.
        let kept_for = match leader.compare_exchange(FREE, LED, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => FREE,
            // Kept for this thread, which alone can change that.
            Err(owner) if owner == mark() => {
                leader.store(LED, Ordering::Relaxed);
                owner
            }
            Err(_) => return None,
        };
        Some(Lead { workers: &self.0, kept_for })
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish()
    }
}

impl PartialEq for Team {
    /// Whether both are handles of the same threads.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Team {}

impl Drop for Workers {
    fn drop(&mut self) {
        let handles = core::mem::take(&mut *self.handles);
        if self.shared.process.is_past() {
            // The workers are the parent's. Even to detach them would name threads that are not there.
            core::mem::forget(handles);
            return;
        }
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Pairs with the fence in `Shared::sleep`: a worker sees that it is over, or is seen to sleep and woken.
        fence(Ordering::SeqCst);
        let here = thread::current().id();
        for handle in handles {
            handle.thread().unpark();
            // The last handle may be a worker's own, which ends when it gets back to `Shared::serve`.
            if handle.thread().id() != here {
                // One that panicked, in the caller's `start`, has reported it and holds nothing.
                handle.join().map_or_else(discard, |()| ());
            }
        }
    }
}

/// The right to hand in jobs to a team.
pub(crate) struct Lead<'t> {
    workers: &'t Workers,
    /// The owner of the right afterwards: nobody, or the thread that the team is kept for.
    kept_for: usize,
}

/// A team kept for a thread.
struct Hold<'t> {
    shared: &'t Shared,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.shared.is_held.0.store(false, Ordering::Relaxed);
        self.shared.leader.store(FREE, Ordering::Release);
    }
}

impl Lead<'_> {
    /// As [`Team::handover`].
    pub(super) fn handover(&self) -> &HandoverCost {
        &self.workers.shared.handover
    }

    /// Calls `work(member, part)` for each part, on at most this many members.
    ///
    /// Light work is done before a sleeping worker is up: it wakes one only where it comes in quick succession.
    pub(super) fn share(&self, members: usize, parts: usize, is_light: bool, work: &(dyn Fn(usize, usize) + Sync)) {
        let shared = &self.workers.shared;
        let call = || {
            // Pairs with the fence in `Shared::sleep`.
            fence(Ordering::SeqCst);
            if shared.sleepers(members).next().is_some() && !(is_light && shared.is_rare()) {
                shared.wake(members);
            }
        };
        // SAFETY: there is one `Lead` at a time, and its making acquires what the one before released.
        shared.handover.time(work, |work| unsafe { shared.jobs.lead(members, parts, call, work) });
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.workers.shared.leader.store(self.kept_for, Ordering::Release);
    }
}

impl Shared {
    /// The members that sleep, of those below this one.
    fn sleepers(&self, members: usize) -> impl Iterator<Item = (&Thread, &AtomicBool)> {
        let threads = self.threads.get().map_or(&[][..], |threads| threads);
        let all = threads.iter().zip(self.sleeps[1..].iter().map(|flag| &flag.0)).take(members - 1);
        all.filter(|(_, sleeps)| sleeps.load(Ordering::Relaxed))
    }

    /// Wakes the members below this one.
    fn wake(&self, members: usize) {
        // Relaxed: whoever is woken sees it, by its unparking.
        self.wanted.store(members, Ordering::Relaxed);
        self.wake_two();
    }

    /// Wakes two of them, which then wake two more each: waking takes microseconds.
    fn wake_two(&self) {
        let members = self.wanted.load(Ordering::Relaxed);
        for (thread, _) in self.sleepers(members).filter(|(_, sleeps)| sleeps.swap(false, Ordering::Relaxed)).take(2) {
            // Those of a parent process cannot be woken here.
            if !self.process.is_past() {
                thread.unpark();
            }
        }
    }

    /// Whether light work that met a sleeping worker had not met one for a while.
    fn is_rare(&self) -> bool {
        let now = self.start.elapsed().as_micros() as u64;
        // Relaxed: a heuristic's memory.
        let before = self.last_light.swap(now, Ordering::Relaxed);
        Duration::from_micros(now.saturating_sub(before)) > HANDOVER.patience
    }

    /// A worker's life.
    fn serve(&self, member: usize) {
        let is_called = || self.jobs.is_open_to(member) || self.is_over.load(Ordering::Relaxed);
        let mut patience = HANDOVER.patience;
        loop {
            let is_held = || self.is_held.0.load(Ordering::Relaxed);
            let is_awaited = is_held() && wait_awake(HANDOVER.held_patience, || is_called() || !is_held());
            if !is_awaited && !wait_awake(patience, is_called) {
                let since = Moment::now();
                self.sleep(member, is_called);
                self.wake_two();
                // Callers that call often are waited for awake; where calls are rare, spinning would be for nothing.
                patience = if since.elapsed() < HANDOVER.patience {
                    HANDOVER.patience
                } else {
                    (patience / 2).max(HANDOVER.least_patience)
                };
            }
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            self.jobs.help(member);
        }
    }

    /// Sleeps until somebody wakes this worker: also where it comes too late for the call, since the next is then near.
    fn sleep(&self, member: usize, is_called: impl Fn() -> bool) {
        let sleep = &self.sleeps[member].0;
        sleep.store(true, Ordering::Relaxed);
        // Of two that each write and then read what the other wrote, with such a fence between, one sees the other: this
        // worker the open parts, or the leader (`Lead::share`) that it sleeps.
        fence(Ordering::SeqCst);
        if !is_called() {
            thread::park();
        }
        sleep.store(false, Ordering::Relaxed);
    }
}
