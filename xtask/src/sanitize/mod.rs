//! `cargo xtask sanitize`: the tests under the address sanitizer, those of the threads under the thread sanitizer, and
//! small layers in Miri. Each says how many tests ran, or why none did.

mod count;

use crate::summary::{Outcome, Summary};
use crate::toolchain::Toolchain;
use crate::workspace;
use anyhow::{Context, ensure};
use clap::ValueEnum;
use std::process::{Command, Stdio};

/// Tests whose calls cover the kernels, the loops around them, the checks in front and the team. Left out: those that
/// see the same calls once more, read sources, or start themselves anew.
const ADDRESS_TESTS: [&str; 11] = [
    "errors",
    "gradients",
    "guard_pages",
    "network",
    "packed",
    "small",
    "special_values",
    "strides",
    "team",
    "update",
    "views",
];

/// Tests that take longer than all of these, and whose calls `guard_pages` makes on smaller shapes.
const LONG_ADDRESS_TESTS: [&str; 1] = ["bits"];

/// Tests of the threads, and tests that share layers.
const THREAD_TESTS: [&str; 3] = ["stress", "team", "threads"];

/// Tests that the thread sanitizer has nothing to say of: they measure processor time.
const NOT_FOR_THREADS: [&str; 1] = ["an_idle_team_uses_no_processor_time"];

/// Tests small enough for an interpreter.
const MIRI_TESTS: [&str; 2] = ["small", "views"];

const NO_NIGHTLY: &str = "no nightly toolchain: rustup toolchain install nightly --component rust-src,miri";

/// Options of `cargo xtask sanitize`.
#[derive(clap::Args)]
pub struct Args {
    /// The checks to run; by default all
    #[arg(long, value_name = "KIND")]
    only: Vec<Kind>,
    /// Run the long tests, too
    #[arg(long)]
    whole: bool,
    /// Fail where something is skipped
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Address,
    Thread,
    Miri,
}

/// Runs all that can be had.
///
/// # Errors
/// Where a test fails or a sanitizer finds a fault.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let nightly = Toolchain::find("nightly");
    let mut summary = Summary::default();
    let kinds = if args.only.is_empty() { Kind::value_variants() } else { &args.only };
    for kind in kinds {
        let name = match kind {
            Kind::Address => "address sanitizer",
            Kind::Thread => "thread sanitizer",
            Kind::Miri => "miri",
        };
        summary.step(name, || match (&nightly, kind) {
            (None, _) => Ok(Outcome::Skipped(NO_NIGHTLY.to_string())),
            (Some(nightly), Kind::Address) => address(nightly, args.whole),
            (Some(nightly), Kind::Thread) => thread(nightly),
            (Some(nightly), Kind::Miri) => miri(nightly),
        });
    }
    summary.finish(args.strict)
}

/// The tests' own allocations end where their operands do; what runs beyond them meets a poisoned zone.
fn address(nightly: &Toolchain, is_whole: bool) -> anyhow::Result<Outcome> {
    let mut tests = sanitized(nightly, "address");
    // Nothing is freed at the end of a test that is meant to fail, and memory beyond all bounds is refused, as the system
    // would.
    tests.env("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1");
    let long = if is_whole { &LONG_ADDRESS_TESTS[..] } else { &[] };
    let names = [&ADDRESS_TESTS[..], long].concat();
    add_tests(&mut tests, &names);
    ran(&mut tests, &names, "")
}

/// Without an instrumented standard library, whatever goes through its locks and channels would seem to be a race.
fn thread(nightly: &Toolchain) -> anyhow::Result<Outcome> {
    if !nightly.has_source() {
        let why = "no source of the standard library to instrument: rustup component add rust-src --toolchain nightly";
        return Ok(Outcome::Skipped(why.to_string()));
    }
    let mut tests = sanitized(nightly, "thread");
    tests.env("TSAN_OPTIONS", "halt_on_error=1");
    add_tests(&mut tests, &THREAD_TESTS);
    tests.args(["-Zbuild-std", "--"]);
    for test in NOT_FOR_THREADS {
        tests.args(["--skip", test]);
    }
    ran(&mut tests, &THREAD_TESTS, ", with the standard library instrumented; fences count for nothing there")
}

/// On the portable kernels: the interpreter's CPU has no other instruction set.
fn miri(nightly: &Toolchain) -> anyhow::Result<Outcome> {
    if !nightly.has_miri() {
        let why = "no miri: rustup component add miri rust-src --toolchain nightly";
        return Ok(Outcome::Skipped(why.to_string()));
    }
    let mut tests = nightly.cargo();
    // A team's threads wait by the clock.
    tests.env("MIRIFLAGS", "-Zmiri-disable-isolation");
    // Layers that are worth sharing would take an interpreter minutes.
    tests.env("RUSTFLAGS", "--cfg fused_dense_force_sharing");
    tests.env("CARGO_TARGET_DIR", workspace::target().join("miri"));
    tests.args(["miri", "test"]);
    add_tests(&mut tests, &MIRI_TESTS);
    ran(&mut tests, &MIRI_TESTS, ", on portable kernels")
}

/// Cargo's tests with a sanitizer, in a folder of their own.
fn sanitized(nightly: &Toolchain, sanitizer: &str) -> Command {
    let mut tests = nightly.cargo();
    tests.env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"));
    tests.env("CARGO_TARGET_DIR", workspace::target().join(sanitizer));
    tests.args(["test", "--target", &workspace::host()]);
    tests
}

fn add_tests(command: &mut Command, tests: &[&str]) {
    command.args(["--package", "fused-dense", "--locked", "--no-fail-fast"]);
    for test in tests {
        command.args(["--test", test]);
    }
}

/// Runs tests, prints what they say, and tells how many ran.
fn ran(command: &mut Command, tests: &[&str], remark: &str) -> anyhow::Result<Outcome> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let passed = count::passed(&text);
    ensure!(output.status.success(), "{passed} tests passed, others did not");
    ensure!(passed >= tests.len(), "only {passed} tests ran");
    Ok(Outcome::Ran(format!("{passed} tests of {}{remark}", tests.join(", "))))
}
