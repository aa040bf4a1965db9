//! Caches as Linux describes them.

use crate::tuning::caches::CacheLevel;
use std::fs;
use std::path::Path;

/// The data caches below a CPU's folder; none where there is no such folder.
pub(super) fn caches(folder: &Path) -> Vec<CacheLevel> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| cache(|name| fs::read_to_string(entry.path().join(name)).ok())).collect()
}

/// One cache by its attributes; `None` where it holds instructions alone, or an attribute is missing.
fn cache(attribute: impl Fn(&str) -> Option<String>) -> Option<CacheLevel> {
    if attribute("type")?.trim() == "Instruction" {
        return None;
    }
    let bytes = size(attribute("size")?.trim())?;
    let sharers = attribute("shared_cpu_list").and_then(|list| count(list.trim())).unwrap_or(1);
    Some(CacheLevel { level: attribute("level")?.trim().parse().ok()?, bytes, sharers })
}

/// Reads `48K` or `32M`.
fn size(text: &str) -> Option<usize> {
    let units = [("K", 10), ("M", 20)];
    let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((text, 0));
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// How many CPUs are in a list such as `0-3,8`.
fn count(list: &str) -> Option<usize> {
    list.split(',').try_fold(0_usize, |all, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        all.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_with_their_units() {
        let sizes = ["48K", "32M", "512", "", "K", "1G"].map(size);
        assert_eq!(sizes, [Some(48 << 10), Some(32 << 20), Some(512), None, None, None]);
        assert_eq!(["0", "0-3", "0-1,4-5,9", "3-1", ""].map(count), [Some(1), Some(4), Some(5), None, None]);
    }

    #[test]
    fn caches_of_instructions_are_left_out() {
        let read = |kind: &'static str| {
            cache(|name| {
                let value = match name {
                    "type" => kind,
                    "size" => "1024K\n",
                    "level" => "2\n",
                    _ => return None,
                };
                Some(value.to_string())
            })
        };
        assert_eq!(read("Unified\n"), Some(CacheLevel { level: 2, bytes: 1 << 20, sharers: 1 }));
        assert_eq!(read("Instruction\n"), None);
    }

    #[test]
    fn a_missing_folder_has_no_caches() {
        assert_eq!(caches(Path::new("/nowhere")), []);
    }
}
