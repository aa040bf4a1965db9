//! Networks in files: what is written comes back to the bit, other programs' files fit, and what does not fit changes
//! nothing.

#![cfg(not(miri))]

mod contents;
#[path = "../support/folder.rs"]
mod folder;
mod misfits;
mod resumed;
mod round_trips;
mod writing;

use fused_dense::{Activation, Adam, Cost, Network, NetworkBuilder, Optimizer, Sgd};

const SAMPLES: usize = 50;

/// Every rule, with settings of its own.
fn optimizers() -> [Optimizer; 7] {
    [
        Sgd::new(0.1).into(),
        Sgd::new(0.1).weight_decay(0.01).into(),
        Sgd::new(0.05).momentum(0.9).into(),
        Sgd::new(0.05).momentum(0.7).weight_decay(1e-4).nesterov().into(),
        Adam::new(0.01).into(),
        Adam::new(0.003).betas(0.8, 0.95).epsilon(1e-6).weight_decay(1e-3).into(),
        Adam::new(1e-3).decoupled_weight_decay(0.3).into(),
    ]
}

/// The same kind with other settings.
fn other_settings(optimizer: Optimizer) -> Optimizer {
    match optimizer {
        Optimizer::Sgd(_) if optimizer.state_arrays() == 0 => Sgd::new(0.7).weight_decay(0.5).into(),
        Optimizer::Sgd(_) => Sgd::new(0.7).momentum(0.1).into(),
        _ => Adam::new(0.7).betas(0.1, 0.1).epsilon(0.1).decoupled_weight_decay(0.1).into(),
    }
}

/// One layer without an activation, so that the modules' numbers are not the layers' doubled.
fn builder(optimizer: impl Into<Optimizer>) -> NetworkBuilder {
    Network::builder(5)
        .layer(8, Activation::Tanh)
        .layer(7, Activation::Identity)
        .layer(6, Activation::LeakyRelu { slope: 0.2 })
        .layer(3, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .optimizer(optimizer)
        .max_batch(16)
}

fn network(optimizer: impl Into<Optimizer>, seed: u64) -> Network {
    builder(optimizer).seed(seed).build().expect("a valid network")
}

fn data() -> (Vec<f32>, Vec<u8>) {
    let x: Vec<f32> = (0..SAMPLES * 5).map(|i| (i * i % 41) as f32 / 20.0 - 1.0).collect();
    let labels = x.chunks(5).map(|row| u8::from(row[0] > row[1]) + u8::from(row[2] > row[3])).collect();
    (x, labels)
}

/// Steps `range`, each on a batch of its own, with a learning rate that changes on the way.
fn train(network: &mut Network, range: core::ops::Range<usize>) {
    let (x, labels) = data();
    for step in range {
        if step % 4 == 2 {
            network.set_learning_rate(network.optimizer().learning_rate() * 0.83).expect("a valid rate");
        }
        let start = step * 7 % 40;
        network.step(&x[start * 5..(start + 10) * 5], &labels[start..start + 10]).expect("a valid step");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn parameters(network: &Network) -> Vec<Vec<u32>> {
    network.layers().iter().flat_map(|layer| [bits(layer.w()), bits(layer.b())]).collect()
}

/// All that a checkpoint holds; settings as text, which tells -0 from 0.
#[derive(Debug, PartialEq)]
struct State {
    parameters: Vec<Vec<u32>>,
    arrays: Vec<Vec<u32>>,
    settings: String,
    steps: u64,
    next_epoch: usize,
}

fn state(network: &Network) -> State {
    let arrays = network.layers().iter().flat_map(|layer| layer.optimizer_state().flatten().map(bits));
    State {
        parameters: parameters(network),
        arrays: arrays.collect(),
        settings: format!("{:?}", network.optimizer()),
        steps: network.steps(),
        next_epoch: network.next_epoch(),
    }
}
