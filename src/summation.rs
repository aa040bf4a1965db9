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
    /// [`Lanes`](Self::Lanes) where the weights lie contiguous along the sum, and, with `s` the product's shorter side (of batch
    /// and outputs; of batch and inputs for `dA_prev`),
    /// - `s` is at most [`AUTO_LANES_MAX_SIDE`], and the sum has at least [`AUTO_LANES_TERMS`]` · (s - 1)` terms; or
    /// - both sides are at most [`AUTO_LANES_MAX_SIDES`], and the sum has at least [`AUTO_LANES_SIDES_TERMS`]` · (s - 1)` terms.
    ///
    /// [`Chain`](Self::Chain) elsewhere. `dw` and `db` are always chains.
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

/// The longest shorter side of a product that [`Summation::Auto`] computes in the lanes order.
///
/// The lanes order pays three operations a sum for the fold, and the chain order for transposing weights that lie along
/// the sum; which is dearer depends on how many sums share the weights. Measured as the time of one order by that of
/// the other over 1 to 1024 rows, 1 to 512 columns and 4 to 2048 terms, on AVX-512 and AVX2, whose crossings lie to
/// both sides of this rule.
pub const AUTO_LANES_MAX_SIDE: usize = 20;

/// Terms for each row but the first of the shorter side from which on [`Summation::Auto`] takes the lanes order.
pub const AUTO_LANES_TERMS: usize = 8;

/// The longest side of a product that [`Summation::Auto`] computes in the lanes order although its shorter side is longer than
/// [`AUTO_LANES_MAX_SIDE`]: few sums would share the transposed weights. Measured in the same way.
pub const AUTO_LANES_MAX_SIDES: usize = 32;

/// Terms for each row but the first of the shorter side from which on [`Summation::Auto`] takes the lanes order for such a product.
pub const AUTO_LANES_SIDES_TERMS: usize = 24;

impl Summation {
    /// Resolves `Auto` for an `m × n` output with sums of `k` terms, along which the right operand is contiguous or not.
    #[inline]
    pub(crate) fn resolve(self, m: usize, n: usize, k: usize, contiguous_sum: bool) -> Self {
        let side = m.min(n);
        // A product to which both rules apply needs the fewer terms of the first.
        let terms = if side <= AUTO_LANES_MAX_SIDE {
            AUTO_LANES_TERMS
        } else if m.max(n) <= AUTO_LANES_MAX_SIDES {
            AUTO_LANES_SIDES_TERMS
        } else {
            usize::MAX
        };
        match self {
            Self::Auto if contiguous_sum && k >= terms.saturating_mul(side.saturating_sub(1)) => Self::Lanes,
            Self::Auto => Self::Chain,
            pinned => pinned,
        }
    }
}
