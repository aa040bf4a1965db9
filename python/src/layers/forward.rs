//! The forward pass.

use super::parameters::{Parameters, Slices};
use super::{Layer, Layers};
use crate::arrays::{Filled, Rows};
use crate::errors::raise;
use fused_dense::{Bias, Error, Input, Outputs};
use pyo3::prelude::*;

/// All that a backward pass reads beside its arguments: the outputs of the layers but the last, and the pre-activations of
/// those layers that need them.
#[pyclass(frozen, module = "fused_dense._native")]
pub(crate) struct Saved {
    /// One for each layer but the last.
    pub(super) a: Vec<Vec<f32>>,
    /// One for each layer, empty where it is not needed.
    pub(super) z: Vec<Vec<f32>>,
    pub(super) batch: usize,
}

#[pymethods]
impl Layers {
    /// The output for x, and, if that is wanted, what a backward pass reads.
    ///
    /// parameters: weights and bias of each layer, one after the other; a bias may be None.
    fn forward<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        parameters: Vec<Bound<'py, PyAny>>,
        keep: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Saved>)> {
        let x = Rows::new("x", x, self.inputs)?;
        let parameters = self.parameters(&parameters)?;
        let slices: Vec<Slices<'_>> = parameters.iter().map(Parameters::slices).collect();
        let mut output = Filled::<f32>::new(py, x.leading(), Some(self.outputs()));
        let (batch, view, a) = (x.rows(), x.view(), output.as_slice_mut());
        let saved = py.detach(|| self.run(view.into(), batch, &slices, a, keep)).map_err(raise)?;
        Ok((output.into_array().into_any(), keep.then_some(saved)))
    }
}

impl Layers {
    pub(super) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.dense.outputs())
    }

    fn run(
        &self,
        x: Input<'_>,
        batch: usize,
        parameters: &[Slices<'_>],
        output: &mut [f32],
        keeps: bool,
    ) -> Result<Saved, Error> {
        let mut saved = Saved { a: Vec::new(), z: Vec::new(), batch };
        let last = self.layers.len() - 1;
        for (index, (layer, parameters)) in self.layers.iter().zip(parameters).enumerate() {
            let len = batch * layer.dense.outputs();
            let mut z = vec![0.0; if keeps && layer.needs_z() { len } else { 0 }];
            let mut a = vec![0.0; if index == last { 0 } else { len }];
            let place = if index == last { &mut *output } else { &mut a };
            layer.forward(saved.a.last().map_or(x, |a| Input::Slice(a)), *parameters, place, &mut z)?;
            if index < last {
                if !keeps {
                    saved.a.clear();
                }
                saved.a.push(a);
            }
            saved.z.push(z);
        }
        Ok(saved)
    }
}

impl Layer {
    fn forward(&self, a_prev: Input<'_>, parameters: Slices<'_>, a: &mut [f32], z: &mut [f32]) -> Result<(), Error> {
        let bias = parameters.b.map_or(Bias::None, Bias::from);
        let outputs = Outputs::new(a);
        let outputs = if z.is_empty() { outputs } else { outputs.z(z) };
        self.dense.forward_in(&mut self.workspaces.get(), a_prev, parameters.w.view(), bias, outputs)
    }
}
