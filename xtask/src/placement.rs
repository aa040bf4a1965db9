//! `cargo xtask placement`: our layers on operands that begin at each multiple of 16 bytes within a cache line.

use crate::bench::args::isa;
use crate::bench::buffer::Placement;
use crate::bench::measure::{Caches, Effort, Subject, Timed, measure, ratio};
use crate::bench::run::count;
use crate::bench::shape::{Network, Pass, Shape};
use crate::bench::suite::{self, Suite};
use crate::bench::workload::Workload;
use crate::machine::affinity::use_cores;
use crate::peers::Fused;
use anstream::println;
use fused_dense::Isa;
use owo_colors::OwoColorize;
use std::time::Duration;

/// Show what it costs a layer where memory begins
///
/// Measures our layers with all operands on cache lines and 16, 32 and 48 bytes past them, in rounds that all four take part in. A
/// layer's times are told by the shortest of them; those that are further apart than the tolerance are marked.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Sets of layers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Suite::Quick])]
    suite: Vec<Suite>,
    /// Layers of your own instead: MxK:N for batch, inputs and outputs, as in 32x784:100
    #[arg(long, value_delimiter = ',', value_name = "MxK:N")]
    shape: Vec<Network>,
    /// Passes of a layer: forward, backward
    #[arg(long, value_enum, hide_possible_values = true, value_delimiter = ',', default_values_t = [Pass::Forward, Pass::Backward])]
    pass: Vec<Pass>,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Instruction set of our kernels; the best by default
    #[arg(long, value_parser = isa)]
    isa: Option<Isa>,
    /// Most milliseconds for each row
    #[arg(long, default_value_t = 500)]
    milliseconds: u64,
    /// Percent that the placements of a row may differ by
    #[arg(long, default_value_t = 5)]
    tolerance: u32,
    /// Prints the rows within the tolerance too
    #[arg(long)]
    all: bool,
}

/// Copies of a row's operands at each placement: where else in memory they lie must not decide.
const COPIES: usize = 3;

/// One row: the shortest time, in nanoseconds, and the time at each placement by it.
struct Row {
    nanoseconds: f64,
    ratios: Vec<f64>,
}

impl Row {
    /// The longest time by the shortest.
    fn spread(&self) -> f64 {
        self.ratios.iter().copied().fold(1.0, f64::max)
    }
}

/// Measures and prints.
///
/// # Errors
/// Where our own results are wrong.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let threads = args.threads as usize;
    let ours = Fused::plain(args.isa)?;
    let isa = ours.isa;
    let most = 1.0 + f64::from(args.tolerance) / 100.0;
    use_cores(threads);
    println!("{}", format!("0, 16, 32 and 48 bytes past a cache line, {isa}, {}", count(threads)).bold());
    for &pass in &args.pass {
        let mut spreads = Vec::new();
        for shape in args.shapes(pass) {
            let row = measured(&ours, shape, pass, threads, Duration::from_millis(args.milliseconds))?;
            let spread = row.spread();
            spreads.push(spread);
            let ratios: Vec<String> = row.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            let line = format!("{shape:<16} {pass:<8} {:>10.3} µs  {}", row.nanoseconds / 1e3, ratios.join(" "));
            match spread > most {
                true => println!("{}", line.yellow()),
                false if args.all => println!("{line}"),
                false => {}
            }
        }
        let beyond = spreads.iter().filter(|spread| **spread > most).count();
        let largest = spreads.iter().copied().fold(1.0, f64::max);
        let (all, tolerance) = (spreads.len(), args.tolerance);
        println!("{pass}: {beyond} of {all} layers differ by more than {tolerance} %; the most is {largest:.2}");
    }
    Ok(())
}

impl Args {
    /// The layers of a pass, each once.
    fn shapes(&self, pass: Pass) -> Vec<Shape> {
        let networks = match self.shape.is_empty() {
            true => self.suite.iter().flat_map(|suite| suite.networks(pass)).collect(),
            false => self.shape.clone(),
        };
        suite::layers(&networks).iter().flat_map(Network::layers).collect()
    }
}

/// One layer at every placement.
fn measured(ours: &Fused, shape: Shape, pass: Pass, threads: usize, per_row: Duration) -> anyhow::Result<Row> {
    let works: Vec<Vec<Workload>> = Placement::ALL
        .iter()
        .map(|placement| placement.of(|| (0..COPIES).map(|_| Workload::new(shape)).collect()))
        .collect();
    let mut subjects = Vec::new();
    for (placement, works) in Placement::ALL.iter().zip(&works) {
        let timed =
            || works.iter().map(|work| ours.timed(work, pass, threads)).collect::<anyhow::Result<Vec<Timed<'_>>>>();
        let copies = placement.of(timed)?;
        subjects.push(if subjects.is_empty() { Subject::ours(copies) } else { Subject::peer(copies, 0) });
    }
    measure(&mut subjects, &Effort { per_row, min_rounds: 9, max_rounds: 200, caches: Caches::Warm })?;
    let by_line = |index| if index == 0 { 1.0 } else { ratio(&subjects, index, 0).median };
    let ratios: Vec<f64> = (0..subjects.len()).map(by_line).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let nanoseconds = subjects[0].nanoseconds() * least;
    Ok(Row { nanoseconds, ratios: ratios.into_iter().map(|ratio| ratio / least).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_every_placement_and_is_told_by_its_shortest_time() {
        let ours = Fused::plain(Some(Isa::available()[0])).unwrap();
        for pass in [Pass::Forward, Pass::Backward] {
            let row = measured(&ours, Shape::new(3, 20, 5), pass, 1, Duration::ZERO).unwrap();
            assert_eq!(row.ratios.len(), Placement::ALL.len());
            assert_eq!(row.ratios.iter().copied().fold(f64::INFINITY, f64::min), 1.0);
            assert!(row.nanoseconds > 0.0 && row.spread() >= 1.0);
        }
        assert!(measured(&ours, Shape::new(3, 20, 5), Pass::Step, 1, Duration::ZERO).is_err());
    }
}
