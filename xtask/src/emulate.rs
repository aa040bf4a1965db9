//! `cargo xtask emulate`: the NEON kernels on any machine. Checks the loop of the largest tile in the compiler's assembly, and
//! runs the tests that compare bits on an emulated aarch64.

use crate::workspace;
use anstream::println;
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const EMULATOR: &str = "qemu-aarch64";
const LINKER: &str = "aarch64-linux-gnu-gcc";

/// The compilers to look for a standard library of the target with: the one that runs now, and the distribution's.
const COMPILERS: [&str; 2] = ["rustc", "/usr/bin/rustc"];

/// The tests that see an instruction set. Left out: `architecture` reads sources; `isa_variable` starts itself anew,
/// which the system cannot do with an emulated program; `no_alloc` counts allocations, the same everywhere, and takes
/// minutes; `team`, `threads`, `stress` and the library's own tests of threads watch how real cores meet.
const TESTS: [&str; 14] = [
    "activations",
    "bits",
    "errors",
    "global_pool",
    "gradients",
    "guard_pages",
    "loss",
    "network",
    "optimizers",
    "packed",
    "properties",
    "special_values",
    "strides",
    "update",
];

/// Rows, vectors and terms in one turn of the largest tile's main loop.
const TILE: (usize, usize, usize) = (5, 4, 4);

/// Checks the loop and runs the tests. The tests themselves fail where the kernels of NEON are not what they ran on.
///
/// # Errors
/// Where a tool is missing, the loop is not what it should be, or a test fails.
pub fn main() -> anyhow::Result<()> {
    for tool in [EMULATOR, LINKER] {
        let found = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
        ensure!(
            found,
            "{tool} is missing: on Debian, apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
        );
    }
    let compiler = compiler()?;
    let text = fs::read_to_string(assembly(compiler)?)?;
    let counts = main_loop(&text).context("the largest tile's kernel is not in the assembly")?;
    let (rows, vectors, terms) = TILE;
    let Counts { instructions, by_lane, loads, stack } = counts;
    println!(
        "neon {rows}×{vectors}: {by_lane} multiply-adds by lane, {loads} loads, {instructions} instructions a loop"
    );
    ensure!(by_lane == rows * vectors * terms, "expected {} multiply-adds by lane", rows * vectors * terms);
    ensure!(stack == 0, "{stack} instructions of the loop access the stack");

    let mut tests = cargo(compiler);
    tests.args(["test", "--package", "fused-dense", "--lib", "--no-fail-fast"]);
    for test in TESTS {
        tests.args(["--test", test]);
    }
    tests.args(["--", "--skip", "threads::"]);
    ensure!(tests.status()?.success(), "tests failed on the emulated aarch64");
    Ok(())
}

/// The first compiler that has a standard library for the target.
fn compiler() -> anyhow::Result<&'static str> {
    let has_library = |compiler: &&str| {
        let output = Command::new(compiler).args(["--print", "target-libdir", "--target", TARGET]).output();
        let folder = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
        folder.is_some_and(|folder| !folder.trim().is_empty() && Path::new(folder.trim()).is_dir())
    };
    COMPILERS.into_iter().find(has_library).context(
        "no standard library for aarch64: rustup target add aarch64-unknown-linux-gnu, or, with Debian's compiler, dpkg \
         --add-architecture arm64 and apt-get install rustc-web libstd-rust-web-dev:arm64",
    )
}

/// Cargo for the target, in a folder of its own. Programs are linked statically, so that the emulator does not mix the
/// libraries of several systems.
fn cargo(compiler: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.env("RUSTC", compiler);
    cargo.env("CARGO_TARGET_DIR", workspace::target().join("emulate"));
    cargo.env("CARGO_BUILD_TARGET", TARGET);
    let variable = |name: &str| format!("CARGO_TARGET_{}_{name}", TARGET.to_uppercase().replace('-', "_"));
    cargo.env(variable("LINKER"), LINKER);
    cargo.env(variable("RUNNER"), EMULATOR);
    cargo.env(variable("RUSTFLAGS"), "-C target-feature=+crt-static");
    cargo.env_remove("RUSTFLAGS");
    cargo
}

/// Compiles the library and returns the path of its assembly.
fn assembly(compiler: &str) -> anyhow::Result<PathBuf> {
    let path = workspace::target().join("emulate").join("fused_dense.s");
    let mut build = cargo(compiler);
    build.args(["rustc", "--release", "--lib", "--quiet", "--package", "fused-dense", "--"]);
    build.args(["-C", "codegen-units=1", "-C", "symbol-mangling-version=v0"]);
    // Absolute, since the compiler runs in another folder.
    build.arg(format!("--emit=link,asm={}", std::path::absolute(&path)?.display()));
    workspace::output(&mut build)?;
    Ok(path)
}

/// The instructions of a loop without branches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    instructions: usize,
    /// Multiply-adds that take a factor from one lane.
    by_lane: usize,
    /// Loads of vectors; two in one instruction count once.
    loads: usize,
    /// Instructions that access the stack.
    stack: usize,
}

/// The stretch without branches that has the most multiply-adds, in the kernel of the largest tile.
fn main_loop(assembly: &str) -> Option<Counts> {
    let (rows, vectors, _) = TILE;
    // Where asking for memory ahead is no instruction, the compiler makes one function of the tile that asks and the one that
    // does not.
    let kernels = ["5chain", "17chain_prefetching"].map(|shim| format!("3isa4neon{shim}Kj{rows}_Kj{vectors}_Kb0_"));
    let is_kernel = |line: &&str| {
        line.starts_with("_R") && line.ends_with(':') && kernels.iter().any(|kernel| line.contains(kernel))
    };
    let lines = assembly.lines().skip_while(|line| !is_kernel(line)).take_while(|line| !line.contains(".cfi_endproc"));
    let (mut best, mut current): (Option<Counts>, _) = (None, Counts::default());
    for line in lines.map(str::trim) {
        if line.ends_with(':') {
            current = Counts::default();
            continue;
        }
        let Some((instruction, operands)) = line.split_once('\t').filter(|_| !line.starts_with('.')) else { continue };
        let is_vector = operands.starts_with(['q', 'v', 's', 'd']);
        current.instructions += 1;
        current.by_lane += usize::from(instruction == "fmla" && operands.ends_with(']'));
        current.loads += usize::from(instruction.starts_with("ld") && is_vector && !operands.contains("[sp"));
        current.stack += usize::from(operands.contains("[sp"));
        if instruction == "b" || ["b.", "cb", "tb"].iter().any(|jump| instruction.starts_with(jump)) {
            best = best.filter(|best| best.by_lane >= current.by_lane).or(Some(current));
            current = Counts::default();
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_with_most_multiply_adds_is_counted() {
        let text = "\
_RINvNtNtCs1_11fused_dense3isa4neon5chainKj5_Kj4_Kb0_EB6_:
\tfmla\tv0.4s, v1.4s, v2.s[0]
.LBB0_1:
\tldp\tq1, q2, [x1]
\tstr\tq3, [sp, #16]
\tfmla\tv0.4s, v1.4s, v2.s[0]
\tfmla\tv0.4s, v1.4s, v2.s[3]
\tfmla\tv0.4s, v1.4s, v2.4s
\tb.ne\t.LBB0_1
.LBB0_2:
\tldr\tq1, [x1]
\tcbz\tx1, .LBB0_2
\t.cfi_endproc
other:
\tfmla\tv0.4s, v1.4s, v2.s[0]
";
        assert_eq!(main_loop(text), Some(Counts { instructions: 6, by_lane: 2, loads: 1, stack: 1 }));
        assert_eq!(main_loop(&text.replace("5chain", "17chain_prefetching")), main_loop(text));
        assert_eq!(main_loop("other:\n\tret\n"), None);
    }
}
