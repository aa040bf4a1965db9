//! The table on the terminal: a line as soon as its row is measured.

use super::columns::{COLUMNS, Verdict, verdict};
use super::recipe::Recipe;
use super::run::{PeerTime, Row, Run, count};
use crate::machine::{Ceilings, Machine, TuningRow};
use crate::peers::{BASELINE, passes};
use anstream::println;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use owo_colors::{AnsiColors, OwoColorize};

/// Most peers that get a column of their own unasked.
const FEW_PEERS: usize = 4;

/// The columns of one run.
pub struct Table {
    /// Of the figures.
    widths: [usize; COLUMNS.len()],
    /// Peers with a column of their own.
    peers: Vec<String>,
}

impl Table {
    /// Columns for rows to come: networks, and passes with what distinguishes them.
    pub fn new(
        networks: impl IntoIterator<Item = String>,
        passes: impl IntoIterator<Item = String>,
        peers: &[String],
        all: bool,
    ) -> Self {
        let longest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| text.chars().count()).max();
        let mut widths = COLUMNS.map(|column| column.width.max(column.heading.chars().count()));
        widths[0] = widths[0].max(longest(&mut networks.into_iter()).unwrap_or(0));
        widths[1] = widths[1].max(longest(&mut passes.into_iter()).unwrap_or(0));
        let peers = if all || peers.len() <= FEW_PEERS { peers.to_vec() } else { vec![BASELINE.to_string()] };
        Self { widths, peers }
    }

    pub fn print_header(&self) {
        let mut line = self.figures(|index| COLUMNS[index].heading.to_string());
        for peer in &self.peers {
            line += &format!("  {peer:>width$}", width = width(peer));
        }
        println!("{}", (line + "  best peer, its time by ours").bold());
    }

    pub fn print_row(&self, row: &Row, ceilings: &Ceilings) {
        let mut line = self.figures(|index| (COLUMNS[index].value)(row, ceilings));
        for peer in &self.peers {
            line += &match row.peer(peer) {
                Some(time) => format!("  {}", coloured(time, width(peer))),
                None => format!("  {:>width$}", "–", width = width(peer)),
            };
        }
        if let Some(best) = row.best_peer() {
            let error = format!("±{:.1} %", 100.0 * best.ratio.error());
            line += &format!("  {} {} {}", coloured(best, 0).bold(), error.dimmed(), best.name);
        }
        println!("{line}");
    }

    fn figures(&self, text: impl Fn(usize) -> String) -> String {
        let aligned = |(index, &width): (usize, &usize)| match COLUMNS[index].is_text {
            true => format!("{:<width$}", text(index)),
            false => format!("{:>width$}", text(index)),
        };
        self.widths.iter().enumerate().map(aligned).collect::<Vec<_>>().join("  ")
    }
}

/// Columns that a peer's ratios take.
fn width(peer: &str) -> usize {
    peer.chars().count().max(6)
}

fn coloured(peer: &PeerTime, width: usize) -> String {
    let colour = match verdict(peer.ratio.median) {
        Verdict::Won => AnsiColors::Green,
        Verdict::Even => AnsiColors::Yellow,
        Verdict::Lost => AnsiColors::Red,
    };
    format!("{:>width$}", format!("{:.2}×", peer.ratio.median)).color(colour).to_string()
}

/// The machine, the contenders and their threads, before the rows.
pub fn print_run(run: &Run) {
    let Machine { cpu, microarchitecture, cores, os, isa, tuning, .. } = &run.machine;
    println!("{cpu}, {cores} {}, {os}; our kernels: {isa}", if *cores == 1 { "core" } else { "cores" });
    if let Some(tuning) = tuning {
        println!("microarchitecture: {microarchitecture}; tuning row: {}", tuning.name);
        if let Some(warning) = warning(tuning) {
            println!("{}", warning.yellow());
        }
    }
    println!("peers: {}", run.peers_line());
}

/// The warning that the row was measured on no such CPU, where it is a general one.
pub fn warning(tuning: &TuningRow) -> Option<String> {
    let [l1, l2] = tuning.general_for?;
    Some(format!(
        "the tuning row is a general one, made for caches of {l1} and {l2} KiB; `cargo xtask tune` measures one for this CPU"
    ))
}

/// The machine's limits.
pub fn print_ceilings(ceilings: &Ceilings, when: &str) {
    let levels: Vec<String> =
        ceilings.levels.iter().map(|level| format!("{} {:.0}", level.name, level.gbytes_per_second)).collect();
    let line = format!(
        "{when}, {}: {:.0} GFLOP/s of multiply-adds; reads, GB/s: {}",
        count(ceilings.threads),
        ceilings.peak_gflops,
        levels.join(", "),
    );
    println!("{}", line.dimmed());
}

/// Means and worst rows, behind them; what became of the machine meanwhile.
pub fn print_summary(run: &Run) {
    println!();
    for kind in run.kinds() {
        let Some(summary) = run.summary(&kind) else { continue };
        let best = summary.worst.best_peer().expect("a row in a summary has a peer");
        println!(
            "{}: {} the best peer of each row (geometric mean), {} of {} rows won; worst {} at {:.2}× {}",
            kind.bold(),
            format!("{:.2}×", summary.mean).bold(),
            summary.won,
            summary.rows,
            summary.worst.network,
            best.ratio.median,
            best.name,
        );
    }
    for drift in run.machine.drift() {
        let line = format!(
            "the machine changed: {} on {} were {:.0} before and {:.0} after; shares of the peak are doubtful, \
             ratios are not",
            drift.what,
            count(drift.threads),
            drift.before,
            drift.after,
        );
        println!("{}", line.yellow());
    }
    println!("{}", method(run).dimmed());
}

/// How ratios come about, in words.
pub fn method(run: &Run) -> String {
    format!(
        "Ratios are the peer's time by ours, above 1 where ours is faster: medians over rounds that everybody takes \
         part in, there and back (A B C … C B A), {}; ± is half the median's 95 % confidence interval. Both sides do the \
         same work: in layers bias and sigmoid; dz, dw, db, dA_prev and the factor 1/m. Matrix libraries get vectorised \
         passes with a sigmoid within {} ULP, {BASELINE} a pass for each operation; ours is within 1 ULP. Results are \
         checked in double precision before anything is timed. Plain weights are compared with plain ones, ours \
         packed with everybody's, packed or not.{}",
        run.caches(),
        passes::SIGMOID_MAX_ULP,
        training_method(run),
    )
}

/// How networks were trained, where some were.
fn training_method(run: &Run) -> String {
    let mut recipes: Vec<Recipe> = Vec::new();
    for row in run.rows.iter().filter(|row| row.pass.is_of_networks()) {
        if !recipes.contains(&row.recipe) {
            recipes.push(row.recipe);
        }
    }
    let words = |recipe: &Recipe| {
        let value = recipe.to_possible_value();
        let help = value.as_ref().and_then(PossibleValue::get_help).map(ToString::to_string);
        format!(" {recipe} is: {}.", help.unwrap_or_default())
    };
    let recipes: String = recipes.iter().map(words).collect();
    if recipes.is_empty() { recipes } else { format!(" A step is forward, cost, backward and optimiser.{recipes}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;
    use crate::bench::shape::Pass;

    #[test]
    fn a_general_row_is_warned_of() {
        let general = TuningRow { name: "avx2".into(), general_for: Some([32, 512]) };
        assert!(warning(&general).unwrap().contains("32 and 512 KiB"));
        assert_eq!(warning(&TuningRow { general_for: None, ..general }), None);
    }

    #[test]
    fn the_method_tells_the_recipes_of_networks() {
        let mut run = sample();
        assert!(!method(&run).contains("optimiser"));
        (run.rows[0].pass, run.rows[0].recipe) = (Pass::Step, Recipe::ReluSoftmaxAdam);
        assert!(method(&run).ends_with("relu-softmax-adam is: ReLU, softmax cross-entropy, Adam."));
    }
}
