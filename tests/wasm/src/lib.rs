//! Layers' calls, compared with exact values within the bound of kernels that round twice, and a team of one thread.

#[path = "../../support/mod.rs"]
mod support;

use fused_dense::{Activation, Dense, Isa, Operand, Summation, Team};
use std::cell::Cell;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::isas::SUMMATIONS;
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Shows a message of so many bytes in UTF-8.
    fn show(message: *const u8, len: usize);
}

/// Panics end in a trap: their messages are shown before.
fn show_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            let message = panic.to_string();
            // SAFETY: the message stays where it is until the host has read it.
            unsafe { show(message.as_ptr(), message.len()) };
        }));
    });
}

/// Checks every shape in every order of summation, layouts and options taking turns. Returns how many were checked.
// SAFETY: no other function of the module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn check_layers() -> usize {
    const SHAPES: [(usize, usize, usize); 7] =
        [(0, 3, 2), (1, 1, 1), (7, 9, 18), (33, 65, 17), (2, 300, 3), (260, 2, 5), (1, 90, 33)];
    const LAYOUTS: [Layout; 3] = [Layout::Slice, Layout::Rows { step: 2, gap: 3 }, Layout::Columns { step: 1, gap: 2 }];
    show_panics();
    assert_eq!(Isa::available(), [Isa::Portable]);
    let count = Cell::new(0);
    for ((batch, inputs, outputs), summation) in
        SHAPES.into_iter().flat_map(|shape| SUMMATIONS.map(|order| (shape, order)))
    {
        for &activation in Activation::all() {
            count.set(count.get() + 1);
            let layer = Dense::new(inputs, outputs, activation).with_summation(summation);
            let problem = Problem { packed: count.get() % 3 == 0, ..Problem::new(layer, batch) };
            let layout = |operand: Operand| LAYOUTS[(count.get() + operand as usize) % LAYOUTS.len()];
            let placement = Placement::views(&layout);
            let backward = BackwardOptions::nth(131 * count.get() % BackwardOptions::COUNT);
            problem.check(&ForwardOptions::ALL[count.get() % 4], &backward, &placement);
            let update = &UpdateOptions::ALL[count.get() % UpdateOptions::ALL.len()];
            Problem { packed: false, ..problem }.check_update(&backward, update, &placement);
        }
    }
    count.get()
}

/// Where there are no threads, a team is its caller, and a layer with one has the bits of a serial layer.
// SAFETY: no other function of the module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn check_team() -> usize {
    show_panics();
    let team = Team::new(1);
    assert_eq!(team.threads(), 1);
    let sum = AtomicUsize::new(0);
    team.for_each(100, |part| {
        sum.fetch_add(part, Ordering::Relaxed);
    });
    assert_eq!(sum.into_inner(), 4950);
    let serial = Problem::new(Dense::new(90, 133, Activation::Tanh).with_summation(Summation::Chain), 40);
    let shared = Problem { layer: serial.layer.clone().with_threads(&team), ..serial.clone() };
    let options = ForwardOptions { bias: true, keep_z: false };
    let [one, other] = [&serial, &shared].map(|problem| team.hold(|| problem.forward(&options, &Placement::PLAIN)));
    shared.assert_equal(&other, &one, &options);
    team.threads()
}
