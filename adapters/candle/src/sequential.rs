//! Layers in a chain.

use crate::error::Fault;
use crate::linear::{FusedLinear, fused_linear_b};
use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use fused_dense::{Activation, Threads};

/// A chain of fused layers: a multilayer perceptron.
///
/// It is made by [`fused_sequential`], or of layers that exist. Each layer takes what the one before it gives.
#[derive(Clone, Debug)]
pub struct FusedSequential {
    layers: Vec<FusedLinear>,
}

impl FusedSequential {
    /// A chain of these layers.
    ///
    /// # Errors
    /// Where there are none, and where one does not take as many inputs as the one before it has outputs.
    pub fn new(layers: Vec<FusedLinear>) -> Result<Self> {
        if layers.is_empty() {
            return Err(Fault::NoLayers.into());
        }
        for (layer, pair) in layers.windows(2).enumerate() {
            let (expected, found) = (pair[0].dense().outputs(), pair[1].dense().inputs());
            if expected != found {
                return Err(Fault::Chain { layer: layer + 1, expected, found }.into());
            }
        }
        Ok(Self { layers })
    }

    /// The layers, the first one first.
    pub fn layers(&self) -> &[FusedLinear] {
        &self.layers
    }

    /// The outputs of each layer, those of the last one last.
    ///
    /// # Errors
    /// As a layer's `forward`.
    pub fn forward_all(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            outputs.push(layer.forward(outputs.last().unwrap_or(x))?);
        }
        Ok(outputs)
    }
}

impl Module for FusedSequential {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x))
    }
}

/// Begins a chain of layers whose parameters come from `vb`.
///
/// A layer has the name of its place, `"0"`, `"1"` and so on, or one of its own: its parameters are then `"0.weight"` and
/// `"0.bias"`, in the shapes and with the initial values of [`candle_nn::linear()`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{VarBuilder, VarMap};
/// use fused_dense_candle::{Activation, Module, Team, fused_sequential};
///
/// let parameters = VarMap::new();
/// let vb = VarBuilder::from_varmap(&parameters, DType::F32, &Device::Cpu);
/// let network = fused_sequential(784, vb)
///     .layer(100, Activation::Relu)
///     .named_layer("classes", 10, Activation::Identity)
///     .threads(&Team::new(2))
///     .build()?;
/// let x = Tensor::zeros((32, 784), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&x)?.dims(), [32, 10]);
/// assert!(parameters.data().lock().unwrap().contains_key("classes.bias"));
/// # Ok::<(), candle_core::Error>(())
/// ```
#[must_use]
pub fn fused_sequential(inputs: usize, vb: VarBuilder<'_>) -> FusedSequentialBuilder<'_> {
    FusedSequentialBuilder { vb, inputs, layers: Vec::new(), bias: true, threads: Threads::Serial }
}

/// A chain of layers to be made, as [`fused_sequential`] begins it. Nothing is made before [`build`](Self::build).
pub struct FusedSequentialBuilder<'a> {
    vb: VarBuilder<'a>,
    inputs: usize,
    layers: Vec<Planned>,
    bias: bool,
    threads: Threads,
}

struct Planned {
    name: String,
    outputs: usize,
    activation: Activation,
    bias: bool,
}

impl FusedSequentialBuilder<'_> {
    /// A layer with the name of its place.
    #[must_use]
    pub fn layer(self, outputs: usize, activation: Activation) -> Self {
        let name = self.layers.len().to_string();
        self.named_layer(name, outputs, activation)
    }

    /// A layer with a name of its own.
    #[must_use]
    pub fn named_layer(mut self, name: impl Into<String>, outputs: usize, activation: Activation) -> Self {
        self.layers.push(Planned { name: name.into(), outputs, activation, bias: self.bias });
        self
    }

    /// Whether the layers that follow have a bias; they have if nothing is said.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Where the work of all layers may run; on the calling thread if nothing is said.
    #[must_use]
    pub fn threads(self, threads: impl Into<Threads>) -> Self {
        Self { threads: threads.into(), ..self }
    }

    /// Gets the parameters and makes the layers.
    ///
    /// # Errors
    /// As [`FusedLinear::new`], what the builder of variables reports, and where there are no layers.
    pub fn build(self) -> Result<FusedSequential> {
        let mut inputs = self.inputs;
        let mut layers = Vec::with_capacity(self.layers.len());
        for Planned { name, outputs, activation, bias } in self.layers {
            let layer = fused_linear_b(inputs, outputs, bias, activation, self.vb.pp(name))?;
            layers.push(layer.with_threads(self.threads.clone())?);
            inputs = outputs;
        }
        FusedSequential::new(layers)
    }
}
