//! The kernels and the tuning row that a layer runs with: chosen once, by the CPU, the environment or the caller.

use super::{ISA_VARIABLE, Isa, Kernels, TABLE};
use crate::error::{Error, ParseIsaError};
use crate::simd::cpu;
use crate::tuning::{Caches, Cpu, Tuning};
use core::fmt;
use std::sync::OnceLock;

/// The environment variable that names the tuning row of every layer whose instruction set the row is for: `avx2`, or
/// `avx2,page_stride=2048` for the row with other [numbers](Tuning::with_number).
pub const TUNING_VARIABLE: &str = "FUSED_DENSE_TUNING";

/// An instruction set's kernels, and how to plan for them on a kind of CPU.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) kernels: &'static Kernels,
    pub(crate) tuning: &'static Tuning,
}

impl PartialEq for Target {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.kernels, other.kernels) & core::ptr::eq(self.tuning, other.tuning)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}, {})", self.kernels.isa, self.tuning.name())
    }
}

impl Target {
    /// The kernels with the tuning row that fits the CPU or, where it is for these kernels, the one that the environment names.
    fn new(kernels: &'static Kernels) -> Result<Self, Error> {
        let of_environment = named_by_environment()?.filter(|tuning| tuning.isa == kernels.isa.name());
        let tuning = of_environment.unwrap_or_else(|| fitting(kernels.isa));
        Ok(Self { kernels, tuning })
    }

    /// The same kernels with another row.
    ///
    /// # Errors
    /// [`Error::TuningForIsa`] where the row is for another instruction set.
    pub(crate) fn with_tuning(self, tuning: &'static Tuning) -> Result<Self, Error> {
        let isa = self.kernels.isa;
        if tuning.isa == isa.name() {
            Ok(Self { tuning, ..self })
        } else {
            Err(Error::TuningForIsa { expected: isa, found: tuning.name() })
        }
    }
}

impl Tuning {
    /// The instruction set that the row is for.
    #[must_use]
    pub fn isa(&self) -> Isa {
        Isa::ALL.iter().copied().find(|isa| isa.name() == self.isa).unwrap_or(Isa::Portable)
    }
}

/// The row for this instruction set and CPU: the first that fits, the general one behind all others.
fn fitting(isa: Isa) -> &'static Tuning {
    // Asked once: in a virtual machine the question takes microseconds.
    static CPU: OnceLock<Option<Cpu>> = OnceLock::new();
    row_for(isa, *CPU.get_or_init(cpu::identify), here())
}

/// The row of these for an instruction set and a CPU.
fn row_for(isa: Isa, cpu: Option<Cpu>, rows: &[Tuning]) -> &Tuning {
    let fits =
        |tuning: &&Tuning| tuning.isa == isa.name() && tuning.cpu.is_none_or(|its| cpu.is_some_and(|cpu| its.is(cpu)));
    rows.iter().find(fits).unwrap_or(&rows[0])
}

/// Every row, the general ones made for this CPU's caches.
fn here() -> &'static [Tuning] {
    static HERE: OnceLock<Vec<Tuning>> = OnceLock::new();
    HERE.get_or_init(|| {
        let caches = cpu::caches().unwrap_or(Caches::DEFAULT);
        Tuning::all().iter().map(|tuning| tuning.for_caches(caches)).collect()
    })
}

/// The row that the environment names; read once.
fn named_by_environment() -> Result<Option<&'static Tuning>, Error> {
    static NAMED: OnceLock<Result<Option<Tuning>, Error>> = OnceLock::new();
    let named = NAMED.get_or_init(|| match std::env::var_os(TUNING_VARIABLE) {
        None => Ok(None),
        Some(value) => named(&value.to_string_lossy()),
    });
    named.as_ref().map(Option::as_ref).map_err(Clone::clone)
}

/// The row of that name, with the numbers behind it; none of a blank one.
fn named(value: &str) -> Result<Option<Tuning>, Error> {
    let text = value.trim().to_ascii_lowercase();
    let mut parts = text.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    // The error lives as long as the program, in which it is made once.
    let row = here().iter().find(|tuning| tuning.name() == name);
    let row = row.ok_or_else(|| Error::UnknownTuning { found: value.to_string().leak() })?;
    let changed = parts.try_fold(row.clone(), |row, part| {
        let (number, value) = part.split_once('=').unwrap_or((part, ""));
        row.with_number(number.trim(), value.trim())
    });
    changed.map(Some).map_err(|error| Error::TuningNumber { problem: error.to_string().leak() })
}

/// The best row at or below the cap.
///
/// # Errors
/// [`Error::IsaNotBuilt`] where the build holds no kernels that low, [`Error::UnknownTuning`] where the environment names no row.
pub(crate) fn select(cap: Isa) -> Result<Target, Error> {
    let lowest = TABLE[TABLE.len() - 1].isa;
    let found = TABLE.iter().find(|kernels| kernels.isa <= cap && (kernels.detect)());
    Target::new(found.copied().ok_or(Error::IsaNotBuilt { cap, lowest })?)
}

/// The best row at or below the environment's cap; read once.
///
/// # Errors
/// [`Error::UnknownIsa`] where the variable names no instruction set, and as [`select`].
pub(crate) fn select_default() -> Result<Target, Error> {
    static SELECTED: OnceLock<Result<Target, Error>> = OnceLock::new();
    let select = || match std::env::var_os(ISA_VARIABLE).map(|value| value.to_string_lossy().into_owned()) {
        Some(name) if !name.trim().is_empty() => match name.parse() {
            Ok(cap) => select(cap),
            Err(ParseIsaError { found }) => Err(Error::UnknownIsa { found: found.leak() }),
        },
        _ => select(Isa::ALL[Isa::ALL.len() - 1]),
    };
    SELECTED.get_or_init(select).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::Vendor;

    #[test]
    fn each_cpu_takes_its_row() {
        let row = |isa, vendor, family, model| row_for(isa, Some(Cpu { vendor, family, model }), Tuning::all()).name();
        for model in [0x11, 0x61, 0xA0] {
            assert_eq!(row(Isa::Avx512, Vendor::Amd, 0x19, model), "avx512-zen4");
            assert_eq!(row(Isa::Avx2, Vendor::Amd, 0x19, model), "avx2-zen4");
        }
        assert_eq!(row(Isa::Avx2, Vendor::Amd, 0x19, 0x01), "avx2", "Zen 3");
        for model in [0x02, 0x11, 0x44] {
            assert_eq!(row(Isa::Avx512, Vendor::Amd, 0x1A, model), "avx512-zen5");
            assert_eq!(row(Isa::Avx2, Vendor::Amd, 0x1A, model), "avx2-zen5");
        }
        assert_eq!(row(Isa::Avx512, Vendor::Amd, 0x1A, 0x24), "avx512-zen", "Zen 5 with units of 256 bits");
        assert_eq!(row(Isa::Avx2, Vendor::Amd, 0x1A, 0x24), "avx2", "Zen 5 with units of 256 bits");
        for model in [0x8F, 0xCF] {
            assert_eq!(row(Isa::Avx512, Vendor::Intel, 6, model), "avx512-emeraldrapids");
            assert_eq!(row(Isa::Avx2, Vendor::Intel, 6, model), "avx2");
        }
        assert_eq!(row(Isa::Avx512, Vendor::Intel, 6, 0x6A), "avx512", "Ice Lake");
        assert_eq!(row(Isa::Avx512, Vendor::Intel, 19, 1), "avx512");
        assert_eq!(row_for(Isa::Portable, None, Tuning::all()).name(), "portable");
    }

    #[test]
    fn a_row_is_named_with_other_numbers_behind_it() {
        assert_eq!(named(" "), Ok(None));
        let row = named("AVX2, page_stride = 2048,split_min_len=7").unwrap().unwrap();
        let general = here().iter().find(|tuning| tuning.name() == "avx2").unwrap();
        let expected = Tuning { name: row.name, page_stride: 2048, split_min_len: 7, ..general.clone() };
        assert_eq!((row.name(), &row), ("avx2,page_stride=2048,split_min_len=7", &expected));
        assert_eq!(named("avx3"), Err(Error::UnknownTuning { found: "avx3" }));
        for (value, problem) in [("avx2,pages=3", "pages: "), ("avx2,", ": "), ("avx2,page_stride", "page_stride: ")] {
            let Err(Error::TuningNumber { problem: found }) = named(value) else { panic!("{value} is accepted") };
            assert!(found.starts_with(problem), "{found}");
        }
    }
}
