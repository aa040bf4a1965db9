//! `cargo xtask fuzz`: arbitrary calls against the reference, guided by coverage, with the address sanitizer where a nightly
//! toolchain is there. Work is shared however small it is.

mod log;

use crate::summary::{Outcome, Summary};
use crate::toolchain::Toolchain;
use crate::workspace;
use anstream::println;
use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use log::Tally;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Which edges of the program a case takes, for libFuzzer. Neither dead code nor each operand of a comparison: the cases
/// are made by choices, and the kernels are large.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table";

/// The time that a case may take: far more than it does on a machine that is busy. A hang is a finding.
const MOST_SECONDS: usize = 240;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes for each target
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    minutes: f64,
    /// The targets; by default all, one after the other
    #[arg(long, value_name = "T")]
    target: Vec<Target>,
    /// Fail where something is skipped
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// One layer's calls
    Layer,
    /// Making views
    View,
    /// Calls on a network one after the other
    Network,
    /// The protocol of the threads
    Team,
}

impl Target {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }

    /// Whether a run in which no case was shared has missed its point. Whether a team's helpers come in time is up to the
    /// machine.
    fn must_share(self) -> bool {
        matches!(self, Self::Layer | Self::Network)
    }
}

/// Builds and runs the targets.
///
/// # Errors
/// Where a case fails, or nothing was tried.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let nightly = Toolchain::find("nightly");
    let mut summary = Summary::default();
    let mut is_built = false;
    summary.step("build", || match Command::new("c++").arg("--version").output() {
        Err(_) => Ok(Outcome::Skipped("no C++ compiler, which libFuzzer is built with".to_string())),
        Ok(_) => {
            workspace::output(build(nightly.as_ref()).args(["build", "--release", "--bins"]))?;
            is_built = true;
            Ok(Outcome::Ran("with libFuzzer".to_string()))
        }
    });
    if is_built {
        summary.step("address sanitizer", || {
            Ok(match nightly {
                Some(_) => Outcome::Ran("in all targets".to_string()),
                None => Outcome::Skipped("no nightly toolchain; memory errors show only at guard pages".to_string()),
            })
        });
        let targets = if args.target.is_empty() { Target::value_variants() } else { &args.target };
        for &target in targets {
            summary.step(&target.name(), || fuzz(target, args.minutes));
        }
    }
    summary.finish(args.strict)
}

fn folder() -> PathBuf {
    workspace::target().join("fuzz")
}

/// Cargo in the targets' package.
fn build(nightly: Option<&Toolchain>) -> Command {
    let mut cargo = nightly.map_or_else(workspace::cargo, Toolchain::cargo);
    let sanitizer = if nightly.is_some() { "-Zsanitizer=address" } else { "" };
    cargo.env("RUSTFLAGS", format!("{COVERAGE} {sanitizer} --cfg fuzzing --cfg fused_dense_force_sharing"));
    cargo.env("CARGO_TARGET_DIR", std::path::absolute(folder()).unwrap_or_else(|_| folder()));
    cargo.env("CARGO_BUILD_TARGET", workspace::host());
    cargo.current_dir(workspace::root().join("fuzz"));
    cargo
}

/// Runs a target for so many minutes.
fn fuzz(target: Target, minutes: f64) -> anyhow::Result<Outcome> {
    let name = target.name();
    let (corpus, package) = (folder().join("corpus").join(&name), workspace::root().join("fuzz"));
    let artifacts = package.join("artifacts").join(&name);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = folder().join(format!("{name}.log"));
    let seconds = ((minutes * 60.0).round() as u64).max(1);
    let mut run = Command::new(folder().join(workspace::host()).join("release").join(&name));
    run.arg(&corpus).arg(package.join("seeds").join(&name));
    run.args([format!("-max_total_time={seconds}"), format!("-timeout={MOST_SECONDS}")]);
    run.args(["-max_len=512", "-len_control=0", "-rss_limit_mb=4096"]);
    run.arg(format!("-artifact_prefix={}/", artifacts.display()));
    // A payload that would panic when it is dropped is let go; memory beyond all bounds is refused, as the system would.
    run.env("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1");
    run.stdout(Stdio::null()).stderr(File::create(&log)?);
    let status = run.status().with_context(|| format!("cannot run {run:?}"))?;

    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let Tally { cases, shared } = log::tally(&text);
    if !status.success() {
        log::finding(&text).for_each(|line| println!("{line}"));
        bail!("1 finding after {cases} cases, {shared} shared; its input is in {}", artifacts.display());
    }
    ensure!(cases > 0, "no case was tried");
    ensure!(shared > 0 || !target.must_share(), "none of {cases} cases was shared");
    Ok(Outcome::Ran(format!("{cases} cases, {shared} shared, 0 findings")))
}
