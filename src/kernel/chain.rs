//! The chain micro-kernel: a run of tiles, one below the other, one block of the sum, all accumulators in registers.
//!
//! ```text
//! for each tile of MR rows
//!     acc[MR][NV] = bias, or zero
//!     for p in 0..depth
//!         b[NV] = row p of the right panel
//!         for i in 0..MR
//!             acc[i] = fma(broadcast a[i, p], b, acc[i])
//!     c = scale · acc, or fma(scale, acc, c)
//! ```
//!
//! Runs, because the sums over a small batch are so short that a call for each tile would take a quarter of the time.
//!
//! Written once over [`Simd`]; `build.rs` instantiates it for every instruction set, row count and width.

use crate::simd::{Simd, independent, prefetch};

/// Rows of the left operand that share an address register: with one more for the stride, x86 addressing reaches
/// `0`, `1` and `2` strides from it.
const GROUP_ROWS: usize = 3;

/// `f32`s in one cache line.
pub(crate) const LINE: usize = 16;

/// Groups of the tallest tile.
const MOST_GROUPS: usize = 5;

/// What the accumulators of a tile begin with.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// Zero.
    Zero,
    /// A bias for each column: as many elements as the tile has columns.
    Columns(*const f32),
    /// A bias for each row: as many elements as the tile has rows.
    Rows(*const f32),
}

impl Start {
    /// The same biases, seen from a tile `row` down and `col` to the right.
    pub(crate) fn at(self, row: usize, col: usize) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::Columns(bias) => Self::Columns(bias.wrapping_add(col)),
            Self::Rows(bias) => Self::Rows(bias.wrapping_add(row)),
        }
    }
}

/// One call of a chain micro-kernel: `tiles` tiles of `MR` rows, `NV` vectors of columns of which the last has `tail`
/// columns.
pub(crate) struct Tiles {
    pub(crate) tiles: usize,
    /// Length of this block of the sum.
    pub(crate) depth: usize,
    /// Left operand: a tile's element `(i, p)` at `i · a_row_stride + p · a_depth_stride`, the next tile's
    /// `a_tile_stride` behind it.
    pub(crate) a: *const f32,
    pub(crate) a_row_stride: usize,
    pub(crate) a_depth_stride: usize,
    pub(crate) a_tile_stride: usize,
    /// The left operand's next tile is brought into the second-level cache on the way, a cache line for each row every
    /// [`LINE`] terms: elements from one of these lines to the next.
    pub(crate) a_line_stride: usize,
    /// Right operand: element `(p, j)` at `p · b_depth_stride + j`.
    pub(crate) b: *const f32,
    pub(crate) b_depth_stride: usize,
    /// Output: element `(i, j)` at `i · c_row_stride + j`.
    pub(crate) c: *mut f32,
    pub(crate) c_row_stride: usize,
    /// Columns in the last vector, `1 ..= LANES`.
    pub(crate) tail: usize,
    pub(crate) start: Start,
    /// Factor of the block's sum.
    pub(crate) scale: f32,
    /// Whether to add to the output; where not, the output is never read.
    pub(crate) add: bool,
}

/// Computes a run of tiles.
///
/// `MASKED_B` keeps loads of the right operand's last vector inside its tail; without it, that vector is loaded whole.
///
/// # Safety
/// - `a` is readable at all `MR × depth` places of all tiles, `b` at all `depth` rows of the tiles' columns (rounded up
///   to whole vectors without `MASKED_B`), the bias as [`Start`] says;
/// - `c` is writable at all `tiles · MR` rows of the tiles' columns, readable too with `add`, and overlaps none of the
///   inputs;
/// - `1 ≤ tail ≤ LANES`.
#[inline(always)]
pub(crate) unsafe fn chain_tiles<S: Simd, const MR: usize, const NV: usize, const MASKED_B: bool>(
    simd: S,
    run: &Tiles,
) {
    let mut tile = Tile { a: run.a, c: run.c, start: run.start };
    for _ in 0..run.tiles {
        // SAFETY: the caller's promise; this is one of the tiles.
        unsafe { chain_tile::<S, MR, NV, MASKED_B>(simd, run, tile) };
        // Behind the last tile these may leave the operands' memory; wrapping arithmetic makes no claim to stay inside.
        tile = Tile {
            a: tile.a.wrapping_add(run.a_tile_stride),
            c: tile.c.wrapping_add(MR * run.c_row_stride),
            start: tile.start.at(MR, 0),
        };
    }
}

/// Where one tile of a run begins.
#[derive(Clone, Copy)]
struct Tile {
    a: *const f32,
    c: *mut f32,
    start: Start,
}

/// Computes one tile.
///
/// # Safety
/// As [`chain_tiles`], for this tile.
#[inline(always)]
unsafe fn chain_tile<S: Simd, const MR: usize, const NV: usize, const MASKED_B: bool>(
    simd: S,
    run: &Tiles,
    tile: Tile,
) {
    const { assert!(MR <= GROUP_ROWS * MOST_GROUPS) };
    let tail = simd.tail(run.tail);
    let mut acc = [[simd.splat(0.0); NV]; MR];

    // SAFETY: for each access the function's safety section names the memory; the offsets stay within it because
    // i < MR, v < NV and p < depth.
    unsafe {
        match tile.start {
            Start::Zero => {}
            Start::Columns(bias) => {
                for v in 0..NV {
                    let at = bias.add(v * S::LANES);
                    let bias = if v == NV - 1 { simd.load_tail(at, tail) } else { simd.load(at) };
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
            a[g] = independent(tile.a.add(g * GROUP_ROWS * run.a_row_stride));
        }
        let next_a = tile.a.wrapping_add(run.a_tile_stride);
        let mut b = run.b;
        for p in 0..run.depth {
            if p % LINE == 0 {
                for i in 0..MR {
                    prefetch(next_a.wrapping_add(i * run.a_line_stride + p * run.a_depth_stride));
                }
            }
            let mut b_row = [simd.splat(0.0); NV];
            for v in 0..NV {
                let at = b.add(v * S::LANES);
                b_row[v] = if MASKED_B && v == NV - 1 { simd.load_tail(at, tail) } else { simd.load(at) };
            }
            for i in 0..MR {
                let a_i = simd.splat(*a[i / GROUP_ROWS].add(i % GROUP_ROWS * run.a_row_stride));
                for v in 0..NV {
                    acc[i][v] = simd.mul_add(a_i, b_row[v], acc[i][v]);
                }
            }
            // The last step may leave the operands' memory; wrapping arithmetic makes no claim to stay inside.
            for group in a.iter_mut().take(MR.div_ceil(GROUP_ROWS)) {
                *group = group.wrapping_add(run.a_depth_stride);
            }
            b = b.wrapping_add(run.b_depth_stride);
        }

        let scale = simd.splat(run.scale);
        for i in 0..MR {
            let row = tile.c.add(i * run.c_row_stride);
            for v in 0..NV {
                let at = row.add(v * S::LANES);
                let (last, sum) = (v == NV - 1, acc[i][v]);
                let value = if run.add {
                    let old = if last { simd.load_tail(at, tail) } else { simd.load(at) };
                    simd.mul_add(scale, sum, old)
                } else {
                    simd.mul(scale, sum)
                };
                if last { simd.store_tail(at, value, tail) } else { simd.store(at, value) }
            }
        }
    }
}
