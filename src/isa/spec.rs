//! The kernel specification: one row per instruction set, data only.
//!
//! `build.rs` reads this file to write the shims and the kernel table; the crate includes what it wrote. To add an
//! instruction set: a row here, and a file under `src/simd/` with the type that the row names.

/// One instruction set's row.
pub(crate) struct IsaSpec {
    /// Module of the generated shims, and the name that `FUSED_DENSE_ISA` takes.
    pub(crate) name: &'static str,
    /// The variant of `Isa`.
    pub(crate) variant: &'static str,
    /// The type that implements `Simd`, found as `crate::simd::<token>`.
    pub(crate) token: &'static str,
    /// The type of vectors half as wide, whose features these imply.
    pub(crate) half: Option<&'static str>,
    /// `CARGO_CFG_TARGET_ARCH` it belongs to; `None` builds everywhere.
    pub(crate) arch: Option<&'static str>,
    /// Target features that the shims enable and that dispatch asks for.
    pub(crate) features: &'static [&'static str],
    /// `f32` lanes of one vector.
    pub(crate) lanes: usize,
    /// Architectural vector registers.
    pub(crate) registers: usize,
    /// Elements of the left operand in a register: all lanes, where a multiply-add takes its factor from any of them.
    pub(crate) factors: usize,
    /// Whether a masked load costs what a plain one does. Where it does not, kernels come in two versions.
    pub(crate) masked_loads_are_free: bool,
    /// Whether vectors hold several quads of lanes, and shuffle inside them.
    pub(crate) has_quads: bool,
    /// Rows of the chain kernels, by width: entry `v` is the most rows of a tile `v + 1` vectors wide.
    pub(crate) tile_rows: &'static [usize],
    /// The same for kernels that mask the last vector, where the mask takes a register.
    pub(crate) masked_tile_rows: &'static [usize],
    /// Vectors in a panel for tall products: the widest that leaves rows enough to reuse it.
    pub(crate) panel_vectors: usize,
    /// Columns of the dot-product kernels (the *lanes* order, one accumulator of sixteen lanes per output), by height:
    /// entry `r` is the most columns of a tile of `r + 1` rows.
    pub(crate) dot_cols: &'static [usize],
    /// Rows of a dot-product tile where there are many and the right operand comes from the outer caches: the fewest loads a
    /// multiply-add. A power of two.
    pub(crate) tall_dot_rows: usize,
    /// Columns that dot products over an operand from the second-level cache take together, each from a part of its own, by rows: entry
    /// `r` is for `r + 1` rows. Enough sums to hide a multiply-add's latency, and few loads a multiply-add.
    pub(crate) dot_parts: &'static [usize],
    /// Sixteens of terms of the dot products that need no loop along the sum, by rows: entry `r` is the most for `r + 1` rows.
    pub(crate) short_dot_vectors: &'static [usize],
    /// The same where the last sixteen is cut.
    pub(crate) cut_short_dot_vectors: &'static [usize],
    /// Vectors that an activation takes at a time: `SMALL_GROUP` of `kernel::elementwise`, or `LARGE_GROUP` where registers are many.
    pub(crate) activation_group: usize,
}

/// Every instruction set, best first.
pub(crate) const ISA_SPECS: &[IsaSpec] = &[
    IsaSpec {
        name: "avx512",
        variant: "Avx512",
        token: "Avx512",
        half: Some("Avx2"),
        arch: Some("x86_64"),
        features: &["avx512f", "avx512vl"],
        lanes: 16,
        registers: 32,
        factors: 1,
        masked_loads_are_free: true,
        has_quads: true,
        tile_rows: &[14, 12, 8, 6, 5, 4, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        masked_tile_rows: &[14, 12, 8, 6, 5, 4, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        panel_vectors: 4,
        dot_cols: &[16, 8, 7, 6, 5, 4],
        tall_dot_rows: 4,
        dot_parts: &[2, 4, 4],
        short_dot_vectors: &[7, 7],
        cut_short_dot_vectors: &[7, 7],
        activation_group: 8,
    },
    IsaSpec {
        name: "avx2",
        variant: "Avx2",
        token: "Avx2",
        half: None,
        arch: Some("x86_64"),
        features: &["avx2", "fma"],
        lanes: 8,
        registers: 16,
        factors: 1,
        masked_loads_are_free: false,
        has_quads: true,
        tile_rows: &[8, 6, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1],
        masked_tile_rows: &[7, 6, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1],
        panel_vectors: 3,
        dot_cols: &[6, 3, 2],
        tall_dot_rows: 2,
        dot_parts: &[4],
        short_dot_vectors: &[6, 2],
        cut_short_dot_vectors: &[4, 1],
        activation_group: 5,
    },
    IsaSpec {
        name: "neon",
        variant: "Neon",
        token: "Neon",
        half: None,
        arch: Some("aarch64"),
        features: &["neon"],
        lanes: 4,
        registers: 32,
        factors: 4,
        masked_loads_are_free: false,
        has_quads: false,
        tile_rows: &[8, 8, 7, 5, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1],
        masked_tile_rows: &[8, 8, 7, 5, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1],
        panel_vectors: 4,
        dot_cols: &[5, 3],
        tall_dot_rows: 2,
        dot_parts: &[2],
        short_dot_vectors: &[2, 1],
        cut_short_dot_vectors: &[2, 1],
        activation_group: 5,
    },
    IsaSpec {
        name: "portable",
        variant: "Portable",
        token: "Portable",
        half: None,
        arch: None,
        features: &[],
        lanes: 8,
        registers: 16,
        factors: 1,
        masked_loads_are_free: false,
        has_quads: false,
        tile_rows: &[6],
        masked_tile_rows: &[6],
        panel_vectors: 1,
        dot_cols: &[2, 2],
        tall_dot_rows: 2,
        dot_parts: &[2],
        short_dot_vectors: &[2, 1],
        cut_short_dot_vectors: &[2, 1],
        activation_group: 5,
    },
];

// A tile's accumulators, one row of the right operand and what it holds of the left one (a broadcast, or several terms
// of each row) must fit the registers.
const _: () = {
    let mut i = 0;
    while i < ISA_SPECS.len() {
        let spec = &ISA_SPECS[i];
        let mut v = 0;
        while v < spec.tile_rows.len() {
            let vectors = v + 1;
            // A single row takes the right operand from memory.
            let right = if spec.tile_rows[v] == 1 { 1 } else { vectors };
            let left = if spec.factors == 1 { 1 } else { spec.tile_rows[v] };
            assert!(spec.tile_rows[v] * vectors + right + left <= spec.registers);
            assert!(v == 0 || spec.tile_rows[v] <= spec.tile_rows[v - 1]);
            assert!(v == 0 || spec.masked_tile_rows[v] <= spec.masked_tile_rows[v - 1]);
            assert!(spec.masked_tile_rows[v] <= spec.tile_rows[v]);
            v += 1;
        }
        assert!(spec.panel_vectors <= spec.tile_rows.len());
        assert!(spec.tall_dot_rows.is_power_of_two() && spec.tall_dot_rows <= spec.dot_cols.len());
        // A few registers for each of a group's vectors.
        assert!(3 * spec.activation_group <= spec.registers);
        // The kernel has no more rows.
        assert!(spec.short_dot_vectors.len() <= 2 && spec.cut_short_dot_vectors.len() <= 2);
        // Sixteen lanes of each sum, a vector of each row, and one of a column.
        let mut r = 0;
        while r < spec.dot_parts.len() {
            let (rows, parts) = (r + 1, spec.dot_parts[r]);
            assert!(parts > 0 && rows * parts * (16 / spec.lanes) + rows < spec.registers);
            r += 1;
        }
        i += 1;
    }
};
