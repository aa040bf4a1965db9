//! Random calls of several callers at once, on teams of 1 to 16 threads, while others hold the team and the cores up:
//! the bits of a serial call each time.

#![cfg(not(miri))]

mod support;

use core::sync::atomic::{AtomicBool, Ordering};
use fused_dense::{Activation, Isa, Operand, Team};
use std::thread;
use std::time::Duration;
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, ForwardOptions};
use support::problem::Problem;
use support::random::Random;
use support::stored::{Layout, Placement};

/// Calls of each caller on each team.
const CALLS: usize = 12;

const LAYOUTS: [Layout; 5] = [
    Layout::Slice,
    Layout::Slice,
    Layout::Rows { step: 1, gap: 5 },
    Layout::Columns { step: 1, gap: 0 },
    Layout::Columns { step: 2, gap: 1 },
];

/// Small numbers as often as large ones.
fn size(random: &mut Random, bits: usize) -> usize {
    let bits = random.below(bits + 1);
    1 + random.below(1 << bits)
}

/// One random call, forward and backward, shared and serial.
fn check_call(team: &Team, random: &mut Random) {
    let (batch, inputs, outputs) = (size(random, 10) + random.below(300), size(random, 7), size(random, 7));
    let isas = Isa::available();
    let (isa, summation) = (isas[random.below(isas.len())], SUMMATIONS[random.below(3)]);
    let activation = Activation::all()[random.below(Activation::all().len())];
    let serial = Problem::new(isas::layer(isa, summation, inputs, outputs, activation), batch);
    let shared = Problem { layer: serial.layer.clone().with_threads(team), ..serial.clone() };

    let seed = random.below(1 << 20);
    let layout = |operand: Operand| LAYOUTS[(seed + 7 * operand as usize) % LAYOUTS.len()];
    let placement = Placement::views(&layout);
    let forward = ForwardOptions::ALL[random.below(4)];
    let backward = BackwardOptions::nth(random.below(BackwardOptions::COUNT));
    for _ in 0..2 {
        shared.assert_equal(&shared.forward(&forward, &placement), &serial.forward(&forward, &placement), &forward);
        shared.assert_equal(
            &shared.backward(&backward, &placement),
            &serial.backward(&backward, &placement),
            &backward,
        );
    }
}

/// Takes the team now and then for a moment, and the cores the rest of the time.
fn disturb(team: &Team, is_over: &AtomicBool, mut random: Random) {
    while !is_over.load(Ordering::Relaxed) {
        match random.below(4) {
            0 => team.for_each(random.below(5), |part| thread::sleep(Duration::from_micros(37 * part as u64))),
            1 => thread::sleep(Duration::from_micros(random.below(300) as u64)),
            2 => thread::yield_now(),
            _ => (0..random.below(100_000)).for_each(|_| core::hint::spin_loop()),
        }
    }
}

#[test]
fn callers_at_once_have_the_bits_of_a_serial_call() {
    for threads in 1..=16 {
        let team = Team::new(threads);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for seed in 1..=2 {
                let (team, is_over) = (&team, &is_over);
                scope.spawn(move || disturb(team, is_over, Random(seed * 0x9e37_79b9)));
            }
            let callers: Vec<_> = (0..3)
                .map(|caller| {
                    let team = &team;
                    let mut random = Random(0x2545_f491_4f6c_dd1d ^ (threads * 100 + caller) as u64);
                    scope.spawn(move || (0..CALLS).for_each(|_| check_call(team, &mut random)))
                })
                .collect();
            let results: Vec<_> = callers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::Relaxed);
            for result in results {
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
    }
}
