//! The typed errors of files.

use crate::error::Error;
use crate::optimizer::Optimizer;
use core::fmt;
use std::io;
use std::path::PathBuf;

/// The fault of a file or of its contents: the tensor, the expected value and the found one.
///
/// ```
/// use fused_dense::FileError;
///
/// let tensor = "0.weight".to_string();
/// let error = FileError::Shape { tensor, expected: vec![30, 784], found: vec![784, 30] };
/// assert_eq!(error.to_string(), "tensor 0.weight: expected the shape [30, 784], found [784, 30]");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read or written.
    Io {
        /// The file, or its folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is no safetensors file.
    Format {
        /// The file.
        path: PathBuf,
        /// The expected form and the found one.
        reason: String,
    },
    /// A tensor is not in the file.
    Missing {
        /// Its name.
        tensor: String,
    },
    /// A tensor is in the file for which there is no place.
    Unexpected {
        /// Its name.
        tensor: String,
    },
    /// A tensor has the wrong shape.
    Shape {
        /// Its name.
        tensor: String,
        /// The shape that there is a place for.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A tensor has elements of another type. No type is converted: half and double precision have to be converted to
    /// `F32` by the program that writes the file.
    DataType {
        /// Its name.
        tensor: String,
        /// The type as safetensors calls it: `F32`, or `U64` for counters.
        expected: &'static str,
        /// The type of its elements.
        found: String,
    },
    /// The file has weights for more or for fewer layers than the network.
    Layers {
        /// The network's layers.
        expected: usize,
        /// The layers whose weights are in the file.
        found: usize,
    },
    /// The file says about itself what it should not, or does not say what it should. A file of parameters alone says
    /// nothing of an optimiser.
    Metadata {
        /// The key.
        key: &'static str,
        /// The values that are known.
        expected: &'static str,
        /// Its value, if there is one.
        found: Option<String>,
    },
    /// The checkpoint is of another kind of optimiser, or of one that keeps other arrays.
    Optimizer {
        /// The network's optimiser.
        expected: Optimizer,
        /// The checkpoint's.
        found: Optimizer,
    },
    /// A number of steps or epochs is larger than any that can be gone on from.
    Count {
        /// The tensor that holds it.
        tensor: String,
        /// The largest number.
        max: u64,
        /// The number.
        found: u64,
    },
    /// The file can be read, but no network can be made of what it holds; or the network's layers were exchanged for such
    /// as do not fit.
    Network {
        /// Why not.
        source: Error,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Format { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Missing { tensor } => write!(f, "tensor {tensor}: expected it in the file, found none of this name"),
            Self::Unexpected { tensor } => {
                write!(f, "tensor {tensor}: expected none of this name, found it in the file")
            }
            Self::Shape { tensor, expected, found } => {
                write!(f, "tensor {tensor}: expected the shape {expected:?}, found {found:?}")
            }
            Self::DataType { tensor, expected, found } => {
                write!(f, "tensor {tensor}: expected elements of type {expected}, found {found}")
            }
            Self::Layers { expected, found } => {
                write!(f, "file: expected the weights of {expected} layers, found those of {found}")
            }
            Self::Metadata { key, expected, found: Some(found) } => {
                write!(f, "metadata {key}: expected {expected}, found {found:?}")
            }
            Self::Metadata { key, expected, found: None } => {
                write!(f, "metadata {key}: expected {expected}, found no such key")
            }
            Self::Optimizer { expected, found } => {
                write!(f, "file: expected a checkpoint for ({expected}), found one of ({found})")
            }
            Self::Count { tensor, max, found } => {
                write!(f, "tensor {tensor}: expected a number of at most {max}, found {found}")
            }
            Self::Network { source } => write!(f, "file: {source}"),
        }
    }
}

impl core::error::Error for FileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Network { source } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for FileError {
    fn from(source: Error) -> Self {
        Self::Network { source }
    }
}
