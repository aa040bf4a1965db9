//! How the examples end where something is wrong: in words for a person.

#![cfg(not(miri))]

use fused_dense::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

#[path = "../examples/support/mod.rs"]
mod support;

/// Set in a process that is to show what an example shows.
const SHOW: &str = "FUSED_DENSE_TEST_SHOWS_ERROR";

const ERROR: Error = Error::UnknownIsa { found: "sse" };

#[test]
fn an_error_is_shown_in_its_own_words() {
    if std::env::var_os(SHOW).is_some() {
        assert_eq!(support::end(Err(ERROR)), ExitCode::FAILURE);
        return;
    }
    let mut process = Command::new(std::env::current_exe().expect("this test's path"));
    process.args(["an_error_is_shown_in_its_own_words", "--exact", "--nocapture"]).env(SHOW, "1");
    let output = process.output().expect("a process");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("error: {ERROR}")), "{text}");
    assert!(!text.contains("UnknownIsa"), "{text}");
}

#[test]
fn every_example_ends_so() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let programs: Vec<_> = files.filter(|path| path.is_file()).collect();
    assert!(!programs.is_empty());
    for program in programs {
        let text = fs::read_to_string(&program).expect("text");
        assert!(text.contains("fn main() -> ExitCode {\n    support::end(run())\n}"), "{}", program.display());
    }
}
