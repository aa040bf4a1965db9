//! The fused update: the bits of the backward pass with a scalar step behind it.

#![cfg(not(miri))]

mod support;

use core::mem::MaybeUninit;
use fused_dense::{
    Activation, Dense, Error, MatrixViewMut, Operand, Output, Parameter, Sgd, Summation, Team, Update, Upstream,
    Workspace,
};
use support::edges;
use support::isas;
use support::options::{BackwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{CANARY, Layout, Placement, is_canary};
use support::sweep::sweep;

/// Checks every shape `(batch, inputs, outputs)`, with all options taking turns.
fn check(shapes: impl Iterator<Item = (usize, usize, usize)> + Clone, placement: &Placement<'_>) {
    let count = core::cell::Cell::new(0);
    sweep(shapes, |problem, _, backward| {
        count.set(count.get() + 1);
        problem.check_update(backward, &UpdateOptions::ALL[count.get() % UpdateOptions::ALL.len()], placement);
    });
}

#[test]
fn every_remainder() {
    check((1..=70).flat_map(|n| [(1, 5, n), (7, n, 18), (19, 3, n), (5, n, 3)]), &Placement::PLAIN);
}

#[test]
fn edges_of_the_batch() {
    check(edges().flat_map(|batch| [(batch, 19, 3), (batch, 2, 33)]), &Placement::PLAIN);
}

/// One slab of several blocks, and several slabs, whose partial sums stand in the caller's room.
#[test]
fn several_blocks_and_slabs() {
    let shapes = [(256, 70, 30), (257, 30, 70), (1024, 9, 17), (1025, 17, 9), (1100, 70, 20), (2100, 3, 20)];
    check(shapes.into_iter(), &Placement::PLAIN);
    // Rows in pieces.
    check([(3, 70, 1100), (260, 5, 1050), (1030, 3, 1030)].into_iter(), &Placement::PLAIN);
    assert!(Dense::new(70, 30, Activation::Tanh).update_batch().expect("a size") < 1100, "one slab");
}

#[test]
fn empty_batches_and_empty_layers() {
    let sizes = [0, 1, 17];
    let shapes = sizes.into_iter().flat_map(move |m| sizes.into_iter().map(move |k| (m, k)));
    let shapes = shapes.flat_map(move |(m, k)| sizes.into_iter().map(move |n| (m, k, n)));
    check(shapes.filter(|&(m, k, n)| m * k * n == 0), &Placement::PLAIN);
}

/// One sample's product is added to the rows of both halves in pairs, with a row left over or none, on cache lines and beside them,
/// whatever the CPU's tuning row says.
#[test]
fn rows_of_both_halves_in_pairs() {
    let numbers = [
        ("outer_adds_in_pairs", "true"),
        ("outer_pairs_pages_apart", "true"),
        ("dot_parts_min_terms", "0"),
        ("dot_parts_max_terms", "max"),
        ("dot_parts_min_len", "0"),
    ];
    let mut options = UpdateOptions::ALL.iter().cycle();
    for isa in isas::all() {
        let row = isas::row_with(isa, &numbers);
        for (inputs, outputs) in
            [160, 203, 272].into_iter().flat_map(|inputs| (1..=9).map(move |outputs| (inputs, outputs)))
        {
            let layer = isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Sigmoid).with_tuning(row);
            let problem = Problem::new(layer, 1);
            for (margin, update) in [0, 3, 4].into_iter().zip(&mut options) {
                problem.check_update(&BackwardOptions::PLAIN, update, &Placement { margin, ..Placement::PLAIN });
            }
        }
    }
}

#[test]
fn every_option() {
    for isa in isas::all() {
        for batch in [5, 1030] {
            let problem = Problem::new(isas::layer(isa, Summation::Auto, 11, 7, Activation::Sigmoid), batch);
            let step = if batch > 100 { 61 } else { 1 };
            for (backward, update) in BackwardOptions::all()
                .step_by(step)
                .flat_map(|backward| UpdateOptions::ALL.iter().map(move |update| (backward, update)))
            {
                problem.check_update(&backward, update, &Placement::PLAIN);
            }
        }
    }
}

#[test]
fn every_layout() {
    let layouts = [
        Layout::Slice,
        Layout::Columns { step: 1, gap: 0 },
        Layout::Rows { step: 1, gap: 7 },
        Layout::Rows { step: 2, gap: 1 },
        Layout::Columns { step: 3, gap: 2 },
    ];
    let shapes = [(1, 7, 5), (5, 16, 17), (18, 66, 33), (33, 20, 70), (300, 20, 18), (1040, 9, 20)];
    for first in 0..layouts.len() {
        check(shapes.into_iter(), &Placement::views(&|_| layouts[first]));
        check(
            shapes.into_iter(),
            &Placement::views(&|operand| layouts[(first + 2 * operand as usize) % layouts.len()]),
        );
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let teams = [2, 3, 5, 8].map(Team::new);
    for isa in isas::all() {
        for (batch, inputs, outputs) in [(40, 90, 133), (17, 400, 30), (1, 600, 310), (1030, 35, 20), (300, 300, 40)] {
            let layer = isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Sigmoid);
            let serial = Problem::new(layer, batch);
            for (team, options) in teams.iter().zip(UpdateOptions::ALL.iter().skip(4)) {
                let layer = serial.layer.clone().with_threads(team);
                assert!(layer.describe(batch).expect("a plan").d_w.workers > 1, "nothing is shared");
                let shared = Problem { layer, ..serial.clone() };
                // The scale says whether there is room for the whole gradient.
                for scale in [BackwardOptions::PLAIN.scale, 1.0] {
                    let backward = BackwardOptions { scale, ..BackwardOptions::PLAIN };
                    let [found, expected] =
                        [&shared, &serial].map(|one| one.update(&backward, options, &Placement::PLAIN));
                    shared.assert_equal(&found, &expected, options);
                }
            }
        }
    }
}

/// With room for the whole gradient and without: by tiles, and behind the product.
#[test]
fn room_does_not_show_in_the_bits() {
    for isa in isas::all() {
        for (batch, inputs, outputs) in
            [(2, 1024, 3), (64, 1100, 20), (65, 1024, 3), (9, 30, 34), (9, 31, 35), (1, 1030, 9)]
        {
            let layer = isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Sigmoid);
            let problem = Problem::new(layer, batch);
            for update in &UpdateOptions::ALL {
                // The scale says whether there is room.
                for scale in [BackwardOptions::PLAIN.scale, 1.0] {
                    let options = BackwardOptions { scale, ..BackwardOptions::PLAIN };
                    problem.check_update(&options, update, &Placement::PLAIN);
                }
            }
        }
    }
}

/// The result of an update with these operands. It must leave everything alone.
fn refused(batch: usize, wrong: Operand, memory: &mut [f32], workspace_len: Option<usize>) -> Error {
    let layer = Dense::new(4, 2, Activation::Tanh);
    let mut workspace = Workspace::new(workspace_len.unwrap_or(layer.workspace_len().expect("a size")));
    let (x, y) = (vec![0.5; 4 * batch], vec![0.5; 2 * batch]);
    let (mut w, mut b, mut v_w, mut v_b, mut d_x) = ([1.0; 8], [1.0; 2], [1.0; 8], [1.0; 2], vec![1.0; 4 * batch]);
    let mut memory = Some(memory);
    let mut place = |operand, right| -> Output<'_> {
        if operand == wrong { memory.take().expect("one operand is wrong").into() } else { right }
    };
    let result = layer.backward_update_in(
        &mut workspace,
        &x,
        Parameter::new(place(Operand::W, (&mut w).into())).state(place(Operand::VW, (&mut v_w).into())),
        &y,
        Upstream::Activation(&y),
        Update::new(Sgd::new(0.1).momentum(0.5))
            .b(Parameter::new(place(Operand::B, (&mut b).into())).state(place(Operand::VB, (&mut v_b).into())))
            .a_prev(place(Operand::DAPrev, (&mut d_x).into())),
    );
    let untouched = w.iter().chain(&b).chain(&v_w).chain(&v_b).chain(&d_x).all(|&x| x == 1.0);
    assert!(untouched, "operands after {result:?}");
    result.expect_err("operands that do not fit")
}

#[test]
fn operands_of_the_wrong_size() {
    let shapes = [(Operand::W, 8), (Operand::VW, 8), (Operand::B, 2), (Operand::VB, 2), (Operand::DAPrev, 12)];
    for (operand, expected) in shapes {
        for found in [0, expected - 1, expected + 1] {
            let mut memory = vec![CANARY; found];
            let error = refused(3, operand, &mut memory, None);
            assert_eq!(error, Error::Length { operand, expected, found });
            assert!(memory.into_iter().all(is_canary));
            assert!(error.to_string().starts_with(&operand.to_string()));
        }
    }
}

#[test]
fn several_slabs_need_room_for_partial_sums() {
    let max = Dense::new(4, 2, Activation::Tanh).update_batch().expect("a size");
    let error = refused(max + 1, Operand::Z, &mut [], None);
    assert_eq!(error, Error::NoPartialSums { max, found: max + 1 });
    assert!(error.to_string().contains(&max.to_string()));
    let mut wrong = [CANARY; 7];
    let (x, y, mut w) = (vec![0.5; 4 * (max + 1)], vec![0.5; 2 * (max + 1)], [1.0; 8]);
    let result = Dense::new(4, 2, Activation::Tanh).backward_update(
        &x,
        &mut w,
        &y,
        Upstream::Activation(&y),
        Update::new(0.1).partial_sums(&mut wrong),
    );
    assert_eq!(result, Err(Error::Length { operand: Operand::PartialSums, expected: 8, found: 7 }));
    assert!(w == [1.0; 8] && wrong.into_iter().all(is_canary));
}

#[test]
fn a_workspace_that_is_too_small() {
    assert!(matches!(refused(3, Operand::Z, &mut [], Some(16)), Error::WorkspaceTooSmall { found: 16, .. }));
}

#[test]
fn parameters_must_be_initialised() {
    let mut memory = [MaybeUninit::uninit(); 8];
    let w = MatrixViewMut::from_uninit(&mut memory, 2, 4, 4, 1).expect("a valid view");
    let y = [0.5; 2];
    let result = Dense::new(4, 2, Activation::Tanh).backward_update(
        &[0.5; 4],
        w,
        &y,
        Upstream::Activation(&y),
        Update::new(0.1),
    );
    assert_eq!(result, Err(Error::Uninitialised { operand: Operand::W }));
}

/// A call may leave the room as it is, so memory that it is to initialise is no room, needed or not.
#[test]
fn room_must_be_initialised() {
    let layer = Dense::new(4, 2, Activation::Tanh);
    let max = layer.update_batch().expect("a size");
    for batch in [0, 1, 3, max, max + 1] {
        let mut memory = [MaybeUninit::uninit(); 8];
        let room = MatrixViewMut::from_uninit(&mut memory, 2, 4, 4, 1).expect("a valid view");
        let (x, y, mut w) = (vec![0.5; 4 * batch], vec![0.5; 2 * batch], [1.0; 8]);
        let update = Update::new(0.1).partial_sums(room);
        let result = layer.clone().backward_update(&x, &mut w, &y, Upstream::Activation(&y), update);
        assert_eq!(result, Err(Error::Uninitialised { operand: Operand::PartialSums }), "batch {batch}");
        assert_eq!(w, [1.0; 8]);
    }
}
