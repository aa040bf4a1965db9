//! Layers without parameters of their own, for `fused_dense.torch`: the caller hands over all that a pass reads.

mod backward;
mod forward;
mod parameters;

use crate::errors::raise;
use crate::settings;
use crate::teams::team;
use fused_dense::{Activation, Dense, Summation, WorkspacePool};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

pub(crate) use forward::Saved;

/// Dense layers in a chain, which keep nothing between two calls: several threads may use them at once.
#[pyclass(frozen, module = "fused_dense._native")]
pub(crate) struct Layers {
    inputs: usize,
    layers: Vec<Layer>,
    threads: usize,
    summation: Summation,
}

struct Layer {
    dense: Dense,
    /// For each thread that is at work on this layer, with the plans of its last calls.
    workspaces: WorkspacePool,
}

impl Layer {
    /// Whether the backward pass asks for the pre-activation, rather than for the output.
    fn needs_z(&self) -> bool {
        self.dense.activation().needs_z()
    }
}

#[pymethods]
impl Layers {
    #[new]
    #[pyo3(signature = (inputs, layers, *, threads, summation))]
    fn new(
        inputs: &Bound<'_, PyAny>,
        layers: &Bound<'_, PyAny>,
        threads: &Bound<'_, PyAny>,
        summation: &str,
    ) -> PyResult<Self> {
        let inputs = settings::count("inputs", inputs, 1)?;
        let threads = settings::threads(threads)?;
        let summation = settings::summation(summation)?;
        let (mut below, mut chain) = (inputs, Vec::new());
        for (outputs, activation) in settings::layers(layers)? {
            let dense = Dense::new(below, outputs, activation).with_summation(summation).with_threads(team(threads));
            let workspaces = WorkspacePool::new(&dense).map_err(raise)?;
            chain.push(Layer { dense, workspaces });
            below = outputs;
        }
        if chain.is_empty() {
            return Err(PyValueError::new_err("layers: expected at least one, found none"));
        }
        Ok(Self { inputs, layers: chain, threads, summation })
    }

    /// Values of a sample.
    #[getter]
    fn inputs(&self) -> usize {
        self.inputs
    }

    /// The threads that the work may run on.
    #[getter]
    fn threads(&self) -> usize {
        self.threads
    }

    /// The number of outputs and the activation of each layer.
    #[getter]
    fn layers(&self) -> Vec<(usize, String)> {
        self.layers.iter().map(|Layer { dense, .. }| (dense.outputs(), dense.activation().to_string())).collect()
    }

    /// Whether each layer has an activation other than the identity.
    #[getter]
    fn activates(&self) -> Vec<bool> {
        self.layers.iter().map(|Layer { dense, .. }| dense.activation() != Activation::Identity).collect()
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let keywords = PyDict::new(py);
        keywords.set_item("threads", self.threads)?;
        keywords.set_item("summation", settings::summation_name(self.summation))?;
        Ok(((self.inputs, self.layers()).into_pyobject(py)?, keywords))
    }
}
