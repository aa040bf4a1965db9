//! Calls with one operand of the wrong size, and the errors that they must give.

use crate::support::options::{Above, Kept};
use crate::support::stored::{CANARY, is_canary};
use crate::{BATCH, INPUTS, OUTPUTS, layer};
use fused_dense::{
    Bias, Error, Gradients, Input, MatrixView, MatrixViewMut, Operand, Output, Outputs, Saved, Upstream,
};

/// A call's value for one operand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Given {
    Slice(usize),
    View(usize, usize),
}

/// The right shape of an operand.
pub(crate) fn shape(operand: Operand) -> (usize, usize) {
    match operand {
        Operand::APrev | Operand::DAPrev => (BATCH, INPUTS),
        Operand::W | Operand::DW => (OUTPUTS, INPUTS),
        Operand::B | Operand::DB => (1, OUTPUTS),
        _ => (BATCH, OUTPUTS),
    }
}

/// Memory for every operand of a call, the right size but for one.
struct Operands {
    wrong: Option<(Operand, Given)>,
}

impl Operands {
    fn given(&self, operand: Operand) -> Given {
        let (rows, cols) = shape(operand);
        match self.wrong {
            Some((wrong, given)) if wrong == operand => given,
            _ => Given::Slice(rows * cols),
        }
    }

    fn memory(&self, operand: Operand, fill: f32) -> Vec<f32> {
        let len = match self.given(operand) {
            Given::Slice(len) => len,
            Given::View(rows, cols) => rows * cols,
        };
        vec![fill; len]
    }

    fn input<'a>(&self, operand: Operand, memory: &'a [f32]) -> Input<'a> {
        match self.given(operand) {
            Given::Slice(_) => memory.into(),
            Given::View(rows, cols) => MatrixView::row_major(memory, rows, cols).expect("a valid view").into(),
        }
    }

    fn output<'a>(&self, operand: Operand, memory: &'a mut [f32]) -> Output<'a> {
        match self.given(operand) {
            Given::Slice(_) => memory.into(),
            Given::View(rows, cols) => MatrixViewMut::row_major(memory, rows, cols).expect("a valid view").into(),
        }
    }
}

/// A forward call with one operand wrong.
pub(crate) fn forward(wrong: Option<(Operand, Given)>) -> Result<(), Error> {
    let operands = Operands { wrong };
    let [a_prev, w, b] = [Operand::APrev, Operand::W, Operand::B].map(|operand| operands.memory(operand, 0.5));
    let [mut a, mut z] = [Operand::A, Operand::Z].map(|operand| operands.memory(operand, CANARY));
    let result = layer().forward(
        operands.input(Operand::APrev, &a_prev),
        operands.input(Operand::W, &w),
        Bias::Given(operands.input(Operand::B, &b)),
        Outputs::new(operands.output(Operand::A, &mut a)).z(operands.output(Operand::Z, &mut z)),
    );
    let untouched = [a, z].concat().into_iter().all(is_canary);
    assert_eq!(untouched, result.is_err(), "outputs after {result:?}");
    result
}

/// A backward call with one operand wrong. The kept `dz` stands apart from a `dz` that comes from above.
pub(crate) fn backward(above: Above, kept: Kept, add: bool, wrong: Option<(Operand, Given)>) -> Result<(), Error> {
    let operands = Operands { wrong };
    let (upstream_operand, saved_operand) = (upstream_operand(above), saved_operand(kept));
    let [a_prev, w, saved, upstream] =
        [Operand::APrev, Operand::W, saved_operand, upstream_operand].map(|operand| operands.memory(operand, 0.5));
    let [mut d_w, mut d_b, mut d_a_prev, mut d_z] =
        [Operand::DW, Operand::DB, Operand::DAPrev, Operand::DZ].map(|operand| operands.memory(operand, CANARY));
    let saved = operands.input(saved_operand, &saved);
    let upstream = operands.input(upstream_operand, &upstream);
    let gradients = Gradients::new();
    let (to_w, to_b) = (operands.output(Operand::DW, &mut d_w), operands.output(Operand::DB, &mut d_b));
    let to_a_prev = operands.output(Operand::DAPrev, &mut d_a_prev);
    let gradients = match add {
        true => gradients.add_to_w(to_w).add_to_b(to_b).add_to_a_prev(to_a_prev),
        false => gradients.w(to_w).b(to_b).a_prev(to_a_prev),
    };
    let gradients = match above {
        Above::PreActivation => gradients,
        _ => gradients.z(operands.output(Operand::DZ, &mut d_z)),
    };
    let result = layer().backward(
        operands.input(Operand::APrev, &a_prev),
        operands.input(Operand::W, &w),
        match kept {
            Kept::A => Saved::A(saved),
            Kept::Z => Saved::Z(saved),
        },
        match above {
            Above::Activation => Upstream::Activation(upstream),
            Above::PreActivation => Upstream::PreActivation(upstream),
            Above::Targets => Upstream::Targets(upstream),
        },
        gradients,
    );
    let untouched = [d_w, d_b, d_a_prev, d_z].concat().into_iter().all(is_canary);
    // Adding to NaN canaries may well keep them.
    assert!(untouched || result.is_ok(), "gradients after {result:?}");
    result
}

pub(crate) fn upstream_operand(above: Above) -> Operand {
    match above {
        Above::Activation => Operand::DA,
        Above::PreActivation => Operand::DZ,
        Above::Targets => Operand::Targets,
    }
}

pub(crate) fn saved_operand(kept: Kept) -> Operand {
    match kept {
        Kept::A => Operand::A,
        Kept::Z => Operand::Z,
    }
}

/// Every wrong size for an operand, with the error that it must give.
pub(crate) fn wrong_sizes(operand: Operand) -> Vec<(Given, Error)> {
    let expected = shape(operand);
    let (rows, cols) = expected;
    let view = |found: (usize, usize)| (Given::View(found.0, found.1), Error::Shape { operand, expected, found });
    let slice = |found| (Given::Slice(found), Error::Length { operand, expected: rows * cols, found });
    let wider = view((rows, cols + 1));
    let narrower = view((rows, cols - 1));
    if operand == Operand::APrev {
        // Its rows are the batch: any number of whole ones is right.
        let broken = |found| (Given::Slice(found), Error::NotWholeRows { operand, row_len: cols, found });
        return vec![wider, narrower, broken(rows * cols + 1), broken(rows * cols - 1), broken(1)];
    }
    let mut sizes = vec![wider, narrower, view((rows + 1, cols)), view((rows - 1, cols)), view((0, 0))];
    if rows != cols {
        sizes.push(view((cols, rows)));
    }
    sizes.extend([0, 1, rows * cols - 1, rows * cols + 1, 2 * rows * cols].map(slice));
    sizes
}
