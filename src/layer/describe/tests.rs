use crate::kernel::{Name, trace};
use crate::tuning::LINE;
use crate::{Activation, Bias, Dense, Gradients, Isa, ProductPlan, Summation, Tuning, Upstream, Weights};
use std::collections::BTreeSet;

/// Layers `(batch, inputs, outputs)` on both sides of the rules' edges, of one chunk of the batch.
const SHAPES: [(usize, usize, usize); 25] = [
    (1, 1, 1),
    (1, 30, 10),
    (1, 300, 900),
    (1, 784, 30),
    (1, 2048, 50),
    (2, 30, 16),
    (3, 700, 40),
    (4, 600, 300),
    (5, 1024, 9),
    (7, 65, 80),
    (8, 1024, 100),
    (9, 3, 513),
    (10, 30, 10),
    (16, 1030, 64),
    (17, 80, 112),
    (33, 66, 40),
    (40, 45, 3),
    (40, 16, 1),
    (40, 66, 65),
    (40, 512, 260),
    (64, 64, 64),
    (100, 20, 1024),
    (250, 3, 100),
    (256, 256, 1),
    (255, 320, 300),
];

/// The kernels that a description names have run, and among them is the largest tile of every operation that has.
fn assert_named(what: &str, plan: &ProductPlan, ran: &[Name]) {
    let named: BTreeSet<&str> =
        plan.rectangles.iter().map(|rectangle| &*rectangle.kernel).filter(|k| *k != "none").collect();
    let operations: BTreeSet<_> = ran.iter().map(|name| name.operation).collect();
    let largest =
        |operation| ran.iter().filter(|name| name.operation == operation).max_by_key(|name| name.rows * name.cols);
    let largest: BTreeSet<String> = operations.into_iter().filter_map(largest).map(Name::to_string).collect();
    let ran: BTreeSet<String> = ran.iter().map(Name::to_string).collect();
    assert!(named.iter().all(|name| ran.contains(*name)), "{what}: {ran:?} ran, {plan}");
    assert!(largest.iter().all(|name| named.contains(name.as_str())), "{what}: {largest:?} ran, {plan}");
}

/// One layer, forward with plain and with packed weights, and both gradients that are products. Inputs begin so many elements past a
/// cache line.
fn check(layer: &mut Dense, batch: usize, past_line: usize, rules: &mut BTreeSet<&'static str>) {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let place = |memory: &[f32]| memory.as_ptr().align_offset(LINE * size_of::<f32>()) + past_line;
    let (x, w) = (vec![0.5; batch * inputs + 2 * LINE], vec![0.25; outputs * inputs + 2 * LINE]);
    let (x, w) = (&x[place(&x)..][..batch * inputs], &w[place(&w)..][..outputs * inputs]);
    let (mut a, d_a) = (vec![0.0; batch * outputs], vec![1.0; batch * outputs]);
    let b = vec![0.125; outputs];
    let (mut d_w, mut d_x) = (vec![0.0; w.len()], vec![0.0; x.len()]);
    let packed = layer.pack(w).expect("weights of the right size");
    let what = |pass: &str| format!("{batch}x{inputs}:{outputs} {pass}");
    trace::take();
    for (pass, weights) in [("packed", Weights::from(&packed)), ("plain", Weights::from(w))] {
        let plan = layer.describe_with(batch, weights).expect("a plan").forward;
        layer.forward(x, weights, Bias::from(&b), &mut a).expect("operands of the right size");
        rules.extend(plan.rectangles.iter().map(|rectangle| rectangle.rule));
        assert_named(&what(pass), &plan, &trace::take());
    }
    let description = layer.describe(batch).expect("a plan");
    let upstream = || Upstream::Activation(&d_a);
    layer.backward(x, w, &a, upstream(), Gradients::new().w(&mut d_w)).expect("operands of the right size");
    assert_named(&what("d_w"), &description.d_w, &trace::take());
    layer.backward(x, w, &a, upstream(), Gradients::new().a_prev(&mut d_x)).expect("operands of the right size");
    assert_named(&what("d_a_prev"), &description.d_a_prev, &trace::take());
    for plan in [&description.d_w, &description.d_a_prev] {
        rules.extend(plan.rectangles.iter().map(|rectangle| rectangle.rule));
    }
}

/// Kernels tell that they run, and are those that the description names.
#[test]
fn the_kernels_that_are_described_run() {
    let mut rules = BTreeSet::new();
    // And a row by which few rows go by parts of their columns, since only that of some CPUs takes them.
    let by_parts = |isa: Isa| {
        let row = Dense::new(1, 1, Activation::Relu).with_isa(isa).tuning().expect("a row");
        row.with_numbers(&[
            ("dot_parts_min_terms", "64"),
            ("dot_parts_max_terms", "max"),
            ("dot_parts_min_len", "0"),
            ("dot_parts_rows_min_terms", "64"),
            ("short_dots_min_outputs", "20"),
        ])
    };
    let measured = Tuning::all().iter().filter(|tuning| Isa::available().contains(&tuning.isa()));
    for tuning in measured.chain(Isa::available().into_iter().map(by_parts)) {
        for summation in [Summation::Auto, Summation::Chain, Summation::Lanes] {
            for (batch, inputs, outputs) in SHAPES {
                let layer = Dense::new(inputs, outputs, Activation::Relu).with_isa(tuning.isa()).with_tuning(tuning);
                let mut layer = layer.with_summation(summation);
                for past_line in [0, 4] {
                    check(&mut layer, batch, past_line, &mut rules);
                }
            }
        }
    }
    let expected = [
        "single-call",
        "outer",
        "single-row",
        "dots",
        "dots-by-parts",
        "short-dots",
        "prepacked",
        "along-rows",
        "copied-panels",
        "in-place",
        "transposed-panels",
    ];
    for rule in expected {
        assert!(rules.contains(rule), "no layer for the rule {rule}: {rules:?}");
    }
}
