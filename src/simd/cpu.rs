//! Which CPU this is.

use crate::tuning::Vendor;

/// The CPU's maker and family; `None` where it is none of those that tuning rows name, or cannot be asked.
pub(crate) fn identify() -> Option<(Vendor, u32)> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        #[allow(unused_unsafe)] // newer compilers call it safe
        // SAFETY: every x86-64 has the instruction, and these leaves.
        let (name, version) = unsafe { (core::arch::x86_64::__cpuid(0), core::arch::x86_64::__cpuid(1).eax) };
        let vendor = match [name.ebx, name.edx, name.ecx].map(u32::to_le_bytes).as_flattened() {
            b"AuthenticAMD" => Vendor::Amd,
            b"GenuineIntel" => Vendor::Intel,
            _ => return None,
        };
        // The extended family counts on where the family has no more room.
        let (family, extended) = (version >> 8 & 0xF, version >> 20 & 0xFF);
        Some((vendor, if family == 0xF { family + extended } else { family }))
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    None
}
