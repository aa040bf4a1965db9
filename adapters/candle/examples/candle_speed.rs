//! Times of fused layers and of candle's own: `cargo run --release --example candle_speed`.
//!
//! Both compute in turn, in one run and on one thread; which one comes first changes from round to round. A time is the
//! median of the rounds, a ratio the median of candle's time by ours in each round, between its quartiles. The bound is
//! candle's time by that of the kernels over slices.
//!
//! "forward" records the graph, as in training. "first" goes forward and back to weight and bias, "inner" to the input too;
//! candle's own layers always compute the gradient of the input. "candle's" is `Tensor::backward`, "ours" this crate's
//! `backward`. `-- --rounds N` changes the number of rounds; other arguments choose layers by what their names begin with:
//! `-- 32×784`.
//!
//! Times backward depend much on how much freed memory the system's allocator keeps. A block that is freed at the start
//! makes glibc keep as much as a program of some size makes it keep; `-- --fresh` leaves that out.

use candle_core::backprop::GradStore;
use candle_core::{Device, Error, Result, Tensor, Var};
use candle_nn::{Linear, Module, ops};
use fused_dense_candle::fused_dense::{Dense, Gradients, Outputs, Saved, Upstream, Workspace};
use fused_dense_candle::{Activation, FusedLinear, backward};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const ROUNDS: usize = 31;

/// Long enough that reading the clock does not count.
const ROUND: Duration = Duration::from_millis(20);

/// Batch, inputs, outputs.
const SHAPES: [(usize, usize, usize); 7] =
    [(1, 784, 100), (10, 784, 30), (32, 784, 100), (128, 784, 512), (128, 512, 10), (256, 13, 512), (1024, 1024, 1024)];

const ACTIVATIONS: [Activation; 3] = [Activation::Relu, Activation::Sigmoid, Activation::Gelu];

/// A layer as candle has it.
struct Plain {
    linear: Linear,
    activation: Activation,
}

impl Module for Plain {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let z = self.linear.forward(x)?;
        match self.activation {
            Activation::Relu => z.relu(),
            Activation::Sigmoid => ops::sigmoid(&z),
            Activation::Gelu => z.gelu_erf(),
            other => candle_core::bail!("{other} is not compared"),
        }
    }
}

/// One layer in every way, on the same values.
struct Layers {
    plain: Plain,
    fused: FusedLinear,
    kernels: Kernels,
    /// A constant, and a variable.
    inputs: [Tensor; 2],
}

impl Layers {
    fn new((batch, inputs, outputs): (usize, usize, usize), activation: Activation) -> Result<Self> {
        let limit = 1.0 / (inputs as f32).sqrt();
        let weight = Var::rand(-limit, limit, (outputs, inputs), &Device::Cpu)?.into_inner();
        let bias = Var::rand(-limit, limit, outputs, &Device::Cpu)?.into_inner();
        let linear = Linear::new(weight, Some(bias));
        let fused = FusedLinear::from_linear(&linear, activation)?;
        let x = Var::rand(-1_f32, 1_f32, (batch, inputs), &Device::Cpu)?.into_inner();
        let kernels = Kernels::new(&x, &linear, activation)?;
        Ok(Self { plain: Plain { linear, activation }, fused, kernels, inputs: [x.detach(), x] })
    }

    /// The pass by candle's own layer, by the fused one, and by the kernels alone.
    fn run(&mut self, way: usize, pass: &Pass) -> Result<()> {
        let layer: &dyn Module = match way {
            0 => &self.plain,
            1 => &self.fused,
            _ => return self.kernels.run(pass.backward.is_some(), pass.is_inner),
        };
        let a = layer.forward(&self.inputs[usize::from(pass.is_inner)])?;
        match (pass.backward, way) {
            (None, _) => drop(black_box(a)),
            (Some(_), 0) => drop(black_box(a.backward()?)),
            (Some(backward), _) => drop(black_box(backward(&a)?)),
        }
        Ok(())
    }
}

/// The kernels over slices, into memory that is there: the time that no layer in candle can be below.
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
    fn new(x: &Tensor, linear: &Linear, activation: Activation) -> Result<Self> {
        let (batch, inputs) = x.dims2()?;
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (w, b) = (values(linear.weight())?, linear.bias().map_or(Ok(Vec::new()), values)?);
        let outputs = b.len();
        let dense = Dense::new(inputs, outputs, activation);
        let workspace = Workspace::new(dense.workspace_len().map_err(Error::wrap)?);
        let room = vec![0.0; batch * outputs];
        let z = activation.needs_z().then(|| room.clone());
        let (d_x, d_w, d_b) = (vec![0.0; batch * inputs], w.clone(), b.clone());
        Ok(Self {
            dense,
            workspace,
            x: values(x)?,
            w,
            b,
            a: room.clone(),
            z,
            d_a: vec![1.0; room.len()],
            d_x,
            d_w,
            d_b,
        })
    }

    fn run(&mut self, is_backward: bool, is_inner: bool) -> Result<()> {
        let outputs = match &mut self.z {
            Some(z) => Outputs::new(&mut self.a).z(z),
            None => Outputs::new(&mut self.a),
        };
        let Self { dense, workspace, x, w, b, .. } = self;
        dense.forward_in(workspace, &*x, &*w, &*b, outputs).map_err(Error::wrap)?;
        if !is_backward {
            return Ok(());
        }
        let mut gradients = Gradients::new().w(&mut self.d_w).b(&mut self.d_b);
        if is_inner {
            gradients = gradients.a_prev(&mut self.d_x);
        }
        let saved = self.z.as_ref().map_or(Saved::from(&self.a), Saved::z);
        let upstream = Upstream::Activation(&self.d_a);
        dense.backward_in(workspace, &*x, &*w, saved, upstream, gradients).map_err(Error::wrap)
    }
}

struct Pass {
    name: &'static str,
    is_inner: bool,
    /// How the fused layer goes back.
    backward: Option<fn(&Tensor) -> Result<GradStore>>,
}

const PASSES: [Pass; 5] = [
    Pass { name: "forward", is_inner: false, backward: None },
    Pass { name: "first, candle's", is_inner: false, backward: Some(Tensor::backward) },
    Pass { name: "first, ours", is_inner: false, backward: Some(backward) },
    Pass { name: "inner, candle's", is_inner: true, backward: Some(Tensor::backward) },
    Pass { name: "inner, ours", is_inner: true, backward: Some(backward) },
];

/// Seconds that a call takes, over so many calls.
fn time(calls: u32, layers: &mut Layers, way: usize, pass: &Pass) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..calls {
        layers.run(way, pass)?;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(calls))
}

/// Calls that fill a round.
fn calls(layers: &mut Layers, way: usize, pass: &Pass) -> Result<u32> {
    let mut calls = 1;
    loop {
        let seconds = time(calls, layers, way, pass)?;
        if seconds * f64::from(calls) >= ROUND.as_secs_f64() {
            return Ok(calls);
        }
        calls *= 2;
    }
}

/// The value below which this share of all lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn compare(layers: &mut Layers, pass: &Pass, rounds: usize) -> Result<String> {
    let mut calls_of = [0; 3];
    for (way, calls_of) in calls_of.iter_mut().enumerate() {
        *calls_of = calls(layers, way, pass)?;
    }
    let (mut times, mut ratios, mut bounds) = ([const { Vec::new() }; 3], Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut seconds = [0.0; 3];
        for turn in 0..3 {
            let way = if round % 2 == 0 { turn } else { 2 - turn };
            seconds[way] = time(calls_of[way], layers, way, pass)?;
            times[way].push(1e6 * seconds[way]);
        }
        ratios.push(seconds[0] / seconds[1]);
        bounds.push(seconds[0] / seconds[2]);
    }
    let [plain, fused, kernels] = times.map(|mut times| quantile(&mut times, 0.5));
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
    let bound = quantile(&mut bounds, 0.5);
    Ok(format!("{plain:>10.1} {fused:>10.1} {kernels:>10.1} {middle:>6.2}×  {low:.2} to {high:.2} {bound:>6.2}×"))
}

/// glibc takes blocks up to the size of the largest that was freed from a heap which it keeps. This size is the largest that
/// counts.
fn keep_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(black_box(31 << 20))));
}

struct Arguments {
    rounds: usize,
    is_fresh: bool,
    /// The beginnings of the names of the layers that are wanted; none for all.
    names: Vec<String>,
}

fn arguments() -> Result<Arguments> {
    let (mut rounds, mut is_fresh, mut names) = (ROUNDS, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => {
                let number = arguments.next().unwrap_or_default();
                rounds = match number.parse() {
                    Ok(rounds) if rounds > 0 => rounds,
                    _ => candle_core::bail!("--rounds: expected a number of 1 or more, found {number:?}"),
                };
            }
            "--fresh" => is_fresh = true,
            option if option.starts_with('-') => {
                candle_core::bail!("expected --rounds N, --fresh or layers, found {option:?}")
            }
            _ => names.push(argument),
        }
    }
    Ok(Arguments { rounds, is_fresh, names })
}

fn run() -> Result<()> {
    let Arguments { rounds, is_fresh, names } = arguments()?;
    if !is_fresh {
        keep_freed_memory();
    }
    println!("microseconds a call on one thread, {rounds} rounds");
    let (ratio, bound) = ("ratio", "bound");
    println!("{:41} {:>11} {:>10} {:>10} {ratio:>7} {bound:>20}", "layer", "candle", "fused", "kernels");
    for shape in SHAPES {
        let (batch, inputs, outputs) = shape;
        let layer = format!("{batch}×{inputs}→{outputs}");
        if !names.is_empty() && !names.iter().any(|name| layer.starts_with(name)) {
            continue;
        }
        for activation in ACTIVATIONS {
            let mut layers = Layers::new(shape, activation)?;
            for pass in &PASSES {
                let (activation, name) = (activation.to_string(), pass.name);
                println!("{layer:16} {activation:8} {name:16} {}", compare(&mut layers, pass, rounds)?);
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    // SAFETY: nothing else has run yet, so that no thread reads the environment.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
