//! The native half of the Python package: networks of `fused-dense` over numpy's arrays.

mod arrays;
mod errors;
mod estimator;
mod layers;
mod network;
mod optimizer;
mod settings;
mod shared;
mod targets;
mod teams;

use pyo3::prelude::*;

/// Networks of fused dense layers over numpy's arrays.
#[pymodule(name = "_native")]
mod native {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    #[pymodule_export]
    use crate::errors::DivergenceError;
    #[pymodule_export]
    use crate::estimator::_are_finite_singles;
    #[pymodule_export]
    use crate::layers::{Layers, Saved};
    #[pymodule_export]
    use crate::network::Network;
    #[pymodule_export]
    use crate::network::state::Snapshot;
    #[pymodule_export]
    use crate::optimizer::{Adam, Sgd};
}
