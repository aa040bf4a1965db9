//! The outer-product kernel: a sum of one term, where writing the output is all the work.
//!
//! ```text
//! for each row i
//!     for each vector of columns
//!         c[i] = scale · fma(a[i], b, 0), or fma(scale, fma(a[i], b, 0), c[i])
//! ```
//!
//! The right operand comes from the first-level cache again for each row, so that the output is written in one stream
//! from end to end; whole vectors stand on the cache lines of its rows.

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
    unsafe { if outer.add { rows::<S, true>(simd, outer) } else { rows::<S, false>(simd, outer) } }
}

/// All rows, added to the output or not.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn rows<S: Simd, const ADD: bool>(simd: S, outer: &Outer) {
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
