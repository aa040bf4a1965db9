//! Places that only the owner can fill in: an address, a contact, a date.

use crate::workspace;
use anyhow::ensure;
use std::fs;
use std::process::Command;

/// The words that such a place begins with. In two parts, since this file is none.
const MARK: &str = concat!("Owner, before the first", " release");

/// File and line of each place that is still to be filled in.
///
/// # Errors
/// Where the files cannot be listed.
pub fn places() -> anyhow::Result<Vec<String>> {
    let list = workspace::output(Command::new("git").current_dir(workspace::root()).arg("ls-files"))?;
    ensure!(!list.is_empty(), "git lists no file");
    // A file that is no text holds no such place.
    let read = |path: &&str| fs::read_to_string(workspace::root().join(path)).ok();
    let files = list.lines().filter_map(|path| Some((path, read(&path)?)));
    Ok(files.flat_map(|(path, text)| in_text(path, &text)).collect())
}

fn in_text(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains(&format!("{MARK}:")));
    lines.map(|(index, _)| format!("{path}:{}", index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_by_line() {
        let text =
            format!("first\n# {MARK}: an address\n{MARK} is what a place begins with\n> **{MARK}: a contact**\n");
        assert_eq!(in_text("a.toml", &text), ["a.toml:2", "a.toml:4"]);
    }
}
