//! Sums of binary cross-entropy behind a sigmoid.

use super::log_sum::LogSum;
use crate::isa::Kernels;
use crate::kernel::cross_entropy::{CrossEntropy, LANES, Lanes, MOST, Sums, exp_of_minus};

/// `Σ -w·y ln σ(z) - (1-y) ln(1-σ(z))` over the outputs of a block of samples, in ascending order, each with a weight.
///
/// The operations are the same whether outputs come one by one or by the kernel, and so are the bits.
pub(crate) struct BinarySum {
    wrong: f64,
    logs: LogSum,
    /// Of the last outputs, up to [`MOST`] of them.
    lanes: Lanes,
    in_lanes: usize,
}

impl BinarySum {
    pub(crate) fn new() -> Self {
        Self { wrong: 0.0, logs: LogSum::default(), lanes: Lanes::ZERO, in_lanes: 0 }
    }

    /// The sum over all outputs of a block, none of which has a weight.
    pub(crate) fn of_block(kernels: &Kernels, z: &[f32], y: &[f32]) -> f64 {
        let mut sum = Self::new();
        for (z, y) in z.chunks(MOST).zip(y.chunks(MOST)) {
            let (len, mut sums) = (z.len().min(y.len()), Sums { wrong: 0.0, q: 0.0 });
            let call = CrossEntropy { len, z: z.as_ptr(), y: y.as_ptr(), sums: &mut sums };
            // SAFETY: `select` returned the kernels; both slices have so many elements, and the sums are a place of their own.
            unsafe { (kernels.cross_entropy)(&call) };
            sum.take(sums);
        }
        sum.total()
    }

    /// One more output, and the weight `w` of its positive class.
    #[inline]
    pub(crate) fn add(&mut self, weight: f64, positive_weight: f64, z: f64, y: f64) {
        let (positive, negative) = (weight * positive_weight * y, weight * (1.0 - y));
        let wrong = if z < 0.0 { positive } else { negative };
        let (weight, t) = (positive + negative, exp_of_minus(z.abs()));
        let factor = if weight == 1.0 { t } else { 0.0 };
        self.lanes.add(self.in_lanes % LANES, wrong, z, factor);
        if weight != 1.0 {
            self.logs.add(weight, t);
        }
        self.in_lanes += 1;
        if self.in_lanes == MOST {
            self.fold();
        }
    }

    /// Takes what stands in the lanes.
    fn fold(&mut self) {
        let lanes = core::mem::replace(&mut self.lanes, Lanes::ZERO);
        self.in_lanes = 0;
        self.take(lanes.fold());
    }

    /// Takes the sums of the outputs that come next.
    #[inline]
    fn take(&mut self, sums: Sums) {
        self.wrong += sums.wrong;
        self.logs.add(1.0, sums.q);
    }

    pub(crate) fn total(mut self) -> f64 {
        if self.in_lanes > 0 {
            self.fold();
        }
        self.wrong + self.logs.total()
    }
}
