//! The package as users get it: unpacked, without what only its tests depend on, and a workspace of its own.

use crate::workspace;
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packs the library and unpacks it into an empty folder below this one.
pub fn unpacked(folder: &Path) -> anyhow::Result<PathBuf> {
    let version = workspace::output(workspace::cargo().args(["pkgid", "--package", "fused-dense"]))?;
    let version = version.trim().rsplit(['#', '@']).next().context("cargo names no version")?.to_string();
    let mut pack = workspace::cargo();
    pack.env("CARGO_TARGET_DIR", folder);
    pack.args(["package", "--package", "fused-dense", "--allow-dirty", "--no-verify", "--locked"]);
    workspace::output(&mut pack)?;
    let name = format!("fused-dense-{version}");
    let package = folder.join(&name);
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    let archive = folder.join("package").join(format!("{name}.crate"));
    workspace::output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder))?;
    let manifest = package.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, format!("{}\n[workspace]\n", without_dev_dependencies(&text)))?;
    Ok(package)
}

/// A manifest, as cargo writes them into packages, without the tables of dependencies that only tests have.
fn without_dev_dependencies(manifest: &str) -> String {
    let mut is_kept = true;
    let kept = manifest.lines().filter(|line| {
        if line.starts_with('[') {
            is_kept = !line.contains("dev-dependencies");
        }
        is_kept
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// The library's own dependencies, as a package's lock file has them.
pub fn versions(package: &Path) -> anyhow::Result<String> {
    const OWN: [&str; 4] = ["bytemuck", "ndarray", "rayon", "wide"];
    let lock = fs::read_to_string(package.join("Cargo.lock"))?;
    let found = OWN.map(|name| {
        let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")))?;
        let version = entry.split_once("version = \"")?.1.split_once('"')?.0;
        Some(format!("{name} {version}"))
    });
    let found: Vec<String> = found.into_iter().flatten().collect();
    ensure!(found.len() == OWN.len(), "the lock file does not have all of {OWN:?}");
    Ok(found.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_tests_are_left_out() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies.b]\nversion = \"1\"\n\n[dev-dependencies.c]\nversion = \"2\"\n\n\
                        [target.\"cfg(unix)\".dev-dependencies.d]\nversion = \"3\"\n\n[lints.rust]\nunused = \"deny\"\n";
        let kept = "[package]\nname = \"a\"\n\n[dependencies.b]\nversion = \"1\"\n\n[lints.rust]\nunused = \"deny\"\n";
        assert_eq!(without_dev_dependencies(manifest), kept);
    }
}
