//! Sharing work out: the only place that knows a thread pool.
//!
//! `job` holds the protocol by which threads share one job, `handover` what that costs; `team` has threads of its own that
//! wait for jobs awake, and the rayon pools lend theirs for one call after the other.

mod clock;
mod handover;
mod job;
mod payload;
mod process;
#[cfg(feature = "rayon")]
mod rayon_pool;
mod sync;
mod team;
mod thread_scratch;

pub use team::Team;

use crate::tuning::HANDOVER;
#[cfg(feature = "rayon")]
use core::panic::{RefUnwindSafe, UnwindSafe};
use handover::HandoverCost;
use job::Jobs;
#[cfg(feature = "rayon")]
use std::sync::Arc;
use thread_scratch::ThreadScratch;

/// Where a layer's work may run.
///
/// A call has the same bits with each choice, and work that is not worth sharing stays on the calling thread. That
/// one always takes part, and while it waits for others it runs none of the caller's own tasks: locks and borrowed
/// thread-local memory may be held over a call.
///
/// Every thread that takes part works in the calling thread's floating-point mode: its rounding, how it treats subnormal numbers
/// (flush-to-zero, denormals-are-zero, on aarch64 the default NaN too), and which exceptions trap; on x86 with SSE and
/// aarch64, where Rust lets a thread change them at its own risk. The status flags that exceptions raise stay on the
/// thread that raised them.
///
/// In a forked child, which has none of its parent's threads, a call stays on the calling thread: on a team made before
/// the fork, and in rayon pools where the layer was given its threads before the fork. A layer that was given a pool of
/// the parent's afterwards waits for nobody either, but it asks for the workers, and hangs if one of them was just then
/// changing rayon's own queues when the fork came: give children pools of their own. A child that is forked from inside
/// of a team's job must not go on with that job.
///
/// ```
/// use fused_dense::{Activation, Dense, Team, Threads};
///
/// let team = Team::new(2);
/// for threads in [Threads::Serial, Threads::from(&team)] {
///     let mut layer = Dense::new(1, 1, Activation::Identity).with_threads(threads);
///     let mut a = [0.0];
///     layer.forward(&[2.0], &[3.0], &[1.0], &mut a)?;
///     assert_eq!(a, [7.0]);
/// }
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Threads {
    /// On the calling thread.
    #[default]
    Serial,
    /// With the feature `rayon`: shared out in the rayon pool that the caller runs in, to at most this many of its
    /// workers; on the calling thread where it runs in none. The global pool is never started. The helpers are tasks of
    /// the pool, for each of which rayon allocates a few bytes; a thread's first such call allocates besides, and one in
    /// another pool, or of another number of workers at most, than its last one may.
    #[cfg(feature = "rayon")]
    CurrentPool {
        /// The most workers to use, up to [`Team::MAX_THREADS`]. The workspace grows with it.
        max: usize,
    },
    /// With the feature `rayon`: shared out in this rayon pool, wherever the caller runs, which takes the place of one of
    /// the pool's workers: in a pool of one, nobody else works. Workers that sleep take some ten microseconds to come.
    /// Allocates as `CurrentPool` does, and rayon's queue for calls from outside of the pool now and then.
    #[cfg(feature = "rayon")]
    Pool(Arc<rayon::ThreadPool>),
    /// Shared out in this team, the fastest way by far. A call that finds the team at work for another caller stays on
    /// the calling thread.
    Team(Team),
}

/// A pool is as it was behind a panic, as `rayon_pool` says; all else is so by itself.
#[cfg(feature = "rayon")]
impl UnwindSafe for Threads {}

/// As above.
#[cfg(feature = "rayon")]
impl RefUnwindSafe for Threads {}

impl From<Team> for Threads {
    fn from(team: Team) -> Self {
        Self::Team(team)
    }
}

impl From<&Team> for Threads {
    fn from(team: &Team) -> Self {
        Self::Team(team.clone())
    }
}

/// With the feature `rayon`.
#[cfg(feature = "rayon")]
impl From<Arc<rayon::ThreadPool>> for Threads {
    fn from(pool: Arc<rayon::ThreadPool>) -> Self {
        Self::Pool(pool)
    }
}

/// A layer's choice of threads.
#[derive(Clone, Debug)]
pub(crate) enum Sharing {
    Serial,
    #[cfg(feature = "rayon")]
    Pool(rayon_pool::Pool),
    Team(Team),
}

impl From<Threads> for Sharing {
    fn from(threads: Threads) -> Self {
        match threads {
            Threads::Serial => Self::Serial,
            #[cfg(feature = "rayon")]
            Threads::CurrentPool { max } => Self::Pool(rayon_pool::Pool::around_the_call(max)),
            #[cfg(feature = "rayon")]
            Threads::Pool(pool) => Self::Pool(rayon_pool::Pool::of(pool)),
            Threads::Team(team) => Self::Team(team),
        }
    }
}

/// Workers that a call may use, and what sharing work out to them costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParallelBudget {
    /// Workers, the caller among them.
    pub(crate) workers: usize,
    /// Cycles that go by until they all work, and until all is known to be done.
    pub(crate) cost: f64,
    /// The same for a backward call.
    pub(crate) backward_cost: f64,
    /// Cycles to read an element that another worker has written.
    pub(crate) move_cost: f64,
    /// Whose they are, or why there is but one.
    pub(crate) source: &'static str,
}

impl ParallelBudget {
    fn serial(source: &'static str) -> Self {
        Self { workers: 1, cost: 0.0, backward_cost: 0.0, move_cost: 0.0, source }
    }

    fn team(workers: usize, handover: &HandoverCost) -> Self {
        let cost = handover.cost();
        Self {
            workers,
            cost,
            backward_cost: HANDOVER.backward_factor * cost,
            move_cost: handover.move_cost(),
            source: "a team",
        }
    }
}

impl Sharing {
    /// The most workers that a call may use, which is how many thread_scratch of scratch it needs.
    pub(crate) fn max(&self) -> usize {
        match self {
            Self::Serial => 1,
            #[cfg(feature = "rayon")]
            Self::Pool(pool) => pool.max(),
            Self::Team(team) => team.threads(),
        }
    }

    /// Whether every call stays on the thread that makes it.
    #[inline(always)]
    pub(crate) fn is_serial(&self) -> bool {
        matches!(self, Self::Serial)
    }

    /// The workers that a call made here and now may use.
    #[inline]
    pub(crate) fn here(&self) -> ParallelBudget {
        match self {
            Self::Serial => ParallelBudget::serial("serial"),
            #[cfg(feature = "rayon")]
            Self::Pool(pool) => pool.here(),
            Self::Team(team) => ParallelBudget::team(team.threads(), team.handover()),
        }
    }

    /// Keeps a team together for the calls that `work` makes, of this many cycles in all.
    ///
    /// Light work, and in a team all that does not pay, stays on this thread: what one call writes the next one reads, and
    /// would have to be fetched from other cores each time.
    pub(crate) fn session<R>(&self, cycles: f64, pays: bool, work: impl FnOnce() -> R) -> R {
        match self {
            Self::Team(team) if cycles >= HANDOVER.wake_cycles && pays => team.hold(work),
            Self::Team(team) => {
                // The calls find the team taken.
                let _lead = team.lead();
                work()
            }
            Self::Serial => work(),
            #[cfg(feature = "rayon")]
            Self::Pool(_) => work(),
        }
    }

    /// Calls `call` with a crew of at most `workers`, which stays together until it returns, for work of this many
    /// cycles.
    ///
    /// `workers` is at most what [`here`](Self::here) said.
    #[inline(always)]
    pub(crate) fn with_crew<R>(&self, workers: usize, cycles: f64, call: impl FnOnce(&Crew<'_>) -> R) -> R {
        if workers <= 1 { call(&Crew::Serial) } else { self.with_members(workers, cycles, call) }
    }

    #[inline(never)]
    fn with_members<R>(&self, workers: usize, cycles: f64, call: impl FnOnce(&Crew<'_>) -> R) -> R {
        match self {
            Self::Serial => call(&Crew::Serial),
            #[cfg(feature = "rayon")]
            Self::Pool(pool) => pool.with_crew(workers, call),
            Self::Team(team) => match team.lead() {
                Some(lead) => call(&Crew::Team { lead, workers, is_light: cycles < HANDOVER.wake_cycles }),
                None => call(&Crew::Serial),
            },
        }
    }
}

/// The threads that work together on a call.
pub(crate) enum Crew<'t> {
    Serial,
    #[cfg(feature = "rayon")]
    Rayon {
        jobs: &'t Jobs,
        workers: usize,
    },
    Team {
        lead: team::Lead<'t>,
        workers: usize,
        is_light: bool,
    },
}

impl Crew<'_> {
    /// Those who work, the caller among them.
    pub(crate) fn workers(&self) -> usize {
        match self {
            Self::Serial => 1,
            #[cfg(feature = "rayon")]
            Self::Rayon { workers, .. } => *workers,
            Self::Team { workers, .. } => *workers,
        }
    }

    /// Members that may come to a job, of which each needs a piece of the scratch; `most` is `Threads::max`. A helper that
    /// a team's call before has brought may be any of the team.
    pub(crate) fn members(&self, most: usize) -> usize {
        match self {
            Self::Serial => 1,
            #[cfg(feature = "rayon")]
            Self::Rayon { workers, .. } => *workers,
            Self::Team { .. } => most,
        }
    }

    /// The cost of sharing out another job.
    pub(crate) fn budget(&self) -> ParallelBudget {
        match self {
            Self::Serial => ParallelBudget::serial(""),
            #[cfg(feature = "rayon")]
            Self::Rayon { workers, .. } => rayon_pool::budget_awake(*workers),
            Self::Team { workers, lead, .. } => ParallelBudget::team(*workers, lead.handover()),
        }
    }

    /// Calls `work(part, scratch)` once for each part in `0..parts`, and returns when all are done. Each worker has a
    /// piece of the scratch to itself, cut every `piece_len`.
    #[inline(always)]
    pub(crate) fn share(
        &self,
        parts: usize,
        scratch: &mut [f32],
        piece_len: usize,
        work: &(impl Fn(usize, &mut [f32]) + Sync),
    ) {
        let workers = self.workers().min(parts);
        if workers > 1 {
            return self.share_out(workers, parts, scratch, piece_len, work);
        }
        let scratch = &mut scratch[..piece_len];
        for part in 0..parts {
            work(part, scratch);
        }
    }

    #[inline(never)]
    fn share_out(
        &self,
        workers: usize,
        parts: usize,
        scratch: &mut [f32],
        piece_len: usize,
        work: &(impl Fn(usize, &mut [f32]) + Sync),
    ) {
        let thread_scratch = ThreadScratch::new(scratch, piece_len);
        let most = Jobs::most_parts(workers);
        for first in (0..parts).step_by(most) {
            let parts = most.min(parts - first);
            // SAFETY: a member is one thread, which does one part at a time.
            let work = |member: usize, part: usize| work(first + part, unsafe { thread_scratch.get(member) });
            match self {
                Self::Serial => {}
                #[cfg(feature = "rayon")]
                // SAFETY: the jobs are this crew's, which shares one after the other.
                Self::Rayon { jobs, .. } => unsafe { jobs.lead(workers, parts, || (), &work) },
                Self::Team { lead, is_light, .. } => lead.share(workers, parts, *is_light, &work),
            }
        }
    }
}
