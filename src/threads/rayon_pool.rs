//! A crew of a rayon pool's workers, which come once for all jobs of a call.

use super::Crew;
use super::board::Board;
use super::sync::{AtomicBool, Ordering, wait_awake};
use core::time::Duration;

/// How long a worker waits awake for the call's next job before it goes back to its pool for good.
const PATIENCE: Duration = Duration::from_millis(1);

/// Calls `call` with a crew of this many workers of the pool that the caller runs in.
///
/// A place that no worker takes up is left to the caller, which by then has done all parts.
pub(super) fn with_crew<R: Send>(workers: usize, call: impl FnOnce(&Crew<'_>) -> R + Send) -> R {
    let (board, is_over) = (Board::new(), AtomicBool::new(false));
    let lead = || {
        let _over = Over(&is_over);
        call(&Crew::Rayon { board: &board, workers })
    };
    rayon::join(lead, || help_all(&board, &is_over, 1, workers)).0
}

/// Sends the helpers back when the call is over, also by a panic.
struct Over<'c>(&'c AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        // Relaxed: whoever reads it only leaves.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The members `first..end`, each on a thread of its own where the pool has one.
fn help_all(board: &Board, is_over: &AtomicBool, first: usize, end: usize) {
    if end - first == 1 {
        return help(board, is_over, first);
    }
    let middle = first + (end - first) / 2;
    rayon::join(|| help_all(board, is_over, first, middle), || help_all(board, is_over, middle, end));
}

fn help(board: &Board, is_over: &AtomicBool, member: usize) {
    let is_over = || is_over.load(Ordering::Relaxed);
    while wait_awake(PATIENCE, || board.is_open_to(member) || is_over()) && !is_over() {
        board.help(member);
    }
}
