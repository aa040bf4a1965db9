//! Chain products of few columns over rows that lie along the sum: a vector holds all columns of several rows.
//!
//! ```text
//! for each G vectors of rows
//!     for each four terms p
//!         b[t] = row p + t of the right operand, in every quad                t = 0..4
//!         for each vector:  a = terms p..p + 4 of its rows, a quad each
//!             for each t:   acc = fma(lane t of each quad of a, b[t], acc)
//!     c = scale · acc, or fma(weight, scale · acc, c)
//! ```
//!
//! A tile one vector wide loads a factor for every multiply-add, of which most lanes are empty. Here a load brings four
//! factors, and a multiply-add computes as many rows as a vector has quads.

// Without vectors of several quads there is no kernel to make of this.
#![cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]

use super::{Finish, Sink, Source};
use crate::simd::{Element, Quads, independent};

/// Most columns: a quad of lanes.
pub(crate) const MAX_COLS: usize = 4;

/// One block of the sums of all rows.
pub(crate) struct Narrow<E = f32> {
    pub(crate) rows: usize,
    /// At most [`MAX_COLS`].
    pub(crate) cols: usize,
    /// Length of this block of the sum.
    pub(crate) depth: usize,
    /// Left operand: columns are terms, contiguous in a row.
    pub(crate) a: Source,
    /// Right operand: rows are terms, contiguous.
    pub(crate) b: Source<E>,
    /// Output, whose rows are contiguous.
    pub(crate) c: Sink,
    pub(crate) finish: Finish,
}

/// Computes one block of all sums, at most `MOST` vectors of them side by side: as many as hide a multiply-add's latency,
/// where the registers hold them and their factors.
///
/// # Safety
/// - `a` is readable at `rows × depth` places, `b` at `depth × cols`, where `1 ≤ cols ≤ MAX_COLS`;
/// - `c` is writable at `rows × cols` places, readable too with `add`, and overlaps none of the inputs.
#[inline(always)]
pub(crate) unsafe fn narrow<S: Quads, E: Element, const MOST: usize>(simd: S, call: &Narrow<E>) {
    const { assert!(MOST == 5 || MOST == 8) };
    let vectors = call.rows.div_ceil(S::ROWS);
    let each = vectors.div_ceil(vectors.div_ceil(MOST).max(1));
    for first in (0..call.rows).step_by((each * S::ROWS).max(1)) {
        // SAFETY: the caller's promise; `first` is a row.
        unsafe {
            match (call.rows - first).div_ceil(S::ROWS).min(each) {
                1 => rows::<S, E, 1>(simd, call, first),
                2 => rows::<S, E, 2>(simd, call, first),
                3 => rows::<S, E, 3>(simd, call, first),
                4 => rows::<S, E, 4>(simd, call, first),
                5 if MOST > 5 => rows::<S, E, 5>(simd, call, first),
                6 if MOST > 5 => rows::<S, E, 6>(simd, call, first),
                7 if MOST > 5 => rows::<S, E, 7>(simd, call, first),
                _ => rows::<S, E, MOST>(simd, call, first),
            }
        }
    }
}

/// The rows from `first` on, in `NV` vectors.
///
/// # Safety
/// As [`narrow`], for a row that there is; of the last vector, too, at least one row must be.
#[inline(always)]
unsafe fn rows<S: Quads, E: Element, const NV: usize>(simd: S, call: &Narrow<E>, first: usize) {
    let left = call.rows - first;
    let cols = simd.tail(call.cols);
    let mut acc = [simd.splat(0.0); NV];
    // SAFETY: all rows and terms lie inside the operands.
    unsafe {
        let places = simd.places();
        let mut a = Lines::<NV>::new::<S>(call.a.ptr.add(first * call.a.row_stride), call.a.row_stride, left);
        let whole = call.depth / MAX_COLS * MAX_COLS;
        let mut p = 0;
        while p < whole {
            let mut factors = acc;
            for v in 0..NV {
                factors[v] = simd.load_quads(places, a.quads(v));
            }
            a.step(MAX_COLS);
            terms::<S, E, NV, MAX_COLS>(simd, call, p, &factors, cols, &mut acc);
            p += MAX_COLS;
        }
        if p < call.depth {
            let mut factors = acc;
            for v in 0..NV {
                factors[v] = simd.load_quads_tail(a.quads(v), simd.tail(call.depth - p));
            }
            match call.depth - p {
                1 => terms::<S, E, NV, 1>(simd, call, p, &factors, cols, &mut acc),
                2 => terms::<S, E, NV, 2>(simd, call, p, &factors, cols, &mut acc),
                _ => terms::<S, E, NV, 3>(simd, call, p, &factors, cols, &mut acc),
            }
        }
        let (scale, weight) = (simd.splat(call.finish.scale), simd.splat(call.finish.weight));
        let c = Lines::<NV>::new::<S>(call.c.ptr.add(first * call.c.row_stride), call.c.row_stride, left);
        for v in 0..NV {
            let scaled = simd.mul(scale, acc[v]);
            let value = match call.finish.add {
                true => simd.mul_add(weight, scaled, simd.load_quads_tail(c.quads(v), cols)),
                false => scaled,
            };
            simd.store_quads(c.quads(v).map(<*const f32>::cast_mut), value, cols);
        }
    }
}

/// `TERMS` terms of every sum, from `p` on.
///
/// # Safety
/// As [`rows`], for terms that there are.
#[inline(always)]
unsafe fn terms<S: Quads, E: Element, const NV: usize, const TERMS: usize>(
    simd: S,
    call: &Narrow<E>,
    p: usize,
    factors: &[S::V; NV],
    cols: S::Tail,
    acc: &mut [S::V; NV],
) {
    for t in 0..TERMS {
        // SAFETY: the caller's promise.
        let row = unsafe { E::repeat_quad(simd, call.b.ptr.add((p + t) * call.b.row_stride), cols) };
        for v in 0..NV {
            acc[v] = simd.mul_add(simd.spread(factors[v], t), row, acc[v]);
        }
    }
}

/// Where `NV` vectors of rows stand.
struct Lines<const NV: usize> {
    vectors: [*const f32; NV],
    /// From a vector's first row to the others,
    quads: [usize; 4],
    /// and in the last vector, where behind the last row stands the last row again.
    last_quads: [usize; 4],
}

impl<const NV: usize> Lines<NV> {
    /// `left` rows, more than all vectors but one hold.
    #[inline(always)]
    fn new<S: Quads>(first: *const f32, stride: usize, left: usize) -> Self {
        let mut vectors = [first; NV];
        for v in 1..NV {
            vectors[v] = independent(first.wrapping_add(v * S::ROWS * stride));
        }
        let last = left.min(NV * S::ROWS) - (NV - 1) * S::ROWS - 1;
        let quads = [0, stride, 2 * stride, 3 * stride];
        let mut last_quads = quads;
        for q in 1..4 {
            last_quads[q] = quads[q.min(last)];
        }
        Self { vectors, quads, last_quads }
    }

    /// The rows of vector `v`.
    #[inline(always)]
    fn quads(&self, v: usize) -> [*const f32; 4] {
        let quads = if v + 1 == NV { self.last_quads } else { self.quads };
        quads.map(|quad| self.vectors[v].wrapping_add(quad))
    }

    /// On by so many elements of every row.
    #[inline(always)]
    fn step(&mut self, by: usize) {
        for vector in &mut self.vectors {
            *vector = independent(vector.wrapping_add(by));
        }
    }
}
