//! The chain micro-kernel: one tile of the output, one block of the sum, all accumulators in registers.
//!
//! ```text
//! acc[MR][NV] = bias, or zero
//! for p in 0..depth
//!     b[NV] = row p of the right panel
//!     for i in 0..MR
//!         acc[i] = fma(broadcast a[i, p], b, acc[i])
//! c = scale · acc, or fma(scale, acc, c)
//! ```
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

/// One call of a chain micro-kernel: `MR` rows, `NV` vectors of columns of which the last has `tail` columns.
pub(crate) struct Tile {
    /// Length of this block of the sum.
    pub(crate) depth: usize,
    /// Left operand: element `(i, p)` at `i · a_row_stride + p · a_depth_stride`.
    pub(crate) a: *const f32,
    pub(crate) a_row_stride: usize,
    pub(crate) a_depth_stride: usize,
    /// The left operand's next tile, brought into the second-level cache on the way, a cache line for each row every
    /// [`LINE`] terms; any address will do.
    pub(crate) next_a: *const f32,
    /// Elements from one of these cache lines to the next.
    pub(crate) next_a_stride: usize,
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

/// Computes one tile.
///
/// `MASKED_B` keeps loads of the right operand's last vector inside its tail; without it, that vector is loaded whole.
///
/// # Safety
/// - `a` is readable at all `MR × depth` places, `b` at all `depth` rows of the tile's columns (rounded up to whole
///   vectors without `MASKED_B`), the bias as [`Start`] says;
/// - `c` is writable at all `MR` rows of the tile's columns, readable too with `add`, and overlaps none of the inputs;
/// - `1 ≤ tail ≤ LANES`.
#[inline(always)]
pub(crate) unsafe fn chain_tile<S: Simd, const MR: usize, const NV: usize, const MASKED_B: bool>(simd: S, tile: &Tile) {
    const { assert!(MR <= GROUP_ROWS * MOST_GROUPS) };
    let tail = simd.tail(tile.tail);
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
            a[g] = independent(tile.a.add(g * GROUP_ROWS * tile.a_row_stride));
        }
        let mut b = tile.b;
        for p in 0..tile.depth {
            if p % LINE == 0 {
                for i in 0..MR {
                    prefetch(tile.next_a.wrapping_add(i * tile.next_a_stride + p * tile.a_depth_stride));
                }
            }
            let mut b_row = [simd.splat(0.0); NV];
            for v in 0..NV {
                let at = b.add(v * S::LANES);
                b_row[v] = if MASKED_B && v == NV - 1 { simd.load_tail(at, tail) } else { simd.load(at) };
            }
            for i in 0..MR {
                let a_i = simd.splat(*a[i / GROUP_ROWS].add(i % GROUP_ROWS * tile.a_row_stride));
                for v in 0..NV {
                    acc[i][v] = simd.mul_add(a_i, b_row[v], acc[i][v]);
                }
            }
            // The last step may leave the operands' memory; wrapping arithmetic makes no claim to stay inside.
            for group in a.iter_mut().take(MR.div_ceil(GROUP_ROWS)) {
                *group = group.wrapping_add(tile.a_depth_stride);
            }
            b = b.wrapping_add(tile.b_depth_stride);
        }

        let scale = simd.splat(tile.scale);
        for i in 0..MR {
            let row = tile.c.add(i * tile.c_row_stride);
            for v in 0..NV {
                let at = row.add(v * S::LANES);
                let (last, sum) = (v == NV - 1, acc[i][v]);
                let value = if tile.add {
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
