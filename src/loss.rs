//! Costs of a batch, and the gradients that start its backward pass.
//!
//! A sample's loss `L` is summed over its outputs; the cost is the mean over the `m` samples, `J = (1/m) Σ L`:
//!
//! | loss of one output | from | value | gradient |
//! |---|---|---|---|
//! | binary cross-entropy `-y ln a - (1-y) ln(1-a)` | `a` | [`binary_cross_entropy`] | [`binary_cross_entropy_gradient`] |
//! | the same behind a sigmoid, `a = σ(z)` | `z` | [`binary_cross_entropy_from_z`] | [`binary_cross_entropy_gradient_from_z`] |
//! | quadratic `½ (a-y)²` | `a` | [`quadratic`] | [`quadratic_gradient`] |
//! | softmax cross-entropy `-y ln p`, `p = softmax(z)` | `z` | [`softmax_cross_entropy`] | [`softmax_cross_entropy_gradient`] |
//!
//! [`softmax()`] and [`softmax_backward`] stand alone besides. The last row takes any [`Targets`](crate::Targets), with weights of
//! samples.
//!
//! **The factor `1/m`.** A cost holds it, a gradient does not: gradients are those of `L`, as the textbook's
//! `dz = a - y`, and `1/m` enters once, in [`Gradients::scale`](crate::Gradients::scale), where `dw` and `db` sum over
//! the batch.
//!
//! **Precision.** Costs are computed, summed (by blocks of 256 samples) and returned in `f64`; of logarithms, many are taken
//! as one of their product. With a platform whose `ln` is within 1 ULP, a cost over `N` values differs from the exact one by
//! at most `(N + 10) · 2⁻⁵³` of it, for predictions and targets in their range (no term is negative, so nothing cancels) and
//! above underflow in `f64`. All else is the same on every instruction set; the logarithm is the platform's, so that the last
//! bits of a cost, unlike those of a gradient, may differ between platforms.
//! Softmax cross-entropy has a bound of its own, as its exponentials are in `f32`.
//!
//! NaN in any prediction or target gives a NaN cost, and a NaN gradient at its place. The cost of an empty batch is 0.

mod binary;
mod log_sum;
mod softmax;

pub(crate) use binary::BinarySum;
pub(crate) use softmax::sum_and_gradient as softmax_sum_and_gradient;
pub use softmax::{
    softmax, softmax_backward, softmax_backward_with_isa, softmax_cross_entropy, softmax_cross_entropy_gradient,
    softmax_with_isa,
};

use crate::Activation;
use crate::error::{Error, Operand};
use crate::isa::{self, Isa, Kernels};
use crate::matrix::{Input, check_len};
use crate::summation::SUM_BLOCK;
use core::ops::Range;

/// `J = (1/m) Σ [-y ln a - (1-y) ln(1-a)]`, the mean over the batch of binary cross-entropy.
///
/// `a` and `y`: `batch × outputs`, both in `0..=1`, with `0 · ln 0 = 0`. A certain and wrong prediction (`a = 0`
/// against `y > 0`, `a = 1` against `y < 1`) costs infinity, as mathematics says. Any finite figure in its place would
/// be invented: PyTorch's 100 is less than the 103.3 that the smallest positive `a` costs. It usually means that a
/// sigmoid was rounded to 0 or 1; [`binary_cross_entropy_from_z`] knows what it was.
///
/// Source: C. Bishop, *Pattern Recognition and Machine Learning* (2006), equation 4.90.
///
/// ```
/// use fused_dense::loss;
///
/// let (a, y) = ([0.5, 0.25, 1.0], [1.0, 0.0, 1.0]); // three samples of one output
/// let cost = loss::binary_cross_entropy(&a, &y, 1)?;
/// assert!((cost - (2.0_f64.ln() + (4.0_f64 / 3.0).ln()) / 3.0).abs() < 1e-15);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotWholeRows`] where `a` is no whole number of samples, [`Error::Length`] where `y` is not as long as `a`.
pub fn binary_cross_entropy(a: &[f32], y: &[f32], outputs: usize) -> Result<f64, Error> {
    mean((Operand::A, a), y, outputs, |a, y| -(times(y, || a.ln()) + times(1.0 - y, || (-a).ln_1p())))
}

/// `J = (1/m) Σ [max(z, 0) - z·y + ln(1 + e^{-|z|})]`: [`binary_cross_entropy`] of `a = σ(z)`, exact however far the
/// sigmoid has saturated.
///
/// `z` and `y`: `batch × outputs`, `y` in `0..=1`. Infinite `z` gives the limit: 0 on the target's side, infinity on
/// the other.
///
/// Source: TensorFlow, `sigmoid_cross_entropy_with_logits`. The first two terms are computed as `|z|` times `y` or `1-y`,
/// whichever the sign of `z` leaves, so that nothing cancels.
///
/// ```
/// use fused_dense::loss;
///
/// // σ(40) is 1 in f32, of which cross-entropy could say nothing but infinity.
/// assert_eq!(loss::binary_cross_entropy_from_z(&[40.0], &[0.0], 1)?, 40.0);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// As [`binary_cross_entropy`], of `z`, and what is wrong with the instruction set.
pub fn binary_cross_entropy_from_z(z: &[f32], y: &[f32], outputs: usize) -> Result<f64, Error> {
    binary_from_z_on(isa::select_default()?.kernels, z, y, outputs)
}

/// [`binary_cross_entropy_from_z`] on no instruction set above `cap`. The bits are the same on all of them.
///
/// # Errors
/// As [`binary_cross_entropy_from_z`].
pub fn binary_cross_entropy_from_z_with_isa(cap: Isa, z: &[f32], y: &[f32], outputs: usize) -> Result<f64, Error> {
    binary_from_z_on(isa::select(cap)?.kernels, z, y, outputs)
}

fn binary_from_z_on(kernels: &Kernels, z: &[f32], y: &[f32], outputs: usize) -> Result<f64, Error> {
    let batch = batch_of((Operand::Z, z), y, outputs)?;
    let sum = sum_of_blocks(batch, |block| {
        let outputs = block.start * outputs..block.end * outputs;
        BinarySum::of_block(kernels, &z[outputs.clone()], &y[outputs])
    });
    Ok(sum / batch.max(1) as f64)
}

/// `J = (1/m) Σ ½ (a-y)²`, the mean over the batch of the quadratic loss `½‖a-y‖²`.
///
/// `a` and `y`: `batch × outputs`.
///
/// Source: M. Nielsen, *Neural Networks and Deep Learning* (2015), equation 6.
///
/// ```
/// use fused_dense::loss;
///
/// let (a, y) = ([1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]); // two samples of two outputs
/// assert_eq!(loss::quadratic(&a, &y, 2)?, (2.5 + 0.5) / 2.0);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// As [`binary_cross_entropy`].
pub fn quadratic(a: &[f32], y: &[f32], outputs: usize) -> Result<f64, Error> {
    mean((Operand::A, a), y, outputs, half_square)
}

/// `½ (a-y)²`
#[inline]
pub(crate) fn half_square(a: f64, y: f64) -> f64 {
    0.5 * (a - y) * (a - y)
}

/// `dA = -y/a + (1-y)/(1-a) = (a-y) / (a(1-a))`, the gradient of binary cross-entropy by `a`: what
/// [`Upstream::Activation`](crate::Upstream::Activation) takes.
///
/// All three slices have one length; `a` and `y` in `0..=1`. The result is always finite: below `2⁻¹²⁶`, the least normal
/// number, `a` counts as that, and `1-a` as no less than `2⁻²⁴`, its least value for `a < 1`. So a backward pass, which
/// multiplies by `a(1-a)`, meets `0 · finite` and never `0 · ∞`; but where `a` has reached 0 or 1, its gradient *is* that 0.
/// [`binary_cross_entropy_gradient_from_z`] and [`Upstream::Targets`](crate::Upstream::Targets) do not lose it.
/// Where `y` is 0 or 1, `dA` is the limit `1/(1-a)` or `-1/a`, also at `a = y`. Computed in `f64`
/// and rounded once: within 0.5001 ULP.
///
/// ```
/// use fused_dense::loss;
///
/// let (a, y) = ([0.25, 0.25, 1.0], [0.0, 1.0, 1.0]);
/// let mut d_a = [0.0; 3];
/// loss::binary_cross_entropy_gradient(&a, &y, &mut d_a)?;
/// assert_eq!(d_a, [4.0 / 3.0, -4.0, -1.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] where `y` or `d_a` is not as long as `a`; nothing is written then.
pub fn binary_cross_entropy_gradient(a: &[f32], y: &[f32], d_a: &mut [f32]) -> Result<(), Error> {
    const LEAST_A: f64 = f32::MIN_POSITIVE as f64;
    const LEAST_ONE_MINUS_A: f64 = f32::EPSILON as f64 / 2.0;

    each(a, y, d_a, |a, y| {
        let (a, y) = (f64::from(a), f64::from(y));
        // Comparisons instead of `max`, which would swallow NaN.
        let safe_a = if a < LEAST_A { LEAST_A } else { a };
        let one_minus_a = 1.0 - a;
        let one_minus_a = if one_minus_a < LEAST_ONE_MINUS_A { LEAST_ONE_MINUS_A } else { one_minus_a };
        let d_a = if y == 0.0 {
            1.0 / one_minus_a
        } else if y == 1.0 {
            -1.0 / safe_a
        } else {
            (a - y) / (safe_a * one_minus_a)
        };
        d_a as f32
    })
}

/// `dz = σ(z) - y`, the gradient of binary cross-entropy behind a sigmoid by `z`: what
/// [`Upstream::PreActivation`](crate::Upstream::PreActivation) takes.
///
/// All three slices have one length. `σ` is the sigmoid kernel of the layers, so that the bits equal those of
/// [`Upstream::Targets`](crate::Upstream::Targets), which needs no pass of its own.
///
/// ```
/// use fused_dense::loss;
///
/// let mut d_z = [0.0; 2];
/// loss::binary_cross_entropy_gradient_from_z(&[0.0, -200.0], &[1.0, 1.0], &mut d_z)?;
/// assert_eq!(d_z, [-0.5, -1.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] where `y` or `d_z` is not as long as `z`, and what is wrong with the instruction set; nothing is
/// written then.
pub fn binary_cross_entropy_gradient_from_z(z: &[f32], y: &[f32], d_z: &mut [f32]) -> Result<(), Error> {
    check_len(Operand::Targets, y.len(), 1, z.len())?;
    check_len(Operand::DZ, d_z.len(), 1, z.len())?;
    Activation::Sigmoid.forward(z, d_z)?;
    for (d_z, y) in d_z.iter_mut().zip(y) {
        *d_z -= y;
    }
    Ok(())
}

/// `dA = a - y`, the gradient of the quadratic loss: what
/// [`Upstream::Activation`](crate::Upstream::Activation) takes.
///
/// All three slices have one length.
///
/// ```
/// use fused_dense::loss;
///
/// let mut d_a = [0.0; 2];
/// loss::quadratic_gradient(&[0.75, 0.25], &[1.0, 0.0], &mut d_a)?;
/// assert_eq!(d_a, [-0.25, 0.25]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
///
/// # Errors
/// As [`binary_cross_entropy_gradient`].
pub fn quadratic_gradient(a: &[f32], y: &[f32], d_a: &mut [f32]) -> Result<(), Error> {
    each(a, y, d_a, |a, y| a - y)
}

/// `factor · value`, which is 0 where the factor is, whatever the value: `0 · ln 0 = 0`.
#[inline]
pub(crate) fn times(factor: f64, value: impl FnOnce() -> f64) -> f64 {
    if factor == 0.0 { 0.0 } else { factor * value() }
}

/// The sums of blocks of [`SUM_BLOCK`] samples, which `sum` makes, added in ascending order.
pub(crate) fn sum_of_blocks(samples: usize, mut sum: impl FnMut(Range<usize>) -> f64) -> f64 {
    let blocks = (0..samples).step_by(SUM_BLOCK).map(|start| start..samples.min(start + SUM_BLOCK));
    blocks.fold(0.0, |total, block| total + sum(block))
}

/// The mean over samples of the losses of their outputs.
fn mean(
    (operand, predictions): (Operand, &[f32]),
    y: &[f32],
    outputs: usize,
    loss: impl Fn(f64, f64) -> f64,
) -> Result<f64, Error> {
    let batch = batch_of((operand, predictions), y, outputs)?;
    let sum = sum_of_blocks(batch, |block| {
        let outputs = block.start * outputs..block.end * outputs;
        let pairs = predictions[outputs.clone()].iter().zip(&y[outputs]);
        pairs.fold(0.0, |sum, (&p, &y)| sum + loss(f64::from(p), f64::from(y)))
    });
    // An empty batch costs 0, not 0/0.
    Ok(sum / batch.max(1) as f64)
}

/// Samples, where there is a target for each output of each.
fn batch_of((operand, predictions): (Operand, &[f32]), y: &[f32], outputs: usize) -> Result<usize, Error> {
    let batch = Input::Slice(predictions).batch(operand, outputs)?.unwrap_or(0);
    check_len(Operand::Targets, y.len(), batch, outputs)?;
    Ok(batch)
}

/// Writes the gradient by `a`, element by element.
fn each(a: &[f32], y: &[f32], d_a: &mut [f32], derivative: impl Fn(f32, f32) -> f32) -> Result<(), Error> {
    check_len(Operand::Targets, y.len(), 1, a.len())?;
    check_len(Operand::DA, d_a.len(), 1, a.len())?;
    for ((d_a, &a), &y) in d_a.iter_mut().zip(a).zip(y) {
        *d_a = derivative(a, y);
    }
    Ok(())
}
