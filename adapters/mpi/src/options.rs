//! The options of distributed training.

use core::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A way to add the sums of all ranks in the order of their blocks. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// Each rank gets all blocks' sums of a slice of the parameters, adds them in order, and sends the slice to all others.
    Exchange,
    /// Partial totals go from rank to rank in pieces, and the totals come back the same way.
    Chain,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exchange => "exchange",
            Self::Chain => "chain",
        })
    }
}

/// Where the optimiser's arrays are kept. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// On every rank: each updates all parameters.
    Replicated,
    /// Shared out: each rank updates a slice of the parameters, and sends it to all others. The arrays of
    /// [`Layer::optimizer_state`](fused_dense::Layer::optimizer_state) are then current in that slice alone.
    Shared,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Replicated => "replicated",
            Self::Shared => "shared",
        })
    }
}

/// The options of a [`Distributed`](crate::Distributed), the same on all ranks.
///
/// ```
/// use fused_dense_mpi::{Options, Way};
/// use std::time::Duration;
///
/// let options = Options::new().way(Way::Chain).patience(Duration::from_secs(20)).checkpoint("run.safetensors", 100);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Options {
    pub(crate) patience: Duration,
    pub(crate) way: Option<Way>,
    pub(crate) state: Option<State>,
    pub(crate) bucket: Option<usize>,
    pub(crate) aborts: bool,
    pub(crate) notes: bool,
    pub(crate) checkpoint: Option<(PathBuf, u64)>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// A minute of patience, the plan's own choice of everything else, and no checkpoints. A failure ends the job.
    pub fn new() -> Self {
        Self {
            patience: Duration::from_secs(60),
            way: None,
            state: None,
            bucket: None,
            aborts: true,
            notes: true,
            checkpoint: None,
        }
    }

    /// How long a rank waits for others without a message from any. It has to be longer than the time by which one rank may
    /// come later than another: to load its samples, to compute its part, or to write a checkpoint.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The way of the reduction, whatever would be faster.
    pub fn way(self, way: Way) -> Self {
        Self { way: Some(way), ..self }
    }

    /// Where the optimiser's arrays are kept, whatever would be faster.
    pub fn state(self, state: State) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Reduces layers together until they have so many parameters: the plan's choice otherwise. With 0 each layer is reduced on
    /// its own.
    pub fn bucket(self, parameters: usize) -> Self {
        Self { bucket: Some(parameters), ..self }
    }

    /// Returns [`Error::Silent`](crate::Error::Silent) and [`Error::Mpi`](crate::Error::Mpi) to the caller, where otherwise
    /// they end the job with a message. Nothing but [`Distributed::abort`](crate::Distributed::abort), or the end of the
    /// process, makes sense then: finalising MPI may wait for ranks that are gone.
    pub fn return_failures(self) -> Self {
        Self { aborts: false, ..self }
    }

    /// Prints no notes. Otherwise rank 0 says on the terminal where a batch leaves ranks without work.
    pub fn quiet(self) -> Self {
        Self { notes: false, ..self }
    }

    /// Rank 0 writes a checkpoint of this name after every so many steps: a new one takes the place of the last as a whole or
    /// not at all. With 0 steps there is none.
    pub fn checkpoint(self, path: impl Into<PathBuf>, steps: u64) -> Self {
        Self { checkpoint: (steps > 0).then(|| (path.into(), steps)), ..self }
    }

    /// All that must be the same on all ranks, as names and values.
    pub(crate) fn description(&self) -> Vec<(String, String)> {
        let choice = |choice: Option<String>| choice.unwrap_or_else(|| "the plan's".into());
        let every = self.checkpoint.as_ref().map_or(0, |(_, steps)| *steps);
        vec![
            ("way of the reduction".into(), choice(self.way.map(|way| way.to_string()))),
            ("optimiser state".into(), choice(self.state.map(|state| state.to_string()))),
            ("parameters in a bucket".into(), choice(self.bucket.map(|bucket| bucket.to_string()))),
            ("steps between checkpoints".into(), every.to_string()),
        ]
    }
}
