//! Numbers of a general row that follow from the sizes of the caches.

use super::Tuning;
use core::ops::RangeInclusive;

/// The data caches of one core, in bytes, that a general [`Tuning`] row is made for.
///
/// The row of a CPU that no row was measured on keeps these shares of them, rounded down to whole KiB of elements or rows:
///
/// ```text
/// number                  share of  elements
/// first_level_len         L1        3/4
/// row_max_cols            L1        1/3
/// left_max_len            L2        3/8
/// left_prefetch_min_len   L2        1/4
/// right_max_len           L2        1/8
/// far_traffic_min_len     L2        3/4
/// whole_gradient_max_len  L2        1/4
/// staging_max_rows        L2        1/4, in rows of 64 elements
/// ```
///
/// They say which operands stay in a cache, and change no bit of a result. No number follows from the third level: others
/// share it, and virtual machines report all of it.
///
/// ```
/// use fused_dense::{Activation, Caches, Dense};
///
/// // None on a CPU that has a row of its own.
/// if let Some(caches) = Dense::new(784, 30, Activation::Sigmoid).tuning()?.caches() {
///     println!("L1 of {} KiB, L2 of {} KiB", caches.l1 >> 10, caches.l2 >> 10);
/// }
/// assert_eq!((Caches::DEFAULT.l1, Caches::DEFAULT.l2), (48 << 10, 1 << 20));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Caches {
    /// The first-level data cache.
    pub l1: usize,
    /// The second-level cache, or one core's part of it.
    pub l2: usize,
}

/// One cache as the CPU or the system describes it.
#[allow(dead_code)] // on systems that do not tell their caches
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheLevel {
    pub(crate) level: u32,
    pub(crate) bytes: usize,
    /// Logical CPUs that share it.
    pub(crate) sharers: usize,
}

/// Sizes that are believed. Hypervisors report nothing, or too much.
const PLAUSIBLE_L1: RangeInclusive<usize> = 8 << 10..=1 << 20;
const PLAUSIBLE_L2: RangeInclusive<usize> = 64 << 10..=64 << 20;

impl Caches {
    /// The caches of the CPU that the general rows were measured on, and those of a CPU whose sizes cannot be read.
    pub const DEFAULT: Self = Self { l1: 48 << 10, l2: 1 << 20 };

    /// The caches of one core among these data caches; `None` where a level is missing or has no plausible size.
    #[allow(dead_code)] // as above
    pub(crate) fn of(levels: &[CacheLevel]) -> Option<Self> {
        let level = |wanted: u32| levels.iter().find(|cache| cache.level == wanted);
        let (l1, l2) = (level(1)?, level(2)?);
        // Threads of one core share its first level; more than those share a cache of several cores.
        let cores = (l2.sharers / l1.sharers.max(1)).max(1);
        let found = Self { l1: l1.bytes, l2: l2.bytes / cores };
        let is_plausible = PLAUSIBLE_L1.contains(&found.l1) && PLAUSIBLE_L2.contains(&found.l2) && found.l1 <= found.l2;
        is_plausible.then_some(found)
    }
}

impl Tuning {
    /// A general row made for these caches; a row that was measured on its CPU stays as it is.
    pub(crate) fn for_caches(&self, caches: Caches) -> Self {
        if self.caches.is_none() {
            return self.clone();
        }
        let (l1, l2) = (caches.l1 / size_of::<f32>(), caches.l2 / size_of::<f32>());
        let whole = |len: usize| (len >> 8 << 8).max(1 << 8);
        Self {
            caches: Some(caches),
            first_level_len: whole(l1 / 4 * 3),
            row_max_cols: whole(l1 / 3),
            left_max_len: whole(l2 / 8 * 3),
            left_prefetch_min_len: whole(l2 / 4),
            right_max_len: whole(l2 / 8),
            far_traffic_min_len: whole(l2 / 4 * 3),
            whole_gradient_max_len: whole(l2 / 4),
            staging_max_rows: (l2 / 4 / 64).max(1),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(level: u32, bytes: usize, sharers: usize) -> CacheLevel {
        CacheLevel { level, bytes, sharers }
    }

    /// Snapshots of plans hold for the default.
    #[test]
    fn the_default_caches_make_the_rows_as_they_stand() {
        for row in Tuning::all() {
            assert_eq!(row.for_caches(Caches::DEFAULT), *row);
            assert_eq!(row.caches().is_some(), row.is_general());
        }
    }

    #[test]
    fn smaller_caches_make_smaller_blocks_and_measured_rows_stay() {
        let small = Caches { l1: 32 << 10, l2: 512 << 10 };
        for row in Tuning::all() {
            let made = row.for_caches(small);
            if !row.is_general() {
                assert_eq!(made, *row);
                continue;
            }
            assert_eq!((made.first_level_len, made.row_max_cols), (6144, 2560));
            assert_eq!((made.left_max_len, made.left_prefetch_min_len), (48 << 10, 32 << 10));
            assert_eq!((made.right_max_len, made.staging_max_rows), (16 << 10, 512));
            assert_eq!((made.whole_gradient_max_len, made.far_traffic_min_len), (32 << 10, 96 << 10));
            assert_eq!(made.for_caches(Caches::DEFAULT), *row, "nothing else changes");
        }
    }

    #[test]
    fn a_cache_of_several_cores_counts_in_part() {
        let found = |levels: &[CacheLevel]| Caches::of(levels).map(|caches| (caches.l1, caches.l2));
        let private = [cache(1, 48 << 10, 2), cache(2, 2 << 20, 2), cache(3, 32 << 20, 16)];
        assert_eq!(found(&private), Some((48 << 10, 2 << 20)));
        let clustered = [cache(1, 128 << 10, 1), cache(2, 12 << 20, 4)];
        assert_eq!(found(&clustered), Some((128 << 10, 3 << 20)));
    }

    #[test]
    fn sizes_that_cannot_be_are_not_taken() {
        let good = [cache(1, 32 << 10, 1), cache(2, 1 << 20, 1)];
        assert!(Caches::of(&good).is_some());
        assert_eq!(Caches::of(&good[..1]), None);
        assert_eq!(Caches::of(&good[1..]), None);
        for (l1, l2) in [(0, 1 << 20), (32 << 10, 0), (1 << 20, 512 << 10), (32 << 10, 1 << 30)] {
            assert_eq!(Caches::of(&[cache(1, l1, 1), cache(2, l2, 1)]), None, "{l1}, {l2}");
        }
    }
}
