//! A little of everything, small enough for an interpreter that checks every access: each kernel, layout and option, a
//! team's jobs, and a network's step.

mod support;

use core::sync::atomic::{AtomicUsize, Ordering};
use fused_dense::{Activation, Cost, Dense, Network, Operand, Summation, Team};
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};
use support::values;

/// `(batch, inputs, outputs)`: empty sides, one of each, tiles with remainders, a long sum, few columns, one row.
const SHAPES: [(usize, usize, usize); 9] =
    [(0, 3, 2), (5, 0, 2), (2, 3, 0), (1, 1, 1), (7, 9, 18), (2, 258, 3), (258, 2, 1), (9, 3, 17), (1, 20, 33)];

const LAYOUTS: [Layout; 4] = [
    Layout::Slice,
    Layout::Rows { step: 2, gap: 3 },
    Layout::Columns { step: 1, gap: 0 },
    Layout::Columns { step: 2, gap: 1 },
];

/// A problem of each shape on each instruction set, orders of summation and activations taking turns.
fn problems() -> impl Iterator<Item = (usize, Problem)> {
    let isas = isas::all().into_iter();
    isas.flat_map(|isa| SHAPES.into_iter().enumerate().map(move |(index, shape)| (isa, index, shape))).map(
        |(isa, index, (batch, inputs, outputs))| {
            let activation = Activation::all()[index % Activation::all().len()];
            let layer = isas::layer(isa, SUMMATIONS[index % SUMMATIONS.len()], inputs, outputs, activation);
            (index, Problem::new(layer, batch))
        },
    )
}

fn options(index: usize) -> (ForwardOptions, BackwardOptions) {
    (ForwardOptions::ALL[index % 4], BackwardOptions::nth(index * 131 % BackwardOptions::COUNT))
}

#[test]
fn both_passes() {
    for (index, problem) in problems() {
        for (first, packed) in [(index, false), (index + 1, false), (index, true)] {
            let layout = |operand: Operand| LAYOUTS[(first + operand as usize) % LAYOUTS.len()];
            let problem = Problem { packed, ..problem.clone() };
            let (forward, backward) = options(7 * index + first);
            problem.check(&forward, &backward, &Placement { margin: 0, ..Placement::views(&layout) });
        }
    }
}

#[test]
fn updates() {
    for (index, problem) in problems() {
        let layout = |operand: Operand| LAYOUTS[(index + operand as usize) % LAYOUTS.len()];
        let update = &UpdateOptions::ALL[index % UpdateOptions::ALL.len()];
        problem.check_update(&options(index).1, update, &Placement { margin: 0, ..Placement::views(&layout) });
    }
}

#[test]
fn shared_by_a_team() {
    let team = Team::new(2);
    let done: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];
    team.for_each(5, |part| {
        done[part].fetch_add(1, Ordering::Relaxed);
    });
    assert!(done.into_iter().all(|count| count.into_inner() == 1));

    // Less, where all that has parts is shared (`--cfg fused_dense_force_sharing`).
    let (batch, inputs, outputs) = if cfg!(miri) { (6, 5, 40) } else { (40, 90, 133) };
    let layer = Dense::new(inputs, outputs, Activation::Relu).with_summation(Summation::Chain);
    let serial = Problem::new(layer, batch);
    let shared = Problem { layer: serial.layer.clone().with_threads(&team), ..serial.clone() };
    assert!(shared.layer.describe(batch).expect("a plan").forward.workers == 2, "nothing is shared");
    let (forward, backward) = (ForwardOptions::ALL[0], BackwardOptions::PLAIN);
    let [one, two] = [&serial, &shared].map(|problem| problem.forward(&forward, &Placement::PLAIN));
    shared.assert_equal(&two, &one, &forward);
    let [one, two] = [&serial, &shared].map(|problem| problem.backward(&backward, &Placement::PLAIN));
    shared.assert_equal(&two, &one, &backward);
}

#[test]
fn a_step_of_a_network() {
    let layers = [Dense::new(3, 5, Activation::Tanh), Dense::new(5, 2, Activation::Sigmoid)];
    let mut network = Network::new(layers, Cost::BinaryCrossEntropy, 4).expect("a chain");
    for layer in network.layers_mut() {
        let weights = values(layer.w().len(), 7);
        layer.w_mut().copy_from_slice(&weights);
    }
    let (x, y) = (values(4 * 3, 1), [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let costs = [0; 3].map(|_| network.step(&x, &y, 0.1).expect("arguments that fit"));
    assert!(costs[2] < costs[1] && costs[1] < costs[0], "{costs:?}");
}
