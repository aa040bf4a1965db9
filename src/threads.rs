//! Sharing work out: the only file that knows a thread pool.

/// Where a layer's work may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Threads {
    /// On the calling thread.
    #[default]
    Serial,
    /// Shared out in the rayon pool that the caller runs in, to at most this many of its workers; on the calling
    /// thread where it runs in none. The global pool is never started.
    CurrentPool {
        /// The most workers to use. The workspace grows with it.
        max: usize,
    },
}

impl Threads {
    /// The most workers that a call may use.
    pub(crate) fn max(self) -> usize {
        match self {
            Self::Serial => 1,
            Self::CurrentPool { max } => max.max(1),
        }
    }

    /// Workers that a call made here and now may use.
    pub(crate) fn here(self) -> usize {
        match self {
            Self::Serial => 1,
            Self::CurrentPool { max } if rayon::current_thread_index().is_some() => {
                rayon::current_num_threads().min(max).max(1)
            }
            Self::CurrentPool { .. } => 1,
        }
    }
}

/// Calls `work(i, piece i)` for each `i` in `0..workers`, where the pieces are `scratch` cut every `piece_len`.
///
/// More than one worker is only ever asked for inside a pool (see [`Threads::here`]).
pub(crate) fn share_out(
    workers: usize,
    scratch: &mut [f32],
    piece_len: usize,
    work: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    split(0, workers, scratch, piece_len, work);
}

fn split(
    first: usize,
    workers: usize,
    scratch: &mut [f32],
    piece_len: usize,
    work: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    if workers == 1 {
        return work(first, &mut scratch[..piece_len]);
    }
    let half = workers / 2;
    let (left, right) = scratch.split_at_mut(half * piece_len);
    rayon::join(
        || split(first, half, left, piece_len, work),
        || split(first + half, workers - half, right, piece_len, work),
    );
}
