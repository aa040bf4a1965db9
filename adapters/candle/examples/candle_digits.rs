//! Learns to read handwritten digits with candle's own layers, then with fused ones:
//! `cargo run --release --example candle_digits`.
//!
//! 1797 images of 8×8 pixels (E. Alpaydin and C. Kaynak, 1998); a network of 64 inputs, 100 hidden and 10 outputs; candle's
//! AdamW on its softmax cross-entropy. Both networks begin with the same values and see the same batches; a fifth of the
//! images is held out and only read to measure what was learnt.

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Linear, Module, Optimizer, VarBuilder, VarMap, loss};
use fused_dense_candle::{Activation, FusedSequential, backward, fused_sequential};
use smartcore::dataset::digits;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PIXELS: usize = 64;
const HIDDEN: usize = 100;
const DIGITS: usize = 10;

const EPOCHS: usize = 20;
const BATCH: usize = 32;
const RATE: f64 = 3e-3;
const WANTED_ACCURACY: f32 = 0.95;

/// Images, a row each, and the digits that they show.
struct Samples {
    images: Tensor,
    labels: Tensor,
}

/// Every fifth image is held out.
fn load() -> Result<[Samples; 2]> {
    let data = digits::load_dataset();
    let images: Vec<&[f32]> = data.data.chunks_exact(PIXELS).collect();
    let part = |is_wanted: fn(usize) -> bool| -> Result<Samples> {
        let wanted = || (0..images.len()).filter(|index| is_wanted(*index));
        // Pixels are counts of 0 to 16.
        let pixels: Vec<f32> = wanted().flat_map(|index| images[index].iter().map(|pixel| pixel / 16.0)).collect();
        let labels: Vec<u32> = wanted().map(|index| data.target[index] as u32).collect();
        let images = Tensor::from_vec(pixels, (labels.len(), PIXELS), &Device::Cpu)?;
        Ok(Samples { images, labels: Tensor::new(labels, &Device::Cpu)? })
    };
    Ok([part(|index| index % 5 != 0)?, part(|index| index % 5 == 0)?])
}

fn variables(parameters: &VarMap) -> VarBuilder<'static> {
    VarBuilder::from_varmap(parameters, DType::F32, &Device::Cpu)
}

/// The network as candle has it.
struct Plain {
    hidden: Linear,
    output: Linear,
}

impl Plain {
    fn new(vb: VarBuilder) -> Result<Self> {
        let hidden = candle_nn::linear(PIXELS, HIDDEN, vb.pp("0"))?;
        Ok(Self { hidden, output: candle_nn::linear(HIDDEN, DIGITS, vb.pp("1"))? })
    }
}

impl Module for Plain {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden.forward(x)?.relu()?)
    }
}

/// The same one, with the same names.
fn fused(vb: VarBuilder) -> Result<FusedSequential> {
    fused_sequential(PIXELS, vb).layer(HIDDEN, Activation::Relu).layer(DIGITS, Activation::Identity).build()
}

/// The way back through a graph.
type Backward = fn(&Tensor) -> Result<GradStore>;

fn train(network: &dyn Module, step_back: Backward, variables: Vec<Var>, samples: &Samples) -> Result<(f32, Duration)> {
    let mut optimizer = AdamW::new_lr(variables, RATE)?;
    let count = samples.labels.dim(0)?;
    let start = Instant::now();
    let mut last_loss = 0.0;
    for _ in 0..EPOCHS {
        for first in (0..count).step_by(BATCH) {
            let len = BATCH.min(count - first);
            let outputs = network.forward(&samples.images.narrow(0, first, len)?)?;
            let loss = loss::cross_entropy(&outputs, &samples.labels.narrow(0, first, len)?)?;
            optimizer.step(&step_back(&loss)?)?;
            last_loss = loss.to_scalar::<f32>()?;
        }
    }
    Ok((last_loss, start.elapsed()))
}

fn accuracy(network: &dyn Module, samples: &Samples) -> Result<f32> {
    let read = network.forward(&samples.images)?.argmax(D::Minus1)?;
    read.eq(&samples.labels)?.to_dtype(DType::F32)?.mean_all()?.to_scalar()
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether both networks have learnt to read.
fn run() -> Result<bool> {
    let [samples, held_out] = load()?;
    let (plain_parameters, fused_parameters) = (VarMap::new(), VarMap::new());
    let plain = Plain::new(variables(&plain_parameters))?;
    let fused = fused(variables(&fused_parameters))?;
    for (name, var) in plain_parameters.data().lock().expect("no thread has panicked").iter() {
        fused_parameters.clone().set_one(name, var.as_tensor())?;
    }
    println!("{PIXELS}→{HIDDEN}→{DIGITS}, {EPOCHS} epochs of {} images, batches of {BATCH}", samples.labels.dim(0)?);
    println!("{:24} {:>9} {:>10} {:>9}", "", "time", "last loss", "accuracy");
    let mut times = Vec::new();
    let mut is_learnt = true;
    let networks: [(&str, &dyn Module, Backward, &VarMap); 2] = [
        ("candle_nn::Linear + relu", &plain, Tensor::backward, &plain_parameters),
        ("FusedLinear", &fused, backward, &fused_parameters),
    ];
    for (name, network, step_back, parameters) in networks {
        let (loss, time) = train(network, step_back, parameters.all_vars(), &samples)?;
        let accuracy = accuracy(network, &held_out)?;
        println!("{name:24} {:>7.2} s {loss:>10.5} {:>7.1} %", time.as_secs_f64(), 100.0 * accuracy);
        times.push(time.as_secs_f64());
        is_learnt &= accuracy >= WANTED_ACCURACY;
    }
    println!("fused takes {:.2} of the time, optimiser and loss included", times[1] / times[0]);
    Ok(is_learnt)
}
