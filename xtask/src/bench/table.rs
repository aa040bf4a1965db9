//! The table on the terminal: a line as soon as its row is measured.

use super::run::{PeerTime, Row, Run};
use crate::machine::Ceilings;
use crate::peers::{BASELINE, passes};
use anstream::println;
use owo_colors::{AnsiColors, OwoColorize};

/// Most peers that get a column of their own unasked.
const FEW_PEERS: usize = 4;

/// Ratio below which a row counts as lost; between it and one lies the noise.
pub const LOST: f64 = 0.97;

/// The columns of one run.
pub struct Table {
    shape_width: usize,
    /// Peers with a column of their own.
    columns: Vec<String>,
}

impl Table {
    /// Columns for these rows to come.
    pub fn new(shapes: impl IntoIterator<Item = String>, peers: &[String], all: bool) -> Self {
        let shape_width = shapes.into_iter().map(|shape| shape.chars().count()).max().unwrap_or(0);
        let columns = if all || peers.len() <= FEW_PEERS { peers.to_vec() } else { vec![BASELINE.to_string()] };
        Self { shape_width: shape_width.max("batch×in→out".chars().count()), columns }
    }

    pub fn print_header(&self) {
        let mut line = format!(
            "{:<shape$} {:<8} {:>2} {:>10} {:>8} {:>6} {:>6}",
            "batch×in→out",
            "pass",
            "T",
            "µs",
            "GFLOP/s",
            "%peak",
            "%roof",
            shape = self.shape_width,
        );
        for column in &self.columns {
            line += &format!(" {column:>width$}", width = width(column));
        }
        println!("{}", (line + "  best peer, its time by ours (quartiles)").bold());
    }

    pub fn print_row(&self, row: &Row, ceilings: &Ceilings) {
        let mut line = format!(
            "{:<shape$} {:<8} {:>2} {:>10.2} {:>8.1} {:>6.1} {:>6.1}",
            row.shape,
            row.pass,
            row.threads,
            row.nanoseconds / 1e3,
            row.gflops(),
            100.0 * row.of_peak(ceilings),
            100.0 * row.of_roofline(ceilings),
            shape = self.shape_width,
        );
        for column in &self.columns {
            line += &match row.peer(column) {
                Some(peer) => format!(" {}", coloured(peer, width(column))),
                None => format!(" {:>width$}", "–", width = width(column)),
            };
        }
        if let Some(best) = row.best_peer() {
            let spread = &best.ratio;
            line += &format!("  {} {}", best.name, coloured(best, 0));
            line += &format!(" ({:.2}–{:.2})", spread.lower_quartile, spread.upper_quartile);
        }
        println!("{line}");
    }
}

/// Columns that a peer's ratios take.
fn width(column: &str) -> usize {
    column.chars().count().max(6)
}

fn coloured(peer: &PeerTime, width: usize) -> String {
    let ratio = peer.ratio.median;
    let colour = match ratio {
        _ if ratio >= 1.0 => AnsiColors::Green,
        _ if ratio >= LOST => AnsiColors::Yellow,
        _ => AnsiColors::Red,
    };
    format!("{:>width$}", format!("{ratio:.2}×")).color(colour).to_string()
}

/// What the machine reached, before the rows.
pub fn print_machine(run: &Run) {
    let machine = &run.machine;
    println!("{}, {} cores, {}; our kernels: {}", machine.cpu, machine.cores, machine.os, machine.isa);
    for ceilings in &machine.ceilings {
        let levels: Vec<String> =
            ceilings.levels.iter().map(|level| format!("{} {:.0} GB/s", level.name, level.gbytes_per_second)).collect();
        println!(
            "measured now on {} thread(s): {:.1} GFLOP/s of multiply-adds; reads: {}",
            ceilings.threads,
            ceilings.peak_gflops,
            levels.join(", "),
        );
    }
    let peers: Vec<String> = run.peers.iter().map(|peer| format!("{} {}", peer.name, peer.version)).collect();
    println!("peers: {}", peers.join(", "));
    println!();
}

/// Means and worst rows, behind them.
pub fn print_summary(run: &Run) {
    println!();
    for (pass, threads) in run.kinds() {
        let Some(summary) = run.summary(pass, threads) else { continue };
        let best = summary.worst.best_peer().expect("a row in a summary has a peer");
        println!(
            "{pass}, {threads} thread(s): {:.2}× the best peer of each row (geometric mean), {} of {} rows won; \
             worst {} at {:.2}× {}",
            summary.mean, summary.won, summary.rows, summary.worst.shape, best.ratio.median, best.name,
        );
    }
    println!(
        "Ratios are the peer's time by ours, above 1 where ours is faster: medians of paired rounds (A B B A), {}. \
         Matrix\nlibraries get vectorised passes with a sigmoid within {} ULP; {BASELINE} a pass for each \
         operation.",
        run.caches(),
        passes::SIGMOID_MAX_ULP,
    );
}
