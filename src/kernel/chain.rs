//! The chain micro-kernel: runs of tiles, one below the other, one block of the sum, all accumulators in registers.
//!
//! ```text
//! for each panel of NV vectors, for each tile of MR rows
//!     acc[MR][NV] = bias, or zero
//!     for p in 0..depth
//!         b[NV] = row p of the right panel
//!         for i in 0..MR
//!             acc[i] = fma(a[i, p], b, acc[i])
//!     c = scale · acc, or fma(weight, scale · acc, c)
//! ```
//!
//! Runs, because the sums over a small batch are so short that a call for each tile would take a quarter of the time.
//!
//! The factors `a[i, p]` are broadcast from memory one by one. Where a multiply-add can take its factor from any lane,
//! one load brings several: terms of a row, or rows of a term, whichever lie side by side.
//!
//! Written once over [`Simd`]; `build.rs` instantiates it for every instruction set, row count and width.

use super::{Finish, Sink, Source, Start};
use crate::simd::{Element, Halves, Simd, independent, prefetch};
use crate::tuning::LINE;
use core::marker::PhantomData;

/// Rows of the left operand that share an address register: with one more for the stride, x86 addressing reaches
/// `0`, `1` and `2` strides from it.
const GROUP_ROWS: usize = 3;

/// Rows of a tile up to which the compiler may keep a pointer to each: registers for addresses are few.
const MOST_POINTERS: usize = 8;

/// Groups of the tallest tile: the length of an array.
const MOST_GROUPS: usize = 5;

/// One call of a chain micro-kernel: `panels` panels side by side of `tiles` tiles of `MR` rows, `NV` vectors of columns of
/// which a panel's last has `tail` columns.
pub(crate) struct Tiles<'r, E = f32> {
    /// More than one only of whole vectors, with `b` and its like in place.
    pub(crate) panels: usize,
    pub(crate) tiles: usize,
    /// Length of this block of the sum.
    pub(crate) depth: usize,
    pub(crate) a: Lhs,
    /// Rows that prefetching kernels bring into the second-level cache; empty where they prefetch nothing.
    pub(crate) prefetch: &'r [Prefetch],
    /// Right operand: rows are terms, contiguous.
    pub(crate) b: Source<E>,
    /// Output, whose rows are contiguous.
    pub(crate) c: Sink,
    /// Columns in the last vector, `1 ..= LANES`.
    pub(crate) tail: usize,
    pub(crate) start: Start,
    pub(crate) finish: Finish,
}

/// The left operand of a run of tiles.
#[derive(Clone, Copy)]
pub(crate) struct Lhs {
    /// The first tile's rows; columns are terms.
    pub(crate) rows: Source,
    /// From a tile's rows to the next one's.
    pub(crate) tile_stride: usize,
    /// Whether the next tile is brought into the second-level cache on the way, a cache line for each row every [`LINE`]
    /// terms,
    pub(crate) prefetches: bool,
    /// and elements from one of these lines to the next.
    pub(crate) line_stride: usize,
}

impl Lhs {
    /// Tiles of so many rows of a matrix.
    #[inline(always)]
    pub(crate) fn in_place(rows: Source, height: usize, prefetches: bool) -> Self {
        let tile_stride = height.wrapping_mul(rows.row_stride);
        Self { rows, tile_stride, prefetches, line_stride: rows.row_stride }
    }

    /// Packed tiles of so many rows, `depth` terms each, from a term of the first one on.
    #[inline(always)]
    pub(crate) fn packed(ptr: *const f32, height: usize, depth: usize, prefetches: bool) -> Self {
        let rows = Source { ptr, row_stride: 1, col_stride: height };
        Self { rows, tile_stride: height * depth, prefetches, line_stride: LINE }
    }
}

/// Rows of memory, as long as a panel is wide, that the tiles of a run prefetch: so many each, one every [`LINE`] terms.
#[derive(Clone, Copy)]
pub(crate) struct Prefetch {
    pub(crate) ptr: *const f32,
    pub(crate) row_stride: usize,
    pub(crate) rows: usize,
}

impl Prefetch {
    /// Of nothing.
    pub(crate) const NONE: Self = Self { ptr: core::ptr::null(), row_stride: 0, rows: 0 };

    /// Prefetches one of a tile's rows, of `width` elements, which seldom begins where a line does.
    #[inline(always)]
    fn row(&self, tile: usize, row: usize, width: usize) {
        if row < self.rows {
            let mut line = self.ptr.wrapping_add((tile * self.rows + row).wrapping_mul(self.row_stride));
            for _ in 0..=width.div_ceil(LINE) {
                prefetch(line);
                line = independent(line.wrapping_add(LINE));
            }
        }
    }
}

/// The properties of a compiled tile besides its size, which is a constant of each function because arrays have it.
pub(crate) trait Kind<S: Simd> {
    /// Elements of the right operand.
    type Element: Element;
    /// The last vector.
    type Last: Last<S>;
    /// Whether loads of the right operand's last vector are kept inside its tail; where not, that vector is loaded whole.
    const MASKED_B: bool;
    /// Whether tiles prefetch the rows that `prefetch` names: in kernels of their own, since the main loop of the others would
    /// have a register less.
    const PREFETCHES: bool;
}

/// The one kind for each choice.
pub(crate) struct TileKind<E, L, const MASKED_B: bool, const PREFETCHES: bool>(PhantomData<(E, L)>);

impl<S: Simd, E: Element, L: Last<S>, const MASKED: bool, const PREFETCHING: bool> Kind<S>
    for TileKind<E, L, MASKED, PREFETCHING>
{
    type Element = E;
    type Last = L;
    const MASKED_B: bool = MASKED;
    const PREFETCHES: bool = PREFETCHING;
}

/// How much of a tile's last vector is computed.
pub(crate) trait Last<S: Simd> {
    /// A factor in all lanes that multiplies this vector and others.
    fn shared(simd: S, factor: S::V) -> S::V;
    /// `a · b + c`, rounded once.
    fn mul_add(simd: S, a: S::V, b: S::V, c: S::V) -> S::V;
    /// [`mul_add_factor`](Simd::mul_add_factor)
    fn mul_add_factor(simd: S, factors: S::V, index: usize, b: S::V, c: S::V) -> S::V;
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be readable.
    unsafe fn load<E: Element>(simd: S, p: *const E, tail: S::Tail) -> S::V;
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be writable.
    unsafe fn store(simd: S, p: *mut f32, v: S::V, tail: S::Tail);
}

/// All of it.
pub(crate) struct WholeLast;

/// Half of it, which holds the tail.
#[cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]
pub(crate) struct HalfLast;

impl<S: Simd> Last<S> for WholeLast {
    #[inline(always)]
    fn shared(_: S, factor: S::V) -> S::V {
        factor
    }

    #[inline(always)]
    fn mul_add(simd: S, a: S::V, b: S::V, c: S::V) -> S::V {
        simd.mul_add(a, b, c)
    }

    #[inline(always)]
    fn mul_add_factor(simd: S, factors: S::V, index: usize, b: S::V, c: S::V) -> S::V {
        simd.mul_add_factor(factors, index, b, c)
    }

    #[inline(always)]
    unsafe fn load<E: Element>(simd: S, p: *const E, tail: S::Tail) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { E::load_tail(simd, p, tail) }
    }

    #[inline(always)]
    unsafe fn store(simd: S, p: *mut f32, v: S::V, tail: S::Tail) {
        // SAFETY: the caller's promise.
        unsafe { simd.store_tail(p, v, tail) }
    }
}

impl<S: Halves> Last<S> for HalfLast {
    #[inline(always)]
    fn shared(simd: S, factor: S::V) -> S::V {
        simd.in_one_register(factor)
    }

    #[inline(always)]
    fn mul_add(simd: S, a: S::V, b: S::V, c: S::V) -> S::V {
        simd.mul_add_half(a, b, c)
    }

    #[inline(always)]
    fn mul_add_factor(simd: S, factors: S::V, _: usize, b: S::V, c: S::V) -> S::V {
        const { assert!(S::FACTORS == 1 && S::HAS_MASKS) };
        simd.mul_add_half(factors, b, c)
    }

    #[inline(always)]
    unsafe fn load<E: Element>(simd: S, p: *const E, tail: S::Tail) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { E::load_half(simd, p, tail) }
    }

    #[inline(always)]
    unsafe fn store(simd: S, p: *mut f32, v: S::V, tail: S::Tail) {
        // SAFETY: the caller's promise.
        unsafe { simd.store_half(p, v, tail) }
    }
}

/// Elements of the left operand in a register: rows of one term, or terms of one row.
trait Factors {
    const ROWS: usize;
    const TERMS: usize;
}

/// One element, in all lanes.
struct One;

/// Rows that lie side by side, as many as the instruction set takes factors from a register.
struct OfRows<S>(PhantomData<S>);

/// As many terms that lie side by side.
struct OfTerms<S>(PhantomData<S>);

impl Factors for One {
    const ROWS: usize = 1;
    const TERMS: usize = 1;
}

impl<S: Simd> Factors for OfRows<S> {
    const ROWS: usize = S::FACTORS;
    const TERMS: usize = 1;
}

impl<S: Simd> Factors for OfTerms<S> {
    const ROWS: usize = 1;
    const TERMS: usize = S::FACTORS;
}

/// Computes a run of tiles.
///
/// # Safety
/// - `a` is readable at all `MR × depth` places of all tiles, `b` at all `depth` rows of the panels' columns (rounded up
///   to whole vectors without `MASKED_B`), the bias as [`Start`] says;
/// - `c` is writable at all `tiles · MR` rows of the panels' columns, readable too with `add`, and overlaps none of the
///   inputs;
/// - `1 ≤ tail ≤ LANES`, and `tail = LANES` with several panels.
#[inline(always)]
pub(crate) unsafe fn chain_tiles<S: Simd, K: Kind<S>, const MR: usize, const NV: usize>(
    simd: S,
    run: &Tiles<K::Element>,
) {
    let columns = Columns::<S, NV>::new(simd, run.tail);
    let mut first = Tile { index: 0, a: run.a.rows.ptr, b: run.b.ptr, c: run.c.ptr, start: run.start };
    for _ in 0..run.panels {
        let mut tile = first;
        for _ in 0..run.tiles {
            // SAFETY: the caller's promise; this is one of the tiles.
            unsafe { chain_tile::<S, K, MR, NV>(simd, run, &columns, tile) };
            // Behind the last tile these may leave the operands' memory; wrapping arithmetic makes no claim to stay inside.
            tile = Tile {
                a: independent(tile.a.wrapping_add(run.a.tile_stride)),
                c: independent(tile.c.wrapping_add(MR * run.c.row_stride)).cast_mut(),
                start: tile.start.at(MR, 0),
                index: tile.index + 1,
                ..tile
            };
        }
        let width = NV * S::LANES;
        first = Tile {
            b: first.b.wrapping_add(width),
            c: first.c.wrapping_add(width),
            start: first.start.at(0, width),
            ..first
        };
    }
}

/// Where one tile of a run begins.
#[derive(Clone, Copy)]
struct Tile<E> {
    index: usize,
    a: *const f32,
    b: *const E,
    c: *mut f32,
    start: Start,
}

/// Computes one tile.
///
/// # Safety
/// As [`chain_tiles`], for this tile.
#[inline(always)]
unsafe fn chain_tile<S: Simd, K: Kind<S>, const MR: usize, const NV: usize>(
    simd: S,
    run: &Tiles<K::Element>,
    columns: &Columns<S, NV>,
    tile: Tile<K::Element>,
) {
    const { assert!(MR <= GROUP_ROWS * MOST_GROUPS) };
    let mut acc = [[simd.splat(0.0); NV]; MR];

    // SAFETY: for each access the function's safety section names the memory; the offsets stay within it because
    // i < MR, v < NV and p < depth.
    unsafe {
        match tile.start {
            Start::Zero => {}
            Start::Columns(bias) => {
                for v in 0..NV {
                    let bias = columns.load::<_, K::Last>(simd, bias, v);
                    for row in &mut acc {
                        row[v] = bias;
                    }
                }
            }
            Start::Rows(bias) => {
                for i in 0..MR {
                    acc[i] = [simd.splat(*bias.add(i)); NV];
                }
            }
        }

        let mut a = [tile.a; MOST_GROUPS];
        for g in 1..MR.div_ceil(GROUP_ROWS) {
            // Without terms these lie in no operand; wrapping arithmetic makes no claim to stay inside.
            a[g] = independent(tile.a.wrapping_add(g * GROUP_ROWS * run.a.rows.row_stride));
        }
        let next_a = tile.a.wrapping_add(run.a.tile_stride);
        let mut place = Place { p: LINE, a, next_a, b: tile.b, tile: tile.index };
        if S::FACTORS > 1 && MR >= S::FACTORS && run.a.rows.row_stride == 1 {
            sum::<S, K, OfRows<S>, MR, NV>(simd, run, columns, &mut place, &mut acc);
        } else {
            if S::FACTORS > 1 && run.a.rows.col_stride == 1 {
                sum::<S, K, OfTerms<S>, MR, NV>(simd, run, columns, &mut place, &mut acc);
            }
            sum::<S, K, One, MR, NV>(simd, run, columns, &mut place, &mut acc);
        }

        // Few products are scaled, and where sums are short the others would feel it.
        if run.finish.scale != 1.0 {
            let scale = simd.splat(run.finish.scale);
            for row in &mut acc {
                for v in 0..NV {
                    row[v] = simd.mul(scale, row[v]);
                }
            }
        }
        let weight = simd.splat(run.finish.weight);
        let group = tile.c;
        // All rows are read before any is written: the last two vectors may overlap, and a row that begins where a masked store
        // ends would wait until that has reached the cache, as if it reached further than its mask.
        if run.finish.add {
            for i in 0..MR {
                let row = group.add(i * run.c.row_stride);
                for v in 0..NV {
                    let before = columns.load::<_, K::Last>(simd, row.cast_const(), v);
                    acc[i][v] = match v == NV - 1 {
                        true => K::Last::mul_add(simd, weight, acc[i][v], before),
                        false => simd.mul_add(weight, acc[i][v], before),
                    };
                }
            }
        }
        for i in 0..MR {
            let row = group.add(i * run.c.row_stride);
            for v in 0..NV {
                columns.store::<K::Last>(simd, row, v, acc[i][v]);
            }
        }
    }
}

/// How `NV` vectors lie on a tile's columns.
///
/// Where access cannot be masked, the last of several vectors overlaps its neighbour instead: both hold the same values
/// in the columns that they share.
struct Columns<S: Simd, const NV: usize> {
    /// Where the last vector starts.
    last: usize,
    /// Its columns, where it is cut to them.
    tail: S::Tail,
}

impl<S: Simd, const NV: usize> Columns<S, NV> {
    const OVERLAP: bool = NV > 1 && !S::HAS_MASKS;

    #[inline(always)]
    fn new(simd: S, tail: usize) -> Self {
        let last = (NV - 1) * S::LANES;
        Self { last: if Self::OVERLAP { last + tail - S::LANES } else { last }, tail: simd.tail(tail) }
    }

    /// Where vector `v` starts.
    #[inline(always)]
    fn start(&self, v: usize) -> usize {
        if Self::OVERLAP && v == NV - 1 { self.last } else { v * S::LANES }
    }

    /// Vector `v` of a row, of which no more than the tile's columns are touched.
    ///
    /// # Safety
    /// The tile's columns must be readable from `row` on.
    #[inline(always)]
    unsafe fn load<E: Element, L: Last<S>>(&self, simd: S, row: *const E, v: usize) -> S::V {
        // SAFETY: a whole vector lies on the tile's columns, or is cut to them.
        unsafe {
            let at = row.add(self.start(v));
            if v == NV - 1 && !Self::OVERLAP { L::load(simd, at, self.tail) } else { E::load(simd, at) }
        }
    }

    /// Vector `v` of a row that has room for whole vectors.
    ///
    /// # Safety
    /// `NV` vectors must be readable from `row` on.
    #[inline(always)]
    unsafe fn load_whole<E: Element>(&self, simd: S, row: *const E, v: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { E::load(simd, row.add(self.start(v))) }
    }

    /// # Safety
    /// The tile's columns must be writable from `row` on.
    #[inline(always)]
    unsafe fn store<L: Last<S>>(&self, simd: S, row: *mut f32, v: usize, value: S::V) {
        // SAFETY: as for `load`.
        unsafe {
            let at = row.add(self.start(v));
            if v == NV - 1 && !Self::OVERLAP { L::store(simd, at, value, self.tail) } else { simd.store(at, value) }
        }
    }
}

/// How far a tile's sums have come.
struct Place<E> {
    /// The next term, counted from [`LINE`] on, so that it is never zero.
    p: usize,
    /// Where it stands in the first row of each group of the left operand,
    a: [*const f32; MOST_GROUPS],
    /// and in the right operand.
    b: *const E,
    /// The left operand's next tile.
    next_a: *const f32,
    /// Which tile of the run it is.
    tile: usize,
}

/// As many more terms of every sum as there are whole steps of `F::TERMS`.
///
/// # Safety
/// As [`chain_tile`]; with `F::ROWS > 1` rows of the left operand lie side by side, and there are as many; with `F::TERMS > 1`
/// terms do.
#[inline(always)]
unsafe fn sum<S: Simd, K: Kind<S>, F: Factors, const MR: usize, const NV: usize>(
    simd: S,
    run: &Tiles<K::Element>,
    columns: &Columns<S, NV>,
    place: &mut Place<K::Element>,
    acc: &mut [[S::V; NV]; MR],
) {
    const { assert!(F::TERMS == 1 || F::TERMS == 4) };
    // SAFETY: as in `chain_tile`: i < MR, v < NV and p < depth, the terms of a step included.
    unsafe {
        let end = place.p + (LINE + run.depth - place.p) / F::TERMS * F::TERMS;
        // One test of one register: never true where nothing is prefetched.
        let within_line = if run.a.prefetches { LINE - 1 } else { usize::MAX };
        while place.p < end {
            let p = place.p;
            place.p += F::TERMS;
            if p & within_line == 0 {
                let mut line = place.next_a.wrapping_add((p - LINE) * run.a.rows.col_stride);
                for _ in 0..MR {
                    prefetch(line);
                    line = independent(line.wrapping_add(run.a.line_stride));
                }
                if K::PREFETCHES {
                    for rows in run.prefetch {
                        rows.row(place.tile, p / LINE - 1, NV * S::LANES);
                    }
                }
            }
            let mut a = [simd.splat(0.0); MR];
            term::<S, K, F, MR, NV>(simd, run, columns, place, (&mut a, acc), 0);
            // Written out, because a compiler may not unroll so long a loop, and then cannot tell the lanes.
            if F::TERMS > 1 {
                term::<S, K, F, MR, NV>(simd, run, columns, place, (&mut a, acc), 1);
                term::<S, K, F, MR, NV>(simd, run, columns, place, (&mut a, acc), 2);
                term::<S, K, F, MR, NV>(simd, run, columns, place, (&mut a, acc), 3);
            }
            for group in place.a.iter_mut().take(MR.div_ceil(GROUP_ROWS)) {
                let next = group.wrapping_add(F::TERMS * run.a.rows.col_stride);
                // Left alone, the compiler counts terms and keeps a pointer to each row, on the stack where there are many.
                *group = if MR > MOST_POINTERS { independent(next) } else { next };
            }
        }
    }
}

/// Term `t` of a step. The first one loads the left operand's vectors `a` for all.
///
/// # Safety
/// As [`sum`], for a term that there is.
#[inline(always)]
unsafe fn term<S: Simd, K: Kind<S>, F: Factors, const MR: usize, const NV: usize>(
    simd: S,
    run: &Tiles<K::Element>,
    columns: &Columns<S, NV>,
    place: &mut Place<K::Element>,
    (a, acc): (&mut [S::V; MR], &mut [[S::V; NV]; MR]),
    t: usize,
) {
    // SAFETY: as in `sum`.
    unsafe {
        let mut b = [simd.splat(0.0); NV];
        for v in 0..NV {
            b[v] = match K::MASKED_B {
                true => columns.load::<_, K::Last>(simd, place.b, v),
                false => columns.load_whole(simd, place.b, v),
            };
        }
        // In halves, because a compiler may not unroll so long a loop.
        for i in 0..MR / 2 {
            multiply_row::<S, K, F, MR, NV>(simd, run, place, &b, (a, acc), (t, i));
        }
        for i in MR / 2..MR {
            multiply_row::<S, K, F, MR, NV>(simd, run, place, &b, (a, acc), (t, i));
        }
        // Behind the last term it leaves the operand's memory; wrapping arithmetic makes no claim to stay inside.
        place.b = place.b.wrapping_add(run.b.row_stride);
    }
}

/// Row `i` of term `t` of a step. Of a step's first term it loads the left operand's vectors, too.
///
/// # Safety
/// As [`term`], for a row that there is.
#[inline(always)]
unsafe fn multiply_row<S: Simd, K: Kind<S>, F: Factors, const MR: usize, const NV: usize>(
    simd: S,
    run: &Tiles<K::Element>,
    place: &Place<K::Element>,
    b: &[S::V; NV],
    (a, acc): (&mut [S::V; MR], &mut [[S::V; NV]; MR]),
    (t, i): (usize, usize),
) {
    // SAFETY: as in `term`.
    unsafe {
        let g = i / F::ROWS;
        // The last vector overlaps its neighbour where rows are left over.
        let row = if (g + 1) * F::ROWS <= MR { g * F::ROWS } else { MR - F::ROWS };
        if t == 0 && i % F::ROWS == 0 {
            let at = place.a[row / GROUP_ROWS].add(row % GROUP_ROWS * run.a.rows.row_stride);
            a[g] = if F::ROWS * F::TERMS > 1 { simd.load(at) } else { simd.splat(*at) };
            if NV > 1 {
                a[g] = K::Last::shared(simd, a[g]);
            }
        }
        for v in 0..NV - 1 {
            acc[i][v] = simd.mul_add_factor(a[g], t + i - row, b[v], acc[i][v]);
        }
        acc[i][NV - 1] = K::Last::mul_add_factor(simd, a[g], t + i - row, b[NV - 1], acc[i][NV - 1]);
    }
}
