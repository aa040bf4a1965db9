//! The plans of each tuning row, as they are committed in `tests/data/plans`: a change to a row, or to the rules, shows which shapes
//! it gives another route. `WRITE_PLANS=1 cargo test --test plans` writes them anew.

use core::fmt::Write as _;
use fused_dense::{Activation, Dense, Gradients, ProductPlan, Team, Tuning, Upstream};
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/plans");

/// Layers `(inputs, outputs)` of the comparison's suites, and some between them.
const LAYERS: [(usize, usize); 18] = [
    (1, 1),
    (4, 45),
    (13, 512),
    (30, 10),
    (64, 64),
    (65, 65),
    (100, 20),
    (129, 65),
    (256, 1),
    (256, 128),
    (512, 10),
    (512, 512),
    (784, 30),
    (784, 100),
    (784, 512),
    (1024, 1024),
    (1200, 17),
    (2200, 2200),
];

const BATCHES: [usize; 7] = [1, 2, 10, 32, 128, 256, 2048];

/// Rule, kernel and places of each rectangle.
fn line(plan: &ProductPlan) -> String {
    let rectangles = plan.rectangles.iter().map(|rectangle| {
        let transposed = if rectangle.transposed { " transposed" } else { "" };
        let places = [rectangle.left, rectangle.right, rectangle.totals, rectangle.order].join(", ");
        format!("{}: {}{transposed} ({places})", rectangle.rule, rectangle.kernel)
    });
    rectangles.collect::<Vec<_>>().join(" | ")
}

fn plans(layer: impl Fn(usize, usize) -> Dense) -> String {
    let mut lines = String::new();
    for ((inputs, outputs), batch) in LAYERS.into_iter().flat_map(|layer| BATCHES.map(|batch| (layer, batch))) {
        let description = layer(inputs, outputs).describe(batch).expect("a plan");
        for (pass, plan) in
            [("forward", &description.forward), ("d_w", &description.d_w), ("d_a_prev", &description.d_a_prev)]
        {
            writeln!(lines, "{batch}x{inputs}:{outputs} {pass} {}", line(plan)).expect("memory");
        }
    }
    lines
}

#[test]
fn the_plans_of_every_row_are_those_committed() {
    let mut rows = 0;
    for tuning in Tuning::all() {
        let isa = tuning.isa();
        if !fused_dense::Isa::available().contains(&isa) {
            continue;
        }
        rows += 1;
        let found =
            plans(|inputs, outputs| Dense::new(inputs, outputs, Activation::Sigmoid).with_isa(isa).with_tuning(tuning));
        let file = Path::new(FOLDER).join(format!("{}.txt", tuning.name()));
        if std::env::var_os("WRITE_PLANS").is_some() {
            std::fs::write(&file, &found).expect("the folder is writable");
        }
        let expected = std::fs::read_to_string(&file).expect("the committed plans");
        for (found, expected) in found.lines().zip(expected.lines()) {
            assert_eq!(found, expected, "{}", tuning.name());
        }
        assert_eq!(found.lines().count(), expected.lines().count());
    }
    assert!(rows > 0);
}

/// A row for another instruction set is refused by every call, and by name.
#[test]
fn a_row_is_for_one_instruction_set() {
    use fused_dense::{Error, Isa};
    for isa in Isa::available() {
        for tuning in Tuning::all() {
            let layer = Dense::new(3, 2, Activation::Tanh).with_isa(isa).with_tuning(tuning);
            match layer.tuning() {
                Ok(row) => assert_eq!((row.name(), tuning.isa()), (tuning.name(), isa)),
                Err(error) => {
                    assert_eq!(error, Error::TuningForIsa { expected: isa, found: tuning.name() });
                    assert_ne!(tuning.isa(), isa);
                }
            }
        }
        let chosen = Dense::new(3, 2, Activation::Tanh).with_isa(isa).tuning().expect("a row");
        assert_eq!(chosen.isa(), isa);
    }
}

/// The bits of a forward and a backward call by this row.
fn bits(row: &'static Tuning, (batch, inputs, outputs): (usize, usize, usize), team: Option<&Team>) -> Vec<u32> {
    let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_isa(row.isa()).with_tuning(row);
    let mut layer = if let Some(team) = team { layer.with_threads(team) } else { layer };
    let values = |len: usize, cycle: usize| -> Vec<f32> { (0..len).map(|i| (i % cycle) as f32 / 16.0 - 0.4).collect() };
    let (x, w, b) = (values(batch * inputs, 17), values(inputs * outputs, 13), values(outputs, 5));
    let mut a = vec![0.0; batch * outputs];
    layer.forward(&x, &w, &b, &mut a).expect("operands of the right size");
    let (mut d_w, mut d_b, mut d_x) = (vec![0.0; w.len()], vec![0.0; outputs], vec![0.0; x.len()]);
    let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_x).scale(0.3);
    let d_a = values(batch * outputs, 11);
    layer.backward(&x, &w, &a, Upstream::Activation(&d_a[..]), gradients).expect("operands of the right size");
    [a, d_w, d_b, d_x].concat().into_iter().map(f32::to_bits).collect()
}

/// Rows change how fast a call is, never what it returns: nor does any number of a row, whatever its value.
#[test]
fn rows_and_their_numbers_do_not_change_the_bits() {
    const LAYERS: [(usize, usize, usize); 6] =
        [(33, 130, 66), (1, 300, 70), (70, 20, 3), (4, 1024, 9), (600, 40, 17), (24, 1024, 33)];
    const VALUES: [&str; 8] = ["0", "1", "16", "64", "256", "max", "false", "true"];
    let team = Team::new(2);
    for isa in fused_dense::Isa::available() {
        let rows: Vec<&Tuning> = Tuning::all().iter().filter(|tuning| tuning.isa() == isa).collect();
        for layer in LAYERS {
            let expected = bits(rows[0], layer, None);
            for row in &rows {
                assert!(bits(row, layer, None) == expected, "{}: {layer:?}", row.name());
            }
            let general = rows[rows.len() - 1];
            for (name, _) in general.numbers() {
                for changed in VALUES.into_iter().filter_map(|value| general.with_number(name, value).ok()) {
                    let changed: &'static Tuning = Box::leak(Box::new(changed));
                    assert!(bits(changed, layer, None) == expected, "{}: {layer:?}", changed.name());
                    assert!(bits(changed, layer, Some(&team)) == expected, "{}: {layer:?}, shared", changed.name());
                }
            }
        }
    }
}
