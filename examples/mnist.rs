//! Learns to read the 70,000 handwritten digits of MNIST:
//!
//! ```text
//! cargo xtask data mnist
//! cargo run --release --example mnist            784-30-10, sigmoids, quadratic cost, gradient descent: about 95 %
//! cargo run --release --example mnist -- deep    784-512-512-10, ReLU, softmax, Adam: more than 98 %
//! ```
//!
//! The first is the network of M. Nielsen's free book *Neural Networks and Deep Learning* (2015), chapter 1: batches of 10,
//! a learning rate of 3. At the end `mnist.svg` in the build's folder shows the learning curve and misread digits. Without the data set the
//! 1797 small images of the `digits` example stand in.

mod support;

use fused_dense::{Activation, Adam, Cost, Error, Fit, Init, Network, NetworkBuilder, Sgd, Team};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;
use support::mnist::Mnist;
use support::{mnist, picture, small};

const DIGITS: usize = 10;

fn main() -> ExitCode {
    support::end(run())
}

/// A network, how it is trained, and the share of digits that it must read.
struct Recipe {
    network: NetworkBuilder,
    epochs: usize,
    /// The learning rate of an epoch by that of the one before.
    decay: f32,
    batch: usize,
    wanted: f64,
}

impl Recipe {
    fn book(pixels: usize) -> Self {
        let network = Network::builder(pixels)
            .layer(30, Activation::Sigmoid)
            .layer(DIGITS, Activation::Sigmoid)
            .cost(Cost::Quadratic)
            .init(Init::LecunNormal)
            .optimizer(Sgd::new(3.0))
            .max_batch(10);
        Self { network, epochs: 30, decay: 1.0, batch: 10, wanted: 0.94 }
    }

    fn deep(pixels: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let network = Network::builder(pixels)
            .layer(512, Activation::Relu)
            .layer(512, Activation::Relu)
            .layer(DIGITS, Activation::Identity)
            .cost(Cost::SoftmaxCrossEntropy)
            .optimizer(Adam::new(1e-3))
            .threads(Team::new(threads))
            .max_batch(128);
        Self { network, epochs: 10, decay: 0.7, batch: 128, wanted: 0.98 }
    }
}

fn run() -> Result<ExitCode, Error> {
    let is_deep = std::env::args().nth(1).is_some_and(|argument| argument == "deep");
    let Mnist { train, test } = mnist::load().unwrap_or_else(small::load);
    let recipe = if is_deep { Recipe::deep(test.pixels()) } else { Recipe::book(test.pixels()) };
    let mut network = recipe.network.clone().seed(1).build()?;

    let style =
        ProgressStyle::with_template("{bar:30} epoch {pos}/{len}, {eta} left  {msg}").expect("a valid template");
    let progress = ProgressBar::new(recipe.epochs as u64).with_style(style);
    let start = Instant::now();
    let fit = Fit::new().epochs(recipe.epochs).batch(recipe.batch).seed(1).validation(&test.images, &test.labels);
    let first_rate = network.optimizer().learning_rate();
    let fit = fit.learning_rate(|epoch| first_rate * recipe.decay.powi(epoch as i32 - 1)).on_epoch(|epoch| {
        let accuracy = epoch.validation.and_then(|validation| validation.accuracy).unwrap_or(0.0);
        progress.set_message(format!("cost {:.4}, {:.2} % read", epoch.cost, 100.0 * accuracy));
        progress.inc(1);
        ControlFlow::Continue(())
    });
    let history = network.fit(&train.images, &train.labels, fit)?;
    let seconds = start.elapsed().as_secs_f64();
    progress.finish();

    let mut read = vec![0; test.labels.len()];
    network.predict_classes(&test.images, &mut read)?;
    let misread: Vec<usize> = (0..read.len()).filter(|&i| read[i] != u32::from(test.labels[i])).collect();
    let accuracy = 1.0 - misread.len() as f64 / read.len() as f64;
    println!("{:.2} % of {} test images read", 100.0 * accuracy, read.len());
    println!("{} epochs of {} images in {seconds:.1} s", recipe.epochs, train.labels.len());
    let curve: Vec<f64> = history.epochs().iter().map(|epoch| epoch.cost).collect();
    picture::write(&curve, &test, &misread, &read);
    Ok(if accuracy >= recipe.wanted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
