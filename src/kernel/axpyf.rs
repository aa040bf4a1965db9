//! The fused-axpy kernel (the BLIS framework's `axpyf`): one row of the output of a chain product.
//!
//! ```text
//! for each group of terms of the block, ascending
//!     for each strip of columns
//!         s = start, or zero, in the block's first group, else sums
//!         for each term p of the group, ascending:  s = fma(broadcast a[p], b[p], s)
//!         c = scale · s, or fma(weight, scale · s, c), in the block's last group, else sums = s
//! ```
//!
//! A tile keeps its sums in registers for all terms and so reads the right operand in columns of short pieces, of which
//! each lies in another place, for wide matrices on another page. That is best where the operand stays in the first-level
//! cache: one group. From the outer caches come long stretches of few rows, and the sums stand in the first-level cache in
//! between. Strips begin on the cache lines of the operand's rows. The order of every sum is the same.
//!
//! A short row has too few sums to hide the latency of a multiply-add. Of a long sum several blocks are then computed side by
//! side, and added to each other in their order.

use super::{Finish, STRETCH, Sink, Source, Start, head};
use crate::simd::{Element, Simd};

/// One block of the sums of one row, or several.
pub(crate) struct Axpyf<E = f32> {
    /// Length of a block of the sum.
    pub(crate) depth: usize,
    /// Blocks side by side, one behind the other in the sum: 1, 2 or 4, and at most what [`side_by_side`] returns.
    pub(crate) blocks: usize,
    /// Terms in a group, at least 1.
    pub(crate) group: usize,
    pub(crate) cols: usize,
    /// Whether a row's first vector is cut where the next begins on a cache line: of use where all rows begin alike.
    pub(crate) is_aligned: bool,
    /// Left operand: a row, whose columns are terms.
    pub(crate) a: Source,
    /// Right operand: rows are terms, contiguous.
    pub(crate) b: Source<E>,
    /// Room for `cols` sums; not used where there is one group.
    pub(crate) sums: *mut f32,
    /// Output: a row, contiguous.
    pub(crate) c: Sink,
    /// The first value of the first block's sums.
    pub(crate) start: Start,
    /// Of the first block.
    pub(crate) finish: Finish,
}

/// The most blocks that can be computed side by side of a row of so many vectors, on an instruction set of so many registers:
/// a power of two.
pub(crate) fn side_by_side(vectors: usize, registers: usize) -> usize {
    match vectors {
        1..=4 if vectors * MOST_BLOCKS < registers => MOST_BLOCKS,
        1..=WIDEST_REST if vectors * 2 < registers => 2,
        _ => 1,
    }
}

/// Most blocks side by side: sums that hide the latency of a multiply-add, of one vector.
const MOST_BLOCKS: usize = 4;

/// Terms that are written out one behind the other, and the best group for an operand from the outer caches: four take 5 %
/// longer there. The loop is written out for this number.
pub(crate) const TERMS: usize = 8;

/// Computes the sums of one row, in strips of `NV` vectors.
///
/// # Safety
/// - `a` is readable at `blocks · depth ≥ 1` places, `b` at as many rows of `cols`, the bias as [`Start`] says;
/// - with several blocks, [`side_by_side`] returns at least as many for this row;
/// - `sums` and `c` are writable at `cols` places, `c` readable too with `add`; neither overlaps anything else.
#[inline(always)]
pub(crate) unsafe fn axpyf<S: Simd, E: Element, const NV: usize>(simd: S, row: &Axpyf<E>) {
    const { assert!(NV * S::LANES == STRETCH || 4 * NV * S::LANES == STRETCH) };
    if row.blocks > 1 {
        // SAFETY: the caller's promise.
        return unsafe { several_blocks(simd, row) };
    }
    let head = if row.is_aligned { head::<S, E>(row.b.ptr).min(row.cols) } else { 0 };
    let whole = simd.tail(S::LANES);
    let mut p = 0;
    while p < row.depth {
        let terms = (p, row.depth.min(p + row.group));
        let mut j = head;
        // SAFETY: the terms lie inside the block; whole vectors of columns lie inside the operands, and cut ones end with
        // the head or the row.
        unsafe {
            if head > 0 {
                strip::<S, E, 1, 1, true>(simd, row, terms, 0, simd.tail(head));
            }
            while row.cols - j >= STRETCH {
                // Written out, because each load had better be an instruction of its own.
                let width = NV * S::LANES;
                strip::<S, E, NV, 1, false>(simd, row, terms, j, whole);
                if width < STRETCH {
                    strip::<S, E, NV, 1, false>(simd, row, terms, j + width, whole);
                    strip::<S, E, NV, 1, false>(simd, row, terms, j + 2 * width, whole);
                    strip::<S, E, NV, 1, false>(simd, row, terms, j + 3 * width, whole);
                }
                j += STRETCH;
            }
            // Two equal strips wait less for their chains than a wide and a narrow one.
            let mut vectors = (row.cols - j).div_ceil(S::LANES);
            while vectors > 0 {
                let n = if vectors > WIDEST_REST { vectors.div_ceil(2).min(WIDEST_REST) } else { vectors };
                let last = S::LANES.min(row.cols - j - (n - 1) * S::LANES);
                rest::<S, E, 1>(simd, row, terms, j, n, simd.tail(last));
                j += n * S::LANES;
                vectors -= n;
            }
        }
        p = terms.1;
    }
}

/// Vectors of the widest strip among those that are left over: [`rest`] has an arm for each width.
const WIDEST_REST: usize = 8;

/// Several blocks of a row of at most [`WIDEST_REST`] vectors, side by side.
///
/// # Safety
/// As [`axpyf`], for more blocks than one.
#[inline(always)]
unsafe fn several_blocks<S: Simd, E: Element>(simd: S, row: &Axpyf<E>) {
    let vectors = row.cols.div_ceil(S::LANES);
    let tail = simd.tail(row.cols + S::LANES - vectors * S::LANES);
    // SAFETY: the caller's promise; these are all columns, of as few vectors as the blocks allow.
    unsafe {
        match row.blocks {
            MOST_BLOCKS => rest::<S, E, MOST_BLOCKS>(simd, row, (0, row.depth), 0, vectors, tail),
            _ => rest::<S, E, 2>(simd, row, (0, row.depth), 0, vectors, tail),
        }
    }
}

/// A strip of `n` vectors of `B` blocks, `1 ≤ n ≤ WIDEST_REST`; of the most blocks, at most four vectors.
///
/// # Safety
/// As [`strip`].
#[inline(always)]
unsafe fn rest<S: Simd, E: Element, const B: usize>(
    simd: S,
    row: &Axpyf<E>,
    terms: (usize, usize),
    j: usize,
    n: usize,
    tail: S::Tail,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match n {
            1 => strip::<S, E, 1, B, true>(simd, row, terms, j, tail),
            2 => strip::<S, E, 2, B, true>(simd, row, terms, j, tail),
            3 => strip::<S, E, 3, B, true>(simd, row, terms, j, tail),
            5 if B < MOST_BLOCKS => strip::<S, E, 5, B, true>(simd, row, terms, j, tail),
            6 if B < MOST_BLOCKS => strip::<S, E, 6, B, true>(simd, row, terms, j, tail),
            7 if B < MOST_BLOCKS => strip::<S, E, 7, B, true>(simd, row, terms, j, tail),
            8 if B < MOST_BLOCKS => strip::<S, E, 8, B, true>(simd, row, terms, j, tail),
            _ => strip::<S, E, 4, B, true>(simd, row, terms, j, tail),
        }
    }
}

/// Terms `first..end` of each of `B` blocks of the sums of `N` vectors of columns from `j` on, the last `CUT` to the tail.
///
/// # Safety
/// As [`axpyf`], for terms inside a block and columns inside the row; the call has `B` blocks.
#[inline(always)]
unsafe fn strip<S: Simd, E: Element, const N: usize, const B: usize, const CUT: bool>(
    simd: S,
    row: &Axpyf<E>,
    (first, end): (usize, usize),
    j: usize,
    tail: S::Tail,
) {
    let mut s = [[simd.splat(0.0); N]; B];
    // SAFETY: the caller's promise.
    unsafe {
        match (first, row.start) {
            (0, Start::Zero) => {}
            (0, Start::Columns(bias)) => load::<S, _, N, CUT>(simd, bias.add(j), tail, &mut s[0]),
            (0, Start::Rows(bias)) => s[0] = [simd.splat(*bias); N],
            _ => load::<S, _, N, CUT>(simd, row.sums.add(j), tail, &mut s[0]),
        }
        let mut p = first;
        while end - p >= TERMS {
            for t in 0..TERMS {
                term::<S, E, N, B, CUT>(simd, row, p + t, j, tail, &mut s);
            }
            p += TERMS;
        }
        while p < end {
            term::<S, E, N, B, CUT>(simd, row, p, j, tail, &mut s);
            p += 1;
        }
        if end < row.depth {
            store::<S, N, CUT>(simd, row.sums.add(j), tail, &s[0]);
            return;
        }
        let c = row.c.ptr.add(j);
        let mut totals = [simd.splat(0.0); N];
        if row.finish.add {
            load::<S, _, N, CUT>(simd, c, tail, &mut totals);
        }
        for block in 0..B {
            let finish = if block == 0 { row.finish } else { row.finish.of_next_block() };
            let (scale, weight) = (simd.splat(finish.scale), simd.splat(finish.weight));
            for v in 0..N {
                let scaled = simd.mul(scale, s[block][v]);
                totals[v] = if finish.add { simd.mul_add(weight, scaled, totals[v]) } else { scaled };
            }
        }
        store::<S, N, CUT>(simd, c, tail, &totals);
    }
}

/// One more term of the sums of a strip, of each block.
///
/// # Safety
/// As [`strip`].
#[inline(always)]
unsafe fn term<S: Simd, E: Element, const N: usize, const B: usize, const CUT: bool>(
    simd: S,
    row: &Axpyf<E>,
    p: usize,
    j: usize,
    tail: S::Tail,
    s: &mut [[S::V; N]; B],
) {
    for block in 0..B {
        // SAFETY: the caller's promise.
        unsafe {
            let p = p + block * row.depth;
            let a = simd.splat(*row.a.ptr.add(p * row.a.col_stride));
            let mut b = [simd.splat(0.0); N];
            load::<S, _, N, CUT>(simd, row.b.ptr.add(p * row.b.row_stride + j), tail, &mut b);
            for v in 0..N {
                s[block][v] = simd.mul_add(a, b[v], s[block][v]);
            }
        }
    }
}

/// `N` vectors, the last `CUT` to the tail.
///
/// # Safety
/// That many elements must be readable.
#[inline(always)]
unsafe fn load<S: Simd, E: Element, const N: usize, const CUT: bool>(
    simd: S,
    p: *const E,
    tail: S::Tail,
    to: &mut [S::V; N],
) {
    for v in 0..N {
        // SAFETY: the caller's promise.
        unsafe {
            let at = p.add(v * S::LANES);
            to[v] = if CUT && v == N - 1 { E::load_tail(simd, at, tail) } else { E::load(simd, at) };
        }
    }
}

/// `N` vectors, the last `CUT` to the tail.
///
/// # Safety
/// That many elements must be writable.
#[inline(always)]
unsafe fn store<S: Simd, const N: usize, const CUT: bool>(simd: S, p: *mut f32, tail: S::Tail, from: &[S::V; N]) {
    for v in 0..N {
        // SAFETY: the caller's promise.
        unsafe {
            let at = p.add(v * S::LANES);
            if CUT && v == N - 1 { simd.store_tail(at, from[v], tail) } else { simd.store(at, from[v]) }
        }
    }
}
