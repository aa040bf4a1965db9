//! The largest magnitude of a matrix, by which a step is known to be finite.

use super::head;
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

/// Vectors with an answer of their own, in registers: each waits for the one before.
const CHAINS: usize = 4;

/// Vectors that one turn of the loop looks at.
const TURN: usize = 16;

/// Finds the largest magnitude.
///
/// # Safety
/// `src` must be readable at all `rows × cols` places, `largest` writable.
#[inline(always)]
pub(crate) unsafe fn extent<S: Simd>(simd: S, call: &Extent) {
    // All `-|x|`, whose bit patterns ascend with the magnitude.
    let mut least = [simd.splat(-0.0); CHAINS];
    let mut take = |c: usize, x: S::V| least[c] = simd.max_bits(least[c], simd.neg_abs(x));
    for i in 0..call.rows {
        let row = call.src.wrapping_add(i * call.row_stride);
        // SAFETY: columns of row i: whole vectors where they fit, else as many elements as there are.
        unsafe {
            if call.cols < S::LANES {
                if call.cols > 0 {
                    take(0, simd.load_tail(row, simd.tail(call.cols)));
                }
                continue;
            }
            // Elements may be looked at twice, so that no vector at either end is cut.
            take(0, simd.load(row));
            let mut j = head::<S, _>(row);
            while j + TURN * S::LANES <= call.cols {
                for v in 0..TURN {
                    take(v % CHAINS, simd.load(row.add(j + v * S::LANES)));
                }
                j += TURN * S::LANES;
            }
            while j + S::LANES <= call.cols {
                take(0, simd.load(row.add(j)));
                j += S::LANES;
            }
            take(0, simd.load(row.add(call.cols - S::LANES)));
        }
    }
    let mut lanes = [0_i32; MAX_LANES];
    let least = simd.max_bits(simd.max_bits(least[0], least[1]), simd.max_bits(least[2], least[3]));
    // SAFETY: the array has room for a vector; `largest` is the caller's promise.
    unsafe {
        simd.store(lanes.as_mut_ptr().cast(), least);
        let bits = lanes.iter().take(S::LANES).fold(i32::MIN, |most, lane| most.max(*lane));
        let largest = -f32::from_bits(bits.cast_unsigned());
        *call.largest = if largest.is_finite() { largest } else { f32::NAN };
    }
}
