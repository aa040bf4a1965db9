//! Times fused layers against burn's own on the same backend, on one thread:
//! `cargo run --release --features ndarray --example speed`, with `-- quick` for a look that proves nothing. Other
//! arguments choose layers by what their names begin with: `-- 32×784`.
//!
//! Each sample of burn's own layer is followed by one of the fused layer, or the other way about in every second round, so
//! that what else the machine does meets both. The ratio is the median of the rounds' ratios. burn is built here without its
//! feature `rayon`, so that its own layers stay on the thread too, and with `simd` and `x86-v4`, by which they are faster.
#![allow(deprecated)] // burn has deprecated the backend over ndarray

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor, activation};
use fused_dense_burn::{Activation, FusedLinear};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Batch, inputs and outputs of a layer with its activation.
struct Shape(usize, usize, usize, Activation);

impl Shape {
    fn name(&self) -> String {
        format!("{}×{}→{}", self.0, self.1, self.2)
    }
}

const SHAPES: &[Shape] = &[
    Shape(1, 784, 100, Activation::Relu),
    Shape(10, 784, 30, Activation::Sigmoid),
    Shape(32, 784, 100, Activation::Relu),
    Shape(32, 784, 100, Activation::Sigmoid),
    Shape(32, 784, 100, Activation::Gelu),
    Shape(128, 512, 10, Activation::Identity),
    Shape(128, 784, 512, Activation::Relu),
    Shape(256, 13, 512, Activation::Relu),
    Shape(1024, 1024, 1024, Activation::Relu),
];

/// How long a sample takes at least, and how many rounds there are.
#[derive(Clone, Copy)]
struct Effort {
    sample: Duration,
    rounds: usize,
}

/// Medians of a comparison: seconds of a call, and burn's own by the fused one's.
struct Medians {
    own: f64,
    fused: f64,
    ratio: f64,
}

fn main() {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let (quick, names): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|argument| argument == "quick");
    let chosen = |shape: &Shape| names.is_empty() || names.iter().any(|name| shape.name().starts_with(name));
    let effort = match quick.is_empty() {
        true => Effort { sample: Duration::from_millis(20), rounds: 31 },
        false => Effort { sample: Duration::from_millis(1), rounds: 3 },
    };
    println!("one thread; medians of {} pairs; µs of a call, and burn's by the fused layer's\n", effort.rounds);
    println!("backend  layer              activation  pass      burn's own       fused  ratio");
    let backends = [("ndarray", Device::ndarray()), ("flex", Device::flex())];
    for (backend, device) in &backends {
        for shape in SHAPES.iter().filter(|shape| chosen(shape)) {
            print(backend, shape, "forward", forward(shape, device, effort));
            print(backend, shape, "both", both(shape, &device.clone().autodiff(), effort));
        }
    }
}

fn print(backend: &str, shape: &Shape, pass: &str, medians: Medians) {
    let (layer, activation) = (shape.name(), shape.3);
    let Medians { own, fused, ratio } = medians;
    let (own, fused) = (1e6 * own, 1e6 * fused);
    println!("{backend:<8} {layer:<18} {activation:<11} {pass:<8} {own:>11.1} {fused:>11.1} {ratio:>5.2}×");
}

/// Both layers with the same parameters, and an input.
fn layers(shape: &Shape, device: &Device) -> (Linear, FusedLinear, Tensor<2>) {
    let Shape(batch, inputs, outputs, activation) = *shape;
    device.seed(1);
    let linear = LinearConfig::new(inputs, outputs).init(device);
    let input = Tensor::random([batch, inputs], Distribution::Uniform(-1.0, 1.0), device);
    (linear.clone(), FusedLinear::from_linear(linear, activation), input)
}

fn own_forward(linear: &Linear, activation: Activation, input: Tensor<2>) -> Tensor<2> {
    let z = linear.forward(input);
    match activation {
        Activation::Relu => activation::relu(z),
        Activation::Sigmoid => activation::sigmoid(z),
        Activation::Gelu => activation::gelu(z),
        Activation::Identity => z,
        other => unreachable!("no shape has {other}"),
    }
}

/// Without gradients, as a trained network is used.
fn forward(shape: &Shape, device: &Device, effort: Effort) -> Medians {
    let (linear, fused, input) = layers(shape, device);
    compare(
        effort,
        || drop(black_box(own_forward(&linear, shape.3, input.clone()))),
        || drop(black_box(fused.forward(input.clone()))),
    )
}

/// Forward, and backward to the gradients of input, weights and bias, as a layer between others is trained.
fn both(shape: &Shape, device: &Device, effort: Effort) -> Medians {
    let (linear, fused, input) = layers(shape, device);
    let (linear, fused, input) = (linear.train(), fused.train(), input.require_grad());
    compare(
        effort,
        || drop(black_box(own_forward(&linear, shape.3, input.clone()).sum().backward())),
        || drop(black_box(fused.forward(input.clone()).sum().backward())),
    )
}

fn compare(effort: Effort, own: impl Fn(), fused: impl Fn()) -> Medians {
    let (own_calls, fused_calls) = (calls_of_a_sample(effort.sample, &own), calls_of_a_sample(effort.sample, &fused));
    let mut pairs = Vec::with_capacity(effort.rounds);
    for round in 0..effort.rounds {
        let (own, fused) = if round % 2 == 0 {
            let own = seconds(own_calls, &own);
            (own, seconds(fused_calls, &fused))
        } else {
            let fused = seconds(fused_calls, &fused);
            (seconds(own_calls, &own), fused)
        };
        pairs.push((own, fused));
    }
    let median_of = |value: fn(&(f64, f64)) -> f64| median(pairs.iter().map(value).collect());
    Medians { own: median_of(|pair| pair.0), fused: median_of(|pair| pair.1), ratio: median_of(|pair| pair.0 / pair.1) }
}

/// Calls that fill a sample, found by doubling, which also warms up.
fn calls_of_a_sample(sample: Duration, call: &impl Fn()) -> u32 {
    let mut calls = 1;
    while calls < 1 << 20 && seconds(calls, call) * f64::from(calls) < sample.as_secs_f64() {
        calls *= 2;
    }
    calls
}

/// Seconds of a call.
fn seconds(calls: u32, call: &impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
