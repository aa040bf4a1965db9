//! The guard of a step: whether all its gradients are finite, before any parameter is touched.

#[cfg(test)]
mod tests;

use super::Network;
use super::layer::Layer;
use super::passes::Above;
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
    /// Looks at every layer's input, and finds the largest value of each; the cost has been found to be finite.
    ///
    /// In the order in which the pass went, so that the error names the first layer that went wrong; a layer's output is the
    /// input of the one behind it. Outputs that cannot be large are not looked at where the cost is made of all of the last layer's:
    /// a NaN that a layer puts out stays NaN in all layers behind, and in that cost.
    pub(super) fn look_at_inputs(&mut self, x: Input<'_>, batch: usize, top: Above<'_>) -> Result<(), Error> {
        let shows_nan = matches!(top, Above::Targets(_));
        let (mut a_prev, mut known) = ((x, None), self.largest_of_data);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let (input, below) = a_prev;
            layer.largest_input = match known {
                Some(largest) => largest,
                None => layer.dense.largest(input, batch, self.places[index].0)?,
            };
            if !layer.largest_input.is_finite() {
                let operand = if below.is_none() { Operand::X } else { Operand::A };
                return Err(Error::NotFinite { layer: below, operand });
            }
            a_prev = (Input::Slice(&layer.a[..batch * self.places[index].1]), Some(index));
            known = layer.dense.activation().largest().filter(|_| shows_nan);
        }
        Ok(())
    }

    /// Whether the gradient on top, the weights, and the inputs that were looked at are so small that no gradient of any layer
    /// can overflow: then none has to be made before the first parameter is touched.
    pub(super) fn gradients_are_bounded(&mut self, batch: usize, top: Above<'_>, scale: f32) -> Result<bool, Error> {
        let on_top = self.largest_dz_on_top(batch, top)?;
        if self.bounds_suffice(on_top, batch, scale)? {
            return Ok(true);
        }
        let mut were_loose = false;
        for layer in &mut self.layers {
            were_loose |= layer.w.forget_loose_bound();
        }
        Ok(were_loose && self.bounds_suffice(on_top, batch, scale)?)
    }

    /// No `|dz|` of the last layer is larger; NaN where anything that it is made of is not finite.
    fn largest_dz_on_top(&self, batch: usize, top: Above<'_>) -> Result<f64, Error> {
        let Layer { dense, a, d_a, d_z, .. } = self.layers.last().ok_or(Error::NoLayers)?;
        let cols = dense.outputs();
        let largest = |values: &[f32]| dense.largest(Input::Slice(&values[..batch * cols]), batch, cols).map(f64::from);
        Ok(match top {
            Above::ByZ => largest(d_z)?,
            // An activation that is a number has a derivative that is one.
            Above::ByA => largest(d_a)? * f64::from(dense.activation().steepest()) + 0.0 * largest(a)?,
            // A finite cost is of activations and targets between 0 and 1.
            Above::Targets(_) => 1.0,
        })
    }

    /// Goes down the layers with a bound of `|dz|`:
    ///
    /// ```text
    /// |dw|       ≤ m · |dz| · |a_prev|
    /// |dA_prev|  ≤ n · |dz| · |w|
    /// |dz below| ≤ |dA_prev| · |g'|
    /// ```
    fn bounds_suffice(&mut self, on_top: f64, batch: usize, scale: f32) -> Result<bool, Error> {
        let outlasts_step = self.optimizer.bound_after(0.0, 0.0).is_some();
        let mut d_z = on_top;
        for index in (0..self.layers.len()).rev() {
            let steepest_below = index.checked_sub(1).map(|below| self.layers[below].dense.activation().steepest());
            let layer = &mut self.layers[index];
            layer.largest_gradient = largest_gradient(d_z, layer, batch, scale);
            if !is_finite_rounded(layer.largest_gradient) {
                return Ok(false);
            }
            let Some(steepest) = steepest_below else { break };
            let Some(largest_w) = layer.bound_of_weights(outlasts_step)? else { return Ok(false) };
            let d_a_prev = layer.dense.outputs() as f64 * d_z * largest_w;
            if !is_finite_rounded(d_a_prev) {
                return Ok(false);
            }
            // Twice, for the sum's roundings.
            d_z = 2.0 * d_a_prev * f64::from(steepest);
        }
        Ok(true)
    }

    /// Looks at every layer's `dz`, from the last to the first.
    pub(super) fn verdict(&mut self, batch: usize, scale: f32) -> Result<Verdict, Error> {
        let mut verdict = Verdict::Finite;
        for (index, layer) in self.layers.iter_mut().enumerate().rev() {
            let d_z = Input::Slice(&layer.d_z[..layer.output_len(batch)]);
            let d_z = layer.dense.largest(d_z, batch, self.places[index].1)?;
            if !d_z.is_finite() {
                return Err(Error::NotFinite { layer: Some(index), operand: Operand::DZ });
            }
            layer.largest_gradient = largest_gradient(f64::from(d_z), layer, batch, scale);
            if !is_finite_rounded(layer.largest_gradient) {
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

impl Layer {
    /// No weight has a larger magnitude, NaN where one is not finite: the bound that is known, else the weights are looked at.
    /// `None` where they are so many that looking would cost too much, as the bound does not outlast the step.
    fn bound_of_weights(&mut self, outlasts_step: bool) -> Result<Option<f64>, Error> {
        if let Some(bound) = self.w.bound() {
            return Ok(Some(bound));
        }
        // At each step, only as many as stay in the caches for the pass behind.
        if !outlasts_step && self.w.len() > self.dense.target()?.tuning.right_max_len {
            return Ok(None);
        }
        let largest = f64::from(self.dense.largest(Input::Slice(&self.w), 1, self.w.len())?);
        self.w.set_measured(largest);
        Ok(Some(largest))
    }
}

/// Whether a sum is finite whose terms' magnitudes add up to no more than this in exact numbers; not where that is NaN.
///
/// Half the range is left to rounding. Terms are added by blocks, so that `(1 + 2⁻²⁴)^(terms one behind the other)` stays below
/// 2 for as many of them as memory can hold.
fn is_finite_rounded(bound: f64) -> bool {
    bound < f64::from(f32::MAX) / 2.0
}

/// No element of a layer's `dw` and `db` has a larger magnitude, in exact numbers, than this, where no `|dz|` is larger than
/// `d_z`: `m · |dz| · |a_prev|`.
fn largest_gradient(d_z: f64, layer: &Layer, batch: usize, scale: f32) -> f64 {
    // `db` has factors of 1 in the place of inputs, and a scale above 1 makes what it multiplies larger.
    let factors = [layer.largest_input.max(1.0), scale.abs().max(1.0)].map(f64::from);
    d_z * factors.iter().product::<f64>() * batch as f64
}
