//! Sums of logarithms.

use crate::kernel::cross_entropy::multiplied;

/// `Σ weight · ln(1 + t)`, for `t ≥ 0`.
///
/// A logarithm takes longer than all else of a cost. So terms of weight 1 are multiplied, `Π (1 + t)`, and the product has
/// its logarithm taken once; without the 1, so that the smallest `t` is not lost beside it:
///
/// ```text
/// q = Π (1 + t) - 1:   q = q + t·(1 + q)
/// ```
///
/// Nothing is negative, so nothing cancels: a sum of `N` terms is off by at most `(N + 8) · 2⁻⁵³` of itself, as if its terms
/// were added.
#[derive(Default)]
pub(super) struct LogSum {
    sum: f64,
    q: f64,
}

/// Where a product has its logarithm taken: the product of two such factors is in range.
const LARGE: f64 = 1e150;

impl LogSum {
    /// Adds `weight · ln(1 + t)`.
    #[inline]
    pub(super) fn add(&mut self, weight: f64, t: f64) {
        if weight != 1.0 || t > LARGE {
            self.sum += weight * t.ln_1p();
            return;
        }
        self.q = multiplied(self.q, t);
        if self.q > LARGE {
            self.sum += self.q.ln_1p();
            self.q = 0.0;
        }
    }

    /// The sum.
    pub(super) fn total(&self) -> f64 {
        self.sum + self.q.ln_1p()
    }
}
