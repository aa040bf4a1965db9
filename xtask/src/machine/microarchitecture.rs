//! The CPU's microarchitecture, by the numbers that its maker gave it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// A CPU by its maker's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Microarchitecture {
    /// `AuthenticAMD`, `GenuineIntel`, or an Arm implementer's number; empty where the system does not tell.
    pub vendor: String,
    /// Of Arm's CPUs 0.
    pub family: u32,
    /// Of Arm's CPUs the part.
    pub model: u32,
}

/// CPUs that have a name: vendor, family, models, name. First match wins.
const NAMES: &[(&str, u32, RangeInclusive<u32>, &str)] = &[
    ("AuthenticAMD", 0x17, 0x00..=0x2F, "Zen"),
    ("AuthenticAMD", 0x17, 0x30..=0xFF, "Zen 2"),
    ("AuthenticAMD", 0x19, 0x10..=0x1F, "Zen 4"),
    ("AuthenticAMD", 0x19, 0x60..=0x7F, "Zen 4"),
    ("AuthenticAMD", 0x19, 0xA0..=0xAF, "Zen 4"),
    ("AuthenticAMD", 0x19, 0x00..=0xFF, "Zen 3"),
    ("AuthenticAMD", 0x1A, 0x00..=0x7F, "Zen 5"),
    ("GenuineIntel", 6, 0x55..=0x55, "Skylake or Cascade Lake"),
    ("GenuineIntel", 6, 0x6A..=0x6C, "Ice Lake"),
    ("GenuineIntel", 6, 0x7D..=0x7E, "Ice Lake"),
    ("GenuineIntel", 6, 0x8C..=0x8D, "Tiger Lake"),
    ("GenuineIntel", 6, 0x8F..=0x8F, "Sapphire Rapids"),
    ("GenuineIntel", 6, 0xCF..=0xCF, "Emerald Rapids"),
    ("GenuineIntel", 6, 0xAD..=0xAE, "Granite Rapids"),
    ("GenuineIntel", 6, 0x97..=0x97, "Alder Lake"),
    ("GenuineIntel", 6, 0x9A..=0x9A, "Alder Lake"),
    ("GenuineIntel", 6, 0xB7..=0xB7, "Raptor Lake"),
    ("GenuineIntel", 6, 0x3C..=0x3C, "Haswell"),
    ("GenuineIntel", 6, 0x3F..=0x3F, "Haswell"),
    ("GenuineIntel", 6, 0x4F..=0x4F, "Broadwell"),
    ("GenuineIntel", 6, 0x5E..=0x5E, "Skylake"),
    ("0x41", 0, 0xD0C..=0xD0C, "Neoverse N1"),
    ("0x41", 0, 0xD40..=0xD40, "Neoverse V1"),
    ("0x41", 0, 0xD49..=0xD49, "Neoverse N2"),
    ("0x41", 0, 0xD4F..=0xD4F, "Neoverse V2"),
];

impl Microarchitecture {
    /// This machine's, as the system tells.
    pub fn of_this_machine() -> Self {
        Self::read(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    }

    /// The first CPU of `/proc/cpuinfo`.
    fn read(info: &str) -> Self {
        let value = |name: &str| {
            let mut fields = info.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(field, _)| field.trim() == name).map(|(_, value)| value.trim())
        };
        let number = |name: &str| {
            let text = value(name)?;
            text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
        };
        Self {
            vendor: value("vendor_id").or_else(|| value("CPU implementer")).unwrap_or_default().to_string(),
            family: number("cpu family").unwrap_or(0),
            model: number("model").or_else(|| number("CPU part")).unwrap_or(0),
        }
    }

    /// The maker's name for it, where that is known here.
    pub fn name(&self) -> Option<&'static str> {
        let is_it = |(vendor, family, models, _): &&(&str, u32, RangeInclusive<u32>, &str)| {
            *vendor == self.vendor && *family == self.family && models.contains(&self.model)
        };
        NAMES.iter().find(is_it).map(|(.., name)| *name)
    }
}

impl fmt::Display for Microarchitecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vendor, family, model } = self;
        match (self.name(), vendor.is_empty()) {
            (Some(name), _) => f.pad(name),
            (None, true) => f.pad("a CPU that the system does not tell"),
            (None, false) => f.pad(&format!("{vendor}, family {family}, model {model}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_named() {
        let x86 =
            "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n";
        let zen4 = Microarchitecture::read(x86);
        assert_eq!((zen4.family, zen4.model, zen4.to_string().as_str()), (25, 17, "Zen 4"));
        assert_eq!(Microarchitecture { model: 1, ..zen4.clone() }.to_string(), "Zen 3");
        assert_eq!(Microarchitecture { family: 30, ..zen4 }.to_string(), "AuthenticAMD, family 30, model 17");
        let intel = Microarchitecture { vendor: "GenuineIntel".into(), family: 6, model: 207 };
        assert_eq!(intel.name(), Some("Emerald Rapids"));
        let arm = Microarchitecture::read("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd40\n");
        assert_eq!(arm.name(), Some("Neoverse V1"));
        assert_eq!(Microarchitecture::read("").name(), None);
    }
}
