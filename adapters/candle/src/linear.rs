//! The layer.

use crate::call::Call;
use crate::error::{Checked, Fault};
use crate::kernel::Kernel;
use crate::rows::with_rows;
use candle_core::{DType, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder};
use fused_dense::{Activation, Dense, Threads};
use std::sync::Arc;

/// A linear layer with its activation: `a = g(x · wᵀ + b)`, in one call forward and one backward.
///
/// It takes the place of [`candle_nn::Linear`] and the activation behind it. With `x: [.., inputs]`, `w: [outputs, inputs]`
/// and `b: [outputs]` the output is `[.., outputs]`; a vector `[inputs]` gives a vector. One backward call computes the
/// gradients of those of `x`, `w` and `b` that candle tracks, which are variables and what was made of variables.
///
/// Strides are taken as they are, so that transposed, narrowed and broadcast tensors are not copied; of an `x` with more
/// than two axes, where those before the last have one stride in common. Else it is copied once, by [`Tensor::contiguous`].
///
/// Clones share the parameters and the scratch memory. Threads can call one layer at once.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use fused_dense_candle::{Activation, FusedLinear, Module};
///
/// let weight = Var::new(&[[1f32, 2.0], [3.0, -4.0]], &Device::Cpu)?;
/// let layer = FusedLinear::new(weight.as_tensor().clone(), None, Activation::Relu)?;
/// let x = Tensor::new(&[[10f32, 100.0]], &Device::Cpu)?;
/// let a = layer.forward(&x)?;
/// assert_eq!(a.to_vec2::<f32>()?, [[210.0, 0.0]]);
///
/// let gradients = a.backward()?;
/// let d_weight = gradients.get(&weight).expect("a variable has a gradient");
/// assert_eq!(d_weight.to_vec2::<f32>()?, [[10.0, 100.0], [0.0, 0.0]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FusedLinear {
    kernel: Arc<Kernel>,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl FusedLinear {
    /// A layer on one thread, of `weight: [outputs, inputs]` and, where there is one, `bias: [outputs]`.
    ///
    /// # Errors
    /// Where a tensor has another shape, is not `f32` or not on the CPU; where the activation's parameter is not finite or
    /// negative; where a variable of the environment names no instruction set.
    pub fn new(weight: Tensor, bias: Option<Tensor>, activation: Activation) -> Result<Self> {
        let &[outputs, inputs] = weight.dims() else {
            return Err(shape_fault("weight", "[outputs, inputs]".into(), &weight).into());
        };
        Self::with_dense(Dense::new(inputs, outputs, activation), weight, bias)
    }

    /// A layer of candle's and the activation behind it.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use candle_nn::{VarBuilder, VarMap};
    /// use fused_dense_candle::{Activation, FusedLinear, Module};
    ///
    /// let parameters = VarMap::new();
    /// let linear = candle_nn::linear(3, 2, VarBuilder::from_varmap(&parameters, DType::F32, &Device::Cpu))?;
    /// let fused = FusedLinear::from_linear(&linear, Activation::Relu)?; // the same variables
    /// let x = Tensor::new(&[[1f32, -1.0, 0.5]], &Device::Cpu)?;
    /// let distance = (linear.forward(&x)?.relu()? - fused.forward(&x)?)?.abs()?.sum_all()?;
    /// assert!(distance.to_scalar::<f32>()? < 1e-6);
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_linear(linear: &Linear, activation: Activation) -> Result<Self> {
        Self::new(linear.weight().clone(), linear.bias().cloned(), activation)
    }

    /// A layer with all the settings that [`Dense`] has: threads, the order of sums, the instruction set.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use fused_dense_candle::{Activation, FusedLinear};
    /// use fused_dense_candle::fused_dense::{Dense, Summation};
    ///
    /// // With the order of sums pinned a sample's outputs do not depend on the batch around it.
    /// let dense = Dense::new(3, 2, Activation::Tanh).with_summation(Summation::Chain);
    /// let layer = FusedLinear::with_dense(dense, Tensor::ones((2, 3), DType::F32, &Device::Cpu)?, None)?;
    /// assert_eq!(layer.dense().summation(), Summation::Chain);
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new), and where the weight's shape is not that of `dense`.
    pub fn with_dense(dense: Dense, weight: Tensor, bias: Option<Tensor>) -> Result<Self> {
        check("weight", &weight, &[dense.outputs(), dense.inputs()])?;
        if let Some(bias) = &bias {
            check("bias", bias, &[dense.outputs()])?;
        }
        Ok(Self { kernel: Arc::new(Kernel::new(dense)?), weight, bias })
    }

    /// The same layer, whose calls may share their work among threads: a [`Team`](crate::Team), or another choice of
    /// [`Threads`]. The bits of its results stay what they are.
    ///
    /// candle's own threads take no part: a layer that is told nothing works on the calling thread.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use fused_dense_candle::{Activation, FusedLinear, Team};
    ///
    /// let team = Team::new(2); // one for all layers
    /// let weight = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
    /// let layer = FusedLinear::new(weight, None, Activation::Tanh)?.with_threads(&team)?;
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where the scratch memory for so many threads is more than a number can say.
    pub fn with_threads(self, threads: impl Into<Threads>) -> Result<Self> {
        let kernel = Arc::new(Kernel::new(self.dense().clone().with_threads(threads))?);
        Ok(Self { kernel, ..self })
    }

    /// `[outputs, inputs]`
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[outputs]`
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.dense().activation()
    }

    /// The planned layer of kernels: its sizes, its settings, and how it computes ([`Dense::describe`]).
    pub fn dense(&self) -> &Dense {
        self.kernel.dense()
    }
}

/// `forward` fails where `x` has another last axis than the layer has inputs, is not `f32` or not on the CPU.
impl Module for FusedLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        check_values("x", x)?;
        let inputs = self.dense().inputs();
        if x.dims().last() != Some(&inputs) {
            return Err(shape_fault("x", format!("[.., {inputs}]"), x).into());
        }
        let x = with_rows(x)?;
        let is_tracked = [Some(&x), Some(&self.weight), self.bias()].into_iter().flatten().any(Tensor::track_op);
        let call = Call::new(Arc::clone(&self.kernel), is_tracked);
        match &self.bias {
            None => x.apply_op2(&self.weight, call),
            Some(bias) => x.apply_op3(&self.weight, bias, call),
        }
    }
}

/// A layer with a bias, whose parameters have the names and initial values of [`candle_nn::linear()`]: `"weight"` and `"bias"`.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{VarBuilder, VarMap};
/// use fused_dense_candle::{Activation, fused_linear};
///
/// let parameters = VarMap::new();
/// let vb = VarBuilder::from_varmap(&parameters, DType::F32, &Device::Cpu);
/// let hidden = fused_linear(784, 100, Activation::Relu, vb.pp("hidden"))?;
/// assert_eq!(hidden.weight().dims(), [100, 784]);
/// assert_eq!(parameters.all_vars().len(), 2);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// As [`FusedLinear::new`], and what the builder reports.
pub fn fused_linear(inputs: usize, outputs: usize, activation: Activation, vb: VarBuilder) -> Result<FusedLinear> {
    fused_linear_b(inputs, outputs, true, activation, vb)
}

/// A layer without a bias, as [`candle_nn::linear_no_bias`].
///
/// # Errors
/// As [`fused_linear`].
pub fn fused_linear_no_bias(
    inputs: usize,
    outputs: usize,
    activation: Activation,
    vb: VarBuilder,
) -> Result<FusedLinear> {
    fused_linear_b(inputs, outputs, false, activation, vb)
}

/// A layer with or without a bias, as [`candle_nn::linear_b`].
///
/// # Errors
/// As [`fused_linear`].
pub fn fused_linear_b(
    inputs: usize,
    outputs: usize,
    bias: bool,
    activation: Activation,
    vb: VarBuilder,
) -> Result<FusedLinear> {
    FusedLinear::from_linear(&candle_nn::linear_b(inputs, outputs, bias, vb)?, activation)
}

/// Whether the kernels can read the tensor's memory.
fn check_values(operand: &'static str, tensor: &Tensor) -> Checked<()> {
    match Fault::of_device(operand, tensor.device()) {
        Some(fault) => Err(fault),
        None if tensor.dtype() != DType::F32 => Err(Fault::Type { operand, found: tensor.dtype() }),
        None => Ok(()),
    }
}

fn check(operand: &'static str, tensor: &Tensor, expected: &[usize]) -> Checked<()> {
    if tensor.dims() != expected {
        return Err(shape_fault(operand, format!("{expected:?}"), tensor));
    }
    check_values(operand, tensor)
}

fn shape_fault(operand: &'static str, expected: String, found: &Tensor) -> Fault {
    Fault::Shape { operand, expected, found: found.dims().to_vec() }
}
