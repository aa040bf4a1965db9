//! The optimiser of an estimator: its schedule and its restart.

use crate::errors::raise;
use crate::network::{Core, Network};
use crate::optimizer;
use fused_dense::{Error, Optimizer, Sgd};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Goes on with gradient descent of these settings. scikit-learn's velocity holds the learning rate: where that changes, ours
    /// is divided by as much.
    ///
    /// The network descends by Sgd, with a momentum of 0 before and after or not.
    fn _set_sgd(&self, py: Python<'_>, learning_rate: f32, momentum: f32, nesterov: bool) -> PyResult<()> {
        let sgd = Sgd::new(learning_rate).momentum(momentum);
        let sgd = if nesterov && momentum > 0.0 { sgd.nesterov() } else { sgd };
        self.core.write(py, |core| set_sgd(core, sgd))?.map_err(raise)
    }

    /// Begins anew with an optimiser of any kind: its arrays are zero, no step is taken, the parameters stay.
    fn _restart(&self, py: Python<'_>, optimizer: &Bound<'_, PyAny>) -> PyResult<()> {
        let optimizer = optimizer::read(optimizer)?;
        self.core.write(py, |core| self.restart(core, optimizer))?.map_err(raise)
    }
}

impl Network {
    fn restart(&self, core: &mut Core, optimizer: Optimizer) -> Result<(), Error> {
        if core.optimizer().state_arrays() == optimizer.state_arrays() {
            core.set_optimizer(optimizer)?;
            for layer in core.layers_mut() {
                layer.optimizer_state_mut().flatten().for_each(|array| array.fill(0.0));
            }
        } else {
            let mut anew = self.recipe.build(optimizer)?;
            for (to, from) in anew.layers_mut().iter_mut().zip(core.layers()) {
                to.w_mut().copy_from_slice(from.w());
                to.b_mut().copy_from_slice(from.b());
            }
            *core = anew;
        }
        core.set_steps(0);
        Ok(())
    }
}

fn set_sgd(core: &mut Core, sgd: Sgd) -> Result<(), Error> {
    let before = core.optimizer().learning_rate();
    core.set_optimizer(sgd)?;
    let factor = before / sgd.learning_rate;
    if factor != 1.0 && factor.is_finite() {
        for layer in core.layers_mut() {
            for array in layer.optimizer_state_mut().flatten() {
                array.iter_mut().for_each(|v| *v *= factor);
            }
        }
    }
    Ok(())
}
