//! Reading a file.

use super::{FileError, HeaderLen};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// A file's tensors, all checked to lie in it.
#[derive(Debug)]
pub(crate) struct File {
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
    /// All elements. The places of tensors are counted from here.
    data: Vec<u8>,
}

impl File {
    /// Reads and checks the whole file.
    ///
    /// # Errors
    /// [`FileError::Io`], and [`FileError::Format`] where header and contents do not fit each other.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Io { path: path.to_path_buf(), source };
        let file = fs::File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Self::parse(path, len, file)
    }

    /// The same of `len` bytes from anywhere; `path` is for errors.
    pub(super) fn parse(path: &Path, len: u64, mut source: impl Read) -> Result<Self, FileError> {
        let wrong = |reason: String| FileError::Format { path: path.to_path_buf(), reason };
        let failed = |source| FileError::Io { path: path.to_path_buf(), source };

        let mut header_len = HeaderLen::default().to_le_bytes();
        let Some(rest) = len.checked_sub(header_len.len() as u64) else {
            return Err(wrong(format!("expected the header's length in {} bytes, found {len}", header_len.len())));
        };
        source.read_exact(&mut header_len).map_err(failed)?;
        let header_len = HeaderLen::from_le_bytes(header_len);
        let Some(data_len) = rest.checked_sub(header_len) else {
            return Err(wrong(format!("expected a header of at most {rest} bytes, found a length of {header_len}")));
        };
        let header = bytes(&mut source, header_len).map_err(failed)?;
        let invalid = |error: &dyn Display| wrong(format!("expected a valid header, found an error in it: {error}"));
        let text = std::str::from_utf8(&header).map_err(|error| invalid(&error))?;
        // Checks that each tensor has as many bytes as it needs, from where the one before it ends.
        let header: Metadata = serde_json::from_str(text).map_err(|error| invalid(&error))?;
        if header.data_len() as u64 != data_len {
            let expected = header.data_len();
            return Err(wrong(format!("expected {expected} bytes behind the header, found {data_len}")));
        }
        let tensors = header.tensors().into_iter().map(|(name, tensor)| (name, tensor.clone())).collect();
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self { tensors, metadata, data: bytes(&mut source, data_len).map_err(failed)? })
    }

    /// All names, in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The file's own words about itself under this key.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The shape of a tensor, if there is one of this name.
    #[cfg(test)]
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// The elements of a tensor of `f32`, row by row: as many as the shape says.
    ///
    /// # Errors
    /// [`FileError::Missing`], [`FileError::DataType`], [`FileError::Shape`].
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<impl Iterator<Item = f32> + use<'_>, FileError> {
        Ok(self.elements(name, Dtype::F32, "F32", shape)?.map(f32::from_le_bytes))
    }

    /// The elements of a tensor of `u64`.
    ///
    /// # Errors
    /// As [`floats`](Self::floats).
    pub(crate) fn integers(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<impl Iterator<Item = u64> + use<'_>, FileError> {
        Ok(self.elements(name, Dtype::U64, "U64", shape)?.map(u64::from_le_bytes))
    }

    /// The bytes of each element of a tensor that is as it is expected.
    fn elements<const BYTES: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        expected: &'static str,
        shape: &[usize],
    ) -> Result<impl Iterator<Item = [u8; BYTES]> + use<'_, BYTES>, FileError> {
        let tensor = name.to_string();
        let Some(info) = self.tensors.get(name) else { return Err(FileError::Missing { tensor }) };
        if info.dtype != dtype {
            return Err(FileError::DataType { tensor, expected, found: info.dtype.to_string() });
        }
        if info.shape != shape {
            return Err(FileError::Shape { tensor, expected: shape.to_vec(), found: info.shape.clone() });
        }
        let (start, end) = info.data_offsets;
        let (elements, _) = self.data.get(start..end).unwrap_or_default().as_chunks();
        Ok(elements.iter().copied())
    }
}

/// So many bytes. Where there is no memory for them, that is an error and no end of the process.
fn bytes(source: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let needed = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(needed).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // A file may have become shorter since its length was asked for.
    match source.take(len).read_to_end(&mut bytes)? == needed {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
