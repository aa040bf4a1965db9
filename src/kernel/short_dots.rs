//! One or two rows of dot products over short columns: the rows stay in registers, and no loop runs along the sum.
//!
//! ```text
//! for j in 0..cols / 2 step COLS
//!     acc[MR][2 · COLS] = sixteen zeros each
//!     for each of COLS columns from j on, and from j + cols / 2 on, and p in 0..depth step 16, padded with zeros
//!         acc[i][column] = fma(a[i, p..p+16], b[p..p+16, column], acc[i][column])
//!     c[i, column] = bias + fold(acc[i][column]), scaled and added as the call says
//! ```
//!
//! Two parts of the columns go side by side, so that each load instruction moves on by half as many columns as are folded at a time: a
//! core that watches by which steps it moves on fetches ahead over a KiB, and not over two. The last columns are code of their own, so that
//! those of the loop are read in the order of memory.

use super::dot::{DotColumns, DotTile, Reach};
use super::{Finish, Start};
use crate::simd::{Element, MAX_LANES, Simd};
use crate::summation::SUM_LANES;

/// Computes `MR` rows of dot products of `V · 16` terms or, if they are `CUT`, fewer but more than `(V - 1) · 16`, each accumulated in `H`
/// vectors of together sixteen lanes, `COLS` columns of each of two parts at a time.
///
/// # Safety
/// As [`dot_tile`](super::dot::dot_tile), for `MR` rows and `cols` columns of as many terms.
#[inline(always)]
pub(crate) unsafe fn short_dots<
    S: Simd,
    E: Element,
    const H: usize,
    const FOLDED: usize,
    const COLS: usize,
    const MR: usize,
    const V: usize,
    const CUT: bool,
>(
    simd: S,
    row: &DotColumns<E>,
) {
    const { assert!(2 * COLS == FOLDED && MR <= 2 && V > 0) };
    // SAFETY: the caller's promise; the tail reaches no further than the terms do.
    unsafe {
        if !CUT {
            all_columns::<S, E, H, FOLDED, COLS, MR, V>(simd, row, Reach::Whole);
        } else {
            let rest = row.first.depth - (V - 1) * SUM_LANES;
            let (last, tail) = ((rest - 1) / S::LANES, simd.tail((rest - 1) % S::LANES + 1));
            // The last vector is a constant of each loop's code: asked for at each load, it would be a branch.
            for l in 0..H {
                if l == last {
                    let reach = Reach::Tail { last: l, tail, signs: None };
                    all_columns::<S, E, H, FOLDED, COLS, MR, V>(simd, row, reach);
                }
            }
        }
    }
}

/// All columns, where `reach` is that of the last sixteen terms.
///
/// # Safety
/// As [`short_dots`].
#[inline(always)]
unsafe fn all_columns<
    S: Simd,
    E: Element,
    const H: usize,
    const FOLDED: usize,
    const COLS: usize,
    const MR: usize,
    const V: usize,
>(
    simd: S,
    row: &DotColumns<E>,
    reach: Reach<S>,
) {
    let tile = &row.first;
    let mut rows = Rows { at: [tile.a.ptr; MR], held: [[[simd.splat(0.0); H]; V]; MR], reach };
    for i in 0..MR {
        rows.at[i] = tile.a.at(i, 0);
        for v in 0..V {
            for h in 0..H {
                // SAFETY: the caller's promise for row i < MR.
                rows.held[i][v][h] = unsafe { sixteen::<S, f32, H, V>(simd, rows.at[i], reach, v, h) };
            }
        }
    }
    let stride = tile.b.col_stride;
    // The second part has as many columns as the first, or one less.
    let first = row.cols.div_ceil(2);
    let mut left = [first, row.cols - first];
    let mut cols = [tile.b.at(0, 0), tile.b.at(0, first)];
    // SAFETY: the caller's promise.
    let mut outputs = unsafe { Outputs::<S, MR>::new(simd, tile, first) };
    // SAFETY: the caller's promise: these columns lie before the end of their parts.
    unsafe {
        while left[1] >= COLS {
            let folded = folded::<S, E, H, FOLDED, COLS, MR, V>(simd, &rows, cols, stride, [COLS; 2]);
            for part in 0..2 {
                outputs.store(simd, part, folded[part], COLS);
                cols[part] = cols[part].wrapping_add(COLS * stride);
                left[part] -= COLS;
            }
        }
        if left[0] > 0 {
            cols[1] = if left[1] > 0 { cols[1] } else { cols[0] };
            let folded = folded::<S, E, H, FOLDED, COLS, MR, V>(simd, &rows, cols, stride, left);
            outputs.store(simd, 0, folded[0], left[0]);
            if left[1] > 0 {
                outputs.store(simd, 1, folded[1], left[1]);
            }
        }
    }
}

/// The sums of so many columns of both parts, the rows of each interleaved; in place of columns that are not there, the first one's.
///
/// # Safety
/// As [`short_dots`], for these columns, of which there is one of each part at least.
#[inline(always)]
unsafe fn folded<
    S: Simd,
    E: Element,
    const H: usize,
    const FOLDED: usize,
    const COLS: usize,
    const MR: usize,
    const V: usize,
>(
    simd: S,
    rows: &Rows<S, H, V, MR>,
    cols: [*const E; 2],
    stride: usize,
    counts: [usize; 2],
) -> [S::V; 2] {
    let mut sums = [[[simd.splat(0.0); COLS]; MR]; 2];
    for s in 0..COLS {
        for part in 0..2 {
            let at = if s == 0 || s < counts[part] { s * stride } else { 0 };
            let mut sum = [[simd.splat(0.0); H]; MR];
            for v in 0..V {
                for h in 0..H {
                    // SAFETY: the caller's promise for this column; the rows are readable as long as the call lasts.
                    unsafe {
                        let b = sixteen::<S, E, H, V>(simd, cols[part].wrapping_add(at), rows.reach, v, h);
                        for i in 0..MR {
                            sum[i][h] = simd.mul_add(rows.vector(simd, i, v, h), b, sum[i][h]);
                        }
                    }
                }
            }
            for i in 0..MR {
                sums[part][i][s] = simd.join(sum[i]);
            }
        }
    }
    let mut folded = [simd.splat(0.0); 2];
    for part in 0..2 {
        // A fold has room for the sums of two rows of a part, or of one row of both.
        let mut flat = [simd.splat(0.0); FOLDED];
        for at in 0..FOLDED {
            flat[at] = match MR {
                1 => sums[at / COLS][0][at % COLS],
                _ => sums[part][at % MR][at / MR],
            };
        }
        folded[part] = match (MR, part) {
            (1, 1) => simd.folded_from(folded[0], folded[0], COLS),
            _ => simd.fold_joined(flat),
        };
    }
    folded
}

/// The rows: in registers where a vector holds sixteen lanes; read again for each column where sums of several vectors take the registers.
struct Rows<S: Simd, const H: usize, const V: usize, const MR: usize> {
    at: [*const f32; MR],
    held: [[[S::V; H]; V]; MR],
    /// Of the last sixteen terms of rows and columns.
    reach: Reach<S>,
}

impl<S: Simd, const H: usize, const V: usize, const MR: usize> Rows<S, H, V, MR> {
    /// Vector `h` of sixteen `v` of row `i`.
    ///
    /// # Safety
    /// The rows must be readable.
    #[inline(always)]
    unsafe fn vector(&self, simd: S, i: usize, v: usize, h: usize) -> S::V {
        match H {
            1 => self.held[i][v][h],
            // SAFETY: the caller's promise.
            _ => unsafe { sixteen::<S, f32, H, V>(simd, self.at[i], self.reach, v, h) },
        }
    }
}

/// The outputs of both parts that come next: one row, or two that are interleaved.
struct Outputs<S: Simd, const MR: usize> {
    c: [*mut f32; 2],
    /// Columns that come next, by which biases of columns are told.
    j: [usize; 2],
    /// The biases of the rows, over and over.
    of_rows: S::V,
    start: Start,
    finish: Finish,
}

impl<S: Simd, const MR: usize> Outputs<S, MR> {
    /// The first outputs of both parts, of which the second begins at column `second`.
    ///
    /// # Safety
    /// As [`short_dots`], for the tile's biases.
    #[inline(always)]
    unsafe fn new<E>(simd: S, tile: &DotTile<E>, second: usize) -> Self {
        let mut biases = [0.0; MAX_LANES];
        if let Start::Rows(bias) = tile.start {
            for at in 0..MAX_LANES {
                // SAFETY: the caller vouches for a bias of each row.
                biases[at] = unsafe { *bias.add(at % MR) };
            }
        }
        // SAFETY: no vector has more lanes.
        let of_rows = unsafe { simd.load(biases.as_ptr()) };
        Self {
            c: [tile.c.ptr, tile.c.ptr.wrapping_add(second * MR)],
            j: [0, second],
            of_rows,
            start: tile.start,
            finish: tile.finish,
        }
    }

    /// Stores the sums of the next `count > 0` columns of a part: bias, scale, and the output that they are added to.
    ///
    /// # Safety
    /// As [`short_dots`], where so many columns of the part are left.
    #[inline(always)]
    unsafe fn store(&mut self, simd: S, part: usize, sums: S::V, count: usize) {
        let (j, c, tail) = (self.j[part], self.c[part], simd.tail(MR * count));
        let sums = match self.start {
            Start::Zero => sums,
            Start::Rows(_) => simd.add(self.of_rows, sums),
            // SAFETY: the caller vouches for a bias of each column.
            Start::Columns(bias) if MR == 1 => simd.add(unsafe { simd.load_tail(bias.add(j), tail) }, sums),
            Start::Columns(bias) => {
                let mut biases = [0.0; MAX_LANES];
                for at in 0..MR * count {
                    // SAFETY: the caller vouches for a bias of each column.
                    biases[at] = unsafe { *bias.add(j + at / MR) };
                }
                // SAFETY: no vector has more lanes.
                simd.add(unsafe { simd.load(biases.as_ptr()) }, sums)
            }
        };
        let scaled = simd.mul(simd.splat(self.finish.scale), sums);
        // SAFETY: the caller vouches for the outputs of these columns, which lie side by side.
        unsafe {
            let value = match self.finish.add {
                true => simd.mul_add(simd.splat(self.finish.weight), scaled, simd.load_tail(c, tail)),
                false => scaled,
            };
            simd.store_tail(c, value, tail);
        }
        self.c[part] = c.wrapping_add(MR * count);
        self.j[part] += count;
    }
}

/// Vector `h` of sixteen `v` of a column or row, where `reach` is that of the last sixteen.
///
/// # Safety
/// The terms must be readable; `v < V` and `h < H`.
#[inline(always)]
unsafe fn sixteen<S: Simd, E: Element, const H: usize, const V: usize>(
    simd: S,
    at: *const E,
    reach: Reach<S>,
    v: usize,
    h: usize,
) -> S::V {
    let reach = if v + 1 < V { Reach::Whole } else { reach };
    // SAFETY: the caller's promise; all sixteens but the last are whole.
    unsafe { reach.load::<E, H>(simd, at.wrapping_add(v * SUM_LANES), h) }
}
