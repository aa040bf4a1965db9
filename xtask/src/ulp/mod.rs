//! `cargo xtask ulp`: the error of the activations and their derivatives over all floats, on every instruction set,
//! against the promised bounds.

mod bounds;
mod peers;
pub mod speed;
mod subject;
mod sweep;
mod tally;

use anstream::println;
use anyhow::ensure;
use bounds::{BOUNDS, Bound, SLACK};
use fused_dense::Activation;
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;
use subject::Subject;
use sweep::{Magnitudes, Report};
use tally::{CLASSES, Tally};

/// Options of `cargo xtask ulp`.
#[derive(clap::Args)]
pub struct Args {
    /// Every 4097th float and all boundaries, in seconds, instead of all 2³²
    #[arg(long)]
    quick: bool,
    /// This activation alone
    #[arg(long, value_name = "NAME", conflicts_with = "peers")]
    function: Option<Activation>,
    /// Measure cycles for an element instead
    #[arg(long, conflicts_with = "quick")]
    speed: bool,
    /// Measure other libraries' sigmoid and tanh instead, and print a table in Markdown
    #[arg(long, conflicts_with_all = ["quick", "speed"])]
    peers: bool,
    /// Measure at every Nth float; by default at all, other libraries that were found at every 17th
    #[arg(long, value_name = "N", conflicts_with_all = ["quick", "speed"], value_parser = clap::value_parser!(u32).range(1..=1024))]
    every: Option<u32>,
}

/// Sweeps, prints, and compares with the bounds.
///
/// # Errors
/// Where a bound is broken or needlessly loose, or instruction sets disagree.
pub fn main(args: &Args) -> anyhow::Result<()> {
    if args.peers {
        return peers::main(args.every);
    }
    let is_asked = |bound: &&Bound| args.function.is_none_or(|its| bound.subject.activation() == its);
    let bounds: Vec<&Bound> = BOUNDS.iter().filter(is_asked).collect();
    ensure!(!bounds.is_empty(), "no bounds are promised for this activation");
    let subjects: Vec<Subject> = bounds.iter().map(|bound| bound.subject).collect();
    if args.speed {
        return speed::main(&subjects);
    }
    let magnitudes = match args.every {
        _ if args.quick => Magnitudes::sample(),
        every => Magnitudes::Every(every.unwrap_or(1)),
    };
    let style = ProgressStyle::with_template("{bar:30} {percent}%, {eta} left").expect("the template names known keys");
    let progress = ProgressBar::new(magnitudes.len() as u64).with_style(style);
    let reports = sweep::sweep(&subjects, &magnitudes, &progress)?;
    progress.finish_and_clear();

    let mut complaints = Vec::new();
    for (bound, report) in bounds.into_iter().zip(&reports) {
        print(bound, report);
        check(bound, report, args.quick || args.every.is_some(), &mut complaints);
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    println!("{}", "all bounds hold".green());
    Ok(())
}

fn print(bound: &Bound, report: &Report) {
    for (isa, tally) in [&report.fused, &report.unfused].into_iter().flatten() {
        println!("{} on {isa}, {} arguments", bound.subject.bold(), tally.count);
        let worst: Vec<String> =
            tally.worst.iter().map(|(error, x)| format!("{error:.4} at {x:e} ({:#010x})", x.to_bits())).collect();
        println!("    largest errors, ULP  {}", worst.join(", "));
        println!(
            "    normal results       {:.4} ULP, relative error {:.3} · 2^-24",
            tally.worst_normal, tally.worst_relative
        );
        println!("    histogram            {}", histogram(tally));
        let share = tally.not_nearest as f64 / tally.count as f64 * 100.0;
        println!("    not nearest          {} ({share:.3} %), {} undecided", tally.not_nearest, tally.undecided);
        println!("    inversions           {}, largest {} floats", tally.inversions, tally.largest_inversion);
    }
    for (isa, count) in &report.disagreements {
        println!("    bits on {isa}         {count} differ");
    }
}

fn histogram(tally: &Tally) -> String {
    let class = |(i, &count): (usize, &u64)| {
        let share = count as f64 / tally.count as f64 * 100.0;
        match CLASSES.get(i) {
            Some(end) => format!("≤{end}: {share:.4} %"),
            None => format!("above: {share:.4} %"),
        }
    };
    let counts = tally.histogram.iter().enumerate().filter(|&(_, &count)| count > 0);
    counts.map(class).collect::<Vec<_>>().join("  ")
}

/// Notes what a report breaks. A sample cannot show that a bound is loose.
fn check(bound: &Bound, report: &Report, is_sample: bool, complaints: &mut Vec<String>) {
    let subject = bound.subject;
    let bounds = [(&report.fused, bound.fused), (&report.unfused, bound.unfused)];
    for ((isa, tally), promised) in bounds.into_iter().filter_map(|(found, bound)| Some((found.as_ref()?, bound))) {
        let (error, x) = tally.worst[0];
        if error > promised {
            complaints.push(format!("{subject} on {isa}: {error:.4} ULP at {x:e}, promised {promised}"));
        } else if !is_sample && error * SLACK < promised {
            complaints.push(format!("{subject} on {isa}: promised {promised} ULP, needlessly more than {error:.4}"));
        }
        if tally.wrong_nan > 0 {
            complaints.push(format!("{subject} on {isa}: {} wrong NaN", tally.wrong_nan));
        }
    }
    if let Some((isa, tally)) = &report.fused
        && (tally.inversions > bound.inversions || tally.largest_inversion > 1)
    {
        let (count, step) = (tally.inversions, tally.largest_inversion);
        complaints.push(format!("{subject} on {isa}: {count} inversions of up to {step} floats"));
    }
    for (isa, count) in report.disagreements.iter().filter(|(_, count)| *count > 0) {
        complaints.push(format!("{subject}: {count} results on {isa} differ in their bits"));
    }
}
