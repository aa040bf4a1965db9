//! Decides how a matrix product is computed: a pure function of shape, strides, instruction set and threads, and the
//! only place that decides.

use crate::isa::Kernels;
use crate::summation::Summation;
use core::ops::Range;

/// What a plan for one product looks at: `c` is `m × n`, its sums have `k` terms; strides are `(row, column)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductShape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a_strides: (usize, usize),
    pub(crate) b_strides: (usize, usize),
    pub(crate) c_strides: (usize, usize),
    pub(crate) z_strides: Option<(usize, usize)>,
}

impl ProductShape {
    /// The shape of the transposed product `cᵀ = bᵀ · aᵀ`.
    pub(crate) fn transposed(&self) -> Self {
        let flip = |(row, col): (usize, usize)| (col, row);
        Self {
            m: self.n,
            n: self.m,
            k: self.k,
            a_strides: flip(self.b_strides),
            b_strides: flip(self.a_strides),
            c_strides: flip(self.c_strides),
            z_strides: self.z_strides.map(flip),
        }
    }

    fn has_contiguous_rows(&self) -> bool {
        self.c_strides.1 == 1 && self.z_strides.is_none_or(|z| z.1 == 1)
    }
}

/// How the right operand's panels reach the chain kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Read in place: the columns are contiguous.
    InPlace,
    /// Copied into a panel, or gathered where the columns are not contiguous.
    Copy,
    /// Transposed into a panel: the operand is contiguous along the sum.
    Transpose,
}

/// How one product is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strategy {
    /// `Chain` or `Lanes`.
    pub(crate) summation: Summation,
    /// Whether the transposed problem is computed instead.
    pub(crate) transposed: bool,
    pub(crate) packing: Packing,
    /// Whether tiles are computed in scratch memory and scattered, because the output's rows are not contiguous.
    pub(crate) scattered: bool,
}

/// Rows of the left operand from which on packing the right one costs less than reading it in place at 256 bits and
/// fewer, where power-of-two strides alias in the first-level cache.
const PACK_MIN_ROWS: usize = 32;

/// Decides for one product.
pub(crate) fn strategy(kernels: &Kernels, shape: &ProductShape, summation: Summation) -> Strategy {
    if summation == Summation::Lanes {
        return Strategy { summation, transposed: false, packing: Packing::InPlace, scattered: false };
    }
    let flipped = shape.transposed();
    let transposed = !shape.has_contiguous_rows() && flipped.has_contiguous_rows();
    let chosen = if transposed { &flipped } else { shape };
    let packing = match chosen.b_strides {
        (_, 1) if kernels.masked_loads_are_free || chosen.m < PACK_MIN_ROWS => Packing::InPlace,
        (_, 1) => Packing::Copy,
        (1, _) => Packing::Transpose,
        _ => Packing::Copy,
    };
    Strategy { summation, transposed, packing, scattered: !chosen.has_contiguous_rows() }
}

/// The rectangle of an output that one worker computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) rows: Range<usize>,
    pub(crate) cols: Range<usize>,
}

/// Share `index` of `0..len` cut into `parts` nearly equal shares at multiples of `grain`.
pub(crate) fn share(len: usize, grain: usize, index: usize, parts: usize) -> Range<usize> {
    let grains = len.div_ceil(grain);
    let at = |index: usize| (grains * index / parts * grain).min(len);
    at(index)..at(index + 1)
}

/// Worker `index`'s rectangle of an `m × n` output, when `parts` share it.
///
/// Columns are cut first, so that no two workers pack the same panel; rows where there are too few columns.
pub(crate) fn part(kernels: &Kernels, m: usize, n: usize, index: usize, parts: usize) -> Part {
    if n >= parts * kernels.nr() || n >= m {
        Part { rows: 0..m, cols: share(n, kernels.lanes, index, parts) }
    } else {
        Part { rows: share(m, 1, index, parts), cols: 0..n }
    }
}

/// Multiply-adds below which a product is not worth sharing: waking a sleeping worker costs more.
const SHARE_MIN_WORK: usize = 1 << 20;

/// How many of `threads` workers a call with this many multiply-adds uses.
pub(crate) fn workers(work: usize, threads: usize) -> usize {
    threads.min(work / SHARE_MIN_WORK).max(1)
}
