//! Learns to read handwritten digits: `cargo run --release --example digits`.
//!
//! 1797 images of 8×8 pixels; a network of 64 inputs, 30 hidden and 10 outputs, one for each digit; Adam on softmax
//! cross-entropy. A fifth of the images is held out and only read to measure what was learnt.

mod support;

use fused_dense::{Activation, Adam, Cost, Error, Fit, Network};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;
use support::mnist::Mnist;
use support::small;

const DIGITS: usize = 10;

const EPOCHS: usize = 40;
const WANTED_ACCURACY: f64 = 0.95;

fn main() -> ExitCode {
    support::end(run())
}

fn run() -> Result<ExitCode, Error> {
    let Mnist { train, test } = small::load();

    let mut network = Network::builder(small::PIXELS)
        .layer(30, Activation::Relu)
        .layer(DIGITS, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .optimizer(Adam::new(3e-3))
        .seed(1797)
        .build()?;

    let style = ProgressStyle::with_template("{bar:40} epoch {pos}/{len}  {msg}").expect("a valid template");
    let progress = ProgressBar::new(EPOCHS as u64).with_style(style);
    let start = Instant::now();
    let fit = Fit::new().epochs(EPOCHS).batch(20).seed(1).on_epoch(|epoch| {
        progress.set_message(format!("cost {:.4}", epoch.cost));
        progress.inc(1);
        ControlFlow::Continue(())
    });
    network.fit(&train.images, &train.labels, fit)?;
    let seconds = start.elapsed().as_secs_f64();
    progress.finish();

    let mut read = vec![0; test.labels.len()];
    network.predict_classes(&test.images, &mut read)?;
    print_confusion(&test.labels, &read);
    let accuracy = network.evaluate(&test.images, &test.labels)?.accuracy.unwrap_or(0.0);
    println!("\naccuracy {:.1} % on {} held-out images", 100.0 * accuracy, read.len());
    let isa = network.layers()[0].dense().isa()?;
    println!("{isa}, {EPOCHS} epochs of {} images in {seconds:.2} s", train.labels.len());
    Ok(if accuracy >= WANTED_ACCURACY { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How often each digit (row) was read as which (column).
fn print_confusion(shown: &[u8], read: &[u32]) {
    println!("shown   read as 0   1   2   3   4   5   6   7   8   9");
    for digit in 0..DIGITS {
        let of_digit = || shown.iter().zip(read).filter(|(shown, _)| usize::from(**shown) == digit);
        let row = (0..DIGITS).map(|other| match of_digit().filter(|(_, read)| **read as usize == other).count() {
            0 => "   ·".to_string(),
            count => format!("{count:4}"),
        });
        println!("    {digit}        {}", row.collect::<String>());
    }
}
