//! What a run found: written to JSON, compared, drawn.

use super::measure::Caches;
use super::shape::{Pass, Shape};
use super::statistics::{Spread, geometric_mean};
use crate::machine::{Ceilings, Machine};
use crate::peers::BASELINE;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// One run of the comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The command that repeats it.
    pub command: String,
    pub suite: String,
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

/// One shape, pass and number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub shape: Shape,
    pub pass: Pass,
    pub threads: usize,
    /// Median time of one of our calls.
    pub nanoseconds: f64,
    pub peers: Vec<PeerTime>,
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
        self.pass.flops(&self.shape) / self.nanoseconds
    }

    /// Share of the peak of multiply-adds.
    pub fn of_peak(&self, ceilings: &Ceilings) -> f64 {
        self.gflops() / ceilings.peak_gflops
    }

    /// Share of what arithmetic and memory traffic allow.
    pub fn of_roofline(&self, ceilings: &Ceilings) -> f64 {
        ceilings.bound_ns(self.pass.flops(&self.shape), self.pass.bytes(&self.shape)) / self.nanoseconds
    }

    /// Whether two rows are about the same work.
    pub fn is_same_work(&self, other: &Self) -> bool {
        (self.shape, self.pass, self.threads) == (other.shape, other.pass, other.threads)
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

    pub fn ceilings(&self, threads: usize) -> anyhow::Result<&Ceilings> {
        let mut ceilings = self.machine.ceilings.iter();
        ceilings.find(|ceilings| ceilings.threads == threads).context("no ceilings for this number of threads")
    }

    /// The rows of one kind against each one's best peer; `None` where none has a peer.
    pub fn summary(&self, pass: Pass, threads: usize) -> Option<Summary> {
        let of_kind = self.rows.iter().filter(|row| row.pass == pass && row.threads == threads);
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
    pub fn kinds(&self) -> Vec<(Pass, usize)> {
        let mut kinds = Vec::new();
        for row in &self.rows {
            if !kinds.contains(&(row.pass, row.threads)) {
                kinds.push((row.pass, row.threads));
            }
        }
        kinds
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
    use crate::machine::Level;

    fn peer(name: &str, ratio: f64, nanoseconds: f64) -> PeerTime {
        let ratio = Spread { lower_quartile: ratio - 0.02, median: ratio, upper_quartile: ratio + 0.03 };
        PeerTime { name: name.into(), nanoseconds: nanoseconds * ratio.median, ratio }
    }

    /// A run as it could be read from a file.
    pub fn sample() -> Run {
        let row = |shape, pass, nanoseconds, faer| Row {
            shape,
            pass,
            threads: 1,
            nanoseconds,
            peers: vec![peer(BASELINE, 2.0, nanoseconds), peer("faer", faer, nanoseconds)],
        };
        let level = |name: &str, capacity, gbytes_per_second| Level { name: name.into(), capacity, gbytes_per_second };
        let levels =
            vec![level("L1", Some(49152.0), 500.0), level("L2", Some(1048576.0), 200.0), level("memory", None, 30.0)];
        Run {
            command: "cargo xtask bench".into(),
            suite: "quick".into(),
            caches: Caches::Warm,
            machine: Machine {
                cpu: "A <test> CPU".into(),
                cores: 2,
                os: "linux".into(),
                isa: "avx512".into(),
                ceilings: vec![Ceilings { threads: 1, peak_gflops: 250.0, levels }],
            },
            peers: vec![
                PeerInfo { name: BASELINE.into(), version: "0.3".into() },
                PeerInfo { name: "faer".into(), version: "0.24".into() },
            ],
            rows: vec![
                row(Shape::new(32, 784, 100), Pass::Forward, 25_000.0, 1.25),
                row(Shape::new(32, 784, 100), Pass::Backward, 50_000.0, 0.9),
                row(Shape::new(1, 784, 30), Pass::Forward, 1_000.0, 0.8),
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
        let summary = sample().summary(Pass::Forward, 1).unwrap();
        assert!((summary.mean - 1.0).abs() < 1e-12);
        assert_eq!(summary.worst.shape, Shape::new(1, 784, 30));
        assert_eq!((summary.won, summary.rows), (1, 2));
        assert!(sample().summary(Pass::Forward, 2).is_none());
    }

    #[test]
    fn a_run_survives_its_file() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), sample());
    }

    #[test]
    fn shares_of_peak_and_roofline() {
        let run = sample();
        let ceilings = run.ceilings(1).unwrap();
        let row = &run.rows[0];
        let flops = 2.0 * 32.0 * 784.0 * 100.0;
        assert!((row.of_peak(ceilings) - flops / 25_000.0 / 250.0).abs() < 1e-12);
        assert!(row.of_roofline(ceilings) >= row.of_peak(ceilings));
    }
}
