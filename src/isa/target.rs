//! The kernels and the tuning row that a layer runs with: chosen once, by the CPU, the environment or the caller.

use super::{ISA_VARIABLE, Isa, Kernels, TABLE};
use crate::error::{Error, ParseIsaError};
use crate::simd::cpu;
use crate::tuning::{Tuning, Vendor};
use core::fmt;
use std::sync::OnceLock;

/// The environment variable that names the tuning row of every layer whose instruction set the row is for.
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
    static CPU: OnceLock<Option<(Vendor, u32)>> = OnceLock::new();
    let found = *CPU.get_or_init(cpu::identify);
    let fits = |tuning: &&Tuning| {
        let fits_cpu = tuning.cpu.is_none_or(|its| {
            found.is_some_and(|(vendor, family)| {
                vendor == its.vendor && (its.families.0..=its.families.1).contains(&family)
            })
        });
        tuning.isa == isa.name() && fits_cpu
    };
    Tuning::all().iter().find(fits).unwrap_or(&Tuning::all()[0])
}

/// The row that the environment names; read once.
fn named_by_environment() -> Result<Option<&'static Tuning>, Error> {
    static NAMED: OnceLock<Result<Option<&'static Tuning>, Error>> = OnceLock::new();
    let named = NAMED.get_or_init(|| match std::env::var_os(TUNING_VARIABLE) {
        None => Ok(None),
        Some(value) => {
            let value = value.to_string_lossy();
            let name = value.trim().to_ascii_lowercase();
            match Tuning::all().iter().find(|tuning| tuning.name() == name) {
                _ if name.is_empty() => Ok(None),
                Some(tuning) => Ok(Some(tuning)),
                None => Err(Error::UnknownTuning { found: value.into_owned().leak() }),
            }
        }
    });
    named.clone()
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
