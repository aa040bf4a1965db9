//! A crew of a rayon pool's workers, which come as tasks of the pool and stay for all jobs of a call.
//!
//! The caller leads on its own thread, whether or not that is one of the pool's, and waits only for parts that a helper
//! is at. It never waits by rayon's own means, `join` or `install`: a worker that waits by these runs whatever task comes
//! next, and one of the caller's own tasks may want the very lock, or the thread-local scratch memory, that the caller
//! holds during the call.

use super::job::{Jobs, MAX_MEMBERS};
use super::process::Process;
use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence, wait_awake};
use super::{Crew, ParallelBudget};
use crate::tuning::{POOL_HANDOVER, PoolHandover};
use core::cell::Cell;
use core::panic::{RefUnwindSafe, UnwindSafe};
use rayon::ThreadPool;
use std::sync::Arc;

/// A layer's choice of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// None for the one that a call is made in.
    pool: Option<Arc<ThreadPool>>,
    most: usize,
    /// Where the choice was made: the workers of a pool that a parent process had are not there.
    process: Process,
}

/// rayon runs a task, and what is installed, behind a `catch_unwind` of its own: no panic leaves its queues half changed.
impl UnwindSafe for Pool {}

/// As above: a shared reference does no more than to send tasks.
impl RefUnwindSafe for Pool {}

impl Pool {
    pub(super) fn of(pool: Arc<ThreadPool>) -> Self {
        let most = pool.current_num_threads().min(MAX_MEMBERS);
        Self { pool: Some(pool), most, process: Process::current() }
    }

    pub(super) fn around_the_call(most: usize) -> Self {
        Self { pool: None, most: most.clamp(1, MAX_MEMBERS), process: Process::current() }
    }

    /// The most workers that a call may use.
    pub(super) fn max(&self) -> usize {
        self.most
    }

    /// The workers that a call made here and now may use.
    pub(super) fn here(&self) -> ParallelBudget {
        match self.pool {
            Some(_) => budget(self.most, "a rayon pool"),
            None if rayon::current_thread_index().is_some() => {
                budget(rayon::current_num_threads().min(self.most), "the rayon pool around the call")
            }
            None => ParallelBudget::serial("outside of any rayon pool"),
        }
    }

    /// Calls `call` with a crew of at most `workers`.
    pub(super) fn with_crew<R>(&self, workers: usize, call: impl FnOnce(&Crew<'_>) -> R) -> R {
        match &self.pool {
            _ if self.process.is_past() => call(&Crew::Serial),
            Some(pool) => with_crew(Some(pool), self.most, workers, call),
            None => with_crew(None, self.here().workers, workers, call),
        }
    }
}

fn budget(workers: usize, source: &'static str) -> ParallelBudget {
    let PoolHandover { cost, move_cost, .. } = POOL_HANDOVER;
    ParallelBudget { workers, cost, backward_cost: cost, move_cost, source }
}

/// Of workers that a call has already.
pub(super) fn budget_awake(workers: usize) -> ParallelBudget {
    ParallelBudget { cost: POOL_HANDOVER.awake_cost, ..budget(workers, "") }
}

/// Shared by a caller with the tasks that help it. A task may come when its call, or the pool's last handle, is long
/// gone: it owns what it looks at, finds nothing to do, and is as welcome in a later call of the same thread.
pub(super) struct Camp {
    jobs: Jobs,
    /// Whether a call is on.
    is_open: AtomicBool,
    /// Members of the call, the caller among them.
    members: AtomicUsize,
    /// A bit for each member that a task is just now.
    seats: [AtomicU64; MAX_MEMBERS.div_ceil(SEATS)],
    /// Tasks on their way or at work.
    tasks: AtomicUsize,
    /// Tasks that are still to be sent for.
    wanted: AtomicUsize,
}

/// Seats in one word: a bit for each.
const SEATS: usize = u64::BITS as usize;

/// A thread's camp, and what its tasks are good for.
struct Place {
    camp: Arc<Camp>,
    home: Home,
}

/// Where tasks run, and the most members of a call. A task that is at work as a member may claim a part of the call
/// behind its own, whose scratch memory must have a piece for it too.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Home {
    pool: usize,
    most: usize,
}

thread_local! {
    /// Empty during a call. Kept from call to call, so that only a thread's first one allocates a camp.
    static PLACE: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Calls `call` with a crew of `workers` members, of `most` that the scratch memory has thread_scratch for: this thread, and
/// workers of the pool, or of the one that this thread is a worker of.
///
/// A place that no worker takes up is left to the caller, which by then has done all parts.
fn with_crew<R>(pool: Option<&ThreadPool>, most: usize, workers: usize, call: impl FnOnce(&Crew<'_>) -> R) -> R {
    assert!(workers <= most, "{workers} of {most} members");
    let place = Place::take(Home { pool: pool.map_or(0, |pool| core::ptr::from_ref(pool).addr()), most });
    let camp = &place.camp;
    camp.open(workers);
    let _open = Open(&place);
    match pool {
        Some(pool) => camp.send_for_two(|camp| pool.spawn(move || camp.help())),
        None => camp.send_for_two(|camp| rayon::spawn(move || camp.help())),
    }
    call(&Crew::Rayon { jobs: &camp.jobs, workers })
}

impl Place {
    /// This thread's own, or a new one: also where tasks that are good for something else are still about.
    fn take(home: Home) -> Self {
        // A thread on its way out has no memory of its own any more.
        let own = PLACE.try_with(Cell::take).ok().flatten();
        let own = own.filter(|own| own.home == home || Arc::strong_count(&own.camp) == 1);
        Self { camp: own.map_or_else(|| Arc::new(Camp::new()), |own| own.camp), home }
    }
}

/// A call on its way: dropped, also by a panic, it sends the helpers back.
struct Open<'p>(&'p Place);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Place { camp, home } = self.0;
        camp.close();
        // A thread on its way out keeps nothing.
        let _ = PLACE.try_with(|own| own.set(Some(Place { camp: Arc::clone(camp), home: *home })));
    }
}

impl Camp {
    fn new() -> Self {
        Self {
            jobs: Jobs::new(),
            is_open: AtomicBool::new(false),
            members: AtomicUsize::new(1),
            seats: core::array::from_fn(|_| AtomicU64::new(0)),
            tasks: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
        }
    }

    fn open(&self, members: usize) {
        // Relaxed, here and below where nothing else is said: the job's claims order what the work reads and writes.
        self.members.store(members, Ordering::Relaxed);
        self.is_open.store(true, Ordering::Relaxed);
        // Pairs with the fence in `help`: a task that is about to leave is not counted here, or sees the call and stays.
        fence(Ordering::SeqCst);
        let there = self.tasks.load(Ordering::Relaxed);
        self.wanted.store((members - 1).saturating_sub(there), Ordering::Relaxed);
    }

    fn close(&self) {
        self.wanted.store(0, Ordering::Relaxed);
        self.is_open.store(false, Ordering::Relaxed);
    }

    /// Sends for two helpers, who then send for two more each: to wake one takes microseconds, and in a busy pool nobody
    /// comes.
    fn send_for_two(self: &Arc<Self>, spawn: impl Fn(Arc<Self>)) {
        for _ in 0..2 {
            let next = |wanted: usize| wanted.checked_sub(1);
            if self.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_err() {
                return;
            }
            self.tasks.fetch_add(1, Ordering::Relaxed);
            spawn(Arc::clone(self));
        }
    }

    /// A task's life.
    fn help(self: &Arc<Self>) {
        loop {
            let gives_up = self.is_open.load(Ordering::Relaxed) && {
                self.send_for_two(|camp| rayon::spawn(move || camp.help()));
                !self.help_to_the_end()
            };
            self.tasks.fetch_sub(1, Ordering::Relaxed);
            // Pairs with the fence in `open`.
            fence(Ordering::SeqCst);
            if gives_up || !self.is_open.load(Ordering::Relaxed) {
                return;
            }
            self.tasks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Works as a member; says whether it stayed until the call was over.
    fn help_to_the_end(&self) -> bool {
        let Some(member) = self.sit() else { return false };
        let is_over = || !self.is_open.load(Ordering::Relaxed);
        let is_called = || self.jobs.is_open_to(member) || is_over();
        while wait_awake(POOL_HANDOVER.patience, is_called) && !is_over() {
            self.jobs.help(member);
        }
        self.stand(member);
        is_over()
    }

    /// Becomes a member that nobody else is, if there is one left.
    fn sit(&self) -> Option<usize> {
        (1..self.members.load(Ordering::Relaxed)).find(|member| {
            let bit = 1 << (member % SEATS);
            // Acquire: what the member before has done with its scratch memory, released in `stand`.
            self.seats[member / SEATS].fetch_or(bit, Ordering::Acquire) & bit == 0
        })
    }

    fn stand(&self, member: usize) {
        self.seats[member / SEATS].fetch_and(!(1 << (member % SEATS)), Ordering::Release);
    }
}
