//! Views of any strides give the bits of plain slices, and nothing beside a view is written or used.

#![cfg(not(miri))]

mod support;

use fused_dense::{Activation, MatrixView, MatrixViewMut, Operand, Summation};
use support::isas;
use support::options::{BackwardOptions, Cycle, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement, Stored};
use support::sweep::sweep;

const OPERANDS: [Operand; 11] = [
    Operand::APrev,
    Operand::W,
    Operand::B,
    Operand::Z,
    Operand::A,
    Operand::Targets,
    Operand::DA,
    Operand::DZ,
    Operand::DW,
    Operand::DB,
    Operand::DAPrev,
];

/// Row gaps, column strides, and both of the transposed memory.
const LAYOUTS: [Layout; 6] = [
    Layout::Rows { step: 1, gap: 0 },
    Layout::Rows { step: 1, gap: 5 },
    Layout::Rows { step: 2, gap: 3 },
    Layout::Columns { step: 1, gap: 0 },
    Layout::Columns { step: 1, gap: 7 },
    Layout::Columns { step: 3, gap: 1 },
];

/// `(batch, inputs, outputs)`: within a tile, across tiles, across blocks of the sum.
const SHAPES: [(usize, usize, usize); 5] = [(1, 7, 5), (17, 3, 65), (18, 66, 33), (33, 20, 18), (258, 9, 17)];

/// Checks every shape, instruction set and order of summation with these layouts.
fn check(layout: &dyn Fn(Operand) -> Layout) {
    let placement = Placement::views(layout);
    sweep(SHAPES.into_iter(), |problem, forward, backward| {
        problem.check(forward, backward, &placement);
        // With the order left open, weights of another layout may be summed in another order.
        if problem.layer.summation() != Summation::Auto {
            let [views, plain] = [&placement, &Placement::PLAIN]
                .map(|placement| (problem.forward(forward, placement), problem.backward(backward, placement)));
            problem.assert_equal(&views.0, &plain.0, forward);
            problem.assert_equal(&views.1, &plain.1, backward);
        }
    });
}

#[test]
fn each_operand_alone() {
    for strided in OPERANDS {
        for layout in LAYOUTS {
            check(&|operand| if operand == strided { layout } else { Layout::Slice });
        }
    }
}

#[test]
fn all_operands_together() {
    for layout in LAYOUTS {
        check(&|_| layout);
    }
}

#[test]
fn each_operand_in_another_layout() {
    for first in 0..LAYOUTS.len() {
        check(&|operand| LAYOUTS[(first + operand as usize) % LAYOUTS.len()]);
    }
}

/// The textbook's arrays: features by samples, and weights `[inputs, outputs]`.
#[test]
fn feature_major_arrays() {
    let feature_major = Layout::Columns { step: 1, gap: 0 };
    check(&|operand| match operand {
        Operand::B | Operand::DB => Layout::Slice,
        _ => feature_major,
    });
    check(&|operand| match operand {
        Operand::W | Operand::DW => feature_major,
        _ => Layout::Slice,
    });
}

/// Many rows, far apart in memory, over several blocks of every sum.
#[test]
fn rows_pages_apart() {
    let mut options = Cycle::default();
    for isa in isas::all() {
        for layout in [Layout::Rows { step: 1, gap: 1100 }, Layout::Columns { step: 1, gap: 1100 }] {
            for (batch, inputs, outputs) in
                [(530, 260, 20), (530, 20, 260), (20, 530, 520), (300, 600, 18), (300, 18, 600)]
            {
                let layer = isas::layer(isa, Summation::Chain, inputs, outputs, Activation::Sigmoid);
                let (forward, backward) = options.next();
                Problem::new(layer, batch).check(&forward, &backward, &Placement::views(&|_| layout));
            }
        }
    }
}

/// Along an axis of one element, or of an empty matrix, nothing follows: its stride shows neither in the bits nor in the
/// plan, however large it is.
#[test]
fn strides_that_lead_nowhere() {
    let sizes = [0, 1, 2, 40];
    let shapes = sizes.into_iter().flat_map(|m| sizes.into_iter().flat_map(move |k| sizes.map(|n| (m, k, n))));
    // Longer sums over single rows and columns, which the order of sums and the plan tell apart.
    let shapes = shapes.chain([(1, 300, 1), (300, 1, 1), (1, 1, 300), (300, 1, 70), (1, 300, 70), (70, 300, 1)]);
    for stride in [0, 1, 2, 40, usize::MAX / 2 + 1, usize::MAX] {
        let layout = |_| Layout::Unused(stride);
        let placement = Placement::views(&layout);
        sweep(shapes.clone(), |problem, forward, backward| {
            for problem in [problem, &problem.with_packed_weights()] {
                let [views, plain] = [&placement, &Placement::PLAIN]
                    .map(|placement| (problem.forward(forward, placement), problem.backward(backward, placement)));
                problem.assert_equal(&views.0, &plain.0, forward);
                problem.assert_equal(&views.1, &plain.1, &(stride, backward));
            }
            let steps = [&placement, &Placement::PLAIN]
                .map(|placement| problem.update(backward, &UpdateOptions::ALL[7], placement));
            problem.assert_equal(&steps[0], &steps[1], &(stride, backward));

            let w = Stored::new(&placement, Operand::W, problem.layer.outputs(), problem.layer.inputs(), &problem.w);
            let layer = &problem.layer;
            assert_eq!(layer.describe_with(problem.batch, w.input()), layer.describe(problem.batch), "{problem}");
        });
    }
}

#[test]
fn views_of_the_same_memory_have_the_same_strides() {
    let mut data = [1.0; 40];
    let strides = |view: MatrixView<'_>| (view.rows(), view.cols(), view.row_stride(), view.col_stride());
    for any in [0, 1, 7, 40, usize::MAX] {
        let view = |rows, cols, row_stride, col_stride| MatrixView::new(&data, rows, cols, row_stride, col_stride);
        let view = |rows, cols, rs, cs| view(rows, cols, rs, cs).expect("a valid view");
        assert_eq!(strides(view(40, 1, 1, any)), (40, 1, 1, 1));
        assert_eq!(strides(view(1, 40, any, 1)), (1, 40, 40, 1));
        assert_eq!(strides(view(1, 40, any, 1).transposed()), (40, 1, 1, 1));
        assert_eq!(strides(view(40, 1, 1, any).transposed()), (1, 40, 40, 1));
        assert_eq!(strides(view(1, 10, any, 4)), (1, 10, 40, 4), "as if another row stood behind it");
        assert_eq!(strides(view(10, 1, 4, any)), (10, 1, 4, 1));
        assert_eq!(strides(view(1, 1, any, any)), (1, 1, 1, 1));
        assert_eq!(strides(view(0, 9, any, any)), (0, 9, 9, 1));
        assert_eq!(strides(view(9, 0, any, any)), (9, 0, 0, 1));
        assert_eq!(strides(view(9, 0, any, any).transposed()), (0, 9, 9, 1));
        assert_eq!(view(1, 1, any, any).get(0, 0), Some(1.0));
        assert_eq!(view(1, 40, any, 1).get(0, 39), Some(1.0));
        assert_eq!(view(9, 0, any, any).get(8, 0), None);
        assert!(MatrixViewMut::new(&mut data, 40, 1, 1, any).is_ok());
        assert!(MatrixViewMut::new(&mut data, 1, 40, any, 1).is_ok());
        assert!(MatrixViewMut::new(&mut data, 9, 0, any, any).is_ok());
    }
}

/// Overwrites each row of a matrix by the first.
fn repeat_row(values: &mut [f32], cols: usize) {
    let (first, others) = values.split_at_mut(cols.min(values.len()));
    others.chunks_mut(cols).for_each(|row| row.copy_from_slice(first));
}

/// Overwrites each element by the first of its row.
fn repeat_column(values: &mut [f32], cols: usize) {
    values.chunks_mut(cols).for_each(|row| row.fill(row[0]));
}

#[test]
fn inputs_of_stride_zero() {
    check_repeated(Layout::RepeatedRow, repeat_row);
    check_repeated(Layout::RepeatedColumn, repeat_column);
}

/// Checks each input alone in a layout that repeats what `repeat` makes equal.
fn check_repeated(layout: Layout, repeat: fn(&mut [f32], usize)) {
    sweep(SHAPES.into_iter(), |problem, forward, backward| {
        let mut problem = problem.clone();
        let (inputs, outputs) = (problem.layer.inputs(), problem.layer.outputs());
        repeat(&mut problem.a_prev, inputs);
        repeat(&mut problem.w, inputs);
        for values in [&mut problem.b, &mut problem.d_a, &mut problem.d_z, &mut problem.targets] {
            repeat(values, outputs);
        }
        for repeated in [Operand::APrev, Operand::W, Operand::B, Operand::DA, Operand::DZ, Operand::Targets] {
            // `d_z` is an input only where it comes from above; an output has no stride of 0.
            let keep_dz = backward.keep_dz && repeated != Operand::DZ;
            let layout = |operand| if operand == repeated { layout } else { Layout::Slice };
            problem.check(forward, &BackwardOptions { keep_dz, ..*backward }, &Placement::views(&layout));
        }
    });
}

/// The canaries themselves: each misuse of memory must be noticed.
mod canaries {
    use super::*;

    const GAPS: Placement<'static> = Placement::views(&|_| Layout::Rows { step: 1, gap: 2 });

    #[test]
    #[should_panic(expected = "place beside the elements")]
    fn notice_a_write_into_a_gap() {
        let mut stored = Stored::new(&GAPS, Operand::A, 2, 4, &[1.0; 8]);
        stored.poke(4, 0.0);
        stored.written(Operand::A);
    }

    #[test]
    #[should_panic(expected = "place beside the elements")]
    fn notice_a_write_before_the_first_element() {
        let mut stored = Stored::new(&GAPS, Operand::A, 2, 4, &[1.0; 8]);
        stored.poke(-1, 0.0);
        stored.written(Operand::A);
    }

    #[test]
    #[should_panic(expected = "element that was not written")]
    fn notice_an_element_left_unwritten() {
        Stored::canaries(&GAPS, Operand::A, 2, 4).written(Operand::A);
    }
}
