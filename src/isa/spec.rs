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
    /// `CARGO_CFG_TARGET_ARCH` it belongs to; `None` builds everywhere.
    pub(crate) arch: Option<&'static str>,
    /// Target features that the shims enable and that dispatch asks for.
    pub(crate) features: &'static [&'static str],
    /// `f32` lanes of one vector.
    pub(crate) lanes: usize,
    /// Architectural vector registers.
    pub(crate) registers: usize,
    /// Whether a masked load costs what a plain one does. Where it does not, kernels come in two versions.
    pub(crate) masked_loads_are_free: bool,
    /// Rows of the chain kernels, by width: entry `v` is the most rows of a tile `v + 1` vectors wide.
    pub(crate) tile_rows: &'static [usize],
    /// Most rows and columns of a dot-product tile (the *lanes* order, one accumulator of sixteen lanes per output).
    pub(crate) dot_tile: (usize, usize),
}

/// Every instruction set, best first.
pub(crate) const ISA_SPECS: &[IsaSpec] = &[
    IsaSpec {
        name: "avx512",
        variant: "Avx512",
        token: "Avx512",
        arch: Some("x86_64"),
        features: &["avx512f"],
        lanes: 16,
        registers: 32,
        masked_loads_are_free: true,
        tile_rows: &[14, 12, 8, 6],
        dot_tile: (4, 6),
    },
    IsaSpec {
        name: "avx2",
        variant: "Avx2",
        token: "Avx2",
        arch: Some("x86_64"),
        features: &["avx2", "fma"],
        lanes: 8,
        registers: 16,
        masked_loads_are_free: false,
        tile_rows: &[8, 6],
        dot_tile: (2, 3),
    },
    IsaSpec {
        name: "portable",
        variant: "Portable",
        token: "Portable",
        arch: None,
        features: &[],
        lanes: 8,
        registers: 16,
        masked_loads_are_free: false,
        tile_rows: &[6],
        dot_tile: (2, 2),
    },
];

// A tile's accumulators, one row of the right operand and one broadcast must fit the registers.
const _: () = {
    let mut i = 0;
    while i < ISA_SPECS.len() {
        let spec = &ISA_SPECS[i];
        let mut v = 0;
        while v < spec.tile_rows.len() {
            let vectors = v + 1;
            assert!(spec.tile_rows[v] * vectors + vectors < spec.registers);
            v += 1;
        }
        i += 1;
    }
};
