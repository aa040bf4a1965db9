//! The guard of a step: whether all its gradients are finite, before any parameter is touched.

use super::Network;
use crate::error::{Error, Operand};
use crate::matrix::Input;

/// The answer that sizes alone give.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every gradient is finite.
    Finite,
    /// All operands are finite, but a sum of their products could overflow.
    MayOverflow,
}

impl Network {
    /// Looks at every layer's input, and finds the largest value of each.
    ///
    /// In the order in which the pass went, so that the error names the first layer that went wrong; a layer's output is the
    /// input of the one behind it.
    pub(super) fn look_at_inputs(&mut self, x: Input<'_>, batch: usize) -> Result<(), Error> {
        let mut a_prev = (x, None);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let (input, below) = a_prev;
            layer.largest_input = match (below, self.largest_of_data) {
                (None, Some(largest)) => largest,
                _ => layer.dense.largest(input, batch, self.places[index].0)?,
            };
            if !layer.largest_input.is_finite() {
                let operand = if below.is_none() { Operand::X } else { Operand::A };
                return Err(Error::NotFinite { layer: below, operand });
            }
            a_prev = (Input::Slice(&layer.a[..batch * self.places[index].1]), Some(index));
        }
        Ok(())
    }

    /// Looks at every layer's `dz`, from the last to the first.
    ///
    /// A sum over the batch of products `dz · a_prev` is at most `m · max |dz| · max |a_prev|` in exact numbers; half the
    /// range is left to rounding.
    pub(super) fn verdict(&self, batch: usize, scale: f32) -> Result<Verdict, Error> {
        let mut verdict = Verdict::Finite;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let d_z = Input::Slice(&layer.d_z[..layer.output_len(batch)]);
            let d_z = layer.dense.largest(d_z, batch, self.places[index].1)?;
            if !d_z.is_finite() {
                return Err(Error::NotFinite { layer: Some(index), operand: Operand::DZ });
            }
            // `db` has factors of 1 in the place of inputs, and a scale above 1 makes what it multiplies larger.
            let factors = [d_z, layer.largest_input.max(1.0), scale.abs().max(1.0)].map(f64::from);
            if factors.iter().product::<f64>() * batch as f64 >= f64::from(f32::MAX) / 2.0 {
                verdict = Verdict::MayOverflow;
            }
        }
        Ok(verdict)
    }

    /// Looks at the gradients themselves.
    pub(super) fn check_gradients(&self) -> Result<(), Error> {
        for (index, layer) in self.layers.iter().enumerate() {
            for (gradient, operand) in [(&layer.d_w, Operand::DW), (&layer.d_b, Operand::DB)] {
                let largest = layer.dense.largest(Input::Slice(gradient), 1, gradient.len())?;
                if !largest.is_finite() {
                    return Err(Error::NotFinite { layer: Some(index), operand });
                }
            }
        }
        Ok(())
    }
}
