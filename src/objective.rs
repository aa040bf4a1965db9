//! The objective of a network: a cost with its weights.

#[cfg(test)]
mod tests;

use crate::cost::Cost;
use crate::error::{Error, Operand};
use crate::isa::Kernels;
use crate::loss;
use crate::matrix::check_len;
use crate::summation::SUM_BLOCK;
use crate::targets::{Checked, Row, Rows, Targets, check_weights};

/// A cost, the weights `c` of the outputs or classes, and the weight `w` of the positive class in binary cross-entropy.
///
/// ```text
/// J = Σ s·L / Σ s
/// binary cross-entropy    L = -Σ c (w·y ln σ(z) + (1-y) ln (1 - σ(z)))
/// quadratic               L = Σ c ½(a-y)²
/// softmax cross-entropy   L = -Σ c·y ln p
/// ```
///
/// Sources: `BCEWithLogitsLoss` of PyTorch with its `pos_weight`, and `CrossEntropyLoss` with its `weight`; but where
/// PyTorch divides by the sum of the class weights of the targets, here class weights are no part of the divisor, so that a
/// batch of rare classes counts for more than one of frequent ones.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    cost: Cost,
    class_weights: Option<Box<[f32]>>,
    positive_weight: f32,
}

impl Objective {
    /// # Errors
    /// [`Error::Length`] where there is not one class weight for each output, [`Error::Value`] where a weight is
    /// negative or not finite, [`Error::PositiveWeightNeedsBinary`] where another cost is to have a positive weight.
    pub(crate) fn new(
        cost: Cost,
        outputs: usize,
        class_weights: Option<&[f32]>,
        positive_weight: Option<f32>,
    ) -> Result<Self, Error> {
        if let Some(weights) = class_weights {
            check_len(Operand::ClassWeights, weights.len(), 1, outputs)?;
            check_weights(Operand::ClassWeights, weights)?;
        }
        if let Some(weight) = positive_weight {
            if cost != Cost::BinaryCrossEntropy {
                return Err(Error::PositiveWeightNeedsBinary { found: cost });
            }
            check_weights(Operand::PositiveWeight, &[weight])?;
        }
        Ok(Self { cost, class_weights: class_weights.map(Box::from), positive_weight: positive_weight.unwrap_or(1.0) })
    }

    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// All that can be wrong with targets.
    ///
    /// # Errors
    /// [`Error::Length`] where targets or sample weights are not of as many samples, [`Error::Class`], [`Error::Value`] and
    /// [`Error::RowSum`] where a target is none for the cost, [`Error::Value`] and [`Error::WeightSum`] where sample weights
    /// are none.
    pub(crate) fn check<'t>(&self, targets: Targets<'t>, batch: usize, outputs: usize) -> Result<Checked<'t>, Error> {
        targets.check(self.cost, batch, outputs)
    }

    /// [`check`](Self::check) for a part of a batch, whose samples may all weigh nothing.
    pub(crate) fn check_part<'t>(
        &self,
        targets: Targets<'t>,
        samples: usize,
        outputs: usize,
    ) -> Result<Checked<'t>, Error> {
        targets.check_part(self.cost, samples, outputs)
    }

    /// The weight of each output or class.
    pub(crate) fn class_weights(&self) -> Option<&[f32]> {
        self.class_weights.as_deref()
    }

    /// The weight of the positive class in binary cross-entropy.
    pub(crate) fn positive_weight(&self) -> f32 {
        self.positive_weight
    }

    /// Whether [`sum`](Self::sum) writes the gradient by `z`; if not, by `a`.
    pub(crate) fn wants_z(&self) -> bool {
        self.cost != Cost::Quadratic
    }

    /// The cost, and in `d` the gradient of `Σ s·L`; but `d` is left alone where there is a [short cut](Self::short_cut).
    #[cfg(test)]
    pub(crate) fn run(&self, kernels: &Kernels, targets: &Checked<'_>, z: &[f32], a: &[f32], d: &mut [f32]) -> f64 {
        self.sum(kernels, targets, z, a, d) / targets.divisor()
    }

    /// `Σ s·L`, and in `d` its gradient; but `d` is left alone where there is a [short cut](Self::short_cut).
    ///
    /// Sums go by blocks, so that parts of whole blocks add up to the bits of the whole.
    pub(crate) fn sum(&self, kernels: &Kernels, targets: &Checked<'_>, z: &[f32], a: &[f32], d: &mut [f32]) -> f64 {
        if (1..=SUM_BLOCK).contains(&targets.batch) {
            // The only block: the loop below adds it to a zero too, so that the sign of a zero is the same.
            return 0.0 + self.block_sum(kernels, targets, [z, a], d);
        }
        loss::sum_of_blocks(targets.batch, |block| {
            let outputs = block.start * targets.outputs..block.end * targets.outputs;
            let [z, a] = [z, a].map(|values| &values[outputs.clone()]);
            self.block_sum(kernels, &targets.samples(block.start, block.len()), [z, a], &mut d[outputs])
        })
    }

    /// [`sum`](Self::sum) of a single block.
    fn block_sum(&self, kernels: &Kernels, targets: &Checked<'_>, [z, a]: [&[f32]; 2], d: &mut [f32]) -> f64 {
        let weight = f64::from(self.positive_weight);
        match self.cost {
            Cost::SoftmaxCrossEntropy => {
                loss::softmax_sum_and_gradient(kernels, targets, self.class_weights.as_deref(), z, Some(d))
            }
            Cost::BinaryCrossEntropy => {
                if let Some(y) = self.short_cut(targets) {
                    return loss::BinarySum::of_block(kernels, z, y);
                }
                self.gradient(targets, a, d, |a, y| binary_cross_entropy_by_z(self.positive_weight, a, y));
                let mut sum = loss::BinarySum::new();
                self.each(targets, z, |of_output, z, y| sum.add(of_output, weight, z, y));
                sum.total()
            }
            Cost::Quadratic => {
                self.gradient(targets, a, d, |a, y| a - y);
                let mut sum = 0.0;
                self.each(targets, a, |weight, a, y| sum += loss::times(weight, || loss::half_square(a, y)));
                sum
            }
        }
    }

    /// `1/Σ s`, by which `dw` and `db` are scaled; 1 for an empty batch.
    pub(crate) fn scale(&self, targets: &Checked<'_>) -> f32 {
        scale(targets.batch, targets.sample_weights.map(|_| targets.divisor()))
    }

    /// The values from which the backward pass makes `dz = a - y` itself: those of binary cross-entropy without any weights.
    pub(crate) fn short_cut<'t>(&self, targets: &Checked<'t>) -> Option<&'t [f32]> {
        match targets.rows {
            Rows::Values(y)
                if self.cost == Cost::BinaryCrossEntropy
                    && self.positive_weight == 1.0
                    && self.class_weights.is_none()
                    && targets.sample_weights.is_none() =>
            {
                Some(y)
            }
            _ => None,
        }
    }

    /// Hands on each output's weight `s·c`, prediction and target, in ascending order.
    fn each(&self, targets: &Checked<'_>, predictions: &[f32], mut output: impl FnMut(f64, f64, f64)) {
        for (sample, row) in predictions.chunks_exact(targets.outputs.max(1)).enumerate() {
            let (targets, sample_weight) = (targets.row(sample), f64::from(targets.sample_weight(sample)));
            for (at, &prediction) in row.iter().enumerate() {
                let class_weight = self.class_weights.as_ref().map_or(1.0, |weights| f64::from(weights[at]));
                output(sample_weight * class_weight, prediction.into(), targets.value(at).into());
            }
        }
    }

    /// `d = s·c·derivative(a, y)`, output by output.
    fn gradient(&self, targets: &Checked<'_>, a: &[f32], d: &mut [f32], derivative: impl Fn(f32, f32) -> f32) {
        let outputs = targets.outputs.max(1);
        for (sample, (d, a)) in d.chunks_exact_mut(outputs).zip(a.chunks_exact(outputs)).enumerate() {
            match targets.row(sample) {
                Row::Values(y) => {
                    for ((d, &a), &y) in d.iter_mut().zip(a).zip(y) {
                        *d = derivative(a, y);
                    }
                }
                Row::Value(y) => d[0] = derivative(a[0], y),
                Row::Class(class) => {
                    for (d, &a) in d.iter_mut().zip(a) {
                        *d = derivative(a, 0.0);
                    }
                    d[class] = derivative(a[class], 1.0);
                }
            }
            if let Some(weights) = &self.class_weights {
                for (d, weight) in d.iter_mut().zip(weights) {
                    *d *= weight;
                }
            }
            if let Some(weights) = targets.sample_weights {
                for d in d {
                    *d *= weights[sample];
                }
            }
        }
    }
}

/// The factor that makes means of sums over so many samples, or over samples of so much weight; 1 for an empty batch.
pub(crate) fn scale(samples: usize, weight: Option<f64>) -> f32 {
    match weight {
        None => 1.0 / samples.max(1) as f32,
        Some(weight) => (1.0 / weight) as f32,
    }
}

/// `dz = (1-y)·a - w·y·(1-a)`, which is `a - y` where `w = 1`; that is then computed, to have the bits of the short cut.
fn binary_cross_entropy_by_z(positive_weight: f32, a: f32, y: f32) -> f32 {
    if positive_weight == 1.0 { a - y } else { (1.0 - y) * a - positive_weight * y * (1.0 - a) }
}
