//! Sums without terms, whose operands have rows but no elements: results, and under Miri that no address is formed inside
//! memory that there is none of. Small enough for that.

mod support;

use fused_dense::{Activation, Dense, Gradients, MatrixView, Upstream};
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};

#[test]
fn a_layer_without_inputs() {
    for stride in [0, 1, 1000, usize::MAX] {
        let nothing = MatrixView::new(&[], 5, 0, stride, 1).expect("a valid view");
        let mut a = [0.0; 10];
        Dense::new(0, 2, Activation::Identity).forward(nothing, &[], &[1.0, 2.0], &mut a).expect("a valid call");
        assert_eq!(a, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    }
}

/// The left operand of `dw` is a `dz` without rows, and tiles are several rows high.
#[test]
fn a_batch_without_samples() {
    for stride in [0, 1, 1000, usize::MAX] {
        let nothing = |cols| MatrixView::new(&[], 0, cols, stride, 1).expect("a valid view");
        let (mut d_w, mut d_b) = ([9.0; 9 * 5], [9.0; 9]);
        let upstream = Upstream::PreActivation(nothing(9));
        let gradients = Gradients::new().w(&mut d_w).b(&mut d_b);
        let mut layer = Dense::new(5, 9, Activation::Tanh);
        layer.backward(nothing(5), &[1.0; 45], nothing(9), upstream, gradients).expect("a valid call");
        assert_eq!((d_w, d_b), ([0.0; 45], [0.0; 9]));
    }
}

#[test]
fn shapes_with_an_empty_side() {
    let sizes = [0, 1, 9];
    let shapes = sizes.into_iter().flat_map(|m| sizes.into_iter().flat_map(move |k| sizes.map(|n| (m, k, n))));
    // Views, because slices cannot tell how many rows of nothing they are.
    let layouts = [Layout::Rows { step: 1, gap: 0 }, Layout::Unused(1000), Layout::Columns { step: 1, gap: 2 }];
    for (batch, inputs, outputs) in shapes.filter(|(m, k, n)| m * k * n == 0) {
        for (index, isa) in isas::all().into_iter().enumerate() {
            for (order, summation) in SUMMATIONS.into_iter().enumerate() {
                let layer = isas::layer(isa, summation, inputs, outputs, Activation::Relu);
                let problem = Problem::new(layer, batch);
                let layout = |operand| layouts[(index + order + operand as usize) % 3];
                let placement = Placement { margin: 0, ..Placement::views(&layout) };
                for from in 0..3 {
                    let options = BackwardOptions::nth(27 * from + index);
                    problem.check(&ForwardOptions::ALL[from], &options, &placement);
                    problem.with_packed_weights().check(&ForwardOptions::ALL[from], &options, &placement);
                    problem.check_update(&options, &UpdateOptions::ALL[7], &placement);
                }
            }
        }
    }
}
