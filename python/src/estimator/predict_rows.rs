//! The fast path of the estimators' predictions.

use crate::arrays::{Filled, Rows, Strided};
use crate::errors::raise;
use crate::network::{Core, Network};
use fused_dense::{Error, SUM_BLOCK};
use numpy::{Element, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

#[pymethods]
impl Network {
    /// Probabilities, or the outputs of a network with another cost, for the rows of a float32 or float64 array: an array of the
    /// same type. None where a value is NaN or infinite in single precision, or where x is no such array.
    fn _predict_rows<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(array) = x.cast::<PyUntypedArray>() else { return Ok(None) };
        if array.shape().len() != 2 || array.shape()[1] != self.inputs() {
            return Ok(None);
        }
        let dtype = array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'f', 4) => self.probabilities::<f32>(py, &Rows::new("x", x, self.inputs())?),
            (b'f', 8) => self.probabilities::<f64>(py, &Rows::new("x", x, self.inputs())?),
            _ => Ok(None),
        }
    }
}

/// A type that samples and predictions come in.
trait Real: Element + Copy {
    fn to_single(self) -> f32;

    /// The same memory, where it is in single precision.
    fn singles(values: &[Self]) -> Option<&[f32]>;

    /// Has probabilities in single precision made, and puts them into their place.
    fn put<E>(
        places: &mut [Self],
        room: &mut Vec<f32>,
        make: impl FnOnce(&mut [f32]) -> Result<(), E>,
    ) -> Result<(), E>;
}

impl Real for f32 {
    fn to_single(self) -> f32 {
        self
    }

    fn singles(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }

    fn put<E>(places: &mut [Self], _: &mut Vec<f32>, make: impl FnOnce(&mut [f32]) -> Result<(), E>) -> Result<(), E> {
        make(places)
    }
}

impl Real for f64 {
    fn to_single(self) -> f32 {
        self as f32
    }

    fn singles(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn put<E>(
        places: &mut [Self],
        room: &mut Vec<f32>,
        make: impl FnOnce(&mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        room.resize(places.len(), 0.0);
        make(room)?;
        places.iter_mut().zip(room).for_each(|(place, single)| *place = f64::from(*single));
        Ok(())
    }
}

impl Network {
    fn probabilities<'py, T: Real>(&self, py: Python<'py>, x: &Rows<'py, T>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let outputs = self.outputs();
        let mut found = Filled::<T>::new(py, x.leading(), Some(outputs));
        let (x, p) = (x.strided(), found.as_slice_mut());
        let is_finite = self.core.read(py, |core| predict(core, x, p, outputs))?.map_err(raise)?;
        Ok(is_finite.then(|| found.into_array().into_any()))
    }
}

/// Fills `p`, unless a value of `x` is not finite: returns whether all are.
fn predict<T: Real>(core: &Core, x: Strided<'_, T>, p: &mut [T], outputs: usize) -> Result<bool, Error> {
    let (mut copy, mut room) = (Vec::new(), Vec::new());
    for start in (0..x.rows()).step_by(SUM_BLOCK) {
        let rows = start..x.rows().min(start + SUM_BLOCK);
        let p = &mut p[rows.start * outputs..rows.end * outputs];
        let values = match x.dense(rows.clone()).and_then(T::singles) {
            Some(values) => values,
            None => {
                copy.clear();
                x.each(rows, |value| copy.push(value.to_single()));
                &copy
            }
        };
        // Without an end at the first one, which would keep the loop from being one over vectors.
        if !values.iter().fold(true, |all, value| all & value.is_finite()) {
            return Ok(false);
        }
        T::put(p, &mut room, |p| core.predict_probabilities(values, p))?;
    }
    Ok(true)
}
