//! The packages that are released together, as their workspaces list them.

use crate::workspace;
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The library.
pub const CORE: &str = "fused-dense";

/// Folders of workspaces; those that are not there are left out.
const WORKSPACES: [&str; 4] = ["", "adapters", "adapters/mpi", "python"];

/// The files that a licence stands in.
const LICENCE_FILES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// A package that users get.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub licence: String,
    /// Rather than to another language's.
    pub goes_to_the_registry: bool,
    manifest: PathBuf,
    /// The versions of the library that it takes, where it says so.
    takes: Vec<String>,
}

/// Cargo's answer, as far as it is asked for.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<OfCargo>,
}

#[derive(Deserialize)]
struct OfCargo {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    /// Empty where it is not to be published; none where it may go anywhere.
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    req: String,
}

/// The version of packages that nobody gets.
const INTERNAL: &str = "0.0.0";

/// All packages that users get, the library among them.
///
/// # Errors
/// Where cargo cannot tell.
pub fn all() -> anyhow::Result<Vec<Package>> {
    let manifests = WORKSPACES.map(|folder| workspace::root().join(folder).join("Cargo.toml"));
    let mut all = Vec::new();
    for manifest in manifests.iter().filter(|manifest| manifest.is_file()) {
        let mut ask = workspace::cargo();
        ask.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
        let metadata: Metadata = serde_json::from_str(&workspace::output(&mut ask)?)?;
        all.extend(metadata.packages.into_iter().filter(|one| one.version != INTERNAL).map(Package::from));
    }
    Ok(all)
}

impl From<OfCargo> for Package {
    fn from(of_cargo: OfCargo) -> Self {
        let OfCargo { name, version, license, manifest_path, publish, dependencies } = of_cargo;
        let takes = dependencies.into_iter().filter(|dependency| dependency.name == CORE).map(|one| one.req).collect();
        let goes_to_the_registry = publish.is_none_or(|registries| !registries.is_empty());
        let licence = license.unwrap_or_default();
        Self { name, version, licence, goes_to_the_registry, manifest: manifest_path, takes }
    }
}

impl Package {
    pub fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// Whether it has the library's version, and takes it.
    pub fn version_faults(&self, core: &Self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.version != core.version {
            faults.push(format!("{}: expected version {}, found {}", self.name, core.version, self.version));
        }
        let expected = format!("^{}", core.version);
        let others = self.takes.iter().filter(|_| self.goes_to_the_registry).filter(|takes| **takes != expected);
        faults.extend(others.map(|takes| format!("{}: expected to take {CORE} {expected}, found {takes}", self.name)));
        faults
    }

    /// Whether it has the library's licence, and its text: beside the manifest, or in a folder `licences`, since a source
    /// distribution of Python has the library's at its top.
    ///
    /// # Errors
    /// Where the library's own files cannot be read.
    pub fn licence_faults(&self, core: &Self) -> anyhow::Result<Vec<String>> {
        let mut faults = Vec::new();
        if self.licence != core.licence {
            faults.push(format!("{}: expected the licence {}, found `{}`", self.name, core.licence, self.licence));
        }
        for file in LICENCE_FILES {
            let expected = fs::read(core.folder().join(file)).with_context(|| format!("cannot read {file}"))?;
            let places = [self.folder().join(file), self.folder().join("licences").join(file)];
            match fs::read(places.iter().find(|place| place.is_file()).unwrap_or(&places[0])) {
                Ok(found) if found == expected => {}
                Ok(_) => faults.push(format!("{}: {file} is not the library's", self.name)),
                Err(error) => faults.push(format!("{}: {file}: {error}", self.name)),
            }
        }
        Ok(faults)
    }

    /// Packs it without a warning, the library with a build of what is packed. The others need a published library for
    /// that; the tests of their own workspace build them.
    ///
    /// # Errors
    /// Where cargo cannot pack it, or warns.
    pub fn pack(&self, is_draft: bool) -> anyhow::Result<String> {
        let mut pack = workspace::cargo();
        pack.env("CARGO_TARGET_DIR", workspace::target().join("release").join("packages"));
        pack.args(["package", "--package", &self.name, "--manifest-path"]).arg(&self.manifest);
        match self.name == CORE {
            true => pack.arg("--locked"),
            false => pack.args(["--no-verify", "--exclude-lockfile"]),
        };
        if is_draft {
            pack.arg("--allow-dirty");
        }
        let output = pack.output().with_context(|| format!("cannot run {pack:?}"))?;
        let messages = String::from_utf8_lossy(&output.stderr);
        eprint!("{messages}");
        ensure!(output.status.success(), "{pack:?} failed");
        let warnings = warnings(&messages);
        ensure!(warnings.is_empty(), "cargo warns: {}", warnings.join("; "));
        let packed = messages.lines().find_map(|line| line.trim().strip_prefix("Packaged "));
        Ok(packed.context("cargo does not say that it packed anything")?.to_string())
    }
}

/// Cargo's warnings. A package's manifest has the profiles of its workspace, which name packages that the tools alone need;
/// nobody who depends on it has them read.
fn warnings(messages: &str) -> Vec<&str> {
    let warnings = messages.lines().filter_map(|line| line.strip_prefix("warning: "));
    warnings.filter(|warning| !warning.starts_with("profile package spec")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, takes: &[&str]) -> Package {
        Package {
            name: name.to_string(),
            version: version.to_string(),
            licence: "MIT OR Apache-2.0".to_string(),
            goes_to_the_registry: true,
            manifest: workspace::root().join("Cargo.toml"),
            takes: takes.iter().map(|takes| (*takes).to_string()).collect(),
        }
    }

    #[test]
    fn versions_move_together() {
        let core = package(CORE, "0.2.0", &[]);
        assert!(core.version_faults(&core).is_empty());
        assert!(package("a", "0.2.0", &["^0.2.0"]).version_faults(&core).is_empty());
        let faults = package("a", "0.1.0", &["^0.2.0", "^0.1.0", "*"]).version_faults(&core);
        assert_eq!(faults.len(), 3, "{faults:?}");
        let of_python = Package { goes_to_the_registry: false, ..package("python", "0.2.0", &["*"]) };
        assert!(of_python.version_faults(&core).is_empty());
    }

    #[test]
    fn licences_are_the_librarys() {
        let core = package(CORE, "0.2.0", &[]);
        assert!(core.licence_faults(&core).unwrap().is_empty());
        let elsewhere = workspace::root().join("xtask/Cargo.toml");
        let other = Package { licence: "MIT".to_string(), manifest: elsewhere, ..package("a", "0.2.0", &[]) };
        let faults = other.licence_faults(&core).unwrap();
        assert_eq!(faults.len(), 1 + LICENCE_FILES.len(), "{faults:?}");
    }

    #[test]
    fn the_workspace_has_the_library_and_none_of_its_tools() {
        let all = all().unwrap();
        assert!(all.iter().any(|package| package.name == CORE && package.goes_to_the_registry));
        assert!(all.iter().all(|package| package.name != "xtask"));
    }

    #[test]
    fn cargo_answers_are_read() {
        let answer = r#"{"packages":[{"name":"a","version":"1.0.0","license":null,"manifest_path":"/a/Cargo.toml",
            "publish":[],"dependencies":[{"name":"fused-dense","req":"^1.0.0"},{"name":"b","req":"*"}]}],"other":1}"#;
        let metadata: Metadata = serde_json::from_str(answer).unwrap();
        let package = Package::from(metadata.packages.into_iter().next().unwrap());
        assert_eq!((package.licence.as_str(), package.goes_to_the_registry), ("", false));
        assert_eq!((&package.takes[..], package.folder()), (&["^1.0.0".to_string()][..], Path::new("/a")));
        assert_eq!(
            warnings("warning: a\n   Packaged 1 file\nwarning: profile package spec `c`\nwarning: b\n"),
            ["a", "b"]
        );
    }
}
