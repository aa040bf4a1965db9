//! Every kernel against the scalar reference, to the bit, on every instruction set.

#![cfg(not(miri))]

mod support;

use fused_dense::{AUTO_LANES, Activation, Bias, Dense, Operand, Summation, reference};
use std::collections::BTreeSet;
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, Cycle, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{CANARY, Layout, Placement};
use support::sweep::sweep;
use support::{compare::assert_bits, edges};

/// Checks every shape `(batch, inputs, outputs)` in plain slices.
fn check(shapes: impl Iterator<Item = (usize, usize, usize)> + Clone) {
    sweep(shapes, |problem, forward, backward| problem.check(forward, backward, &Placement::PLAIN));
}

#[test]
fn small_batches_with_every_remainder_of_outputs() {
    check((1..=17).flat_map(|batch| (1..=66).map(move |outputs| (batch, 3, outputs))));
}

#[test]
fn small_batches_with_every_remainder_of_inputs() {
    check((1..=9).flat_map(|batch| (1..=66).map(move |inputs| (batch, inputs, 5))));
}

#[test]
fn edges_of_the_batch() {
    check(edges().flat_map(|batch| [(batch, 3, 19), (batch, 33, 2), (batch, 1, 1)]));
}

#[test]
fn edges_of_the_inputs() {
    check(edges().flat_map(|inputs| [(7, inputs, 18), (33, inputs, 3), (1, inputs, 1)]));
}

#[test]
fn edges_of_the_outputs() {
    check(edges().flat_map(|outputs| [(1, 1, outputs), (3, 5, outputs), (7, 18, outputs), (34, 3, outputs)]));
}

/// Few rows go through panels of many vectors.
#[test]
fn wide_panels() {
    check((1..=6).flat_map(|few| (65..=400).step_by(5).flat_map(move |wide| [(few, 2, wide), (few, wide, 3)])));
    check((1..=6).flat_map(|few| (65..=400).step_by(7).flat_map(move |wide| [(2, wide, few), (20, few, wide)])));
}

/// One row of sums over an operand that is too large for the first-level cache: of `dA_prev` and, with weights and samples
/// stored the other way round, forward; of `dw`; in several blocks, with a remainder of every kind.
#[test]
fn one_row_over_a_large_operand() {
    let shapes = [(1, 301, 131), (1, 70, 515), (1, 9001, 5), (259, 170, 1), (518, 131, 1)];
    check(shapes.into_iter());
    let columns = Layout::Columns { step: 1, gap: 0 };
    let views = |operand| if matches!(operand, Operand::W | Operand::APrev) { columns } else { Layout::Slice };
    sweep(shapes.into_iter(), |problem, forward, backward| {
        problem.check(forward, backward, &Placement::views(&views));
    });
}

/// Sums over the batch of which several blocks go side by side: `dw` of one output with every number of vectors, and `db` of few.
#[test]
fn blocks_side_by_side() {
    let inputs = [1, 15, 16, 17, 31, 33, 48, 57, 64, 70, 90, 97, 112, 127, 128, 129];
    check(inputs.into_iter().flat_map(|inputs| [(768, inputs, 1), (1290, inputs, 1)]));
    check((1..=5).flat_map(|outputs| [511, 512, 1023, 1024, 1290].map(|batch| (batch, 2, outputs))));
}

/// Kernels for few samples begin their whole vectors on cache lines, wherever their operands begin.
#[test]
fn operands_at_every_distance_from_a_cache_line() {
    for margin in 0..16 {
        let shapes = [(1, 288, 19), (1, 560, 26), (1, 300, 7), (2, 272, 9), (5, 272, 11), (13, 288, 3)];
        sweep(shapes.into_iter(), |problem, forward, backward| {
            problem.check(forward, backward, &Placement { margin, ..Placement::PLAIN });
        });
    }
}

/// The same for every height and width of a tile, with rows that lie elsewhere than the weights do, whatever the CPU's tuning row
/// says. Products too small for a number leave a sum of -0, which zeros added to it would turn into 0.
#[test]
fn dot_products_at_every_distance_from_a_cache_line() {
    let inputs = 272;
    let usual = |i: usize| (i % 23) as f32 / 8.0 - 1.4;
    for isa in isas::all().into_iter().filter(|isa| isa.is_bit_exact()) {
        let row = isas::row_with(isa, &[("dot_aligned_max_rows", "max")]);
        for (batch, outputs) in (1..=7).flat_map(|batch| [1, 2, 3, 4, 5, 7, 17].map(|outputs| (batch, outputs))) {
            let mut layer = Dense::new(inputs, outputs, Activation::Identity)
                .with_isa(isa)
                .with_tuning(row)
                .with_summation(Summation::Lanes);
            for (start, is_tiny) in (0..16).flat_map(|start| [(start, false), (start, true)]) {
                let value = |i: usize, tiny: f32| if is_tiny { tiny } else { usual(i) };
                let x: Vec<f32> = (0..batch * inputs + 16).map(|i| value(i, -1e-30)).collect();
                let w: Vec<f32> = (0..outputs * inputs + 16).map(|i| value(7 * i, 1e-30)).collect();
                let (x, w) = (&x[start * 5 % 16..][..batch * inputs], &w[start..][..outputs * inputs]);
                let mut a = vec![CANARY; batch * outputs];
                layer.forward(x, w, Bias::None, &mut a).expect("a valid call");
                let z = reference::forward_z(&layer, batch, x, w, None, true);
                assert!(!is_tiny || z[0].to_bits() == (-0.0_f32).to_bits());
                assert_bits(format_args!("{batch}×{inputs}→{outputs} from element {start} on {isa}"), &a, &z);
            }
        }
    }
}

/// Panels of a right operand in place begin on cache lines, wherever their operands begin and whatever the CPU's tuning row says:
/// by heights, along rows, by panels, and by blocks of long sums.
#[test]
fn panels_at_every_distance_from_a_cache_line() {
    let shapes = [(9, 272, 20), (17, 320, 7), (8, 1024, 20), (260, 256, 9), (16, 288, 270)];
    let mut options = Cycle::default();
    for isa in isas::all() {
        let row = isas::row_with(isa, &[("panel_aligned_min_cols", "256")]);
        for (batch, inputs, outputs) in shapes {
            let layer = isas::layer(isa, Summation::Chain, inputs, outputs, Activation::Sigmoid).with_tuning(row);
            let problem = Problem::new(layer, batch);
            for margin in 0..16 {
                let (forward, backward) = options.next();
                problem.check(&forward, &backward, &Placement { margin, ..Placement::PLAIN });
            }
        }
    }
}

/// One sample and a few over weights from the outer caches, by tiles and by parts of the columns: columns are read by stretches, with every
/// rest behind them, and by none, whatever the CPU's tuning row says.
#[test]
fn columns_are_read_by_stretches() {
    let far = [("first_level_len", "0"), ("dot_aligned_min_terms", "0")];
    let parts = [("dot_parts_max_terms", "max"), ("dot_parts_rows_max_terms", "max"), ("dot_parts_min_len", "0")];
    let rows = ["max", "0"].map(|terms| [("dot_parts_min_terms", terms), ("dot_parts_rows_min_terms", terms)]);
    let inputs = [0, 1, 16, 63, 64, 65, 239, 240, 241, 255, 256, 300, 320, 321, 480, 496, 511, 512, 720, 752];
    let outputs = [1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 39];
    let sizes = inputs.into_iter().flat_map(|inputs| outputs.map(|outputs| (inputs, outputs)));
    for (isa, numbers) in
        isas::all().into_iter().filter(|isa| isa.is_bit_exact()).flat_map(|isa| rows.map(|row| (isa, row)))
    {
        let row = isas::row_with(isa, &[&far[..], &parts, &numbers].concat());
        for (inputs, outputs) in sizes.clone() {
            let mut layer = Dense::new(inputs, outputs, Activation::Identity)
                .with_isa(isa)
                .with_tuning(row)
                .with_summation(Summation::Lanes);
            let values = |len: usize, seed: usize| (0..len).map(move |i| ((i * seed) % 29) as f32 / 8.0 - 1.7);
            let (x, w): (Vec<f32>, Vec<f32>) =
                (values(3 * inputs + 16, 5).collect(), values(outputs * inputs + 16, 7).collect());
            for (batch, start) in [(1, 0), (1, 3), (1, 4), (1, 11), (2, 0), (2, 5), (3, 0), (3, 4)] {
                let (x, w) = (&x[start..][..batch * inputs], &w[start..][..outputs * inputs]);
                let mut a = vec![CANARY; batch * outputs];
                layer.forward(x, w, Bias::None, &mut a).expect("a valid call");
                let z = reference::forward_z(&layer, batch, x, w, None, true);
                assert_bits(format_args!("{batch}×{inputs}→{outputs} from element {start} on {isa}"), &a, &z);
            }
        }
    }
}

/// A few outputs of many samples are rows of the transposed product, by tiles and by parts of their columns and, of few terms, from
/// registers; and so is a sample or two, into rows and columns, with sums that are kept or added, whatever the CPU's tuning row says.
#[test]
fn a_few_outputs_are_rows() {
    let columns = |which: Operand| {
        move |operand| if operand == which { Layout::Columns { step: 1, gap: 0 } } else { Layout::Slice }
    };
    let (down, across, gaps) = (columns(Operand::A), columns(Operand::W), |operand| match operand {
        Operand::A => Layout::Rows { step: 1, gap: 1 },
        _ => Layout::Slice,
    });
    let rows = [("dot_columns_as_rows_max", "max"), ("dot_columns_as_rows_min_len", "0")];
    let registers = [("short_dots_min_outputs", "0"), ("dot_aligned_min_terms", "0")];
    let parts = [("dot_parts_min_len", "0"), ("dot_parts_min_terms", "0"), ("dot_parts_rows_min_terms", "0")];
    let mut options = Cycle::default();
    for isa in isas::all() {
        for (numbers, rule) in [(&registers[..], "short-dots"), (&parts, "dots-by-parts"), (&[], "dots")] {
            let row = isas::row_with(isa, &[&rows[..], numbers].concat());
            let inputs = [1, 15, 16, 17, 32, 33, 48, 64, 79, 96, 111, 112, 113];
            for (inputs, few) in inputs.into_iter().flat_map(|inputs| (1..=6).map(move |few| (inputs, few))) {
                let layer = |inputs, outputs, activation| {
                    isas::layer(isa, Summation::Lanes, inputs, outputs, activation).with_tuning(row)
                };
                for many in [2 + few, 8, 9, 15, 18] {
                    let outputs = layer(inputs, few, Activation::Silu);
                    let plan = outputs.describe(many).expect("a plan").forward;
                    // Every instruction set has each kernel for one row of a few terms.
                    assert!(inputs > 16 || few > 1 || plan.rectangles[0].rule == rule, "{plan:?}");
                    assert!(plan.rectangles[0].transposed, "{plan:?}");
                    let samples = layer(inputs, many, Activation::Sigmoid);
                    // And `dA_prev` of as many terms as there are outputs.
                    let gradients = layer(many, inputs, Activation::Tanh);
                    let views: [(_, _, &dyn Fn(Operand) -> Layout); 5] = [
                        (outputs.clone(), many, &|_| Layout::Slice),
                        (outputs, many, &gaps),
                        (samples.clone(), few, &|_| Layout::Slice),
                        (samples, few, &down),
                        (gradients, few, &across),
                    ];
                    for (layer, batch, layout) in views {
                        let (forward, backward) = options.next();
                        let margin = 60 + inputs % 8;
                        Problem::new(layer, batch).check(
                            &forward,
                            &backward,
                            &Placement { margin, ..Placement::views(layout) },
                        );
                    }
                }
            }
        }
    }
}

/// The rows of a tile go over all columns before the next rows: tiles of every height, cut ones among them.
#[test]
fn rows_come_before_columns() {
    let mut options = Cycle::default();
    for isa in isas::all() {
        let first = [("first_level_len", "0"), ("dot_rows_first_max_rows", "max"), ("dot_rows_first_min_len", "0")];
        let most = [("dot_rows_first_max_len", "max"), ("dot_rows_first_max_right_len", "max")];
        let row = isas::row_with(isa, &[&first[..], &most, &[("dot_columns_as_rows_max", "0")]].concat());
        for (batch, outputs) in (2..=20).map(|batch| (batch, batch * 5 % 23 + 1)) {
            let layer = isas::layer(isa, Summation::Lanes, 37, outputs, Activation::Sigmoid).with_tuning(row);
            let plan = layer.describe(batch).expect("a plan").forward;
            // No instruction set has tiles of more than six rows.
            assert!(batch <= 6 || outputs == 1 || plan.rectangles[0].order == "rows before columns", "{plan:?}");
            let problem = Problem::new(layer, batch);
            for _ in 0..4 {
                let (forward, backward) = options.next();
                problem.check(&forward, &backward, &Placement::PLAIN);
            }
        }
    }
}

/// Panels in place that are a vector narrower than others, cut ones among them, in every order of their tiles.
#[test]
fn narrow_panels_have_the_same_bits() {
    let mut options = Cycle::default();
    for isa in isas::all() {
        let numbers = [("narrow_panels_min_rows", "0"), ("narrow_panels_min_terms", "0")];
        let rows = ["256", "max"].map(|cols| [&numbers[..], &[("panel_aligned_min_cols", cols)]].concat());
        for (numbers, shape) in
            rows.iter().flat_map(|row| [(30, 272, 20), (35, 288, 33), (270, 128, 40)].map(|s| (row, s)))
        {
            let (batch, inputs, outputs) = shape;
            let layer = isas::layer(isa, Summation::Chain, inputs, outputs, Activation::Sigmoid)
                .with_tuning(isas::row_with(isa, numbers));
            let problem = Problem::new(layer, batch);
            for margin in [0, 4] {
                let (forward, backward) = options.next();
                problem.check(&forward, &backward, &Placement { margin, ..Placement::PLAIN });
            }
        }
    }
}

/// Gradients of so few samples that writing them is most of the work, with rows of whole vectors and others, on pages of
/// their own and not.
#[test]
fn few_samples_of_many_inputs() {
    check((1..=5).flat_map(|batch| [384, 400, 403, 416, 560, 1024, 1040].map(move |inputs| (batch, inputs, 9))));
    check([(258, 416, 3), (259, 1024, 2), (260, 400, 5)].into_iter());
}

/// Short sums into many rows that meet the same cache sets; and weights beyond the second-level cache.
#[test]
fn few_terms_into_rows_pages_apart() {
    check([(5, 1024, 67), (9, 1024, 64), (70, 1024, 5), (65, 1024, 10), (8, 1030, 260)].into_iter());
}

/// Gradients of so few inputs that vectors hold several samples, with every remainder of samples and terms.
#[test]
fn few_inputs_of_many_samples() {
    check((8..=70).flat_map(|batch| (1..=5).map(move |inputs| (batch, inputs, 16 + (batch + inputs) % 5))));
    check((1..=4).flat_map(|inputs| [(19, inputs, 257), (300, inputs, 515), (40, inputs, 7)].into_iter()));
}

/// One to four inputs behind whole vectors, which are a product of their own where there is enough to do.
#[test]
fn few_inputs_behind_whole_vectors() {
    check([33, 34, 36, 65, 129].into_iter().flat_map(|inputs| [(40, inputs, 31), (257, inputs, 5), (9, inputs, 260)]));
}

#[test]
fn edges_of_all_three_together() {
    let sizes = [15, 17, 31, 33, 48, 49, 63, 64, 65];
    let index = 0..sizes.len();
    check(index.flat_map(|i| (0..sizes.len()).map(move |j| (sizes[i], sizes[j], sizes[(i + 2 * j) % sizes.len()]))));
}

#[test]
fn several_blocks_of_every_sum() {
    check([(300, 270, 70), (70, 520, 300), (515, 20, 260), (257, 257, 257)].into_iter());
}

/// Long sums into rows pages apart, from operands that are packed: tiles ask for both ahead.
#[test]
fn several_blocks_into_rows_pages_apart() {
    check([(513, 1024, 258), (258, 1030, 514), (70, 200, 1024)].into_iter());
}

#[test]
fn empty_batches_and_empty_layers() {
    let sizes = [0, 1, 17, 300];
    let shapes = sizes.into_iter().flat_map(move |m| sizes.into_iter().map(move |k| (m, k)));
    let shapes = shapes.flat_map(move |(m, k)| sizes.into_iter().map(move |n| (m, k, n)));
    check(shapes.filter(|&(m, k, n)| m * k * n == 0));
}

#[test]
fn every_option_with_every_activation() {
    for isa in isas::all() {
        for (summation, activation) in
            SUMMATIONS.into_iter().flat_map(|s| Activation::all().iter().map(move |a| (s, *a)))
        {
            let problem = Problem::new(isas::layer(isa, summation, 11, 19, activation), 5);
            for (i, backward) in BackwardOptions::all().enumerate() {
                problem.check(&ForwardOptions::ALL[i % 4], &backward, &Placement::PLAIN);
            }
        }
    }
}

#[test]
fn every_option_over_several_blocks_of_the_batch() {
    for isa in isas::all() {
        let problem = Problem::new(isas::layer(isa, SUMMATIONS[0], 5, 3, Activation::Sigmoid), 258);
        for backward in BackwardOptions::all() {
            problem.check(&ForwardOptions::ALL[0], &backward, &Placement::PLAIN);
        }
    }
}

/// A pinned order makes a sample's result independent of the batch it stands in.
#[test]
fn pinned_orders_do_not_see_the_batch() {
    for isa in isas::all() {
        for summation in &SUMMATIONS[1..] {
            let problem = Problem::new(isas::layer(isa, *summation, 37, 21, Activation::Tanh), 40);
            let whole = &problem.forward(&ForwardOptions::ALL[0], &Placement::PLAIN)[0].1;
            for batch in [1, 2, 15, 16, 17, 39] {
                let mut part = problem.clone();
                part.batch = batch;
                part.a_prev.truncate(batch * 37);
                let rows = &part.forward(&ForwardOptions::ALL[0], &Placement::PLAIN)[0].1;
                assert_bits(format_args!("{part}: rows of {batch} samples"), rows, &whole[..batch * 21]);
            }
        }
    }
}

/// `Auto` is one of the two orders: lanes where the weights lie contiguous along the sum, the product's shorter side is
/// short or neither is long, and the sum is long for it, chain elsewhere.
#[test]
fn auto_takes_the_documented_order() {
    // One column would lie along the sum in either layout.
    let longest = AUTO_LANES.into_iter().flat_map(|rule| [rule.longest, rule.longest_other]);
    let edges = longest.filter(|longest| *longest < 100).flat_map(|longest| [longest, longest + 1]);
    let sides: Vec<usize> = [2, 3, 16, 17].into_iter().chain(edges).collect::<BTreeSet<_>>().into_iter().collect();
    let transposed = Layout::Columns { step: 1, gap: 0 };
    for isa in isas::all() {
        for (batch, width) in sides.iter().flat_map(|&batch| sides.iter().map(move |&width| (batch, width))) {
            // Sums of at least twenty terms, whose bits tell the orders apart, at each rule's edges and beyond.
            let least = AUTO_LANES.into_iter().map(|rule| rule.terms * (batch.min(width) - 1));
            let terms =
                least.flat_map(|least| [least - 1, least, least + 100]).filter(|terms| (20..1000).contains(terms));
            for terms in terms.collect::<BTreeSet<_>>() {
                let (side, longer) = (batch.min(width), batch.max(width));
                let is_lanes = side <= 20 && terms >= 8 * (side - 1)
                    || (17..=20).contains(&side) && longer <= 40 && terms >= 5 * (side - 1)
                    || longer <= 32 && terms >= 24 * (side - 1);
                for layout in [Layout::Slice, transposed] {
                    let views = |operand| if operand == Operand::W { layout } else { Layout::Slice };
                    let placement = Placement::views(&views);
                    let results = |summation, (inputs, outputs)| {
                        let problem =
                            Problem::new(isas::layer(isa, summation, inputs, outputs, Activation::Identity), batch);
                        let a = problem.forward(&ForwardOptions::ALL[1], &placement).swap_remove(0).1;
                        (a, problem.backward(&BackwardOptions::PLAIN, &placement).swap_remove(2).1)
                    };
                    let forward = |summation| results(summation, (terms, width)).0;
                    let d_a_prev = |summation| results(summation, (width, terms)).1;
                    let (yes, no) = (Summation::Lanes, Summation::Chain);
                    let along_inputs = layout == Layout::Slice;
                    let (expected, other) = if is_lanes && along_inputs { (yes, no) } else { (no, yes) };
                    let what = format!("{batch}×{width} of {terms} terms on {isa} with weights as {layout:?}");
                    assert_bits(&what, &forward(Summation::Auto), &forward(expected));
                    assert_ne!(forward(Summation::Auto), forward(other), "{what}");
                    let (expected, other) = if is_lanes && !along_inputs { (yes, no) } else { (no, yes) };
                    assert_bits(&what, &d_a_prev(Summation::Auto), &d_a_prev(expected));
                    assert_ne!(d_a_prev(Summation::Auto), d_a_prev(other), "{what}");
                }
            }
        }
    }
}

/// Memory that a call must take for uninitialised is written whole: with every option, down to empty shapes.
#[test]
fn uninitialised_outputs_are_written_whole() {
    let sizes = [0, 1, 2, 19];
    let shapes = sizes.into_iter().flat_map(|m| sizes.into_iter().flat_map(move |k| sizes.map(|n| (m, k, n))));
    for (layout, isa) in [(Layout::Rows { step: 1, gap: 3 }, 0), (Layout::Columns { step: 2, gap: 0 }, 1)] {
        let isas = isas::all();
        let isa = isas[isa % isas.len()];
        let layout = |_| layout;
        let placement = Placement::views(&layout);
        for (batch, inputs, outputs) in shapes.clone() {
            for activation in [Activation::Identity, Activation::Sigmoid] {
                let problem = Problem::new(isas::layer(isa, Summation::Auto, inputs, outputs, activation), batch);
                for (index, options) in BackwardOptions::all().enumerate() {
                    problem.check(&ForwardOptions::ALL[index % 4], &options, &placement);
                    if index % 9 == 0 {
                        problem.check_update(&options, &UpdateOptions::ALL[index % 8], &placement);
                    }
                }
            }
        }
    }
}
