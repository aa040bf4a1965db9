//! Epochs for the stochastic solvers.

use super::data::Data;
use super::epoch::Epoch;
use super::loss::Loss;
use crate::arrays::Values;
use crate::network::Network;
use crate::settings::count;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Trains as scikit-learn's stochastic solvers do, epoch by epoch: returns False where Ctrl-C ended it.
    ///
    /// x: float32 or float64, C-contiguous, or the parts (data, indices, indptr, shape) of a CSR matrix. targets: int64 classes, or
    /// float32 samples × outputs. A step's weight decay is alpha / Σ s of its batch.
    ///
    /// next_order(loss) is called before each epoch with the mean loss of the one before, None at first; it returns the
    /// samples' order as an intp array, or None to end. It may call any method of this network.
    ///
    /// The loss has the penalty 0.5 · alpha · Σ w² / Σ s, where Σ w² is taken at each step of an epoch of up to 64 batches, else
    /// at 64 of them, evenly spaced.
    #[pyo3(signature = (x, targets, sample_weight, batch, alpha, loss, next_order))]
    #[allow(clippy::too_many_arguments)] // they are Python's
    fn _train(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        targets: &Bound<'_, PyAny>,
        sample_weight: Option<&Bound<'_, PyAny>>,
        batch: &Bound<'_, PyAny>,
        alpha: f64,
        loss: &str,
        next_order: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let loss = Loss::read(loss)?;
        let batch = self.batch_size(batch)?;
        check_alpha(alpha)?;
        let data = Data::new(self, x, targets, sample_weight, loss)?;
        let epoch = Epoch::new(data.samples(py, self)?, data.counts(self, loss), loss, batch, alpha);
        match self.epochs(py, epoch, next_order) {
            Ok(()) => Ok(true),
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Network {
    fn epochs(&self, py: Python<'_>, mut epoch: Epoch<'_>, next_order: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut loss = None;
        loop {
            let order = next_order.call1((loss,))?;
            if order.is_none() {
                return Ok(());
            }
            epoch.begin(Values::<isize>::new("order", &order)?.as_slice())?;
            self.in_stretches(py, |core| epoch.step(core))?;
            loss = Some(epoch.mean());
        }
    }

    /// A number of samples that a step takes at once.
    pub(crate) fn batch_size(&self, batch: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (batch, most) = (count("batch", batch, 1)?, self.recipe.max_batch);
        if batch <= most {
            return Ok(batch);
        }
        Err(PyValueError::new_err(format!("batch: expected at most max_batch, which is {most}, found {batch}")))
    }
}

pub(super) fn check_alpha(alpha: f64) -> PyResult<()> {
    if (0.0..=f64::from(f32::MAX)).contains(&alpha) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("alpha: expected a finite number from 0 on, found {alpha}")))
}
