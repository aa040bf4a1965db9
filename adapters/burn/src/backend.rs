//! The operation that a backend is extended with, and its entrance for tensors of any backend.
#![allow(deprecated)] // the generated routes name burn's ndarray backend, which burn has deprecated

use crate::error::{Error, Operand};
use crate::kernel::FusedKernel;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, ExtensionType,
    TensorMetadata, backend_extension,
};
use burn::tensor::Tensor;
use core::mem::discriminant;

/// The tensors of a fused layer.
#[derive(Clone, Debug, ExtensionType)]
pub struct LinearOperands<B: Backend> {
    /// `[.., d_input]`
    pub input: FloatTensor<B>,
    /// `[d_input, d_output]`, as in [`burn::nn::Linear`].
    pub weight: FloatTensor<B>,
    /// `[d_output]`
    #[extension_type]
    pub bias: LinearBias<B>,
}

/// The bias of a fused layer.
#[derive(Clone, Debug, ExtensionType)]
pub enum LinearBias<B: Backend> {
    /// The layer has none.
    None,
    /// `[d_output]`
    Given(FloatTensor<B>),
}

/// The end of a fused call. burn's routes carry tensors and types made of them, of which `Result` is none.
#[derive(Clone, Debug, ExtensionType)]
pub enum LinearOutcome<B: Backend> {
    /// `[.., d_output]`
    Output(FloatTensor<B>),
    /// The fault of the call, before which nothing was computed.
    Refused(Error),
}

/// A backend with a fused linear layer.
///
/// Implemented for `Flex` and `NdArray`, each with the feature of its name, and for `Autodiff` over them, which records a
/// backward step that computes all gradients in one call. On `Dispatch`, which burn's tensors are made of, a call goes to
/// the backend of its tensors; of a backend without the operation it panics, before which [`fused_linear`] has an error.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait FusedLinearBackend: Backend {
    /// `g(input · weight + bias)` with the kernel's activation `g`.
    fn fused_linear(#[extension_type] operands: LinearOperands<Self>, kernel: FusedKernel) -> LinearOutcome<Self>;
}

impl<B: Backend> From<Result<FloatTensor<B>, Error>> for LinearOutcome<B> {
    fn from(result: Result<FloatTensor<B>, Error>) -> Self {
        match result {
            Ok(output) => Self::Output(output),
            Err(error) => Self::Refused(error),
        }
    }
}

/// `g(input · weight + bias)` with the kernel's activation `g`, recorded for the backward pass where a tensor asks for it.
///
/// `input: [.., d_input]`, `weight: [d_input, d_output]`, `bias: [d_output]`, output `[.., d_output]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fused_dense_burn::{Activation, FusedKernel, fused_linear};
///
/// let device = Device::flex();
/// let kernel = FusedKernel::new(2, 1, Activation::Relu);
/// let input = Tensor::<2>::from_floats([[1.0, 2.0], [-1.0, -2.0]], &device);
/// let weight = Tensor::<2>::from_floats([[3.0], [1.0]], &device);
/// let output = fused_linear(input, weight, None, &kernel)?;
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [5.0, 0.0]);
/// # Ok::<(), fused_dense_burn::Error>(())
/// ```
///
/// # Errors
/// Where a tensor has the wrong shape, elements of another type than `f32`, or a backend without fused layers, where the
/// tensors are on different backends, and where the kernel cannot compute.
pub fn fused_linear<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    kernel: &FusedKernel,
) -> Result<Tensor<D>, Error> {
    let bias = bias.map_or(LinearBias::None, |bias| LinearBias::Given(bias.into_dispatch()));
    let operands = LinearOperands::<Dispatch> { input: input.into_dispatch(), weight: weight.into_dispatch(), bias };
    check_route(&operands)?;
    match Dispatch::fused_linear(operands, kernel.clone()) {
        LinearOutcome::Output(output) => Ok(Tensor::from_dispatch(output)),
        LinearOutcome::Refused(error) => Err(error),
    }
}

/// Whether a call has a route: burn's own code panics where it has none.
fn check_route(operands: &LinearOperands<Dispatch>) -> Result<(), Error> {
    let LinearOperands { input, weight, bias } = operands;
    check_kind(Operand::Input, input)?;
    check_same_route(Operand::Weight, weight, &[input])?;
    if let LinearBias::Given(bias) = bias {
        check_same_route(Operand::Bias, bias, &[input, weight])?;
    }
    Ok(())
}

fn check_same_route(operand: Operand, tensor: &DispatchTensor, others: &[&DispatchTensor]) -> Result<(), Error> {
    check_kind(operand, tensor)?;
    for other in others {
        if discriminant(concrete(&tensor.kind)) != discriminant(concrete(&other.kind)) {
            let (expected, found) = (format!("{:?}", other.device()), format!("{:?}", tensor.device()));
            return Err(Error::OtherBackend { operand, expected, found });
        }
        match (tensor.autodiff, other.autodiff) {
            (DispatchAutodiffContext::Enabled(one), DispatchAutodiffContext::Enabled(other)) if one != other => {
                return Err(Error::Checkpointing { operand });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the tensor is a plain float tensor of a backend that has the operation.
fn check_kind(operand: Operand, tensor: &DispatchTensor) -> Result<(), Error> {
    let is_float = match concrete(&tensor.kind) {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(tensor) => matches!(tensor, BackendTensor::Float(_) | BackendTensor::Autodiff(_)),
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(tensor) => matches!(tensor, BackendTensor::Float(_) | BackendTensor::Autodiff(_)),
        // Which backends there are besides is decided by the features of burn in the whole program.
        #[allow(unreachable_patterns)]
        _ => return Err(Error::Backend { operand, found: format!("{:?}", tensor.device()) }),
    };
    if is_float { Ok(()) } else { Err(Error::DType { operand, found: tensor.dtype() }) }
}

/// The tensor's own backend, below the recording of its gradients.
fn concrete(kind: &DispatchTensorKind) -> &DispatchTensorKind {
    match kind {
        DispatchTensorKind::Autodiff(inner) => inner,
        kind => kind,
    }
}
