//! Array views of any forward layout give the bits of plain slices.
#![cfg(feature = "ndarray")]

use fused_dense::{
    Activation, Bias, Cost, Dense, Error, Fit, Gradients, MatrixView, MatrixViewMut, Network, Operand, Outputs, Saved,
    Summation, Upstream,
};
use ndarray::{ArcArray2, Array1, Array2, Array3, ArrayRef, ArrayView2, Axis, CowArray, ShapeBuilder, s};

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
    assert_eq!(MatrixView::try_from(array.row(1).slice(s![..;-1])).err(), found(0, -1));
    assert_eq!(MatrixViewMut::try_from(array.row_mut(1).slice_mut(s![..;-1])).err(), found(0, -1));
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

#[test]
fn arrays_are_operands_by_themselves() {
    let (x, w, b) = (values(BATCH, INPUTS), values(OUTPUTS, INPUTS), values(1, OUTPUTS).row(0).to_owned());
    let mut layer = Dense::new(INPUTS, OUTPUTS, Activation::Gelu);
    let (mut expected, mut expected_z) = (Array2::zeros((BATCH, OUTPUTS)), Array2::zeros((BATCH, OUTPUTS)));
    let outputs = Outputs::new(expected.as_slice_mut().unwrap()).z(expected_z.as_slice_mut().unwrap());
    layer.forward(slice(&x), slice(&w), b.as_slice().unwrap(), outputs).unwrap();

    let (mut a, mut z) = (Array2::zeros((BATCH, OUTPUTS)), Array2::zeros((OUTPUTS, BATCH)));
    layer.forward(&x, &w, &b, Outputs::new(&mut a).z(z.view_mut().reversed_axes())).unwrap();
    assert_eq!((&a, z.t()), (&expected, expected_z.view()));

    // Batches of batches, shared arrays, and borrowed or owned ones.
    let cubes = x.clone().into_shape_with_order((4, BATCH / 4, INPUTS)).unwrap().into_dyn();
    let mut a = Array3::zeros((BATCH / 4, 4, OUTPUTS));
    let reference: &ArrayRef<f32, _> = &w;
    layer.forward(&cubes, reference, CowArray::from(&b).view(), &mut a).unwrap();
    assert_eq!(a.into_shape_with_order((BATCH, OUTPUTS)).unwrap(), expected);
    let (mut shared, before) = (expected.to_shared(), expected.to_shared());
    layer.forward(&ArcArray2::from(x.clone()), &w, Bias::None, &mut shared).unwrap();
    assert!(before == expected && shared != expected, "the other owner keeps its elements");

    let (mut d_x, mut d_w, mut d_b) = (Array2::zeros(x.dim()), Array2::zeros(w.dim()), Array1::zeros(OUTPUTS));
    let upstream = Upstream::Activation(&expected);
    let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_x);
    layer.backward(&x, &w, Saved::z(&expected_z), upstream, gradients).unwrap();
    let (mut expected_w, mut expected_x) = (vec![0.0; w.len()], vec![0.0; x.len()]);
    let gradients = Gradients::new().w(&mut expected_w).a_prev(&mut expected_x);
    let upstream = Upstream::Activation(slice(&expected));
    layer.backward(slice(&x), slice(&w), Saved::z(slice(&expected_z)), upstream, gradients).unwrap();
    assert_eq!((slice(&d_w), slice(&d_x)), (&expected_w[..], &expected_x[..]));
}

#[test]
fn arrays_that_are_no_matrix_are_refused_by_the_call() {
    let (x, w, b) = (values(4, 2), values(3, 2), Array1::zeros(3));
    let mut layer = Dense::new(2, 3, Activation::Identity);
    let mut a = Array2::from_elem((4, 3), 9.0);
    let backwards = Err(Error::NegativeStride { axis: 0, found: -2 });
    assert_eq!(layer.forward(x.slice(s![..;-1, ..]), &w, &b, &mut a), backwards);
    assert_eq!(layer.forward(&x, w.slice(s![..;-1, ..]), &b, &mut a), backwards);
    let result = layer.forward(&x, &w, &b, a.slice_mut(s![.., ..;-1]));
    assert_eq!(result, Err(Error::NegativeStride { axis: 1, found: -1 }));
    assert_eq!(layer.forward(&x, &w, &ndarray::arr0(0.0), &mut a), Err(Error::Dimensions { dims: 0, strides: 0 }));

    let cube = Array3::<f32>::zeros((2, 2, 2));
    let result = layer.forward(cube.view().permuted_axes([1, 0, 2]), &w, &b, &mut a);
    assert_eq!(result, Err(Error::NotJoined { outer: 0, inner: 1, expected: 8, found: 2 }));
    let result = layer.forward(cube.slice(s![.., ..;-1, ..]), &w, &b, &mut a);
    assert_eq!(result, Err(Error::NegativeStride { axis: 1, found: -2 }));
    let shape = |operand, expected, found| Err(Error::Shape { operand, expected, found });
    assert_eq!(layer.forward(x.t(), &w, &b, &mut a), shape(Operand::APrev, (2, 2), (2, 4)));
    assert_eq!(layer.forward(&x, &w, &b, a.slice_mut(s![..3, ..])), shape(Operand::A, (4, 3), (3, 3)));
    assert!(a.iter().all(|&a| a == 9.0), "nothing is written");
}

/// A network with softmax cross-entropy, and data for it.
fn network() -> (Network, Array2<f32>, Array1<u8>) {
    let builder = Network::builder(2).layer(5, Activation::Tanh).layer(3, Activation::Identity);
    let network = builder.cost(Cost::SoftmaxCrossEntropy).summation(Summation::Chain).seed(3).build().unwrap();
    (network, values(12, 2), Array1::from_shape_fn(12, |sample| (sample % 3) as u8))
}

#[test]
#[cfg_attr(miri, ignore = "costs are made of logarithms, whose last bit Miri draws by lot")]
fn networks_take_arrays() {
    let (mut network, x, labels) = network();
    let mut other = network.clone();
    let one_hot = Array2::from_shape_fn((12, 3), |(sample, class)| f32::from(u8::from(sample % 3 == class)));
    let by_feature = column_major(&x);
    for _ in 0..3 {
        let cost = network.step(&by_feature, &labels).unwrap();
        assert_eq!(other.step(slice(&x), labels.as_slice().unwrap()), Ok(cost));
    }
    assert_eq!(network.step(&x, &one_hot), other.step(slice(&x), slice(&one_hot)));

    let (mut a, mut p) = (Array2::zeros((3, 12)), Array2::zeros((12, 3)));
    let mut expected = vec![0.0; 36];
    network.predict(&by_feature, a.view_mut().reversed_axes()).unwrap();
    other.predict(slice(&x), &mut expected).unwrap();
    assert_eq!(a.t().iter().copied().collect::<Vec<_>>(), expected);
    network.predict_probabilities(&x, &mut p).unwrap();
    other.predict_probabilities(slice(&x), &mut expected).unwrap();
    assert_eq!(slice(&p), expected);
    assert_eq!(network.evaluate(&x, &labels), other.evaluate(slice(&x), labels.as_slice().unwrap()));

    let fit = || Fit::new().epochs(2).batch(5);
    let history = network.fit(&x, &labels, fit().validation(&x, &labels)).unwrap();
    let slices = fit().validation(slice(&x), labels.as_slice().unwrap());
    assert_eq!(other.fit(slice(&x), labels.as_slice().unwrap(), slices).unwrap().epochs(), history.epochs());
}

/// More samples than go through the layers at a time.
#[test]
fn predictions_go_into_strided_arrays_part_by_part() {
    let (network, ..) = network();
    let x = values(600, 2);
    let mut wide = Array2::from_elem((600, 5), 9.0);
    network.predict(&x, wide.slice_mut(s![.., 1..4])).unwrap();
    let mut expected = vec![0.0; 1800];
    network.predict(slice(&x), &mut expected).unwrap();
    assert_eq!(wide.slice(s![.., 1..4]).iter().copied().collect::<Vec<_>>(), expected);
    assert!(wide.column(0).iter().chain(wide.column(4)).all(|&edge| edge == 9.0));
}

#[test]
fn arrays_that_a_network_cannot_take_are_refused() {
    let (mut network, x, labels) = network();
    let weights: Vec<f32> = network.layers()[0].w().to_vec();
    let not_a_slice = |operand| Some(Error::NotASlice { operand });
    let every_other = labels.slice(s![..;2]);
    assert_eq!(network.step(x.slice(s![..6, ..]), &every_other).err(), not_a_slice(Operand::Targets));
    let one_hot = Array2::<f32>::zeros((3, 12));
    // As many elements as three outputs of twelve samples.
    let shape = Error::Shape { operand: Operand::Targets, expected: (12, 3), found: (3, 12) };
    assert_eq!(network.step(&x, &one_hot).err(), Some(shape));
    assert_eq!(network.step(&x, &one_hot.t()).err(), not_a_slice(Operand::Targets));
    assert_eq!(network.fit(&column_major(&x), &labels, Fit::new()).err(), not_a_slice(Operand::X));
    let shape = Error::Shape { operand: Operand::X, expected: (6, 2), found: (6, 4) };
    assert_eq!(network.fit(&values(6, 4), &labels, Fit::new()).err(), Some(shape));
    let backwards = Some(Error::NegativeStride { axis: 0, found: -2 });
    assert_eq!(network.step(x.slice(s![..;-1, ..]), &labels).err(), backwards);
    let mut p = Array2::from_elem((12, 3), 9.0);
    assert_eq!(network.predict(x.slice(s![..;-1, ..]), &mut p).err(), backwards);
    let back = Some(Error::NegativeStride { axis: 0, found: -3 });
    assert_eq!(network.predict(&x, p.slice_mut(s![..;-1, ..])).err(), back);
    let mut columns = column_major(&p);
    assert_eq!(network.predict_probabilities(&x, &mut columns).err(), not_a_slice(Operand::A));
    let shape = Error::Shape { operand: Operand::A, expected: (12, 3), found: (11, 3) };
    assert_eq!(network.predict(&x, p.slice_mut(s![..11, ..])).err(), Some(shape));
    assert!(p.iter().chain(&columns).all(|&p| p == 9.0) && network.layers()[0].w() == weights, "nothing is touched");
}
