//! `cargo xtask builds`: the library as its users build it: with the oldest compiler and the oldest dependencies, without
//! features, for other targets, and with other profiles.

mod package;

use crate::summary::{Outcome, Summary};
use crate::toolchain::Toolchain;
use crate::workspace;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;

const WASM: &str = "wasm32-unknown-unknown";

/// Targets that are only checked, without the tests, which depend on code in C: `cargo xtask emulate` runs the tests on the
/// first.
const CHECKED: [&str; 2] = ["aarch64-unknown-linux-gnu", "i686-unknown-linux-gnu"];

/// Options of `cargo xtask builds`.
#[derive(clap::Args)]
pub struct Args {
    /// Fail where something is skipped
    #[arg(long)]
    strict: bool,
}

/// Makes all builds that can be made.
///
/// # Errors
/// Where one fails.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    summary.step("no default features", no_default_features);
    summary.step("oldest compiler", oldest_compiler);
    summary.step("oldest dependencies", oldest_dependencies);
    for target in CHECKED {
        summary.step(target, || checked(target));
    }
    summary.step(WASM, wasm);
    summary.step("panic = \"abort\"", || {
        let mut run = cargo("abort");
        run.env("CARGO_PROFILE_RELEASE_PANIC", "abort");
        workspace::output(run.args(["run", "--release", "--example", "backend"]))?;
        Ok(Outcome::Ran("the example `backend`".to_string()))
    });
    summary.step("opt-level = \"s\"", || {
        let mut test = cargo("size");
        test.env("CARGO_PROFILE_TEST_OPT_LEVEL", "s");
        workspace::output(test.args(["test", "--package", "fused-dense", "--test", "small", "--test", "threads"]))?;
        Ok(Outcome::Ran("the tests `small` and `threads`".to_string()))
    });
    summary.finish(args.strict)
}

/// The folder of a build's results.
fn folder(build: &str) -> PathBuf {
    let folder = workspace::target().join("builds").join(build);
    std::path::absolute(&folder).unwrap_or(folder)
}

/// This cargo, with results in a folder of their own.
fn cargo(build: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.env("CARGO_TARGET_DIR", folder(build));
    cargo
}

/// Without rayon, by itself and with each other feature; then calls of every kind, serial and on teams.
fn no_default_features() -> anyhow::Result<Outcome> {
    for features in ["", "ndarray", "safetensors"] {
        let mut check = cargo("features");
        check.args(["check", "--package", "fused-dense", "--lib", "--no-default-features", "--features", features]);
        workspace::output(&mut check)?;
    }
    let mut test = cargo("features");
    test.args(["test", "--package", "fused-dense", "--no-default-features"]);
    workspace::output(test.args(["--test", "small", "--test", "team", "--test", "network", "--test", "auto_traits"]))?;
    Ok(Outcome::Ran("checked; the tests `small`, `team`, `network` and `auto_traits`".to_string()))
}

/// The version of the compiler that `Cargo.toml` promises.
fn oldest_compiler() -> anyhow::Result<Outcome> {
    let version = env!("CARGO_PKG_RUST_VERSION");
    let Some(toolchain) = Toolchain::find(version).or_else(|| Toolchain::find(&format!("{version}.0"))) else {
        return Ok(Outcome::Skipped(format!("rustup toolchain install {version} --profile minimal")));
    };
    for features in ["--no-default-features", "--all-features"] {
        let mut check = toolchain.cargo();
        check.env("CARGO_TARGET_DIR", folder("oldest"));
        workspace::output(check.args(["check", "--package", "fused-dense", "--lib", "--locked", features]))?;
    }
    Ok(Outcome::Ran(format!("checked with {version}, no features and all")))
}

/// The least versions that `Cargo.toml` asks for.
fn oldest_dependencies() -> anyhow::Result<Outcome> {
    let Some(nightly) = Toolchain::find("nightly") else {
        return Ok(Outcome::Skipped("no nightly toolchain to choose the versions".to_string()));
    };
    let package = package::unpacked(&folder("minimal"))?;
    let mut choose = nightly.cargo();
    workspace::output(choose.current_dir(&package).args(["update", "-Zdirect-minimal-versions"]))?;
    let mut check = cargo("minimal-check");
    workspace::output(check.current_dir(&package).args(["check", "--lib", "--all-features", "--locked"]))?;
    Ok(Outcome::Ran(format!("checked with {}", package::versions(&package)?)))
}

/// The toolchain that runs now.
fn current() -> anyhow::Result<Option<Toolchain>> {
    let name = std::env::var("RUSTUP_TOOLCHAIN");
    Ok(name.ok().and_then(|name| Toolchain::find(&name)))
}

fn checked(target: &str) -> anyhow::Result<Outcome> {
    if !current()?.is_some_and(|toolchain| toolchain.has_target(target)) {
        return Ok(Outcome::Skipped(format!("rustup target add {target}")));
    }
    let mut check = cargo("targets");
    check.args(["check", "--package", "fused-dense", "--all-features", "--lib", "--target", target]);
    workspace::output(&mut check)?;
    Ok(Outcome::Ran("checked".to_string()))
}

/// Builds the calls in `tests/wasm` and runs them.
fn wasm() -> anyhow::Result<Outcome> {
    if !current()?.is_some_and(|toolchain| toolchain.has_target(WASM)) {
        return Ok(Outcome::Skipped(format!("rustup target add {WASM}")));
    }
    if Command::new("node").arg("--version").output().is_err() {
        return Ok(Outcome::Skipped("no node to run it".to_string()));
    }
    let calls = workspace::root().join("tests/wasm");
    let mut build = cargo("wasm");
    build.current_dir(&calls).args(["build", "--release", "--locked", "--target", WASM]);
    workspace::output(&mut build)?;
    let module = folder("wasm").join(Path::new(WASM).join("release/fused_dense_wasm.wasm"));
    let shown = workspace::output(Command::new("node").arg(calls.join("run.mjs")).arg(module))?;
    let shown = shown.lines().collect::<Vec<_>>().join(", ");
    Ok(Outcome::Ran(Some(shown).filter(|shown| !shown.is_empty()).context("nothing was checked")?))
}
