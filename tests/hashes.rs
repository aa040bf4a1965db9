//! The bits of results are part of the interface: `tests/data/hashes.txt` holds a hash of what each of many calls returns.
//!
//! The reference says which bits are right today; this file says that they are those of the versions before. On a change that
//! is meant, `WRITE_HASHES=1 cargo test --test hashes` writes the file anew, and the changelog says so.

mod support;

use core::fmt::Write as _;
use fused_dense::{Activation, Dense, Isa, Operand, Summation, Team};
use support::options::{BackwardOptions, ForwardOptions, Kept, UpdateOptions};
use support::problem::{Problem, Results};
use support::stored::{Layout, Placement};
use support::{edges, isas};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hashes.txt");

/// Not all that there are: another one must not change the lines of these.
const ACTIVATIONS: [Activation; 4] = [Activation::Identity, Activation::Sigmoid, Activation::Tanh, Activation::Relu];

/// FNV-1a over the bits of all results; every NaN counts as the same.
fn hash(results: &Results) -> u64 {
    let bits = results
        .iter()
        .flat_map(|(_, values)| values)
        .map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() });
    bits.flat_map(u32::to_le_bytes)
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Shapes `(batch, inputs, outputs)` of every route: the usual layers, and the edges of tiles, vectors and blocks.
fn shapes() -> Vec<(usize, usize, usize)> {
    let layers = [
        (1, 784, 30),
        (10, 784, 30),
        (10, 30, 10),
        (1, 30, 10),
        (1, 1, 1),
        (32, 784, 100),
        (128, 512, 10),
        (256, 13, 96),
        (257, 64, 64),
        (513, 3, 20),
        (37, 4, 45),
        (64, 65, 65),
        (4, 1024, 30),
        (8, 1024, 70),
        (600, 20, 17),
        (1000, 34, 20),
        (24, 1200, 17),
        (300, 300, 3),
        (2, 129, 65),
        (20, 520, 33),
        (0, 5, 3),
        (5, 0, 3),
        (5, 3, 0),
    ];
    let edges = edges().step_by(2).enumerate().map(|(i, edge)| match i % 3 {
        0 => (edge, 19, 33),
        1 => (7, edge, 18),
        _ => (12, 21, edge),
    });
    layers.into_iter().chain(edges).collect()
}

/// An update, where the bias decays as the weights do: behind the pass then, by its gradient.
fn update(
    problem: &Problem,
    isa: Isa,
    options: &UpdateOptions,
    placement: &Placement<'_>,
    gradients: &Results,
) -> Results {
    let mut results = problem.update(&BackwardOptions::PLAIN, options, placement);
    if options.bias && options.weight_decay != 0.0 {
        let (_, d_b) = gradients.iter().find(|(operand, _)| *operand == Operand::DB).expect("the bias's gradient");
        let (mut b, mut velocity, optimizer) = (problem.b.clone(), problem.old_b.clone(), options.optimizer());
        let state = &mut [velocity.as_mut_slice()][..optimizer.state_arrays()];
        optimizer.apply_with_isa(isa, options.step, &mut b, d_b, state).expect("a valid call");
        for (operand, values) in &mut results {
            match operand {
                Operand::B => values.clone_from(&b),
                Operand::VB => values.clone_from(&velocity),
                _ => {}
            }
        }
    }
    results
}

/// One line a call: the layer, the call, the hash of its results.
fn lines(isa: Isa, team: Option<&Team>) -> String {
    let columns = |_| Layout::Columns { step: 1, gap: 0 };
    let placements = [("slices", Placement::PLAIN), ("columns", Placement::views(&columns))];
    let mut lines = String::new();
    let mut index = 0;
    for (batch, inputs, outputs) in shapes() {
        for summation in [Summation::Auto, Summation::Chain, Summation::Lanes] {
            index += 1;
            let activation = ACTIVATIONS[index % ACTIVATIONS.len()];
            let layer = Dense::new(inputs, outputs, activation).with_isa(isa).with_summation(summation);
            let layer = team.map_or(layer.clone(), |team| layer.with_threads(team));
            let problem = Problem::new(layer, batch);
            let (name, placement) = &placements[usize::from(index % 5 == 0)];
            let backward = BackwardOptions { kept: [Kept::A, Kept::Z][index % 2], ..BackwardOptions::nth(index * 131) };
            let gradients = problem.backward(&BackwardOptions::PLAIN, placement);
            let updated = update(&problem, isa, &UpdateOptions::ALL[index % 8], placement, &gradients);
            let results = [
                problem.forward(&ForwardOptions::ALL[index % 4], placement),
                gradients,
                problem.backward(&backward, placement),
                updated,
            ];
            let hashes = results.map(|results| format!("{:016x}", hash(&results)));
            writeln!(lines, "{batch}x{inputs}:{outputs} {activation} {summation:?} {name} {}", hashes.join(" "))
                .expect("memory");
        }
    }
    lines
}

#[test]
fn results_have_the_bits_of_the_versions_before() {
    let exact: Vec<Isa> = isas::all().into_iter().filter(|isa| isa.is_bit_exact()).collect();
    if std::env::var_os("WRITE_HASHES").is_some() {
        let best = exact.first().expect("an instruction set with fused multiply-add");
        std::fs::write(FILE, lines(*best, None)).expect("the file is writable");
    }
    let expected = std::fs::read_to_string(FILE).expect("the committed hashes");
    let team = Team::new(3);
    for isa in exact {
        for team in [None, Some(&team)] {
            for (found, expected) in lines(isa, team).lines().zip(expected.lines()) {
                assert_eq!(found, expected, "on {isa}, {} thread(s)", team.map_or(1, Team::threads));
            }
        }
    }
    assert_eq!(expected.lines().count(), 3 * shapes().len());
}
