//! Times fused layers against burn's own on the same backend, on one thread:
//! `cargo run --release --features ndarray --example burn_speed`, with `-- quick` for a look that proves nothing. Other
//! arguments choose layers by what their names begin with: `-- 32×784`.
//!
//! burn's own layer, the fused one, the fused one with weights in columns (`LinearLayout::Col`), and the kernels over slices
//! compute in turn; every second round goes the other way about, so that what else the machine does meets all. Ratios are
//! medians of burn's time by the other in each round. No layer in burn can be below the time of the kernels: theirs is the
//! bound. burn is built here without its feature `rayon`, so that its own layers stay on the thread too, and with `simd` and
//! `x86-v4`, by which they are faster.
//!
//! Times backward depend much on how much freed memory the system's allocator keeps. A block that is freed at the start
//! makes glibc keep as much as a program of some size makes it keep; `-- fresh` leaves that out.
#![allow(deprecated)] // burn has deprecated the backend over ndarray

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor, activation};
use fused_dense::{Dense, Gradients, MatrixView, MatrixViewMut, Outputs, Saved, Upstream, Workspace};
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

/// Ways to compute a layer, each a call.
type Ways<'a> = [Box<dyn FnMut() + 'a>; 4];

fn main() {
    let (mut effort, mut is_fresh) = (Effort { sample: Duration::from_millis(20), rounds: 31 }, false);
    let mut names = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "quick" => effort = Effort { sample: Duration::from_millis(1), rounds: 3 },
            "fresh" => is_fresh = true,
            _ => names.push(argument),
        }
    }
    if !is_fresh {
        keep_freed_memory();
    }
    println!("one thread; medians of {} rounds; µs of a call, and burn's own by it\n", effort.rounds);
    let (layer, columns) = ("layer", "in columns");
    println!("backend  {layer:<18} activation  pass        own       fused         {columns:<15} kernels");
    let backends = [("ndarray", Device::ndarray()), ("flex", Device::flex())];
    for (backend, device) in &backends {
        for shape in SHAPES {
            if names.is_empty() || names.iter().any(|name| shape.name().starts_with(name)) {
                let start = format!("{backend:<8} {:<18} {:<11}", shape.name(), shape.3);
                println!("{start} forward  {}", forward(shape, device, effort));
                println!("{start} both     {}", both(shape, &device.clone().autodiff(), effort));
            }
        }
    }
}

/// glibc takes blocks up to the size of the largest that was freed from a heap which it keeps. This size is the largest that
/// counts.
fn keep_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(black_box(31 << 20))));
}

/// Layers with the same parameters, and an input.
struct Layers {
    own: Linear,
    fused: FusedLinear,
    columns: FusedLinear,
    input: Tensor<2>,
}

impl Layers {
    fn new(shape: &Shape, device: &Device) -> Self {
        let Shape(batch, inputs, outputs, activation) = *shape;
        device.seed(1);
        let own = LinearConfig::new(inputs, outputs).init(device);
        let input = Tensor::random([batch, inputs], Distribution::Uniform(-1.0, 1.0), device);
        let weight = Tensor::from_data(own.weight.val().transpose().into_data(), device).transpose();
        let columns = Linear { weight: Param::from_tensor(weight), bias: own.bias.clone() };
        Self {
            fused: FusedLinear::from_linear(own.clone(), activation),
            columns: FusedLinear::from_linear(columns, activation),
            own,
            input,
        }
    }
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
fn forward(shape: &Shape, device: &Device, effort: Effort) -> String {
    let Layers { own, fused, columns, input } = Layers::new(shape, device);
    let mut kernels = Kernels::new(shape, false);
    compare(
        effort,
        [
            Box::new(|| drop(black_box(own_forward(&own, shape.3, input.clone())))),
            Box::new(|| drop(black_box(fused.forward(input.clone())))),
            Box::new(|| drop(black_box(columns.forward(input.clone())))),
            Box::new(|| kernels.forward()),
        ],
    )
}

/// Forward, and backward to the gradients of input, weights and bias, as a layer between others is trained.
fn both(shape: &Shape, device: &Device, effort: Effort) -> String {
    let Layers { own, fused, columns, input } = Layers::new(shape, device);
    let (own, fused, columns) = (own.train(), fused.train(), columns.train());
    let input = input.require_grad();
    let mut kernels = Kernels::new(shape, true);
    compare(
        effort,
        [
            Box::new(|| drop(black_box(own_forward(&own, shape.3, input.clone()).sum().backward()))),
            Box::new(|| drop(black_box(fused.forward(input.clone()).sum().backward()))),
            Box::new(|| drop(black_box(columns.forward(input.clone()).sum().backward()))),
            Box::new(|| {
                kernels.forward();
                kernels.backward();
            }),
        ],
    )
}

/// The kernels over slices, into memory that is there, with weights as burn's own layers have them.
struct Kernels {
    dense: Dense,
    workspace: Workspace,
    x: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    a: Vec<f32>,
    z: Option<Vec<f32>>,
    d_a: Vec<f32>,
    d_x: Vec<f32>,
    d_w: Vec<f32>,
    d_b: Vec<f32>,
}

impl Kernels {
    fn new(shape: &Shape, is_trained: bool) -> Self {
        let Shape(batch, inputs, outputs, activation) = *shape;
        let dense = Dense::new(inputs, outputs, activation);
        let workspace = Workspace::new(dense.workspace_len().expect("no more than memory has"));
        let numbers = |len: usize| (0..len).map(|index| (index % 19) as f32 / 19.0 - 0.5).collect::<Vec<_>>();
        let a = numbers(batch * outputs);
        Self {
            x: numbers(batch * inputs),
            w: numbers(inputs * outputs),
            b: numbers(outputs),
            z: (is_trained && activation.needs_z()).then(|| a.clone()),
            d_a: vec![1.0; a.len()],
            a,
            d_x: numbers(batch * inputs),
            d_w: numbers(inputs * outputs),
            d_b: numbers(outputs),
            dense,
            workspace,
        }
    }

    fn forward(&mut self) {
        let Self { dense, workspace, x, w, b, a, z, .. } = self;
        let w = MatrixView::row_major(w, dense.inputs(), dense.outputs()).expect("as long as the shape is large");
        let outputs = match z {
            Some(z) => Outputs::new(a).z(z),
            None => Outputs::new(a),
        };
        dense.forward_in(workspace, &*x, w.transposed(), &*b, outputs).expect("operands of the layer's shape");
    }

    fn backward(&mut self) {
        let Self { dense, workspace, x, w, a, z, d_a, d_x, d_w, d_b, .. } = self;
        let (inputs, outputs) = (dense.inputs(), dense.outputs());
        let w = MatrixView::row_major(w, inputs, outputs).expect("as long as the shape is large");
        let d_w = MatrixViewMut::new(d_w, outputs, inputs, 1, outputs).expect("as long as the shape is large");
        let saved = z.as_ref().map_or(Saved::from(&*a), Saved::z);
        let gradients = Gradients::new().w(d_w).b(d_b).a_prev(d_x);
        let upstream = Upstream::Activation(&*d_a);
        let result = dense.backward_in(workspace, &*x, w.transposed(), saved, upstream, gradients);
        result.expect("operands of the layer's shape");
    }
}

fn compare(effort: Effort, mut ways: Ways<'_>) -> String {
    let calls = ways.each_mut().map(|way| calls_of_a_sample(effort.sample, way));
    let (mut times, mut ratios) = ([const { Vec::new() }; 4], [const { Vec::new() }; 4]);
    for round in 0..effort.rounds {
        let mut of_round = [0.0; 4];
        for turn in 0..4 {
            let way = if round % 2 == 0 { turn } else { 3 - turn };
            of_round[way] = seconds(calls[way], &mut ways[way]);
        }
        for way in 0..4 {
            times[way].push(1e6 * of_round[way]);
            ratios[way].push(of_round[0] / of_round[way]);
        }
    }
    let ([own, fused, columns, kernels], [_, fused_ratio, columns_ratio, bound]) =
        (times.map(median), ratios.map(median));
    format!(
        "{own:>10.1}{fused:>10.1} {fused_ratio:>5.2}×{columns:>10.1} {columns_ratio:>5.2}×{kernels:>10.1} {bound:>5.2}×"
    )
}

/// Calls that fill a sample, found by doubling, which also warms up.
fn calls_of_a_sample(sample: Duration, call: &mut impl FnMut()) -> u32 {
    let mut calls = 1;
    while calls < 1 << 20 && seconds(calls, call) * f64::from(calls) < sample.as_secs_f64() {
        calls *= 2;
    }
    calls
}

/// Seconds of a call.
fn seconds(calls: u32, call: &mut impl FnMut()) -> f64 {
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
