//! The arrays that a pass reads.

use super::{Layer, Layers};
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
        expect_arrays("parameters", 2 * self.layers.len(), arrays)?;
        let of_layer = |(layer, arrays): (&Layer, &[Bound<'py, PyAny>])| {
            let w = weight(layer, &arrays[0])?;
            let b = if arrays[1].is_none() { None } else { Some(Values::new("bias", &arrays[1])?) };
            if let Some(b) = &b {
                b.expect_shape("bias", &[layer.dense.outputs()])?;
            }
            Ok(Parameters { w, b })
        };
        self.layers.iter().zip(arrays.chunks_exact(2)).map(of_layer).collect()
    }

    /// The weights of each layer.
    pub(super) fn weights<'py>(&self, arrays: &[Bound<'py, PyAny>]) -> PyResult<Vec<Rows<'py>>> {
        expect_arrays("weights", self.layers.len(), arrays)?;
        self.layers.iter().zip(arrays).map(|(layer, array)| weight(layer, array)).collect()
    }
}

fn expect_arrays(name: &str, expected: usize, arrays: &[Bound<'_, PyAny>]) -> PyResult<()> {
    if arrays.len() == expected {
        return Ok(());
    }
    let found = arrays.len();
    Err(PyValueError::new_err(format!("{name}: expected {expected} arrays, found {found}")))
}

fn weight<'py>(layer: &Layer, array: &Bound<'py, PyAny>) -> PyResult<Rows<'py>> {
    let (inputs, outputs) = (layer.dense.inputs(), layer.dense.outputs());
    let w = Rows::new("weight", array, inputs)?;
    if w.leading() == [outputs] {
        return Ok(w);
    }
    let (expected, found) = (format_shape(&[outputs, inputs]), format_shape(&[w.leading(), &[inputs]].concat()));
    Err(PyValueError::new_err(format!("weight: expected an array of shape {expected}, found {found}")))
}
