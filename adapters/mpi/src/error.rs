//! The typed errors of distributed training: the rank, the expected value and the found one.

use core::fmt;
use fused_dense::FileError;

/// The fault of a distributed call.
///
/// Unless it says otherwise, every rank gets an error for the same call, and no rank's parameters have changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// This rank's own network refused the call: its part of the batch, or gradients that are not finite.
    Network(fused_dense::Error),
    /// A checkpoint cannot be written or read.
    File(FileError),
    /// Another rank refused the call.
    OtherRank {
        /// The first rank that did.
        rank: usize,
        /// Its error.
        message: String,
    },
    /// Ranks were set up differently.
    Disagree {
        /// Each rank's differences from rank 0.
        differences: Vec<Difference>,
    },
    /// A rank's part is no whole number of blocks, though ranks behind it have samples.
    Part {
        /// The rank.
        rank: usize,
        /// Samples in its part.
        samples: usize,
        /// Samples in a block, of which the part has to be a multiple.
        block: usize,
    },
    /// Some ranks gave weights for their samples, and some did not.
    Weights {
        /// A rank with weights.
        weighted: usize,
        /// One without.
        unweighted: usize,
    },
    /// Ranks are not in the same call.
    OutOfStep {
        /// A rank that differs from rank 0.
        rank: usize,
        /// Rank 0's call, steps and optimiser.
        expected: String,
        /// Those of the rank.
        found: String,
    },
    /// Nothing came from other ranks for as long as [`Options::patience`](crate::Options::patience) says: they ended, or
    /// they are not in this call. The ranks can no longer work together.
    Silent {
        /// The ranks that were waited for.
        ranks: Vec<usize>,
        /// Seconds without a message.
        seconds: f64,
    },
    /// The MPI library reports a fault. The ranks can no longer work together.
    Mpi {
        /// The function of MPI.
        call: &'static str,
        /// Its message.
        message: String,
    },
    /// An earlier call failed so that the ranks can no longer work together.
    Broken,
    /// MPI was set up for calls of the main thread alone, and this is another.
    Thread,
    /// A message or buffer is larger than memory or the MPI library allows.
    TooLarge {
        /// Elements in it.
        elements: usize,
    },
}

/// One thing in which a rank differs from rank 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The rank that differs.
    pub rank: usize,
    /// The thing: a version, a layer's shape, an option, the parameters.
    pub what: String,
    /// Rank 0's.
    pub expected: String,
    /// The rank's.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, what, expected, found } = self;
        write!(f, "rank {rank}: {what}: expected {expected}, as on rank 0, found {found}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::OtherRank { rank, message } => write!(f, "rank {rank}: {message}"),
            Self::Disagree { differences } => {
                let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
                f.write_str(&lines.join("; "))
            }
            Self::Part { rank, samples, block } => write!(
                f,
                "rank {rank}: expected a multiple of {block} samples, since ranks behind it have samples too, found {samples}"
            ),
            Self::Weights { weighted, unweighted } => write!(
                f,
                "sample weights: expected them on all ranks or on none, found some on rank {weighted} and none on rank \
                 {unweighted}"
            ),
            Self::OutOfStep { rank, expected, found } => {
                write!(f, "rank {rank}: expected {expected}, as on rank 0, found {found}")
            }
            Self::Silent { ranks, seconds } => {
                let ranks: Vec<String> = ranks.iter().map(usize::to_string).collect();
                let s = if ranks.len() == 1 { "" } else { "s" };
                write!(f, "expected a message from rank{s} {}, found none for {seconds} s", ranks.join(", "))
            }
            Self::Mpi { call, message } => write!(f, "{call}: {message}"),
            Self::Broken => f.write_str("expected ranks that work together, found that an earlier call failed"),
            Self::Thread => f.write_str("expected the thread that initialised MPI, found another"),
            Self::TooLarge { elements } => {
                write!(f, "expected a buffer that memory and MPI allow, found one of {elements} elements")
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Network(error) => Some(error),
            Self::File(error) => Some(error),
            _ => None,
        }
    }
}

impl From<fused_dense::Error> for Error {
    fn from(error: fused_dense::Error) -> Self {
        Self::Network(error)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}
