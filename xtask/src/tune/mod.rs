//! `cargo xtask tune`: which numbers of the tuning row this CPU had better have.
//!
//! Each number is measured by a crossing of routes: the same layers, in one process, by the route on either side of the number.

mod call;
mod crossing;
mod probes;
mod routes;
mod source;
mod terms;

use crate::bench::args::isa;
use crate::bench::run::count;
use crate::bench::session::progress_bar;
use crate::bench::shape::{Network, Pass, Shape, Weights};
use crate::bench::statistics::geometric_mean;
use crate::bench::suite::Suite;
use crate::bench::table::print_ceilings;
use crate::machine::affinity::use_cores;
use crate::machine::microarchitecture::Microarchitecture;
use crate::machine::{Ceilings, cpu_name};
use anstream::println;
use anyhow::{Context, bail, ensure};
use call::Call;
use crossing::{Choice, choose};
use fused_dense::{Activation, Dense, Isa, Tuning};
use indicatif::ProgressBar;
use owo_colors::OwoColorize;
use probes::{PROBES, Probe};
use routes::{Comparison, Work};
use std::num::NonZero;
use std::time::Duration;

/// Measure which numbers of the tuning row this CPU had better have
///
/// Prints the row for src/tuning/rows.rs beside the present one (that of this CPU, or of FUSED_DENSE_TUNING), with the worth of each
/// change: the time by the present value by the time by the new one, over the layers whose route it changes. A change worth less
/// than 2 % is left out. Takes about five minutes; nothing else should run.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// These numbers alone
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = probe)]
    only: Vec<&'static str>,
    /// Few layers, seconds in all: a look, not a measurement
    #[arg(long)]
    quick: bool,
    /// Instruction set of our kernels; the best by default
    #[arg(long, value_parser = isa)]
    isa: Option<Isa>,
    /// Prints each layer's times by value too
    #[arg(long)]
    all: bool,
    /// Compares a row with these changes with the present one instead, over whole suites
    #[arg(long = "try", value_delimiter = ',', value_name = "NUMBER=VALUE", conflicts_with = "only")]
    changes: Vec<String>,
    /// Suites for --try
    #[arg(long, value_enum, value_delimiter = ',', requires = "changes", default_values_t = [Suite::Mnist, Suite::Dlrm])]
    suite: Vec<Suite>,
    /// Layers of your own for --try instead: MxK:N for batch, inputs and outputs
    #[arg(long, value_delimiter = ',', requires = "changes", value_name = "MxK:N")]
    shape: Vec<Network>,
    /// Threads for --try
    #[arg(long, default_value_t = 1, requires = "changes", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
}

fn probe(text: &str) -> anyhow::Result<&'static str> {
    let found = PROBES.iter().find(|probe| probe.number == text);
    let names = || PROBES.iter().map(|probe| probe.number).collect::<Vec<_>>().join(", ");
    found.map(|probe| probe.number).with_context(|| format!("no measured number; there are {}", names()))
}

/// Worth from which on a change is kept.
const KEPT: f64 = 1.02;

/// How long to measure.
struct Effort {
    /// A comparison of routes.
    per_row: Duration,
    min_rounds: usize,
    /// A term of the cost model.
    per_term: Duration,
    /// Comparisons for each number, and multiply-adds of their layers.
    most_layers: usize,
    most_work: usize,
}

const WHOLE: Effort = Effort {
    per_row: Duration::from_millis(1000),
    min_rounds: 5,
    per_term: Duration::from_millis(300),
    most_layers: usize::MAX,
    most_work: usize::MAX,
};

const QUICK: Effort = Effort {
    per_row: Duration::from_millis(60),
    min_rounds: 2,
    per_term: Duration::from_millis(20),
    most_layers: 3,
    most_work: 8 << 20,
};

/// Measures and prints.
///
/// # Errors
/// Where the library refuses, or two routes have different bits.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let layer = Dense::new(1, 1, Activation::Identity);
    let layer = if let Some(isa) = args.isa { layer.with_isa(isa) } else { layer };
    let present = layer.tuning()?;
    let threads = args.threads as usize;
    // Asked before the program keeps to some of them.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    use_cores(threads);
    print_machine(present);
    let ceilings = Ceilings::measure(present.isa(), threads);
    print_ceilings(&ceilings, "before");
    if args.changes.is_empty() { search(args, present, &ceilings, cores) } else { try_changes(args, present, threads) }
}

fn print_machine(present: &Tuning) {
    let general = present.caches().map_or_else(String::new, |caches| {
        format!(", a general row, made for caches of {} and {} KiB", caches.l1 >> 10, caches.l2 >> 10)
    });
    let cpu = Microarchitecture::of_this_machine();
    println!("{}, {cpu}; the present row is {}{general}", cpu_name(), present.name().bold());
}

/// A number with its values and the layers that they change.
struct Search {
    probe: &'static Probe,
    values: Vec<String>,
    rows: Vec<&'static Tuning>,
    present: usize,
    comparisons: Vec<Comparison>,
}

/// A number that had better change.
struct Change {
    number: &'static str,
    value: String,
    worth: f64,
    affected: Vec<Work>,
}

/// Looks for the best value of each number that this many cores can tell something about.
fn search(args: &Args, present: &'static Tuning, ceilings: &Ceilings, cores: usize) -> anyhow::Result<()> {
    let effort = if args.quick { &QUICK } else { &WHOLE };
    let is_asked = |probe: &&Probe| args.only.is_empty() || args.only.contains(&probe.number);
    let asked = PROBES.iter().filter(is_asked);
    let (probes, too_many): (Vec<&Probe>, Vec<&Probe>) = asked.partition(|probe| probe.threads <= cores);
    if let Some(Probe { threads, .. }) = too_many.first() {
        let names: Vec<&str> = too_many.iter().map(|probe| probe.number).collect();
        let names = names.join(", ");
        println!("{}", format!("{names}: not measured, as they ask for {threads} cores and there is {cores}").yellow());
    }
    let layers = probes.iter().map(|probe| Ok(Search::new(probe, present, effort)?.comparisons.len()));
    let comparisons = layers.sum::<anyhow::Result<usize>>()?;
    let seconds = comparisons as f64 * (effort.per_row.as_secs_f64() + 0.1);
    println!("{comparisons} comparisons of routes, about {seconds:.0} s, and what changes is measured twice\n");
    println!(
        "{}",
        format!("{:<24} {:>9} {:>9} {:>8}  layers that differ", "number", "present", "best", "worth").bold()
    );
    let progress = progress_bar(comparisons);
    // Numbers that mean something to each other are measured one behind the other: each by the row with the changes so far.
    let (mut row, mut changes) = (present, Vec::new());
    for probe in probes {
        progress.set_message(probe.number);
        let found = Search::new(probe, row, effort)?.best(effort, args.all, &progress)?;
        if let Some(change) = found {
            row = leaked(row.with_number(change.number, &change.value)?);
            changes.push(change);
        }
    }
    progress.finish_and_clear();
    if args.only.is_empty() {
        print_terms(present, ceilings, effort)?;
    }
    let cpu = Microarchitecture::of_this_machine();
    if changes.is_empty() {
        println!("\n{}", "no change is worth 2 %: the present row stands".green());
    } else {
        let told: Vec<_> = changes.iter().map(|change| (change.number, change.value.as_str(), change.worth)).collect();
        println!("\n{}\n{}", "the row for src/tuning/rows.rs".bold(), source::source(present, &told, &cpu)?);
        together([present, row], &changes, effort)?;
        let all: Vec<String> = changes.iter().map(|change| format!("{}={}", change.number, change.value)).collect();
        println!("over whole suites: cargo xtask tune --try {}", all.join(","));
    }
    if args.quick {
        println!("{}", "a quick run's figures are a look, not a measurement".yellow());
    }
    Ok(())
}

impl Search {
    fn new(probe: &'static Probe, present: &'static Tuning, effort: &Effort) -> anyhow::Result<Self> {
        let its = present.numbers().into_iter().find(|(name, _)| *name == probe.number);
        let (_, its) = its.with_context(|| format!("the row has no {}", probe.number))?;
        let mut values: Vec<String> = probe.values.iter().map(ToString::to_string).collect();
        if !values.contains(&its) {
            let place = values.iter().position(|value| order(value) > order(&its)).unwrap_or(values.len());
            values.insert(place, its.clone());
        }
        let row = |value: &String| -> anyhow::Result<&'static Tuning> {
            // Rows are compared by address, the present one too.
            if *value == its { Ok(present) } else { Ok(leaked(present.with_number(probe.number, value)?)) }
        };
        let rows: Vec<&'static Tuning> = values.iter().map(row).collect::<anyhow::Result<_>>()?;
        let present = values.iter().position(|value| *value == its).unwrap_or(0);
        let works = probe.calls.iter().flat_map(|&call| {
            probe.shapes().map(move |shape| Work { shape, call, weights: probe.weights, threads: probe.threads })
        });
        let mut comparisons = Vec::new();
        for work in works.filter(|work| work.shape.multiply_adds() <= effort.most_work) {
            let comparison = Comparison::new(work, &rows, present, probe.shows_in_plan)?;
            if comparison.has_routes() && comparisons.len() < effort.most_layers {
                comparisons.push(comparison);
            }
        }
        Ok(Self { probe, values, rows, present, comparisons })
    }

    /// Measures, prints a line, and tells the change where one is worth it.
    fn best(&self, effort: &Effort, all: bool, progress: &ProgressBar) -> anyhow::Result<Option<Change>> {
        let mut times = Vec::new();
        for comparison in &self.comparisons {
            times.push(comparison.times(effort.per_row, effort.min_rounds)?);
            progress.inc(1);
        }
        let Choice { value, worth, affected } = choose(&times, self.present);
        let affected: Vec<Work> = affected.into_iter().map(|at| self.comparisons[at].work).collect();
        // A value that was the best of several in one measurement owes something to chance: the second one counts.
        let is_candidate = value != self.present && worth >= KEPT;
        let pair = [self.rows[self.present], self.rows[value]];
        let worth = if is_candidate { worth_of(&affected, &pair, effort)?.unwrap_or(1.0) } else { worth };
        let is_kept = is_candidate && worth >= KEPT;
        progress.suspend(|| {
            self.print(value, worth, affected.len(), is_kept);
            if all {
                self.print_layers(&times);
            }
        });
        let change = Change { number: self.probe.number, value: self.values[value].clone(), worth, affected };
        Ok(is_kept.then_some(change))
    }

    fn print(&self, value: usize, worth: f64, affected: usize, is_kept: bool) {
        let (number, present) = (self.probe.number, &self.values[self.present]);
        let layers = format!("{affected} of {}", self.comparisons.len());
        let line = match value == self.present {
            true if self.comparisons.is_empty() => format!("{number:<24} {present:>9}  no layer depends on it"),
            true => format!("{number:<24} {present:>9} {present:>9}"),
            false => format!("{number:<24} {present:>9} {:>9} {worth:>7.3}×  {layers}", self.values[value]),
        };
        println!("{}", if is_kept { line.green().to_string() } else { line });
    }

    /// Each layer's time by each value, by that of the present one.
    fn print_layers(&self, times: &[Vec<f64>]) {
        println!(
            "    {}",
            format!("{:<28} {}", "", self.values.iter().map(|v| format!("{v:>8}")).collect::<String>()).dimmed()
        );
        for (comparison, times) in self.comparisons.iter().zip(times) {
            let Work { shape, call, .. } = comparison.work;
            let ratios: String = times.iter().map(|time| format!("{:>8.3}", time / times[self.present])).collect();
            println!("    {:<28} {ratios}", format!("{shape} {call}"));
        }
    }
}

/// A value's place among others.
fn order(value: &str) -> f64 {
    match value {
        "max" | "true" => f64::INFINITY,
        "false" => 0.0,
        _ => value.parse().unwrap_or(f64::INFINITY),
    }
}

fn leaked(row: Tuning) -> &'static Tuning {
    Box::leak(Box::new(row))
}

/// The time by the first row by that by the second, geometric mean; `None` without layers.
fn worth_of(works: &[Work], rows: &[&'static Tuning; 2], effort: &Effort) -> anyhow::Result<Option<f64>> {
    let mut ratios = Vec::new();
    for &work in works {
        let times = Comparison::new(work, rows, 0, false)?.times(effort.per_row, effort.min_rounds)?;
        ratios.push(times[0] / times[1]);
    }
    Ok(geometric_mean(ratios))
}

fn print_terms(present: &'static Tuning, ceilings: &Ceilings, effort: &Effort) -> anyhow::Result<()> {
    println!("\n{}", "terms of the cost model, measured alone: they say how many threads share a call".bold());
    println!("{}", format!("{:<24} {:>9} {:>9}", "cycles", "present", "measured").dimmed());
    for term in terms::measure(present, ceilings, effort.per_term)? {
        println!("{:<24} {:>9} {:>9.2}", term.number, term.present, term.cycles);
    }
    Ok(())
}

/// All changes at once, over the layers that any of them affects.
fn together(rows: [&'static Tuning; 2], changes: &[Change], effort: &Effort) -> anyhow::Result<()> {
    let works: Vec<Work> = changes.iter().flat_map(|change| change.affected.iter().copied()).collect();
    if let Some(worth) = worth_of(&works, &rows, effort)? {
        println!("all changes together: {worth:.3}× the speed over {} layers (geometric mean)", works.len());
    }
    Ok(())
}

/// Compares the row with the changes with the present one, row by row of the suites.
fn try_changes(args: &Args, present: &'static Tuning, threads: usize) -> anyhow::Result<()> {
    let effort = if args.quick { &QUICK } else { &WHOLE };
    let mut row = present.clone();
    for change in &args.changes {
        let Some((number, value)) = change.split_once('=') else { bail!("'{change}' is not of the form NUMBER=VALUE") };
        row = row.with_number(number.trim(), value.trim())?;
    }
    let rows = [present, leaked(row)];
    println!("{} against it on {}, {}", rows[1].name().bold(), present.isa(), count(threads));
    for (name, networks) in args.sets() {
        for call in [Call::Forward, Call::Backward] {
            let works: Vec<Work> = networks
                .iter()
                .flat_map(Network::layers)
                .filter(|shape| shape.multiply_adds() <= effort.most_work)
                .map(|shape| Work { shape, call, weights: Weights::Plain, threads })
                .collect();
            ensure!(!works.is_empty(), "{name} has no layer for this");
            let progress = progress_bar(works.len());
            let mut ratios: Vec<(Shape, f64)> = Vec::new();
            for work in &works {
                let times = Comparison::new(*work, &rows, 0, false)?.times(effort.per_row, effort.min_rounds)?;
                ratios.push((work.shape, times[0] / times[1]));
                progress.inc(1);
            }
            progress.finish_and_clear();
            print_suite(&name, call, &mut ratios, args.all);
        }
    }
    Ok(())
}

impl Args {
    /// The layers for `--try`: of suites by their names, or one's own.
    fn sets(&self) -> Vec<(String, Vec<Network>)> {
        match self.shape.is_empty() {
            true => self.suite.iter().map(|suite| (suite.name().to_string(), suite.networks(Pass::Forward))).collect(),
            false => vec![("layers".to_string(), self.shape.clone())],
        }
    }
}

/// The mean, the least and the largest ratio of a suite: the present row's time by the other's.
fn print_suite(name: &str, call: Call, ratios: &mut [(Shape, f64)], all: bool) {
    ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mean = geometric_mean(ratios.iter().map(|(_, ratio)| *ratio)).unwrap_or(1.0);
    let told = |(shape, ratio): &(Shape, f64)| format!("{shape} {ratio:.3}×");
    if let ([least, ..], [.., most]) = (&*ratios, &*ratios) {
        println!("{name:<6} {call:<8} {:.3}× the speed; least {}, most {}", mean.bold(), told(least), told(most));
    }
    if all {
        ratios.iter().for_each(|ratio| println!("    {}", told(ratio)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> &'static Tuning {
        Tuning::all().iter().find(|row| row.name() == name).unwrap()
    }

    #[test]
    fn the_present_value_is_among_those_tried_in_order() {
        let present = leaked(row("portable").with_number("copy_min_rows", "20").unwrap());
        let probe = PROBES.iter().find(|probe| probe.number == "copy_min_rows").unwrap();
        let search = Search::new(probe, present, &QUICK).unwrap();
        assert_eq!((search.values[search.present].as_str(), search.rows[search.present]), ("20", present));
        assert!(search.values.iter().map(|value| order(value)).is_sorted());
        assert!(search.comparisons.len() <= QUICK.most_layers && !search.comparisons.is_empty());
    }

    #[test]
    fn every_number_that_is_measured_has_layers_that_depend_on_it() {
        let isas = Isa::available();
        for probe in PROBES {
            let rows = Tuning::all().iter().filter(|row| isas.contains(&row.isa()));
            let layers = rows.map(|row| Search::new(probe, row, &WHOLE).unwrap().comparisons.len());
            assert!(layers.max().unwrap() > 0, "{}", probe.number);
        }
    }

    #[test]
    fn numbers_that_are_not_measured_are_refused() {
        assert_eq!(probe("copy_min_rows").unwrap(), "copy_min_rows");
        let error = probe("page_stride").unwrap_err().to_string();
        assert!(error.contains("copy_min_rows"), "{error}");
    }
}
