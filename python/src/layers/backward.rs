//! The backward pass.

use super::{Layers, Saved};
use crate::arrays::{Filled, Rows, Strided, format_shape};
use crate::errors::raise;
use fused_dense::{Error, Gradients, Input, MatrixView, Upstream};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The gradients that are asked for, of one layer.
type Wanted<'py> = [Option<Filled<'py, f32>>; 2];

/// The places of one layer's gradients.
struct Places<'a> {
    d_w: Option<&'a mut [f32]>,
    d_b: Option<&'a mut [f32]>,
}

/// The operands of a pass.
struct Operands<'a> {
    saved: &'a Saved,
    x: MatrixView<'a>,
    /// The output of the forward pass, and the gradient by it.
    y: MatrixView<'a>,
    d_y: MatrixView<'a>,
    weights: &'a [Strided<'a>],
}

#[pymethods]
impl Layers {
    /// The gradients by x and by the weights and the bias of each layer, None for those that are not wanted.
    ///
    /// saved is what the forward pass kept for these x and weights, y its output, d_y the gradient by it; wanted says it for x
    /// and for the weights and the bias of each layer.
    #[allow(clippy::too_many_arguments)] // they are Python's
    fn backward<'py>(
        &self,
        py: Python<'py>,
        saved: &Bound<'py, Saved>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        d_y: &Bound<'py, PyAny>,
        weights: Vec<Bound<'py, PyAny>>,
        wanted: Vec<bool>,
    ) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let x = Rows::new("x", x, self.inputs)?;
        let (y, d_y) = (Rows::new("y", y, self.outputs())?, Rows::new("d_y", d_y, self.outputs())?);
        let saved = saved.get();
        self.check(saved, [("x", &x), ("y", &y), ("d_y", &d_y)], &wanted)?;
        let weights = self.weights(&weights)?;
        let strided: Vec<Strided<'_>> = weights.iter().map(Rows::strided).collect();
        let (mut d_x, mut gradients) = self.gradients(py, &x, &wanted);
        let mut places: Vec<Places<'_>> = gradients
            .iter_mut()
            .map(|[d_w, d_b]| Places {
                d_w: d_w.as_mut().map(Filled::as_slice_mut),
                d_b: d_b.as_mut().map(Filled::as_slice_mut),
            })
            .collect();
        let operands = Operands { saved, x: x.view(), y: y.view(), d_y: d_y.view(), weights: &strided };
        let place = d_x.as_mut().map(Filled::as_slice_mut);
        py.detach(|| self.descend(&operands, place, &mut places)).map_err(raise)?;
        let found = [d_x].into_iter().chain(gradients.into_iter().flatten());
        Ok(found.map(|array| array.map(|array| array.into_array().into_any())).collect())
    }
}

impl Layers {
    fn check(&self, saved: &Saved, rows: [(&str, &Rows<'_>); 3], wanted: &[bool]) -> PyResult<()> {
        let is_own = saved.z.len() == self.layers.len()
            && saved.a.iter().zip(&self.layers).all(|(a, layer)| a.len() == saved.batch * layer.dense.outputs())
            && saved
                .z
                .iter()
                .zip(&self.layers)
                .all(|(z, layer)| z.len() == if layer.needs_z() { saved.batch * layer.dense.outputs() } else { 0 });
        if !is_own {
            return Err(PyValueError::new_err(
                "saved: expected what a forward pass of these layers kept, found another",
            ));
        }
        for (name, rows) in rows {
            if rows.rows() != saved.batch {
                let found = format_shape(&[rows.leading(), &[rows.cols()]].concat());
                let expected = saved.batch;
                return Err(PyValueError::new_err(format!(
                    "{name}: expected {expected} rows, found the shape {found}"
                )));
            }
        }
        let expected = 2 * self.layers.len() + 1;
        if wanted.len() != expected {
            let found = wanted.len();
            return Err(PyValueError::new_err(format!("wanted: expected {expected} answers, found {found}")));
        }
        Ok(())
    }

    /// New arrays for the gradients that are wanted.
    fn gradients<'py>(
        &self,
        py: Python<'py>,
        x: &Rows<'py>,
        wanted: &[bool],
    ) -> (Option<Filled<'py, f32>>, Vec<Wanted<'py>>) {
        let d_x = wanted[0].then(|| Filled::new(py, x.leading(), Some(self.inputs)));
        let of_layer = |(layer, wanted): (&super::Layer, &[bool])| {
            let (inputs, outputs) = (layer.dense.inputs(), layer.dense.outputs());
            [
                wanted[0].then(|| Filled::new(py, &[outputs, inputs], None)),
                wanted[1].then(|| Filled::new(py, &[outputs], None)),
            ]
        };
        (d_x, self.layers.iter().zip(wanted[1..].chunks_exact(2)).map(of_layer).collect())
    }

    /// From the last layer down to the lowest that anything is wanted of.
    fn descend(
        &self,
        operands: &Operands<'_>,
        mut d_x: Option<&mut [f32]>,
        places: &mut [Places<'_>],
    ) -> Result<(), Error> {
        let lowest = match &d_x {
            Some(_) => 0,
            None => match places.iter().position(|places| places.d_w.is_some() || places.d_b.is_some()) {
                Some(lowest) => lowest,
                None => return Ok(()),
            },
        };
        let Operands { saved, x, y, d_y, weights } = *operands;
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for index in (lowest..self.layers.len()).rev() {
            let layer = &self.layers[index];
            let a_prev = if index == 0 { Input::View(x) } else { Input::Slice(&saved.a[index - 1]) };
            let is_last = index + 1 == self.layers.len();
            let of_layer = match (layer.needs_z(), is_last) {
                (true, _) => fused_dense::Saved::z(&saved.z[index]),
                (false, true) => fused_dense::Saved::from(y),
                (false, false) => fused_dense::Saved::from(&saved.a[index]),
            };
            let upstream = if is_last { Input::View(d_y) } else { Input::Slice(&above) };
            let Places { d_w, d_b } = &mut places[index];
            let gradients = d_w.as_deref_mut().into_iter().fold(Gradients::new(), Gradients::w);
            let gradients = d_b.as_deref_mut().into_iter().fold(gradients, Gradients::b);
            let gradients = if index > lowest {
                below.resize(saved.batch * layer.dense.inputs(), 0.0);
                gradients.a_prev(&mut below)
            } else if index == 0 {
                d_x.as_deref_mut().into_iter().fold(gradients, Gradients::a_prev)
            } else {
                gradients
            };
            let workspace = &mut layer.workspaces.get();
            let w = weights[index].view();
            layer.dense.backward_in(workspace, a_prev, w, of_layer, Upstream::Activation(upstream), gradients)?;
            std::mem::swap(&mut above, &mut below);
        }
        Ok(())
    }
}
