//! The README's summary, made of the files in `docs/results/`: one for each CPU.
//!
//! `--readme` puts a run's figures into the file of its CPU. A figure that has no run to come from, such as one whose two
//! times were measured apart, may be written there by hand.

use super::results::{FOLDER, file_stem};
use crate::bench::recipe::Recipe;
use crate::bench::run::{Row, Run, count};
use crate::bench::shape::{Network, Pass, Weights};
use crate::workspace;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- summary: `cargo xtask bench --readme` writes what follows -->";
const END: &str = "<!-- end of summary -->";

/// The works that the picture shows, in this order.
const SHOWN: [(Pass, Recipe, &str); 15] = [
    (Pass::Step, Recipe::Sigmoid, "10x784:30:10"),
    (Pass::Step, Recipe::Sigmoid, "32x784:100:10"),
    (Pass::Step, Recipe::Sigmoid, "128x784:512:512:10"),
    (Pass::Step, Recipe::Sigmoid, "256x13:512:256:128"),
    (Pass::Step, Recipe::Sigmoid, "256x479:1024:1024:512:256:1"),
    (Pass::Step, Recipe::ReluSoftmaxAdam, "200x64:100:10"),
    (Pass::Step, Recipe::ReluSoftmaxAdam, "10x784:30:10"),
    (Pass::Step, Recipe::ReluSoftmaxAdam, "32x784:100:10"),
    (Pass::Step, Recipe::ReluSoftmaxAdam, "128x784:512:512:10"),
    (Pass::Epoch, Recipe::Sigmoid, "10x784:30:10"),
    (Pass::Forward, Recipe::Sigmoid, "128x512:10"),
    (Pass::Backward, Recipe::Sigmoid, "32x784:100"),
    (Pass::Backward, Recipe::Sigmoid, "128x784:512"),
    (Pass::Backward, Recipe::Sigmoid, "256x13:512"),
    (Pass::Backward, Recipe::Sigmoid, "256x1024:1024"),
];

/// The other sides that the picture shows, each with the beginnings of the peers' names that belong to it.
const SIDES: [(&str, &str); 4] =
    [("PyTorch", "pytorch"), ("JAX", "jax"), ("sklearn", "scikit-learn"), ("oneDNN", "onednn")];

/// Characters of a bar that is as long as ours, and of the longest one.
const ONE: f64 = 4.0;
const LONGEST: usize = 12;
/// Characters of a side's name, and of a CPU's column.
const NAME: usize = 10;
const COLUMN: usize = 29;

/// The facts that are told of one CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Figures {
    /// As the system calls it, with its microarchitecture.
    cpu: String,
    /// As people call it.
    name: String,
    /// Notes for a reader of the figures, written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Peers that took part in the rows summed up.
    peers: BTreeSet<String>,
    summaries: Vec<Summary>,
    bars: Vec<Bar>,
}

/// The rows of one suite and pass with plain weights against each one's best peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Summary {
    suite: String,
    pass: Pass,
    threads: usize,
    /// Geometric mean of the best peers' times by ours.
    mean: f64,
    won: usize,
    rows: usize,
    command: String,
}

/// One bar of the picture: one thread, plain weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bar {
    pass: Pass,
    #[serde(default, skip_serializing_if = "Recipe::is_default")]
    recipe: Recipe,
    network: Network,
    side: String,
    /// Its time by ours.
    ratio: f64,
    command: String,
    /// Where the two times were not measured in one run: what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measured_apart: Option<String>,
}

/// Puts a run's figures into the file of its CPU, and what the files say into the README.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn refresh(run: &Run) -> anyhow::Result<()> {
    let folder = workspace::root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    let title = run.machine.title();
    let path = folder.join(format!("{}.json", file_stem(&title)));
    let mut figures = if path.exists() { read(&path)? } else { Figures::nothing_yet(&title) };
    figures.take(run);
    fs::write(&path, serde_json::to_string_pretty(&figures)? + "\n")?;

    let readme = workspace::root().join("README.md");
    let text = replaced(&fs::read_to_string(&readme)?, &section(&all(&folder)?)?)?;
    fs::write(readme, text)?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Figures> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no figures", path.display()))
}

/// The figures of every CPU, by file name.
fn all(folder: &Path) -> anyhow::Result<Vec<Figures>> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// The README with another section between its markers.
fn replaced(readme: &str, section: &str) -> anyhow::Result<String> {
    let missing = || format!("README.md needs the lines\n{BEGIN}\n{END}");
    let (before, rest) = readme.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{BEGIN}\n{section}{END}{after}"))
}

impl Figures {
    fn nothing_yet(cpu: &str) -> Self {
        let (peers, summaries, bars) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { cpu: cpu.into(), name: cpu.into(), note: None, peers, summaries, bars }
    }

    /// Takes a run's figures over, in the place of older ones of the same work.
    fn take(&mut self, run: &Run) {
        let is_summed_up = |row: &&Row| row.weights == Weights::Plain && !row.pass.is_of_networks();
        let peers = run.rows.iter().filter(is_summed_up).flat_map(|row| &row.peers);
        let peers: BTreeSet<String> = peers.map(|peer| peer.name.clone()).collect();
        if !peers.is_empty() {
            // A table mixes no two runs.
            (self.peers, self.summaries) = (peers, Vec::new());
        }
        for kind in run.kinds().into_iter().filter(|kind| kind.weights == Weights::Plain && !kind.pass.is_of_networks())
        {
            if let Some(of_kind) = run.summary(&kind) {
                let (mean, won, rows) = (rounded(of_kind.mean), of_kind.won, of_kind.rows);
                let (suite, pass, threads, command) = (kind.suite, kind.pass, kind.threads, run.command.clone());
                self.summaries.push(Summary { suite, pass, threads, mean, won, rows, command });
            }
        }
        let is_shown = |row: &&Row| {
            let is_work = |work: &Work| *work == (row.pass, row.recipe, row.network.clone());
            row.weights == Weights::Plain && row.threads == 1 && shown().any(|work| is_work(&work))
        };
        for row in run.rows.iter().filter(is_shown) {
            for (side, prefix) in SIDES {
                let ratios = row.peers.iter().filter(|peer| peer.name.starts_with(prefix));
                let Some(best) = ratios.map(|peer| peer.ratio.median).min_by(f64::total_cmp) else { continue };
                let work = (row.pass, row.recipe, row.network.clone());
                self.bars.retain(|bar| !bar.is_of(&work, side));
                self.bars.push(Bar {
                    pass: row.pass,
                    recipe: row.recipe,
                    network: row.network.clone(),
                    side: side.into(),
                    ratio: rounded(best),
                    command: run.command.clone(),
                    measured_apart: None,
                });
            }
        }
    }

    fn bar(&self, work: &Work, side: &str) -> Option<&Bar> {
        self.bars.iter().find(|bar| bar.is_of(work, side))
    }

    /// The commands of steps and epochs, or of layers.
    fn commands(&self, of_steps: bool) -> String {
        let bars = self.bars.iter().filter(|bar| bar.pass.is_of_networks() == of_steps).map(|bar| &bar.command);
        let summaries = self.summaries.iter().filter(|_| !of_steps).map(|summary| &summary.command);
        let commands: BTreeSet<String> = bars.chain(summaries).map(|command| format!("`{command}`")).collect();
        commands.into_iter().collect::<Vec<_>>().join(", ")
    }
}

impl Bar {
    fn is_of(&self, (pass, recipe, network): &Work, side: &str) -> bool {
        (self.pass, self.recipe) == (*pass, *recipe) && self.network == *network && self.side == side
    }

    /// A quarter for each character, with the ratio behind it.
    fn drawn(&self) -> String {
        let len = ((ONE * self.ratio).round() as usize).max(1);
        let bar = if len > LONGEST { "█".repeat(LONGEST) + "▶" } else { "█".repeat(len) };
        match &self.measured_apart {
            None if self.ratio < 10.0 => format!("{bar} {:.2}×", self.ratio),
            None => format!("{bar} {:.0}×", self.ratio),
            Some(_) => format!("{bar} ≈{:.1}×", self.ratio),
        }
    }
}

/// To what is shown of it, so that files stay short.
fn rounded(ratio: f64) -> f64 {
    (ratio * 1e3).round() / 1e3
}

/// The subject of a bar.
type Work = (Pass, Recipe, Network);

fn shown() -> impl Iterator<Item = Work> {
    SHOWN.into_iter().map(|(pass, recipe, network)| (pass, recipe, network.parse().expect("a network as it is typed")))
}

/// The summary of every CPU, the picture, and how to repeat them.
fn section(cpus: &[Figures]) -> anyhow::Result<String> {
    let mut section = String::from("\n```text\n");
    section.push_str(&picture(cpus)?);
    section.push_str(
        "```\n\nEach bar is the other's time by ours on one thread: four blocks are 1×, more mean that ours is faster.\n",
    );
    if cpus.iter().flat_map(|cpu| &cpu.bars).any(|bar| bar.measured_apart.is_some()) {
        section
            .push_str("Both times of a ratio come from one run; where it says ≈, from two, and the ratio is rough.\n");
    }
    section.push_str("\n| layers, plain weights | suite | threads | forward | backward |\n|---|---|--:|---|---|\n");
    for cpu in cpus {
        table(&mut section, cpu)?;
    }
    let peers: BTreeSet<&str> = cpus.iter().flat_map(|cpu| &cpu.peers).map(String::as_str).collect();
    let peers = peers.into_iter().collect::<Vec<_>>().join(", ");
    writeln!(
        section,
        "\nGeometric means of the best peer's time by ours, and rows in which ours is at least as fast. Peers: {peers}.\n"
    )?;
    for cpu in cpus {
        write!(section, "- {}: layers by {}", cpu.name, cpu.commands(false))?;
        let steps = cpu.commands(true);
        let steps = if steps.is_empty() { String::new() } else { format!("; steps by {steps}") };
        let note = cpu.note.as_ref().map_or(String::new(), |note| format!(". {note}"));
        writeln!(section, "{steps}{note}")?;
    }
    section.push('\n');
    Ok(section)
}

fn table(section: &mut String, cpu: &Figures) -> anyhow::Result<()> {
    let mut seen = Vec::new();
    for Summary { suite, threads, .. } in &cpu.summaries {
        if seen.contains(&(suite, threads)) {
            continue;
        }
        seen.push((suite, threads));
        let cell = |pass: Pass| {
            let mut of_row = cpu.summaries.iter().filter(|its| its.suite == *suite && its.threads == *threads);
            let summary = of_row.find(|its| its.pass == pass);
            summary.map_or("–".into(), |its| format!("{:.2}×, {} of {}", its.mean, its.won, its.rows))
        };
        let (forward, backward) = (cell(Pass::Forward), cell(Pass::Backward));
        writeln!(section, "| {} | {suite} | {threads} | {forward} | {backward} |", cpu.name)?;
    }
    Ok(())
}

/// Bars under the name of each work, a column for each CPU.
fn picture(cpus: &[Figures]) -> anyhow::Result<String> {
    let mut picture = String::new();
    let line = |first: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!("{cell:<COLUMN$}")).collect();
        format!("{first:<NAME$}{cells}").trim_end().to_string()
    };
    writeln!(picture, "{}", line("", &mut cpus.iter().map(|cpu| cpu.name.clone())))?;
    for work in shown() {
        let sides: Vec<&str> = SIDES.into_iter().map(|(side, _)| side).collect();
        let has_bar = |side: &&str| cpus.iter().any(|cpu| cpu.bar(&work, side).is_some());
        let sides: Vec<&str> = sides.into_iter().filter(has_bar).collect();
        if sides.is_empty() {
            continue;
        }
        let (pass, recipe, network) = &work;
        let what = match pass {
            Pass::Step => format!("whole training step{}", recipe.suffix()),
            Pass::Epoch => format!("whole epoch{}", recipe.suffix()),
            Pass::Forward | Pass::Backward => format!("layer, {pass}"),
        };
        writeln!(picture, "\n{what}, {network}, {}", count(1))?;
        for side in sides {
            let mut cells = cpus.iter().map(|cpu| cpu.bar(&work, side).map_or("–".into(), Bar::drawn));
            writeln!(picture, "{}", line(side, &mut cells))?;
        }
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    /// A run with a step of a network that is shown.
    fn with_a_step() -> Run {
        let mut run = sample();
        let mut step = run.rows[0].clone();
        (step.pass, step.network) = (Pass::Step, "10x784:30:10".parse().unwrap());
        for (peer, (name, ratio)) in step.peers.iter_mut().zip([("pytorch", 23.5), ("pytorch-compiled", 30.0)]) {
            peer.name = name.into();
            peer.ratio.median = ratio;
        }
        run.rows.push(step);
        run
    }

    #[test]
    fn a_run_replaces_older_figures_of_its_work() {
        let mut figures = Figures::nothing_yet("A CPU");
        figures.take(&with_a_step());
        assert_eq!((figures.summaries.len(), figures.bars.len()), (2, 1));
        assert_eq!(figures.peers.iter().collect::<Vec<_>>(), ["faer", "matrixmultiply"]);
        assert_eq!(figures.bars[0].ratio, 23.5, "the faster of two ways to use a framework");
        let mut again = figures.clone();
        again.take(&with_a_step());
        assert_eq!(again, figures);
        let text = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), figures);
    }

    #[test]
    fn the_section_names_cpu_command_and_only_peers_with_rows() {
        let mut figures = Figures::nothing_yet("A CPU");
        figures.take(&with_a_step());
        figures.note = Some("A note.".into());
        let section = section(&[figures]).unwrap();
        for text in [
            "████████████▶ 24×",
            "10×784→30→10",
            "| A CPU | quick | 1 | 1.00×, 1 of 2 |",
            "cargo xtask bench`. A note.\n",
        ] {
            assert!(section.contains(text), "{text} in\n{section}");
        }
        assert!(!section.contains("JAX") && !section.contains("oneDNN") && !section.contains('≈'));
    }

    #[test]
    fn bars_are_as_long_as_ratios_and_fit_a_page() {
        let bar = |ratio, apart: Option<&str>| {
            let network = "1x1:1".parse().unwrap();
            let (side, command, measured_apart) = ("JAX".into(), String::new(), apart.map(str::to_string));
            Bar { pass: Pass::Step, recipe: Recipe::Sigmoid, network, side, ratio, command, measured_apart }.drawn()
        };
        assert_eq!([bar(1.0, None), bar(0.5, None)], ["████ 1.00×", "██ 0.50×"]);
        assert_eq!(bar(1.62, Some("2 and 1 µs")), "██████ ≈1.6×");
        assert!(bar(1e4, None).chars().count() < COLUMN);
    }

    /// The README says what the files say.
    #[test]
    fn the_readme_is_up_to_date() {
        let readme = fs::read_to_string(workspace::root().join("README.md")).unwrap();
        let fresh = section(&all(&workspace::root().join(FOLDER)).unwrap()).unwrap();
        assert_eq!(replaced(&readme, &fresh).unwrap(), readme, "`cargo xtask bench --readme` was not run");
        assert!(replaced("# Title\n", "new").is_err());
    }
}
