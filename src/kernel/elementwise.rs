//! Element-wise kernels over rows of vectors: the activation behind a tile, and `dz` with its column sums.
//!
//! Every element goes through the same vector code, tails included, so that its value never depends on its position.

use crate::activation::Function;
use crate::simd::Simd;
use core::marker::PhantomData;

/// Vectors in flight at a time: enough independent chains to hide the latency of one.
const GROUP: usize = 4;

/// `dst = g(src)` over `rows × cols` elements, in place where both pointers agree.
pub(crate) struct Rows {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) src: *const f32,
    pub(crate) src_row_stride: usize,
    pub(crate) dst: *mut f32,
    pub(crate) dst_row_stride: usize,
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

/// Applies the activation `F`.
///
/// # Safety
/// `src` must be readable and `dst` writable at all `rows × cols` places; they are equal or do not overlap.
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd, F: Function>(simd: S, rows: &Rows) {
    for i in 0..rows.rows {
        // SAFETY: i < rows, and each access below stays inside the row's `cols` elements.
        unsafe {
            let (src, dst) = (rows.src.add(i * rows.src_row_stride), rows.dst.add(i * rows.dst_row_stride));
            let mut j = 0;
            while j + GROUP * S::LANES <= rows.cols {
                let mut v = [simd.splat(0.0); GROUP];
                for g in 0..GROUP {
                    v[g] = simd.load(src.add(j + g * S::LANES));
                }
                for g in 0..GROUP {
                    v[g] = F::value(simd, v[g]);
                }
                for g in 0..GROUP {
                    simd.store(dst.add(j + g * S::LANES), v[g]);
                }
                j += GROUP * S::LANES;
            }
            while j < rows.cols {
                let tail = simd.tail((rows.cols - j).min(S::LANES));
                let v = simd.load_tail(src.add(j), tail);
                simd.store_tail(dst.add(j), F::value(simd, v), tail);
                j += S::LANES;
            }
        }
    }
}

/// How `dz` follows from the upstream value and the saved one.
pub(crate) trait Backward {
    /// `dz` of each lane.
    fn dz<S: Simd>(simd: S, upstream: S::V, saved: S::V) -> S::V;
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

impl<F: Function> Backward for FromA<F> {
    #[inline(always)]
    fn dz<S: Simd>(simd: S, upstream: S::V, saved: S::V) -> S::V {
        simd.mul(upstream, F::derivative_from_a(simd, saved))
    }
}

impl<F: Function> Backward for FromZ<F> {
    #[inline(always)]
    fn dz<S: Simd>(simd: S, upstream: S::V, saved: S::V) -> S::V {
        simd.mul(upstream, F::derivative_from_z(simd, saved))
    }
}

impl Backward for TargetsFromA {
    #[inline(always)]
    fn dz<S: Simd>(simd: S, upstream: S::V, saved: S::V) -> S::V {
        simd.sub(saved, upstream)
    }
}

impl<F: Function> Backward for TargetsFromZ<F> {
    #[inline(always)]
    fn dz<S: Simd>(simd: S, upstream: S::V, saved: S::V) -> S::V {
        simd.sub(F::value(simd, saved), upstream)
    }
}

impl Backward for Given {
    #[inline(always)]
    fn dz<S: Simd>(_: S, upstream: S::V, _: S::V) -> S::V {
        upstream
    }
}

/// `dz` and its column sums over one block of the batch: `rows × cols` elements.
pub(crate) struct Slab {
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
pub(crate) unsafe fn slab<S: Simd, B: Backward>(simd: S, slab: &Slab) {
    let mut j = 0;
    while j < slab.cols {
        let left = slab.cols - j;
        // SAFETY: a strip's columns lie below `cols`: GROUP whole vectors fit, or one vector cut to what is left.
        unsafe {
            if left >= GROUP * S::LANES {
                strip::<S, B, GROUP>(simd, slab, j, S::LANES);
                j += GROUP * S::LANES;
            } else {
                strip::<S, B, 1>(simd, slab, j, left.min(S::LANES));
                j += S::LANES;
            }
        }
    }
}

/// A strip of `NV` vectors of columns from column `j` on, the last cut to `tail` columns.
///
/// # Safety
/// As [`slab`], for these columns.
#[inline(always)]
unsafe fn strip<S: Simd, B: Backward, const NV: usize>(simd: S, slab: &Slab, j: usize, tail: usize) {
    let tail = simd.tail(tail);
    let mut sums = [simd.splat(0.0); NV];
    // SAFETY: rows i < rows and the strip's columns are covered by the caller's promise.
    unsafe {
        for i in 0..slab.rows {
            let upstream = slab.upstream.add(i * slab.upstream_row_stride + j);
            let saved = slab.saved.add(i * slab.saved_row_stride + j);
            let dz = slab.dz.add(i * slab.dz_row_stride + j);
            let mut v = [simd.splat(0.0); NV];
            for g in 0..NV {
                let at = g * S::LANES;
                v[g] = if g == NV - 1 {
                    B::dz(simd, simd.load_tail(upstream.add(at), tail), simd.load_tail(saved.add(at), tail))
                } else {
                    B::dz(simd, simd.load(upstream.add(at)), simd.load(saved.add(at)))
                };
            }
            for g in 0..NV {
                sums[g] = simd.add(sums[g], v[g]);
                let at = dz.add(g * S::LANES);
                if g == NV - 1 { simd.store_tail(at, v[g], tail) } else { simd.store(at, v[g]) }
            }
        }
        if let Some(db) = slab.db {
            let scale = simd.splat(slab.scale);
            for g in 0..NV {
                let at = db.add(j + g * S::LANES);
                let last = if g == NV - 1 { tail } else { simd.tail(S::LANES) };
                let value = if slab.add {
                    simd.mul_add(scale, sums[g], simd.load_tail(at, last))
                } else {
                    simd.mul(scale, sums[g])
                };
                simd.store_tail(at, value, last);
            }
        }
    }
}
