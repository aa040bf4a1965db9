//! Random shapes, layouts, options and instruction sets: always the reference's bits.

mod support;

use fused_dense::{Activation, Isa, Operand, Summation, Threads};
use proptest::prelude::*;
use proptest::sample::select;
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};

/// Mostly within a few tiles, at times across blocks of the sum; under Miri within a tile or two.
fn size() -> impl Strategy<Value = usize> {
    if cfg!(miri) {
        return (0..=10_usize).boxed();
    }
    prop_oneof![8 => 0..=40_usize, 2 => 41..=140_usize, 1 => 250..=270_usize].boxed()
}

fn shape() -> impl Strategy<Value = (usize, usize, usize)> {
    (size(), size(), size())
        // No slice tells the batch of a layer without inputs and without outputs, which views beside it would have.
        .prop_map(|(m, k, n)| if k == 0 && n == 0 { (0, k, n) } else { (m, k, n) })
        .prop_filter("small enough for scalar loops", |(m, k, n)| m * k * n <= 1 << 20)
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        2 => Just(Layout::Slice),
        1 => (1..=3_usize, 0..=20_usize).prop_map(|(step, gap)| Layout::Rows { step, gap }),
        1 => (1..=3_usize, 0..=20_usize).prop_map(|(step, gap)| Layout::Columns { step, gap }),
    ]
}

/// A layout for each operand.
fn layouts() -> impl Strategy<Value = Vec<Layout>> {
    proptest::collection::vec(layout(), Operand::MB as usize + 1)
}

fn options() -> impl Strategy<Value = (ForwardOptions, BackwardOptions)> {
    let scale = prop_oneof![Just(1.0_f32), Just(0.0), -2.0..2.0_f32];
    (select(&ForwardOptions::ALL[..]), 0..BackwardOptions::COUNT, scale)
        .prop_map(|(forward, index, scale)| (forward, BackwardOptions { scale, ..BackwardOptions::nth(index) }))
}

fn isa() -> impl Strategy<Value = Isa> {
    select(isas::all())
}

fn problem(
    isa: Isa,
    summation: Summation,
    (batch, inputs, outputs): (usize, usize, usize),
    activation: Activation,
) -> Problem {
    Problem::new(isas::layer(isa, summation, inputs, outputs, activation), batch)
}

/// Room for so many threads: of a pool, outside of which the call is made, or of a team.
fn on(threads: usize) -> Threads {
    #[cfg(feature = "rayon")]
    return Threads::CurrentPool { max: threads };
    #[cfg(not(feature = "rayon"))]
    return fused_dense::Team::new(threads).into();
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 10 } else { 300 }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_call_equals_the_reference(
        shape in shape(),
        layouts in layouts(),
        isa in isa(),
        summation in select(&SUMMATIONS[..]),
        activation in select(Activation::all()),
        (forward, backward) in options(),
        packed in any::<bool>(),
    ) {
        let layout = |operand: Operand| layouts[operand as usize];
        let problem = Problem { packed, ..problem(isa, summation, shape, activation) };
        problem.check(&forward, &backward, &Placement::views(&layout));
    }

    #[test]
    fn every_update_equals_the_reference(
        shape in shape(),
        layouts in layouts(),
        isa in isa(),
        summation in select(&SUMMATIONS[..]),
        activation in select(Activation::all()),
        (_, backward) in options(),
        update in select(&UpdateOptions::ALL[..]),
        threads in 1..=4_usize,
    ) {
        let layout = |operand: Operand| layouts[operand as usize];
        let mut problem = problem(isa, summation, shape, activation);
        problem.layer = problem.layer.with_threads(on(threads));
        problem.check_update(&backward, &update, &Placement::views(&layout));
    }

    /// Any two instruction sets with fused multiply-add, whatever the threads and layouts of each.
    #[test]
    #[cfg_attr(miri, ignore = "portable kernels alone, which need not fuse")]
    fn instruction_sets_agree(
        shape in shape(),
        layouts in layouts(),
        isas in (isa(), isa()).prop_filter("fused multiply-add", |(a, b)| a.is_bit_exact() && b.is_bit_exact()),
        summation in select(&SUMMATIONS[1..]),
        activation in select(Activation::all()),
        threads in 1..=4_usize,
        packed in any::<bool>(),
        (forward, backward) in options(),
    ) {
        let one = problem(isas.0, summation, shape, activation);
        let mut other = problem(isas.1, summation, shape, activation);
        other.layer = other.layer.with_threads(on(threads));
        other.packed = packed;
        let layout = |operand: Operand| layouts[operand as usize];
        let placement = Placement::views(&layout);
        other.assert_equal(
            &other.forward(&forward, &placement),
            &one.forward(&forward, &Placement::PLAIN),
            &forward,
        );
        other.assert_equal(
            &other.backward(&backward, &placement),
            &one.backward(&backward, &Placement::PLAIN),
            &backward,
        );
    }
}
