//! Softmax over rows, forward and backward.
//!
//! ```text
//! at most 16 columns: vectors run down the rows, LANES rows at a time
//!     load LANES rows;  transpose;  max, e, sum, p of all rows at once;  transpose;  store
//! more columns: vectors run along a row
//!     max of the row;  e = e^(z - max), stored, and its sum in the lanes order;  p = e / sum
//! ```
//!
//! A row's sum is in the *lanes* order either way, so that its bits are the same on every instruction set.

use crate::activation::softmax::exp_of_difference;
use crate::simd::{Arithmetic, Group, MAX_LANES, Simd};
use crate::summation::SUM_LANES;

/// Columns that are computed side by side where vectors run down the rows, and vectors where they run along one.
const GROUP: usize = 4;

/// What makes `-∞` of the zeros behind a row's end, and changes nothing before it.
static PADDING: [f32; 2 * MAX_LANES] = {
    let mut padding = [0.0; 2 * MAX_LANES];
    let mut i = MAX_LANES;
    while i < padding.len() {
        padding[i] = f32::NEG_INFINITY;
        i += 1;
    }
    padding
};

/// `p = e^(z - max) / Σ e^(z - max)` of each row, over `rows × cols` elements without gaps.
pub(crate) struct SoftmaxRows {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) z: *const f32,
    /// Where `p` goes, if it is wanted; this may be `z`.
    pub(crate) p: Option<*mut f32>,
    /// A factor of `p` for each row.
    pub(crate) factors: Option<*const f32>,
    /// Where each row's largest `z` goes, and the sum, in units of [`RAISED`](crate::activation::softmax::RAISED).
    pub(crate) max_and_sum: Option<[*mut f32; 2]>,
}

/// Computes softmax over rows.
///
/// # Safety
/// `z` must be readable and `p` writable at all `rows × cols` places, and equal or apart; `factors` readable, the largest
/// and the sum writable, at `rows` places, apart from all others.
#[inline(always)]
pub(crate) unsafe fn softmax<S: Simd, const H: usize>(simd: S, call: &SoftmaxRows) {
    const { assert!(H * S::LANES == SUM_LANES) };
    // SAFETY: the caller's promise; the groups are the fewest that hold the columns.
    unsafe {
        match call.cols.div_ceil(GROUP) {
            0 => {}
            1 => down_the_rows::<S, 1>(simd, call),
            2 => down_the_rows::<S, 2>(simd, call),
            3 => down_the_rows::<S, 3>(simd, call),
            4 => down_the_rows::<S, 4>(simd, call),
            _ => along_the_rows::<S, H>(simd, call),
        }
    }
}

/// Rows of at most `NG · GROUP` columns, `LANES` of them at a time.
///
/// # Safety
/// As [`softmax`], with more than `(NG - 1) · GROUP` columns.
#[inline(always)]
unsafe fn down_the_rows<S: Simd, const NG: usize>(simd: S, call: &SoftmaxRows) {
    let side_by_side = Group::<S, GROUP>(simd);
    for i in (0..call.rows).step_by(S::LANES) {
        let count = (call.rows - i).min(S::LANES);
        // SAFETY: rows i..i + count are there; all of them are read before any is written.
        unsafe {
            let z = load_columns::<S, NG>(simd, call, i);
            let mut max = z[0];
            for g in 1..NG {
                max = side_by_side.max(max, z[g]);
            }
            let max = simd.max(simd.max(max[0], max[1]), simd.max(max[2], max[3]));
            let mut e = z;
            for g in 0..NG {
                e[g] = exp_of_difference(side_by_side, side_by_side.sub([max; GROUP], z[g]));
            }
            let sum = fold_columns(simd, &e);
            if let Some(outputs) = call.max_and_sum {
                for (output, v) in outputs.into_iter().zip([max, sum]) {
                    if count == S::LANES {
                        simd.store(output.add(i), v);
                    } else {
                        simd.store_tail(output.add(i), v, simd.tail(count));
                    }
                }
            }
            let Some(p) = call.p else { continue };
            for g in 0..NG {
                e[g] = side_by_side.div(e[g], [sum; GROUP]);
            }
            if let Some(factors) = call.factors {
                let factors = factors.add(i);
                let factors =
                    if count == S::LANES { simd.load(factors) } else { simd.load_tail(factors, simd.tail(count)) };
                for g in 0..NG {
                    e[g] = side_by_side.mul(e[g], [factors; GROUP]);
                }
            }
            store_columns::<S, NG>(simd, e, p.add(i * call.cols), call.cols, count);
        }
    }
}

/// The columns of `LANES` rows from row `i` on, `-∞` behind the last column.
///
/// # Safety
/// As [`softmax`], for a row that there is.
#[inline(always)]
unsafe fn load_columns<S: Simd, const NG: usize>(simd: S, call: &SoftmaxRows, i: usize) -> [[S::V; GROUP]; NG] {
    let mut columns = [[simd.splat(f32::NEG_INFINITY); GROUP]; NG];
    for block in 0..(NG * GROUP).div_ceil(S::LANES) {
        let j = block * S::LANES;
        if j >= call.cols {
            continue;
        }
        let width = call.cols - j;
        let mut rows = [simd.splat(0.0); MAX_LANES];
        for r in 0..S::LANES {
            // Behind the last row, the last row again.
            let row = (i + r).min(call.rows - 1) * call.cols + j;
            // SAFETY: the row is one of the call's, the columns from j on are its last `width`.
            rows[r] = unsafe {
                match width < S::LANES {
                    true => simd.load_tail(call.z.add(row), simd.tail(width)),
                    false => simd.load(call.z.add(row)),
                }
            };
        }
        let block = simd.transpose(rows);
        for c in 0..S::LANES {
            if j + c < NG * GROUP && c < width {
                columns[(j + c) / GROUP][(j + c) % GROUP] = block[c];
            }
        }
    }
    columns
}

/// Writes `count` rows of `cols` columns from `p` on.
///
/// # Safety
/// As many places must be writable.
#[inline(always)]
unsafe fn store_columns<S: Simd, const NG: usize>(
    simd: S,
    columns: [[S::V; GROUP]; NG],
    p: *mut f32,
    cols: usize,
    count: usize,
) {
    for block in 0..(NG * GROUP).div_ceil(S::LANES) {
        let j = block * S::LANES;
        if j >= cols {
            continue;
        }
        let width = cols - j;
        let mut block = [simd.splat(0.0); MAX_LANES];
        for c in 0..S::LANES {
            if j + c < NG * GROUP {
                block[c] = columns[(j + c) / GROUP][(j + c) % GROUP];
            }
        }
        let rows = simd.transpose(block);
        for r in 0..S::LANES {
            if r < count {
                // SAFETY: row r and its last `width` columns are there.
                unsafe {
                    let row = p.add(r * cols + j);
                    match width < S::LANES {
                        true => simd.store_tail(row, rows[r], simd.tail(width)),
                        false => simd.store(row, rows[r]),
                    }
                }
            }
        }
    }
}

/// Each row's sum by the tree of the *lanes* order, in which a row's columns are the lanes. Those that are not there would add
/// zeros.
#[inline(always)]
fn fold_columns<S: Simd, const NG: usize>(simd: S, e: &[[S::V; GROUP]; NG]) -> S::V {
    let side_by_side = Group::<S, GROUP>(simd);
    // Lane l takes lane l + 8.
    let mut eight = *e;
    for g in 2..NG {
        eight[g - 2] = side_by_side.add(e[g - 2], e[g]);
    }
    let four = if NG > 1 { side_by_side.add(eight[0], eight[1]) } else { eight[0] };
    simd.add(simd.add(four[0], four[2]), simd.add(four[1], four[3]))
}

/// Rows of more columns than there are lanes in a sum, one at a time.
///
/// # Safety
/// As [`softmax`], with at least `SUM_LANES` columns.
#[inline(always)]
unsafe fn along_the_rows<S: Simd, const H: usize>(simd: S, call: &SoftmaxRows) {
    for i in 0..call.rows {
        // SAFETY: row i is there; each strip's vectors are the fewest that hold its columns.
        unsafe {
            let z = call.z.add(i * call.cols);
            let p = call.p.map(|p| p.add(i * call.cols));
            let max = largest::<S, H>(simd, z, call.cols);
            let mut lanes = [simd.splat(0.0); H];
            for j in (0..call.cols).step_by(GROUP * S::LANES) {
                let width = (call.cols - j).min(GROUP * S::LANES);
                let (z, p) = (z.add(j), p.map(|p| p.add(j)));
                match width.div_ceil(S::LANES) {
                    1 => exp_strip::<S, 1, H>(simd, z, p, width, max, &mut lanes),
                    2 => exp_strip::<S, 2, H>(simd, z, p, width, max, &mut lanes),
                    3 => exp_strip::<S, 3, H>(simd, z, p, width, max, &mut lanes),
                    _ => exp_strip::<S, GROUP, H>(simd, z, p, width, max, &mut lanes),
                }
            }
            let sum = across::<S, H, false>(simd, lanes);
            if let Some([largest, sums]) = call.max_and_sum {
                *largest.add(i) = max;
                *sums.add(i) = sum;
            }
            if let Some(p) = p {
                let factor = call.factors.map(|factors| *factors.add(i));
                divide_row(simd, p, call.cols, sum, factor);
            }
        }
    }
}

/// The largest of a row.
///
/// # Safety
/// `cols` elements from `z` must be readable, at least `SUM_LANES`.
#[inline(always)]
unsafe fn largest<S: Simd, const H: usize>(simd: S, z: *const f32, cols: usize) -> f32 {
    let mut max = [[simd.splat(f32::NEG_INFINITY); H]; GROUP];
    let mut j = 0;
    // SAFETY: all elements lie inside the row; the last vectors overlap others.
    unsafe {
        while cols - j >= GROUP * SUM_LANES {
            for g in 0..GROUP {
                for h in 0..H {
                    max[g][h] = simd.max(max[g][h], simd.load(z.add(j + g * SUM_LANES + h * S::LANES)));
                }
            }
            j += GROUP * SUM_LANES;
        }
        while cols - j >= SUM_LANES {
            for h in 0..H {
                max[0][h] = simd.max(max[0][h], simd.load(z.add(j + h * S::LANES)));
            }
            j += SUM_LANES;
        }
        for h in 0..H {
            max[1][h] = simd.max(max[1][h], simd.load(z.add(cols - SUM_LANES + h * S::LANES)));
        }
    }
    let mut all = max[0];
    for h in 0..H {
        all[h] = simd.max(simd.max(max[0][h], max[1][h]), simd.max(max[2][h], max[3][h]));
    }
    across::<S, H, true>(simd, all)
}

/// `e^(z - max)` of `width` columns in `NV` vectors, added to the lanes of the sum, and stored where `p` is wanted.
///
/// # Safety
/// `width` elements from `z` must be readable, from `p` writable; `NV` vectors must be the fewest that hold them.
#[inline(always)]
unsafe fn exp_strip<S: Simd, const NV: usize, const H: usize>(
    simd: S,
    z: *const f32,
    p: Option<*mut f32>,
    width: usize,
    max: f32,
    lanes: &mut [S::V; H],
) {
    let side_by_side = Group::<S, NV>(simd);
    let last = width - (NV - 1) * S::LANES;
    let mut v = [simd.splat(0.0); NV];
    // SAFETY: whole vectors, and of the last one as many lanes as there are columns; the padding has `LANES` elements
    // from there on.
    unsafe {
        for g in 0..NV {
            let z = z.add(g * S::LANES);
            v[g] = if g + 1 < NV || last == S::LANES {
                simd.load(z)
            } else {
                simd.add(simd.load_tail(z, simd.tail(last)), simd.load(PADDING.as_ptr().add(MAX_LANES - last)))
            };
        }
        let e = exp_of_difference(side_by_side, side_by_side.sub(side_by_side.splat(max), v));
        for g in 0..NV {
            lanes[g % H] = simd.add(lanes[g % H], e[g]);
        }
        if let Some(p) = p {
            for g in 0..NV {
                let p = p.add(g * S::LANES);
                if g + 1 < NV || last == S::LANES {
                    simd.store(p, e[g]);
                } else {
                    simd.store_tail(p, e[g], simd.tail(last));
                }
            }
        }
    }
}

/// `p = e / sum`, times the factor where there is one, in place.
///
/// # Safety
/// `cols` elements from `p` must be readable and writable.
#[inline(always)]
unsafe fn divide_row<S: Simd>(simd: S, p: *mut f32, cols: usize, sum: f32, factor: Option<f32>) {
    let sum = simd.splat(sum);
    for j in (0..cols).step_by(S::LANES) {
        let width = (cols - j).min(S::LANES);
        // SAFETY: columns j..j + width are in the row.
        unsafe {
            let p = p.add(j);
            let whole = width == S::LANES;
            let e = if whole { simd.load(p) } else { simd.load_tail(p, simd.tail(width)) };
            let mut quotient = simd.div(e, sum);
            if let Some(factor) = factor {
                quotient = simd.mul(quotient, simd.splat(factor));
            }
            if whole {
                simd.store(p, quotient);
            } else {
                simd.store_tail(p, quotient, simd.tail(width));
            }
        }
    }
}

/// The largest of sixteen lanes, or their sum by the tree of the *lanes* order.
#[inline(always)]
fn across<S: Simd, const H: usize, const MAX: bool>(simd: S, lanes: [S::V; H]) -> f32 {
    let mut lane = [0.0_f32; SUM_LANES];
    for h in 0..H {
        // SAFETY: `H` vectors have as many lanes as the array has elements.
        unsafe { simd.store(lane.as_mut_ptr().add(h * S::LANES), lanes[h]) };
    }
    let mut half = SUM_LANES / 2;
    while half > 0 {
        for l in 0..half {
            let (a, b) = (lane[l], lane[l + half]);
            lane[l] = match MAX {
                true if a > b => a,
                true => b,
                false => a + b,
            };
        }
        half /= 2;
    }
    lane[0]
}

/// `d_z = p ⊙ (d_p - Σ p·d_p)` of each row, over `rows × cols` elements without gaps.
pub(crate) struct SoftmaxBackward {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) p: *const f32,
    pub(crate) d_p: *const f32,
    /// This may be `p` or `d_p`.
    pub(crate) d_z: *mut f32,
}

/// Computes softmax backward over rows, whose sums are folded `FOLDED` at a time.
///
/// # Safety
/// `p` and `d_p` must be readable and `d_z` writable at all `rows × cols` places; `d_z` and an input are equal or apart.
#[inline(always)]
pub(crate) unsafe fn softmax_backward<S: Simd, const H: usize, const FOLDED: usize>(simd: S, call: &SoftmaxBackward) {
    const { assert!(H * S::LANES == SUM_LANES) };
    for i in (0..call.rows).step_by(FOLDED) {
        let count = (call.rows - i).min(FOLDED);
        let mut lanes = [[simd.splat(0.0); H]; FOLDED];
        // SAFETY: rows i..i + count are there, and all of them are read before any is written.
        unsafe {
            for r in 0..count {
                let row = (i + r) * call.cols;
                lanes[r] = dot::<S, H>(simd, call.p.add(row), call.d_p.add(row), call.cols);
            }
            let mut sums = [0.0; MAX_LANES];
            simd.store(sums.as_mut_ptr(), simd.fold(lanes));
            for r in 0..count {
                let row = (i + r) * call.cols;
                let (p, d_p, d_z) = (call.p.add(row), call.d_p.add(row), call.d_z.add(row));
                let sum = simd.splat(sums[r]);
                for j in (0..call.cols).step_by(S::LANES) {
                    let (p, d_p, d_z) = (p.add(j), d_p.add(j), d_z.add(j));
                    let width = call.cols - j;
                    if width >= S::LANES {
                        simd.store(d_z, simd.mul(simd.load(p), simd.sub(simd.load(d_p), sum)));
                    } else {
                        let tail = simd.tail(width);
                        let (p, d_p) = (simd.load_tail(p, tail), simd.load_tail(d_p, tail));
                        simd.store_tail(d_z, simd.mul(p, simd.sub(d_p, sum)), tail);
                    }
                }
            }
        }
    }
}

/// The lanes of `Σ p·d_p` over a row.
///
/// # Safety
/// `cols` elements must be readable from both.
#[inline(always)]
unsafe fn dot<S: Simd, const H: usize>(simd: S, p: *const f32, d_p: *const f32, cols: usize) -> [S::V; H] {
    let mut lanes = [simd.splat(0.0); H];
    for j in (0..cols).step_by(SUM_LANES) {
        for h in 0..H {
            let at = j + h * S::LANES;
            // SAFETY: whole vectors below `cols`, then as many lanes as are left.
            let (p, d_p) = unsafe {
                match cols.saturating_sub(at) {
                    0 => (simd.splat(0.0), simd.splat(0.0)),
                    width if width >= S::LANES => (simd.load(p.add(at)), simd.load(d_p.add(at))),
                    width => {
                        let tail = simd.tail(width);
                        (simd.load_tail(p.add(at), tail), simd.load_tail(d_p.add(at), tail))
                    }
                }
            };
            lanes[h] = simd.mul_add(p, d_p, lanes[h]);
        }
    }
    lanes
}
