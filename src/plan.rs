//! Decides how a matrix product is computed: a pure function of shape, strides, instruction set and threads, and the
//! only place that decides.

mod lanes;
mod share;

pub(crate) use lanes::{LanesPlan, dot_cols, dot_rows, lanes};
pub(crate) use share::{
    Blocks, Grid, LINE, Part, activation_cycles, add_up_cycles, block_workers, dz_cycles, grid, is_light,
    product_cycles, share, shared_cycles, step_pays, workers,
};

use crate::isa::Kernels;
use crate::kernel::{narrow, outer};
use crate::summation::{SUM_BLOCK, Summation};

/// What a plan for one product looks at: `c` is `m × n`, its sums have `k` terms; strides are `(row, column)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductShape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a_strides: (usize, usize),
    pub(crate) b_strides: (usize, usize),
    pub(crate) c_strides: (usize, usize),
    pub(crate) z_strides: Option<(usize, usize)>,
    /// Whether the right operand stands in panels, each as wide as its row stride.
    pub(crate) is_prepacked: bool,
    /// Whether the product is a gradient by which parameters are updated, whose strides `c_strides` are then.
    pub(crate) is_updated: bool,
    /// Whether the product is all: no bias before, no activation behind.
    pub(crate) is_plain: bool,
}

impl ProductShape {
    /// The shape of the transposed product `cᵀ = bᵀ · aᵀ`.
    #[inline(always)]
    pub(crate) fn transposed(&self) -> Self {
        let flip = |(row, col): (usize, usize)| (col, row);
        Self {
            m: self.n,
            n: self.m,
            k: self.k,
            a_strides: flip(self.b_strides),
            b_strides: flip(self.a_strides),
            c_strides: flip(self.c_strides),
            z_strides: self.z_strides.map(flip),
            ..*self
        }
    }

    #[inline(always)]
    fn has_contiguous_rows(&self) -> bool {
        self.c_strides.1 == 1 && self.z_strides.is_none_or(|z| z.1 == 1)
    }
}

/// How the right operand's panels reach the chain kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Read in place: the columns are contiguous.
    InPlace,
    /// Copied into a panel, or gathered where the columns are not contiguous.
    Copy,
    /// Transposed into a panel: the operand is contiguous along the sum.
    Transpose,
    /// Panels already.
    Prepacked,
}

/// The kernel that a product in the chain order goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routine {
    /// Tiles of the output.
    Tiles,
    /// Outer products: the sums have one term, or few.
    Outer,
    /// Fused axpys: the output has one row.
    Axpyf,
    /// The output has so few columns that vectors hold several rows.
    Narrow,
}

/// How one product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strategy {
    /// `Chain` or `Lanes`.
    pub(crate) summation: Summation,
    /// Whether the transposed problem is computed instead.
    pub(crate) transposed: bool,
    pub(crate) packing: Packing,
    /// Vectors in a panel: few rows leave registers for a wide one, which reads long stretches of the operand.
    pub(crate) panel_vectors: usize,
    /// Which kernel makes sums in the chain order.
    pub(crate) routine: Routine,
    /// Whether the right operand comes from the outer caches from one call to the next.
    pub(crate) is_far: bool,
    /// Whether tiles go along the rows of the output, all panels of a few rows, instead of down a panel.
    pub(crate) along_rows: bool,
    /// Whether the left operand is packed too: where it lies contiguous across the sum, a tile would touch a cache
    /// line, and often a page, for every term.
    pub(crate) pack_left: bool,
    /// Whether panels of totals stand in scratch memory until they are complete: because the output's rows are not
    /// contiguous, because several blocks of the sum would visit rows that lie pages apart, or because they are no
    /// output but what parameters are updated by.
    pub(crate) strip: bool,
    /// Whether a strip's totals come from the output and go there by runs of tiles, which ask for their rows ahead.
    pub(crate) strip_by_runs: bool,
}

/// Cycles to pack one element by transposition, and to scatter one.
const TRANSPOSE_COST: f64 = 0.4;

/// Cycles to pack one element by copying.
const COPY_COST: f64 = 0.12;

/// Cycles that one vector multiply-add of the micro-kernel takes.
const FMA_COST: f64 = 0.5;

/// Cycles to read one element of a left operand that lies across the sum, whole pages from term to term: the low tiles of narrow
/// vectors take little of each.
const NARROW_PAGES_COST: f64 = 0.2;

/// Rows from which on a copied panel pays for itself where reading in place is slow.
const PACK_MIN_ROWS: usize = 24;

/// Row strides from which on reading the right operand in place is slow: a page a row.
pub(crate) const PAGE_STRIDE: usize = 1024;

/// Rows, and elements from one row of the right operand to the next, from which on a panel pays for itself with narrow vectors
/// wherever the operand lies.
const PACK_NARROW_MIN_ROWS: usize = 128;
const PACK_NARROW_MIN_STRIDE: usize = 256;

/// Panels of the right operand from which on packing the left one pays for itself.
const PACK_LEFT_MIN_PANELS: usize = 3;

/// Rows, and elements from one row of the output to the next, from which on totals in scratch memory pay for the copy.
const STRIP_MIN_ROWS: usize = 512;
const STRIP_MIN_STRIDE: usize = 512;

/// Elements of the right operand that stay in the first-level cache from one call to the next.
const FIRST_LEVEL_LEN: usize = 9 << 10;

/// Decides for one product.
#[inline(always)]
pub(crate) fn strategy(kernels: &Kernels, shape: &ProductShape, summation: Summation) -> Strategy {
    if summation != Summation::Lanes {
        return chain_strategy(kernels, shape, summation);
    }
    let LanesPlan { transposed, is_far } = lanes(shape);
    Strategy { transposed, is_far, ..in_place(kernels, summation) }
}

/// Both operands in place, the output where it stands.
fn in_place(kernels: &Kernels, summation: Summation) -> Strategy {
    Strategy {
        summation,
        transposed: false,
        packing: Packing::InPlace,
        panel_vectors: kernels.panel_vectors,
        routine: Routine::Tiles,
        is_far: false,
        along_rows: false,
        pack_left: false,
        strip: false,
        strip_by_runs: false,
    }
}

/// Whole vectors behind which columns may be a product of their own (tiles of one vector wait for their factors), and
/// multiply-adds of the vector that these would fill from which on they are.
const SPLIT_MIN_VECTORS: usize = 2;
const SPLIT_MIN_LEN: usize = 1024;

/// Columns behind whole vectors that had better be a product of their own, or 0: of rows along the sum several share a
/// vector, and a single column of rows that lie across it is computed as a row. Narrow vectors lose less by a tail.
#[inline(always)]
pub(crate) fn split_cols(kernels: &Kernels, shape: &ProductShape) -> usize {
    let cols = shape.n & (kernels.lanes - 1);
    // Most are told by their columns.
    let is_candidate = (1..=narrow::MAX_COLS).contains(&cols) && shape.n > SPLIT_MIN_VECTORS * kernels.lanes;
    if is_candidate { split_cols_of(kernels, shape, cols) } else { 0 }
}

#[inline(never)]
fn split_cols_of(kernels: &Kernels, shape: &ProductShape, cols: usize) -> usize {
    let tail = ProductShape { n: cols, ..*shape };
    let is_across = shape.a_strides.0 == 1 && shape.is_plain && !shape.is_updated && !shape.is_prepacked;
    let is_row = is_across && cols == 1 && shape.b_strides.1 == 1 && shape.has_contiguous_rows();
    let pays = kernels.masked_loads_are_free && shape.m.saturating_mul(shape.k) >= SPLIT_MIN_LEN;
    if pays && (is_row || is_narrow(kernels, &tail)) { cols } else { 0 }
}

/// Vector multiply-adds up to which a product is computed without plan and loops, where it can be.
const CALL_MAX_LEN: usize = 2048;

/// The tiles of a product that is one run of them, or one tile in each panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainTiles {
    pub(crate) vectors: usize,
    pub(crate) height: usize,
}

/// The tiles, where a product in the chain order is a call or two of a micro-kernel, with no more to plan about it.
#[inline(always)]
pub(crate) fn plain_tiles(kernels: &Kernels, shape: &ProductShape) -> Option<PlainTiles> {
    let (m, vectors) = (shape.m, kernels.vectors(shape.n));
    let is_in_place = shape.b_strides.1 == 1;
    let is_plain = shape.k <= SUM_BLOCK
        && !is_narrow(kernels, shape)
        && m * vectors * shape.k <= CALL_MAX_LEN
        && (shape.b_strides.0 == 1 || is_in_place)
        && shape.has_contiguous_rows()
        && !shape.is_prepacked
        && !shape.is_updated;
    if !is_plain || m == 0 || vectors == 0 {
        return None;
    }
    if is_in_place && m > 1 && shape.k > 1 && kernels.tiles.get(vectors - 1).is_none_or(|rung| rung.len() < m) {
        // The widest panel with room for all rows.
        let fits = |vectors: &usize| kernels.tiles[*vectors - 1].len() >= m;
        let widest = (2..=kernels.widest_vectors(m)).rev().find(fits);
        if let Some(vectors) = widest {
            return Some(PlainTiles { vectors, height: m });
        }
    }
    // A packed panel is no wider than the scratch's.
    let most = if is_in_place || vectors <= kernels.panel_vectors { kernels.tiles.get(vectors - 1)?.len() } else { 0 };
    match m {
        m if m <= most => Some(PlainTiles { vectors, height: m }),
        // Tiles of one row would read the right operand anew for each.
        m if most > 1 && m % m.div_ceil(most) == 0 => Some(PlainTiles { vectors, height: m / m.div_ceil(most) }),
        _ => None,
    }
}

fn chain_strategy(kernels: &Kernels, shape: &ProductShape, summation: Summation) -> Strategy {
    if is_narrow(kernels, shape) {
        return Strategy { routine: Routine::Narrow, ..in_place(kernels, summation) };
    }
    // Written twice: a shape that may be either waits for its own stores.
    if is_flipped(kernels, shape) {
        chain_strategy_of(kernels, &shape.transposed(), summation, true)
    } else {
        chain_strategy_of(kernels, shape, summation, false)
    }
}

/// Whether the transposed product is expected to take less time.
#[inline(always)]
fn is_flipped(kernels: &Kernels, shape: &ProductShape) -> bool {
    let padded = |size: usize| kernels.vectors(size) * kernels.lanes;
    let is_free = shape.b_strides.1 == 1 && shape.has_contiguous_rows() && packing(kernels, shape) == Packing::InPlace;
    // What neither packs nor scatters is only flipped to fill its vectors: small layers need not ask more.
    let may_gain = !is_free || shape.n * padded(shape.m) < shape.m * padded(shape.n);
    may_gain
        && !shape.is_prepacked
        && plain_tiles(kernels, shape).is_none()
        && cost(kernels, &shape.transposed()) < cost(kernels, shape)
}

/// Rows, and factors of the left operand, from which on a product of few columns is computed several rows to a vector.
const NARROW_MIN_ROWS: usize = 8;
const NARROW_MIN_LEN: usize = 128;

/// Whether a product has so few columns that vectors hold several rows of them, and its rows along the sum.
#[inline(always)]
fn is_narrow(kernels: &Kernels, shape: &ProductShape) -> bool {
    shape.n <= narrow::MAX_COLS
        && shape.a_strides.1 == 1
        && kernels.narrow.is_some()
        && shape.m >= NARROW_MIN_ROWS
        && shape.m.saturating_mul(shape.k) >= NARROW_MIN_LEN
        && shape.is_plain
        && !shape.is_updated
        && !shape.is_prepacked
        && shape.has_contiguous_rows()
        && shape.b_strides.1 == 1
}

/// The same for the product as it stands, or already transposed.
#[inline(always)]
fn chain_strategy_of(kernels: &Kernels, chosen: &ProductShape, summation: Summation, transposed: bool) -> Strategy {
    let scattered = !chosen.has_contiguous_rows();
    let spans_blocks = chosen.k > SUM_BLOCK && chosen.m >= STRIP_MIN_ROWS && chosen.c_strides.0 >= STRIP_MIN_STRIDE;
    // More terms than one only where all rows stand to the cache lines as the first does.
    let has_whole_vectors = (chosen.b_strides.0 | chosen.c_strides.0) & (kernels.lanes - 1) == 0;
    let takes_terms = chosen.n >= outer::TERMS_MIN_COLS && has_whole_vectors;
    let most_terms = if takes_terms { outer::MAX_TERMS } else { 1 };
    let is_outer = chosen.is_plain
        && !chosen.is_prepacked
        && !scattered
        && chosen.b_strides.1 == 1
        && (1..=most_terms).contains(&chosen.k);
    let packing = if is_outer { Packing::InPlace } else { packing(kernels, chosen) };
    let is_in_place = packing == Packing::InPlace && !scattered;
    let right_len = chosen.n.saturating_mul(chosen.k);
    let routine = match is_in_place && !chosen.is_updated && chosen.m == 1 && chosen.k > 1 {
        _ if is_outer => Routine::Outer,
        true => Routine::Axpyf,
        false => Routine::Tiles,
    };
    Strategy {
        summation,
        transposed,
        packing,
        panel_vectors: match packing {
            Packing::Prepacked => chosen.b_strides.0 / kernels.lanes,
            _ if is_in_place && !chosen.is_updated => kernels.widest_vectors(chosen.m),
            _ => kernels.panel_vectors,
        },
        routine,
        is_far: right_len > FIRST_LEVEL_LEN,
        along_rows: !is_outer && !chosen.is_prepacked && goes_along_rows(chosen),
        pack_left: chosen.k > 1
            && chosen.a_strides.0 == 1
            && chosen.a_strides.1 > kernels.lanes
            && chosen.n > PACK_LEFT_MIN_PANELS * kernels.nr(),
        strip: scattered || spans_blocks || (chosen.is_updated && !is_outer),
        strip_by_runs: !scattered && spans_blocks && chosen.c_strides.0 >= PAGE_STRIDE,
    }
}

/// Parameters up to which an update of their own is cheaper than one for each tile.
const UPDATE_MIN_LEN: usize = 1024;

/// Samples up to which tiles are so quick that parameters whose rows are pages apart do not keep up.
const UPDATE_PAGES_MAX_TERMS: usize = 64;

/// Whether `outputs × inputs` parameters are updated behind the product that is their gradient, row by row, where that has
/// room to stand in, rather than tile by tile.
pub(crate) fn updates_behind(batch: usize, outputs: usize, inputs: usize, workers: usize) -> bool {
    let is_short = (2..=UPDATE_PAGES_MAX_TERMS).contains(&batch);
    outputs * inputs <= UPDATE_MIN_LEN || workers == 1 && is_short && inputs >= PAGE_STRIDE
}

/// Samples up to which a gradient whose rows meet the same cache sets is written row by row, and its least rows.
const ALONG_ROWS_MAX_TERMS: usize = 10;
const ALONG_ROWS_MIN_ROWS: usize = 64;

/// Whether the output's rows lie whole pages apart, so that what a panel has of many shares a few cache sets, and sums are so
/// short that tiles hardly do anything but write.
#[inline(always)]
fn goes_along_rows(shape: &ProductShape) -> bool {
    shape.k <= ALONG_ROWS_MAX_TERMS
        && shape.m >= ALONG_ROWS_MIN_ROWS
        && shape.is_plain
        && !shape.is_updated
        && shape.b_strides.1 == 1
        && shape.has_contiguous_rows()
        && shape.c_strides.0.is_multiple_of(PAGE_STRIDE)
}

#[inline(always)]
fn packing(kernels: &Kernels, shape: &ProductShape) -> Packing {
    // Rows of broken vectors: many a load crosses a cache line and counts twice, for which narrow vectors leave no room. Nor
    // do they for rows from farther than the first-level cache.
    let is_slow = |stride: usize| {
        let is_tall = shape.m >= PACK_NARROW_MIN_ROWS && stride >= PACK_NARROW_MIN_STRIDE;
        !kernels.masked_loads_are_free && (stride & (kernels.lanes - 1) != 0 || is_tall)
    };
    match shape.b_strides {
        _ if shape.is_prepacked => Packing::Prepacked,
        _ if goes_along_rows(shape) => Packing::InPlace,
        (stride, 1) if shape.m >= PACK_MIN_ROWS && shape.k > 1 && (stride >= PAGE_STRIDE || is_slow(stride)) => {
            Packing::Copy
        }
        (_, 1) => Packing::InPlace,
        (1, _) => Packing::Transpose,
        _ => Packing::Copy,
    }
}

/// Cycles that the chain kernels are expected to take: multiply-adds of whole vectors, packing, scattering.
#[inline(always)]
fn cost(kernels: &Kernels, shape: &ProductShape) -> f64 {
    // Signed numbers are converted by one instruction.
    let size = |size: usize| size as i64 as f64;
    let (m, n, k) = (size(shape.m), size(shape.n), size(shape.k));
    let pack = match packing(kernels, shape) {
        Packing::InPlace | Packing::Prepacked => 0.0,
        Packing::Copy => COPY_COST,
        Packing::Transpose => TRANSPOSE_COST,
    };
    let scatter = if shape.has_contiguous_rows() { 0.0 } else { TRANSPOSE_COST };
    let is_across_pages = shape.a_strides.0 == 1 && shape.k > 1 && shape.a_strides.1.is_multiple_of(PAGE_STRIDE);
    let left = if is_across_pages && !kernels.masked_loads_are_free { NARROW_PAGES_COST } else { 0.0 };
    (FMA_COST * m * size(kernels.vectors(shape.n)) + pack * n + left * m) * k + scatter * m * n
}

// Figures without memory, many times over: nothing for Miri.
#[cfg(all(test, not(miri)))]
mod tests;
