//! `cargo xtask peers`: brings the libraries that are found at run time into a folder that git ignores.

use super::library::peers_folder;
use super::{Found, find};
use anstream::println;
use anyhow::{Context, ensure};
use fused_dense::Isa;
use owo_colors::OwoColorize;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Python packages that hold a library.
const WHEELS: [&str; 3] = ["scipy-openblas32==0.3.34.481.3", "mkl==2026.2.0", "onednn-cpu-gomp==2023.2.0"];

/// Debian packages that hold a library, or one that it needs.
const DEBIAN: [&str; 2] = ["libdnnl2=2.6.3-1", "ocl-icd-libopencl1=2.3.1-1"];

/// Python packages of the frameworks, for `cargo xtask bench --pass step` first of all: several gigabytes.
const FRAMEWORKS: [&str; 3] = ["torch==2.15.0", "jax==0.10.2", "scikit-learn==1.9.1"];

/// The commands about peers.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Install pinned versions of OpenBLAS, MKL and oneDNN into /peers, from Python and Debian packages
    Install {
        /// PyTorch, JAX and scikit-learn too: several gigabytes
        #[arg(long)]
        frameworks: bool,
    },
    /// List the peers that are found, with version and instruction set
    List,
}

/// Does it.
pub fn main(action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Install { frameworks } => install(*frameworks),
        Action::List => list(),
    }
}

fn install(frameworks: bool) -> anyhow::Result<()> {
    let folder = peers_folder();
    fs::create_dir_all(&folder)?;
    let packages: Vec<&str> =
        WHEELS.into_iter().chain(frameworks.then_some(FRAMEWORKS).into_iter().flatten()).collect();
    for (kind, result) in [("Python", wheels(&folder, &packages)), ("Debian", debian(&folder))] {
        match result {
            Ok(()) => println!("{} {kind} packages", "installed".green()),
            Err(error) => println!("{} {kind} packages: {error:#}", "without".yellow()),
        }
    }
    list()
}

/// Into a virtual environment, whose `lib` then holds the libraries side by side.
fn wheels(folder: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let environment = folder.join("python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let pip = environment.join("bin/pip");
    run(Command::new(pip).args(["install", "--quiet", "--no-compile", "--disable-pip-version-check"]).args(packages))
}

/// Unpacked beside the system, not into it.
fn debian(folder: &Path) -> anyhow::Result<()> {
    let folder = folder.join("debian");
    fs::create_dir_all(&folder)?;
    run(Command::new("apt-get").args(["download", "-qq"]).args(DEBIAN).current_dir(&folder))?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&folder))?;
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} failed");
    Ok(())
}

fn list() -> anyhow::Result<()> {
    // SAFETY: no other thread runs yet.
    unsafe { super::library::prepare_environment(Isa::available()[0], 1) };
    let found = find(&[])?;
    let advice = found.advice();
    let Found { contenders, absent } = found;
    for contender in &contenders {
        println!("{:<18} {}", contender.name().green(), contender.version());
    }
    for (name, reason) in &absent {
        println!("{:<18} {}", name.dimmed(), reason.dimmed());
    }
    if let Some(advice) = advice {
        println!("{}", advice.dimmed());
    }
    Ok(())
}
