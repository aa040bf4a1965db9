//! Which CPU this is, and how large its caches are.

#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod sysfs;

use crate::tuning::{Caches, Cpu};

/// The CPU's maker, family and model; `None` where the maker is none of those that tuning rows name, or cannot be asked.
pub(crate) fn identify() -> Option<Cpu> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use crate::tuning::Vendor;
        let name = x86::leaf(0, 0);
        let vendor = match [name.ebx, name.edx, name.ecx].map(u32::to_le_bytes).as_flattened() {
            b"AuthenticAMD" => Vendor::Amd,
            b"GenuineIntel" => Vendor::Intel,
            _ => return None,
        };
        let (family, model) = x86::family_and_model(x86::leaf(1, 0).eax);
        Some(Cpu { vendor, family, model })
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    None
}

/// The sizes of one core's caches; `None` where they cannot be read.
pub(crate) fn caches() -> Option<Caches> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        Caches::of(&x86::caches())
    }
    // Of the first CPU: where there are several kinds, a thread may run on any.
    #[cfg(all(target_arch = "aarch64", target_os = "linux", not(miri)))]
    {
        Caches::of(&sysfs::caches(std::path::Path::new("/sys/devices/system/cpu/cpu0/cache")))
    }
    #[cfg(not(any(
        all(target_arch = "x86_64", not(miri)),
        all(target_arch = "aarch64", target_os = "linux", not(miri))
    )))]
    None
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86 {
    use crate::tuning::caches::CacheLevel;
    use core::arch::x86_64::{__cpuid_count, CpuidResult};

    /// Most caches that are asked for, in case a hypervisor's list has no end.
    const MOST_CACHES: u32 = 16;

    pub(super) fn leaf(leaf: u32, index: u32) -> CpuidResult {
        #[allow(unused_unsafe)] // newer compilers call it safe
        // SAFETY: every x86-64 has the instruction; it answers leaves that it does not know with any values.
        unsafe {
            __cpuid_count(leaf, index)
        }
    }

    /// As the version of a CPU tells them: extensions count on where a number has no more room.
    pub(super) fn family_and_model(version: u32) -> (u32, u32) {
        let (family, model) = (version >> 8 & 0xF, version >> 4 & 0xF);
        let (more_family, more_model) = (version >> 20 & 0xFF, version >> 16 & 0xF);
        let is_extended = family == 0xF || family == 6;
        let model = if is_extended { more_model << 4 | model } else { model };
        (if family == 0xF { family + more_family } else { family }, model)
    }

    /// The data caches by AMD's list, where there is one, else by Intel's. Both have the same form.
    pub(super) fn caches() -> Vec<CacheLevel> {
        let has_amds = leaf(0x8000_0000, 0).eax >= 0x8000_001D && leaf(0x8000_0001, 0).ecx >> 22 & 1 == 1;
        let list = match has_amds {
            true => 0x8000_001D,
            false if leaf(0, 0).eax >= 4 => 4,
            false => return Vec::new(),
        };
        let answers = (0..MOST_CACHES).map(|index| leaf(list, index));
        answers.take_while(|answer| answer.eax & 0x1F != 0).filter_map(|answer| cache(&answer)).collect()
    }

    /// One cache of the list; `None` where it holds instructions alone.
    fn cache(answer: &CpuidResult) -> Option<CacheLevel> {
        let CpuidResult { eax, ebx, ecx, .. } = *answer;
        let holds_data = [1, 3].contains(&(eax & 0x1F));
        let (ways, partitions, line, sets) =
            ((ebx >> 22) + 1, (ebx >> 12 & 0x3FF) + 1, (ebx & 0xFFF) + 1, u64::from(ecx) + 1);
        let bytes = u64::from(ways) * u64::from(partitions) * u64::from(line);
        let bytes = usize::try_from(bytes.saturating_mul(sets)).unwrap_or(usize::MAX);
        holds_data.then_some(CacheLevel { level: eax >> 5 & 7, bytes, sharers: (eax >> 14 & 0xFFF) as usize + 1 })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Zen 4 (family 25, model 17), Emerald Rapids (6, 207).
        #[test]
        fn versions_are_read_with_their_extensions() {
            assert_eq!([0x00A1_0F11, 0x000C_06F2].map(family_and_model), [(25, 17), (6, 207)]);
        }

        /// As Zen 5 and Emerald Rapids describe theirs.
        #[test]
        fn sizes_follow_from_the_answers() {
            let answer =
                |eax, ways: u32, sets: u32| CpuidResult { eax, ebx: (ways - 1) << 22 | 63, ecx: sets - 1, edx: 0 };
            let l1 = cache(&answer(1 | 1 << 5 | 1 << 14, 12, 64));
            assert_eq!(l1, Some(CacheLevel { level: 1, bytes: 48 << 10, sharers: 2 }));
            let l2 = cache(&answer(3 | 2 << 5, 16, 2048));
            assert_eq!(l2, Some(CacheLevel { level: 2, bytes: 2 << 20, sharers: 1 }));
            assert_eq!(cache(&answer(2 | 1 << 5, 8, 64)), None);
        }
    }
}
