//! A few rows of dot products over columns from the second-level cache, from several parts of them side by side.
//!
//! ```text
//! for j in 0..cols / PARTS
//!     acc[MR][PARTS] = sixteen zeros each
//!     for p in 0..depth step 16, padded with zeros
//!         acc[i][part] = fma(a[i, p..p+16], b[p..p+16, j + part · cols / PARTS], acc[i][part])
//!     c[i, j + part · cols / PARTS] = bias + fold(acc[i][part]), scaled and added as the call says
//! ```
//!
//! A core that watches by which steps a load instruction moves on fetches ahead for it. Each load of the unrolled loop goes through one
//! part by steps of a KiB, from its first column to its last; in a tile of several columns, it would jump behind every few of them.
//! Neighbouring columns side by side would make it jump over one each time. A column's multiply-adds wait for each other: several sums
//! at once hide a part of their latency, and the next columns' the rest.

use super::dot::{
    DotColumns, DotTile, Reach, before_line, can_be_interleaved, finish, finish_interleaved, from_term, step,
    terms_before_line,
};
use super::{STRETCH, Source};
use crate::simd::{Element, Simd};
use crate::summation::SUM_LANES;

/// Terms that the loop takes at a time where that leaves fewer over: a vector less.
const SHORT_STRETCH: usize = STRETCH - SUM_LANES;

/// Computes `MR` rows of dot products, each accumulated in `H` vectors of together sixteen lanes, and folded `FOLDED` at a time.
///
/// # Safety
/// As [`dot_tile`](super::dot::dot_tile), for `MR` rows and `cols` columns.
#[inline(always)]
pub(crate) unsafe fn dots_by_parts<
    S: Simd,
    E: Element,
    const H: usize,
    const FOLDED: usize,
    const MR: usize,
    const PARTS: usize,
>(
    simd: S,
    row: &DotColumns<E>,
) {
    let cut = terms_before_line::<S, E, 1, 1>(&row.first);
    let terms = row.first.depth - cut;
    let is_shorter = terms % SHORT_STRETCH / SUM_LANES < terms % STRETCH / SUM_LANES;
    // SAFETY: the caller's promise.
    unsafe {
        match is_shorter {
            true => by_stretches::<S, E, H, FOLDED, MR, PARTS, SHORT_STRETCH>(simd, row, cut),
            false => by_stretches::<S, E, H, FOLDED, MR, PARTS, STRETCH>(simd, row, cut),
        }
    }
}

/// All columns, `LEN` terms at a time.
///
/// # Safety
/// As [`dots_by_parts`]; `cut` is [`terms_before_line`].
#[inline(always)]
unsafe fn by_stretches<
    S: Simd,
    E: Element,
    const H: usize,
    const FOLDED: usize,
    const MR: usize,
    const PARTS: usize,
    const LEN: usize,
>(
    simd: S,
    row: &DotColumns<E>,
    cut: usize,
) {
    let part = row.cols / PARTS;
    let done = part * PARTS;
    // SAFETY: the caller's promise; the columns behind the parts are fewer than there are parts.
    unsafe {
        parts::<S, E, H, FOLDED, LEN, MR, PARTS>(simd, &row.first, cut, 0, part);
        parts::<S, E, H, FOLDED, LEN, MR, 1>(simd, &row.first, cut, done, row.cols - done);
    }
}

/// `N` parts of `cols` columns each, from column `from` on.
///
/// # Safety
/// As [`by_stretches`], for these columns.
#[inline(always)]
unsafe fn parts<
    S: Simd,
    E: Element,
    const H: usize,
    const FOLDED: usize,
    const LEN: usize,
    const MR: usize,
    const N: usize,
>(
    simd: S,
    first: &DotTile<E>,
    cut: usize,
    from: usize,
    cols: usize,
) {
    let stride = first.b.col_stride;
    let ptr = first.b.ptr.wrapping_add(from.wrapping_mul(stride));
    let mut side_by_side = DotTile { b: Source { ptr, col_stride: cols.wrapping_mul(stride), ..first.b }, ..*first };
    let mut sums = [[[[simd.splat(0.0); H]; FOLDED]; MR]; N];
    let mut j = 0;
    while j < cols {
        let count = if cols - j < FOLDED { cols - j } else { FOLDED };
        for s in 0..count {
            // SAFETY: the caller's promise; these are column `from + j + s` and its like in the other parts.
            let sum = unsafe { sums_of_terms::<S, E, H, LEN, MR, N>(simd, &side_by_side, cut) };
            for part in 0..N {
                for i in 0..MR {
                    sums[part][i][s] = sum[i][part];
                }
            }
            // Behind the last column this may leave the operand's memory; wrapping arithmetic makes no claim to stay inside.
            side_by_side.b.ptr = side_by_side.b.ptr.wrapping_add(stride);
        }
        for part in 0..N {
            let at = from + part * cols + j;
            if can_be_interleaved(MR, FOLDED) && first.is_interleaved {
                // SAFETY: the caller's promise; the part has as many columns from there on.
                unsafe { finish_interleaved::<S, E, MR, FOLDED, H, FOLDED>(simd, first, at, &sums[part], count) };
                continue;
            }
            let mut folded = [simd.splat(0.0); MR];
            for i in 0..MR {
                folded[i] = simd.fold(sums[part][i]);
            }
            // SAFETY: the caller's promise; the part has as many columns from there on.
            unsafe { finish::<S, E, MR, FOLDED>(simd, first, at, folded, count) };
        }
        j += FOLDED;
    }
}

/// All terms of a column of each part.
///
/// # Safety
/// As [`parts`], for these columns, which are the tile's.
#[inline(always)]
unsafe fn sums_of_terms<S: Simd, E: Element, const H: usize, const LEN: usize, const MR: usize, const N: usize>(
    simd: S,
    tile: &DotTile<E>,
    cut: usize,
) -> [[[S::V; H]; N]; MR] {
    let mut acc = [[[simd.splat(0.0); H]; N]; MR];
    // SAFETY: the caller's promise; p < depth.
    unsafe {
        before_line::<S, E, MR, N, H>(simd, tile, cut, &mut acc);
        let mut p = cut;
        while tile.depth - p >= LEN {
            // Written out, because a compiler may not unroll so long a loop, and the accumulators would leave their registers.
            quarter::<S, E, H, LEN, MR, N>(simd, tile, p, 0, &mut acc);
            quarter::<S, E, H, LEN, MR, N>(simd, tile, p, 1, &mut acc);
            quarter::<S, E, H, LEN, MR, N>(simd, tile, p, 2, &mut acc);
            quarter::<S, E, H, LEN, MR, N>(simd, tile, p, 3, &mut acc);
            p += LEN;
        }
        from_term::<S, E, MR, N, H>(simd, tile, cut, p, &mut acc);
    }
    acc
}

/// The terms of a quarter of a stretch of `LEN` terms, as far as there are.
///
/// # Safety
/// As [`sums_of_terms`], for the terms from `p` on.
#[inline(always)]
unsafe fn quarter<S: Simd, E: Element, const H: usize, const LEN: usize, const MR: usize, const N: usize>(
    simd: S,
    tile: &DotTile<E>,
    p: usize,
    index: usize,
    acc: &mut [[[S::V; H]; N]; MR],
) {
    for vector in 0..STRETCH / SUM_LANES / 4 {
        let at = (index * (STRETCH / SUM_LANES / 4) + vector) * SUM_LANES;
        if at < LEN {
            // SAFETY: the caller's promise.
            unsafe { step::<S, E, MR, N, H>(simd, tile, p + at, acc, Reach::Whole) };
        }
    }
}
