//! Backends whose tensors are memory that the kernels can read.

use crate::error::{Error, Operand};
use crate::matrix::Matrix;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

/// A backend whose float tensors are `f32` in the memory of this process.
pub trait Host: Backend {
    /// The tensor's elements, without a copy where strides allow.
    ///
    /// # Errors
    /// [`Error::DType`]
    fn matrix(tensor: &FloatTensor<Self>, operand: Operand) -> Result<Matrix<'_>, Error>;

    /// A tensor of elements in the order of their rows, as many as the shape has.
    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}
