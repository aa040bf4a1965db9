//! The two orders of summation, and which of them a sum takes.

/// Terms in one block of the chain order.
pub const SUM_BLOCK: usize = 256;

/// Chains of the lanes order.
pub const SUM_LANES: usize = 16;

/// The order in which the terms of a sum are added; [`reference`](crate::reference) states both to the bit.
///
/// ```
/// use fused_dense::{Activation, Dense, Summation};
///
/// let layer = Dense::new(784, 30, Activation::Sigmoid);
/// assert_eq!(layer.describe(1)?.forward.summation, Summation::Lanes);
/// assert_eq!(layer.describe(128)?.forward.summation, Summation::Chain);
/// let pinned = layer.with_summation(Summation::Chain); // a sample's result no longer depends on its batch
/// assert_eq!(pinned.describe(1)?.forward.summation, Summation::Chain);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Summation {
    /// [`Lanes`](Self::Lanes) where the weights lie contiguous along the sum and one of the rules of [`AUTO_LANES`] holds for the
    /// product, [`Chain`](Self::Chain) elsewhere. `dw` and `db` are always chains.
    ///
    /// Weights lie along the inputs where the column stride of their view is no larger than its row stride, else along the
    /// outputs. So the bits depend on the batch and on the weights' layout: of a sample on its own and among 64, or of
    /// weights stored `[outputs, inputs]` and `[inputs, outputs]`, they may differ. Nothing else counts, no other operand's
    /// strides and no thread; pinned to one of the other two, the order depends on nothing.
    #[default]
    Auto,
    /// Blocks of 256 fused multiply-adds, in ascending order.
    Chain,
    /// Sixteen interleaved chains, folded by a tree.
    Lanes,
}

/// Products that [`Summation::Auto`] computes in the lanes order: `s` the shorter side of batch and outputs (for `dA_prev` of batch
/// and inputs), `l` the longer one, `k` the terms of a sum.
///
/// ```text
/// shortest ≤ s ≤ longest,  l ≤ longest_other,  k ≥ terms · (s - 1)
/// ```
///
/// ```
/// use fused_dense::AUTO_LANES;
///
/// let is_lanes = |m: usize, n: usize, k| AUTO_LANES.iter().any(|rule| rule.holds(m, n, k));
/// assert!(is_lanes(10, 30, 784) && is_lanes(18, 37, 100) && !is_lanes(128, 30, 784));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoLanes {
    /// The shortest shorter side.
    pub shortest: usize,
    /// The longest shorter side.
    pub longest: usize,
    /// The longest longer side.
    pub longest_other: usize,
    /// Terms for each row but the first of the shorter side, from which on the rule holds.
    pub terms: usize,
}

impl AutoLanes {
    /// Whether the rule holds for an `m × n` output with sums of `k` terms.
    #[inline(always)]
    pub fn holds(&self, m: usize, n: usize, k: usize) -> bool {
        let (s, l) = (m.min(n), m.max(n));
        (self.shortest..=self.longest).contains(&s)
            && l <= self.longest_other
            && k >= self.terms.saturating_mul(s.saturating_sub(1))
    }
}

/// The rules by which [`Summation::Auto`] takes the lanes order; one that holds is enough.
///
/// The lanes order pays three operations a sum for the fold, and the chain order for transposing weights that lie along
/// the sum; which is dearer depends on how many sums share the weights, and on the columns that vectors of sixteen leave empty.
/// Measured as the time of one order by that of the other over 1 to 1024 rows, 1 to 512 columns and 4 to 2048 terms, on AVX-512 and
/// AVX2, whose crossings lie to both sides of these rules.
pub const AUTO_LANES: [AutoLanes; 3] = [
    AutoLanes { shortest: 0, longest: 20, longest_other: usize::MAX, terms: 8 },
    // A second vector of sixteen would be nearly empty, and few sums share the transposed weights.
    AutoLanes { shortest: SUM_LANES + 1, longest: 20, longest_other: 40, terms: 5 },
    AutoLanes { shortest: 0, longest: 32, longest_other: 32, terms: 24 },
];

/// Whether any rule holds: one by one, so that their numbers stand in the code.
#[inline(always)]
fn auto_takes_lanes(m: usize, n: usize, k: usize) -> bool {
    let [first, second, third] = AUTO_LANES;
    first.holds(m, n, k) || second.holds(m, n, k) || third.holds(m, n, k)
}

impl Summation {
    /// Resolves `Auto` for an `m × n` output with sums of `k` terms, along which the right operand is contiguous or not.
    #[inline(always)]
    pub(crate) fn resolve(self, m: usize, n: usize, k: usize, contiguous_sum: bool) -> Self {
        match self {
            Self::Auto if contiguous_sum && auto_takes_lanes(m, n, k) => Self::Lanes,
            Self::Auto => Self::Chain,
            pinned => pinned,
        }
    }
}
