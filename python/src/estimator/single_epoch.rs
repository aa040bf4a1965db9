//! One epoch in one call, for small batches: what Python would do around it takes longer than a step.

use super::epoch::Epoch;
use super::finite::has_finite_parameters;
use super::loss::Loss;
use super::precision::Precision;
use super::singles::{Sample, singles};
use super::train::check_alpha;
use crate::arrays::{Rows, Values};
use crate::errors::{DivergenceError, raise};
use crate::network::Network;
use crate::targets::TargetArrays;
use fused_dense::Samples;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Trains for one epoch as _train does, by the network's cost and without weights, and returns the mean loss.
    ///
    /// x: a float32 or float64 array at any strides. None, and nothing has changed, where x or the targets are not finite in
    /// single precision, a class is none, or an array does not fit: the caller then says what is wrong.
    #[pyo3(signature = (x, targets, batch, alpha, order))]
    fn _epoch(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        targets: &Bound<'_, PyAny>,
        batch: &Bound<'_, PyAny>,
        alpha: f64,
        order: &Bound<'_, PyAny>,
    ) -> PyResult<Option<f64>> {
        let Ok(array) = x.cast::<PyUntypedArray>() else { return Ok(None) };
        let batch = self.batch_size(batch)?;
        check_alpha(alpha)?;
        let [samples, _] = *array.shape() else { return Ok(None) };
        let Ok(targets) = TargetArrays::new(targets, None, &[samples], self.outputs()) else { return Ok(None) };
        let order = Values::<isize>::new("order", order)?;
        let settings = (batch, alpha, order.as_slice());
        match Precision::of(array) {
            Some(Precision::Single) => self.single_epoch::<f32>(py, x, &targets, settings),
            Some(Precision::Double) => self.single_epoch::<f64>(py, x, &targets, settings),
            None => Ok(None),
        }
    }
}

impl Network {
    fn single_epoch<T: Sample>(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        targets: &TargetArrays<'_>,
        (batch, alpha, order): (usize, f64, &[isize]),
    ) -> PyResult<Option<f64>> {
        let Ok(rows) = Rows::<T>::new("x", x, self.inputs()) else { return Ok(None) };
        let (rows, targets) = (rows.strided(), targets.targets());
        let (loss, is_finite) = self.core.write(py, |core| {
            let mut copy = Vec::new();
            let x = singles(rows, 0..rows.rows(), &mut copy);
            let Ok(samples) = Samples::new(core, x, targets) else { return Ok((None, true)) };
            let mut epoch = Epoch::new(samples, None, Loss::Own, batch, alpha);
            epoch.begin(order)?;
            while !epoch.step(core).map_err(raise)? {}
            Ok::<_, PyErr>((Some(epoch.mean()), has_finite_parameters(core)))
        })??;
        if is_finite { Ok(loss) } else { Err(DivergenceError::new_err("parameters are no longer finite")) }
    }
}
