//! Learns to read handwritten digits, with burn's own layers and with fused ones:
//! `cargo run --release --example burn_digits`.
//!
//! 1797 images of 8×8 pixels (E. Alpaydin and C. Kaynak, 1998); 64 inputs, 128 hidden and 10 outputs; burn's Adam on
//! softmax cross-entropy. Every fifth image is held out and only read to measure what was learnt. Both networks start
//! from the same parameters and see the same batches.

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use fused_dense_burn::{Activation, FusedLinear};
use smartcore::dataset::digits;
use std::process::ExitCode;
use std::time::Instant;

const PIXELS: usize = 64;
const HIDDEN: usize = 128;
const DIGITS: usize = 10;
const BATCH: usize = 32;
const EPOCHS: usize = 20;
const LEARNING_RATE: f64 = 3e-3;
const WANTED_ACCURACY: f64 = 0.95;

/// A network that reads digits.
trait Reader: Module {
    fn logits(&self, images: Tensor<2>) -> Tensor<2>;
}

/// Before: burn's own layers.
#[derive(Module, Debug)]
struct Own {
    hidden: Linear,
    relu: Relu,
    output: Linear,
}

impl Own {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(PIXELS, HIDDEN).init(device),
            relu: Relu::new(),
            output: LinearConfig::new(HIDDEN, DIGITS).init(device),
        }
    }
}

impl Reader for Own {
    fn logits(&self, images: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(images)))
    }
}

/// After: fused layers.
#[derive(Module, Debug)]
struct Fused {
    hidden: FusedLinear,
    output: FusedLinear,
}

impl From<Own> for Fused {
    fn from(own: Own) -> Self {
        Self {
            hidden: FusedLinear::from_linear(own.hidden, Activation::Relu),
            output: FusedLinear::from_linear(own.output, Activation::Identity),
        }
    }
}

impl Reader for Fused {
    fn logits(&self, images: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.hidden.forward(images))
    }
}

/// Images with the digits that they show.
struct Samples {
    images: Tensor<2>,
    digits: Tensor<1, Int>,
}

impl Samples {
    /// Those samples of the data set whose number is chosen.
    fn load(chosen: impl Fn(usize) -> bool, device: &Device) -> Self {
        let data = digits::load_dataset();
        let all = data.data.chunks_exact(PIXELS).zip(&data.target).enumerate();
        let all = all.filter(|(number, _)| chosen(*number)).map(|(_, sample)| sample).collect::<Vec<_>>();
        // Pixels are counts of 0 to 16.
        let images = all.iter().flat_map(|(image, _)| image.iter().map(|pixel| pixel / 16.0)).collect::<Vec<f32>>();
        let digits = all.iter().map(|(_, digit)| **digit as i32).collect::<Vec<_>>();
        Self {
            images: Tensor::from_data(TensorData::new(images, [all.len(), PIXELS]), device),
            digits: Tensor::from_data(TensorData::new(digits, [all.len()]), device),
        }
    }

    fn len(&self) -> usize {
        self.images.dims()[0]
    }

    fn batches(&self) -> impl Iterator<Item = (Tensor<2>, Tensor<1, Int>)> {
        (0..self.len() / BATCH).map(|batch| {
            let rows = |len| (0, batch * BATCH, len);
            let ((axis, start, len), digits) = (rows(BATCH), self.digits.clone());
            (self.images.clone().narrow(axis, start, len), digits.narrow(axis, start, len))
        })
    }
}

/// Trains, prints accuracy and time, and returns the accuracy.
fn train<R: Reader>(name: &str, mut reader: R, train: &Samples, test: &Samples, loss: &CrossEntropyLoss) -> f64 {
    let mut optimizer = AdamConfig::new().init();
    let start = Instant::now();
    let mut last = None;
    for _ in 0..EPOCHS {
        for (images, digits) in train.batches() {
            let loss = loss.forward(reader.logits(images), digits);
            let gradients = GradientsParams::from_grads(loss.backward(), &reader);
            reader = optimizer.step(LEARNING_RATE, reader, gradients);
            last = Some(loss);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let read = reader.valid().logits(test.images.clone().inner()).argmax(1).squeeze_dim::<1>(1);
    let right = read.equal(test.digits.clone().inner()).int().sum().into_scalar::<i64>();
    let accuracy = right as f64 / test.len() as f64;
    let loss = last.map_or(f32::NAN, |loss| loss.into_scalar::<f32>());
    println!("{name:<12} {:>6.2} %   {loss:>9.5}   {seconds:>7.3} s", 100.0 * accuracy);
    accuracy
}

fn main() -> ExitCode {
    let device = Device::default().autodiff();
    let (train_set, test_set) = (Samples::load(|n| n % 5 != 0, &device), Samples::load(|n| n % 5 == 0, &device));
    let loss = CrossEntropyLossConfig::new().init(&device);
    device.seed(1797);
    let own = Own::new(&device);
    let fused = Fused::from(own.clone());

    println!("{PIXELS}→{HIDDEN}→{DIGITS}, {EPOCHS} epochs of {} images in batches of {BATCH}", train_set.len());
    println!("on {device:?}; accuracy on {} held-out images\n", test_set.len());
    println!("{:<12} {:>8}   {:>9}   {:>9}", "layers", "accuracy", "last loss", "training");
    let own = train("burn's own", own, &train_set, &test_set, &loss);
    let fused = train("fused", fused, &train_set, &test_set, &loss);
    if own.min(fused) >= WANTED_ACCURACY { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
