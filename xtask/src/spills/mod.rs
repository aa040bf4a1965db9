//! `cargo xtask spills`: shows that the micro-kernels' main loops keep every vector in a register.

mod assembly;

use crate::workspace;
use anstream::println;
use anyhow::{Context, bail, ensure};
use assembly::{Counts, Function};
use owo_colors::{AnsiColors, OwoColorize};
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// The tiles that large products run on; they must be among what is found.
const FULL_SIZE: [Kernel; 2] = [
    Kernel { isa: Isa::Avx512, kind: Kind::Chain, rows: 6, cols: 4, masked: true },
    Kernel { isa: Isa::Avx2, kind: Kind::Chain, rows: 6, cols: 2, masked: false },
];

/// Modules that hold kernels with fused multiply-adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Isa {
    Avx512,
    Avx2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Chain,
    /// A chain tile that asks for memory ahead.
    Prefetching,
    Dot,
    /// One row of dot products.
    DotsByParts,
    /// Rows of dot products that stay in registers; its columns are vectors of each.
    ShortDots,
    /// Several rows of few columns to a vector.
    Narrow,
}

/// One instance of a micro-kernel, as its symbol tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kernel {
    isa: Isa,
    kind: Kind,
    rows: usize,
    /// Vectors of a chain tile, outputs of a dot tile; of the narrow kernel, terms of a turn and vectors of its least loop.
    cols: usize,
    masked: bool,
}

impl Kernel {
    /// Reads a symbol mangled by Rust's v0 scheme: the path of the shim, then its constants (`Kj6_` is 6).
    fn of_symbol(symbol: &str) -> Option<Self> {
        let (isa, rest) = [("6avx512", Isa::Avx512), ("4avx2", Isa::Avx2)]
            .into_iter()
            .find_map(|(module, isa)| Some((isa, symbol.split_once(&format!("3isa{module}"))?.1)))?;
        let shims = [
            ("5chain", Kind::Chain),
            ("17chain_prefetching", Kind::Prefetching),
            ("4dots", Kind::Dot),
            ("8dotparts", Kind::DotsByParts),
            ("9shortdots", Kind::ShortDots),
            ("5quads", Kind::Narrow),
        ];
        let (kind, rest) = shims.into_iter().find_map(|(shim, kind)| Some((kind, rest.strip_prefix(shim)?)))?;
        if kind == Kind::Narrow {
            return Some(Self { isa, kind, rows: 4, cols: 1, masked: false });
        }
        let mut constants: Vec<usize> = Vec::new();
        for constant in rest.split_terminator('_') {
            let Some(constant) = constant.strip_prefix('K') else { break };
            // A constant like the one before is written as a reference back to it (`KBf_`).
            let value = match (constant.starts_with('B'), constants.last()) {
                (true, Some(&repeated)) => repeated,
                _ => usize::from_str_radix(constant.get(1..)?, 16).ok()?,
            };
            constants.push(value);
        }
        let (&rows, &cols) = (constants.first()?, constants.get(1)?);
        Some(Self { isa, kind, rows, cols, masked: constants.get(2) == Some(&1) })
    }

    /// Registers that its accumulators fill, or multiply-adds of its least loop.
    fn accumulators(&self) -> usize {
        match (self.kind, self.isa) {
            (Kind::Chain | Kind::Prefetching | Kind::Narrow, _) | (Kind::Dot | Kind::DotsByParts, Isa::Avx512) => {
                self.rows * self.cols
            }
            // Sixteen lanes of the sum are two registers.
            (Kind::Dot | Kind::DotsByParts, Isa::Avx2) => 2 * self.rows * self.cols,
            // So many multiply-adds of eight columns.
            (Kind::ShortDots, _) => 8 * self.rows * self.cols,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let isa = match self.isa {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
        };
        let kind = match (self.kind, self.masked) {
            (Kind::Chain, true) => "chain, masked",
            (Kind::Chain, false) => "chain",
            (Kind::Prefetching, _) => "chain, prefetching",
            (Kind::Dot, _) => "dots",
            (Kind::DotsByParts, _) => "dotparts",
            (Kind::ShortDots, _) => "shortdots",
            (Kind::Narrow, _) => return f.pad(&format!("{isa} quads")),
        };
        f.pad(&format!("{isa} {}×{} {kind}", self.rows, self.cols))
    }
}

/// Builds the library's assembly and checks every kernel in it.
///
/// # Errors
/// Where a loop spills, a full-size tile as much as reads the stack or is missing, or a kernel has no loop to check.
pub fn main() -> anyhow::Result<()> {
    let text = fs::read_to_string(build()?)?;
    let mut kernels: Vec<(Kernel, Function<'_>)> = assembly::functions(&text)
        .into_iter()
        .filter_map(|function| Some((Kernel::of_symbol(function.symbol)?, function)))
        // Eight joined sums, one that is not, and masks are more than AVX2 has registers for.
        .filter(|(kernel, _)| (kernel.kind, kernel.isa) != (Kind::ShortDots, Isa::Avx2))
        .collect();
    kernels.sort_by_key(|(kernel, _)| (kernel.isa, kernel.kind, -(kernel.accumulators() as isize), *kernel));
    for full_size in FULL_SIZE {
        ensure!(kernels.iter().any(|(kernel, _)| *kernel == full_size), "there is no kernel {full_size}");
    }

    let header = format!("{:<24} {:>5} {:>6} {:>6} {:>7}", "main loop of", "FMAs", "loads", "spills", "reloads");
    println!("{}", header.bold());
    let (mut spilling, mut without_loop) = (Vec::new(), Vec::new());
    for (kernel, function) in &kernels {
        let name = kernel.to_string();
        let loops = function.main_loops(kernel.accumulators());
        if loops.is_empty() {
            without_loop.push(name.clone());
        }
        for Counts { fmas, loads, spills, reloads, .. } in loops {
            let fails = spills > 0 || (reloads > 0 && FULL_SIZE.contains(kernel));
            let colour = match (fails, reloads) {
                (true, _) => AnsiColors::Red,
                (false, 0) => AnsiColors::Green,
                (false, _) => AnsiColors::Yellow,
            };
            let stack = format!("{spills:>6} {reloads:>7}");
            println!("{name:<24} {fmas:>5} {loads:>6} {}", stack.color(colour));
            if fails {
                spilling.push(name.clone());
            }
        }
    }
    ensure!(without_loop.is_empty(), "no main loop found in {}", without_loop.join(", "));
    if !spilling.is_empty() {
        bail!("vectors are spilled in {}", spilling.join(", "));
    }
    println!("{} kernels, no spill", kernels.len());
    Ok(())
}

/// Compiles the library to assembly and returns the file's path.
fn build() -> anyhow::Result<PathBuf> {
    let target = workspace::target().join("spills");
    let mut build = workspace::cargo();
    build.args([
        "rustc",
        "--release",
        "--lib",
        "--quiet",
        "--package",
        "fused-dense",
        "--message-format=json-render-diagnostics",
    ]);
    build.arg("--target-dir").arg(&target);
    // One unit of code, so that there is one file; the v0 mangling keeps the kernels' constants in their names.
    build.args(["--", "--emit", "asm,link", "-C", "codegen-units=1", "-C", "symbol-mangling-version=v0"]);
    let messages = workspace::output(&mut build)?;
    let library = library(&messages).context("cargo names no library")?;
    let stem = library.file_stem().and_then(|stem| stem.to_str()).context("the library has no name")?;
    Ok(library.with_file_name(stem.trim_start_matches("lib")).with_extension("s"))
}

/// The compiled library's metadata file, beside which the assembly lies.
fn library(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut of_ours = messages
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "fused_dense");
    let files = of_ours.next()?;
    let files: Vec<PathBuf> =
        files["filenames"].as_array()?.iter().filter_map(|file| file.as_str().map(PathBuf::from)).collect();
    files.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "rmeta"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_tell_the_kernel() {
        let of = Kernel::of_symbol;
        assert_eq!(of("_RINvNtNtCs1_11fused_dense3isa6avx5125chainKj6_Kj4_Kb1_EB6_"), Some(FULL_SIZE[0]));
        assert_eq!(of("_RINvNtNtCs1_11fused_dense3isa4avx25chainKj6_Kj2_Kb0_EB6_"), Some(FULL_SIZE[1]));
        let wide = of("_RINvNtNtCs1_11fused_dense3isa6avx5125chainKje_Kj1_Kb1_EB6_").unwrap();
        assert_eq!((wide.rows, wide.accumulators()), (14, 14));
        let square = of("_RINvNtNtCs1_11fused_dense3isa4avx24dotsKj2_KB15_EB6_").unwrap();
        assert_eq!((square.rows, square.cols), (2, 2));
        let dot = of("_RINvNtNtCs1_11fused_dense3isa4avx24dotsKj2_Kj3_EB6_").unwrap();
        assert_eq!((dot.kind, dot.accumulators()), (Kind::Dot, 12));
        let prefetching = of("_RINvNtNtCs1_11fused_dense3isa4avx217chain_prefetchingKj4_Kj3_Kb0_EB6_").unwrap();
        assert_eq!((prefetching.kind, prefetching.rows, prefetching.cols), (Kind::Prefetching, 4, 3));
        let narrow = of("_RNvNtNtCs1_11fused_dense3isa6avx5125quads").unwrap();
        assert_eq!((narrow.kind, narrow.accumulators()), (Kind::Narrow, 4));
        let short = of("_RINvNtNtCs1_11fused_dense3isa6avx5129shortdotsKj2_Kj4_Kb1_EB6_").unwrap();
        assert_eq!((short.kind, short.accumulators()), (Kind::ShortDots, 64));
        assert_eq!(of("_RNvNtNtCs1_11fused_dense3isa4avx26detect"), None);
    }
}
