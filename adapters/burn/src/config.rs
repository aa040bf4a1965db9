//! The configuration of a fused layer.

use crate::kernel::FusedKernel;
use crate::linear::FusedLinear;
use burn::config::Config;
use burn::module::Initializer;
use burn::nn::{LinearConfig, LinearLayout};
use burn::tensor::Device;
use fused_dense::{Activation, Threads};
use serde::{Deserialize, Serialize};

/// Configuration of a [`FusedLinear`]: that of a [`burn::nn::Linear`], the activation behind it, and threads.
///
/// ```
/// use burn::config::Config;
/// use burn::tensor::Device;
/// use fused_dense_burn::{Activation, FusedLinearConfig};
///
/// let config = FusedLinearConfig::new(784, 30, Activation::LeakyRelu { slope: 0.02 }).with_bias(false);
/// let layer = config.init(&Device::flex());
/// assert_eq!(layer.weight.dims(), [784, 30]);
///
/// let read = FusedLinearConfig::load_binary(config.to_string().as_bytes()).unwrap();
/// assert_eq!((read.activation, read.linear.bias), (config.activation, false));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FusedLinearConfig {
    /// Sizes, bias, initial values and layout of the parameters.
    pub linear: LinearConfig,
    /// The activation, which is written as its name.
    #[serde(with = "name")]
    pub activation: Activation,
    /// Where the work may run. It is a matter of the machine, not of the model, and neither written nor read.
    #[serde(skip)]
    pub threads: Threads,
}

impl FusedLinearConfig {
    /// A layer with bias and burn's initial values, on one thread.
    #[must_use]
    pub fn new(d_input: usize, d_output: usize, activation: Activation) -> Self {
        Self { linear: LinearConfig::new(d_input, d_output), activation, threads: Threads::Serial }
    }

    /// Whether the layer has a bias.
    #[must_use]
    pub fn with_bias(self, bias: bool) -> Self {
        Self { linear: self.linear.with_bias(bias), ..self }
    }

    /// The initial values of the parameters.
    #[must_use]
    pub fn with_initializer(self, initializer: Initializer) -> Self {
        Self { linear: self.linear.with_initializer(initializer), ..self }
    }

    /// The layout in which the weights are stored.
    #[must_use]
    pub fn with_layout(self, layout: LinearLayout) -> Self {
        Self { linear: self.linear.with_layout(layout), ..self }
    }

    /// Where the work may run; layers of one model can share a [`Team`](crate::Team).
    #[must_use]
    pub fn with_threads(self, threads: impl Into<Threads>) -> Self {
        Self { threads: threads.into(), ..self }
    }

    /// A layer with the same initial values as [`LinearConfig::init`] gives.
    pub fn init(&self, device: &Device) -> FusedLinear {
        let LinearConfig { d_input, d_output, .. } = self.linear;
        let kernel = FusedKernel::new(d_input, d_output, self.activation).with_threads(self.threads.clone());
        FusedLinear::new(self.linear.init(device), kernel)
    }
}

impl Config for FusedLinearConfig {}

/// As JSON, as [`Config::load_binary`] reads it.
impl core::fmt::Display for FusedLinearConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&burn::config::config_to_json(self))
    }
}

/// An activation as its name, with the parameter behind it where it is not the usual one.
mod name {
    use fused_dense::Activation;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(activation: &Activation, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(activation)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Activation, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
