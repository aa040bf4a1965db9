//! `--against FILE`: this run beside an earlier one.

use super::run::{Row, Run};
use super::statistics::geometric_mean;
use anstream::println;
use owo_colors::{AnsiColors, OwoColorize};

/// One row in both runs.
pub struct Change<'a> {
    before: &'a Row,
    now: &'a Row,
    /// Share of the peak now by share of the peak then: each run's own peak, so that a slower hour does not count.
    pub speedup: f64,
}

/// The rows that both runs have.
///
/// # Errors
/// Where a run lacks the ceilings of one of its rows.
pub fn changes<'a>(before: &'a Run, now: &'a Run) -> anyhow::Result<Vec<Change<'a>>> {
    let mut changes = Vec::new();
    for row in &now.rows {
        if let Some(old) = before.rows.iter().find(|old| old.is_same_work(row)) {
            let speedup = row.of_peak(now.ceilings(row.threads)?) / old.of_peak(before.ceilings(old.threads)?);
            changes.push(Change { before: old, now: row, speedup });
        }
    }
    Ok(changes)
}

/// Prints them.
///
/// # Errors
/// As [`changes`].
pub fn print(before: &Run, now: &Run) -> anyhow::Result<()> {
    let changes = changes(before, now)?;
    println!();
    println!(
        "{}",
        format!("{:<20} {:<8} {:>2} {:>10} {:>10} {:>8}", "against before", "pass", "T", "µs then", "now", "speed")
            .bold()
    );
    for Change { before, now, speedup } in &changes {
        let colour = match *speedup {
            speedup if speedup > 1.03 => AnsiColors::Green,
            speedup if speedup < 0.97 => AnsiColors::Red,
            _ => AnsiColors::Default,
        };
        println!(
            "{:<20} {:<8} {:>2} {:>10.2} {:>10.2} {}",
            now.shape,
            now.pass,
            now.threads,
            before.nanoseconds / 1e3,
            now.nanoseconds / 1e3,
            format!("{speedup:>7.2}×").color(colour),
        );
    }
    match geometric_mean(changes.iter().map(|change| change.speedup)) {
        Some(mean) => {
            println!("{mean:.2}× the speed of before, each as a share of its own run's peak (geometric mean)")
        }
        None => println!("no row is in both runs"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn speed_is_relative_to_each_runs_peak() {
        let (before, mut now) = (sample(), sample());
        now.machine.ceilings[0].peak_gflops /= 2.0;
        now.rows[0].nanoseconds *= 2.0;
        now.rows.truncate(2);
        let changes = changes(&before, &now).unwrap();
        assert_eq!(changes.len(), 2);
        assert!((changes[0].speedup - 1.0).abs() < 1e-12);
        assert!((changes[1].speedup - 2.0).abs() < 1e-12);
    }
}
