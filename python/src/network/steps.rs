//! Steps and gradients of one batch.

use super::Network;
use crate::arrays::{Filled, Rows};
use crate::errors::raise;
use crate::targets::TargetArrays;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// The gradients by the weights and by the bias of each layer, or these themselves.
pub(crate) type Pairs<'py> = Bound<'py, PyList>;

#[pymethods]
impl Network {
    /// One step of the optimiser along the gradients of the batch's cost: returns that cost, before the step.
    #[pyo3(signature = (x, targets, sample_weight = None))]
    fn step(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        targets: &Bound<'_, PyAny>,
        sample_weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<f64> {
        let (x, targets) = self.batch(x, targets, sample_weight)?;
        let (x, targets) = (x.view(), targets.targets());
        self.core.write(py, |core| core.step(x, targets))?.map_err(raise)
    }

    /// The cost of the batch, and its gradients by the weights and the bias of each layer.
    #[pyo3(signature = (x, targets, sample_weight = None))]
    fn gradients<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(f64, Pairs<'py>)> {
        let (x, targets) = self.batch(x, targets, sample_weight)?;
        let (x, targets) = (x.view(), targets.targets());
        let mut found = self.layer_arrays(py);
        let mut places = slices(&mut found);
        let cost = self.core.write(py, |core| {
            let cost = core.gradients(x, targets)?;
            for (layer, (d_w, d_b)) in core.layers().iter().zip(&mut places) {
                d_w.copy_from_slice(layer.d_w());
                d_b.copy_from_slice(layer.d_b());
            }
            Ok(cost)
        })?;
        Ok((cost.map_err(raise)?, pairs(py, found)?))
    }

    /// The network's output for a batch of up to max_batch samples, as a step sees it.
    #[pyo3(signature = (x, out = None))]
    fn forward<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut x = Rows::new("x", x, self.inputs())?;
        let mut found = Filled::output(&mut x, self.outputs(), out)?;
        let (x, a) = (x.view(), found.as_slice_mut());
        self.core.write(py, |core| core.forward(x).map(|output| a.copy_from_slice(output)))?.map_err(raise)?;
        Ok(found.into_array().into_any())
    }
}

impl Network {
    fn batch<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Rows<'py>, TargetArrays<'py>)> {
        let x = Rows::new("x", x, self.inputs())?;
        let targets = TargetArrays::new(targets, sample_weight, x.leading(), self.outputs())?;
        Ok((x, targets))
    }

    /// New arrays of the shapes of each layer's weights and bias.
    pub(crate) fn layer_arrays<'py>(&self, py: Python<'py>) -> Vec<[Filled<'py, f32>; 2]> {
        let mut inputs = self.inputs();
        let of_layer = |&(outputs, _): &(usize, _)| {
            let shape = [outputs, std::mem::replace(&mut inputs, outputs)];
            [Filled::new(py, &shape, None), Filled::new(py, &[outputs], None)]
        };
        self.recipe.layers.iter().map(of_layer).collect()
    }
}

/// Each layer's two arrays, to be filled.
pub(crate) fn slices<'f>(arrays: &'f mut [[Filled<'_, f32>; 2]]) -> Vec<(&'f mut [f32], &'f mut [f32])> {
    arrays.iter_mut().map(|[w, b]| (w.as_slice_mut(), b.as_slice_mut())).collect()
}

/// A list of pairs of arrays.
pub(crate) fn pairs<'py>(py: Python<'py>, arrays: Vec<[Filled<'py, f32>; 2]>) -> PyResult<Pairs<'py>> {
    PyList::new(py, arrays.into_iter().map(|[w, b]| (w.into_array(), b.into_array())))
}
