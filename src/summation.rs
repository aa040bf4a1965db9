//! The two orders of summation, and which of them a sum takes.

/// Terms in one block of the chain order.
pub const SUM_BLOCK: usize = 256;

/// Chains of the lanes order.
pub const SUM_LANES: usize = 16;

/// The order in which the terms of a sum are added; [`reference`](crate::reference) states both to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Summation {
    /// [`Lanes`](Self::Lanes) where weights lie contiguous along the sum and the batch is at most
    /// [`AUTO_LANES_MAX_BATCH`] or the outputs are at most [`AUTO_LANES_MAX_OUTPUTS`], [`Chain`](Self::Chain)
    /// elsewhere: a function of the shape and of the weights' layout alone.
    #[default]
    Auto,
    /// Blocks of 256 fused multiply-adds, in ascending order.
    Chain,
    /// Sixteen interleaved chains, folded by a tree.
    Lanes,
}

/// Largest batch for which [`Summation::Auto`] takes the lanes order, whatever the number of outputs.
pub const AUTO_LANES_MAX_BATCH: usize = 16;

/// Largest number of outputs for which [`Summation::Auto`] takes the lanes order, whatever the batch.
pub const AUTO_LANES_MAX_OUTPUTS: usize = 16;

impl Summation {
    /// Resolves `Auto` for an `m × n` output whose right operand is contiguous along the sum or not.
    #[inline]
    pub(crate) fn resolve(self, m: usize, n: usize, contiguous_sum: bool) -> Self {
        match self {
            Self::Auto if contiguous_sum && (m <= AUTO_LANES_MAX_BATCH || n <= AUTO_LANES_MAX_OUTPUTS) => Self::Lanes,
            Self::Auto => Self::Chain,
            pinned => pinned,
        }
    }
}
