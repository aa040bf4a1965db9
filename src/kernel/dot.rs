//! The dot-product micro-kernel of the *lanes* order: vectors run along the sum.
//!
//! ```text
//! acc[MR][NR] = sixteen zeros each
//! for p in 0..depth step 16, padded with zeros
//!     acc[i][j] = fma(a[i, p..p+16], b[j, p..p+16], acc[i][j])
//! c[i, j] = bias + fold(acc[i][j]), scaled and added as the tile says
//! ```

use super::chain::Start;
use crate::simd::Simd;
use crate::summation::SUM_LANES;

/// One call of a dot-product micro-kernel: `MR × NR` outputs.
pub(crate) struct DotTile {
    /// Length of the sum.
    pub(crate) depth: usize,
    /// Left operand: element `(i, p)` at `i · a_row_stride + p`.
    pub(crate) a: *const f32,
    pub(crate) a_row_stride: usize,
    /// Right operand: element `(p, j)` at `j · b_col_stride + p`.
    pub(crate) b: *const f32,
    pub(crate) b_col_stride: usize,
    /// Output: element `(i, j)` at `i · c_row_stride + j · c_col_stride`.
    pub(crate) c: *mut f32,
    pub(crate) c_row_stride: usize,
    pub(crate) c_col_stride: usize,
    pub(crate) start: Start,
    /// Factor of the sum.
    pub(crate) scale: f32,
    /// Whether to add to the output; where not, the output is never read.
    pub(crate) add: bool,
}

/// Computes `MR × NR` dot products, each accumulated in `H` vectors of together sixteen lanes, and folded `FOLDED` at a
/// time.
///
/// # Safety
/// - `a` is readable at `MR` rows of `depth`, `b` at `NR` columns of `depth`, the bias as [`Start`] says;
/// - `c` is writable at all `MR × NR` places, readable too with `add`, and overlaps none of the inputs.
#[inline(always)]
pub(crate) unsafe fn dot_tile<S: Simd, const MR: usize, const NR: usize, const H: usize, const FOLDED: usize>(
    simd: S,
    tile: &DotTile,
) {
    const { assert!(H * S::LANES == SUM_LANES) };
    let mut acc = [[[simd.splat(0.0); H]; NR]; MR];

    // SAFETY: for each access the function's safety section names the memory; i < MR, j < NR and p < depth, and the
    // tail touches only the lanes below depth.
    unsafe {
        let whole = tile.depth / SUM_LANES * SUM_LANES;
        let mut p = 0;
        while p < whole {
            step::<S, MR, NR, H>(simd, tile, p, &mut acc, |at, h| simd.load(at.add(h * S::LANES)));
            p += SUM_LANES;
        }
        let rest = tile.depth - whole;
        if rest > 0 {
            let tail = simd.tail((rest - 1) % S::LANES + 1);
            let last = (rest - 1) / S::LANES;
            step::<S, MR, NR, H>(simd, tile, whole, &mut acc, |at, h| match h.cmp(&last) {
                core::cmp::Ordering::Less => simd.load(at.add(h * S::LANES)),
                core::cmp::Ordering::Equal => simd.load_tail(at.add(h * S::LANES), tail),
                core::cmp::Ordering::Greater => simd.splat(0.0),
            });
        }

        for i in 0..MR {
            for group in 0..NR.div_ceil(FOLDED) {
                // Plain indexing with constant bounds: a slice would force the accumulators out of their registers.
                let j = group * FOLDED;
                let mut sums = [[simd.splat(0.0); H]; FOLDED];
                for s in 0..FOLDED {
                    if j + s < NR {
                        sums[s] = acc[i][j + s];
                    }
                }
                let count = if NR - j < FOLDED { NR - j } else { FOLDED };
                finish::<S, FOLDED>(simd, tile, (i, j), simd.fold(sums), count);
            }
        }
    }
}

/// Stores `count` sums of row `i` from column `j` on: bias, scale, and what they are added to.
///
/// # Safety
/// As [`dot_tile`], for these places; `count ≤ FOLDED`.
#[inline(always)]
unsafe fn finish<S: Simd, const FOLDED: usize>(
    simd: S,
    tile: &DotTile,
    (i, j): (usize, usize),
    sums: S::V,
    count: usize,
) {
    const { assert!(FOLDED <= S::LANES) };
    let tail = simd.tail(count);
    // SAFETY: the caller vouches for bias and output at these places; the tail reaches no further than the sums do, and
    // strided columns are touched one at a time.
    unsafe {
        let sums = match tile.start {
            Start::Zero => sums,
            Start::Columns(bias) => simd.add(simd.load_tail(bias.add(j), tail), sums),
            Start::Rows(bias) => simd.add(simd.splat(*bias.add(i)), sums),
        };
        let scale = simd.splat(tile.scale);
        let c = tile.c.add(i * tile.c_row_stride + j * tile.c_col_stride);
        if tile.c_col_stride == 1 {
            let value =
                if tile.add { simd.mul_add(scale, sums, simd.load_tail(c, tail)) } else { simd.mul(scale, sums) };
            simd.store_tail(c, value, tail);
            return;
        }
        let mut values = [0.0; FOLDED];
        if tile.add {
            for s in 0..count {
                values[s] = *c.add(s * tile.c_col_stride);
            }
            let value = simd.mul_add(scale, sums, simd.load_tail(values.as_ptr(), tail));
            simd.store_tail(values.as_mut_ptr(), value, tail);
        } else {
            simd.store_tail(values.as_mut_ptr(), simd.mul(scale, sums), tail);
        }
        for s in 0..count {
            *c.add(s * tile.c_col_stride) = values[s];
        }
    }
}

/// Sixteen more terms of every sum.
///
/// # Safety
/// As [`dot_tile`], for the terms from `p` on that `load` reads.
#[inline(always)]
unsafe fn step<S: Simd, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile,
    p: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
    load: impl Fn(*const f32, usize) -> S::V,
) {
    for h in 0..H {
        let mut a = [simd.splat(0.0); MR];
        for i in 0..MR {
            // SAFETY: i < MR and p < depth; the load's own reach is the caller's care.
            a[i] = load(unsafe { tile.a.add(i * tile.a_row_stride + p) }, h);
        }
        for j in 0..NR {
            // SAFETY: j < NR and p < depth, as above.
            let b = load(unsafe { tile.b.add(j * tile.b_col_stride + p) }, h);
            for i in 0..MR {
                acc[i][j][h] = simd.mul_add(a[i], b, acc[i][j][h]);
            }
        }
    }
}
