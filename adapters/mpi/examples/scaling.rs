//! Compares the model's step time with that of steps on this machine:
//!
//! ```text
//! cargo build --release --example scaling
//! for n in 1 2 3 4; do mpirun -n $n --oversubscribe target/release/examples/scaling; done
//! ```
//!
//! The model is told how long messages take, as the ranks measure it when they meet, and how long this rank's passes take,
//! which is measured while all other ranks work on theirs. Times are medians of the slowest rank.

use fused_dense::{Activation, Cost, Network, SUM_BLOCK};
use fused_dense_mpi::mpi::collective::SystemOperation;
use fused_dense_mpi::mpi::environment::Universe;
use fused_dense_mpi::mpi::traits::CommunicatorCollectives;
use fused_dense_mpi::mpi::{Threading, initialize_with_threading};
use fused_dense_mpi::{Distributed, Error, Job, Options};
use std::time::Instant;

const NETWORKS: [&[usize]; 2] = [&[784, 512, 512, 10], &[479, 1024, 1024, 512, 256, 10]];

const ROUNDS: usize = 41;

fn main() -> Result<(), Error> {
    let (universe, _) = initialize_with_threading(Threading::Funneled).expect("MPI is initialised once");
    for widths in NETWORKS {
        compare(&universe, widths)?;
    }
    Ok(())
}

fn network(widths: &[usize]) -> Result<Network, Error> {
    let (last, hidden) = widths[1..].split_last().expect("two widths");
    let builder =
        hidden.iter().fold(Network::builder(widths[0]), |builder, &width| builder.layer(width, Activation::Relu));
    let builder = builder.layer(*last, Activation::Identity).cost(Cost::SoftmaxCrossEntropy);
    Ok(builder.optimizer(0.01).build()?)
}

fn compare(universe: &Universe, widths: &[usize]) -> Result<(), Error> {
    let world = universe.world();
    let mut distributed = Distributed::new(universe, &world, network(widths)?, Options::new())?;
    let x: Vec<f32> = (0..SUM_BLOCK * widths[0]).map(|i| (i % 251) as f32 / 251.0 - 0.5).collect();
    let labels: Vec<u8> = (0..SUM_BLOCK).map(|i| (i % 10) as u8).collect();

    let mut alone = network(widths)?;
    let pass = median(universe, || Ok(alone.gradients(&x, &labels).map(drop)?))?;
    let step = median(universe, || distributed.step(&x, &labels).map(drop))?;

    let layers: Vec<(usize, usize)> = widths.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let unit = Job::dense(&layers, 1.0);
    let rate = (unit.forward + unit.backward.iter().sum::<f64>()) / pass;
    let (ranks, plan) = (distributed.size(), distributed.plan(SUM_BLOCK * distributed.size()));
    let foretold = Job::dense(&layers, rate).step(&distributed.machine(), ranks, 1, plan.way, &plan.buckets);
    if distributed.rank() == 0 {
        let [pass, step, foretold] = [pass, step, foretold].map(|seconds| 1e3 * seconds);
        println!(
            "{widths:?} on {ranks} ranks: passes {pass:.2} ms, step {step:.2} ms, foretold {foretold:.2} ms ({plan})"
        );
        println!("    {:?}", distributed.machine());
    }
    Ok(())
}

/// The median of the slowest rank's times.
fn median(universe: &Universe, mut run: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let world = universe.world();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        world.barrier();
        let start = Instant::now();
        run()?;
        let (own, mut slowest) = (start.elapsed().as_secs_f64(), 0.0);
        world.all_reduce_into(&own, &mut slowest, SystemOperation::max());
        times.push(slowest);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
