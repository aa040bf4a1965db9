//! Writing a file: all of it or nothing.

use super::{Data, FileError, HeaderLen, Tensor};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes the tensors, and beside them what the file says about itself, as pairs of key and value. The same tensors give the
/// same bytes.
///
/// A reader finds the old file or the new one and nothing between, also when the process or the machine stops: the bytes go
/// into a new file of the same folder, which takes the name once it is complete and on the disk. Where that fails it is
/// removed again. A file of this name loses its permissions; a symbolic link is replaced, not followed.
///
/// # Errors
/// [`FileError::Io`].
pub(crate) fn write(path: &Path, tensors: &[Tensor<'_>], metadata: &[(&str, &str)]) -> Result<(), FileError> {
    let failed = |source| FileError::Io { path: path.to_path_buf(), source };
    let (temporary, file) = Temporary::beside(path).map_err(failed)?;
    let mut writer = BufWriter::new(file);
    write_to(&mut writer, tensors, metadata).map_err(failed)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    // Closed first: some systems rename no open file.
    drop(file);
    temporary.rename(path).map_err(failed)
}

pub(super) fn write_to(
    writer: &mut impl Write,
    tensors: &[Tensor<'_>],
    metadata: &[(&str, &str)],
) -> Result<(), io::Error> {
    let mut tensors: Vec<&Tensor<'_>> = tensors.iter().collect();
    // The order of the format: what needs the larger alignment first.
    tensors.sort_by_key(|tensor| (matches!(tensor.data, Data::Floats(_)), &tensor.name));
    let mut header = header(&tensors, metadata);
    // Where a file is mapped into memory, the elements are aligned.
    let aligned = header.len().next_multiple_of(size_of::<HeaderLen>());
    header.extend(std::iter::repeat_n(' ', aligned - header.len()));
    writer.write_all(&(aligned as HeaderLen).to_le_bytes())?;
    writer.write_all(header.as_bytes())?;
    for tensor in tensors {
        match tensor.data {
            Data::Floats(values) => values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes()))?,
            Data::Integers(values) => values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes()))?,
        }
    }
    writer.flush()
}

/// The header, its entries in the order of the slices: a map of `safetensors` has another order each time.
fn header(tensors: &[&Tensor<'_>], metadata: &[(&str, &str)]) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut entries = Vec::new();
    if !metadata.is_empty() {
        let pairs: Vec<String> =
            metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
        entries.push(format!("\"__metadata__\":{{{}}}", pairs.join(",")));
    }
    let mut start = 0;
    for tensor in tensors {
        let (dtype, len, size) = match tensor.data {
            Data::Floats(values) => ("F32", values.len(), size_of_val(values)),
            Data::Integers(values) => ("U64", values.len(), size_of_val(values)),
        };
        debug_assert_eq!(tensor.shape.iter().product::<usize>(), len, "{}", tensor.name);
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let (name, shape, end) = (quoted(&tensor.name), shape.join(","), start + size);
        entries.push(format!("{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{start},{end}]}}"));
        start = end;
    }
    format!("{{{}}}", entries.join(","))
}

/// A new file that is removed when this is dropped, unless it is given its name.
struct Temporary(PathBuf);

impl Temporary {
    /// A file of the same folder, which nobody else has.
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let temporary = path.with_file_name(format!(".fused-dense-{count}.tmp"));
            match File::create_new(&temporary) {
                // Of another process, or of one that was stopped.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|file| (Self(temporary), file)),
            }
        }
    }

    fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)?;
        self.0.clear();
        // The name is on the disk once the folder is. A system that opens no folders writes it in its own time.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // The first failure is reported. A file that cannot be removed stays.
            let _ = fs::remove_file(&self.0);
        }
    }
}
