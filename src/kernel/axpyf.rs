//! The fused-axpy kernel (the BLIS framework's `axpyf`): one row of the output of a chain product, for a right operand that
//! has to come from the outer caches.
//!
//! ```text
//! for each group of GROUP terms of the block, ascending
//!     for each vector of columns
//!         s = start, or zero, in the block's first group, else sums
//!         for each term p of the group, ascending:  s = fma(broadcast a[p], b[p], s)
//!         c = scale · s, or fma(scale, s, c), in the block's last group, else sums = s
//! ```
//!
//! A tile keeps its sums in registers and reads the right operand in pieces a register file wide, of which each lies in
//! another place, for wide matrices on another page; here the sums stand in the first-level cache, and whole rows are
//! read from end to end. The order of every sum is the same.

use super::chain::Start;
use crate::simd::Simd;

/// Terms that share one load and store of the sums, and rows of the right operand that are read side by side: with eight,
/// rows a page apart take 20 % longer (AVX2), with sixteen a third.
const GROUP: usize = 4;

/// One block of the sums of one row.
pub(crate) struct Axpyf {
    /// Length of this block of the sum.
    pub(crate) depth: usize,
    pub(crate) cols: usize,
    /// Left operand: element `p` at `p · a_stride`.
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    /// Right operand: element `(p, j)` at `p · b_row_stride + j`.
    pub(crate) b: *const f32,
    pub(crate) b_row_stride: usize,
    /// Room for `cols` sums.
    pub(crate) sums: *mut f32,
    /// Output: `cols` contiguous elements.
    pub(crate) c: *mut f32,
    /// What the sums begin with.
    pub(crate) start: Start,
    /// Factor of the block's sum.
    pub(crate) scale: f32,
    /// Whether to add to the output; where not, the output is never read.
    pub(crate) add: bool,
}

/// Computes one block of the sums of one row.
///
/// # Safety
/// - `a` is readable at `depth ≥ 1` places, `b` at `depth × cols`, the bias as [`Start`] says;
/// - `sums` and `c` are writable at `cols` places, `c` readable too with `add`; neither overlaps anything else.
#[inline(always)]
pub(crate) unsafe fn axpyf<S: Simd>(simd: S, row: &Axpyf) {
    let whole = row.depth - row.depth % GROUP;
    // SAFETY: the terms lie inside the block.
    unsafe {
        for p in (0..whole).step_by(GROUP) {
            group::<S, GROUP>(simd, row, p);
        }
        for p in whole..row.depth {
            group::<S, 1>(simd, row, p);
        }
    }
}

/// Terms `p..p + N` of every column's sum.
///
/// # Safety
/// As [`axpyf`], for terms inside the block.
#[inline(always)]
unsafe fn group<S: Simd, const N: usize>(simd: S, row: &Axpyf, p: usize) {
    let whole = row.cols - row.cols % S::LANES;
    // SAFETY: p + i < depth; whole vectors of columns lie inside the operands, and the tail is cut to what is left.
    unsafe {
        let mut a = [simd.splat(0.0); N];
        for i in 0..N {
            a[i] = simd.splat(*row.a.add((p + i) * row.a_stride));
        }
        let mut j = 0;
        while j < whole {
            vector::<S, N, false>(simd, row, p, j, &a, simd.tail(S::LANES));
            j += S::LANES;
        }
        if j < row.cols {
            vector::<S, N, true>(simd, row, p, j, &a, simd.tail(row.cols - j));
        }
    }
}

/// Terms `p..p + N` of the sums of one vector of columns from `j` on, `CUT` to the tail.
///
/// # Safety
/// As [`group`], for columns inside the row.
#[inline(always)]
unsafe fn vector<S: Simd, const N: usize, const CUT: bool>(
    simd: S,
    row: &Axpyf,
    p: usize,
    j: usize,
    a: &[S::V; N],
    tail: S::Tail,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let sums = row.sums.add(j);
        let mut s = match (p, row.start) {
            (0, Start::Zero) => simd.splat(0.0),
            (0, Start::Columns(bias)) => load::<S, CUT>(simd, bias.add(j), tail),
            (0, Start::Rows(bias)) => simd.splat(*bias),
            _ => load::<S, CUT>(simd, sums, tail),
        };
        for i in 0..N {
            let b = load::<S, CUT>(simd, row.b.add((p + i) * row.b_row_stride + j), tail);
            s = simd.mul_add(a[i], b, s);
        }
        if p + N < row.depth {
            store::<S, CUT>(simd, sums, s, tail);
            return;
        }
        let c = row.c.add(j);
        let scale = simd.splat(row.scale);
        let value = if row.add { simd.mul_add(scale, s, load::<S, CUT>(simd, c, tail)) } else { simd.mul(scale, s) };
        store::<S, CUT>(simd, c, value, tail);
    }
}

/// A whole vector, or one `CUT` to the tail.
///
/// # Safety
/// That many elements must be readable.
#[inline(always)]
unsafe fn load<S: Simd, const CUT: bool>(simd: S, p: *const f32, tail: S::Tail) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { if CUT { simd.load_tail(p, tail) } else { simd.load(p) } }
}

/// A whole vector, or one `CUT` to the tail.
///
/// # Safety
/// That many elements must be writable.
#[inline(always)]
unsafe fn store<S: Simd, const CUT: bool>(simd: S, p: *mut f32, v: S::V, tail: S::Tail) {
    // SAFETY: the caller's promise.
    unsafe { if CUT { simd.store_tail(p, v, tail) } else { simd.store(p, v) } }
}
