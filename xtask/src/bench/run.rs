//! The findings of a run: written to JSON, compared, drawn.

use super::measure::Caches;
use super::recipe::Recipe;
use super::shape::{Network, Pass, Weights};
use super::statistics::{Spread, geometric_mean};
use crate::machine::{Ceilings, Machine};
use crate::peers::BASELINE;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;

/// One run of the comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The command that repeats it.
    pub command: String,
    pub caches: Caches,
    pub machine: Machine,
    pub peers: Vec<PeerInfo>,
    pub rows: Vec<Row>,
}

/// A library that took part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerInfo {
    pub name: String,
    pub version: String,
}

/// The groups in which rows are summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub suite: String,
    pub pass: Pass,
    pub recipe: Recipe,
    pub weights: Weights,
    pub threads: usize,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { suite, pass, recipe, weights, threads } = self;
        f.pad(&format!("{suite}, {pass}{}{} on {}", recipe.suffix(), weights.suffix(), count(*threads)))
    }
}

/// A number of threads in words.
pub fn count(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// One layer or network, pass and number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub suite: String,
    pub network: Network,
    pub pass: Pass,
    /// How a network is trained.
    #[serde(default, skip_serializing_if = "Recipe::is_default")]
    pub recipe: Recipe,
    /// Steps in one call: an epoch's batches.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub steps: usize,
    pub weights: Weights,
    pub threads: usize,
    /// Median time of one of our calls.
    pub nanoseconds: f64,
    pub peers: Vec<PeerTime>,
}

fn one() -> usize {
    1
}

fn is_one(steps: &usize) -> bool {
    *steps == 1
}

/// How a peer did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerTime {
    pub name: String,
    /// Median time of one of its calls.
    pub nanoseconds: f64,
    /// Its time by ours, over the paired rounds.
    pub ratio: Spread,
}

impl Row {
    /// The fastest peer.
    pub fn best_peer(&self) -> Option<&PeerTime> {
        self.peers.iter().min_by(|a, b| a.ratio.median.total_cmp(&b.ratio.median))
    }

    pub fn peer(&self, name: &str) -> Option<&PeerTime> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    pub fn baseline(&self) -> Option<&PeerTime> {
        self.peer(BASELINE)
    }

    pub fn gflops(&self) -> f64 {
        self.pass.flops(&self.network) / self.step_nanoseconds()
    }

    /// Nanoseconds of one step, where a call has several.
    fn step_nanoseconds(&self) -> f64 {
        self.nanoseconds / self.steps as f64
    }

    /// Share of the peak of multiply-adds.
    pub fn of_peak(&self, ceilings: &Ceilings) -> f64 {
        self.gflops() / ceilings.peak_gflops
    }

    /// Share of what arithmetic and memory traffic allow.
    pub fn of_roofline(&self, ceilings: &Ceilings) -> f64 {
        let (flops, bytes) = (self.pass.flops(&self.network), self.pass.bytes(&self.network, self.recipe));
        ceilings.bound_ns(flops, bytes) / self.step_nanoseconds()
    }

    /// Whether two rows are about the same work.
    pub fn is_same_work(&self, other: &Self) -> bool {
        let work = |row: &Self| (row.pass, row.recipe, row.steps, row.weights, row.threads);
        self.network == other.network && work(self) == work(other)
    }

    /// The group in which it is summed up.
    pub fn kind(&self) -> Kind {
        let &Self { pass, recipe, weights, threads, .. } = self;
        Kind { suite: self.suite.clone(), pass, recipe, weights, threads }
    }

    /// The pass with what distinguishes it.
    pub fn pass_name(&self) -> String {
        format!("{}{}{}", self.pass, self.recipe.suffix(), self.weights.suffix())
    }
}

/// A run's rows of one kind in one line.
pub struct Summary {
    /// Geometric mean of the ratios to each row's best peer.
    pub mean: f64,
    /// The row with the smallest ratio.
    pub worst: Row,
    /// Rows that are at least as fast as their best peer.
    pub won: usize,
    pub rows: usize,
}

impl Run {
    /// The state of the caches, in words.
    pub fn caches(&self) -> &'static str {
        match self.caches {
            Caches::Warm => "caches warm",
            Caches::Cold => "caches cold",
        }
    }

    /// The machine's own limits with so many threads, before the rows or behind them.
    ///
    /// # Errors
    /// Where that was not measured.
    pub fn ceilings(&self, threads: usize) -> anyhow::Result<Ceilings> {
        self.machine.ceilings(threads).context("no ceilings for this number of threads")
    }

    /// The rows of one kind against each one's best peer; `None` where none has a peer.
    pub fn summary(&self, kind: &Kind) -> Option<Summary> {
        let of_kind = self.rows.iter().filter(|row| row.kind() == *kind);
        let ratios: Vec<(f64, &Row)> = of_kind.filter_map(|row| Some((row.best_peer()?.ratio.median, row))).collect();
        let worst = ratios.iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Summary {
            mean: geometric_mean(ratios.iter().map(|(ratio, _)| *ratio))?,
            worst: worst.1.clone(),
            won: ratios.iter().filter(|(ratio, _)| *ratio >= 1.0).count(),
            rows: ratios.len(),
        })
    }

    /// The kinds of rows in this run.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for kind in self.rows.iter().map(Row::kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Peers and their versions in one line.
    pub fn peers_line(&self) -> String {
        let peers: Vec<String> = self.peers.iter().map(|peer| format!("{} {}", peer.name, peer.version)).collect();
        peers.join(", ")
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} holds no run", path.display()))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::machine::microarchitecture::Microarchitecture;
    use crate::machine::{Level, TuningRow};

    fn peer(name: &str, ratio: f64, nanoseconds: f64) -> PeerTime {
        let (lower_quartile, upper_quartile) = (ratio - 0.02, ratio + 0.03);
        let (low, high) = (ratio - 0.01, ratio + 0.01);
        let ratio = Spread { lower_quartile, median: ratio, upper_quartile, low, high, count: 20 };
        PeerTime { name: name.into(), nanoseconds: nanoseconds * ratio.median, ratio }
    }

    /// A run as it could be read from a file.
    pub fn sample() -> Run {
        let row = |network: &str, pass, nanoseconds, faer| Row {
            suite: "quick".into(),
            network: network.parse().unwrap(),
            pass,
            recipe: Recipe::Sigmoid,
            steps: 1,
            weights: Weights::Plain,
            threads: 1,
            nanoseconds,
            peers: vec![peer(BASELINE, 2.0, nanoseconds), peer("faer", faer, nanoseconds)],
        };
        let level = |name: &str, capacity, gbytes_per_second| Level { name: name.into(), capacity, gbytes_per_second };
        let levels =
            vec![level("L1", Some(49152.0), 500.0), level("L2", Some(1048576.0), 200.0), level("memory", None, 30.0)];
        Run {
            command: "cargo xtask bench".into(),
            caches: Caches::Warm,
            machine: Machine {
                cpu: "A <test> CPU".into(),
                microarchitecture: Microarchitecture::default(),
                cores: 2,
                os: "linux".into(),
                isa: "avx512".into(),
                tuning: Some(TuningRow { name: "avx512".into(), general_for: Some([48, 1024]) }),
                before: vec![Ceilings { threads: 1, peak_gflops: 250.0, levels }],
                after: Vec::new(),
            },
            peers: vec![
                PeerInfo { name: BASELINE.into(), version: "0.3".into() },
                PeerInfo { name: "faer".into(), version: "0.24".into() },
            ],
            rows: vec![
                row("32x784:100", Pass::Forward, 25_000.0, 1.25),
                row("32x784:100", Pass::Backward, 50_000.0, 0.9),
                row("1x784:30", Pass::Forward, 1_000.0, 0.8),
            ],
        }
    }

    #[test]
    fn the_best_peer_is_the_fastest() {
        let run = sample();
        assert_eq!(run.rows[0].best_peer().unwrap().name, "faer");
        assert_eq!(run.rows[0].baseline().unwrap().ratio.median, 2.0);
    }

    #[test]
    fn the_summary_names_mean_and_worst() {
        let forward = sample().rows[0].kind();
        let summary = sample().summary(&forward).unwrap();
        assert!((summary.mean - 1.0).abs() < 1e-12);
        assert_eq!(summary.worst.network, Network::new(1, &[784, 30]));
        assert_eq!((summary.won, summary.rows), (1, 2));
        assert!(sample().summary(&Kind { threads: 2, ..forward }).is_none());
    }

    #[test]
    fn a_run_survives_its_file() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), sample());
    }

    /// Files of runs from before there were recipes have none.
    #[test]
    fn recipes_and_steps_are_stored_where_they_are_told() {
        let mut run = sample();
        let plain = serde_json::to_string(&run).unwrap();
        assert!(!plain.contains("recipe") && !plain.contains("steps"));
        (run.rows[0].pass, run.rows[0].recipe, run.rows[0].steps) = (Pass::Epoch, Recipe::ReluSoftmaxAdam, 100);
        let text = serde_json::to_string(&run).unwrap();
        let read: Run = serde_json::from_str(&text).unwrap();
        assert_eq!(read, run);
        assert_eq!(read.rows[0].pass_name(), "epoch, relu-softmax-adam");
        assert!(read.rows[0].kind().to_string().contains("relu-softmax-adam"));
        let flops = Pass::Epoch.flops(&read.rows[0].network);
        assert!((read.rows[0].gflops() - 100.0 * flops / 25_000.0).abs() < 1e-9);
    }

    #[test]
    fn shares_of_peak_and_roofline() {
        let run = sample();
        let ceilings = run.ceilings(1).unwrap();
        let row = &run.rows[0];
        let flops = 2.0 * 32.0 * 784.0 * 100.0;
        assert!((row.of_peak(&ceilings) - flops / 25_000.0 / 250.0).abs() < 1e-12);
        assert!(row.of_roofline(&ceilings) >= row.of_peak(&ceilings));
    }
}
