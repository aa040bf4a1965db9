//! No call reads or writes outside its operands: each lies flush against an inaccessible page, at its last element or
//! at its first, so that one element too far faults.

#![cfg(all(unix, not(miri)))]

mod support;

use fused_dense::{Activation, Operand, Saved, Summation, loss};
use support::guarded::{Flush, Guarded};
use support::isas;
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};
use support::sweep::sweep;
use support::{compare::assert_bits, values};

/// Operands in guarded memory, on both sides in turn.
fn placements<'p>(layout: &'p dyn Fn(Operand) -> Layout) -> [Placement<'p>; 2] {
    [
        Placement { layout, allocate: |len| Box::new(Guarded::new(len, Flush::Last)), margin: 0 },
        Placement { layout, allocate: |len| Box::new(Guarded::new(len, Flush::First)), margin: 0 },
    ]
}

fn check(layout: &dyn Fn(Operand) -> Layout, shapes: impl Iterator<Item = (usize, usize, usize)> + Clone) {
    sweep(shapes, |problem, forward, backward| {
        for placement in placements(layout) {
            problem.check(forward, backward, &placement);
            problem.with_packed_weights().check(forward, backward, &placement);
        }
    });
}

fn plain(_: Operand) -> Layout {
    Layout::Slice
}

#[test]
fn plain_slices_with_every_remainder_of_outputs() {
    check(&plain, (1..=65).flat_map(|outputs| [(1, 5, outputs), (7, 17, outputs), (34, 3, outputs)]));
}

#[test]
fn plain_slices_with_every_remainder_of_inputs() {
    check(&plain, (1..=65).flat_map(|inputs| [(1, inputs, 5), (7, inputs, 17), (34, inputs, 3)]));
}

#[test]
fn plain_slices_with_every_remainder_of_the_batch() {
    check(&plain, (1..=35).flat_map(|batch| [(batch, 5, 17), (batch, 17, 5)]));
}

#[test]
fn plain_slices_over_several_blocks() {
    check(
        &plain,
        [(255, 3, 9), (257, 9, 3), (3, 257, 9), (9, 3, 257), (65, 300, 65), (1100, 37, 1), (1100, 2, 3)].into_iter(),
    );
}

/// A few outputs as rows of the transposed product, from registers and by tiles, whatever the CPU's tuning row says.
#[test]
fn few_outputs_as_rows() {
    let rows = [("dot_columns_as_rows_max", "max"), ("dot_columns_as_rows_min_len", "0")];
    for isa in isas::all() {
        for outputs_from in ["0", "max"] {
            let row = isas::row_with(isa, &[&rows[..], &[("short_dots_min_outputs", outputs_from)]].concat());
            for (inputs, outputs) in [1, 16, 30, 64, 90, 112].into_iter().flat_map(|k| (1..=5).map(move |n| (k, n))) {
                let layer = isas::layer(isa, Summation::Lanes, inputs, outputs, Activation::Tanh).with_tuning(row);
                for batch in [7, 8, 17] {
                    let problem = Problem::new(layer.clone(), batch);
                    for placement in placements(&plain) {
                        problem.check(&ForwardOptions::ALL[0], &BackwardOptions::PLAIN, &placement);
                    }
                }
            }
        }
    }
}

/// One sample and a few over columns that are read by parts, whatever the CPU's tuning row says.
#[test]
fn few_rows_by_parts_of_their_columns() {
    let numbers = [
        ("dot_parts_min_terms", "0"),
        ("dot_parts_max_terms", "max"),
        ("dot_parts_min_len", "0"),
        ("dot_parts_rows_min_terms", "0"),
    ];
    for isa in isas::all() {
        let row = isas::row_with(isa, &numbers);
        for (inputs, outputs) in [1, 16, 30, 240, 256, 271].into_iter().flat_map(|k| [(k, 1), (k, 7), (k, 19)]) {
            let layer = isas::layer(isa, Summation::Lanes, inputs, outputs, Activation::Tanh).with_tuning(row);
            for batch in 1..=3 {
                let problem = Problem::new(layer.clone(), batch);
                for placement in placements(&plain) {
                    problem.check(&ForwardOptions::ALL[0], &BackwardOptions::PLAIN, &placement);
                }
            }
        }
    }
}

const SHAPES: [(usize, usize, usize); 6] =
    [(1, 7, 5), (5, 16, 17), (17, 3, 65), (18, 66, 33), (33, 20, 18), (257, 9, 17)];

#[test]
fn rows_with_gaps() {
    check(&|_| Layout::Rows { step: 1, gap: 3 }, SHAPES.into_iter());
    check(&|_| Layout::Rows { step: 2, gap: 1 }, SHAPES.into_iter());
}

#[test]
fn feature_major_arrays() {
    check(&|_| Layout::Columns { step: 1, gap: 0 }, SHAPES.into_iter());
    check(&|_| Layout::Columns { step: 2, gap: 3 }, SHAPES.into_iter());
}

#[test]
fn mixed_layouts() {
    let layouts = [Layout::Slice, Layout::Columns { step: 1, gap: 1 }, Layout::Rows { step: 1, gap: 1 }];
    for first in 0..layouts.len() {
        check(&|operand| layouts[(first + operand as usize) % layouts.len()], SHAPES.into_iter());
    }
}

#[test]
fn activations_alone() {
    for isa in isas::all() {
        for &g in Activation::all() {
            for (len, flush) in (0..=130).flat_map(|len| [(len, Flush::First), (len, Flush::Last)]) {
                let guarded = |values: &[f32]| Guarded::of(values, flush);
                let (z, d_a) = (values(len, 1), values(len, 2));
                let (mut a, mut d_z) = (vec![0.0; len], vec![0.0; len]);
                g.forward_with_isa(isa, &z, &mut a).expect("a valid call");
                let (mut guarded_a, mut guarded_d_z) = (Guarded::new(len, flush), Guarded::new(len, flush));
                g.forward_with_isa(isa, &guarded(&z), &mut guarded_a).expect("a valid call");
                assert_bits(format_args!("{g} of {len} on {isa}"), &guarded_a, &a);
                if !g.needs_z() {
                    g.backward_with_isa(isa, &a, &d_a, &mut d_z).expect("a valid call");
                    g.backward_with_isa(isa, &*guarded_a, &guarded(&d_a), &mut guarded_d_z).expect("a valid call");
                    assert_bits(format_args!("{g}' of {len} on {isa}"), &guarded_d_z, &d_z);
                }

                g.backward_with_isa(isa, Saved::z(&z), &d_a, &mut d_z).expect("a valid call");
                g.backward_with_isa(isa, Saved::z(&*guarded(&z)), &guarded(&d_a), &mut guarded_d_z)
                    .expect("a valid call");
                assert_bits(format_args!("{g}' from z of {len} on {isa}"), &guarded_d_z, &d_z);
            }
        }
    }
}

#[test]
fn cross_entropy_alone() {
    for isa in isas::all() {
        for (len, flush) in (0..=70).flat_map(|len| [(len, Flush::First), (len, Flush::Last)]) {
            let (z, y) = (values(len, 1), values(len, 2));
            let of = |z: &[f32], y: &[f32]| {
                let cost = loss::binary_cross_entropy_from_z_with_isa(isa, z, y, 1).expect("a valid call");
                cost.to_bits()
            };
            assert_eq!(of(&Guarded::of(&z, flush), &Guarded::of(&y, flush)), of(&z, &y), "{len} on {isa}");
        }
    }
}

#[test]
fn updates() {
    let layouts = [Layout::Slice, Layout::Columns { step: 1, gap: 1 }, Layout::Rows { step: 1, gap: 1 }];
    let shapes = (1..=40).map(|n| (3, n, 5)).chain([(1, 70, 37), (5, 16, 17), (257, 9, 17)]);
    for first in 0..layouts.len() {
        let mixed = |operand: Operand| layouts[(first + operand as usize) % layouts.len()];
        let mut turns = UpdateOptions::ALL.iter().cycle();
        let layouts: [&dyn Fn(Operand) -> Layout; 2] = [&mixed, &|_| layouts[first]];
        for (layout, isa) in
            layouts.into_iter().flat_map(|layout| isas::all().into_iter().map(move |isa| (layout, isa)))
        {
            for (batch, inputs, outputs) in shapes.clone() {
                let layer = isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Identity);
                let options = turns.next().expect("a cycle");
                for placement in placements(layout) {
                    Problem::new(layer.clone(), batch).check_update(&BackwardOptions::PLAIN, options, &placement);
                }
            }
        }
    }
}
