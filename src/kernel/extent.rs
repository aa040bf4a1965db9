//! The largest magnitude of a matrix, by which a step is known to be finite.

use crate::simd::{MAX_LANES, Simd};

/// `rows × cols` elements to look at, and the place of the answer.
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) src: *const f32,
    pub(crate) row_stride: usize,
    /// The largest `|element|`; NaN where any is infinite or NaN.
    pub(crate) largest: *mut f32,
}

/// Vectors with sums of their own, in registers: each waits for the one before.
const CHAINS: usize = 4;

/// Finds the largest magnitude.
///
/// # Safety
/// `src` must be readable at all `rows × cols` places, `largest` writable.
#[inline(always)]
pub(crate) unsafe fn extent<S: Simd>(simd: S, call: &Extent) {
    let zero = simd.splat(0.0);
    // The least of all `-|x|`, and of all `0 · x` the sum, which a single infinity or NaN makes NaN for good.
    let (mut least, mut poison) = ([zero; CHAINS], [zero; CHAINS]);
    let mut take = |c: usize, x: S::V| {
        least[c] = simd.min(least[c], simd.neg_abs(x));
        poison[c] = simd.mul_add(x, zero, poison[c]);
    };
    for i in 0..call.rows {
        let row = call.src.wrapping_add(i * call.row_stride);
        let mut j = 0;
        // SAFETY: columns of row i: whole vectors where they fit, else as many elements as are left.
        unsafe {
            while j + CHAINS * S::LANES <= call.cols {
                for c in 0..CHAINS {
                    take(c, simd.load(row.add(j + c * S::LANES)));
                }
                j += CHAINS * S::LANES;
            }
            while j + S::LANES <= call.cols {
                take(0, simd.load(row.add(j)));
                j += S::LANES;
            }
            if j < call.cols {
                take(0, simd.load_tail(row.add(j), simd.tail(call.cols - j)));
            }
        }
    }
    let mut lanes = [0.0_f32; 2 * MAX_LANES];
    let mut largest = 0.0_f32;
    for c in 0..CHAINS {
        // SAFETY: the array has room for two vectors.
        unsafe {
            simd.store(lanes.as_mut_ptr(), least[c]);
            simd.store(lanes.as_mut_ptr().add(MAX_LANES), poison[c]);
        }
        for l in 0..S::LANES {
            largest = if lanes[MAX_LANES + l] == 0.0 { largest.max(-lanes[l]) } else { f32::NAN };
            if largest.is_nan() {
                break;
            }
        }
        if largest.is_nan() {
            break;
        }
    }
    // SAFETY: the caller's promise.
    unsafe { *call.largest = largest };
}
