//! Files of named tensors: safetensors, the format that PyTorch's and other programs read and write too.
//!
//! A file is a header and the elements behind it, little-endian, without gaps:
//!
//! ```text
//! bytes 0..8      n, the length of the header
//! bytes 8..8+n    JSON: for each tensor its type, shape and place
//! bytes 8+n..     the elements of one tensor behind those of another
//! ```
//!
//! This module knows tensors and names, and nothing of networks. A file comes from anywhere: whatever stands in it, reading
//! it ends in tensors or in a typed error, and takes no more memory than a few times the file.

mod error;
mod names;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::FileError;
pub(crate) use names::{LayerNames, layers_of, sequential};
pub(crate) use read::File;
pub(crate) use write::write;

/// The number that says how long the header is. The header is padded to a multiple of its size.
type HeaderLen = u64;

/// A tensor to write.
#[derive(Clone, Debug)]
pub(crate) struct Tensor<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// As many elements as the shape says, the last axis contiguous.
    pub(crate) data: Data<'a>,
}

/// A tensor's elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'a> {
    Floats(&'a [f32]),
    Integers(&'a [u64]),
}
