//! Softmax over rows, forward and backward.
//!
//! ```text
//! at most 16 columns: vectors run down the rows, LANES rows at a time
//!     load LANES rows;  transpose;  max, e, sum, p of all rows at once;  transpose;  store
//! more columns: vectors run along the rows, several rows at a time
//!     largest of each row;  e = e^(z - max), stored, and its lanes;  fold the lanes;  p = e / sum
//! ```
//!
//! A row's sum is in the *lanes* order either way, so that its bits are the same on every instruction set.

use super::one_then_other;
use crate::activation::softmax::exp_of_difference;
use crate::simd::{Arithmetic, Group, MAX_LANES, Simd};
use crate::summation::SUM_LANES;
use core::mem::MaybeUninit;

/// Columns that are computed side by side where vectors run down the rows, and vectors where they run along one. The code is
/// written out for so many.
const GROUP: usize = 4;

/// Elements of the rows that are computed together where vectors run along them: a part of any first-level cache, `z` and `p`
/// together. The length of an array on the stack, too, which no row of tuning numbers can change.
const NEAR: usize = 2048;

/// The addend that makes `-∞` of the zeros behind a row's end, and changes nothing before it.
static PADDING: [f32; 2 * MAX_LANES] = one_then_other(0.0, f32::NEG_INFINITY);

/// `p = e^(z - max) / Σ e^(z - max)` of each row, over `rows × cols` elements without gaps.
pub(crate) struct SoftmaxRows {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) z: *const f32,
    /// Where `p` goes, if it is wanted.
    pub(crate) p: Option<*mut f32>,
    /// A factor of `p` for each row.
    pub(crate) factors: Option<*const f32>,
    /// Where each row's largest `z` goes, and the sum, in units of [`RAISED`](crate::activation::softmax::RAISED).
    pub(crate) max_and_sum: Option<[*mut f32; 2]>,
}

/// Computes softmax over rows.
///
/// # Safety
/// `z` must be readable and `p` writable at all `rows × cols` places; `factors` readable, the largest and the sum writable, at
/// `rows` places. Outputs overlap nothing else.
#[inline(always)]
pub(crate) unsafe fn softmax<S: Simd, const H: usize, const FOLDED: usize>(simd: S, call: &SoftmaxRows) {
    const { assert!(H * S::LANES == SUM_LANES) };
    // SAFETY: the caller's promise; the groups are the fewest that hold the columns.
    unsafe {
        match call.cols.div_ceil(GROUP) {
            0 => {}
            1 => down_the_rows::<S, 1>(simd, call),
            2 => down_the_rows::<S, 2>(simd, call),
            3 => down_the_rows::<S, 3>(simd, call),
            4 => down_the_rows::<S, 4>(simd, call),
            _ => along_the_rows::<S, H, FOLDED>(simd, call),
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
            let reciprocal = simd.div(simd.splat(1.0), sum);
            for g in 0..NG {
                e[g] = quotient(side_by_side, e[g], [sum; GROUP], [reciprocal; GROUP]);
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

/// Rows of more columns than there are lanes in a sum: several at a time, whose largest values one transpose brings side by
/// side, and whose sums are folded `FOLDED` at a time.
///
/// # Safety
/// As [`softmax`], with at least `SUM_LANES` columns.
#[inline(always)]
unsafe fn along_the_rows<S: Simd, const H: usize, const FOLDED: usize>(simd: S, call: &SoftmaxRows) {
    let cols = call.cols;
    let padded = cols.next_multiple_of(S::LANES);
    let mut scratch = MaybeUninit::<[f32; NEAR]>::uninit();
    let scratch = (padded > cols && FOLDED * padded <= NEAR).then_some(scratch.as_mut_ptr().cast::<f32>());
    let group = (NEAR / cols).clamp(1, S::LANES);
    for i in (0..call.rows).step_by(group) {
        let count = (call.rows - i).min(group);
        let (mut max, mut sums) = ([0.0_f32; MAX_LANES], [0.0_f32; 2 * MAX_LANES]);
        // SAFETY: rows i..i + count are there; both arrays have room for a vector from each place that is stored to.
        unsafe {
            simd.store(max.as_mut_ptr(), largest_of_rows::<S, H>(simd, call.z.add(i * cols), cols, count));
            for first in (0..count).step_by(FOLDED) {
                let folded = first..(first + FOLDED).min(count);
                let mut lanes = [[simd.splat(0.0); H]; FOLDED];
                let exps = |p: *mut f32, r: usize| match scratch {
                    Some(scratch) => Exps { ptr: scratch.add((r - first) * padded), is_padded: true },
                    None => Exps { ptr: p.add((i + r) * cols), is_padded: false },
                };
                for r in folded.clone() {
                    let z = call.z.add((i + r) * cols);
                    lanes[r - first] = exp_row(simd, z, call.p.map(|p| exps(p, r)), cols, max[r]);
                }
                simd.store(sums.as_mut_ptr().add(first), simd.fold(lanes));
                if let Some(p) = call.p {
                    for r in folded {
                        let factor = call.factors.map(|factors| *factors.add(i + r));
                        divide_row(simd, exps(p, r), p.add((i + r) * cols), cols, sums[r], factor);
                    }
                }
            }
            if let Some(outputs) = call.max_and_sum {
                for (output, values) in outputs.into_iter().zip([&max[..count], &sums[..count]]) {
                    for (r, &value) in values.iter().enumerate() {
                        *output.add(i + r) = value;
                    }
                }
            }
        }
    }
}

/// Where the `e^(z - max)` of a row stand until its sum is known: where `p` will, or beside it, in whole vectors. From
/// memory that a masked store has written just before, a load waits until the store is done.
#[derive(Clone, Copy)]
struct Exps {
    ptr: *mut f32,
    is_padded: bool,
}

/// The largest of each of `count` rows, in the first lanes.
///
/// # Safety
/// As many rows of `cols` elements from `z` must be readable, `cols` at least `SUM_LANES`, `count` at most `LANES`.
#[inline(always)]
unsafe fn largest_of_rows<S: Simd, const H: usize>(simd: S, z: *const f32, cols: usize, count: usize) -> S::V {
    let mut rows = [simd.splat(0.0); MAX_LANES];
    for r in 0..count {
        // SAFETY: the row is there.
        rows[r] = unsafe { largest_of_lanes::<S, H>(simd, z.add(r * cols), cols) };
    }
    let columns = simd.transpose(rows);
    let mut max = columns[0];
    for c in 1..S::LANES {
        max = simd.max(max, columns[c]);
    }
    max
}

/// In each lane the largest of some elements of a row, of all of them in all lanes.
///
/// # Safety
/// `cols` elements from `z` must be readable, at least `SUM_LANES`.
#[inline(always)]
unsafe fn largest_of_lanes<S: Simd, const H: usize>(simd: S, z: *const f32, cols: usize) -> S::V {
    // SAFETY: all elements lie inside the row; the last vectors overlap others.
    unsafe {
        let mut max = [simd.splat(f32::NEG_INFINITY); GROUP];
        for h in 0..H {
            max[h % GROUP] = simd.max(max[h % GROUP], simd.load(z.add(cols - SUM_LANES + h * S::LANES)));
        }
        let mut j = 0;
        while cols - j >= GROUP * S::LANES {
            for g in 0..GROUP {
                max[g] = simd.max(max[g], simd.load(z.add(j + g * S::LANES)));
            }
            j += GROUP * S::LANES;
        }
        while cols - j >= S::LANES {
            max[0] = simd.max(max[0], simd.load(z.add(j)));
            j += S::LANES;
        }
        simd.max(simd.max(max[0], max[1]), simd.max(max[2], max[3]))
    }
}

/// `e^(z - max)` of a row, stored where they are wanted, and the lanes of its sum.
///
/// # Safety
/// `cols` elements from `z` must be readable, from `exps` writable, and there whole vectors if padded.
#[inline(always)]
unsafe fn exp_row<S: Simd, const H: usize>(
    simd: S,
    z: *const f32,
    exps: Option<Exps>,
    cols: usize,
    max: f32,
) -> [S::V; H] {
    let mut lanes = [simd.splat(0.0); H];
    for j in (0..cols).step_by(GROUP * S::LANES) {
        let width = (cols - j).min(GROUP * S::LANES);
        // SAFETY: columns j..j + width are in the row, and the vectors are the fewest that hold them.
        unsafe {
            let (z, exps) = (z.add(j), exps.map(|exps| Exps { ptr: exps.ptr.add(j), ..exps }));
            match width.div_ceil(S::LANES) {
                1 => exp_strip::<S, 1, H>(simd, z, exps, width, max, &mut lanes),
                2 => exp_strip::<S, 2, H>(simd, z, exps, width, max, &mut lanes),
                3 => exp_strip::<S, 3, H>(simd, z, exps, width, max, &mut lanes),
                _ => exp_strip::<S, GROUP, H>(simd, z, exps, width, max, &mut lanes),
            }
        }
    }
    lanes
}

/// `e^(z - max)` of `width` columns in `NV` vectors, added to the lanes of the sum.
///
/// # Safety
/// As [`exp_row`], for these columns; `NV` vectors must be the fewest that hold them.
#[inline(always)]
unsafe fn exp_strip<S: Simd, const NV: usize, const H: usize>(
    simd: S,
    z: *const f32,
    exps: Option<Exps>,
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
        if let Some(Exps { ptr, is_padded }) = exps {
            for g in 0..NV {
                let ptr = ptr.add(g * S::LANES);
                if g + 1 < NV || last == S::LANES || is_padded {
                    simd.store(ptr, e[g]);
                } else {
                    simd.store_tail(ptr, e[g], simd.tail(last));
                }
            }
        }
    }
}

/// `e / sum`, where `reciprocal` is `1 / sum`: its product with `e`, corrected by what is left of the dividend, which
/// rounds as a division does and takes no more than three operations.
#[inline(always)]
fn quotient<S: Arithmetic>(simd: S, e: S::V, sum: S::V, reciprocal: S::V) -> S::V {
    let q = simd.mul(e, reciprocal);
    simd.mul_add(simd.neg_mul_add(q, sum, e), reciprocal, q)
}

/// `p = e / sum`, times the factor where there is one.
///
/// # Safety
/// `cols` elements must be readable from `exps`, and there whole vectors if padded, and writable from `p`.
#[inline(always)]
unsafe fn divide_row<S: Simd>(simd: S, exps: Exps, p: *mut f32, cols: usize, sum: f32, factor: Option<f32>) {
    let (sum, reciprocal) = (simd.splat(sum), simd.splat(1.0 / sum));
    for j in (0..cols).step_by(S::LANES) {
        let width = (cols - j).min(S::LANES);
        // SAFETY: columns j..j + width are in the row.
        unsafe {
            let (e, p) = (exps.ptr.add(j), p.add(j));
            let whole = width == S::LANES;
            let e = if whole || exps.is_padded { simd.load(e) } else { simd.load_tail(e, simd.tail(width)) };
            let mut p_of_e = quotient(simd, e, sum, reciprocal);
            if let Some(factor) = factor {
                p_of_e = simd.mul(p_of_e, simd.splat(factor));
            }
            if whole {
                simd.store(p, p_of_e);
            } else {
                simd.store_tail(p, p_of_e, simd.tail(width));
            }
        }
    }
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
