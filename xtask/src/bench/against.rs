//! `--against FILE`: this run beside an earlier one.

use super::run::{PeerTime, Row, Run};
use super::statistics::{geometric_mean, quantile};
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
            let speedup = row.of_peak(&now.ceilings(row.threads)?) / old.of_peak(&before.ceilings(old.threads)?);
            changes.push(Change { before: old, now: row, speedup });
        }
    }
    Ok(changes)
}

/// How much one peer's ratio in one row differs between the runs.
struct Disagreement<'a> {
    row: &'a Row,
    peer: &'a PeerTime,
    before: f64,
    /// The larger by the smaller, less one.
    share: f64,
}

/// All ratios that both runs have, those that differ most first.
fn disagreements<'a>(changes: &[Change<'a>]) -> Vec<Disagreement<'a>> {
    let mut found = Vec::new();
    for Change { before, now, .. } in changes {
        for peer in &now.peers {
            if let Some(old) = before.peer(&peer.name) {
                let (was, is) = (old.ratio.median, peer.ratio.median);
                found.push(Disagreement { row: now, peer, before: was, share: was.max(is) / was.min(is) - 1.0 });
            }
        }
    }
    found.sort_by(|a, b| b.share.total_cmp(&a.share));
    found
}

/// Ratios of two runs that differ by more than this do not agree.
const AGREEMENT: f64 = 0.05;

/// Ratios that are listed of those that do not agree.
const LISTED: usize = 10;

/// Prints both.
///
/// # Errors
/// As [`changes`].
pub fn print(before: &Run, now: &Run) -> anyhow::Result<()> {
    let changes = changes(before, now)?;
    println!();
    let Some(mean) = geometric_mean(changes.iter().map(|change| change.speedup)) else {
        println!("no row is in both runs");
        return Ok(());
    };
    let width = changes.iter().map(|change| change.now.network.to_string().chars().count()).max().unwrap_or(0);
    let header = format!(
        "{:<width$}  {:<16} {:>7} {:>10} {:>10} {:>8}  {:>7} {:>7}",
        "against before", "pass", "threads", "µs then", "now", "speed", "ratio", "now",
    );
    println!("{}", header.bold());
    for Change { before, now, speedup } in &changes {
        let colour = match *speedup {
            speedup if speedup > 1.03 => AnsiColors::Green,
            speedup if speedup < 0.97 => AnsiColors::Red,
            _ => AnsiColors::Default,
        };
        let best = |row: &Row| row.best_peer().map_or("–".into(), |peer| format!("{:.2}×", peer.ratio.median));
        println!(
            "{:<width$}  {:<16} {:>7} {:>10.2} {:>10.2} {}  {:>7} {:>7}",
            now.network,
            now.pass_name(),
            now.threads,
            before.nanoseconds / 1e3,
            now.nanoseconds / 1e3,
            format!("{speedup:>7.2}×").color(colour),
            best(before),
            best(now),
        );
    }
    println!("{mean:.2}× the speed of before, each as a share of its own run's peak (geometric mean)");
    print_agreement(&disagreements(&changes));
    Ok(())
}

fn print_agreement(ratios: &[Disagreement<'_>]) {
    let Some(largest) = ratios.first() else { return };
    let apart: Vec<&Disagreement<'_>> = ratios.iter().take_while(|ratio| ratio.share > AGREEMENT).collect();
    let ascending: Vec<f64> = ratios.iter().rev().map(|ratio| ratio.share).collect();
    println!(
        "of {} ratios, {} differ by more than {:.0} %; the median differs by {:.1} %, nine in ten by up to {:.1} %, the \
         largest by {:.1} %",
        ratios.len(),
        apart.len(),
        100.0 * AGREEMENT,
        100.0 * quantile(&ascending, 0.5),
        100.0 * quantile(&ascending, 0.9),
        100.0 * largest.share,
    );
    for Disagreement { row, peer, before, share } in apart.iter().take(LISTED) {
        let (network, pass, threads) = (&row.network, row.pass_name(), row.threads);
        let line = format!(
            "  {network} {pass}, {threads}: {} {before:.2}× then, {:.2}× now ({:.1} %)",
            peer.name,
            peer.ratio.median,
            100.0 * share
        );
        println!("{}", line.yellow());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn speed_is_relative_to_each_runs_peak() {
        let (before, mut now) = (sample(), sample());
        now.machine.before[0].peak_gflops /= 2.0;
        now.rows[0].nanoseconds *= 2.0;
        now.rows.truncate(2);
        let changes = changes(&before, &now).unwrap();
        assert_eq!(changes.len(), 2);
        assert!((changes[0].speedup - 1.0).abs() < 1e-12);
        assert!((changes[1].speedup - 2.0).abs() < 1e-12);
    }

    #[test]
    fn ratios_that_differ_are_found_largest_first() {
        let (before, mut now) = (sample(), sample());
        now.rows[1].peers[1].ratio.median *= 1.2;
        now.rows[2].peers[0].ratio.median /= 1.1;
        let changes = changes(&before, &now).unwrap();
        let found = disagreements(&changes);
        assert_eq!(found.len(), 6);
        assert!((found[0].share - 0.2).abs() < 1e-9 && found[0].peer.name == "faer");
        assert!((found[1].share - 0.1).abs() < 1e-9);
        assert_eq!(found[2].share, 0.0);
    }
}
