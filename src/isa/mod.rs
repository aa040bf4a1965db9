//! Instruction sets: detection, the cap, and the kernel table.
//!
//! The table's rows come from `build.rs`, which writes them from `spec.rs`. A build whose target features already
//! include an instruction set holds no kernels below it, so that with `-C target-cpu=native` one row is left and
//! dispatch is static.

// Read by `build.rs`; the crate itself only checks its table against it.
#[cfg(test)]
mod spec;
mod target;
#[cfg(test)]
mod tests;

pub use target::TUNING_VARIABLE;
pub(crate) use target::{Target, select, select_default};

use crate::activation::{self, ACTIVATIONS};
use crate::error::ParseIsaError;
#[cfg(test)]
use crate::kernel::Operation;
use crate::kernel::axpyf::{self, Axpyf};
use crate::kernel::chain::{TileKind, Tiles, WholeLast, chain_tiles};
use crate::kernel::column_sums::SummedRows;
use crate::kernel::cross_entropy::{CrossEntropy, cross_entropy};
use crate::kernel::dot::{DotColumns, DotTile, dot_tile};
use crate::kernel::dots_by_parts::dots_by_parts;
use crate::kernel::elementwise::{self, DzRows, FromA, FromZ, Given, Rows, TargetsFromA, TargetsFromZ};
use crate::kernel::extent::{Extent, extent};
use crate::kernel::narrow::Narrow;
use crate::kernel::outer::{self, Outer};
use crate::kernel::pack::{self, Panel};
use crate::kernel::short_dots::short_dots;
use crate::kernel::softmax::{self, SoftmaxBackward, SoftmaxRows};
use crate::kernel::update::{self, Adam, Descent, KINDS, Momentum, Update, WithDecay};
use crate::simd::{self, Simd};
use crate::summation::SUM_LANES;
use core::fmt;
use core::str::FromStr;

/// An instruction set that kernels exist for. Those of one architecture stand in ascending order of preference, portable
/// kernels below all: as a cap, one of another architecture allows all or nothing but portable kernels.
///
/// ```
/// use fused_dense::{Activation, Dense, Isa};
///
/// let best = Isa::available()[0];
/// let layer = Dense::new(3, 2, Activation::Tanh).with_isa(best);
/// assert_eq!(layer.isa()?, best);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// The instructions of the build's target: SSE2 on plain x86-64.
    Portable,
    /// NEON, which every aarch64 target with floating point has: these builds hold no other kernels.
    Neon,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

/// The environment variable that caps the instruction set of every layer: `portable`, `neon`, `avx2` or `avx512`, in
/// capitals or not, with or without blanks around it. Where it is empty or blank, it caps nothing.
pub const ISA_VARIABLE: &str = "FUSED_DENSE_ISA";

impl Isa {
    /// Every instruction set, in ascending order, whether this build and CPU have it or not.
    pub const ALL: &'static [Self] = &[Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// The instruction sets that this build has kernels for and this CPU can run, best first.
    ///
    /// ```
    /// assert!(!fused_dense::Isa::available().is_empty());
    /// ```
    pub fn available() -> Vec<Self> {
        TABLE.iter().filter(|kernels| (kernels.detect)()).map(|kernels| kernels.isa).collect()
    }

    /// The name that [`ISA_VARIABLE`] and [`from_str`](FromStr::from_str) take.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether results on this instruction set equal the scalar [`reference`](crate::reference) to the bit: wherever
    /// multiply-add is fused. Only portable kernels on a target without it (plain x86-64, wasm) round twice.
    pub fn is_bit_exact(self) -> bool {
        self != Self::Portable || simd::PORTABLE_IS_FUSED
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reads a [name](Isa::name). Neither case nor blanks around it matter.
///
/// ```
/// use fused_dense::Isa;
/// assert_eq!("AVX2".parse(), Ok(Isa::Avx2));
/// assert_eq!("avx".parse::<Isa>().unwrap_err().found, "avx");
/// ```
impl FromStr for Isa {
    type Err = ParseIsaError;

    fn from_str(text: &str) -> Result<Self, ParseIsaError> {
        let name = text.trim();
        let named = Self::ALL.iter().copied().find(|isa| name.eq_ignore_ascii_case(isa.name()));
        named.ok_or_else(|| ParseIsaError { found: text.to_string() })
    }
}

/// A chain micro-kernel.
pub(crate) type TilesKernel = unsafe fn(&Tiles);

/// A kernel that goes over all columns of a few rows.
pub(crate) type ColumnsKernel = unsafe fn(&DotColumns);

/// One row of the kernel table: every entry into one instruction set.
///
/// All function pointers are unsafe for one common reason besides their own sections: the CPU must have the
/// instruction set, which [`select`] has made sure of for every row it returns.
pub(crate) struct Kernels {
    pub(crate) isa: Isa,
    detect: fn() -> bool,
    /// `f32` lanes of one vector.
    pub(crate) lanes: usize,
    /// Architectural vector registers.
    pub(crate) registers: usize,
    /// Vectors in a panel for tall products.
    pub(crate) panel_vectors: usize,
    /// Vectors of the widest chain tile that has room for this many rows, as far as it is wider than a panel.
    pub(crate) widest_by_rows: &'static [usize],
    /// Chain kernels with exact reads, `[vectors - 1][rows - 1]`.
    pub(crate) tiles: &'static [&'static [TilesKernel]],
    /// Chain kernels for panels padded to whole vectors.
    pub(crate) padded_tiles: &'static [&'static [TilesKernel]],
    /// Those that compute half of the last vector, where the instruction set has such operations.
    pub(crate) half_last_tiles: Option<&'static [&'static [TilesKernel]]>,
    /// Those as wide as a panel that prefetch rows besides, `[rows - 1]`.
    pub(crate) prefetching_tiles: &'static [TilesKernel],
    /// Dot-product kernels, `[rows - 1][columns - 1]`.
    pub(crate) dot_tiles: &'static [&'static [unsafe fn(&DotTile)]],
    /// A few rows of dot products over columns from the second-level cache, `[rows - 1]`.
    pub(crate) dots_by_parts: &'static [ColumnsKernel],
    /// Columns that each takes together, each from a part of its own.
    pub(crate) dot_parts: &'static [usize],
    /// One or two rows of dot products over short columns of whole sixteens of terms, `[rows - 1][sixteens - 1]`.
    pub(crate) short_dots: &'static [&'static [ColumnsKernel]],
    /// The same where the last sixteen is cut.
    pub(crate) cut_short_dots: &'static [&'static [ColumnsKernel]],
    /// Rows of a dot-product tile where there are many and the right operand comes from the outer caches.
    pub(crate) tall_dot_rows: usize,
    /// Dot products that are folded at a time.
    pub(crate) folded: usize,
    pub(crate) outer: unsafe fn(&Outer),
    /// The same by vectors half as wide, where the instruction set has them.
    pub(crate) outer_by_halves: Option<unsafe fn(&Outer)>,
    pub(crate) axpyf: unsafe fn(&Axpyf),
    /// Where vectors hold rows of few columns side by side.
    pub(crate) narrow: Option<unsafe fn(&Narrow)>,
    /// By [`Kind`](update::Kind), without weight decay and with it.
    pub(crate) update: [[unsafe fn(&Update); 2]; KINDS.len()],
    pub(crate) extent: unsafe fn(&Extent),
    pub(crate) cross_entropy: unsafe fn(&CrossEntropy),
    pub(crate) transpose_pack: unsafe fn(&Panel),
    pub(crate) copy_pack: unsafe fn(&Panel),
    /// By [`Activation::index`](crate::Activation).
    pub(crate) activate: [unsafe fn(&Rows); ACTIVATIONS.len()],
    /// By activation, `dz` from `a`; none where the derivative needs `z`.
    pub(crate) dz_from_a: [Option<unsafe fn(&DzRows)>; ACTIVATIONS.len()],
    /// By activation, `dz` from `z`.
    pub(crate) dz_from_z: [unsafe fn(&DzRows); ACTIVATIONS.len()],
    pub(crate) dz_from_targets_and_a: unsafe fn(&DzRows),
    pub(crate) dz_from_targets_and_z: unsafe fn(&DzRows),
    pub(crate) dz_given: unsafe fn(&DzRows),
    /// The sums of few columns.
    pub(crate) column_sums: unsafe fn(&SummedRows),
    pub(crate) softmax: unsafe fn(&SoftmaxRows),
    pub(crate) softmax_backward: unsafe fn(&SoftmaxBackward),
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("isa", &self.isa).finish_non_exhaustive()
    }
}

impl Kernels {
    /// Vectors that hold `cols` columns.
    #[inline(always)]
    pub(crate) fn vectors(&self, cols: usize) -> usize {
        // `lanes` is a power of two, which spares a small layer the division.
        (cols + self.lanes - 1) >> self.lanes.trailing_zeros()
    }

    /// Columns that tiles compute for so many: whole vectors, but for half of the last one where half is enough.
    #[inline(always)]
    pub(crate) fn padded(&self, cols: usize, half_last: bool) -> usize {
        let padded = self.vectors(cols) * self.lanes;
        match self.half_last_tiles_for(padded - cols, half_last) {
            Some(_) => padded - self.lanes / 2,
            None => padded,
        }
    }

    /// The chain kernels that compute half of the last vector, where they may be taken and half is enough.
    #[inline(always)]
    fn half_last_tiles_for(&self, padding: usize, half_last: bool) -> Option<&'static [&'static [TilesKernel]]> {
        self.half_last_tiles.filter(|_| half_last && 2 * padding >= self.lanes)
    }

    /// The chain kernels, `[vectors - 1][rows - 1]`, for a last vector of which so many columns are padding.
    #[inline(always)]
    pub(crate) fn tiles_for(
        &self,
        padding: usize,
        is_masked: bool,
        half_last: bool,
    ) -> &'static [&'static [TilesKernel]] {
        match self.half_last_tiles_for(padding, half_last) {
            Some(tiles) => tiles,
            None if is_masked => self.tiles,
            None => self.padded_tiles,
        }
    }

    /// Columns of a panel for tall products.
    pub(crate) fn nr(&self) -> usize {
        self.panel_vectors * self.lanes
    }

    /// Vectors of the widest chain tile that has room for `rows` rows, or of a tall product's panel.
    #[inline(always)]
    pub(crate) fn widest_vectors(&self, rows: usize) -> usize {
        self.widest_by_rows.get(rows).copied().unwrap_or(self.panel_vectors)
    }

    /// Most rows of a dot-product tile.
    pub(crate) fn dot_rows(&self) -> usize {
        self.dot_tiles.len()
    }

    /// Most columns of a dot-product tile of this many rows.
    pub(crate) fn dot_cols(&self, rows: usize) -> usize {
        self.dot_tiles[rows - 1].len()
    }

    /// Most rows of a chain tile `vectors` wide.
    pub(crate) fn mr(&self, vectors: usize) -> usize {
        self.padded_tiles[vectors - 1].len()
    }
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
