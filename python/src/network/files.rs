//! Networks kept in files.

use super::{Core, Network};
use crate::errors::raise_file;
use pyo3::prelude::*;
use std::path::PathBuf;

#[pymethods]
impl Network {
    /// Writes the parameters to a safetensors file, as PyTorch does those of a Sequential.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.core.read(py, |core| core.save(path))?.map_err(raise_file)
    }

    /// Reads the parameters from a safetensors file; nothing changes where they do not fit.
    fn load(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.core.write(py, |core| core.load(path))?.map_err(raise_file)
    }

    /// Writes all that training goes on from: parameters, the optimiser's settings and arrays, steps and epoch.
    fn save_checkpoint(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.core.read(py, |core| core.save_checkpoint(path))?.map_err(raise_file)
    }

    /// Reads what save_checkpoint wrote, into a network of the same layers and the same kind of optimiser.
    fn load_checkpoint(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.core.write(py, |core: &mut Core| core.load_checkpoint(path))?.map_err(raise_file)
    }
}
