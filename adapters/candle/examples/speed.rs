//! Times of fused layers and of candle's own: `cargo run --release --example speed`.
//!
//! Both compute in turn, in one run and on one thread; which one comes first changes from round to round. A time is the
//! median of the rounds, a ratio the median of candle's time by ours in each round, between its quartiles.
//!
//! "forward" records the graph, as in training. "first layer" goes back to weight and bias, "inner layer" to the input
//! too. candle's own layers always compute the gradient of the input. `-- --rounds N` changes the number of rounds.

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Linear, Module, ops};
use fused_dense_candle::{Activation, FusedLinear};
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

/// One layer, both ways, on the same variables.
struct Pair {
    plain: Plain,
    fused: FusedLinear,
    /// A constant, and a variable.
    inputs: [Tensor; 2],
}

impl Pair {
    fn new((batch, inputs, outputs): (usize, usize, usize), activation: Activation) -> Result<Self> {
        let limit = 1.0 / (inputs as f32).sqrt();
        let weight = Var::rand(-limit, limit, (outputs, inputs), &Device::Cpu)?.into_inner();
        let bias = Var::rand(-limit, limit, outputs, &Device::Cpu)?.into_inner();
        let linear = Linear::new(weight, Some(bias));
        let fused = FusedLinear::from_linear(&linear, activation)?;
        let x = Var::rand(-1_f32, 1_f32, (batch, inputs), &Device::Cpu)?.into_inner();
        Ok(Self { plain: Plain { linear, activation }, fused, inputs: [x.detach(), x] })
    }
}

#[derive(Clone, Copy)]
enum Pass {
    Forward,
    FirstLayer,
    InnerLayer,
}

impl Pass {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Forward, "forward"), (Self::FirstLayer, "both, first layer"), (Self::InnerLayer, "both, inner layer")];

    fn run(self, layer: &dyn Module, [constant, variable]: &[Tensor; 2]) -> Result<()> {
        let a = layer.forward(if matches!(self, Self::InnerLayer) { variable } else { constant })?;
        match self {
            Self::Forward => drop(black_box(a)),
            Self::FirstLayer | Self::InnerLayer => drop(black_box(a.backward()?)),
        }
        Ok(())
    }
}

/// Seconds that a call takes, over so many calls.
fn time(calls: u32, pass: Pass, layer: &dyn Module, inputs: &[Tensor; 2]) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..calls {
        pass.run(layer, inputs)?;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(calls))
}

/// Calls that fill a round.
fn calls(pass: Pass, layer: &dyn Module, inputs: &[Tensor; 2]) -> Result<u32> {
    let mut calls = 1;
    loop {
        let seconds = time(calls, pass, layer, inputs)?;
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

fn compare(pair: &Pair, pass: Pass, rounds: usize) -> Result<String> {
    let (plain, fused): (&dyn Module, &dyn Module) = (&pair.plain, &pair.fused);
    let (plain_calls, fused_calls) = (calls(pass, plain, &pair.inputs)?, calls(pass, fused, &pair.inputs)?);
    let (mut plain_times, mut fused_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut times = [0.0; 2];
        for turn in [round % 2, 1 - round % 2] {
            times[turn] = match turn {
                0 => time(plain_calls, pass, plain, &pair.inputs)?,
                _ => time(fused_calls, pass, fused, &pair.inputs)?,
            };
        }
        plain_times.push(times[0]);
        fused_times.push(times[1]);
        ratios.push(times[0] / times[1]);
    }
    let micros = |times: &mut [f64]| 1e6 * quantile(times, 0.5);
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
    Ok(format!(
        "{:>12.1} {:>12.1} {middle:>7.2}×  {low:.2} to {high:.2}",
        micros(&mut plain_times),
        micros(&mut fused_times)
    ))
}

fn rounds() -> Result<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => Ok(ROUNDS),
        [option, number] if option == "--rounds" => match number.parse() {
            Ok(rounds) if rounds > 0 => Ok(rounds),
            _ => candle_core::bail!("--rounds: expected a number of 1 or more, found {number:?}"),
        },
        found => candle_core::bail!("expected no arguments or --rounds N, found {found:?}"),
    }
}

fn run() -> Result<()> {
    let rounds = rounds()?;
    println!("microseconds a call on one thread, {rounds} rounds");
    println!("{:16} {:8} {:18} {:>12} {:>12} {:>8}", "layer", "", "", "candle", "fused", "ratio");
    for shape in SHAPES {
        for activation in ACTIVATIONS {
            let pair = Pair::new(shape, activation)?;
            for (pass, name) in Pass::ALL {
                let (batch, inputs, outputs) = shape;
                let layer = format!("{batch}×{inputs}→{outputs}");
                println!("{layer:16} {:8} {name:18} {}", activation.to_string(), compare(&pair, pass, rounds)?);
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
