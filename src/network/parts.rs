//! Parts of a batch: gradients as sums by block, for reductions of one's own.

use super::{Layer, Network};
use crate::error::{Error, Operand};
use crate::isa::{self, Isa};
use crate::matrix::{Input, check_len};
use crate::objective::scale;
use crate::optimizer::add_scaled;
use crate::summation::SUM_BLOCK;
use crate::targets::{Checked, Targets, check_weight_sum};

/// Samples with their targets, checked for a [`Network`]: a part of a larger batch, of which others may hold the rest.
///
/// It is cut into blocks of [`SUM_BLOCK`] samples. Where all parts but the last are whole blocks, the sums of all blocks make
/// up the gradient of the whole batch, to the bit ([`Network::sums_by_block`]).
///
/// ```
/// use fused_dense::{Activation, Network};
///
/// let network = Network::builder(1).layer(1, Activation::Identity).build()?;
/// let part = network.part(&[0.0; 300], &[1.0; 300])?;
/// assert_eq!((part.samples(), part.blocks(), part.is_weighted()), (300, 2, false));
/// assert!(part.block_weights().eq([256.0, 44.0]));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    x: Input<'a>,
    targets: Checked<'a>,
    inputs: usize,
}

impl Part<'_> {
    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.targets.batch
    }

    /// Number of blocks, of which the last may have fewer samples.
    pub fn blocks(&self) -> usize {
        self.samples().div_ceil(SUM_BLOCK)
    }

    /// Whether the samples have weights.
    pub fn is_weighted(&self) -> bool {
        self.targets.sample_weights.is_some()
    }

    /// `Σ s` over each block: the number of its samples, where they have no weights.
    pub fn block_weights(&self) -> impl ExactSizeIterator<Item = f64> {
        (0..self.blocks()).map(|block| self.block(block).1.weight())
    }

    /// The inputs and targets of a block.
    fn block(&self, block: usize) -> (Input<'_>, Checked<'_>) {
        let start = block * SUM_BLOCK;
        let count = SUM_BLOCK.min(self.samples() - start);
        (self.x.rows(start, count, self.inputs), self.targets.samples(start, count))
    }
}

/// A batch that several [`Part`]s make up.
///
/// ```
/// use fused_dense::WholeBatch;
///
/// assert_eq!(WholeBatch::new(512).scale(), 1.0 / 512.0);
/// assert_eq!(WholeBatch::weighted(512, [3.0, 1.0])?.scale(), 1.0 / 4.0);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WholeBatch {
    samples: usize,
    weight: Option<f64>,
}

impl WholeBatch {
    /// So many samples, without weights.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self { samples, weight: None }
    }

    /// So many samples with weights, whose sums by block are those of [`Part::block_weights`], in the order of the parts.
    ///
    /// # Errors
    /// [`Error::WeightSum`] where nothing can be divided by their sum.
    pub fn weighted(samples: usize, block_weights: impl IntoIterator<Item = f64>) -> Result<Self, Error> {
        let weight = block_weights.into_iter().sum();
        check_weight_sum(samples, weight)?;
        Ok(Self { samples, weight: Some(weight) })
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// `1/Σ s`, by which sums become gradients; 1 for an empty batch.
    #[must_use]
    pub fn scale(&self) -> f32 {
        if self.samples == 0 { 1.0 } else { scale(self.samples, self.weight) }
    }

    /// `Σ s`, by which the sum of all [`BlockSums::cost`]s becomes the cost; 1 for an empty batch.
    #[must_use]
    pub fn divisor(&self) -> f64 {
        if self.samples == 0 { 1.0 } else { self.weight.unwrap_or(self.samples as f64) }
    }
}

/// The sums of one block for one layer, as [`Network::sums_by_block`] hands them on.
///
/// ```
/// use fused_dense::{Activation, Error, Init, Network, WholeBatch};
///
/// let mut network = Network::builder(1).layer(1, Activation::Identity).init(Init::Zeros).build()?;
/// let part = network.part(&[2.0, 3.0], &[1.0, 1.0])?;
/// network.sums_by_block(&part, WholeBatch::new(2), |sums| {
///     assert_eq!((sums.block, sums.layer, sums.cost), (0, 0, 1.0)); // ½ (0 - 1)², twice
///     assert_eq!((sums.d_w, sums.d_b), (&[-5.0][..], &[-2.0][..]));
///     Ok::<(), Error>(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BlockSums<'l> {
    /// The block, counted from 0 within its part.
    pub block: usize,
    /// The layer, counted from 0.
    pub layer: usize,
    /// `Σ s·L` over the block's samples; the same for each layer.
    pub cost: f64,
    /// Its gradient by the weights.
    pub d_w: &'l [f32],
    /// Its gradient by the bias.
    pub d_b: &'l [f32],
}

impl Network {
    /// Checks samples and targets as a part of a batch. A part has any number of samples; those of a block go through the
    /// network at a time.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`] where there is no room for a block, [`Error::Exchanged`], and where `x` or the targets have the
    /// wrong size, shape or values.
    pub fn part<'a>(&self, x: impl Into<Input<'a>>, targets: impl Into<Targets<'a>>) -> Result<Part<'a>, Error> {
        let (x, targets) = (x.into(), targets.into());
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let samples = self.any_batch(x, targets.batch(outputs)?)?;
        self.fitting(samples.min(SUM_BLOCK))?;
        let targets = self.objective.check_part(targets, samples, outputs)?;
        Ok(Part { x, targets, inputs })
    }

    /// One pass forward and one backward for each block of a part of a batch: `each` gets the sums of a block for the last
    /// layer first, as soon as they are made, while the layers below wait for theirs.
    ///
    /// With the scale of the [whole batch](WholeBatch), which the caller knows, the sums of all blocks in ascending order are
    /// its gradient, to the bit: [`add_block_sums`] adds one more. So parts may lie on several machines. The
    /// [guard](crate::NetworkBuilder::unguarded) looks at gradients when they are applied
    /// ([`gradients_mut`](Self::gradients_mut), [`apply_gradients`](Self::apply_gradients)), not here. Whatever gradients were
    /// in the layers are lost.
    ///
    /// ```
    /// use fused_dense::{Activation, Network, SUM_BLOCK, WholeBatch, add_block_sums};
    ///
    /// let builder = Network::builder(1).layer(1, Activation::Tanh).max_batch(300);
    /// let (mut network, mut at_once) = (builder.clone().build()?, builder.build()?);
    /// let x: Vec<f32> = (0..300).map(|i| i as f32 / 300.0).collect();
    /// let y: Vec<f32> = x.iter().map(|x| x * x).collect();
    /// let (whole, isa) = (WholeBatch::new(300), network.layers()[0].dense().isa()?);
    ///
    /// let (mut d_w, mut cost, mut blocks) = ([0.0], 0.0, 0);
    /// for samples in [0..SUM_BLOCK, SUM_BLOCK..300] {
    ///     let part = network.part(&x[samples.clone()], &y[samples])?;
    ///     network.sums_by_block(&part, whole, |sums| {
    ///         cost += sums.cost;
    ///         add_block_sums(isa, whole.scale(), sums.d_w, blocks == 0, &mut d_w)?;
    ///         blocks += 1;
    ///         Ok::<(), fused_dense::Error>(())
    ///     })?;
    /// }
    /// assert_eq!(at_once.gradients(&x, &y)?, cost / whole.divisor());
    /// assert_eq!(at_once.layers()[0].d_w(), d_w);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] where the part was checked for another network, and those of `each`, after which the pass ends.
    pub fn sums_by_block<E: From<Error>>(
        &mut self,
        part: &Part<'_>,
        whole: WholeBatch,
        mut each: impl FnMut(BlockSums<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_layers()?;
        self.fitting(part.samples().min(SUM_BLOCK))?;
        let (expected, found) = ((self.outputs(), self.inputs()), (part.targets.outputs, part.inputs));
        if expected != found {
            return Err(Error::Shape { operand: Operand::X, expected, found }.into());
        }
        self.forget_gradients();
        self.set_whole_batch(whole.samples());
        // Also where the caller panics.
        let network = InPart(self);
        (0..part.blocks()).try_for_each(|block| {
            let (x, targets) = part.block(block);
            network.0.block_pass(x, targets, |cost, layer, Layer { d_w, d_b, .. }| {
                each(BlockSums { block, layer, cost, d_w, d_b })
            })
        })
    }

    /// Each layer's gradients by weights and bias, to be set from outside: they count as made from here on, by
    /// [`apply_gradients`](Self::apply_gradients) and [`clip_gradients`](Self::clip_gradients).
    ///
    /// ```
    /// use fused_dense::{Activation, Init, Network};
    ///
    /// let builder = Network::builder(1).layer(1, Activation::Identity).init(Init::Zeros).optimizer(0.5);
    /// let mut network = builder.build()?;
    /// for [d_w, d_b] in network.gradients_mut() {
    ///     d_w.fill(1.0);
    ///     d_b.fill(2.0);
    /// }
    /// network.apply_gradients()?;
    /// assert_eq!((network.layers()[0].w(), network.layers()[0].b()), (&[-0.5][..], &[-1.0][..]));
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    pub fn gradients_mut(&mut self) -> impl Iterator<Item = [&mut [f32]; 2]> {
        self.has_gradients = true;
        self.layers.iter_mut().map(|Layer { d_w, d_b, .. }| [&mut **d_w, &mut **d_b])
    }

    /// Whether the layers hold gradients that a step has not used yet.
    pub fn has_gradients(&self) -> bool {
        self.has_gradients
    }

    /// Forgets the layers' gradients, as a step does: [`accumulate`](Self::accumulate) starts from zero again.
    ///
    /// ```
    /// use fused_dense::{Activation, Error, Network};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Identity).build()?;
    /// network.accumulate(&[1.0], &[2.0], 1.0)?;
    /// network.forget_gradients();
    /// assert_eq!(network.apply_gradients(), Err(Error::NoGradients));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn forget_gradients(&mut self) {
        self.has_gradients = false;
    }

    fn set_whole_batch(&mut self, samples: usize) {
        self.layers.iter_mut().for_each(|layer| layer.dense.set_whole_batch(samples));
    }
}

/// A network whose batches are parts, until this ends.
struct InPart<'n>(&'n mut Network);

impl Drop for InPart<'_> {
    fn drop(&mut self) {
        self.0.set_whole_batch(0);
    }
}

/// Adds the sums of one more block of a batch to a gradient, in the chain order of
/// [`reference::chain`](crate::reference::chain):
///
/// ```text
/// total = scale · sums                for the first block of the batch
///         fma(scale, sums, total)     for the others, in ascending order
/// ```
///
/// `cap` is the instruction set of the layer whose gradient it is ([`Dense::isa`](crate::Dense::isa)); all that fuse
/// multiply-adds give the same bits.
///
/// ```
/// use fused_dense::{Activation, Dense, add_block_sums};
///
/// let isa = Dense::new(1, 1, Activation::Identity).isa()?;
/// let mut total = [f32::NAN; 2];
/// add_block_sums(isa, 0.5, &[2.0, 4.0], true, &mut total)?;
/// add_block_sums(isa, 0.5, &[8.0, 0.0], false, &mut total)?;
/// assert_eq!(total, [5.0, 2.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] where `sums` and `total` are not of one length, and what is wrong with the instruction set; nothing is
/// touched then.
pub fn add_block_sums(cap: Isa, scale: f32, sums: &[f32], is_first: bool, total: &mut [f32]) -> Result<(), Error> {
    check_len(Operand::PartialSums, sums.len(), 1, total.len())?;
    let kernels = isa::select(cap)?.kernels;
    if is_first {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total = scale * sum);
        return Ok(());
    }
    add_scaled(kernels, scale, sums, total)
}
