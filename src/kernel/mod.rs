//! The kernels, written once over [`Simd`]: `chain` and `dot` compute one tile of a matrix product
//! in the two orders of summation, `dots_by_parts` and `short_dots` a few rows in the second of them, `outer` a product whose sums have
//! one term, `axpyf` one whose output has one row, `narrow` one of few columns, `pack` brings operands into the order in which they
//! are read, `elementwise` holds the activation behind a tile and `dz` with its column sums, `softmax` the function that
//! couples a row's columns, `update` an optimiser's use of a gradient, `extent` the largest magnitude, `cross_entropy` a
//! cost, `column_sums` makes `db` of few outputs.
//!
//! `build.rs` instantiates them for every instruction set (`isa`); nothing here decides or loops over tiles.
//!
//! A kernel of a product has a name, which [`Name`] writes, descriptions show and the shims of `build.rs` are called by:
//!
//! ```text
//! name       f32-OPERATION-ROWSxCOLS-ISA             f32-chain-14x16-avx512
//! OPERATION  chain     tiles whose vectors run along the output
//!            dots      tiles whose vectors run along the sum
//!            dotparts  a few rows whose vectors run along the sum, a column of each of several parts at a time
//!            shortdots a row or two that stay in registers, over short columns
//!            axpyf     one row, a strip of columns at a time
//!            quads     few columns, several rows in a vector
//!            outer     sums of one term or few, a row at a time
//! ROWSxCOLS  the part of the output that is computed at a time: one tile; of `axpyf` the widest strip, of `quads` and
//!            `outer` one vector, of `dotparts` a column of each part, of `shortdots` as many as a fold has room for. Cut
//!            ones bear the name of the whole.
//! ISA        the instruction set, as `FUSED_DENSE_ISA` takes it
//! shim       isa::ISA::OPERATION::<ROWS, COLS …>      isa::avx512::chain::<14, 1, true>
//! ```
//!
//! The shim counts columns in vectors where vectors run along them. What it says besides of a chain tile changes how operands
//! are read: `MASKED_B` and, with `chain_prefetching` for `chain`, memory asked for ahead.
//!
//! An address that is accessed, with nothing between, is formed by `add`: it lies inside its operand by the caller's promise.
//! Any other is formed by `wrapping_add`, since it may lie nowhere: a sum without terms has operands without elements, and
//! behind the last tile, row or term comes none.

use crate::simd::{Element, MAX_LANES, Simd};
use core::fmt;

pub(crate) mod axpyf;
pub(crate) mod chain;
pub(crate) mod column_sums;
pub(crate) mod cross_entropy;
pub(crate) mod dot;
pub(crate) mod dots_by_parts;
pub(crate) mod elementwise;
pub(crate) mod extent;
pub(crate) mod narrow;
mod operands;
pub(crate) mod outer;
pub(crate) mod pack;
pub(crate) mod short_dots;
pub(crate) mod softmax;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod trace;
pub(crate) mod update;

pub(crate) use operands::{Finish, Sink, Source, Start};

/// Elements of a row that are read in one go where it comes from the outer caches: 1 KiB.
///
/// Cores that watch by which steps a load instruction moves on fetch too much ahead of one that goes by cache lines, or by
/// rows, and are busy with that; by steps of 1 KiB, the operand comes from the second-level cache a quarter faster.
pub(crate) const STRETCH: usize = 256;

/// As many of the first number as any vector has lanes, and as many of the second: a vector that begins `n` lanes before the second
/// holds `n` of the first number.
const fn one_then_other(first: f32, second: f32) -> [f32; 2 * MAX_LANES] {
    let mut numbers = [first; 2 * MAX_LANES];
    let mut i = MAX_LANES;
    while i < numbers.len() {
        numbers[i] = second;
        i += 1;
    }
    numbers
}

/// Elements from `p` on before the first vector that crosses no cache line, nor does any behind it; none where access
/// cannot be masked, and vectors are too narrow to cross many.
#[inline(always)]
pub(crate) fn head<S: Simd, E: Element>(p: *const E) -> usize {
    let elements = p as usize / size_of::<E>();
    if S::HAS_MASKS { elements.wrapping_neg() & (S::LANES - 1) } else { 0 }
}

/// The operations that products are computed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Chain,
    Dots,
    DotsByParts,
    ShortDots,
    Axpyf,
    Quads,
    Outer,
}

/// A kernel's name, by the grammar above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) operation: Operation,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) isa: &'static str,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match self.operation {
            Operation::Chain => "chain",
            Operation::Dots => "dots",
            Operation::DotsByParts => "dotparts",
            Operation::ShortDots => "shortdots",
            Operation::Axpyf => "axpyf",
            Operation::Quads => "quads",
            Operation::Outer => "outer",
        };
        write!(f, "f32-{operation}-{}x{}-{}", self.rows, self.cols, self.isa)
    }
}
