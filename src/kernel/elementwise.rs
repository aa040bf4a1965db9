//! Element-wise kernels over rows of vectors: the activation behind a tile, and `dz` with its column sums.
//!
//! ```text
//! for each row, for each GROUP of vectors in it:  load;  compute on all of them at once;  store
//! for the columns that are left, for as many rows at a time as make a group:  the same
//! ```
//!
//! Every element goes through the same vector code, so that its value never depends on its position. A strip that is
//! no whole number of vectors wide ends with one that overlaps its neighbour, and both write the same values; a strip
//! of less than one vector has masked access.

use crate::activation::{DerivativeFromA, Function};
use crate::simd::{Arithmetic, Group, Simd};
use core::marker::PhantomData;

/// Vectors in a group where registers are few, and where they are many: enough to fill the units of a core, whose operations wait for
/// each other within a vector. More want more registers than there are.
pub(crate) const SMALL_GROUP: usize = 5;
pub(crate) const LARGE_GROUP: usize = 8;

/// Vectors in a group of `dz`, which has column sums to keep in registers beside it.
const DZ_GROUP: usize = 4;

/// `dst = g(src)` over `rows × cols` elements, in place where both pointers agree.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) src: *const f32,
    pub(crate) src_row_stride: usize,
    pub(crate) dst: *mut f32,
    pub(crate) dst_row_stride: usize,
    /// The activation's parameter, if it has one.
    pub(crate) parameter: f32,
}

impl Rows {
    /// The same elements as one long row, where no gaps lie between the rows.
    pub(crate) fn flattened(self) -> Self {
        if self.src_row_stride == self.cols && self.dst_row_stride == self.cols {
            Self { rows: 1, cols: self.rows * self.cols, ..self }
        } else {
            self
        }
    }
}

/// Applies the activation `F`, to `GROUP` vectors at a time.
///
/// # Safety
/// `src` must be readable and `dst` writable at all `rows × cols` places; they are equal or do not overlap.
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd, F: Function, const GROUP: usize>(simd: S, rows: &Rows) {
    const { assert!(GROUP == SMALL_GROUP || GROUP == LARGE_GROUP) };
    let rows = rows.flattened();
    let group = GROUP * S::LANES;
    let whole = rows.cols / group;
    // The groups of a single row lie like rows of one group each.
    let (strips, strip) = match rows.rows {
        1 => (1, Rows { rows: whole, src_row_stride: group, dst_row_stride: group, ..rows }),
        _ => (whole, rows),
    };
    // SAFETY: these are columns of the matrix, in as many vectors as their number asks for.
    unsafe {
        for j in 0..strips {
            activate_strip::<S, F, GROUP, 1, GROUP>(simd, &strip, j * group, group);
        }
        let (mut j, mut width) = (whole * group, rows.cols % group);
        let half = LARGE_GROUP / 2 * S::LANES;
        if GROUP == LARGE_GROUP && width > half {
            activate_rest::<S, F, GROUP>(simd, &rows, j, half);
            (j, width) = (j + half, width - half);
        }
        activate_rest::<S, F, GROUP>(simd, &rows, j, width);
    }
}

/// Columns `j..j + width` of all rows, which are no whole group: as many rows at a time as one holds.
///
/// # Safety
/// As [`activate`], for these columns; in large groups they are four vectors or fewer.
#[inline(always)]
unsafe fn activate_rest<S: Simd, F: Function, const GROUP: usize>(simd: S, rows: &Rows, j: usize, width: usize) {
    let is_large = GROUP == LARGE_GROUP;
    // SAFETY: the caller's promise; these are as many vectors as the columns fill.
    unsafe {
        match (width.div_ceil(S::LANES), rows.rows) {
            (0, _) => {}
            (1, 1) => activate_strip::<S, F, 1, 1, 1>(simd, rows, j, width),
            (1, _) if is_large => activate_strip::<S, F, 1, 8, 8>(simd, rows, j, width),
            (1, _) => activate_strip::<S, F, 1, 5, 5>(simd, rows, j, width),
            (2, 1) => activate_strip::<S, F, 2, 1, 2>(simd, rows, j, width),
            (2, _) if is_large => activate_strip::<S, F, 2, 4, 8>(simd, rows, j, width),
            (2, _) => activate_strip::<S, F, 2, 2, 4>(simd, rows, j, width),
            (3, 2..) if is_large => activate_strip::<S, F, 3, 2, 6>(simd, rows, j, width),
            (3, _) => activate_strip::<S, F, 3, 1, 3>(simd, rows, j, width),
            (4, 2..) if is_large => activate_strip::<S, F, 4, 2, 8>(simd, rows, j, width),
            (4, _) => activate_strip::<S, F, 4, 1, 4>(simd, rows, j, width),
            _ => activate_strip::<S, F, SMALL_GROUP, 1, SMALL_GROUP>(simd, rows, j, width),
        }
    }
}

/// Columns `j..j + width` of all rows, in groups of `NV` vectors each of `NR` rows: `N` in all.
///
/// # Safety
/// As [`activate`], for these columns; `NV` vectors must be the fewest that hold `width` columns.
#[inline(always)]
unsafe fn activate_strip<S: Simd, F: Function, const NV: usize, const NR: usize, const N: usize>(
    simd: S,
    rows: &Rows,
    j: usize,
    width: usize,
) {
    for i in (0..rows.rows).step_by(NR) {
        // SAFETY: the caller's promise.
        unsafe { activate_group::<S, F, NV, NR, N>(simd, rows, i, j, width) };
    }
}

/// One group: columns `j..j + width`, in `NV` vectors, of `NR` rows from `i` on.
///
/// # Safety
/// As [`activate_strip`], for a row that there is.
#[inline(always)]
unsafe fn activate_group<S: Simd, F: Function, const NV: usize, const NR: usize, const N: usize>(
    simd: S,
    rows: &Rows,
    i: usize,
    j: usize,
    width: usize,
) {
    const { assert!(NV * NR == N) };
    let columns = Columns::<S>::new(simd, NV, width);
    // Behind the last row, the last row again: all loads of a group precede all its stores.
    let row = |r: usize| if r == 0 { i } else { (i + r).min(rows.rows - 1) };
    let mut v = [simd.splat(0.0); N];
    // SAFETY: the rows are below `rows.rows`, and `columns` stay within `width` columns from j on.
    unsafe {
        for g in 0..N {
            let src = rows.src.add(row(g / NV) * rows.src_row_stride + j);
            v[g] = columns.load(simd, src, g % NV, NV);
        }
        let v = F::value(Group::<S, N>(simd), v, rows.parameter);
        for g in 0..N {
            let dst = rows.dst.add(row(g / NV) * rows.dst_row_stride + j);
            columns.store(simd, dst, g % NV, NV, v[g]);
        }
    }
}

/// How a strip's vectors lie on its columns.
struct Columns<S: Simd> {
    /// Where the last vector starts.
    last: usize,
    /// The columns of the only vector.
    tail: S::Tail,
}

impl<S: Simd> Columns<S> {
    /// `width` columns in `vectors` vectors, the fewest that hold them.
    #[inline(always)]
    fn new(simd: S, vectors: usize, width: usize) -> Self {
        debug_assert_eq!(width.div_ceil(S::LANES), vectors);
        Self { last: width.max(S::LANES) - S::LANES, tail: simd.tail(width.min(S::LANES)) }
    }

    /// Vector `v` of `vectors`.
    ///
    /// # Safety
    /// The columns from `row` on must be readable.
    #[inline(always)]
    unsafe fn load(&self, simd: S, row: *const f32, v: usize, vectors: usize) -> S::V {
        // SAFETY: whole vectors where there are at least LANES columns, else masked to them.
        unsafe {
            match (vectors == 1, v + 1 == vectors) {
                (true, _) => simd.load_tail(row, self.tail),
                (_, true) => simd.load(row.add(self.last)),
                _ => simd.load(row.add(v * S::LANES)),
            }
        }
    }

    /// # Safety
    /// The columns from `row` on must be writable.
    #[inline(always)]
    unsafe fn store(&self, simd: S, row: *mut f32, v: usize, vectors: usize, value: S::V) {
        // SAFETY: as for `load`.
        unsafe {
            match (vectors == 1, v + 1 == vectors) {
                (true, _) => simd.store_tail(row, value, self.tail),
                (_, true) => simd.store(row.add(self.last), value),
                _ => simd.store(row.add(v * S::LANES), value),
            }
        }
    }
}

/// How `dz` follows from the upstream value and the saved one.
pub(crate) trait Backward {
    /// `dz` of each lane.
    fn dz<S: Arithmetic>(simd: S, upstream: S::V, saved: S::V, parameter: f32) -> S::V;
}

/// `dz = dA ⊙ g'`, with `g'` from the saved activation `a`.
pub(crate) struct FromA<F>(PhantomData<F>);
/// `dz = dA ⊙ g'`, with `g'` from the saved pre-activation `z`.
pub(crate) struct FromZ<F>(PhantomData<F>);
/// `dz = a - y`, from the saved activation `a`.
pub(crate) struct TargetsFromA;
/// `dz = g(z) - y`, from the saved pre-activation `z`.
pub(crate) struct TargetsFromZ<F>(PhantomData<F>);
/// `dz` is given; only its column sums are wanted.
pub(crate) struct Given;

impl<F: DerivativeFromA> Backward for FromA<F> {
    #[inline(always)]
    fn dz<S: Arithmetic>(simd: S, upstream: S::V, saved: S::V, parameter: f32) -> S::V {
        simd.mul(upstream, F::derivative_from_a(simd, saved, parameter))
    }
}

impl<F: Function> Backward for FromZ<F> {
    #[inline(always)]
    fn dz<S: Arithmetic>(simd: S, upstream: S::V, saved: S::V, parameter: f32) -> S::V {
        simd.mul(upstream, F::derivative_from_z(simd, saved, parameter))
    }
}

impl Backward for TargetsFromA {
    #[inline(always)]
    fn dz<S: Arithmetic>(simd: S, upstream: S::V, saved: S::V, _: f32) -> S::V {
        simd.sub(saved, upstream)
    }
}

impl<F: Function> Backward for TargetsFromZ<F> {
    #[inline(always)]
    fn dz<S: Arithmetic>(simd: S, upstream: S::V, saved: S::V, parameter: f32) -> S::V {
        simd.sub(F::value(simd, saved, parameter), upstream)
    }
}

impl Backward for Given {
    #[inline(always)]
    fn dz<S: Arithmetic>(_: S, upstream: S::V, _: S::V, _: f32) -> S::V {
        upstream
    }
}

/// `dz` and its column sums over one block of the batch: `rows × cols` elements.
pub(crate) struct DzRows {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// `dA`, the targets, or `dz` itself.
    pub(crate) upstream: *const f32,
    pub(crate) upstream_row_stride: usize,
    /// `a` or `z`.
    pub(crate) saved: *const f32,
    pub(crate) saved_row_stride: usize,
    pub(crate) dz: *mut f32,
    pub(crate) dz_row_stride: usize,
    /// The activation's parameter, if it has one.
    pub(crate) parameter: f32,
    /// Where the column sums go, if they are wanted.
    pub(crate) db: Option<*mut f32>,
    /// Factor of the column sums.
    pub(crate) scale: f32,
    /// Whether to add to `db`; where not, it is never read.
    pub(crate) add: bool,
}

/// Computes `dz` and, down each column in ascending order, `db = scale · Σ dz` or `fma(scale, Σ dz, db)`.
///
/// # Safety
/// `upstream` and `saved` must be readable and `dz` writable at all `rows × cols` places, `db` writable (with `add`
/// readable) at `cols`; `dz` and an input are equal or do not overlap.
#[inline(always)]
pub(crate) unsafe fn dz_rows<S: Simd, B: Backward>(simd: S, call: &DzRows) {
    let mut j = 0;
    while j < call.cols {
        let width = (call.cols - j).min(DZ_GROUP * S::LANES);
        // SAFETY: columns j..j + width lie inside the call; `width` asks for this many vectors.
        unsafe {
            match width.div_ceil(S::LANES) {
                1 => dz_strip::<S, B, 1>(simd, call, j, width),
                2 => dz_strip::<S, B, 2>(simd, call, j, width),
                3 => dz_strip::<S, B, 3>(simd, call, j, width),
                _ => dz_strip::<S, B, DZ_GROUP>(simd, call, j, width),
            }
        }
        j += width;
    }
}

/// Columns `j..j + width` in `NV` vectors, all rows.
///
/// # Safety
/// As [`dz_rows`], for these columns; `NV` vectors must be the fewest that hold `width` columns.
#[inline(always)]
unsafe fn dz_strip<S: Simd, B: Backward, const NV: usize>(simd: S, call: &DzRows, j: usize, width: usize) {
    let columns = Columns::<S>::new(simd, NV, width);
    let mut sums = [simd.splat(0.0); NV];
    // SAFETY: rows i < rows, and `columns` stay within `width` columns from j on.
    unsafe {
        for i in 0..call.rows {
            let upstream = call.upstream.add(i * call.upstream_row_stride + j);
            let saved = call.saved.add(i * call.saved_row_stride + j);
            let dz = call.dz.add(i * call.dz_row_stride + j);
            let (mut u, mut s) = (sums, sums);
            for g in 0..NV {
                u[g] = columns.load(simd, upstream, g, NV);
                s[g] = columns.load(simd, saved, g, NV);
            }
            let v = B::dz(Group::<S, NV>(simd), u, s, call.parameter);
            for g in 0..NV {
                sums[g] = simd.add(sums[g], v[g]);
                columns.store(simd, dz, g, NV, v[g]);
            }
        }
        if let Some(db) = call.db {
            let db = db.add(j);
            let scale = simd.splat(call.scale);
            let mut values = sums;
            for g in 0..NV {
                values[g] = if call.add {
                    simd.mul_add(scale, sums[g], columns.load(simd, db, g, NV))
                } else {
                    simd.mul(scale, sums[g])
                };
            }
            for g in 0..NV {
                columns.store(simd, db, g, NV, values[g]);
            }
        }
    }
}
