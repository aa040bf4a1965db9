//! `cargo xtask release`: all that must be so before the packages are published, as docs/publishing.md lists it. It
//! publishes nothing.

mod changelog;
mod owner;
mod packages;

use crate::summary::{Outcome, Summary};
use crate::workspace;
use anyhow::{Context, ensure};
use packages::Package;
use std::fs;
use std::process::Command;

/// Try a release without publishing anything: versions, changelog, licences, places left for the owner, packages
#[derive(clap::Args)]
pub struct Args {
    /// Before the owner's part is done: only tell what is left for the owner, and pack changes that are not committed
    #[arg(long)]
    draft: bool,
}

/// Tries all of a release.
///
/// # Errors
/// Where something is wrong, or, unless it is a draft, left for the owner.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let packages = packages::all()?;
    let core = packages.iter().find(|package| package.name == packages::CORE).context("no package of the library")?;
    let mut summary = Summary::default();
    summary.step("versions", || {
        let faults: Vec<_> = packages.iter().flat_map(|package| package.version_faults(core)).collect();
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(Outcome::Ran(format!("{}: {}", core.version, names(&packages))))
    });
    summary.step("changelog", || {
        let text = fs::read_to_string(workspace::root().join("CHANGELOG.md"))?;
        let date = changelog::date_of(&text, &core.version)?;
        match date {
            Some(date) => Ok(Outcome::Ran(format!("{} of {date}", core.version))),
            None => left("CHANGELOG.md: the date of the release", args.draft),
        }
    });
    summary.step("licences", || {
        let faults: Vec<_> = packages.iter().map(|package| package.licence_faults(core)).collect::<Result<_, _>>()?;
        let faults = faults.concat();
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(Outcome::Ran(core.licence.clone()))
    });
    summary.step("places left for the owner", || match owner::places()? {
        places if places.is_empty() => Ok(Outcome::Ran("none".to_string())),
        places => left(&places.join("; "), args.draft),
    });
    for package in packages.iter().filter(|package| package.goes_to_the_registry) {
        summary.step(&package.name, || Ok(Outcome::Ran(package.pack(args.draft)?)));
    }
    summary.step("python", || source_distribution(&packages));
    summary.finish(false)
}

/// The outcome where the owner has something left to do.
fn left(what: &str, is_draft: bool) -> anyhow::Result<Outcome> {
    ensure!(is_draft, "left for the owner: {what}");
    Ok(Outcome::Skipped(format!("left for the owner: {what}")))
}

fn names(packages: &[Package]) -> String {
    packages.iter().map(|package| &*package.name).collect::<Vec<_>>().join(", ")
}

/// The source distribution of the Python package, where there is one.
fn source_distribution(packages: &[Package]) -> anyhow::Result<Outcome> {
    let Some(package) = packages.iter().find(|package| package.folder().join("pyproject.toml").is_file()) else {
        return Ok(Outcome::Skipped("there is no Python package".to_string()));
    };
    if Command::new("maturin").arg("--version").output().is_err() {
        return Ok(Outcome::Skipped("no maturin: python3 -m pip install maturin".to_string()));
    }
    let folder = workspace::target().join("release").join("python");
    let mut pack = Command::new("maturin");
    pack.current_dir(package.folder()).arg("sdist").arg("--out").arg(std::path::absolute(&folder)?);
    workspace::output(&mut pack)?;
    Ok(Outcome::Ran(format!("a source distribution in {}", folder.display())))
}
