//! Targets of chosen samples: those of a shuffled batch, or of a part of one.

use super::{Checked, Classes, Rows, Targets};
use crate::summation::SUM_BLOCK;

/// Memory for the targets of a batch, used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    values: Vec<f32>,
    classes: Vec<usize>,
    sample_weights: Vec<f32>,
}

impl Gathered {
    /// Copies the targets of these samples, one behind the other. They were found to fit.
    pub(crate) fn gather(&mut self, targets: Targets<'_>, samples: &[usize], outputs: usize) -> Targets<'_> {
        self.values.clear();
        self.classes.clear();
        self.sample_weights.clear();
        match targets.rows {
            Some(Rows::Values(y)) => {
                samples.iter().for_each(|&i| self.values.extend_from_slice(&y[i * outputs..(i + 1) * outputs]));
            }
            Some(Rows::Classes(labels)) => self.classes.extend(samples.iter().map(|&i| labels.class(i))),
            // Of an array that does not fit.
            None => {}
        }
        if let Some(weights) = targets.sample_weights {
            self.sample_weights.extend(samples.iter().map(|&i| weights[i]));
        }
        let rows = match targets.are_classes() {
            true => Rows::Classes(Classes::from(&self.classes)),
            false => Rows::Values(&self.values),
        };
        let sample_weights = targets.sample_weights.is_some().then_some(&self.sample_weights[..]);
        Targets { sample_weights, ..rows.into() }
    }
}

impl Targets<'_> {
    /// `Σ s` over so many samples: their number, where they have no weights. Sums of blocks of [`SUM_BLOCK`] samples are added
    /// in ascending order, so that parts of whole blocks add up to the bits of the whole.
    pub(crate) fn weight(&self, samples: usize) -> f64 {
        let sum = |weights: &[f32]| weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
        match self.sample_weights {
            None => samples as f64,
            Some(weights) => weights.chunks(SUM_BLOCK).map(sum).sum(),
        }
    }

    /// `Σ s` over these samples, which were found to be there.
    pub(crate) fn weight_of(&self, samples: &[usize]) -> f64 {
        match self.sample_weights {
            None => samples.len() as f64,
            Some(weights) => samples.iter().map(|&sample| f64::from(weights[sample])).sum(),
        }
    }

    /// Whether each sample has a class, rather than a value for each output.
    pub(crate) fn are_classes(&self) -> bool {
        matches!(self.rows, Some(Rows::Classes(_)))
    }
}

impl Checked<'_> {
    /// The targets of `count` samples from `start` on.
    pub(crate) fn samples(&self, start: usize, count: usize) -> Self {
        let end = start + count;
        let rows = match self.rows {
            Rows::Values(y) => Rows::Values(&y[start * self.outputs..end * self.outputs]),
            Rows::Classes(labels) => Rows::Classes(labels.part(start..end)),
        };
        let sample_weights = self.sample_weights.map(|weights| &weights[start..end]);
        let weight = Targets { sample_weights, ..rows.into() }.weight(count);
        Self { rows, sample_weights, batch: count, outputs: self.outputs, weight }
    }

    /// `Σ s` over the batch.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// `Σ s` over those samples whose class is the one that is predicted for them.
    pub(crate) fn weight_of_hits(&self, predicted: impl Iterator<Item = u32>) -> f64 {
        let Rows::Classes(labels) = self.rows else { return 0.0 };
        let hits = predicted.enumerate().filter(|&(sample, class)| labels.class(sample) == class as usize);
        hits.map(|(sample, _)| f64::from(self.sample_weight(sample))).sum()
    }
}
