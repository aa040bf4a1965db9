//! Sizes of the caches.

use std::fs;
use std::path::Path;

/// One level of the memory hierarchy.
pub struct Cache {
    pub name: String,
    /// Bytes; `None` for main memory.
    pub capacity: Option<usize>,
    /// Whether the cores share it.
    pub shared: bool,
    /// Bytes to stream through when its bandwidth is measured: it holds them, the level above does not.
    pub probe: usize,
}

/// Caches of the first core as the system describes them, then main memory.
pub fn levels() -> Vec<Cache> {
    let mut sizes = read(Path::new("/sys/devices/system/cpu/cpu0/cache"));
    if sizes.is_empty() {
        // Most cores of today have at least this.
        sizes = vec![(1, 32 << 10), (2, 512 << 10), (3, 8 << 20)];
    }
    let last = sizes[sizes.len() - 1].1;
    let mut levels: Vec<Cache> = sizes
        .into_iter()
        .map(|(level, bytes)| Cache {
            name: format!("L{level}"),
            capacity: Some(bytes),
            shared: level >= 3,
            // The last level of a virtual machine is often shared with strangers.
            probe: if level >= 3 { bytes / 4 } else { bytes / 2 },
        })
        .collect();
    levels.push(Cache { name: "memory".into(), capacity: None, shared: true, probe: 4 * last });
    levels
}

/// Level and bytes of each data cache, ascending.
fn read(folder: &Path) -> Vec<(u32, usize)> {
    let mut sizes: Vec<(u32, usize)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let attribute = |name| fs::read_to_string(entry.path().join(name)).ok();
            if attribute("type")?.trim() == "Instruction" {
                return None;
            }
            Some((attribute("level")?.trim().parse().ok()?, parse_size(attribute("size")?.trim())?))
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

/// Reads `48K` or `32M`.
fn parse_size(text: &str) -> Option<usize> {
    match text.split_at_checked(text.len().checked_sub(1)?)? {
        (digits, "K") => Some(digits.parse::<usize>().ok()? << 10),
        (digits, "M") => Some(digits.parse::<usize>().ok()? << 20),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("48K"), Some(48 << 10));
        assert_eq!(parse_size("32M"), Some(32 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size(""), None);
    }

    #[test]
    fn levels_grow() {
        let levels = levels();
        assert!(levels.len() >= 2);
        assert!(levels.windows(2).all(|pair| pair[0].probe < pair[1].probe));
    }
}
