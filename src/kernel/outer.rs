//! The outer-product kernel: sums of one term or few, where writing the output is most of the work.
//!
//! ```text
//! for each row i
//!     for each vector of columns
//!         s = 0
//!         for each term p:  s = fma(a[i, p], b[p], s)
//!         c[i] = scale · s, or fma(weight, scale · s, c[i])
//! ```
//!
//! The output is written in one stream from end to end, row by row. Where the right operand is longer than eight vectors,
//! which stay in registers, it comes from the first-level cache again for each row, or for two rows of one term at a time, and
//! whole vectors stand on the cache lines of the output's rows. A scale of 1 is left out where there is one term.

use super::{Finish, Sink, Source, head};
use crate::simd::Simd;

/// Vectors that one turn of the loop along a row writes: how far the loop is unrolled.
const STRIP: usize = 8;

/// Most terms of a sum: each number of them has code of its own.
pub(crate) const MAX_TERMS: usize = 4;

/// An outer product of `rows × cols`, or the sum of a few.
pub(crate) struct Outer {
    /// Terms, `1 ..= MAX_TERMS`.
    pub(crate) depth: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Whether a row's first vector is cut where the next begins on a cache line.
    pub(crate) is_aligned: bool,
    /// Which rows sums of one term go to at a time.
    pub(crate) pairs: Pairs,
    /// Left operand: columns are terms.
    pub(crate) a: Source,
    /// Right operand: rows are terms, contiguous.
    pub(crate) b: Source,
    /// Output, whose rows are contiguous.
    pub(crate) c: Sink,
    pub(crate) finish: Finish,
}

/// Which two rows are computed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairs {
    /// None: one row.
    None,
    /// One and the next.
    Neighbours,
    /// One of each half.
    OfHalves,
}

/// Computes an outer product.
///
/// # Safety
/// `a` must be readable at `rows × depth` places, `b` at `depth × cols`, `c` writable (with `add` readable) at `rows × cols` places; `c`
/// overlaps neither.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise.
    unsafe { if outer.finish.add { outer_to::<S, true>(simd, outer) } else { outer_to::<S, false>(simd, outer) } }
}

/// An outer product, added to the output or not.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn outer_to<S: Simd, const ADD: bool>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise; terms are as many as each arm says.
    unsafe {
        match outer.depth {
            1 if outer.finish.scale == 1.0 => single::<S, ADD, false>(simd, outer),
            1 => single::<S, ADD, true>(simd, outer),
            2 => broad::<S, 2, ADD, true>(simd, outer),
            3 => broad::<S, 3, ADD, true>(simd, outer),
            _ => broad::<S, 4, ADD, true>(simd, outer),
        }
    }
}

/// Sums of one term, which are scaled or not.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn single<S: Simd, const ADD: bool, const SCALED: bool>(simd: S, outer: &Outer) {
    // SAFETY: the caller's promise; vectors of columns are as many as each arm says.
    unsafe {
        match outer.cols.div_ceil(S::LANES) {
            1 => narrow::<S, 1, ADD, SCALED>(simd, outer),
            2 => narrow::<S, 2, ADD, SCALED>(simd, outer),
            3 => narrow::<S, 3, ADD, SCALED>(simd, outer),
            4 => narrow::<S, 4, ADD, SCALED>(simd, outer),
            5 => narrow::<S, 5, ADD, SCALED>(simd, outer),
            6 => narrow::<S, 6, ADD, SCALED>(simd, outer),
            7 => narrow::<S, 7, ADD, SCALED>(simd, outer),
            8 => narrow::<S, 8, ADD, SCALED>(simd, outer),
            _ => broad::<S, 1, ADD, SCALED>(simd, outer),
        }
    }
}

/// Sums of one term, of `N` vectors of columns, the fewest that hold them.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn narrow<S: Simd, const N: usize, const ADD: bool, const SCALED: bool>(simd: S, outer: &Outer) {
    let (scale, weight) = (simd.splat(outer.finish.scale), simd.splat(outer.finish.weight));
    // The last of several vectors overlaps its neighbour, the only one is cut.
    let last = outer.cols.max(S::LANES) - S::LANES;
    let tail = simd.tail(outer.cols.min(S::LANES));
    let start = |v: usize| if v == N - 1 { last } else { v * S::LANES };
    // SAFETY: i < rows; all vectors lie below `cols`, or are cut to it.
    unsafe {
        let load = |p: *const f32| if N == 1 { simd.load_tail(p, tail) } else { simd.load(p) };
        let mut b = [simd.splat(0.0); N];
        for v in 0..N {
            b[v] = load(outer.b.ptr.add(start(v)));
        }
        for turn in 0..outer.rows {
            let i = place::<ADD>(turn, outer.rows);
            let a = simd.splat(*outer.a.ptr.add(i * outer.a.row_stride));
            let c = outer.c.ptr.add(i * outer.c.row_stride);
            let value = |v: usize| {
                let sum = simd.mul_add(a, b[v], simd.splat(0.0));
                let scaled = if SCALED { simd.mul(scale, sum) } else { sum };
                if ADD { simd.mul_add(weight, scaled, load(c.add(start(v)).cast_const())) } else { scaled }
            };
            // Before its neighbour is written.
            let last_value = value(N - 1);
            for v in 0..N - 1 {
                simd.store(c.add(start(v)), value(v));
            }
            if N == 1 { simd.store_tail(c, last_value, tail) } else { simd.store(c.add(last), last_value) }
        }
    }
}

/// Sums of `K` terms, of any width.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn broad<S: Simd, const K: usize, const ADD: bool, const SCALED: bool>(simd: S, outer: &Outer) {
    let pairs = if K == 1 && outer.pairs != Pairs::None { outer.rows / 2 } else { 0 };
    let paired = 2 * pairs;
    let (step, apart) = if outer.pairs == Pairs::OfHalves { (1, pairs) } else { (2, 1) };
    // SAFETY: all rows are below `rows`.
    unsafe {
        for turn in 0..outer.rows - paired {
            let row = paired + place::<ADD>(turn, outer.rows - paired);
            Rows::<S, K, 1, ADD, SCALED>::new(simd, outer, row, 1).compute(simd);
        }
        for turn in 0..pairs {
            Rows::<S, K, 2, ADD, SCALED>::new(simd, outer, step * place::<ADD>(turn, pairs), apart).compute(simd);
        }
    }
}

/// Which of `count` rows or pairs comes at this turn: where the output is added to, the last one first. The forward pass of the
/// step has left the last rows of the weights in the caches, and that of the next step begins with the first.
#[inline(always)]
fn place<const ADD: bool>(turn: usize, count: usize) -> usize {
    if ADD { count - 1 - turn } else { turn }
}

/// `N` rows of the output together.
struct Rows<'o, S: Simd, const K: usize, const N: usize, const ADD: bool, const SCALED: bool> {
    a: [[S::V; K]; N],
    outer: &'o Outer,
    c: *mut f32,
    /// From one of the rows to the next.
    stride: usize,
    scale: S::V,
    weight: S::V,
}

impl<'o, S: Simd, const K: usize, const N: usize, const ADD: bool, const SCALED: bool> Rows<'o, S, K, N, ADD, SCALED> {
    /// The row `first`, and the others `apart` rows behind each other.
    ///
    /// # Safety
    /// As [`outer`], for these rows.
    #[inline(always)]
    unsafe fn new(simd: S, outer: &'o Outer, first: usize, apart: usize) -> Self {
        let (scale, weight) = (simd.splat(outer.finish.scale), simd.splat(outer.finish.weight));
        let mut a = [[scale; K]; N];
        // SAFETY: the caller's promise.
        unsafe {
            for i in 0..N {
                for p in 0..K {
                    a[i][p] = simd.splat(*outer.a.at(first + i * apart, p));
                }
            }
            let stride = apart * outer.c.row_stride;
            Self { a, outer, c: outer.c.at(first, 0), stride, scale, weight }
        }
    }

    /// All columns.
    ///
    /// # Safety
    /// As [`outer`], for these rows.
    #[inline(always)]
    unsafe fn compute(&self, simd: S) {
        let outer = self.outer;
        // Where nothing is added, what is left over may be written again with its neighbours, which takes no mask.
        let overlaps = !ADD && outer.cols >= S::LANES;
        let mut j = 0;
        // SAFETY: vectors lie below `cols`, or are cut to what is left of it.
        unsafe {
            if outer.is_aligned {
                j = head::<S, _>(self.c.cast_const()).min(outer.cols);
                if j > 0 {
                    if overlaps { self.whole(simd, 0) } else { self.cut(simd, 0, j) }
                }
            }
            if N == 1 {
                while outer.cols - j >= STRIP * S::LANES {
                    for v in 0..STRIP {
                        self.whole(simd, j + v * S::LANES);
                    }
                    j += STRIP * S::LANES;
                }
            }
            while outer.cols - j >= S::LANES {
                self.whole(simd, j);
                j += S::LANES;
            }
            if j < outer.cols {
                if overlaps { self.whole(simd, outer.cols - S::LANES) } else { self.cut(simd, j, outer.cols - j) }
            }
        }
    }

    /// A vector of columns from `j` on.
    ///
    /// # Safety
    /// As [`outer`], for these rows and columns.
    #[inline(always)]
    unsafe fn whole(&self, simd: S, j: usize) {
        // SAFETY: the caller's promise, and p < K.
        unsafe {
            let mut b = [simd.splat(0.0); K];
            for p in 0..K {
                b[p] = simd.load(self.outer.b.ptr.add(p * self.outer.b.row_stride + j));
            }
            for i in 0..N {
                let c = self.c.add(i * self.stride + j);
                let scaled = self.scaled(simd, i, b);
                simd.store(c, if ADD { simd.mul_add(self.weight, scaled, simd.load(c)) } else { scaled });
            }
        }
    }

    /// `count` columns from `j` on, fewer than a vector.
    ///
    /// # Safety
    /// As [`outer`], for these rows and columns.
    #[inline(always)]
    unsafe fn cut(&self, simd: S, j: usize, count: usize) {
        let tail = simd.tail(count);
        // SAFETY: the caller's promise, and p < K.
        unsafe {
            let mut b = [simd.splat(0.0); K];
            for p in 0..K {
                b[p] = simd.load_tail(self.outer.b.ptr.add(p * self.outer.b.row_stride + j), tail);
            }
            for i in 0..N {
                let c = self.c.add(i * self.stride + j);
                let scaled = self.scaled(simd, i, b);
                let value = if ADD { simd.mul_add(self.weight, scaled, simd.load_tail(c, tail)) } else { scaled };
                simd.store_tail(c, value, tail);
            }
        }
    }

    /// The sums of row `i`, times the scale.
    #[inline(always)]
    fn scaled(&self, simd: S, i: usize, b: [S::V; K]) -> S::V {
        let mut sum = simd.splat(0.0);
        for p in 0..K {
            sum = simd.mul_add(self.a[i][p], b[p], sum);
        }
        if SCALED { simd.mul(self.scale, sum) } else { sum }
    }
}
