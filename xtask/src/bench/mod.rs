//! `cargo xtask bench`: our layers against other libraries', honestly.
//!
//! Every figure comes with the peak and the bandwidth measured in the same run; both sides do the same work on the
//! same operands, and nothing is timed before its results have been checked.

pub mod against;
pub mod buffer;
pub mod measure;
pub mod random;
pub mod report;
pub mod run;
pub mod shape;
pub mod statistics;
pub mod suite;
pub mod table;
pub mod verify;
pub mod workload;

use crate::machine::{self, Ceilings, Machine};
use crate::peers::{self, Contender, Found, Fused, Sharing, library};
use anyhow::{Context, bail};
use fused_dense::{Activation, Dense, Isa};
use indicatif::{ProgressBar, ProgressStyle};
use measure::{Caches, Effort, Paired, Timed};
use owo_colors::OwoColorize;
use run::{PeerTime, Row, Run};
use shape::{Pass, Shape};
use statistics::Spread;
use std::path::{Path, PathBuf};
use std::time::Duration;
use suite::Suite;
use table::Table;
use verify::Judge;
use workload::Workload;

/// Compares our layers with other libraries'.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Set of layer shapes
    #[arg(long, value_enum, default_value_t = Suite::Quick)]
    suite: Suite,
    /// Shapes of your own instead of a suite: BATCHxINPUTS:OUTPUTS, as in 32x784:100
    #[arg(long, value_delimiter = ',')]
    shape: Vec<Shape>,
    /// Passes to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Pass::Forward, Pass::Backward])]
    pass: Vec<Pass>,
    /// Numbers of threads, each measured apart
    #[arg(long, value_delimiter = ',', default_values_t = [1], value_parser = positive)]
    threads: Vec<usize>,
    /// What shares our work out, with several threads
    #[arg(long, value_enum, default_value_t = Sharing::Team)]
    sharing: Sharing,
    /// Instruction set of our kernels; the best by default
    #[arg(long, value_parser = isa)]
    isa: Option<Isa>,
    /// Peers to compare with, by name; all that are found by default
    #[arg(long, value_delimiter = ',')]
    peer: Vec<String>,
    /// More peers: shared libraries with the C interface of BLAS or of oneDNN
    #[arg(long, value_name = "PATH")]
    library: Vec<PathBuf>,
    /// State of the caches when a call begins
    #[arg(long, value_enum, default_value_t = Caches::Warm)]
    caches: Caches,
    /// Seconds for each pair of contenders
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// Only checks that everything works: few shapes, few rounds, figures that mean nothing
    #[arg(long)]
    smoke: bool,
    /// Shows a column for every peer
    #[arg(long)]
    all: bool,
    /// Writes the run to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compares with an earlier run's file
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Writes a report with charts: one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Refreshes the table of results in README.md, and its picture
    #[arg(long)]
    readme: bool,
    /// Takes the run from a file instead of measuring
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "smoke"])]
    from: Option<PathBuf>,
}

fn positive(text: &str) -> anyhow::Result<usize> {
    match text.parse() {
        Ok(0) => bail!("at least one"),
        threads => Ok(threads?),
    }
}

fn isa(text: &str) -> anyhow::Result<Isa> {
    let available = Isa::available();
    available.iter().copied().find(|isa| isa.name() == text).with_context(|| {
        let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
        format!("this machine has {}", names.join(", "))
    })
}

impl Args {
    fn shapes(&self) -> Vec<Shape> {
        match (&self.shape[..], self.smoke) {
            ([], true) => vec![Shape::new(10, 30, 10), Shape::new(32, 784, 100)],
            ([], false) => self.suite.shapes(),
            (shapes, _) => shapes.to_vec(),
        }
    }

    fn effort(&self) -> Effort {
        let caches = self.caches;
        if self.smoke {
            Effort { per_pair: Duration::ZERO, min_rounds: 3, max_rounds: 3, caches }
        } else {
            Effort { per_pair: Duration::from_secs_f64(self.seconds), min_rounds: 5, max_rounds: 500, caches }
        }
    }
}

/// Runs the comparison, or takes it from a file, and reports.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let before = args.against.as_deref().map(Run::read).transpose()?;
    let run = match &args.from {
        Some(path) => stored(path, args.all)?,
        None => measured(args)?,
    };
    table::print_summary(&run);
    if let Some(before) = &before {
        against::print(before, &run)?;
    }
    if let Some(path) = &args.json {
        run.write(path)?;
    }
    if let Some(path) = &args.html {
        report::write_html(&run, path)?;
    }
    if args.readme {
        report::refresh_readme(&run)?;
    }
    Ok(())
}

/// Reads a run and prints its table.
fn stored(path: &Path, all: bool) -> anyhow::Result<Run> {
    let run = Run::read(path)?;
    table::print_machine(&run);
    let names: Vec<String> = run.peers.iter().map(|peer| peer.name.clone()).collect();
    let table = Table::new(run.rows.iter().map(|row| row.shape.to_string()), &names, all);
    table.print_header();
    for row in &run.rows {
        table.print_row(row, run.ceilings(row.threads)?);
    }
    Ok(run)
}

/// Measures a run, printing its table row by row.
fn measured(args: &Args) -> anyhow::Result<Run> {
    let isa = args.isa.map_or_else(|| Dense::new(1, 1, Activation::Identity).isa(), Ok)?;
    let ours = Fused { isa, sharing: args.sharing };
    // SAFETY: no other thread runs yet.
    unsafe { library::prepare_environment(isa, args.threads.iter().copied().max().unwrap_or(1)) };
    let contenders = chosen_peers(args)?;
    let (shapes, effort) = (args.shapes(), args.effort());

    let mut run = Run {
        command: command_line(std::env::args().skip(1)),
        caches: args.caches,
        suite: if args.shape.is_empty() { args.suite.name().into() } else { "custom".into() },
        machine: Machine {
            cpu: machine::cpu_name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: std::env::consts::OS.into(),
            isa: isa.name().into(),
            ceilings: args.threads.iter().map(|&threads| Ceilings::measure(isa, threads)).collect(),
        },
        peers: contenders.iter().map(|peer| peer.info()).collect(),
        rows: Vec::new(),
    };
    table::print_machine(&run);
    let names: Vec<String> = contenders.iter().map(|peer| peer.name().to_string()).collect();
    let table = Table::new(shapes.iter().map(Shape::to_string), &names, args.all);
    table.print_header();

    let progress = progress_bar(shapes.len() * args.pass.len() * args.threads.len() * contenders.len());
    for ceilings in run.machine.ceilings.clone() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(ceilings.threads).build()?;
        for &shape in &shapes {
            let work = Workload::new(shape);
            for &pass in &args.pass {
                progress.set_message(format!("{shape} {pass}"));
                let measure = || measure_row(&ours, &contenders, &work, pass, ceilings.threads, &effort, &progress);
                // One thread is the caller's own, as a user without a pool would have it.
                let row = if ceilings.threads == 1 { measure() } else { pool.install(measure) }?;
                progress.suspend(|| table.print_row(&row, &ceilings));
                run.rows.push(row);
            }
        }
    }
    progress.finish_and_clear();
    Ok(run)
}

/// Checks and measures one row.
fn measure_row(
    ours: &Fused,
    contenders: &[Box<dyn Contender>],
    work: &Workload,
    pass: Pass,
    threads: usize,
    effort: &Effort,
    progress: &ProgressBar,
) -> anyhow::Result<Row> {
    let what = |name: &str| format!("{name}, {} {pass} on {threads} thread(s)", work.shape);
    let mut routine = ours.plan(work, pass, threads)?;
    routine.run();
    let judge = Judge::new(work.expected(pass), routine.results()?).with_context(|| what(ours.name()))?;
    let mut timed = Timed::calibrate(routine, threads, effort.caches);

    let (mut our_times, mut peers) = (Vec::new(), Vec::new());
    for contender in contenders {
        let mut routine = contender.plan(work, pass, threads).with_context(|| what(contender.name()))?;
        routine.run();
        let results = routine.results().with_context(|| what(contender.name()))?;
        judge.check(&results).with_context(|| what(contender.name()))?;
        let Paired { ours, peer, ratio } =
            measure::paired(&mut timed, &mut Timed::calibrate(routine, threads, effort.caches), effort);
        our_times.extend(ours);
        peers.push(PeerTime { name: contender.name().into(), nanoseconds: Spread::of(&peer).median, ratio });
        progress.inc(1);
    }
    if peers.is_empty() {
        our_times = measure::alone(&mut timed, effort);
    }
    Ok(Row { shape: work.shape, pass, threads, nanoseconds: Spread::of(&our_times).median, peers })
}

/// The peers that can be had, or those of them that were named.
fn chosen_peers(args: &Args) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    if args.smoke {
        return Ok(peers::embedded());
    }
    let Found { mut contenders, absent } = peers::find(&args.library)?;
    for (name, reason) in &absent {
        anstream::eprintln!("{}", format!("without {name}: {reason}").dimmed());
    }
    if let Some(missing) = args.peer.iter().find(|name| contenders.iter().all(|peer| peer.name() != **name)) {
        let known: Vec<&str> = contenders.iter().map(|peer| peer.name()).collect();
        bail!("no peer '{missing}' here, only {}", known.join(", "));
    }
    contenders.retain(|peer| args.peer.is_empty() || args.peer.iter().any(|name| name == peer.name()));
    Ok(contenders)
}

/// The command that repeats this run: what was typed, but for where results went.
fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    const FILES: [&str; 3] = ["--json", "--html", "--against"];
    let mut command = String::from("cargo xtask");
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if FILES.contains(&argument.as_str()) {
            arguments.next();
        } else if argument != "--readme" && !FILES.iter().any(|file| argument.starts_with(&format!("{file}="))) {
            command = command + " " + &argument;
        }
    }
    command
}

fn progress_bar(pairs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pairs, {eta} left  {msg}")
        .expect("the template names known keys");
    ProgressBar::new(pairs as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_leaves_out_where_results_went() {
        let typed = "bench --json a.json --suite mnist --html=b.html --readme --threads 1,2";
        let command = command_line(typed.split(' ').map(str::to_string));
        assert_eq!(command, "cargo xtask bench --suite mnist --threads 1,2");
    }

    /// All peers that are found compute what we compute, at sizes that meet every tail.
    #[test]
    fn peers_agree_with_ours() {
        let effort = Effort { per_pair: Duration::ZERO, min_rounds: 1, max_rounds: 1, caches: Caches::Warm };
        let contenders = peers::find(&[]).unwrap().contenders;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let ours = [Sharing::Team, Sharing::Pool]
            .into_iter()
            .flat_map(|sharing| Isa::available().into_iter().map(move |isa| Fused { isa, sharing }));
        for ours in ours {
            for shape in [Shape::new(1, 1, 1), Shape::new(3, 17, 5), Shape::new(33, 70, 65)] {
                let work = Workload::new(shape);
                for pass in [Pass::Forward, Pass::Backward] {
                    for threads in [1, 2] {
                        let measure =
                            || measure_row(&ours, &contenders, &work, pass, threads, &effort, &ProgressBar::hidden());
                        let row = pool.install(measure).unwrap();
                        assert_eq!(row.peers.len(), contenders.len());
                    }
                }
            }
        }
    }
}
