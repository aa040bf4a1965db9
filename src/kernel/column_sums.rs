//! The column sums of `dz` of few outputs, which stands without gaps: `db`.
//!
//! ```text
//! for each NB blocks of the sums, side by side
//!     for each row of a block, ascending:  for each block:  s = s + dz[row]
//!     for each block, ascending:  db = scale · s, or fma(scale, s, db)
//! ```
//!
//! A sum waits for itself at each row, so that one block alone would take an addition's latency for each.

use crate::simd::Simd;
use crate::summation::SUM_BLOCK;

/// `rows × cols` elements to be summed up, of at most four columns.
pub(crate) struct SummedRows {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// The elements, row by row without gaps.
    pub(crate) dz: *const f32,
    /// Where the sums go.
    pub(crate) db: *mut f32,
    /// Factor of the sums.
    pub(crate) scale: f32,
    /// Whether to add to `db`; where not, it is never read.
    pub(crate) add: bool,
}

/// Computes, down each column of each block in ascending order, `db = scale · Σ dz` or `fma(scale, Σ dz, db)`: the first block as
/// the call says, further ones added.
///
/// # Safety
/// `dz` must be readable at `rows ≥ 1` rows of `cols` places, `db` writable (with `add` readable) at `cols`, of which there are at
/// most four; they do not overlap.
#[inline(always)]
pub(crate) unsafe fn column_sums<S: Simd>(simd: S, call: &SummedRows) {
    let mut first = 0;
    while first < call.rows {
        // SAFETY: the blocks lie one behind the other inside the rows, and several are whole.
        first += unsafe {
            match (call.rows - first) / SUM_BLOCK {
                4.. => blocks::<S, 4>(simd, call, first),
                2.. => blocks::<S, 2>(simd, call, first),
                _ => blocks::<S, 1>(simd, call, first),
            }
        };
    }
}

/// The sums of `NB` blocks from row `first` on. Returns the rows of the blocks.
///
/// # Safety
/// As [`column_sums`], for a row that there is; several blocks must be whole.
#[inline(always)]
unsafe fn blocks<S: Simd, const NB: usize>(simd: S, call: &SummedRows, first: usize) -> usize {
    const { assert!(S::LANES >= 4) };
    let (cols, depth) = (simd.tail(call.cols), SUM_BLOCK.min(call.rows - first));
    let mut sums = [simd.splat(0.0); NB];
    // SAFETY: the rows are below `rows`, and the tail holds the columns.
    unsafe {
        for i in first..first + depth {
            for block in 0..NB {
                let row = call.dz.add((i + block * SUM_BLOCK) * call.cols);
                sums[block] = simd.add(sums[block], simd.load_tail(row, cols));
            }
        }
        let scale = simd.splat(call.scale);
        let mut value = if call.add || first > 0 {
            simd.mul_add(scale, sums[0], simd.load_tail(call.db, cols))
        } else {
            simd.mul(scale, sums[0])
        };
        for block in 1..NB {
            value = simd.mul_add(scale, sums[block], value);
        }
        simd.store_tail(call.db, value, cols);
    }
    NB * depth
}
