//! Bad input: the error says which operand, what was expected and what was found, and no output was touched.

mod support;

use core::mem::MaybeUninit;
use fused_dense::{
    Activation, Bias, Cost, Dense, Error, Gradients, Input, Isa, MatrixView, MatrixViewMut, Network, Operand, Output,
    Outputs, Saved, Team, Threads, Update, Upstream, Workspace,
};
use support::options::{Above, Kept};
use support::stored::{CANARY, is_canary};

const BATCH: usize = 3;
const INPUTS: usize = 4;
const OUTPUTS: usize = 2;

/// A call's value for one operand.
#[derive(Clone, Copy, Debug)]
enum Given {
    Slice(usize),
    View(usize, usize),
}

/// The right shape of an operand.
fn shape(operand: Operand) -> (usize, usize) {
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

fn layer() -> Dense {
    Dense::new(INPUTS, OUTPUTS, Activation::Sigmoid)
}

/// A forward call with one operand wrong.
fn forward(wrong: Option<(Operand, Given)>) -> Result<(), Error> {
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
fn backward(above: Above, kept: Kept, add: bool, wrong: Option<(Operand, Given)>) -> Result<(), Error> {
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

fn upstream_operand(above: Above) -> Operand {
    match above {
        Above::Activation => Operand::DA,
        Above::PreActivation => Operand::DZ,
        Above::Targets => Operand::Targets,
    }
}

fn saved_operand(kept: Kept) -> Operand {
    match kept {
        Kept::A => Operand::A,
        Kept::Z => Operand::Z,
    }
}

/// Every wrong size for an operand, with the error that it must give.
fn wrong_sizes(operand: Operand) -> Vec<(Given, Error)> {
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

#[test]
fn every_operand_of_forward() {
    assert_eq!(forward(None), Ok(()));
    for operand in [Operand::APrev, Operand::W, Operand::B, Operand::A, Operand::Z] {
        for (given, error) in wrong_sizes(operand) {
            assert_eq!(forward(Some((operand, given))), Err(error), "{operand} given as {given:?}");
        }
    }
}

#[test]
fn every_operand_of_backward() {
    for above in [Above::Activation, Above::PreActivation, Above::Targets] {
        for (kept, add) in [(Kept::A, false), (Kept::A, true), (Kept::Z, false), (Kept::Z, true)] {
            assert_eq!(backward(above, kept, add, None), Ok(()));
            let always = [Operand::APrev, Operand::W, Operand::DW, Operand::DB, Operand::DAPrev, Operand::DZ];
            for operand in always.into_iter().chain([saved_operand(kept), upstream_operand(above)]) {
                for (given, error) in wrong_sizes(operand) {
                    let found = backward(above, kept, add, Some((operand, given)));
                    assert_eq!(found, Err(error), "{operand} given as {given:?}, {above:?}, {kept:?}");
                }
            }
        }
    }
}

#[test]
fn another_batch_is_a_wrong_output() {
    let found = forward(Some((Operand::APrev, Given::Slice(5 * INPUTS))));
    assert_eq!(found, Err(Error::Length { operand: Operand::A, expected: 5 * OUTPUTS, found: BATCH * OUTPUTS }));
    let found = forward(Some((Operand::APrev, Given::View(1, INPUTS))));
    assert_eq!(found, Err(Error::Length { operand: Operand::A, expected: OUTPUTS, found: BATCH * OUTPUTS }));
}

/// Without inputs, or without outputs, a slice cannot tell the batch; another operand does.
#[test]
fn empty_rows_must_be_empty_slices() {
    let mut a = [CANARY; 6];
    let error = Error::Length { operand: Operand::APrev, expected: 0, found: 3 };
    assert_eq!(Dense::new(0, 2, Activation::Tanh).forward(&[0.0; 3], &[], Bias::None, &mut a), Err(error));
    assert!(a.into_iter().all(is_canary));
    let error = Error::Length { operand: Operand::A, expected: 0, found: 6 };
    assert_eq!(Dense::new(2, 0, Activation::Tanh).forward(&[0.0; 4], &[], Bias::None, &mut a), Err(error));
    assert!(a.into_iter().all(is_canary));
    assert_eq!(Dense::new(0, 2, Activation::Identity).forward(&[], &[], &[1.0, 2.0], &mut a), Ok(()));
    assert_eq!(a, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0], "the batch of `a`");
}

#[test]
fn gradients_added_to_must_be_initialised() {
    for operand in [Operand::DW, Operand::DB, Operand::DAPrev] {
        let (rows, cols) = shape(operand);
        let mut memory = vec![MaybeUninit::uninit(); rows * cols];
        let view = MatrixViewMut::from_uninit(&mut memory, rows, cols, cols, 1).expect("a valid view");
        let mut others = vec![CANARY; OUTPUTS * INPUTS];
        let gradients = match operand {
            Operand::DW => Gradients::new().add_to_w(view).b(&mut others[..OUTPUTS]),
            Operand::DB => Gradients::new().add_to_b(view).w(&mut others),
            _ => Gradients::new().add_to_a_prev(view).w(&mut others),
        };
        let result = layer().backward(
            &[0.0; BATCH * INPUTS],
            &[0.0; OUTPUTS * INPUTS],
            &[0.0; BATCH * OUTPUTS],
            Upstream::Activation(&[0.0; BATCH * OUTPUTS]),
            gradients,
        );
        assert_eq!(result, Err(Error::Uninitialised { operand }));
        assert!(others.into_iter().all(is_canary));
    }
}

#[test]
fn targets_need_a_sigmoid() {
    for &found in Activation::all() {
        let mut d_w = [CANARY; 1];
        let result = Dense::new(1, 1, found).backward(
            &[1.0],
            &[1.0],
            &[0.5],
            Upstream::Targets(&[1.0]),
            Gradients::new().w(&mut d_w),
        );
        if found == Activation::Sigmoid {
            assert_eq!(result, Ok(()));
        } else {
            assert_eq!(result, Err(Error::TargetsNeedSigmoid { found }));
            assert!(is_canary(d_w[0]));
        }
    }
}

#[test]
fn activations_alone_take_slices_of_one_length() {
    for isa in Isa::available() {
        for &g in Activation::all() {
            let mut out = [CANARY; 3];
            let error = Error::Length { operand: Operand::A, expected: 4, found: 3 };
            assert_eq!(g.forward(&[0.0; 4], &mut out), Err(error.clone()));
            assert_eq!(g.forward_with_isa(isa, &[0.0; 4], &mut out), Err(error));

            let d_a = [0.0; 3];
            let error = |operand| Err(Error::Length { operand, expected: 3, found: 2 });
            assert_eq!(g.backward_with_isa(isa, Saved::z(&[0.0; 2]), &d_a, &mut out), error(Operand::Z));
            assert_eq!(g.backward(Saved::z(&[0.0; 3]), &d_a, &mut out[..2]), error(Operand::DZ));

            let view = MatrixView::new(&[0.0; 6], 1, 3, 6, 2).expect("a valid view");
            let not_a_slice = |operand| Err(Error::NotASlice { operand });
            assert_eq!(g.backward(Saved::z(view), &d_a, &mut out), not_a_slice(Operand::Z));
            if !g.needs_z() {
                assert_eq!(g.backward(&[0.0; 2], &d_a, &mut out), error(Operand::A));
                assert_eq!(g.backward(&[0.0; 3], &d_a, &mut out[..2]), error(Operand::DZ));
                assert_eq!(g.backward(view, &d_a, &mut out), not_a_slice(Operand::A));
            }
            assert!(out.into_iter().all(is_canary));
            let rows = MatrixView::row_major(&d_a, 3, 1).expect("a valid view");
            assert_eq!(g.backward(Saved::z(rows), &[1.0; 3], &mut out), Ok(()), "rows without gaps are a slice");
        }
    }
}

#[test]
fn views_keep_inside_their_slice() {
    let mut data = [0.0; 13];
    let needs = |expected, found| Error::OutOfBounds { expected: Some(expected), found };
    // Three rows of four, five apart: the last element is the fourteenth.
    assert_eq!(MatrixView::new(&data, 3, 4, 5, 1).err(), Some(needs(14, 13)));
    assert_eq!(MatrixViewMut::new(&mut data, 3, 4, 5, 1).err(), Some(needs(14, 13)));
    assert_eq!(MatrixView::new(&data, 4, 3, 1, 5).err(), Some(needs(14, 13)));
    assert_eq!(MatrixView::row_major(&data, 2, 7).err(), Some(needs(14, 13)));
    assert_eq!(MatrixViewMut::row_major(&mut data, 2, 7).err(), Some(needs(14, 13)));
    assert_eq!(MatrixView::new(&[], 1, 1, 0, 0).err(), Some(needs(1, 0)));
    let mut uninit = [MaybeUninit::uninit(); 13];
    assert_eq!(MatrixViewMut::from_uninit(&mut uninit, 3, 4, 5, 1).err(), Some(needs(14, 13)));

    assert!(MatrixView::new(&[0.0; 14], 3, 4, 5, 1).is_ok());
    assert!(MatrixView::new(&data, 1000, 13, 0, 1).is_ok(), "a repeated row");
    assert!(MatrixView::new(&[], 0, 1000, 1000, 1).is_ok(), "no rows");
    assert!(MatrixViewMut::new(&mut [], 1000, 0, 1000, 1).is_ok(), "no columns");
}

#[test]
fn views_of_absurd_size_are_out_of_bounds() {
    const MAX: usize = usize::MAX;
    let mut data = [0.0; 8];
    let overflow = Some(Error::OutOfBounds { expected: None, found: 8 });
    let sizes = [(MAX, 2, MAX, 1), (2, MAX, 1, MAX), (2, 2, MAX, MAX), (MAX, MAX, MAX, MAX), (MAX, 1, 2, 1)];
    for (rows, cols, row_stride, col_stride) in sizes {
        assert_eq!(MatrixView::new(&data, rows, cols, row_stride, col_stride).err(), overflow);
        assert_eq!(MatrixViewMut::new(&mut data, rows, cols, row_stride, col_stride).err(), overflow);
    }
    let all_of_memory = Some(Error::OutOfBounds { expected: Some(MAX), found: 8 });
    assert_eq!(MatrixView::new(&data, MAX, 1, 1, 1).err(), all_of_memory);
    assert_eq!(MatrixViewMut::new(&mut data, MAX, 1, 1, 1).err(), all_of_memory);
}

#[test]
fn mutable_views_do_not_overlap_themselves() {
    let mut data = [0.0; 100];
    for (shape, strides) in [
        ((3, 4), (3, 1)),
        ((3, 4), (0, 1)),
        ((3, 4), (1, 0)),
        ((3, 4), (1, 2)),
        ((3, 4), (1, 1)),
        ((3, 3), (2, 3)),
        ((2, 2), (0, 0)),
        ((2, 1), (0, 1)),
        ((1, 2), (1, 0)),
    ] {
        let view = MatrixViewMut::new(&mut data, shape.0, shape.1, strides.0, strides.1);
        assert_eq!(view.err(), Some(Error::Overlapping { shape, strides }));
    }
    for ((rows, cols), (row_stride, col_stride)) in [
        ((3, 4), (4, 1)),
        ((3, 4), (1, 3)),
        ((3, 4), (7, 2)),
        ((1, 4), (0, 1)),
        ((4, 1), (1, 0)),
        ((1, 1), (0, 0)),
        ((0, 9), (0, 0)),
    ] {
        assert!(MatrixViewMut::new(&mut data, rows, cols, row_stride, col_stride).is_ok(), "{rows}×{cols}");
    }
}

/// Every small shape with every small stride: accepted where one stride reaches past the whole extent of the other, and
/// then no two elements share a place and none lies outside.
#[test]
fn accepted_views_are_sound() {
    const LEN: usize = 24;
    let mut data: [f32; LEN] = core::array::from_fn(|at| at as f32);
    let sizes = 0..=4_usize;
    let shapes = sizes.clone().flat_map(|rows| sizes.clone().map(move |cols| (rows, cols)));
    for (rows, cols) in shapes {
        for (row_stride, col_stride) in (0..=9_usize).flat_map(|rs| (0..=9_usize).map(move |cs| (rs, cs))) {
            let elements = (0..rows).flat_map(|i| (0..cols).map(move |j| i * row_stride + j * col_stride));
            let mut places: Vec<usize> = elements.collect();
            let is_inside = places.iter().all(|&place| place < LEN);
            let view = MatrixView::new(&data, rows, cols, row_stride, col_stride);
            assert_eq!(view.is_ok(), is_inside);
            if let Ok(view) = view {
                let read = (0..rows).flat_map(|i| (0..cols).map(move |j| view.get(i, j).expect("an element")));
                assert!(read.eq(places.iter().map(|&place| place as f32)));
                assert_eq!((view.get(rows, 0), view.get(0, cols)), (None, None));
                let transposed = view.transposed();
                assert_eq!((transposed.rows(), transposed.cols()), (cols, rows));
                let same = MatrixView::new(&data, cols, rows, col_stride, row_stride).expect("a valid view");
                let strides = |view: MatrixView<'_>| (view.row_stride(), view.col_stride());
                assert_eq!(strides(transposed), strides(same));
                if rows > 1 && cols > 1 {
                    assert_eq!(strides(view), (row_stride, col_stride));
                    assert_eq!(strides(transposed), (col_stride, row_stride));
                }
            }

            let reaches_past = |outer: (usize, usize), inner: (usize, usize)| {
                (inner.0 == 1 || inner.1 > 0) && (outer.0 == 1 || outer.1 > (inner.0 - 1) * inner.1)
            };
            let (by_rows, by_cols) = ((rows, row_stride), (cols, col_stride));
            let is_apart = places.is_empty() || reaches_past(by_rows, by_cols) || reaches_past(by_cols, by_rows);
            let is_accepted = MatrixViewMut::new(&mut data, rows, cols, row_stride, col_stride).is_ok();
            assert_eq!(is_accepted, is_inside && is_apart, "{rows}×{cols} by {row_stride}, {col_stride}");
            places.sort_unstable();
            let is_distinct = places.windows(2).all(|pair| pair[0] != pair[1]);
            assert!(!is_accepted || is_distinct, "{rows}×{cols} by {row_stride}, {col_stride}");
        }
    }
}

#[test]
fn a_workspace_must_be_large_enough() {
    let layer = layer();
    let expected = layer.workspace_len().expect("a size");
    let (x, w, b) = ([0.0; BATCH * INPUTS], [0.0; OUTPUTS * INPUTS], [0.0; OUTPUTS]);
    for len in [0, 1, expected - 16] {
        let mut workspace = Workspace::new(len);
        let found = workspace.len();
        assert!((len..len + 16).contains(&found));
        let mut a = [CANARY; BATCH * OUTPUTS];
        let result = layer.forward_in(&mut workspace, &x, &w, &b, &mut a);
        assert_eq!(result, Err(Error::WorkspaceTooSmall { expected, found }));
        let mut d_w = [CANARY; OUTPUTS * INPUTS];
        let upstream = Upstream::Activation(&a);
        let result = layer.backward_in(&mut workspace, &x, &w, &a, upstream, Gradients::new().w(&mut d_w));
        assert_eq!(result, Err(Error::WorkspaceTooSmall { expected, found }));
        assert!(a.into_iter().chain(d_w).all(is_canary));
    }
    let mut a = [CANARY; BATCH * OUTPUTS];
    assert_eq!(layer.forward_in(&mut Workspace::new(expected), &x, &w, &b, &mut a), Ok(()));
}

#[test]
fn sizes_that_overflow() {
    let w = Error::TooLarge { operand: Operand::W };
    for (inputs, outputs) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX)] {
        let mut layer = Dense::new(inputs, outputs, Activation::Sigmoid);
        assert_eq!(layer.workspace_len(), Err(w.clone()), "{inputs}→{outputs}");
        assert!(layer.forward(&[], &[], Bias::None, &mut []).is_err());
    }
    assert_eq!(Dense::new(usize::MAX, 2, Activation::Tanh).forward(&[], &[], Bias::None, &mut []), Err(w));

    // More than memory can hold, though it fits `usize`.
    let mut layer = Dense::new(1 << 54, 1, Activation::Sigmoid);
    let expected = layer.workspace_len().expect("a size");
    let repeated = MatrixView::new(&[1.0], 1, 1 << 54, 0, 0).expect("a valid view");
    let mut a = [CANARY];
    let result = layer.forward(repeated, repeated, Bias::None, &mut a);
    assert_eq!(result, Err(Error::WorkspaceTooSmall { expected, found: 0 }));
    assert!(is_canary(a[0]));

    // A batch as large as numbers go, repeated from one sample.
    let sample = [1.0; INPUTS];
    let repeated = MatrixView::new(&sample, usize::MAX, INPUTS, 0, 1).expect("a valid view");
    let mut a = [CANARY; OUTPUTS];
    let result = layer_of(INPUTS, OUTPUTS).forward(repeated, &[0.0; INPUTS * OUTPUTS], Bias::None, &mut a);
    assert_eq!(result, Err(Error::TooLarge { operand: Operand::A }));
    let result = layer_of(INPUTS, 1).forward(repeated, &sample, Bias::None, &mut a);
    assert_eq!(result, Err(Error::Length { operand: Operand::A, expected: usize::MAX, found: OUTPUTS }));
    assert_eq!(layer_of(INPUTS, 0).forward(repeated, &[], Bias::None, &mut []), Ok(()), "nothing to compute");
    assert!(a.into_iter().all(is_canary));
}

#[test]
#[cfg(feature = "rayon")]
fn no_call_has_more_workers_than_a_team() {
    let with_workers =
        |max| Dense::new(8, 8, Activation::Sigmoid).with_threads(Threads::CurrentPool { max }).workspace_len();
    assert_eq!(with_workers(usize::MAX), with_workers(Team::MAX_THREADS));
}

/// No number is too large to be asked about: what does not fit is an error, also with threads.
#[test]
fn numbers_as_large_as_they_come() {
    const MAX: usize = usize::MAX;
    let threads = [
        Threads::Serial,
        Threads::Team(Team::new(2)),
        #[cfg(feature = "rayon")]
        Threads::Pool(rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool").into()),
    ];
    let sizes = [0, 1, 3, 1000, MAX / 64, MAX / 16, MAX / 5, MAX / 4, MAX / 4 + 1, MAX / 2, MAX - 1, MAX];
    for threads in threads {
        for (inputs, outputs) in sizes.into_iter().flat_map(|inputs| sizes.map(|outputs| (inputs, outputs))) {
            let layer = layer_of(inputs, outputs).with_threads(threads.clone());
            for batch in sizes {
                let too_large = |operand| Err(Error::TooLarge { operand });
                let expected = match layer.workspace_len() {
                    Err(error) => Err(error),
                    Ok(_) if batch.saturating_mul(inputs.max(1)) > MAX / 4 => too_large(Operand::APrev),
                    Ok(_) if batch.saturating_mul(outputs.max(1)) > MAX / 4 => too_large(Operand::A),
                    Ok(_) => Ok(()),
                };
                assert_eq!(layer.describe(batch).map(|_| ()), expected, "{batch}×{inputs}→{outputs}");
            }
            let weights = MatrixView::new(&[1.0], outputs, inputs, 0, 0);
            let Ok(weights) = weights else { continue };
            assert_eq!(layer.describe_with(1, weights).map(|_| ()), layer.describe(1).map(|_| ()));
            if inputs.max(outputs) > 1000 && inputs.min(outputs) > 0 {
                assert_eq!(
                    layer.pack(weights).err(),
                    Some(Error::TooLarge { operand: Operand::W }),
                    "{inputs}→{outputs}"
                );
            }
        }

        // As many samples of one, repeated.
        let samples = |cols: usize| MatrixView::new(&[1.0; 3][..cols], MAX, cols, 0, 1).expect("a valid view");
        let (mut d_w, mut d_b) = ([CANARY; 6], [CANARY; 2]);
        let gradients = Gradients::new().w(&mut d_w).b(&mut d_b);
        let upstream = Upstream::Activation(samples(2));
        let mut layer = layer_of(3, 2).with_threads(threads.clone());
        let result = layer.backward(samples(3), &[1.0; 6], samples(2), upstream, gradients);
        assert_eq!(result, Err(Error::TooLarge { operand: Operand::APrev }));
        assert!(d_w.into_iter().chain(d_b).all(is_canary));
        let mut layer = layer_of(3, 0).with_threads(threads.clone());
        assert_eq!(layer.forward(samples(3), &[], Bias::None, &mut []), Ok(()), "nothing to compute");
        let mut network =
            Network::of([layer_of(3, 0).with_threads(threads.clone())]).max_batch(MAX).build().expect("a chain");
        assert_eq!(network.forward(samples(3)), Ok(&[][..]));
    }
    assert!(Workspace::new(MAX).is_empty() && Workspace::new(MAX / 4).is_empty());
}

/// An argument whose conversion panics.
struct Panics;

impl From<Panics> for Input<'_> {
    fn from(_: Panics) -> Self {
        panic!("as it was told to");
    }
}

impl From<Panics> for Output<'_> {
    fn from(_: Panics) -> Self {
        panic!("as it was told to");
    }
}

/// A panic of the caller's own, on the way into a call, leaves the layer as it was.
#[test]
fn a_conversion_that_panics_leaves_the_workspace() {
    let (x, w, b, y) = ([0.5; BATCH * INPUTS], [0.5; OUTPUTS * INPUTS], [0.5; OUTPUTS], [0.5; BATCH * OUTPUTS]);
    let mut layer = layer();
    let above = || Upstream::Targets(&y);
    type Call<'c> = &'c dyn Fn(&mut Dense) -> Result<(), Error>;
    let calls: [Call<'_>; 10] = [
        &|layer| layer.forward(Panics, &w, &b, &mut [0.0; BATCH * OUTPUTS]),
        &|layer| layer.forward(&x, Panics, &b, &mut [0.0; BATCH * OUTPUTS]),
        &|layer| layer.forward(&x, &w, Panics, &mut [0.0; BATCH * OUTPUTS]),
        &|layer| layer.forward(&x, &w, &b, Panics),
        &|layer| layer.backward(Panics, &w, &y, above(), Gradients::new()),
        &|layer| layer.backward(&x, &w, Panics, above(), Gradients::new()),
        &|layer| layer.backward(&x, &w, &y, Upstream::Targets(Panics), Gradients::new()),
        &|layer| layer.backward_update(Panics, &mut w.clone(), &y, above(), Update::new(0.1)),
        &|layer| layer.backward_update(&x, Panics, &y, above(), Update::new(0.1)),
        &|layer| layer.backward_update(&x, &mut w.clone(), &y, Upstream::Targets(Panics), Update::new(0.1)),
    ];
    for (index, call) in calls.iter().enumerate() {
        let panicked = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| call(&mut layer)));
        assert!(panicked.is_err(), "call {index}");
        assert_eq!(layer.forward(&x, &w, &b, &mut [0.0; BATCH * OUTPUTS]), Ok(()), "after call {index}");
    }
}

fn layer_of(inputs: usize, outputs: usize) -> Dense {
    Dense::new(inputs, outputs, Activation::Sigmoid)
}

/// A build for a newer CPU holds no kernels for older ones, and says so when they are asked for.
#[test]
fn a_cap_below_what_the_build_holds() {
    let lowest = *support::isas::all().last().expect("an instruction set");
    for &cap in Isa::ALL {
        let layer = Dense::new(1, 1, Activation::Sigmoid).with_isa(cap);
        let mut a = [CANARY];
        let forward = layer.clone().forward(&[1.0], &[1.0], &[0.0], &mut a);
        if cap < lowest {
            let error = Error::IsaNotBuilt { cap, lowest };
            assert_eq!((layer.isa(), layer.workspace_len()), (Err(error.clone()), Err(error.clone())));
            assert_eq!(layer.describe(1).err(), Some(error.clone()));
            assert_eq!(forward, Err(error.clone()));
            assert_eq!(Activation::Tanh.forward_with_isa(cap, &[1.0], &mut a), Err(error));
            assert!(is_canary(a[0]));
        } else {
            let best = Isa::available().into_iter().find(|isa| *isa <= cap).expect("one at or below the cap");
            assert_eq!((layer.isa(), forward), (Ok(best), Ok(())));
        }
    }
    if cfg!(all(target_feature = "avx512f", target_feature = "avx512vl")) {
        assert_eq!(Isa::available(), [Isa::Avx512], "one row is left of the kernel table");
    }
    if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
        assert_eq!(Isa::available(), [Isa::Neon], "one row is left of the kernel table");
    }
}

#[test]
fn messages() {
    let operand = Operand::DW;
    for (error, text) in [
        (Error::Length { operand, expected: 8, found: 7 }, "d_w: expected 8 elements, found 7"),
        (
            Error::NotWholeRows { operand: Operand::APrev, row_len: 4, found: 7 },
            "a_prev: expected a multiple of 4 elements (whole rows), found 7",
        ),
        (Error::Shape { operand, expected: (2, 3), found: (3, 2) }, "d_w: expected a 2×3 matrix, found 3×2"),
        (
            Error::OutOfBounds { expected: Some(9), found: 8 },
            "matrix view: its shape and strides need a slice of 9 elements, found 8",
        ),
        (
            Error::OutOfBounds { expected: None, found: 8 },
            "matrix view: its shape and strides need more elements than usize counts, found 8",
        ),
        (
            Error::Overlapping { shape: (2, 3), strides: (1, 1) },
            "mutable matrix view: expected strides that keep the elements of 2×3 apart, found row stride 1 and column \
             stride 1",
        ),
        (Error::Uninitialised { operand }, "d_w: expected initialised memory to add to, found an uninitialised view"),
        (
            Error::TargetsNeedSigmoid { found: Activation::Relu },
            "targets: expected a layer with sigmoid activation, found relu",
        ),
        (
            Error::CostNeedsActivation {
                cost: Cost::BinaryCrossEntropy,
                expected: Activation::Sigmoid,
                found: Activation::Relu,
            },
            "network: expected sigmoid activation in the last layer for binary cross-entropy cost, found relu",
        ),
        (
            Error::NetworkTooLarge { layer: 1, max_batch: 9 },
            "network: expected a layer 1 that fits memory with batches of 9 samples, found one that does not",
        ),
        (
            Error::NotASlice { operand: Operand::Z },
            "z: expected a plain slice or contiguous rows, found another layout",
        ),
        (Error::WorkspaceTooSmall { expected: 9, found: 8 }, "workspace: expected at least 9 elements, found 8"),
        (
            Error::UnknownIsa { found: "sse9" },
            "FUSED_DENSE_ISA: expected portable, neon, avx2 or avx512, found \"sse9\"",
        ),
        (
            Error::IsaNotBuilt { cap: Isa::Portable, lowest: Isa::Avx2 },
            "instruction set cap: expected avx2 or higher (this build holds no lesser kernels), found portable",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn instruction_sets_are_read_from_their_names() {
    for &isa in Isa::ALL {
        let name = isa.name();
        for text in [name.to_string(), name.to_uppercase(), format!(" {name}\t")] {
            assert_eq!(text.parse(), Ok(isa), "{text:?}");
        }
    }
    for text in ["", " ", "avx", "avx2x", "avx 2", "sse"] {
        let error = text.parse::<Isa>().expect_err("no instruction set");
        assert_eq!(error.found, text);
        let message = error.to_string();
        assert!(Isa::ALL.iter().all(|isa| message.contains(isa.name())), "{message}");
        assert!(message.ends_with(&format!("found {text:?}")), "{message}");
    }
}

#[test]
fn operands_are_named_by_their_symbols() {
    let names = [
        (Operand::APrev, "a_prev"),
        (Operand::W, "w"),
        (Operand::B, "b"),
        (Operand::Z, "z"),
        (Operand::A, "a"),
        (Operand::Targets, "targets"),
        (Operand::DA, "d_a"),
        (Operand::DZ, "d_z"),
        (Operand::DW, "d_w"),
        (Operand::DB, "d_b"),
        (Operand::DAPrev, "d_a_prev"),
        (Operand::VW, "v_w"),
        (Operand::VB, "v_b"),
        (Operand::PartialSums, "partial_sums"),
        (Operand::X, "x"),
        (Operand::MW, "m_w"),
        (Operand::MB, "m_b"),
    ];
    for (operand, name) in names {
        assert_eq!(operand.to_string(), name);
    }
}
