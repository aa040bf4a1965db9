//! Array views of any forward layout give the bits of plain slices.
#![cfg(feature = "ndarray")]

use fused_dense::{Activation, Dense, Error, Gradients, MatrixView, MatrixViewMut, Upstream};
use ndarray::{Array1, Array2, ArrayView2, Axis, ShapeBuilder, s};

const BATCH: usize = 20;
const INPUTS: usize = 37;
const OUTPUTS: usize = 19;

fn values(rows: usize, cols: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, cols), |(i, j)| ((i * 31 + j * 17) % 101) as f32 / 50.0 - 1.0)
}

fn slice(array: &Array2<f32>) -> &[f32] {
    array.as_slice().unwrap()
}

/// The same elements in the other order of memory.
fn column_major(array: &Array2<f32>) -> Array2<f32> {
    let mut columns = Array2::zeros(array.raw_dim().f());
    columns.assign(array);
    columns
}

fn input(array: ArrayView2<'_, f32>) -> MatrixView<'_> {
    MatrixView::try_from(array).unwrap()
}

#[test]
fn every_layout_gives_the_same_bits() {
    let (x, w, b) = (values(BATCH, INPUTS), values(OUTPUTS, INPUTS), values(1, OUTPUTS).row(0).to_owned());
    let mut layer = Dense::new(INPUTS, OUTPUTS, Activation::Tanh);
    let mut expected = Array2::zeros((BATCH, OUTPUTS));
    layer.forward(slice(&x), slice(&w), b.as_slice().unwrap(), expected.as_slice_mut().unwrap()).unwrap();

    let by_feature = column_major(&x);
    let mut wide = Array2::from_elem((2 * BATCH, INPUTS + 5), f32::NAN);
    wide.slice_mut(s![..;2, 3..INPUTS + 3]).assign(&x);
    let mut every_third = Array1::from_elem(3 * OUTPUTS, f32::NAN);
    every_third.slice_mut(s![..;3]).assign(&b);
    for x in [x.view(), by_feature.view(), wide.slice(s![..;2, 3..INPUTS + 3])] {
        let mut a = Array2::from_elem((OUTPUTS + 2, BATCH), 9.0);
        let b = MatrixView::try_from(every_third.slice(s![..;3])).unwrap();
        let output = MatrixViewMut::try_from(a.slice_mut(s![1..=OUTPUTS, ..]).reversed_axes()).unwrap();
        layer.forward(input(x), slice(&w), b, output).unwrap();
        assert_eq!(a.slice(s![1..=OUTPUTS, ..]).t(), expected);
        assert!(a.row(0).iter().chain(a.row(OUTPUTS + 1)).all(|&edge| edge == 9.0));
    }
}

#[test]
fn halves_of_one_array_serve_side_by_side() {
    let (x, w) = (values(BATCH, INPUTS), values(OUTPUTS, INPUTS));
    let mut layer = Dense::new(INPUTS, OUTPUTS, Activation::Identity);
    // Left half in, right half out: rows of both lie between each other.
    let mut both = Array2::zeros((BATCH, INPUTS + OUTPUTS));
    both.slice_mut(s![.., ..INPUTS]).assign(&x);
    let (left, right) = both.view_mut().split_at(Axis(1), INPUTS);
    layer.forward(input(left.view()), slice(&w), &[0.0; OUTPUTS], MatrixViewMut::try_from(right).unwrap()).unwrap();

    let mut expected = Array2::zeros((BATCH, OUTPUTS));
    layer.forward(slice(&x), slice(&w), &[0.0; OUTPUTS], expected.as_slice_mut().unwrap()).unwrap();
    assert_eq!(both.slice(s![.., INPUTS..]), expected);
}

#[test]
fn gradients_go_into_arrays() {
    let (x, w, a, d_a) =
        (values(BATCH, INPUTS), values(OUTPUTS, INPUTS), values(BATCH, OUTPUTS), values(BATCH, OUTPUTS));
    let mut layer = Dense::new(INPUTS, OUTPUTS, Activation::Tanh);
    let (mut d_w, mut d_b) = (Array2::zeros((OUTPUTS, INPUTS)), Array1::zeros(OUTPUTS));
    let gradients = Gradients::new()
        .w(MatrixViewMut::try_from(d_w.view_mut()).unwrap())
        .b(MatrixViewMut::try_from(d_b.view_mut()).unwrap());
    let upstream = Upstream::Activation(input(d_a.view()));
    layer.backward(input(x.view()), input(w.view()), input(a.view()), upstream, gradients).unwrap();

    let (mut expected_w, mut expected_b) = (vec![0.0; OUTPUTS * INPUTS], vec![0.0; OUTPUTS]);
    let gradients = Gradients::new().w(&mut expected_w).b(&mut expected_b);
    layer.backward(slice(&x), slice(&w), slice(&a), Upstream::Activation(slice(&d_a)), gradients).unwrap();
    assert_eq!((slice(&d_w), d_b.as_slice().unwrap()), (&expected_w[..], &expected_b[..]));
}

#[test]
fn backward_running_axes_are_refused() {
    let mut array = values(3, 4);
    let found = |axis, found| Some(Error::NegativeStride { axis, found });
    assert_eq!(MatrixView::try_from(array.slice(s![..;-1, ..])).err(), found(0, -4));
    assert_eq!(MatrixView::try_from(array.slice(s![.., ..;-2])).err(), found(1, -2));
    assert_eq!(MatrixViewMut::try_from(array.slice_mut(s![..;-1, ..])).err(), found(0, -4));
    assert_eq!(MatrixView::try_from(array.row(1).slice(s![..;-1])).err(), found(1, -1));
    assert_eq!(MatrixViewMut::try_from(array.row_mut(1).slice_mut(s![..;-1])).err(), found(1, -1));
    // With one element there is no direction.
    assert_eq!(MatrixView::try_from(array.slice(s![1..2;-1, ..])).unwrap().get(0, 2), Some(array[[1, 2]]));
    let backwards = array.slice(s![..;-1, 2..3;-1]);
    assert_eq!(MatrixView::try_from(backwards).err(), found(0, -4));
    assert!(MatrixViewMut::try_from(array.slice_mut(s![.., 2..3;-1])).is_ok());
    // Nor is there without any.
    for shape in [(0, 4), (4, 0), (0, 0)] {
        let mut empty = Array2::<f32>::zeros(shape);
        for backwards in [empty.slice(s![..;-1, ..]), empty.slice(s![.., ..;-1]), empty.slice(s![..;-1, ..;-1])] {
            assert_eq!((input(backwards).rows(), input(backwards).cols()), shape);
        }
        assert!(MatrixViewMut::try_from(empty.slice_mut(s![..;-1, ..;-1])).is_ok());
    }
}

/// ndarray chooses the strides of axes of one element, which must not choose the order of the sums.
#[test]
fn single_rows_and_columns_are_slices() {
    let (x, w) = (values(1, 40), values(1, 40));
    for (x, w, inputs, outputs) in
        [(x.view(), w.view(), 40, 1), (x.slice(s![.., ..1]), w.view().reversed_axes(), 1, 40)]
    {
        let mut layer = Dense::new(inputs, outputs, Activation::Identity);
        let (mut found, mut expected) = (vec![0.0; outputs], vec![0.0; outputs]);
        let bias = vec![0.1; outputs];
        layer.forward(input(x), input(w), &bias, &mut found).unwrap();
        layer.forward(&x.iter().copied().collect::<Vec<_>>(), slice(&w.to_owned()), &bias, &mut expected).unwrap();
        assert_eq!(found, expected);
        let column = column_major(&w.to_owned());
        layer.forward(input(x), input(column.view()), &bias, &mut found).unwrap();
        assert_eq!(found, expected);
        assert_eq!((input(w).row_stride(), input(w).col_stride()), (inputs, 1));
    }
}

#[test]
fn shapes_and_places() {
    let array = values(3, 4);
    let view = input(array.t());
    assert_eq!((view.rows(), view.cols(), view.row_stride(), view.col_stride()), (4, 3, 1, 4));
    assert_eq!(view.get(3, 1), Some(array[[1, 3]]));
    assert_eq!(view.get(4, 0), None);

    let row = MatrixView::try_from(array.column(2)).unwrap();
    assert_eq!((row.rows(), row.cols(), row.get(0, 1)), (1, 3, Some(array[[1, 2]])));

    let repeated = array.row(0);
    let repeated = input(repeated.broadcast((5, 4)).unwrap());
    assert_eq!((repeated.rows(), repeated.row_stride(), repeated.get(4, 3)), (5, 0, Some(array[[0, 3]])));

    let empty = Array2::<f32>::zeros((0, 4));
    assert_eq!((input(empty.view()).rows(), input(empty.view()).cols()), (0, 4));
}
