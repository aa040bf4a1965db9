//! Softmax over rows, and cross-entropy behind it.

use crate::activation::softmax::RAISED;
use crate::cost::Cost;
use crate::error::{Error, Operand};
use crate::isa::{self, Isa, Kernels};
use crate::kernel::softmax::{SoftmaxBackward, SoftmaxRows};
use crate::matrix::{Input, check_len};
use crate::targets::{Checked, Classes, Rows, Targets};
use core::ops::Range;

use super::log_sum::LogSum;
use super::times;

/// Samples in a chunk, for each of which the stack holds three numbers.
const CHUNK: usize = 32;

/// `p_c = e^(z_c - max) / Σ e^(z - max)` over each row of `outputs` values, with `max` the largest of the row.
///
/// `z` and `p`: `batch × outputs`. The probabilities of a row are positive or 0, and sum to 1 but for rounding. A value below the
/// largest by `d` has an error of at most `(d + ln n + n/16 + 8) · 2⁻²⁴` of itself, `n` outputs, most of it because
/// `z - max` is rounded; results down to the least subnormal are kept. The row's sum is in the *lanes* order
/// ([`reference::softmax`](crate::reference::softmax) has every operation), so that bits agree on all instruction sets.
///
/// `-∞` gives 0. A row gives NaN where it has a NaN, where it has `+∞`, and where all of it is `-∞`: no difference to the
/// largest is defined then.
///
/// Source: I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning* (2016), equation 6.29, and section 4.1 for the
/// largest.
///
/// ```
/// use fused_dense::loss;
///
/// let mut p = [0.0; 4];
/// loss::softmax(&[0.0, 0.0, 1000.0, f32::NEG_INFINITY], &mut p, 2)?;
/// assert_eq!(p, [0.5, 0.5, 1.0, 0.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotWholeRows`] where `z` is no whole number of rows, [`Error::Length`] where `p` is not as long as `z`, and
/// what is wrong with the instruction set; nothing is written then.
pub fn softmax(z: &[f32], p: &mut [f32], outputs: usize) -> Result<(), Error> {
    forward_on(isa::select_default()?.kernels, z, p, outputs)
}

/// [`softmax`] on no instruction set above `cap`.
///
/// # Errors
/// As [`softmax`].
pub fn softmax_with_isa(cap: Isa, z: &[f32], p: &mut [f32], outputs: usize) -> Result<(), Error> {
    forward_on(isa::select(cap)?.kernels, z, p, outputs)
}

fn forward_on(kernels: &Kernels, z: &[f32], p: &mut [f32], outputs: usize) -> Result<(), Error> {
    batch_of(Operand::Z, z, outputs)?;
    check_len(Operand::A, p.len(), 1, z.len())?;
    softmax_rows(kernels, outputs, z, SoftmaxOutputs { p: Some(p), ..SoftmaxOutputs::default() });
    Ok(())
}

/// `d_z = p ⊙ (d_p - Σ p·d_p)` over each row of `outputs` values: the gradient by `z` of what has the gradient `d_p` by
/// `p = softmax(z)`.
///
/// All three slices: `batch × outputs`. The sum is in the *lanes* order.
///
/// ```
/// use fused_dense::loss;
///
/// let mut d_z = [0.0; 2];
/// loss::softmax_backward(&[0.25, 0.75], &[4.0, 0.0], &mut d_z, 2)?;
/// assert_eq!(d_z, [0.75, -0.75]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotWholeRows`] where `p` is no whole number of rows, [`Error::Length`] where another slice is not as long as `p`,
/// and what is wrong with the instruction set; nothing is written then.
pub fn softmax_backward(p: &[f32], d_p: &[f32], d_z: &mut [f32], outputs: usize) -> Result<(), Error> {
    backward_on(isa::select_default()?.kernels, p, d_p, d_z, outputs)
}

/// [`softmax_backward`] on no instruction set above `cap`.
///
/// # Errors
/// As [`softmax_backward`].
pub fn softmax_backward_with_isa(
    cap: Isa,
    p: &[f32],
    d_p: &[f32],
    d_z: &mut [f32],
    outputs: usize,
) -> Result<(), Error> {
    backward_on(isa::select(cap)?.kernels, p, d_p, d_z, outputs)
}

fn backward_on(kernels: &Kernels, p: &[f32], d_p: &[f32], d_z: &mut [f32], outputs: usize) -> Result<(), Error> {
    let rows = batch_of(Operand::A, p, outputs)?;
    check_len(Operand::DA, d_p.len(), 1, p.len())?;
    check_len(Operand::DZ, d_z.len(), 1, p.len())?;
    let call = SoftmaxBackward { rows, cols: outputs, p: p.as_ptr(), d_p: d_p.as_ptr(), d_z: d_z.as_mut_ptr() };
    // SAFETY: `select` returned the kernels; all three slices have `rows × outputs` elements, and `d_z` is apart.
    unsafe { (kernels.softmax_backward)(&call) };
    Ok(())
}

/// `J = Σ s·L / Σ s` of `L = -Σ y ln p` with `p = softmax(z)`: cross-entropy of classes that exclude each other.
///
/// `z`: `batch × outputs`; the targets are a class for each sample, or a row of probabilities `y`, whose sum must be 1
/// within 0.001; `s` are their [sample weights](Targets::sample_weights), 1 where there are none.
///
/// ```text
/// L = ln Σ e^(z - max) + max - z_y            of a class y
/// L = Σ y_c (ln Σ e^(z - max) + max - z_c)    of probabilities
/// ```
///
/// The sum comes from the kernel of [`softmax`], in `f32`; all else is in `f64`. So each `L` has an absolute error of at most
/// `(ln n + n/16 + 8) · 2⁻²⁴`, `n` outputs, and one below that may be 0. Where the gradient by `z` would be NaN, so is
/// the cost. A target of probability 0 counts nothing, even against `z = -∞`.
///
/// Source: as `CrossEntropyLoss` of PyTorch.
///
/// ```
/// use fused_dense::loss;
///
/// let cost = loss::softmax_cross_entropy(&[0.0, 0.0, 1000.0, 0.0], &[0_u8, 1], 2)?;
/// assert!((cost - (2.0_f64.ln() + 1000.0) / 2.0).abs() < 1e-6);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotWholeRows`] where `z` is no whole number of rows, [`Error::Length`] where targets or weights are not of as many
/// samples, [`Error::Class`], [`Error::Value`] and [`Error::RowSum`] where a target is neither class nor probability,
/// [`Error::Value`] and [`Error::WeightSum`] where weights are none, and what is wrong with the instruction set.
pub fn softmax_cross_entropy<'t>(z: &[f32], targets: impl Into<Targets<'t>>, outputs: usize) -> Result<f64, Error> {
    let targets = check(z, targets.into(), outputs)?;
    let kernels = isa::select_default()?.kernels;
    let sum = super::sum_of_blocks(targets.batch, |block| {
        let z = &z[block.start * outputs..block.end * outputs];
        sum_and_gradient(kernels, &targets.samples(block.start, block.len()), None, z, None)
    });
    Ok(sum / targets.divisor())
}

/// `dz = s·(p·Σy - y)`, the gradient of `Σ s·L` by `z` ([`softmax_cross_entropy`]): what
/// [`Upstream::PreActivation`](crate::Upstream::PreActivation) takes.
///
/// `z` and `d_z`: `batch × outputs`. Of a class, `Σy` is 1.
///
/// ```
/// use fused_dense::loss;
///
/// let mut d_z = [0.0; 4];
/// loss::softmax_cross_entropy_gradient(&[0.0, 0.0, 1000.0, 0.0], &[0_u8, 1], &mut d_z, 2)?;
/// assert_eq!(d_z, [-0.5, 0.5, 1.0, -1.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// As [`softmax_cross_entropy`], and [`Error::Length`] where `d_z` is not as long as `z`; nothing is written then.
pub fn softmax_cross_entropy_gradient<'t>(
    z: &[f32],
    targets: impl Into<Targets<'t>>,
    d_z: &mut [f32],
    outputs: usize,
) -> Result<(), Error> {
    let targets = check(z, targets.into(), outputs)?;
    check_len(Operand::DZ, d_z.len(), 1, z.len())?;
    sum_and_gradient(isa::select_default()?.kernels, &targets, None, z, Some(d_z));
    Ok(())
}

fn check<'t>(z: &[f32], targets: Targets<'t>, outputs: usize) -> Result<Checked<'t>, Error> {
    targets.check(Cost::SoftmaxCrossEntropy, batch_of(Operand::Z, z, outputs)?, outputs)
}

/// Rows of `outputs` values.
fn batch_of(operand: Operand, values: &[f32], outputs: usize) -> Result<usize, Error> {
    Ok(Input::Slice(values).batch(operand, outputs)?.unwrap_or(0))
}

/// The outputs of the kernel, as far as they are wanted: `p` times a factor for each row, the largest of each row, and the sum.
#[derive(Default)]
struct SoftmaxOutputs<'a> {
    p: Option<&'a mut [f32]>,
    factors: Option<&'a [f32]>,
    max_and_sum: Option<[&'a mut [f32]; 2]>,
}

/// Runs the kernel over whole rows of `z`.
fn softmax_rows(kernels: &Kernels, cols: usize, z: &[f32], outputs: SoftmaxOutputs<'_>) {
    let rows = z.len().checked_div(cols).unwrap_or(0);
    let SoftmaxOutputs { p, factors, max_and_sum } = outputs;
    assert!(p.as_ref().is_none_or(|p| p.len() == z.len()));
    assert!(factors.is_none_or(|factors| factors.len() >= rows));
    assert!(max_and_sum.as_ref().is_none_or(|outputs| outputs.iter().all(|output| output.len() >= rows)));
    let call = SoftmaxRows {
        rows,
        cols,
        z: z.as_ptr(),
        p: p.map(<[f32]>::as_mut_ptr),
        factors: factors.map(<[f32]>::as_ptr),
        max_and_sum: max_and_sum.map(|outputs| outputs.map(<[f32]>::as_mut_ptr)),
    };
    // SAFETY: whoever has kernels got them from `select`; the slices are as long as the assertions say, and apart.
    unsafe { (kernels.softmax)(&call) };
}

/// `Σ s·L` over the batch, and its gradient by `z` where it is wanted. With class weights `c`, `L = Σ c·y (lse - z)`, and
/// the gradient of a sample is `s·(p Σ c·y - c·y)`.
pub(crate) fn sum_and_gradient(
    kernels: &Kernels,
    targets: &Checked<'_>,
    class_weights: Option<&[f32]>,
    z: &[f32],
    mut d: Option<&mut [f32]>,
) -> f64 {
    let outputs = targets.outputs;
    if outputs == 0 {
        return 0.0;
    }
    let mut sum = 0.0;
    for first in (0..targets.batch).step_by(CHUNK) {
        let samples = first..(first + CHUNK).min(targets.batch);
        let elements = samples.start * outputs..samples.end * outputs;
        let (z, d) = (&z[elements.clone()], d.as_deref_mut().map(|d| &mut d[elements.clone()]));
        let mut chunk = Chunk { kernels, targets, class_weights, samples, z, d, factors: [1.0; CHUNK] };
        sum += match targets.rows {
            Rows::Classes(labels) => chunk.of_classes(labels),
            Rows::Values(y) => chunk.of_values(&y[elements]),
        };
    }
    sum
}

/// Up to [`CHUNK`] samples: their rows of `z` and of the gradient.
struct Chunk<'a> {
    kernels: &'a Kernels,
    targets: &'a Checked<'a>,
    class_weights: Option<&'a [f32]>,
    samples: Range<usize>,
    z: &'a [f32],
    d: Option<&'a mut [f32]>,
    /// Of each sample's probabilities in its gradient.
    factors: [f32; CHUNK],
}

impl Chunk<'_> {
    fn of_classes(&mut self, labels: Classes<'_>) -> f64 {
        let (targets, class_weights) = (self.targets, self.class_weights);
        let is_weighted = class_weights.is_some() || targets.sample_weights.is_some();
        if is_weighted {
            for (factor, sample) in self.factors.iter_mut().zip(self.samples.clone()) {
                *factor = targets.sample_weight(sample) * class_weight(class_weights, labels.class(sample));
            }
        }
        let found = self.softmax(is_weighted);
        let (mut sum, mut logs) = (0.0, LogSum::default());
        for (row, sample) in self.samples.clone().enumerate() {
            let class = labels.class(sample);
            let (largest, others) = found.largest_and_others(row);
            let weight = f64::from(targets.sample_weight(sample)) * f64::from(class_weight(class_weights, class));
            let at = row * targets.outputs + class;
            sum += times(weight, || largest - f64::from(self.z[at]));
            logs.add(weight, others);
            if let Some(d) = &mut self.d {
                d[at] -= self.factors[row];
            }
        }
        sum + logs.total()
    }

    fn of_values(&mut self, y: &[f32]) -> f64 {
        let (targets, class_weights) = (self.targets, self.class_weights);
        let weighted = |class, y| f64::from(class_weight(class_weights, class)) * f64::from(y);
        let rows = self.samples.clone().zip(y.chunks_exact(targets.outputs));
        for (factor, (sample, y)) in self.factors.iter_mut().zip(rows.clone()) {
            let sum: f64 = y.iter().enumerate().map(|(class, &y)| weighted(class, y)).sum();
            *factor = (f64::from(targets.sample_weight(sample)) * sum) as f32;
        }
        let found = self.softmax(true);
        let (mut sum, mut logs) = (0.0, LogSum::default());
        for (row, (sample, y)) in rows.enumerate() {
            let (largest, others) = found.largest_and_others(row);
            let sample_weight = targets.sample_weight(sample);
            let elements = row * targets.outputs..(row + 1) * targets.outputs;
            let (mut loss, mut weight) = (0.0, 0.0);
            for (class, (&y, &z)) in y.iter().zip(&self.z[elements.clone()]).enumerate() {
                let y = weighted(class, y);
                weight += y;
                loss += times(y, || largest - f64::from(z));
            }
            sum += times(f64::from(sample_weight), || loss);
            logs.add(f64::from(sample_weight) * weight, others);
            if let Some(d) = self.d.as_deref_mut() {
                for (class, (d, &y)) in d[elements].iter_mut().zip(y).enumerate() {
                    *d -= sample_weight * class_weight(class_weights, class) * y;
                }
            }
        }
        sum + logs.total()
    }

    /// `p` into the gradient, times the factors where they are wanted; the largest `z` of each row, and the sum.
    fn softmax(&mut self, has_factors: bool) -> LargestAndSums {
        let mut found = LargestAndSums { largest: [0.0; CHUNK], sums: [0.0; CHUNK] };
        let outputs = SoftmaxOutputs {
            p: self.d.as_deref_mut(),
            factors: has_factors.then_some(&self.factors),
            max_and_sum: Some([&mut found.largest, &mut found.sums]),
        };
        softmax_rows(self.kernels, self.targets.outputs, self.z, outputs);
        found
    }
}

/// Of each row of a chunk.
struct LargestAndSums {
    largest: [f32; CHUNK],
    /// In units of [`RAISED`].
    sums: [f32; CHUNK],
}

impl LargestAndSums {
    /// The largest `z` of a row, and `Σ e^(z - max) - 1`.
    #[inline]
    fn largest_and_others(&self, row: usize) -> (f64, f64) {
        (f64::from(self.largest[row]), f64::from(self.sums[row]) / f64::from(RAISED) - 1.0)
    }
}

/// The weight of a class, 1 where there are none.
#[inline]
fn class_weight(weights: Option<&[f32]>, class: usize) -> f32 {
    weights.map_or(1.0, |weights| weights[class])
}
