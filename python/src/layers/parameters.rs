//! The arrays that a pass reads.

use super::Layers;
use crate::arrays::{Rows, Strided, Values, format_shape};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A layer's weights, outputs × inputs at any strides, and its bias, if it has one.
pub(super) struct Parameters<'py> {
    w: Rows<'py>,
    b: Option<Values<'py, f32>>,
}

/// The same for code without the interpreter's lock.
#[derive(Clone, Copy)]
pub(super) struct Slices<'a> {
    pub(super) w: Strided<'a>,
    pub(super) b: Option<&'a [f32]>,
}

impl Parameters<'_> {
    pub(super) fn slices(&self) -> Slices<'_> {
        Slices { w: self.w.strided(), b: self.b.as_ref().map(Values::as_slice) }
    }
}

impl Layers {
    /// Weights and bias of each layer, one after the other in a sequence.
    pub(super) fn parameters<'py>(&self, arrays: &[Bound<'py, PyAny>]) -> PyResult<Vec<Parameters<'py>>> {
        let (expected, found) = (2 * self.layers.len(), arrays.len());
        if expected != found {
            return Err(PyValueError::new_err(format!("parameters: expected {expected} arrays, found {found}")));
        }
        let of_layer = |(layer, arrays): (&super::Layer, &[Bound<'py, PyAny>])| {
            let (inputs, outputs) = (layer.dense.inputs(), layer.dense.outputs());
            let w = Rows::new("weight", &arrays[0], inputs)?;
            if w.leading() != [outputs] {
                let (expected, found) =
                    (format_shape(&[outputs, inputs]), format_shape(&[w.leading(), &[inputs]].concat()));
                return Err(PyValueError::new_err(format!(
                    "weight: expected an array of shape {expected}, found {found}"
                )));
            }
            let b = if arrays[1].is_none() { None } else { Some(Values::new("bias", &arrays[1])?) };
            if let Some(b) = &b {
                b.expect_shape("bias", &[outputs])?;
            }
            Ok(Parameters { w, b })
        };
        self.layers.iter().zip(arrays.chunks_exact(2)).map(of_layer).collect()
    }
}
