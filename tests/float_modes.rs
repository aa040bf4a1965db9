//! A caller's floating-point mode is that of everybody who works on its call, and on nothing else.

#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

#[path = "support/patience.rs"]
mod patience;

use core::sync::atomic::{AtomicUsize, Ordering};
use fused_dense::{Activation, Bias, Dense, Gradients, Team, Threads, Upstream};
use patience::wait_until;
#[cfg(feature = "rayon")]
use std::sync::Arc;
use std::sync::Mutex;

/// The control register, its bits that flush subnormal numbers to zero, and those that round towards zero.
#[cfg(target_arch = "x86_64")]
mod register {
    pub(crate) const FLUSH: u32 = 1 << 15 | 1 << 6;
    pub(crate) const TOWARDS_ZERO: u32 = 3 << 13;
    const FLAGS: u32 = 0x3f;

    pub(crate) fn read() -> u32 {
        let mut bits = 0_u32;
        // SAFETY: writes the four bytes that the pointer is valid for.
        unsafe { core::arch::asm!("stmxcsr [{}]", in(reg) &raw mut bits, options(nostack)) };
        bits & !FLAGS
    }

    pub(crate) fn write(bits: u32) {
        // SAFETY: reads the four bytes that the pointer is valid for, none of them reserved.
        unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &raw const bits, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod register {
    pub(crate) const FLUSH: u32 = 1 << 24;
    pub(crate) const TOWARDS_ZERO: u32 = 3 << 22;

    pub(crate) fn read() -> u32 {
        let bits: u64;
        // SAFETY: reads a register that every program may read.
        unsafe { core::arch::asm!("mrs {}, fpcr", out(reg) bits, options(nostack)) };
        bits as u32
    }

    pub(crate) fn write(bits: u32) {
        // SAFETY: none of the bits is reserved.
        unsafe { core::arch::asm!("msr fpcr, {}", in(reg) u64::from(bits), options(nostack)) };
    }
}

/// Runs `work` with these bits set.
fn in_mode<R>(mode: u32, work: impl FnOnce() -> R) -> R {
    let own = register::read();
    register::write(own | mode);
    let result = work();
    register::write(own);
    result
}

/// The mode that each member works in.
fn modes(team: &Team) -> Vec<u32> {
    let (begun, modes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    team.for_each(team.threads(), |_| {
        modes.lock().expect("no panic").push(register::read());
        begun.fetch_add(1, Ordering::Relaxed);
        wait_until("everybody is at work", || begun.load(Ordering::Relaxed) == team.threads());
    });
    modes.into_inner().expect("no panic")
}

#[test]
fn a_teams_job_is_done_in_the_callers_mode() {
    let team = Team::new(4);
    let own = register::read();
    for mode in [0, register::FLUSH, register::TOWARDS_ZERO, 0] {
        let found = in_mode(mode, || modes(&team));
        assert_eq!(found, [own | mode; 4]);
    }
    // Also behind a part that panics.
    let panicked = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        in_mode(0, || {
            let (begun, team) = (AtomicUsize::new(0), &team);
            register::write(own | register::FLUSH);
            team.for_each(4, |_| {
                begun.fetch_add(1, Ordering::Relaxed);
                wait_until("everybody is at work", || begun.load(Ordering::Relaxed) == 4);
                panic!("in a mode");
            });
        })
    }));
    register::write(own);
    assert!(panicked.is_err());
    assert_eq!(modes(&team), [own; 4]);
}

const SHAPE: (usize, usize, usize) = (300, 300, 400);

/// Forward and backward, from numbers whose products are subnormal.
fn calls(layer: &mut Dense) -> Vec<u32> {
    let (batch, inputs, outputs) = SHAPE;
    let values = |len: usize| (0..len).map(|i| (1 + i % 37) as f32 * 1.1e-22).collect::<Vec<f32>>();
    let (x, w, d_z) = (values(batch * inputs), values(outputs * inputs), values(batch * outputs));
    let (mut a, mut d_w, mut d_x) = (vec![0.0; batch * outputs], vec![0.0; w.len()], vec![0.0; x.len()]);
    layer.forward(&x, &w, Bias::None, &mut a).expect("a valid call");
    let gradients = Gradients::new().w(&mut d_w).a_prev(&mut d_x);
    layer.backward(&x, &w, &d_z, Upstream::PreActivation(&d_z), gradients).expect("a valid call");
    [a, d_w, d_x].concat().into_iter().map(f32::to_bits).collect()
}

#[test]
fn shared_calls_have_the_bits_of_a_serial_call_in_the_same_mode() {
    let layer = |threads: Threads| Dense::new(SHAPE.1, SHAPE.2, Activation::Identity).with_threads(threads);
    let modes = [0, register::FLUSH, register::TOWARDS_ZERO, 0];
    let expected = modes.map(|mode| in_mode(mode, || calls(&mut layer(Threads::Serial))));
    assert!(expected[0] != expected[1] && expected[0] != expected[2], "the modes differ");

    let check = |threads: Threads| {
        let mut layer = layer(threads);
        assert!(layer.describe(SHAPE.0).expect("a plan").forward.workers > 1, "nothing is shared");
        for _ in 0..20 {
            for (mode, expected) in modes.iter().zip(&expected) {
                let found = in_mode(*mode, || calls(&mut layer));
                assert!(found == *expected, "mode {mode:#x} on {layer:?}");
            }
        }
    };
    check(Team::new(4).into());
    #[cfg(feature = "rayon")]
    {
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool"));
        check(Arc::clone(&pool).into());
        pool.install(|| check(Threads::CurrentPool { max: 4 }));
    }
}
