//! The fast path of the estimators' predictions.

use super::finite::are_finite;
use super::precision::Precision;
use super::singles::{Sample, singles};
use crate::arrays::{Filled, Rows, Strided};
use crate::errors::raise;
use crate::network::{Core, Network};
use fused_dense::{Cost, Error, SUM_BLOCK};
use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Probabilities, or the outputs of a network with another cost, for the rows of a float32 or float64 array: in the array's
    /// type, or in double precision or not as the caller says. None where a value is NaN or infinite in single precision, where
    /// there are no rows, or where x is no such array.
    ///
    /// Probabilities in double precision are made of the last layer's z, which is in single: they add up to 1, and do not
    /// saturate before doubles do.
    #[pyo3(signature = (x, double = None))]
    fn _predict_rows<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        double: Option<bool>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(array) = x.cast::<PyUntypedArray>() else { return Ok(None) };
        if array.shape().len() != 2 || array.shape()[0] == 0 || array.shape()[1] != self.inputs() {
            return Ok(None);
        }
        match Precision::of(array) {
            Some(Precision::Single) => self.answer::<f32>(py, x, double.unwrap_or(false)),
            Some(Precision::Double) => self.answer::<f64>(py, x, double.unwrap_or(true)),
            None => Ok(None),
        }
    }
}

/// A type that probabilities come in.
trait Probability: Element + Copy + Default {
    /// The probabilities of samples, with room that is used again for the next ones.
    fn of(core: &Core, x: &[f32], p: &mut [Self], room: &mut Vec<f32>) -> Result<(), Error>;
}

impl Probability for f32 {
    fn of(core: &Core, x: &[f32], p: &mut [Self], _: &mut Vec<f32>) -> Result<(), Error> {
        core.predict_probabilities(x, p)
    }
}

impl Probability for f64 {
    fn of(core: &Core, x: &[f32], p: &mut [Self], room: &mut Vec<f32>) -> Result<(), Error> {
        room.resize(p.len(), 0.0);
        let cost = core.cost();
        match cost {
            Cost::SoftmaxCrossEntropy | Cost::BinaryCrossEntropy => core.predict_z(x, room)?,
            _ => core.predict(x, &mut *room)?,
        }
        for (p, &z) in p.iter_mut().zip(room.iter()) {
            *p = f64::from(z);
        }
        match cost {
            Cost::SoftmaxCrossEntropy => p.chunks_exact_mut(core.outputs().max(1)).for_each(softmax),
            Cost::BinaryCrossEntropy => p.iter_mut().for_each(|p| *p = 1.0 / (1.0 + (-*p).exp())),
            _ => {}
        }
        Ok(())
    }
}

fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in &mut *row {
        *value = (*value - largest).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}

impl Network {
    fn answer<'py, T: Sample>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        double: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let rows = Rows::<T>::new("x", x, self.inputs())?;
        if double { self.probabilities::<T, f64>(py, &rows) } else { self.probabilities::<T, f32>(py, &rows) }
    }

    fn probabilities<'py, T: Sample, P: Probability>(
        &self,
        py: Python<'py>,
        x: &Rows<'py, T>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let outputs = self.outputs();
        let mut found = Filled::<P>::new(py, x.leading(), Some(outputs));
        let (x, p) = (x.strided(), found.as_slice_mut());
        let is_finite = self.core.read(py, |core| predict(core, x, p, outputs))?.map_err(raise)?;
        Ok(is_finite.then(|| found.into_array().into_any()))
    }
}

/// Fills `p`, unless a value of `x` is not finite: returns whether all are.
fn predict<T: Sample, P: Probability>(
    core: &Core,
    x: Strided<'_, T>,
    p: &mut [P],
    outputs: usize,
) -> Result<bool, Error> {
    let (mut copy, mut room) = (Vec::new(), Vec::new());
    for start in (0..x.rows()).step_by(SUM_BLOCK) {
        let rows = start..x.rows().min(start + SUM_BLOCK);
        let p = &mut p[rows.start * outputs..rows.end * outputs];
        let values = singles(x, rows, &mut copy);
        if !are_finite(values) {
            return Ok(false);
        }
        P::of(core, values, p, &mut room)?;
    }
    Ok(true)
}
