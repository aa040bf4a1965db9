//! Learns to read handwritten digits on several ranks:
//!
//! ```text
//! cargo xtask data mnist                     in the folder of fused-dense; without it 1797 small digits stand in
//! cargo build --release --example mnist_mpi
//! mpirun -n 4 target/release/examples/mnist_mpi [checkpoint]
//! ```
//!
//! Every rank has all images and works on its share of each batch of four blocks. With a file's name it writes a checkpoint
//! after every twenty steps, and goes on from it where it is there: with any number of ranks.

mod data;

use data::Images;
use fused_dense::{Activation, Adam, Cost, Fit, Network, SUM_BLOCK};
use fused_dense_mpi::mpi::{Threading, initialize_with_threading};
use fused_dense_mpi::{Distributed, Options};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const DIGITS: usize = 10;

/// Where `cargo xtask data mnist` puts its files, seen from here.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/data/mnist");

/// Pixels of MNIST's images.
const PIXELS: usize = 28 * 28;

/// Samples of a batch: the same for any number of ranks, and so are the results.
const BATCH: usize = 4 * SUM_BLOCK;

/// A network for images of a size, the epochs that it is trained for, and the share of digits that it must read.
fn recipe(pixels: usize) -> (Network, usize, f64) {
    let is_small = pixels < PIXELS;
    let (hidden, rate, epochs, wanted) = if is_small { (100, 0.01, 60, 0.93) } else { (512, 0.002, 10, 0.97) };
    let network = Network::builder(pixels)
        .layer(hidden, Activation::Relu)
        .layer(hidden, Activation::Relu)
        .layer(DIGITS, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .optimizer(Adam::new(rate))
        .seed(1)
        .build()
        .expect("a valid network");
    (network, epochs, wanted)
}

fn main() -> ExitCode {
    let (universe, _) = initialize_with_threading(Threading::Funneled).expect("MPI is initialised once");
    run(&universe).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(universe: &fused_dense_mpi::mpi::environment::Universe) -> Result<ExitCode, Box<dyn Error>> {
    let [train, test]: [Images; 2] = data::mnist(Path::new(FOLDER)).unwrap_or_else(data::small);
    let (mut network, epochs, wanted) = recipe(test.size());
    let file = std::env::args().nth(1).map(PathBuf::from);
    if let Some(file) = file.as_ref().filter(|file| file.exists()) {
        network.load_checkpoint(file)?;
    }
    let (epoch, batch) = (network.next_epoch(), network.next_batch());
    let options = file.map_or(Options::new(), |file| Options::new().checkpoint(file, 20));
    let mut distributed = Distributed::new(universe, &universe.world(), network, options)?;
    let is_first = distributed.rank() == 0;
    if is_first {
        println!("{}", distributed.plan(BATCH));
    }

    let fit = Fit::new().batch(BATCH).seed(1).first_epoch(epoch).first_batch(batch);
    let fit = fit.epochs((epochs + 1).saturating_sub(epoch)).validation(&test.pixels, &test.labels);
    let fit = fit.on_epoch(|epoch| {
        if is_first {
            let accuracy = epoch.validation.and_then(|validation| validation.accuracy).unwrap_or(0.0);
            println!("epoch {:3}  cost {:.4}  {:.2} % of the test digits", epoch.number, epoch.cost, 100.0 * accuracy);
        }
        ControlFlow::Continue(())
    });
    distributed.fit(&train.pixels, &train.labels, fit)?;
    let accuracy = distributed.network().evaluate(&test.pixels, &test.labels)?.accuracy.unwrap_or(0.0);
    if is_first {
        println!("{:.2} % of {} test digits read", 100.0 * accuracy, test.labels.len());
    }
    Ok(if accuracy >= wanted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
