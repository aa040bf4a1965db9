//! Parameters and the optimiser's arrays, copied out of a network and into it.

use super::steps::{Pairs, pairs, slices};
use super::{Core, Network};
use crate::arrays::{Rows, Values, format_shape};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The parameters of a network at one moment.
#[pyclass(frozen, module = "fused_dense")]
pub(crate) struct Snapshot(Vec<Box<[f32]>>);

/// The weights and the bias of a layer, at the strides of the caller's arrays.
type Given<'py> = (Rows<'py>, Values<'py, f32>);

#[pymethods]
impl Network {
    /// Copies of each layer's weights, outputs × inputs, and bias.
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Pairs<'py>> {
        let mut found = self.layer_arrays(py);
        let mut places = slices(&mut found);
        self.core.read(py, |core| {
            for (layer, (w, b)) in core.layers().iter().zip(&mut places) {
                w.copy_from_slice(layer.w());
                b.copy_from_slice(layer.b());
            }
        })?;
        pairs(py, found)
    }

    /// Copies of one layer's weights, outputs × inputs, and bias.
    fn weights<'py>(&self, py: Python<'py>, layer: isize) -> PyResult<Bound<'py, PyAny>> {
        let count = self.recipe.layers.len();
        let index = if layer < 0 { layer + count as isize } else { layer };
        let index = usize::try_from(index).ok().filter(|&index| index < count);
        let index =
            index.ok_or_else(|| PyIndexError::new_err(format!("layer: expected one of {count}, found {layer}")))?;
        self.parameters(py)?.get_item(index)
    }

    /// Sets each layer's weights, outputs × inputs, and bias; nothing changes where one does not fit.
    fn set_parameters(&self, py: Python<'_>, parameters: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = self.given(parameters)?;
        let given: Vec<_> = given.iter().map(|(w, b)| (w.strided(), b.as_slice())).collect();
        self.core.write(py, |core| {
            for (layer, (w, b)) in core.layers_mut().iter_mut().zip(given) {
                let mut places = layer.w_mut().iter_mut();
                w.each(0..w.rows(), |value| places.by_ref().take(1).for_each(|place| *place = *value));
                layer.b_mut().copy_from_slice(b);
            }
        })
    }

    /// The parameters as they are now, for _restore.
    fn _snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        let copy = |core: &Core| core.layers().iter().flat_map(|layer| [layer.w().into(), layer.b().into()]).collect();
        self.core.read(py, copy).map(Snapshot)
    }

    /// Goes back to the parameters of a snapshot of this network, or of one with the same layers.
    fn _restore(&self, py: Python<'_>, snapshot: &Bound<'_, Snapshot>) -> PyResult<()> {
        let kept = &snapshot.get().0;
        let fits = self.core.write(py, |core| {
            let lengths = core.layers().iter().flat_map(|layer| [layer.w().len(), layer.b().len()]);
            let fits = lengths.eq(kept.iter().map(|array| array.len()));
            if fits {
                for (layer, kept) in core.layers_mut().iter_mut().zip(kept.chunks_exact(2)) {
                    layer.w_mut().copy_from_slice(&kept[0]);
                    layer.b_mut().copy_from_slice(&kept[1]);
                }
            }
            fits
        })?;
        if fits { Ok(()) } else { Err(PyValueError::new_err("snapshot: expected one of a network with these layers")) }
    }
}

impl Network {
    /// Parameters that fit the layers.
    fn given<'py>(&self, parameters: &Bound<'py, PyAny>) -> PyResult<Vec<Given<'py>>> {
        let layers = &self.recipe.layers;
        let found: Vec<Bound<'py, PyAny>> = parameters.try_iter()?.collect::<PyResult<_>>()?;
        if found.len() != layers.len() {
            let (expected, found) = (layers.len(), found.len());
            return Err(PyValueError::new_err(format!("parameters: expected {expected} layers, found {found}")));
        }
        let mut inputs = self.inputs();
        let mut given = Vec::with_capacity(found.len());
        for (index, (pair, &(outputs, _))) in found.iter().zip(layers).enumerate() {
            let [w, b] = &pair.try_iter()?.collect::<PyResult<Vec<_>>>()?[..] else {
                return Err(PyTypeError::new_err(format!("parameters: expected weights and bias of layer {index}")));
            };
            given.push(layer(w, b, index, [outputs, inputs])?);
            inputs = outputs;
        }
        Ok(given)
    }
}

/// The weights and the bias of one layer, if they have its shape.
fn layer<'py>(
    w: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    index: usize,
    shape @ [outputs, inputs]: [usize; 2],
) -> PyResult<Given<'py>> {
    let (name_w, name_b) = (format!("weights of layer {index}"), format!("bias of layer {index}"));
    let w = Rows::new(&name_w, w, inputs)?;
    if w.leading() != [outputs] {
        let (expected, found) = (format_shape(&shape), format_shape(&[w.leading(), &[w.cols()]].concat()));
        return Err(PyValueError::new_err(format!("{name_w}: expected an array of shape {expected}, found {found}")));
    }
    let b = Values::new(&name_b, b)?;
    b.expect_shape(&name_b, &[outputs])?;
    Ok((w, b))
}
