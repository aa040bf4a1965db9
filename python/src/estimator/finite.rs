//! Whether numbers are finite.

use crate::arrays::Values;
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

/// Whether all elements of a float64 array are finite when they are rounded to single precision.
#[pyfunction]
pub(crate) fn _are_finite_singles(py: Python<'_>, x: &Bound<'_, PyAny>) -> PyResult<bool> {
    let values = Values::<f64>::new("x", x)?;
    let values = values.as_slice();
    Ok(py.detach(|| values.iter().fold(true, |all, &value| all & (value as f32).is_finite())))
}
