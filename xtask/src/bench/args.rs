//! The options of `cargo xtask bench`.

use super::measure::{Caches, Effort};
use super::recipe::Recipe;
use super::shape::{Network, Pass};
use super::suite::{self, Suite};
use crate::peers::Sharing;
use anyhow::{bail, ensure};
use fused_dense::Isa;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// Options that say what to measure and how: a run that is read from a file has been measured.
const MEASURING: [&str; 15] = [
    "suite",
    "shape",
    "pass",
    "recipe",
    "samples",
    "threads",
    "sharing",
    "isa",
    "peer",
    "frameworks",
    "library",
    "cold",
    "seconds",
    "smoke",
    "json",
];

/// Compare our layers and training steps with other libraries'
///
/// Everything that is found takes part: crates built in, BLAS libraries and oneDNN (`cargo xtask peers install`). PyTorch,
/// JAX and scikit-learn take part in whole steps and epochs; in layers, as far as they have them, only with --frameworks,
/// because compiling takes seconds for each row.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Sets of layers and networks
    #[arg(long, conflicts_with = "smoke", value_enum, value_delimiter = ',', default_values_t = [Suite::Quick])]
    suite: Vec<Suite>,
    /// Layers or networks of your own instead: MxK:N for batch, inputs and outputs, as in 32x784:100 or 10x784:30:10
    #[arg(long, value_delimiter = ',', value_name = "MxK:N")]
    shape: Vec<Network>,
    /// The pass to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Pass::Forward, Pass::Backward])]
    pub pass: Vec<Pass>,
    /// How networks are trained in steps and epochs
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Recipe::Sigmoid])]
    pub recipe: Vec<Recipe>,
    /// Samples of an epoch; in a smoke test some hundreds
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Numbers of threads, each measured apart; `all` for as many as there are cores
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = threads)]
    pub threads: Vec<usize>,
    /// The threads that share our work out, with several
    #[arg(long, value_enum, default_value_t = Sharing::Team)]
    pub sharing: Sharing,
    /// Highest instruction set, ours and the peers' (built anew where that decides); the best by default
    #[arg(long, value_parser = isa)]
    pub isa: Option<Isa>,
    /// Peers to compare with, by name; all that are found by default
    #[arg(long, value_delimiter = ',')]
    pub peer: Vec<String>,
    /// PyTorch and JAX for layers too
    #[arg(long)]
    pub frameworks: bool,
    /// More peers: shared libraries with the C interface of BLAS or of oneDNN
    #[arg(long, value_name = "PATH")]
    pub library: Vec<PathBuf>,
    /// Flushes the caches before each call
    #[arg(long)]
    cold: bool,
    /// Seconds after which a row ends even where its ratios are not yet known to a per cent
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Only checks that everything works: few shapes, few rounds, built-in peers and those named; the figures mean nothing
    #[arg(long)]
    pub smoke: bool,
    /// Shows a column for every peer
    #[arg(long)]
    pub all: bool,
    /// Writes the run to a file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Compares with an earlier run's file
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Writes a report with charts: one HTML file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Refreshes this CPU's table and picture in docs/results.md, and the summary in README.md
    #[arg(long, conflicts_with = "smoke")]
    pub readme: bool,
    /// Takes the run from a file instead of measuring
    #[arg(long, value_name = "FILE", conflicts_with_all = MEASURING)]
    pub from: Option<PathBuf>,
}

fn threads(text: &str) -> anyhow::Result<usize> {
    match text {
        "all" => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        "0" => bail!("at least one"),
        _ => Ok(text.parse()?),
    }
}

fn seconds(text: &str) -> anyhow::Result<f64> {
    let seconds: f64 = text.parse()?;
    if !(0.0..=3600.0).contains(&seconds) {
        bail!("from 0 to 3600");
    }
    Ok(seconds)
}

/// Reads the name of an instruction set that this machine has, as the library's variable is read.
///
/// # Errors
/// Where there is none of that name, or this machine has it not.
pub fn isa(text: &str) -> anyhow::Result<Isa> {
    let (isa, available) = (text.parse()?, Isa::available());
    let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
    ensure!(available.contains(&isa), "this machine has {}", names.join(", "));
    Ok(isa)
}

/// The subject of the rows, with the suite that they belong to.
pub struct Item {
    pub suite: String,
    pub network: Network,
    pub pass: Pass,
    /// The default for layers.
    pub recipe: Recipe,
    /// Samples of an epoch, elsewhere of a batch.
    pub samples: usize,
}

impl Item {
    /// Whether two items are about the same work.
    fn work(&self) -> (Network, Pass, Recipe) {
        (self.network.clone(), self.pass, self.recipe)
    }
}

impl Args {
    /// The rows for one number of threads, each once: layer by layer with its passes, then the steps.
    pub fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for &pass in &self.pass {
            for (suite, networks) in self.sets(pass) {
                for recipe in if pass.is_of_networks() { &self.recipe[..] } else { &[Recipe::Sigmoid] } {
                    let item = |network: &Network| Item {
                        suite: suite.clone(),
                        samples: if pass == Pass::Epoch { self.samples(network.batch) } else { network.batch },
                        network: network.clone(),
                        pass,
                        recipe: *recipe,
                    };
                    items.extend(networks.iter().map(item));
                }
            }
        }
        let mut seen = HashSet::new();
        items.retain(|item| seen.insert(item.work()));
        let place = |item: &Item| (item.pass.is_of_networks(), item.pass == Pass::Epoch, item.network.clone());
        let mut order = HashMap::new();
        for item in &items {
            let next = order.len();
            order.entry(place(item)).or_insert(next);
        }
        items.sort_by_key(|item| order[&place(item)]);
        items
    }

    /// The shapes of a pass, set by set with their names.
    fn sets(&self, pass: Pass) -> Vec<(String, Vec<Network>)> {
        let own = |name: &str, networks: &[Network]| {
            let taken = if pass.is_of_networks() { networks.to_vec() } else { suite::layers(networks) };
            vec![(name.to_string(), taken)]
        };
        match &self.shape[..] {
            [] if self.smoke => own("smoke", &[Network::new(10, &[30, 10]), Network::new(32, &[784, 100])]),
            [] => self.suite.iter().map(|suite| (suite.name().into(), suite.networks(pass))).collect(),
            shapes => own("custom", shapes),
        }
    }

    /// Samples of an epoch: whole batches.
    fn samples(&self, batch: usize) -> usize {
        let samples = if self.smoke { 300 } else { self.samples as usize };
        (samples / batch).max(1) * batch
    }

    pub fn effort(&self) -> Effort {
        let caches = self.caches();
        if self.smoke {
            Effort { per_row: Duration::ZERO, min_rounds: 3, max_rounds: 3, caches }
        } else {
            Effort { per_row: Duration::from_secs_f64(self.seconds), min_rounds: 9, max_rounds: 1000, caches }
        }
    }

    pub fn caches(&self) -> Caches {
        if self.cold { Caches::Cold } else { Caches::Warm }
    }

    /// The largest number of threads.
    pub fn most_threads(&self) -> usize {
        self.threads.iter().copied().max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Result<Args, clap::Error> {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn the_documented_words_are_understood() {
        let cores = std::thread::available_parallelism().unwrap().get();
        let line = args("--suite mnist,dlrm --pass forward,backward,step --threads 1,2,all --cold").unwrap();
        assert_eq!(line.threads, [1, 2, cores]);
        assert_eq!(line.pass, [Pass::Forward, Pass::Backward, Pass::Step]);
        assert_eq!(line.caches(), Caches::Cold);
        for wrong in ["--threads 0", "--suite none", "--shape 1x2", "--seconds -1", "--isa avx3", "--pass up"] {
            assert!(args(wrong).is_err(), "{wrong}");
        }
        let best = Isa::available()[0];
        for name in [best.name().to_string(), best.name().to_uppercase(), format!("{best} ")] {
            let line = Line::try_parse_from(["bench", "--isa", &name]).unwrap();
            assert_eq!(line.args.isa, Some(best), "{name:?}");
        }
    }

    /// An option that would do nothing is refused.
    #[test]
    fn options_that_exclude_each_other_are_refused() {
        for wrong in ["--smoke --suite quick", "--smoke --readme", "--from a.json --peer faer", "--from a.json --cold"]
        {
            let error = args(wrong).expect_err(wrong);
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{wrong}");
        }
        assert!(args("--from a.json --html b.html --against c.json --readme --all").is_ok());
        let items = args("--smoke --shape 1x2:3").unwrap().items();
        assert!(
            items.iter().all(|item| item.network == Network::new(1, &[2, 3])),
            "a shape counts in a smoke test too"
        );
    }

    #[test]
    fn every_row_comes_once_and_a_layers_passes_side_by_side() {
        let items = args("--suite mnist,dlrm --pass forward,backward,step").unwrap().items();
        let distinct: HashSet<_> = items.iter().map(|item| (&item.network, item.pass)).collect();
        assert_eq!(distinct.len(), items.len());
        assert_eq!(items[0].network, items[1].network);
        assert_eq!((items[0].pass, items[1].pass), (Pass::Forward, Pass::Backward));
        assert!(items.iter().any(|item| item.suite == "dlrm" && item.network.widths.len() > 2));
    }

    #[test]
    fn networks_come_once_for_each_recipe_and_layers_once() {
        let line = "--shape 10x784:30:10 --pass forward,step,epoch --recipe sigmoid,relu-softmax-adam --samples 1005";
        let items = args(line).unwrap().items();
        let found: Vec<String> = items
            .iter()
            .map(|item| format!("{} {} {} {}", item.network, item.pass, item.recipe, item.samples))
            .collect();
        assert_eq!(found[..2], ["10×784→30 forward sigmoid 10", "10×30→10 forward sigmoid 10"]);
        assert_eq!(found[2..4], ["10×784→30→10 step sigmoid 10", "10×784→30→10 step relu-softmax-adam 10"]);
        assert_eq!(found[4..], ["10×784→30→10 epoch sigmoid 1000", "10×784→30→10 epoch relu-softmax-adam 1000"]);
    }

    #[test]
    fn a_network_of_ones_own_is_taken_apart_for_passes() {
        let items = args("--shape 10x784:30:10 --pass forward,step").unwrap().items();
        let found: Vec<String> = items.iter().map(|item| format!("{} {}", item.network, item.pass)).collect();
        assert_eq!(found, ["10×784→30 forward", "10×30→10 forward", "10×784→30→10 step"]);
    }
}
