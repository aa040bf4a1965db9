//! Tensors of burn's backend over the crate ndarray: arrays.
#![allow(deprecated)] // burn has deprecated the backend, which this feature is for

use crate::backend::{FusedLinearBackend, LinearOperands, LinearOutcome};
use crate::error::{Error, Operand};
use crate::host::Host;
use crate::kernel::FusedKernel;
use crate::matrix::{Matrix, extent};
use crate::passes;
use ::ndarray::{Array, ArrayView2, ArrayViewD, Axis, Ix2, IxDyn};
use burn::backend::NdArray;
use burn::backend::TensorMetadata;
use burn::backend::ndarray::NdArrayTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use fused_dense::MatrixView;

impl FusedLinearBackend for NdArray {
    fn fused_linear(operands: LinearOperands<Self>, kernel: FusedKernel) -> LinearOutcome<Self> {
        passes::forward(&operands, &kernel, false).map(|forward| forward.a).into()
    }
}

impl Host for NdArray {
    fn matrix(tensor: &FloatTensor<Self>, operand: Operand) -> Result<Matrix<'_>, Error> {
        let NdArrayTensor::F32(storage) = tensor else {
            return Err(Error::DType { operand, found: tensor.dtype() });
        };
        Ok(matrix(storage.view()))
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        let array = Array::from_shape_vec(IxDyn(&shape), values).expect("as many elements as the shape has");
        array.into_shared().into()
    }
}

fn matrix(array: ArrayViewD<'_, f32>) -> Matrix<'_> {
    match merged(array.clone()).map(MatrixView::try_from) {
        Some(Ok(view)) => Matrix::InPlace(view),
        _ => {
            let (rows, cols) = extent(array.shape());
            Matrix::Copied { values: array.iter().copied().collect(), rows, cols }
        }
    }
}

/// The array with all axes but the last made one, where strides allow.
fn merged(mut array: ArrayViewD<'_, f32>) -> Option<ArrayView2<'_, f32>> {
    while array.ndim() < 2 {
        array = array.insert_axis(Axis(0));
    }
    while array.ndim() > 2 {
        if !array.merge_axes(Axis(0), Axis(1)) {
            return None;
        }
        // Empty, the axis has nothing to be taken away.
        if array.len_of(Axis(0)) != 1 {
            return None;
        }
        array = array.index_axis_move(Axis(0), 0);
    }
    array.into_dimensionality::<Ix2>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::ndarray::{Slice, array};

    /// Whether the elements are read where they stand, and those in the order of their rows.
    fn read(array: &ArrayViewD<'_, f32>) -> (bool, Vec<f32>) {
        let matrix = matrix(array.clone());
        let view = matrix.view().expect("a matrix");
        let place = |row: usize, col: usize| view.get(row, col).expect("inside");
        let values = (0..view.rows()).flat_map(|row| (0..view.cols()).map(move |col| place(row, col)));
        (matches!(matrix, Matrix::InPlace(_)), values.collect())
    }

    #[test]
    fn strided_arrays_stay_where_they_are() {
        let plain =
            Array::from_iter((0..60_u8).map(f32::from)).into_shape_with_order((3, 4, 5)).expect("60").into_dyn();
        let row = array![[1.0, 2.0, 3.0_f32]].into_dyn();
        let in_place = [
            plain.view(),
            plain.view().index_axis_move(Axis(0), 1).reversed_axes(),
            plain.view().index_axis_move(Axis(1), 2),
            plain.slice_axis(Axis(2), Slice::from(1..3)),
            plain.slice_axis(Axis(1), Slice::from(2..3)),
            row.broadcast(IxDyn(&[4, 3])).expect("one row for all"),
            row.view().index_axis_move(Axis(0), 0),
        ];
        for array in &in_place {
            assert_eq!(read(array), (true, array.iter().copied().collect()), "{:?}", array.strides());
        }
        let copied = [
            plain.view().permuted_axes([1, 0, 2].as_slice()),
            plain.slice_axis(Axis(1), Slice::from(1..3)),
            plain.slice_axis(Axis(2), Slice::new(0, None, -1)),
            // Empty.
            plain.slice_axis(Axis(0), Slice::from(1..1)),
        ];
        for array in &copied {
            assert_eq!(read(array), (false, array.iter().copied().collect()), "{:?}", array.strides());
        }
    }
}
