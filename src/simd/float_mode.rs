//! How this thread rounds, and what it makes of subnormal numbers: the control bits of its floating-point unit.
//!
//! Rust itself takes them to be as every program starts. Whoever changes them answers for that; here a thread only takes
//! over the bits of another one for as long as it works for it.

use core::sync::atomic::{AtomicU32, Ordering};

/// x86: rounding, flush-to-zero, denormals-are-zero, and the masks of exceptions; not the flags that an exception leaves.
#[cfg(all(not(miri), any(target_arch = "x86_64", all(target_arch = "x86", target_feature = "sse"))))]
mod register {
    const FLAGS: u32 = 0x3f;

    fn whole() -> u32 {
        let mut bits = 0_u32;
        // SAFETY: writes the four bytes that the pointer is valid for.
        unsafe { core::arch::asm!("stmxcsr [{}]", in(reg) &raw mut bits, options(nostack, preserves_flags)) };
        bits
    }

    pub(super) fn read() -> u32 {
        whole() & !FLAGS
    }

    pub(super) fn write(control: u32) {
        let bits = control | whole() & FLAGS;
        // SAFETY: reads the four bytes that the pointer is valid for. The bits come from this register of another
        // thread, so that none of them is reserved.
        unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &raw const bits, options(nostack, preserves_flags)) };
    }
}

/// FPCR has control bits only; the flags have a register of their own. Its upper half is reserved.
#[cfg(all(not(miri), target_arch = "aarch64"))]
mod register {
    pub(super) fn read() -> u32 {
        let bits: u64;
        // SAFETY: reads a register that every program may read.
        unsafe { core::arch::asm!("mrs {}, fpcr", out(reg) bits, options(nostack, preserves_flags)) };
        bits as u32
    }

    pub(super) fn write(control: u32) {
        // SAFETY: the bits come from this register of another thread, so that none of them is reserved.
        unsafe { core::arch::asm!("msr fpcr, {}", in(reg) u64::from(control), options(nostack, preserves_flags)) };
    }
}

/// Nothing is carried: the target's register is not known here, or the program is interpreted.
#[cfg(any(
    miri,
    not(any(target_arch = "x86_64", all(target_arch = "x86", target_feature = "sse"), target_arch = "aarch64"))
))]
mod register {
    pub(super) fn read() -> u32 {
        0
    }

    pub(super) fn write(_: u32) {}
}

/// A thread's mode, left for others to take over.
pub(crate) struct FloatMode(AtomicU32);

impl FloatMode {
    /// That of this thread.
    pub(crate) fn current() -> Self {
        Self(AtomicU32::new(register::read()))
    }

    /// Leaves that of this thread.
    pub(crate) fn store(&self) {
        // Relaxed, here and below: whoever hands the work over orders this too.
        self.0.store(register::read(), Ordering::Relaxed);
    }

    /// Puts this thread into the mode until the result is dropped.
    pub(crate) fn enter(&self) -> Entered {
        let (own, mode) = (register::read(), self.0.load(Ordering::Relaxed));
        let left = (own != mode).then_some(own);
        if left.is_some() {
            register::write(mode);
        }
        Entered { left }
    }
}

/// A thread in another one's mode.
pub(crate) struct Entered {
    /// Its own one, where that differs.
    left: Option<u32>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(own) = self.left {
            register::write(own);
        }
    }
}
