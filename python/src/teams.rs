//! The threads that networks share: one team for each number of threads in the process.

use fused_dense::{Team, Threads};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

static TEAMS: Mutex<BTreeMap<usize, Team>> = Mutex::new(BTreeMap::new());

/// The process's team of this many threads, made when it is first asked for.
///
/// Callers have the interpreter's lock, as a thread that forks has: no child finds the teams locked.
pub(crate) fn team(threads: usize) -> Threads {
    if threads <= 1 {
        return Threads::Serial;
    }
    let mut teams = TEAMS.lock().unwrap_or_else(PoisonError::into_inner);
    Threads::from(&*teams.entry(threads).or_insert_with(|| Team::new(threads)))
}
