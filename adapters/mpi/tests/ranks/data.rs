//! Networks and samples for the tests.

use core::ops::Range;
use fused_dense::{Activation, Adam, Cost, Network, NetworkBuilder, Optimizer, Sgd, Summation, Targets};
use fused_dense_mpi::Options;
use std::time::Duration;

pub(crate) const INPUTS: usize = 19;

/// So many values between -1 and 1, the same for the same seed.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// A network and how its samples are weighted.
pub(crate) struct Kind {
    pub(crate) builder: NetworkBuilder,
    pub(crate) is_weighted: bool,
}

fn softmax(builder: NetworkBuilder) -> NetworkBuilder {
    let builder = builder.layer(40, Activation::Relu).layer(33, Activation::Tanh).layer(5, Activation::Identity);
    builder.cost(Cost::SoftmaxCrossEntropy)
}

/// Every cost, with weights and without, and every rule of the optimisers.
pub(crate) fn kinds() -> Vec<Kind> {
    let kind = |optimizer: Optimizer, is_weighted, of: fn(NetworkBuilder) -> NetworkBuilder| {
        let builder = of(Network::builder(INPUTS).seed(3)).optimizer(optimizer).max_batch(4096);
        Kind { builder, is_weighted }
    };
    let rare: fn(NetworkBuilder) -> NetworkBuilder =
        |builder| softmax(builder).class_weights([1.0, 2.0, 0.5, 3.0, 0.0]);
    let binary: fn(NetworkBuilder) -> NetworkBuilder = |builder| {
        let builder = builder.layer(17, Activation::Gelu).layer(3, Activation::Sigmoid);
        builder.cost(Cost::BinaryCrossEntropy).positive_weight(2.5)
    };
    // The order of its sums by default depends on the batch.
    let wide: fn(NetworkBuilder) -> NetworkBuilder =
        |builder| builder.layer(300, Activation::Silu).layer(1, Activation::Identity).summation(Summation::Auto);
    vec![
        kind(Sgd::new(0.05).into(), false, softmax),
        kind(Adam::new(0.003).into(), false, softmax),
        kind(Adam::new(0.003).decoupled_weight_decay(0.01).into(), true, rare),
        kind(Sgd::new(0.05).momentum(0.9).nesterov().weight_decay(0.001).into(), true, binary),
        kind(Sgd::new(0.01).momentum(0.8).into(), false, wide),
        kind(Adam::new(0.002).weight_decay(0.01).into(), true, wide),
    ]
}

/// A network with more parameters in a layer than ranks exchange at a time.
pub(crate) fn large_kind() -> Kind {
    let builder = Network::builder(INPUTS).layer(600, Activation::Relu).layer(600, Activation::Tanh);
    let builder = builder.layer(3, Activation::Identity).cost(Cost::SoftmaxCrossEntropy);
    Kind { builder: builder.optimizer(Adam::new(0.001)).max_batch(4096), is_weighted: false }
}

/// Samples with targets for each cost.
pub(crate) struct Data {
    pub(crate) x: Vec<f32>,
    y: Vec<f32>,
    labels: Vec<u8>,
    weights: Vec<f32>,
    outputs: usize,
}

impl Data {
    pub(crate) fn new(outputs: usize, samples: usize, seed: u64) -> Self {
        Self {
            x: values(samples * INPUTS, seed),
            y: values(samples * outputs, seed + 1).iter().map(|y| (y + 1.0) / 2.0).collect(),
            labels: (0..samples).map(|i| (i * 7 % 11 % outputs) as u8).collect(),
            // A part's weights may all be zero.
            weights: (0..samples).map(|i| if i / 256 == 1 { 0.0 } else { 0.3 + (i % 5) as f32 }).collect(),
            outputs,
        }
    }

    pub(crate) fn x(&self, rows: Range<usize>) -> &[f32] {
        &self.x[rows.start * INPUTS..rows.end * INPUTS]
    }

    pub(crate) fn targets(&self, cost: Cost, rows: Range<usize>, is_weighted: bool) -> Targets<'_> {
        let targets = match cost {
            Cost::SoftmaxCrossEntropy => Targets::classes(&self.labels[rows.clone()]),
            _ => Targets::values(&self.y[rows.start * self.outputs..rows.end * self.outputs]),
        };
        if is_weighted { targets.sample_weights(&self.weights[rows]) } else { targets }
    }
}

/// The bits of all parameters.
pub(crate) fn bits(network: &Network) -> Vec<u32> {
    network.layers().iter().flat_map(|layer| layer.w().iter().chain(layer.b())).map(|value| value.to_bits()).collect()
}

/// The bits of all gradients.
pub(crate) fn gradient_bits(network: &Network) -> Vec<u32> {
    let layers = network.layers().iter();
    layers.flat_map(|layer| layer.d_w().iter().chain(layer.d_b())).map(|value| value.to_bits()).collect()
}

/// Options of ranks that are to get to their end, however long a loaded machine keeps one of them from its core.
pub(crate) fn patient() -> Options {
    Options::new().patience(Duration::from_secs(600))
}
