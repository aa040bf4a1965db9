//! The outer-product kernel: a sum of one term, where writing the output is all the work.
//!
//! ```text
//! for each row i
//!     for each vector of columns
//!         c[i] = scale · fma(a[i], b, 0), or fma(scale, fma(a[i], b, 0), c[i])
//! ```
//!
//! The output is written in one stream from end to end, row by row. Where the right operand is longer than eight vectors,
//! which stay in registers, it comes from the first-level cache again for each row, and whole vectors stand on the cache
//! lines of the output's rows.

use super::head;
use crate::simd::Simd;

/// Columns from which on it pays to cut a row's first vector where the next begins on a cache line.
const ALIGNED_MIN_COLS: usize = 64;

/// Vectors that one turn of the loop along a row writes.
const STRIP: usize = 8;

/// An outer product of `rows × cols`.
pub(crate) struct Outer {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Left operand: element `i` at `i · a_stride`.
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    /// Right operand: `cols` contiguous elements.
    pub(crate) b: *const f32,
    /// Output: element `(i, j)` at `i · c_row_stride + j`.
    pub(crate) c: *mut f32,
    pub(crate) c_row_stride: usize,
    pub(crate) scale: f32,
    /// Whether to add to the output; where not, the output is never read.
    pub(crate) add: bool,
}

/// Computes an outer product.
///
/// # Safety
/// `a` must be readable at `rows` places, `b` at `cols`, `c` writable (with `add` readable) at `rows × cols` places; `c`
/// overlaps neither.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise.
    unsafe { if outer.add { outer_to::<S, true>(simd, outer) } else { outer_to::<S, false>(simd, outer) } }
}

/// An outer product, added to the output or not.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn outer_to<S: Simd, const ADD: bool>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise; the columns are as many vectors as each arm says.
    unsafe {
        match outer.cols.div_ceil(S::LANES) {
            1 => narrow::<S, 1, ADD>(simd, outer),
            2 => narrow::<S, 2, ADD>(simd, outer),
            3 => narrow::<S, 3, ADD>(simd, outer),
            4 => narrow::<S, 4, ADD>(simd, outer),
            5 => narrow::<S, 5, ADD>(simd, outer),
            6 => narrow::<S, 6, ADD>(simd, outer),
            7 => narrow::<S, 7, ADD>(simd, outer),
            8 => narrow::<S, 8, ADD>(simd, outer),
            _ => broad::<S, ADD>(simd, outer),
        }
    }
}

/// An outer product of `N` vectors of columns, of which the last may be cut short.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn narrow<S: Simd, const N: usize, const ADD: bool>(simd: S, outer: &Outer) {
    let last = (N - 1) * S::LANES;
    let tail = simd.tail(outer.cols - last);
    let scale = simd.splat(outer.scale);
    // SAFETY: i < rows; all vectors but the last, cut to its columns, are whole.
    unsafe {
        let mut b = [simd.splat(0.0); N];
        for v in 0..N {
            let at = outer.b.add(v * S::LANES);
            b[v] = if v == N - 1 { simd.load_tail(at, tail) } else { simd.load(at) };
        }
        for i in 0..outer.rows {
            let a = simd.splat(*outer.a.add(i * outer.a_stride));
            let row = Row::<S, ADD> { a, b: outer.b, c: outer.c.add(i * outer.c_row_stride), scale };
            for v in 0..N - 1 {
                let c = row.c.add(v * S::LANES);
                let old = if ADD { simd.load(c) } else { simd.splat(0.0) };
                simd.store(c, row.value(simd, b[v], old));
            }
            let c = row.c.add(last);
            let old = if ADD { simd.load_tail(c, tail) } else { simd.splat(0.0) };
            simd.store_tail(c, row.value(simd, b[N - 1], old), tail);
        }
    }
}

/// An outer product of any width.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn broad<S: Simd, const ADD: bool>(simd: S, outer: &Outer) {
    let scale = simd.splat(outer.scale);
    for i in 0..outer.rows {
        // SAFETY: i < rows; a row's vectors lie below `cols`, or are cut to what is left of it.
        unsafe {
            let a = simd.splat(*outer.a.add(i * outer.a_stride));
            let row = Row::<S, ADD> { a, b: outer.b, c: outer.c.add(i * outer.c_row_stride), scale };
            // Where nothing is added, what is left over may be written again with its neighbours, which takes no mask.
            let overlaps = !ADD && outer.cols >= S::LANES;
            let mut j = 0;
            if outer.cols >= ALIGNED_MIN_COLS {
                j = head::<S>(row.c);
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
struct Row<S: Simd, const ADD: bool> {
    a: S::V,
    b: *const f32,
    c: *mut f32,
    scale: S::V,
}

impl<S: Simd, const ADD: bool> Row<S, ADD> {
    /// A vector of columns from `j` on.
    ///
    /// # Safety
    /// As [`outer`], for these columns.
    #[inline(always)]
    unsafe fn whole(&self, simd: S, j: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let c = self.c.add(j);
            let old = if ADD { simd.load(c) } else { simd.splat(0.0) };
            simd.store(c, self.value(simd, simd.load(self.b.add(j)), old));
        }
    }

    /// `count` columns from `j` on, fewer than a vector.
    ///
    /// # Safety
    /// As [`outer`], for these columns.
    #[inline(always)]
    unsafe fn cut(&self, simd: S, j: usize, count: usize) {
        let tail = simd.tail(count);
        // SAFETY: the caller's promise.
        unsafe {
            let c = self.c.add(j);
            let old = if ADD { simd.load_tail(c, tail) } else { simd.splat(0.0) };
            simd.store_tail(c, self.value(simd, simd.load_tail(self.b.add(j), tail), old), tail);
        }
    }

    #[inline(always)]
    fn value(&self, simd: S, b: S::V, old: S::V) -> S::V {
        let product = simd.mul_add(self.a, b, simd.splat(0.0));
        if ADD { simd.mul_add(self.scale, product, old) } else { simd.mul(self.scale, product) }
    }
}
