//! `cargo xtask codegen`: prints the kernel table that `build.rs` generates.

use crate::workspace;
use anyhow::Context;
use std::fs;
use std::path::PathBuf;

/// Builds the library and prints the file that its build script wrote.
pub fn main() -> anyhow::Result<()> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--package", "fused-dense", "--message-format=json-render-diagnostics"]);
    let messages = workspace::output(&mut build)?;
    let package = workspace::output(workspace::cargo().args(["pkgid", "--package", "fused-dense"]))?;
    let folder = out_dir(&messages, package.trim()).context("cargo names no folder of the build script")?;
    print!("{}", fs::read_to_string(folder.join("kernels.rs"))?);
    Ok(())
}

/// The folder of a package's build script, from cargo's messages.
fn out_dir(messages: &str, package: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut of_ours =
        messages.filter(|message| message["reason"] == "build-script-executed" && message["package_id"] == package);
    of_ours.next()?["out_dir"].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_scripts_folder_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact"}
            {"reason":"build-script-executed","package_id":"registry#rayon-core@1.13.0","out_dir":"/t/rayon/out"}
            {"reason":"build-script-executed","package_id":"path+file:///w/fused-dense#fused-dense@0.1.0","out_dir":"/t/out"}"#;
        let package = "path+file:///w/fused-dense#fused-dense@0.1.0";
        assert_eq!(out_dir(messages, package), Some(PathBuf::from("/t/out")));
        assert_eq!(out_dir("no message", package), None);
    }
}
