//! Foretells the time of steps on 2 to 1024 ranks by the model LogGP; `docs/scaling.md` has its answers.
//!
//! ```text
//! cargo run --release --example model
//! ```

use fused_dense_mpi::{Job, LogGp, Reduction, Way};
use std::ops::Range;

/// Multiply-adds a second of one rank: one core with AVX-512 at about 70 % of its peak of 32 a cycle at 2.6 GHz.
const PER_SECOND: f64 = 6e10;

/// Samples of a batch that stays the same on any number of ranks, in blocks.
const FIXED_BLOCKS: usize = 1024;

/// A network with a name: its layers' inputs and outputs.
type Named = (&'static str, &'static [(usize, usize)]);

const NETWORKS: [Named; 2] = [
    ("784→512→512→10", &[(784, 512), (512, 512), (512, 10)]),
    ("479→1024→1024→512→256→1", &[(479, 1024), (1024, 1024), (1024, 512), (512, 256), (256, 1)]),
];

const MACHINES: [(&str, LogGp); 2] =
    [("10 Gbit/s, TCP", LogGp::TEN_GIGABIT), ("100 Gbit/s, InfiniBand", LogGp::INFINIBAND)];

fn main() {
    for (machine, gp) in MACHINES {
        println!("## {machine}\n\n`{gp:?}`, {PER_SECOND:e} multiply-adds a second.\n");
        for (name, layers) in NETWORKS {
            let job = Job::dense(layers, PER_SECOND);
            println!("### {name}, {} parameters\n", job.parameters.iter().sum::<usize>());
            table(&job, &gp);
        }
    }
}

/// One rank to 1024: a block on each, and a batch of a fixed size.
fn table(job: &Job, gp: &LogGp) {
    println!(
        "| ranks | a block each: step | way | of a rank's speed | {FIXED_BLOCKS} blocks in all: step | way | speed |"
    );
    println!("|--:|--:|---|--:|--:|---|--:|");
    let (alone, all_alone) = (best(job, gp, 1, 1).0, best(job, gp, 1, FIXED_BLOCKS).0);
    let (mut end_of_growth, mut fastest) = (1, (f64::INFINITY, 1));
    for ranks in (0..=10).map(|power| 1 << power) {
        let (weak, weak_way) = best(job, gp, ranks, 1);
        let (strong, strong_way) = best(job, gp, ranks, FIXED_BLOCKS / ranks);
        let efficiency = alone / weak;
        if efficiency >= 0.5 {
            end_of_growth = ranks;
        }
        if strong < fastest.0 {
            fastest = (strong, ranks);
        }
        println!(
            "| {ranks} | {:.2} ms | {weak_way} | {:.0} % | {:.2} ms | {strong_way} | {:.1}× |",
            1e3 * weak,
            100.0 * efficiency,
            1e3 * strong,
            all_alone / strong
        );
    }
    println!("\nWith a block on each rank, half of a rank's speed is kept up to {end_of_growth} ranks.");
    println!("A batch of {FIXED_BLOCKS} blocks is fastest on {} ranks.\n", fastest.1);
}

/// The shorter step of the two ways, with layers reduced together as a plan does it.
fn best(job: &Job, gp: &LogGp, ranks: usize, blocks: usize) -> (f64, Way) {
    let buckets = buckets(job, gp.least_bytes(ranks, 1));
    let reductions = buckets.iter().map(|layers: &Range<usize>| {
        let parameters: usize = job.parameters[layers.clone()].iter().sum();
        Reduction::new(4.0 * parameters as f64, ranks, blocks)
    });
    let way = gp.cheaper(reductions);
    (job.step(gp, ranks, blocks, way, &buckets), way)
}

/// Layers from the last to the first, in groups of at least so many bytes.
fn buckets(job: &Job, bytes: f64) -> Vec<Range<usize>> {
    fused_dense_mpi::groups(&job.parameters, (bytes / 4.0) as usize)
}
