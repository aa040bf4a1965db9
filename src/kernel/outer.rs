//! The outer-product kernel: a sum of one term, where writing the output is all the work.
//!
//! ```text
//! for each group of GROUP rows
//!     for each strip of NV vectors of columns
//!         b[NV] = the strip of the right operand, kept in registers
//!         for each row i of the group
//!             c[i, strip] = scale · fma(a[i], b, 0), or fma(scale, fma(a[i], b, 0), c[i, strip])
//! ```
//!
//! Groups of rows keep the writes in a few long streams; strips down the whole matrix would visit each of its pages
//! once a strip.

use crate::simd::Simd;
use core::ops::Range;

/// Rows that share one load of a strip of the right operand.
const GROUP: usize = 8;

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

/// Computes an outer product, in strips of `NV` vectors.
///
/// # Safety
/// `a` must be readable at `rows` places, `b` at `cols`, `c` writable (with `add` readable) at `rows × cols` places; `c`
/// overlaps neither.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd, const NV: usize>(simd: S, outer: &Outer) {
    for start in (0..outer.rows).step_by(GROUP) {
        let rows = start..outer.rows.min(start + GROUP);
        let mut j = 0;
        while j < outer.cols {
            let left = outer.cols - j;
            // SAFETY: a strip's columns lie below `cols`: its vectors fit, or it is one vector cut to what is left.
            unsafe {
                if left >= NV * S::LANES {
                    strip::<S, NV>(simd, outer, rows.clone(), j, S::LANES);
                    j += NV * S::LANES;
                } else if left >= 4 * S::LANES {
                    strip::<S, 4>(simd, outer, rows.clone(), j, S::LANES);
                    j += 4 * S::LANES;
                } else {
                    strip::<S, 1>(simd, outer, rows.clone(), j, left.min(S::LANES));
                    j += S::LANES;
                }
            }
        }
    }
}

/// A strip of `NV` vectors of columns from column `j` on, the last cut to `tail` columns.
///
/// # Safety
/// As [`outer`], for these rows and columns.
#[inline(always)]
unsafe fn strip<S: Simd, const NV: usize>(simd: S, outer: &Outer, rows: Range<usize>, j: usize, tail: usize) {
    let tail = simd.tail(tail);
    let (zero, scale) = (simd.splat(0.0), simd.splat(outer.scale));
    // SAFETY: rows i < rows and the strip's columns are covered by the caller's promise.
    unsafe {
        let mut b = [zero; NV];
        for v in 0..NV {
            let at = outer.b.add(j + v * S::LANES);
            b[v] = if v == NV - 1 { simd.load_tail(at, tail) } else { simd.load(at) };
        }
        for i in rows {
            let a = simd.splat(*outer.a.add(i * outer.a_stride));
            let row = outer.c.add(i * outer.c_row_stride + j);
            for v in 0..NV {
                let at = row.add(v * S::LANES);
                let (last, product) = (v == NV - 1, simd.mul_add(a, b[v], zero));
                let value = if outer.add {
                    let old = if last { simd.load_tail(at, tail) } else { simd.load(at) };
                    simd.mul_add(scale, product, old)
                } else {
                    simd.mul(scale, product)
                };
                if last { simd.store_tail(at, value, tail) } else { simd.store(at, value) }
            }
        }
    }
}
