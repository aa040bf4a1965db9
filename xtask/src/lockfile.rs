//! Versions of the embedded peers, as `Cargo.lock` has them.

/// The workspace's lock file at build time.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The highest version of a package in the lock file.
pub fn version(package: &str) -> Option<&'static str> {
    let name_line = format!("name = \"{package}\"");
    let mut lines = LOCK.lines();
    let mut versions = Vec::new();
    while lines.any(|line| line == name_line) {
        versions.extend(lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"')));
    }
    versions.into_iter().next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_versions_are_found() {
        assert!(version("faer").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(version("no such package"), None);
    }
}
