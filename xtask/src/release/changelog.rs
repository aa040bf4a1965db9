//! The heading of a release in the changelog: `## [0.1.0] - 2026-01-31`.

use anyhow::{Context, ensure};

/// The word in the place of a date that is not known yet.
const UNRELEASED: &str = "unreleased";

/// The date of the changelog's newest release, which must be this version; none where it has none yet.
///
/// # Errors
/// Where the first heading is another version's, or what stands behind it is no date.
pub fn date_of(changelog: &str, version: &str) -> anyhow::Result<Option<String>> {
    let heading = changelog.lines().find_map(|line| line.strip_prefix("## ")).context("CHANGELOG.md has no release")?;
    let date = heading.strip_prefix(&format!("[{version}] - "));
    let date =
        date.with_context(|| format!("CHANGELOG.md: expected `## [{version}] - date` first, found `{heading}`"))?;
    if date == UNRELEASED {
        return Ok(None);
    }
    ensure!(is_date(date), "CHANGELOG.md: expected a date as 2026-01-31, found `{date}`");
    Ok(Some(date.to_string()))
}

/// Whether it is a year, a month and a day, with all their digits.
fn is_date(text: &str) -> bool {
    let numbers: Vec<Option<u32>> = text.split('-').map(|part| part.parse().ok()).collect();
    let has_digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    has_digits && matches!(numbers[..], [Some(2000..), Some(1..=12), Some(1..=31)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_has_the_version_and_a_date() {
        let of = |heading: &str| {
            date_of(&format!("# Changelog\n\nWords.\n\n{heading}\n\n## [0.0.9] - 2020-01-01\n"), "0.1.0")
        };
        assert_eq!(of("## [0.1.0] - 2026-11-25").unwrap().as_deref(), Some("2026-11-25"));
        assert_eq!(of("## [0.1.0] - unreleased").unwrap(), None);
        for wrong in ["## [Unreleased]", "## [0.2.0] - 2026-11-25", "## 0.1.0 - 2026-11-25", "### Added"] {
            assert!(of(wrong).unwrap_err().to_string().contains("first, found"), "{wrong}");
        }
        for date in ["2026-13-01", "2026-1-1", "2026-01-32", "26-01-01", "2026-01-01-1", "2026-0-101", "soon", ""] {
            let error = of(&format!("## [0.1.0] - {date}")).unwrap_err().to_string();
            assert!(error.ends_with(&format!("found `{date}`")), "{error}");
        }
        assert!(date_of("# Changelog\n", "0.1.0").is_err());
    }
}
