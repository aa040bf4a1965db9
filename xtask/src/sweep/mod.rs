//! `cargo xtask sweep`: our time as a function of one size through every value, and where it is not smooth.

mod chart;
mod cliffs;

use crate::bench::args::isa;
use crate::bench::measure::{Caches, Effort, Subject, measure};
use crate::bench::run::count;
use crate::bench::shape::{Network, Pass, Shape};
use crate::bench::workload::Workload;
use crate::machine::affinity::use_cores;
use crate::peers::Fused;
use anstream::println;
use anyhow::ensure;
use cliffs::{Cliff, Cliffs};
use fused_dense::Isa;
use owo_colors::OwoColorize;
use std::time::Duration;

/// Show that no size of a layer is a cliff
///
/// Measures our layers while one size takes every value, and tells the cliffs: values at which a call takes longer than at
/// a larger value, or jumps by more than the additional work explains.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The size that varies
    #[arg(value_enum)]
    size: Size,
    /// The other two, MxK:N; that of the varying one counts nothing
    #[arg(long, value_name = "MxK:N", default_value = "64x256:64")]
    shape: Network,
    /// Passes of a layer: forward, backward
    #[arg(long, value_enum, hide_possible_values = true, value_delimiter = ',', default_values_t = [Pass::Forward, Pass::Backward])]
    pass: Vec<Pass>,
    /// The last value
    #[arg(long, default_value_t = 130, value_parser = clap::value_parser!(u32).range(2..=2048))]
    to: u32,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Instruction set of our kernels; the best by default
    #[arg(long, value_parser = isa)]
    isa: Option<Isa>,
    /// Seconds for each pass
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Prints every value's time too
    #[arg(long)]
    all: bool,
}

/// The size that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Size {
    /// Batch
    M,
    /// Inputs
    K,
    /// Outputs
    N,
}

impl Size {
    fn of(self, shape: Shape, value: usize) -> Shape {
        match self {
            Self::M => Shape { batch: value, ..shape },
            Self::K => Shape { inputs: value, ..shape },
            Self::N => Shape { outputs: value, ..shape },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::M => "m",
            Self::K => "k",
            Self::N => "n",
        }
    }
}

/// Sweeps and prints.
///
/// # Errors
/// Where our own results are wrong.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let threads = args.threads as usize;
    let layers: Vec<Shape> = args.shape.layers().collect();
    ensure!(layers.len() == 1, "a sweep is over one layer, not over a network");
    let ours = Fused::plain(args.isa)?;
    let isa = ours.isa;
    use_cores(threads);
    for &pass in &args.pass {
        let shapes: Vec<Shape> = (1..=args.to as usize).map(|value| args.size.of(layers[0], value)).collect();
        let rounds = rounds(&ours, &shapes, pass, threads, Duration::from_secs(args.seconds))?;
        let fixed = fixed(args.size, layers[0]);
        let title = format!("{pass}, {fixed}, {} = 1 to {}, {isa}, {}", args.size.name(), args.to, count(threads));
        println!("{}", title.bold());
        let work: Vec<f64> = shapes.iter().map(|shape| pass.flops(&Network::from(*shape))).collect();
        let cliffs = Cliffs::new(rounds);
        chart::print(&work, cliffs.times());
        if args.all {
            print_values(&work, cliffs.times());
        }
        print_cliffs(args.size, &cliffs.find());
        println!();
    }
    Ok(())
}

/// Times of all shapes, shape by shape, each in rounds that all take part in.
fn rounds(
    ours: &Fused,
    shapes: &[Shape],
    pass: Pass,
    threads: usize,
    duration: Duration,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let works: Vec<Workload> = shapes.iter().map(|&shape| Workload::new(shape)).collect();
    let mut subjects = Vec::new();
    for work in &works {
        subjects.push(Subject::ours(vec![ours.timed(work, pass, threads)?]));
    }
    measure(&mut subjects, &Effort { per_row: duration, min_rounds: 9, max_rounds: 500, caches: Caches::Warm })?;
    Ok(subjects.into_iter().map(Subject::into_rounds).collect())
}

/// The sizes that stay, in words.
fn fixed(size: Size, Shape { batch, inputs, outputs }: Shape) -> String {
    match size {
        Size::M => format!("k = {inputs}, n = {outputs}"),
        Size::K => format!("m = {batch}, n = {outputs}"),
        Size::N => format!("m = {batch}, k = {inputs}"),
    }
}

fn print_values(work: &[f64], times: &[f64]) {
    for (index, (work, time)) in work.iter().zip(times).enumerate() {
        println!("{:>6} {:>10.3} µs {:>8.1} GFLOP/s", index + 1, time / 1e3, work / time);
    }
}

fn print_cliffs(size: Size, cliffs: &[Cliff]) {
    if cliffs.is_empty() {
        println!("{}", "no cliffs".green());
    }
    let name = size.name();
    for cliff in cliffs {
        let line = match *cliff {
            Cliff::SlowerThanLarger { value, larger, ratio } => {
                format!("{name} = {value} takes {ratio:.2} times what {name} = {larger} takes")
            }
            Cliff::Jump { value, ratio, explained } => {
                let before = value - 1;
                format!(
                    "{name} = {value} takes {ratio:.2} times what {name} = {before} takes; work explains {explained:.2}"
                )
            }
        };
        println!("{}", line.yellow());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_size_varies_and_the_others_stay() {
        let shape = Shape::new(64, 256, 10);
        assert_eq!(Size::M.of(shape, 3), Shape::new(3, 256, 10));
        assert_eq!(Size::K.of(shape, 3), Shape::new(64, 3, 10));
        assert_eq!(Size::N.of(shape, 3), Shape::new(64, 256, 3));
    }

    #[test]
    fn every_value_has_rounds() {
        let ours = Fused::plain(Some(Isa::available()[0])).unwrap();
        let shapes = [Shape::new(3, 5, 1), Shape::new(3, 5, 2)];
        let rounds = rounds(&ours, &shapes, Pass::Backward, 1, Duration::ZERO).unwrap();
        assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [9, 9]);
    }
}
