//! Toolchains beside the one that runs, as rustup has them.

use crate::workspace;
use std::path::Path;
use std::process::Command;

/// Names of variables by which a caller's cargo would reach into ours.
const FOREIGN: [&str; 5] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];

/// A toolchain that is installed.
pub struct Toolchain {
    name: String,
}

impl Toolchain {
    /// The toolchain of this name, if rustup has it.
    pub fn find(name: &str) -> Option<Self> {
        let toolchain = Self { name: name.to_string() };
        let is_there = toolchain.prints(&["rustc", "--version"]).is_some();
        is_there.then_some(toolchain)
    }

    /// Its cargo, in the workspace's folder.
    pub fn cargo(&self) -> Command {
        let mut command = self.run("cargo");
        command.current_dir(workspace::root());
        command
    }

    /// Whether it has the standard library's source.
    pub fn has_source(&self) -> bool {
        let sysroot = self.prints(&["rustc", "--print", "sysroot"]);
        sysroot
            .is_some_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").exists())
    }

    /// Whether it has the interpreter.
    pub fn has_miri(&self) -> bool {
        self.prints(&["cargo", "miri", "--version"]).is_some()
    }

    /// Whether it has a standard library for the target.
    pub fn has_target(&self, target: &str) -> bool {
        let folder = self.prints(&["rustc", "--print", "target-libdir", "--target", target]);
        folder.is_some_and(|folder| Path::new(folder.trim()).is_dir())
    }

    fn run(&self, program: &str) -> Command {
        let mut command = Command::new("rustup");
        command.args(["run", &self.name, program]);
        for variable in FOREIGN {
            command.env_remove(variable);
        }
        command
    }

    /// The output of a program, where it is there and succeeds.
    fn prints(&self, words: &[&str]) -> Option<String> {
        let (program, args) = words.split_first()?;
        let output = self.run(program).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
