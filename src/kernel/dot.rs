//! The dot-product micro-kernel of the *lanes* order: vectors run along the sum.
//!
//! ```text
//! acc[MR][NR] = sixteen zeros each
//! for p in 0..depth step 16, padded with zeros
//!     acc[i][j] = fma(a[i, p..p+16], b[j, p..p+16], acc[i][j])
//! c[i, j] = bias + fold(acc[i][j]), scaled and added as the tile says
//! ```

use super::{Finish, STRETCH, Sink, Source, Start, head, one_then_other};
use crate::simd::{Element, MAX_LANES, Simd};
use crate::summation::SUM_LANES;

/// One call of a dot-product micro-kernel: `MR × NR` outputs.
pub(crate) struct DotTile<E = f32> {
    /// Length of the sum.
    pub(crate) depth: usize,
    /// Left operand: columns are terms, contiguous in a row.
    pub(crate) a: Source,
    /// Right operand: rows are terms, contiguous in a column.
    pub(crate) b: Source<E>,
    /// Whether the right operand comes from the outer caches, which a tile of one row reads by the KiB.
    pub(crate) is_far: bool,
    /// Whether vectors begin on the operands' cache lines where they can.
    pub(crate) is_aligned: bool,
    /// Output, of any strides.
    pub(crate) c: Sink,
    /// Whether the rows of the output are interleaved without gaps, as a transposed output of as many columns stands.
    pub(crate) is_interleaved: bool,
    pub(crate) start: Start,
    pub(crate) finish: Finish,
}

/// One call of a kernel that goes over all columns of a few rows: the first column as a tile, and how many columns there are.
pub(crate) struct DotColumns<E = f32> {
    pub(crate) first: DotTile<E>,
    pub(crate) cols: usize,
}

/// Most columns of a tile whose right operand comes from the outer caches: they are read one
/// behind the other, and more would only be more code. A build holds the loop for tiles up to this width and no others.
pub(crate) const FAR_MAX_COLS: usize = 8;

/// Most rows of an output that are stored interleaved.
pub(crate) const INTERLEAVED_MAX_ROWS: usize = 5;

/// Factors for the terms of a tail: 1 for those that there are, -1 for the zeros behind them, whose products are then -0 and
/// change no sum.
static SIGNS: [f32; 2 * SUM_LANES] = one_then_other(1.0, -1.0);

/// Terms before the first cache line of the operand with more rows in the tile, if its vectors begin on its cache lines and not on
/// its first terms; else none.
///
/// A first vector, cut short, then stands in the last lanes, and all chains stand as many lanes further on. The tree of
/// the fold adds the same pairs wherever the first chain stands. There must be whole vectors of terms, because the order pads
/// their number with terms that count.
#[inline(always)]
pub(super) fn terms_before_line<S: Simd, E: Element, const MR: usize, const NR: usize>(tile: &DotTile<E>) -> usize {
    let stride = if MR > NR { tile.a.row_stride } else { tile.b.col_stride };
    let has_whole_vectors = tile.depth > 0 && (tile.depth | stride) & (SUM_LANES - 1) == 0;
    let is_aligned = S::HAS_MASKS && tile.is_aligned && has_whole_vectors;
    match (is_aligned, MR > NR) {
        (false, _) => 0,
        (true, true) => head::<S, _>(tile.a.ptr),
        (true, false) => head::<S, _>(tile.b.ptr),
    }
}

/// Computes `MR × NR` dot products, each accumulated in `H` vectors of together sixteen lanes, and folded `FOLDED` at a
/// time.
///
/// # Safety
/// - `a` is readable at `MR` rows of `depth`, `b` at `NR` columns of `depth`, the bias as [`Start`] says;
/// - `c` is writable at all `MR × NR` places, readable too with `add`, and overlaps none of the inputs.
#[inline(always)]
pub(crate) unsafe fn dot_tile<
    S: Simd,
    E: Element,
    const MR: usize,
    const NR: usize,
    const H: usize,
    const FOLDED: usize,
>(
    simd: S,
    tile: &DotTile<E>,
) {
    const { assert!(H * S::LANES == SUM_LANES && MR * NR <= MAX_LANES * FOLDED) };
    let mut acc = [[[simd.splat(0.0); H]; NR]; MR];

    // SAFETY: for each access the function's safety section names the memory; i < MR, j < NR and p < depth, and head and
    // tail touch only their own terms.
    unsafe {
        let cut = terms_before_line::<S, E, MR, NR>(tile);
        accumulate::<S, E, MR, NR, H>(simd, tile, cut, &mut acc);
        if can_be_interleaved(MR, NR) && tile.is_interleaved {
            finish_interleaved::<S, E, MR, NR, H, FOLDED>(simd, tile, 0, &acc, NR);
            return;
        }

        // One behind the other, row by row: a fold may have sums of several rows.
        let mut folded = [simd.splat(0.0); MAX_LANES];
        for f in 0..(MR * NR).div_ceil(FOLDED) {
            // Plain indexing with constant bounds: a slice would force the accumulators out of their registers.
            let mut sums = [[simd.splat(0.0); H]; FOLDED];
            for s in 0..FOLDED {
                let at = f * FOLDED + s;
                if at < MR * NR {
                    sums[s] = acc[at / NR][at % NR];
                }
            }
            folded[f] = simd.fold(sums);
        }
        for group in 0..NR.div_ceil(FOLDED) {
            let j = group * FOLDED;
            let count = if NR - j < FOLDED { NR - j } else { FOLDED };
            let mut sums = [simd.splat(0.0); MR];
            for i in 0..MR {
                let (first, last) = (i * NR + j, i * NR + j + count - 1);
                sums[i] = match first % FOLDED {
                    0 => folded[first / FOLDED],
                    from => simd.folded_from(folded[first / FOLDED], folded[last / FOLDED], from),
                };
            }
            finish::<S, E, MR, FOLDED>(simd, tile, j, sums, count);
        }
    }
}

/// All terms of every sum.
///
/// # Safety
/// As [`dot_tile`]; `cut` is [`terms_before_line`].
#[inline(always)]
unsafe fn accumulate<S: Simd, E: Element, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile<E>,
    cut: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
) {
    // SAFETY: the caller's promise; p < depth.
    unsafe {
        before_line::<S, E, MR, NR, H>(simd, tile, cut, acc);
        let mut p = cut;
        if MR == 1 && NR <= FAR_MAX_COLS && tile.is_far {
            while tile.depth - p >= STRETCH {
                stretch::<S, E, MR, NR, H>(simd, tile, p, acc);
                p += STRETCH;
            }
        }
        from_term::<S, E, MR, NR, H>(simd, tile, cut, p, acc);
    }
}

/// The terms before the first cache line.
///
/// # Safety
/// As [`accumulate`].
#[inline(always)]
pub(super) unsafe fn before_line<S: Simd, E: Element, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile<E>,
    cut: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
) {
    if cut > 0 {
        // SAFETY: the caller's promise: there are more terms, and the head touches only its own.
        unsafe { step::<S, E, MR, NR, H>(simd, tile, 0, acc, Reach::Head(cut)) };
    }
}

/// The terms from `p` on, sixteen at a time.
///
/// # Safety
/// As [`accumulate`]; `p` is no more than `depth`.
#[inline(always)]
pub(super) unsafe fn from_term<S: Simd, E: Element, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile<E>,
    cut: usize,
    mut p: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
) {
    // SAFETY: the caller's promise; p < depth, and the tail touches only its own terms.
    unsafe {
        while tile.depth - p >= SUM_LANES {
            step::<S, E, MR, NR, H>(simd, tile, p, acc, Reach::Whole);
            p += SUM_LANES;
        }
        let rest = tile.depth - p;
        if rest > 0 {
            let (last, count) = ((rest - 1) / S::LANES, (rest - 1) % S::LANES + 1);
            let signs = if cut == 0 { None } else { Some(simd.load(SIGNS.as_ptr().add(SUM_LANES - count))) };
            let tail = simd.tail(count);
            // The last vector is a constant of each step's code: asked for at each load, it would be a branch.
            for l in 0..H {
                if l == last {
                    step::<S, E, MR, NR, H>(simd, tile, p, acc, Reach::Tail { last: l, tail, signs });
                }
            }
        }
    }
}

/// Stores `count` sums of each row from column `j` on: bias, scale, and what they are added to.
///
/// # Safety
/// As [`dot_tile`], for these places; `count ≤ FOLDED`.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, E, const MR: usize, const FOLDED: usize>(
    simd: S,
    tile: &DotTile<E>,
    j: usize,
    mut sums: [S::V; MR],
    count: usize,
) {
    const { assert!(FOLDED <= S::LANES) };
    let tail = simd.tail(count);
    let (scale, weight) = (simd.splat(tile.finish.scale), simd.splat(tile.finish.weight));
    // SAFETY: the caller vouches for bias and output at these places; the tail reaches no further than the sums do, and
    // strided columns are touched one at a time.
    unsafe {
        let row = |i: usize| tile.c.ptr.add(i * tile.c.row_stride + j * tile.c.col_stride);
        // Each question once for all rows.
        match tile.start {
            Start::Zero => {}
            Start::Columns(bias) => {
                let bias = simd.load_tail(bias.add(j), tail);
                for i in 0..MR {
                    sums[i] = simd.add(bias, sums[i]);
                }
            }
            Start::Rows(bias) => {
                for i in 0..MR {
                    sums[i] = simd.add(simd.splat(*bias.add(i)), sums[i]);
                }
            }
        }
        for i in 0..MR {
            sums[i] = simd.mul(scale, sums[i]);
        }
        if tile.c.col_stride != 1 {
            for i in 0..MR {
                let mut values = [0.0; FOLDED];
                if tile.finish.add {
                    for s in 0..count {
                        values[s] = *row(i).add(s * tile.c.col_stride);
                    }
                    let value = simd.mul_add(weight, sums[i], simd.load_tail(values.as_ptr(), tail));
                    simd.store_tail(values.as_mut_ptr(), value, tail);
                } else {
                    simd.store_tail(values.as_mut_ptr(), sums[i], tail);
                }
                for s in 0..count {
                    *row(i).add(s * tile.c.col_stride) = values[s];
                }
            }
        } else if tile.finish.add {
            for i in 0..MR {
                simd.store_tail(row(i), simd.mul_add(weight, sums[i], simd.load_tail(row(i), tail)), tail);
            }
        } else {
            for i in 0..MR {
                simd.store_tail(row(i), sums[i], tail);
            }
        }
    }
}

/// Whether a tile of so many rows and columns can be stored with its rows interleaved.
#[inline(always)]
pub(super) const fn can_be_interleaved(rows: usize, cols: usize) -> bool {
    1 < rows && rows <= INTERLEAVED_MAX_ROWS && cols <= FAR_MAX_COLS
}

/// Folds and stores the sums of the first `cols` of so many columns, from column `j` of an output on whose rows are interleaved: one
/// element behind the other, all rows of a column before the next column.
///
/// # Safety
/// As [`dot_tile`], for these places, where the rows are interleaved; `cols ≤ NR`.
#[inline(always)]
pub(super) unsafe fn finish_interleaved<
    S: Simd,
    E,
    const MR: usize,
    const NR: usize,
    const H: usize,
    const FOLDED: usize,
>(
    simd: S,
    tile: &DotTile<E>,
    j: usize,
    acc: &[[[S::V; H]; NR]; MR],
    cols: usize,
) {
    // The biases of the rows, over and over.
    let mut biases = [0.0; INTERLEAVED_MAX_ROWS * FAR_MAX_COLS];
    let start = match tile.start {
        Start::Rows(bias) => {
            for (at, value) in biases[..MR * NR].iter_mut().enumerate() {
                // SAFETY: there is a bias for each row.
                *value = unsafe { *bias.add(at % MR) };
            }
            Start::Columns(biases.as_ptr())
        }
        start => start,
    };
    let one_row = DotTile { c: Sink::rows(tile.c.at(0, j), 0), start, ..*tile };
    for first in (0..MR * NR).step_by(FOLDED) {
        let mut sums = [[simd.splat(0.0); H]; FOLDED];
        for s in 0..FOLDED {
            let at = first + s;
            if at < MR * NR {
                sums[s] = acc[at % MR][at / MR];
            }
        }
        let left = (MR * cols).saturating_sub(first);
        let count = if left < FOLDED { left } else { FOLDED };
        if count > 0 {
            // SAFETY: the caller's promise; these are as many elements of the output, which lie side by side.
            unsafe { finish::<S, E, 1, FOLDED>(simd, &one_row, first, [simd.fold(sums)], count) };
        }
    }
}

/// The terms of a step that there are.
#[derive(Clone, Copy)]
pub(super) enum Reach<S: Simd> {
    /// So many, fewer than a vector, in the last lanes.
    Head(usize),
    /// Sixteen.
    Whole,
    /// As many as fill the vectors before the last and the tail of this one; signs are the factors of the left operand's tail.
    Tail { last: usize, tail: S::Tail, signs: Option<S::V> },
}

impl<S: Simd> Reach<S> {
    /// Vector `h` of `H` of the terms from `at` on; zeros where there are none.
    ///
    /// # Safety
    /// The terms must be readable.
    #[inline(always)]
    pub(super) unsafe fn load<E: Element, const H: usize>(self, simd: S, at: *const E, h: usize) -> S::V {
        // SAFETY: the caller's promise; each vector lies on terms that there are, or is cut to them.
        unsafe {
            match self {
                Self::Head(count) if h == H - 1 => E::load_head(simd, at, count),
                Self::Whole => E::load(simd, at.add(h * S::LANES)),
                Self::Tail { last, .. } if h < last => E::load(simd, at.add(h * S::LANES)),
                Self::Tail { last, tail, .. } if h == last => E::load_tail(simd, at.add(h * S::LANES), tail),
                Self::Head(_) | Self::Tail { .. } => simd.splat(0.0),
            }
        }
    }
}

/// Sixteen more terms of every sum, as far as there are.
///
/// # Safety
/// As [`dot_tile`], for the terms from `p` on that the reach names.
#[inline(always)]
pub(super) unsafe fn step<S: Simd, E: Element, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile<E>,
    p: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
    reach: Reach<S>,
) {
    for h in 0..H {
        let mut a = [simd.splat(0.0); MR];
        for i in 0..MR {
            // SAFETY: i < MR and p < depth; the caller vouches for the reach.
            a[i] = unsafe { reach.load::<f32, H>(simd, tile.a.ptr.add(i * tile.a.row_stride + p), h) };
            if let Reach::Tail { last, signs: Some(signs), .. } = reach {
                a[i] = if h == last { simd.mul(signs, a[i]) } else { a[i] };
            }
        }
        for j in 0..NR {
            // SAFETY: j < NR and p < depth, as above.
            let b = unsafe { reach.load::<E, H>(simd, tile.b.ptr.add(j * tile.b.col_stride + p), h) };
            for i in 0..MR {
                acc[i][j][h] = simd.mul_add(a[i], b, acc[i][j][h]);
            }
        }
    }
}

/// [`STRETCH`] more terms of every sum, one column behind the other.
///
/// # Safety
/// As [`dot_tile`], for the terms from `p` on.
#[inline(always)]
unsafe fn stretch<S: Simd, E: Element, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile<E>,
    p: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
) {
    // Written out, because a compiler may not unroll so long a loop, and the accumulators would leave their registers.
    // SAFETY: the caller's promise; these are the tile's columns.
    unsafe {
        column::<S, E, MR, NR, H>(simd, tile, p, 0, acc);
        if NR > 1 {
            column::<S, E, MR, NR, H>(simd, tile, p, 1, acc);
        }
        if NR > 2 {
            column::<S, E, MR, NR, H>(simd, tile, p, 2, acc);
        }
        if NR > 3 {
            column::<S, E, MR, NR, H>(simd, tile, p, 3, acc);
        }
        if NR > 4 {
            column::<S, E, MR, NR, H>(simd, tile, p, 4, acc);
        }
        if NR > 5 {
            column::<S, E, MR, NR, H>(simd, tile, p, 5, acc);
        }
        if NR > 6 {
            column::<S, E, MR, NR, H>(simd, tile, p, 6, acc);
        }
        if NR > 7 {
            column::<S, E, MR, NR, H>(simd, tile, p, 7, acc);
        }
    }
}

/// [`STRETCH`] more terms of column `j`.
///
/// # Safety
/// As [`dot_tile`], for the terms from `p` on.
#[inline(always)]
unsafe fn column<S: Simd, E: Element, const MR: usize, const NR: usize, const H: usize>(
    simd: S,
    tile: &DotTile<E>,
    p: usize,
    j: usize,
    acc: &mut [[[S::V; H]; NR]; MR],
) {
    for v in 0..STRETCH / SUM_LANES {
        for h in 0..H {
            let p = p + v * SUM_LANES + h * S::LANES;
            // SAFETY: j < NR, and the terms are covered by the caller's promise.
            let b = unsafe { E::load(simd, tile.b.ptr.add(j * tile.b.col_stride + p)) };
            for i in 0..MR {
                // SAFETY: as above, and i < MR.
                let a = unsafe { simd.load(tile.a.ptr.add(i * tile.a.row_stride + p)) };
                acc[i][j][h] = simd.mul_add(a, b, acc[i][j][h]);
            }
        }
    }
}
