//! Learns to read handwritten digits: `cargo run --release --example digits`.
//!
//! 1797 images of 8×8 pixels; a network of 64 inputs, 30 hidden and 10 output sigmoids, one for each digit; mini-batch
//! gradient descent on the cross-entropy. A fifth of the images is held out and only read to measure what was learnt.

mod support;

use fused_dense::{Activation, Cost, Dense, Error, Network};
use indicatif::{ProgressBar, ProgressStyle};
use smartcore::dataset::digits;
use std::process::ExitCode;
use std::time::Instant;
use support::Random;

const PIXELS: usize = 64;
const DIGITS: usize = 10;
const HIDDEN: usize = 30;

const EPOCHS: u64 = 60;
const BATCH: usize = 10;
const LEARNING_RATE: f32 = 0.5;
const WANTED_ACCURACY: f64 = 0.95;

fn main() -> ExitCode {
    support::end(run())
}

fn run() -> Result<ExitCode, Error> {
    let mut random = Random(1797);
    let mut samples = load();
    random.shuffle(&mut samples);
    let fifth = samples.len() / 5;
    let (held_out, training) = samples.split_at_mut(fifth);

    let layers = [Dense::new(PIXELS, HIDDEN, Activation::Sigmoid), Dense::new(HIDDEN, DIGITS, Activation::Sigmoid)];
    let isa = layers[0].isa()?;
    let mut network = Network::new(layers, Cost::BinaryCrossEntropy, BATCH)?;
    for layer in network.layers_mut() {
        let inputs = layer.dense().inputs();
        random.fill_weights(layer.w_mut(), inputs);
    }

    let start = Instant::now();
    train(&mut network, training, &mut random)?;
    let seconds = start.elapsed().as_secs_f64();

    let confusion = confusion(&mut network, held_out)?;
    print_confusion(&confusion);
    let right: u32 = (0..DIGITS).map(|digit| confusion[digit][digit]).sum();
    let accuracy = f64::from(right) / held_out.len() as f64;
    println!("\naccuracy {:.1} % on {} held-out images", 100.0 * accuracy, held_out.len());
    println!("{isa}, {EPOCHS} epochs of {} images in {seconds:.2} s", training.len());
    Ok(if accuracy >= WANTED_ACCURACY { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An image, and the digit that it shows.
struct Sample {
    pixels: [f32; PIXELS],
    digit: usize,
}

fn load() -> Vec<Sample> {
    let data = digits::load_dataset();
    let images = data.data.chunks_exact(PIXELS).zip(&data.target);
    // Pixels are counts of 0 to 16; sigmoids learn best from inputs of 0 to 1.
    images
        .map(|(image, &digit)| Sample { pixels: std::array::from_fn(|i| image[i] / 16.0), digit: digit as usize })
        .collect()
}

/// Each epoch shows every image once, in an order of its own: the order must not teach anything.
fn train(network: &mut Network, training: &mut [Sample], random: &mut Random) -> Result<(), Error> {
    let style = ProgressStyle::with_template("{bar:40} epoch {pos}/{len}  {msg}").expect("a valid template");
    let progress = ProgressBar::new(EPOCHS).with_style(style);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..EPOCHS {
        random.shuffle(training);
        let mut cost = 0.0;
        for batch in training.chunks(BATCH) {
            x.clear();
            y.clear();
            for sample in batch {
                x.extend(sample.pixels);
                y.extend((0..DIGITS).map(|digit| f32::from(digit == sample.digit)));
            }
            cost += network.step(&x, &y, LEARNING_RATE)? * batch.len() as f64;
        }
        progress.set_message(format!("cost {:.4}", cost / training.len() as f64));
        progress.inc(1);
    }
    progress.finish();
    Ok(())
}

/// How often each digit (row) was read as which (column).
fn confusion(network: &mut Network, samples: &[Sample]) -> Result<[[u32; DIGITS]; DIGITS], Error> {
    let mut counts = [[0; DIGITS]; DIGITS];
    for sample in samples {
        let a = network.forward(&sample.pixels)?;
        // The answer is the digit whose output is the surest.
        let read = (0..DIGITS).max_by(|&i, &j| a[i].total_cmp(&a[j])).unwrap_or(0);
        counts[sample.digit][read] += 1;
    }
    Ok(counts)
}

fn print_confusion(counts: &[[u32; DIGITS]; DIGITS]) {
    println!("shown   read as 0   1   2   3   4   5   6   7   8   9");
    for (digit, row) in counts.iter().enumerate() {
        let row: String =
            row.iter().map(|&count| if count == 0 { "   ·".into() } else { format!("{count:4}") }).collect();
        println!("    {digit}        {row}");
    }
}
