//! The fused layer as a module.

use crate::backend::fused_linear;
use crate::error::Error;
use crate::kernel::FusedKernel;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use fused_dense::{Activation, Threads};

/// A linear layer with its activation, `a = g(x · W + b)`, in place of a [`burn::nn::Linear`] and an activation behind it.
///
/// It has the parameters of a `Linear`, by the same names, in the same shapes and layouts: records of one load into the
/// other. Made by a [`FusedLinearConfig`](crate::FusedLinearConfig), or of a `Linear`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fused_dense_burn::{Activation, FusedLinearConfig};
///
/// let device = Device::flex().autodiff();
/// let layer = FusedLinearConfig::new(4, 3, Activation::Gelu).init(&device);
/// let output = layer.forward(Tensor::<3>::ones([2, 5, 4], &device));
/// assert_eq!(output.dims(), [2, 5, 3]);
///
/// let gradients = output.sum().backward();
/// assert_eq!(layer.weight.val().grad(&gradients).unwrap().dims(), [4, 3]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FusedLinear {
    /// Weights, `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// Bias, `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    kernel: FusedKernel,
}

impl FusedLinear {
    /// The linear layer's parameters with an activation behind them, on one thread.
    #[must_use]
    pub fn from_linear(linear: Linear, activation: Activation) -> Self {
        // Not the shape before the parameters are drawn, which in the layout of columns is another.
        let [d_input, d_output] = linear.weight.dims();
        Self::new(linear, FusedKernel::new(d_input, d_output, activation))
    }

    /// The parameters with a kernel for their shape, whether they are drawn yet or not.
    pub(crate) fn new(linear: Linear, kernel: FusedKernel) -> Self {
        let Linear { weight, bias } = linear;
        Self { weight, bias, kernel }
    }

    /// The parameters as a linear layer without activation.
    #[must_use]
    pub fn into_linear(self) -> Linear {
        Linear { weight: self.weight, bias: self.bias }
    }

    /// The same layer on these threads. No bit of a result depends on them.
    #[must_use]
    pub fn with_threads(self, threads: impl Into<Threads>) -> Self {
        Self { kernel: self.kernel.with_threads(threads), ..self }
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.kernel.activation()
    }

    /// `a = g(x · W + b)` for each row of `input: [.., d_input]`; `[.., d_output]`.
    ///
    /// # Panics
    /// Where [`try_forward`](Self::try_forward) has an error, as burn's own layers do.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.try_forward(input).unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`forward`](Self::forward), with an error instead of a panic.
    ///
    /// # Errors
    /// As [`fused_linear`].
    pub fn try_forward<const D: usize>(&self, input: Tensor<D>) -> Result<Tensor<D>, Error> {
        fused_linear(input, self.weight.val(), self.bias.as_ref().map(|bias| bias.val()), &self.kernel)
    }
}

impl ModuleDisplay for FusedLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("d_input", &self.kernel.d_input())
            .add("d_output", &self.kernel.d_output())
            .add("bias", &self.bias.is_some())
            .add("activation", &self.activation().to_string())
            .optional()
    }
}
