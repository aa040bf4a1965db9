//! `cargo xtask training`: whole training steps (forward, cross-entropy, backward, gradient descent) against PyTorch
//! and JAX.
//!
//! Both start from the same parameters and data, and must have the same cost after the first steps. Samples alternate
//! (ours, theirs, theirs, ours) between the two processes, of which the other one waits.

mod framework;

use crate::bench::statistics::Spread;
use anstream::println;
use anyhow::{Context, ensure};
use framework::{Framework, Operands, Session};
use fused_dense::{Activation, Cost, Dense, Network, Team, Threads};
use owo_colors::OwoColorize;
use std::time::{Duration, Instant};

/// Compares whole training steps with PyTorch and JAX.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Networks by the widths of their layers and batch size, as in 784-30-10:10; five of different sizes by default
    #[arg(long, value_delimiter = ',')]
    network: Vec<Problem>,
    /// Threads of both sides
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds for each pair
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// A network and its batch size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    widths: Vec<usize>,
    batch: usize,
}

impl std::str::FromStr for Problem {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (widths, batch) = text.split_once(':').context("a network is written WIDTH-WIDTH-…:BATCH")?;
        let widths = widths.split('-').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        let batch = batch.parse()?;
        ensure!(widths.len() >= 2 && batch > 0 && !widths.contains(&0), "'{text}' has no layer or no sample");
        Ok(Self { widths, batch })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        f.pad(&format!("{}:{}", widths.join("-"), self.batch))
    }
}

/// Networks from tiny to large.
const NETWORKS: [&str; 5] =
    ["784-30-10:10", "784-100-10:32", "784-512-512-10:128", "13-512-256-128:256", "479-1024-1024-512-256-1:256"];

/// Rate of descent: small enough that costs fall smoothly, so that both sides' can be compared.
const RATE: f32 = 0.01;

/// Steps after which costs are compared.
const CHECKED_STEPS: u32 = 5;

/// Shortest timed stretch, against what passing a message takes.
const MIN_SAMPLE: Duration = Duration::from_millis(10);

/// Runs the comparison.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let problems = match &args.network[..] {
        [] => NETWORKS.iter().map(|text| text.parse()).collect::<anyhow::Result<Vec<Problem>>>()?,
        chosen => chosen.to_vec(),
    };
    let header = format!("{:<32} {:>12} {:<24} {:>12}", "network:batch", "ours, µs", "  other", "its µs");
    println!("{}", (header + "  its time by ours (quartiles)").bold());
    for problem in &problems {
        let operands = Operands::new(&problem.widths, problem.batch);
        for framework in Framework::ALL {
            let session = match Session::start(framework, problem, &operands, args.threads, RATE) {
                Ok(session) => session,
                Err(error) => {
                    println!("{problem:<32} {}", format!("without {framework}: {error:#}").dimmed());
                    continue;
                }
            };
            let outcome = compare(problem, &operands, session, args);
            println!("{}", outcome.with_context(|| format!("{problem} with {framework}"))?);
        }
    }
    println!("Both sides: same data, sigmoids, cross-entropy from the last layer's z, plain gradient descent.");
    Ok(())
}

/// Checks and measures one pair; returns its line.
fn compare(problem: &Problem, operands: &Operands, mut other: Session, args: &Args) -> anyhow::Result<String> {
    let mut ours = Ours::new(problem, operands, args.threads)?;
    let (_, our_cost) = ours.steps(CHECKED_STEPS)?;
    let (_, its_cost) = other.steps(CHECKED_STEPS)?;
    ensure!((our_cost - its_cost).abs() <= 1e-3 * our_cost.abs().max(1.0), "cost {its_cost} instead of {our_cost}");

    let our_calls = enough(|steps| Ok(ours.steps(steps)?.0))?;
    let its_calls = enough(|steps| Ok(other.steps(steps)?.0))?;
    let (mut our_times, mut its_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    while ratios.len() < 5 || start.elapsed().as_secs_f64() < args.seconds {
        let mut our = || ours.steps(our_calls).map(|(time, _)| time / f64::from(our_calls));
        let mut its = || other.steps(its_calls).map(|(time, _)| time / f64::from(its_calls));
        let round = [our()?, its()?, its()?, our()?];
        our_times.extend([round[0], round[3]]);
        its_times.extend([round[1], round[2]]);
        ratios.push((round[1] + round[2]) / (round[0] + round[3]));
    }
    let (ratio, micros) = (Spread::of(&ratios), |times: &[f64]| Spread::of(times).median / 1e3);
    Ok(format!(
        "{problem:<32} {:>12.1}   {:<22} {:>12.1}  {:.2}× ({:.2}–{:.2})",
        micros(&our_times),
        other.name(),
        micros(&its_times),
        ratio.median,
        ratio.lower_quartile,
        ratio.upper_quartile,
    ))
}

/// Steps that fill the shortest stretch.
fn enough(mut time: impl FnMut(u32) -> anyhow::Result<f64>) -> anyhow::Result<u32> {
    let mut steps = 1;
    while time(steps)? < MIN_SAMPLE.as_nanos() as f64 {
        steps *= 2;
    }
    Ok(steps)
}

/// Our network with its data.
struct Ours<'a> {
    network: Network,
    operands: &'a Operands,
}

impl<'a> Ours<'a> {
    fn new(problem: &Problem, operands: &'a Operands, threads: usize) -> anyhow::Result<Self> {
        let threads = if threads == 1 { Threads::Serial } else { Team::new(threads).into() };
        let layers = problem
            .widths
            .windows(2)
            .map(|w| Dense::new(w[0], w[1], Activation::Sigmoid).with_threads(threads.clone()));
        let mut network = Network::new(layers, Cost::BinaryCrossEntropy, problem.batch)?;
        for (layer, (w, b)) in network.layers_mut().iter_mut().zip(&operands.parameters) {
            layer.w_mut().copy_from_slice(w);
            layer.b_mut().copy_from_slice(b);
        }
        Ok(Self { network, operands })
    }

    /// Nanoseconds of some steps, and the cost at the last one.
    fn steps(&mut self, count: u32) -> anyhow::Result<(f64, f64)> {
        let (start, mut cost) = (Instant::now(), 0.0);
        for _ in 0..count {
            cost = self.network.step(&self.operands.x, &self.operands.y, RATE)?;
        }
        Ok((start.elapsed().as_nanos() as f64, cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_printed() {
        for text in NETWORKS {
            assert_eq!(text.parse::<Problem>().unwrap().to_string(), text);
        }
        for text in ["784", "784:10", "784-0:10", "784-10:0", "784-x:1"] {
            assert!(text.parse::<Problem>().is_err(), "{text}");
        }
    }

    #[test]
    fn our_cost_falls() {
        let problem: Problem = "20-7-3:16".parse().unwrap();
        let operands = Operands::new(&problem.widths, problem.batch);
        let mut ours = Ours::new(&problem, &operands, 1).unwrap();
        let (_, first) = ours.steps(1).unwrap();
        let (_, later) = ours.steps(200).unwrap();
        assert!(later < first, "{later} after {first}");
    }
}
