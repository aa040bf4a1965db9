//! Whether numbers are finite.

use crate::network::{Core, Network};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Whether all parameters are: a step whose gradients are finite may still leave the range of single precision.
    fn _is_finite(&self, py: Python<'_>) -> PyResult<bool> {
        self.core.read(py, has_finite_parameters)
    }
}

pub(super) fn has_finite_parameters(core: &Core) -> bool {
    core.layers().iter().all(|layer| are_finite(layer.w()) && are_finite(layer.b()))
}

/// Without an end at the first one that is not, which would keep the loop from being one over vectors.
pub(super) fn are_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, value| all & value.is_finite())
}
