//! The cost and the accuracy on samples that nobody trains on.

use super::Network;
use super::predict::{Session, class_of};
use crate::error::{Error, Operand};
use crate::matrix::Input;
use crate::targets::{Checked, Targets};

/// The answer of [`Network::evaluate`].
///
/// ```
/// use fused_dense::{Activation, Cost, Init, Network};
///
/// let network = Network::builder(1)
///     .layer(2, Activation::Identity)
///     .cost(Cost::SoftmaxCrossEntropy)
///     .init(Init::Zeros)
///     .build()?;
/// let found = network.evaluate(&[1.0, 2.0], &[0_u8, 1])?;
/// assert!((found.cost - 2.0_f64.ln()).abs() < 1e-7);
/// assert_eq!(found.accuracy, Some(0.5));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The cost, a mean over the samples.
    pub cost: f64,
    /// The share of samples whose [class](Network::predict_classes) is that of the targets, each counted by its weight;
    /// none where the targets are no classes, or there are no samples.
    pub accuracy: Option<f64>,
}

impl Network {
    /// The cost of samples and the accuracy of their classes, through a shared reference: any batch, as
    /// [`predict`](Self::predict).
    ///
    /// # Errors
    /// Where `x` or the targets have the wrong size, shape or values.
    pub fn evaluate<'a, 't>(
        &self,
        x: impl Into<Input<'a>>,
        targets: impl Into<Targets<'t>>,
    ) -> Result<Evaluation, Error> {
        let (x, targets) = (x.into(), targets.into());
        let outputs = self.outputs();
        let batch = self.any_batch(x, targets.batch(outputs)?)?;
        let checked = self.objective.check(targets, batch, outputs)?;
        let (mut cost, mut weight, mut right) = (0.0, 0.0, 0.0);
        let mut session = self.sessions.0.take();
        self.chunks(&mut session, x, batch, |_, session, x, (start, count)| {
            let of_chunk = checked.samples(start, count);
            if of_chunk.weight() > 0.0 {
                cost += of_chunk.weight() * self.chunk_cost(session, x, &of_chunk)?;
                weight += of_chunk.weight();
                let rows = session.output[..count * outputs].chunks_exact(outputs.max(1));
                right += of_chunk.weight_of_hits(rows.map(class_of));
            }
            Ok(())
        })?;
        let accuracy = (targets.are_classes() && weight > 0.0).then(|| right / weight);
        Ok(Evaluation { cost: if weight > 0.0 { cost / weight } else { 0.0 }, accuracy })
    }

    /// The cost of up to a chunk of samples, whose output then stands in the session.
    fn chunk_cost(&self, session: &mut Session, x: Input<'_>, targets: &Checked<'_>) -> Result<f64, Error> {
        self.forward_chunk(session, x, targets.batch, None)?;
        let last = self.layers.last().ok_or(Error::NoLayers)?;
        let len = last.output_len(targets.batch);
        let Session { output, z, gradient, .. } = session;
        let kernels = last.dense.target()?.kernels;
        let sum = self.objective.sum(kernels, targets, &z[..len], &output[..len], &mut gradient[..len]);
        Ok(sum / targets.divisor())
    }

    /// Whether samples to validate on fit, and are finite where a guard asks for it.
    pub(super) fn check_validation(&self, x: Input<'_>, targets: Targets<'_>) -> Result<(), Error> {
        let batch = self.any_batch(x, targets.batch(self.outputs())?)?;
        self.objective.check(targets, batch, self.outputs())?;
        let first = &self.layers.first().ok_or(Error::NoLayers)?.dense;
        if !self.is_guarded || first.largest(x, batch, self.inputs())?.is_finite() {
            Ok(())
        } else {
            Err(Error::NotFinite { layer: None, operand: Operand::X })
        }
    }
}
