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
        let array = storage.view();
        if let Some(view) = merged(array.clone()).and_then(|matrix| MatrixView::try_from(matrix).ok()) {
            return Ok(Matrix::InPlace(view));
        }
        let (rows, cols) = extent(array.shape());
        Ok(Matrix::Copied { values: array.iter().copied().collect(), rows, cols })
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        let array = Array::from_shape_vec(IxDyn(&shape), values).expect("as many elements as the shape has");
        array.into_shared().into()
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
