//! Sharing work out: the only place that knows a thread pool.
//!
//! `board` holds the protocol by which threads share one job; `team` has threads of its own that wait for jobs awake,
//! and the rayon pools lend theirs for one job after the other.

mod board;
mod meter;
mod pieces;
mod rayon_pool;
mod sync;
mod team;

pub use team::Team;

use board::{Board, MAX_MEMBERS};
pub(crate) use meter::LEAST_COST;
use meter::Meter;
use pieces::Pieces;
use std::sync::Arc;

/// Where a layer's work may run.
///
/// Whatever is chosen, a call has the same bits, and work that is not worth sharing stays on the calling thread.
///
/// ```
/// use fused_dense::{Activation, Dense, Team, Threads};
///
/// let team = Team::new(2);
/// for threads in [Threads::Serial, Threads::CurrentPool { max: 4 }, Threads::from(&team)] {
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
    /// Shared out in the rayon pool that the caller runs in, to at most this many of its workers; on the calling
    /// thread where it runs in none. The global pool is never started.
    CurrentPool {
        /// The most workers to use, up to [`Team::MAX_THREADS`]. The workspace grows with it.
        max: usize,
    },
    /// Shared out in this rayon pool, wherever the caller runs. A call from outside of the pool waits for one of its
    /// workers to wake up, some ten microseconds; and rayon's queue for such calls allocates now and then.
    Pool(Arc<rayon::ThreadPool>),
    /// Shared out in this team, the fastest way by far. A call that finds the team at work for another caller stays on
    /// the calling thread.
    Team(Team),
}

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

impl From<Arc<rayon::ThreadPool>> for Threads {
    fn from(pool: Arc<rayon::ThreadPool>) -> Self {
        Self::Pool(pool)
    }
}

/// What it costs to share out one job in a rayon pool, whose workers have gone to sleep, in cycles of a core; and another
/// job of the same call, for which they wait awake.
const RAYON_COST: f64 = 60.0e3;
const AWAKE_COST: f64 = 4.0e3;

/// The same to read an element that another worker has written, where nothing has been measured.
const MOVE_COST: f64 = 0.5;

/// What it costs to share a backward call in a team, as a multiple of what a forward one costs: measured between cores
/// near each other and far apart.
const BACKWARD: f64 = 3.5;

/// Cycles of work from which on a sleeping worker of a team is woken for one call alone, and a chain of calls is shared.
const WAKE_CYCLES: f64 = 100.0e3;

/// Workers that a call may use, and what sharing work out to them costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supply {
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

impl Supply {
    fn serial(source: &'static str) -> Self {
        Self { workers: 1, cost: 0.0, backward_cost: 0.0, move_cost: 0.0, source }
    }

    fn rayon(workers: usize, source: &'static str) -> Self {
        Self { workers, cost: RAYON_COST, backward_cost: RAYON_COST, move_cost: MOVE_COST, source }
    }

    /// Workers that a call has already.
    fn rayon_awake(workers: usize) -> Self {
        Self { cost: AWAKE_COST, ..Self::rayon(workers, "") }
    }

    fn team(workers: usize, meter: &Meter) -> Self {
        let cost = meter.cost();
        Self { workers, cost, backward_cost: BACKWARD * cost, move_cost: meter.move_cost(), source: "a team" }
    }
}

impl Threads {
    /// The most workers that a call may use, which is how many pieces of scratch it needs.
    pub(crate) fn max(&self) -> usize {
        match self {
            Self::Serial => 1,
            Self::CurrentPool { max } => (*max).clamp(1, MAX_MEMBERS),
            Self::Pool(pool) => pool.current_num_threads().min(MAX_MEMBERS),
            Self::Team(team) => team.threads(),
        }
    }

    /// The workers that a call made here and now may use.
    #[inline]
    pub(crate) fn here(&self) -> Supply {
        match self {
            Self::Serial => Supply::serial("serial"),
            Self::CurrentPool { .. } if rayon::current_thread_index().is_some() => {
                Supply::rayon(rayon::current_num_threads().min(self.max()), "the rayon pool around the call")
            }
            Self::CurrentPool { .. } => Supply::serial("outside of any rayon pool"),
            Self::Pool(_) => Supply::rayon(self.max(), "a rayon pool"),
            Self::Team(team) => Supply::team(team.threads(), team.meter()),
        }
    }

    /// Keeps the workers together for the calls that `work` makes, of this many cycles in all.
    ///
    /// Light work, and in a team all that does not pay, stays on this thread: what one call writes the next one reads, and
    /// would have to be fetched from other cores each time.
    pub(crate) fn session<R: Send>(&self, cycles: f64, pays: bool, work: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Pool(pool) if cycles >= WAKE_CYCLES => pool.install(work),
            Self::Team(team) if cycles >= WAKE_CYCLES && pays => team.hold(work),
            Self::Team(team) => {
                // The calls find the team taken.
                let _lead = team.lead();
                work()
            }
            Self::Serial | Self::CurrentPool { .. } | Self::Pool(_) => work(),
        }
    }

    /// Calls `call` with a crew of at most `workers`, which stays together until it returns, for work of this many
    /// cycles.
    ///
    /// `workers` is at most what [`here`](Self::here) said.
    #[inline(always)]
    pub(crate) fn with_crew<R: Send>(
        &self,
        workers: usize,
        cycles: f64,
        call: impl FnOnce(&Crew<'_>) -> R + Send,
    ) -> R {
        if workers <= 1 { call(&Crew::Serial) } else { self.with_members(workers, cycles, call) }
    }

    #[inline(never)]
    fn with_members<R: Send>(&self, workers: usize, cycles: f64, call: impl FnOnce(&Crew<'_>) -> R + Send) -> R {
        match self {
            Self::Serial => call(&Crew::Serial),
            Self::CurrentPool { .. } => rayon_pool::with_crew(workers, call),
            Self::Pool(pool) => pool.install(|| rayon_pool::with_crew(workers, call)),
            Self::Team(team) => match team.lead() {
                Some(lead) => call(&Crew::Team { lead, workers, is_light: cycles < WAKE_CYCLES }),
                None => call(&Crew::Serial),
            },
        }
    }
}

/// Who works together on a call.
pub(crate) enum Crew<'t> {
    Serial,
    Rayon { board: &'t Board, workers: usize },
    Team { lead: team::Lead<'t>, workers: usize, is_light: bool },
}

impl Crew<'_> {
    /// Those who work, the caller among them.
    pub(crate) fn workers(&self) -> usize {
        match self {
            Self::Serial => 1,
            Self::Rayon { workers, .. } | Self::Team { workers, .. } => *workers,
        }
    }

    /// What it costs to share out another job.
    pub(crate) fn supply(&self) -> Supply {
        match self {
            Self::Serial => Supply::serial(""),
            Self::Rayon { workers, .. } => Supply::rayon_awake(*workers),
            Self::Team { workers, lead, .. } => Supply::team(*workers, lead.meter()),
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
        let pieces = Pieces::new(scratch, piece_len);
        let most = Board::most_parts(workers);
        for first in (0..parts).step_by(most) {
            let parts = most.min(parts - first);
            // SAFETY: a member is one thread, which does one part at a time.
            let work = |member: usize, part: usize| work(first + part, unsafe { pieces.get(member) });
            match self {
                Self::Serial => {}
                // SAFETY: the board is this crew's, which shares one job after the other.
                Self::Rayon { board, .. } => unsafe { board.lead(workers, parts, || (), &work) },
                Self::Team { lead, is_light, .. } => lead.share(workers, parts, *is_light, &work),
            }
        }
    }
}
