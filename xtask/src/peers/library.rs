//! Shared libraries, found at run time: nothing here is ever linked.

use crate::machine::affinity::cores;
use crate::workspace;
use anyhow::{Context, bail};
use fused_dense::Isa;
use libloading::Library;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that `cargo xtask peers install` fills; git ignores it.
pub fn peers_folder() -> PathBuf {
    workspace::root().join("peers")
}

/// The Python that has the frameworks: that of the peers' folder, else the system's.
pub fn python() -> PathBuf {
    let installed = peers_folder().join("python/bin/python");
    if installed.is_file() { installed } else { PathBuf::from("python3") }
}

/// Where a library may lie: in the peers' folder first, then wherever the system looks.
pub fn candidates(file_names: &[&str]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for name in file_names {
        search(&peers_folder(), name, &mut paths);
    }
    paths.extend(file_names.iter().map(PathBuf::from));
    paths
}

/// Collects the files of one name under a folder.
fn search(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            search(&entry.path(), name, found);
        } else if entry.file_name() == name {
            found.push(entry.path());
        }
    }
}

/// Opens a library, and before it those that it needs and that lie beside it.
///
/// The library stays loaded until the program ends: its threads may outlive any call.
///
/// # Errors
/// Where it, or something that it needs, is not there.
pub fn open(path: &Path) -> anyhow::Result<&'static Library> {
    // A library that needs the one that needs it would never end.
    for _ in 0..16 {
        match load(path) {
            Ok(library) => return Ok(Box::leak(Box::new(library))),
            Err(error) => {
                let message = source_message(&error);
                let missing = missing_library(&message).map(|name| path.with_file_name(name));
                match missing {
                    Some(neighbour) if neighbour != path && neighbour.is_file() => {
                        open(&neighbour)?;
                    }
                    _ => bail!("{message}"),
                }
            }
        }
    }
    bail!("{} needs more than can be loaded", path.display())
}

/// Asks the system's loader.
fn load(path: &Path) -> Result<Library, libloading::Error> {
    // Several libraries define the same names: each must find its own first, not those of one loaded before.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use libloading::os::unix;
        const RTLD_DEEPBIND: i32 = 8;
        // SAFETY: the libraries named in this tool do nothing on loading but set themselves up.
        unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL | RTLD_DEEPBIND) }.map(Into::into)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    // SAFETY: as above.
    unsafe {
        Library::new(path)
    }
}

/// The words of the system's loader.
fn source_message(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The library that the loader missed, from its message: `NAME: cannot open shared object file: …`.
fn missing_library(message: &str) -> Option<&str> {
    let (before, _) = message.split_once(": cannot open shared object file")?;
    before.rsplit([' ', '"']).next()
}

/// The first of several paths that holds what `load` makes; where none does, the first one's error.
///
/// # Errors
/// Where there is nothing at any path.
pub fn first<T>(paths: &[PathBuf], load: impl Fn(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut failure = None;
    for path in paths {
        match load(path) {
            Ok(found) => return Ok(found),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.context("no path to look at")?)
}

/// Sets the variables that libraries and frameworks read when they are loaded: as many threads and the instruction set
/// that ours use, and idle threads that soon stop spinning, so that they take no time from the next one's.
///
/// # Safety
/// No other thread may run yet.
pub unsafe fn prepare_environment(isa: Isa, threads: usize) {
    let places: Vec<String> = cores(threads).into_iter().map(|core| format!("{{{core}}}")).collect();
    let (places, threads) = (places.join(","), threads.to_string());
    let mut variables = vec![
        ("OMP_NUM_THREADS", threads.as_str()),
        ("OPENBLAS_NUM_THREADS", &threads),
        ("MKL_NUM_THREADS", &threads),
        // Milliseconds; left alone, 200.
        ("KMP_BLOCKTIME", "1"),
        // OpenMP's threads in the order in which callers are kept to cores: left alone, two may share one.
        ("OMP_PROC_BIND", "true"),
        ("OMP_PLACES", &places),
        // Two to this power cycles; left alone, 26.
        ("OPENBLAS_THREAD_TIMEOUT", "21"),
        ("JAX_PLATFORMS", "cpu"),
    ];
    match isa {
        // Left alone, OpenBLAS takes its AVX2 kernels on AMD processors that have AVX-512.
        Isa::Avx512 => variables.push(("OPENBLAS_CORETYPE", "SkylakeX")),
        Isa::Avx2 => variables.extend([
            ("OPENBLAS_CORETYPE", "Haswell"),
            ("MKL_ENABLE_INSTRUCTIONS", "AVX2"),
            ("ONEDNN_MAX_CPU_ISA", "AVX2"),
            ("DNNL_MAX_CPU_ISA", "AVX2"),
            ("ATEN_CPU_CAPABILITY", "avx2"),
            ("XLA_FLAGS", "--xla_cpu_max_isa=AVX2"),
        ]),
        // The least that they have.
        Isa::Portable if cfg!(target_arch = "x86_64") => variables.extend([
            ("OPENBLAS_CORETYPE", "Prescott"),
            ("MKL_ENABLE_INSTRUCTIONS", "SSE4_2"),
            ("ONEDNN_MAX_CPU_ISA", "SSE41"),
            ("DNNL_MAX_CPU_ISA", "SSE41"),
            ("ATEN_CPU_CAPABILITY", "default"),
            ("XLA_FLAGS", "--xla_cpu_max_isa=SSE4_2"),
        ]),
        _ => {}
    }
    for (name, value) in variables {
        // SAFETY: the caller's promise.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Copies a function out of a library.
///
/// # Errors
/// Where there is no such symbol.
///
/// # Safety
/// `F` must be the function's type.
pub unsafe fn function<F: Copy>(library: &'static Library, name: &str) -> anyhow::Result<F> {
    // SAFETY: the caller's promise; the library stays loaded, so the copy stays valid.
    let symbol = unsafe { library.get::<F>(name.as_bytes()) };
    symbol.map(|symbol| *symbol).with_context(|| format!("no function {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_library_is_read_from_the_loaders_message() {
        let message = "libtbb.so.12: cannot open shared object file: No such file or directory";
        assert_eq!(missing_library(message), Some("libtbb.so.12"));
        assert_eq!(missing_library("invalid ELF header"), None);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(open(Path::new("libno_such_library_anywhere.so.7")).is_err());
    }
}
