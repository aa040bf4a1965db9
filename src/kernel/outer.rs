//! The outer-product kernel: sums of one term or few, where writing the output is most of the work.
//!
//! ```text
//! for each row i
//!     for each vector of columns
//!         s = 0
//!         for each term p:  s = fma(a[i, p], b[p], s)
//!         c[i] = scale · s, or fma(weight, scale · s, c[i])
//! ```
//!
//! The output is written in one stream from end to end, row by row. Where the right operand is longer than eight vectors,
//! which stay in registers, it comes from the first-level cache again for each row, and whole vectors stand on the cache
//! lines of the output's rows.

use super::{Finish, Sink, Source, head};
use crate::simd::Simd;

/// Vectors that one turn of the loop along a row writes: how far the loop is unrolled.
const STRIP: usize = 8;

/// Most terms of a sum: each number of them has code of its own.
pub(crate) const MAX_TERMS: usize = 4;

/// An outer product of `rows × cols`, or the sum of a few.
pub(crate) struct Outer {
    /// Terms, `1 ..= MAX_TERMS`.
    pub(crate) depth: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Whether a row's first vector is cut where the next begins on a cache line.
    pub(crate) is_aligned: bool,
    /// Left operand: columns are terms.
    pub(crate) a: Source,
    /// Right operand: rows are terms, contiguous.
    pub(crate) b: Source,
    /// Output, whose rows are contiguous.
    pub(crate) c: Sink,
    pub(crate) finish: Finish,
}

/// Computes an outer product.
///
/// # Safety
/// `a` must be readable at `rows × depth` places, `b` at `depth × cols`, `c` writable (with `add` readable) at `rows × cols` places; `c`
/// overlaps neither.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise.
    unsafe { if outer.finish.add { outer_to::<S, true>(simd, outer) } else { outer_to::<S, false>(simd, outer) } }
}

/// An outer product, added to the output or not.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn outer_to<S: Simd, const ADD: bool>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise; terms and vectors of columns are as many as each arm says.
    unsafe {
        match outer.depth {
            1 => {}
            2 => return broad::<S, 2, ADD>(simd, outer),
            3 => return broad::<S, 3, ADD>(simd, outer),
            _ => return broad::<S, 4, ADD>(simd, outer),
        }
        match outer.cols.div_ceil(S::LANES) {
            1 => narrow::<S, 1, ADD>(simd, outer),
            2 => narrow::<S, 2, ADD>(simd, outer),
            3 => narrow::<S, 3, ADD>(simd, outer),
            4 => narrow::<S, 4, ADD>(simd, outer),
            5 => narrow::<S, 5, ADD>(simd, outer),
            6 => narrow::<S, 6, ADD>(simd, outer),
            7 => narrow::<S, 7, ADD>(simd, outer),
            8 => narrow::<S, 8, ADD>(simd, outer),
            _ => broad::<S, 1, ADD>(simd, outer),
        }
    }
}

/// Sums of one term, of `N` vectors of columns, of which the last may be cut short.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn narrow<S: Simd, const N: usize, const ADD: bool>(simd: S, outer: &Outer) {
    let last = (N - 1) * S::LANES;
    let tail = simd.tail(outer.cols - last);
    let (scale, weight) = (simd.splat(outer.finish.scale), simd.splat(outer.finish.weight));
    // SAFETY: i < rows; all vectors but the last, cut to its columns, are whole.
    unsafe {
        let mut b = [simd.splat(0.0); N];
        for v in 0..N {
            let at = outer.b.ptr.add(v * S::LANES);
            b[v] = if v == N - 1 { simd.load_tail(at, tail) } else { simd.load(at) };
        }
        for i in 0..outer.rows {
            let a = simd.splat(*outer.a.ptr.add(i * outer.a.row_stride));
            let c = outer.c.ptr.add(i * outer.c.row_stride);
            for v in 0..N {
                let (at, is_last) = (c.add(v * S::LANES), v == N - 1);
                let scaled = simd.mul(scale, simd.mul_add(a, b[v], simd.splat(0.0)));
                let value = match (ADD, is_last) {
                    (false, _) => scaled,
                    (true, false) => simd.mul_add(weight, scaled, simd.load(at)),
                    (true, true) => simd.mul_add(weight, scaled, simd.load_tail(at, tail)),
                };
                if is_last { simd.store_tail(at, value, tail) } else { simd.store(at, value) }
            }
        }
    }
}

/// Sums of `K` terms, of any width.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn broad<S: Simd, const K: usize, const ADD: bool>(simd: S, outer: &Outer) {
    let (scale, weight) = (simd.splat(outer.finish.scale), simd.splat(outer.finish.weight));
    for i in 0..outer.rows {
        // SAFETY: i < rows; a row's vectors lie below `cols`, or are cut to what is left of it.
        unsafe {
            let mut a = [scale; K];
            for p in 0..K {
                a[p] = simd.splat(*outer.a.ptr.add(i * outer.a.row_stride + p * outer.a.col_stride));
            }
            let row = Row::<S, K, ADD> { a, outer, c: outer.c.ptr.add(i * outer.c.row_stride), scale, weight };
            // Where nothing is added, what is left over may be written again with its neighbours, which takes no mask.
            let overlaps = !ADD && outer.cols >= S::LANES;
            let mut j = 0;
            if outer.is_aligned {
                j = head::<S, _>(row.c.cast_const()).min(outer.cols);
                if j > 0 {
                    if overlaps { row.whole(simd, 0) } else { row.cut(simd, 0, j) }
                }
            }
            while outer.cols - j >= STRIP * S::LANES {
                for v in 0..STRIP {
                    row.whole(simd, j + v * S::LANES);
                }
                j += STRIP * S::LANES;
            }
            while outer.cols - j >= S::LANES {
                row.whole(simd, j);
                j += S::LANES;
            }
            if j < outer.cols {
                if overlaps { row.whole(simd, outer.cols - S::LANES) } else { row.cut(simd, j, outer.cols - j) }
            }
        }
    }
}

/// One row of the output.
struct Row<'o, S: Simd, const K: usize, const ADD: bool> {
    a: [S::V; K],
    outer: &'o Outer,
    c: *mut f32,
    scale: S::V,
    weight: S::V,
}

impl<S: Simd, const K: usize, const ADD: bool> Row<'_, S, K, ADD> {
    /// A vector of columns from `j` on.
    ///
    /// # Safety
    /// As [`outer`], for these columns.
    #[inline(always)]
    unsafe fn whole(&self, simd: S, j: usize) {
        let mut sum = simd.splat(0.0);
        // SAFETY: the caller's promise, and p < K.
        unsafe {
            for p in 0..K {
                sum = simd.mul_add(self.a[p], simd.load(self.outer.b.ptr.add(p * self.outer.b.row_stride + j)), sum);
            }
            let c = self.c.add(j);
            let scaled = simd.mul(self.scale, sum);
            simd.store(c, if ADD { simd.mul_add(self.weight, scaled, simd.load(c)) } else { scaled });
        }
    }

    /// `count` columns from `j` on, fewer than a vector.
    ///
    /// # Safety
    /// As [`outer`], for these columns.
    #[inline(always)]
    unsafe fn cut(&self, simd: S, j: usize, count: usize) {
        let tail = simd.tail(count);
        let mut sum = simd.splat(0.0);
        // SAFETY: the caller's promise, and p < K.
        unsafe {
            for p in 0..K {
                let b = simd.load_tail(self.outer.b.ptr.add(p * self.outer.b.row_stride + j), tail);
                sum = simd.mul_add(self.a[p], b, sum);
            }
            let c = self.c.add(j);
            let scaled = simd.mul(self.scale, sum);
            let value = if ADD { simd.mul_add(self.weight, scaled, simd.load_tail(c, tail)) } else { scaled };
            simd.store_tail(c, value, tail);
        }
    }
}
