//! The machine's limits, measured in the run that it is compared with.

pub mod affinity;
mod bandwidth;
mod caches;
pub mod interference;
pub mod microarchitecture;
mod peak;

use fused_dense::{Activation, Dense, Isa, Tuning};
use microarchitecture::Microarchitecture;
use serde::{Deserialize, Serialize};
use std::sync::Barrier;

/// The machine, and its ceilings for each number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    /// Not told by runs that were stored before it was asked for.
    #[serde(default)]
    pub microarchitecture: Microarchitecture,
    /// Of the whole machine, however many of them this program may use.
    pub cores: usize,
    pub os: String,
    /// Instruction set that our kernels and the measured peak use.
    pub isa: String,
    /// The tuning row that our kernels are planned by; none in runs as above.
    #[serde(default)]
    pub tuning: Option<TuningRow>,
    /// For each number of threads, before its rows were measured.
    pub before: Vec<Ceilings>,
    /// The same behind them.
    pub after: Vec<Ceilings>,
}

/// A row of the library's tuning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuningRow {
    pub name: String,
    /// Of a general row the KiB of the first and the second level that it was made for.
    pub general_for: Option<[usize; 2]>,
}

impl From<&Tuning> for TuningRow {
    fn from(row: &Tuning) -> Self {
        let general_for = row.caches().map(|caches| [caches.l1 >> 10, caches.l2 >> 10]);
        Self { name: row.name().to_string(), general_for }
    }
}

/// A figure of the machine's that was another one after the rows.
pub struct Drift {
    pub threads: usize,
    pub what: String,
    pub before: f64,
    pub after: f64,
}

/// Change from which a figure is said to have drifted.
const DRIFT: f64 = 0.1;

impl Machine {
    /// The machine as it is called, with nothing measured yet.
    pub fn named(isa: Isa) -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: cpu_name(),
            microarchitecture: Microarchitecture::of_this_machine(),
            cores: online_cores(),
            os: format!("{} {}", std::env::consts::OS, release.trim()).trim().into(),
            isa: isa.name().into(),
            tuning: Dense::new(1, 1, Activation::Identity).with_isa(isa).tuning().ok().map(TuningRow::from),
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The CPU's name with its microarchitecture's, where that is known: makers call CPUs of several alike.
    pub fn title(&self) -> String {
        match self.microarchitecture.name() {
            Some(name) => format!("{} ({name})", self.cpu),
            None => self.cpu.clone(),
        }
    }

    /// The best that was reached with so many threads, before the rows or behind them.
    pub fn ceilings(&self, threads: usize) -> Option<Ceilings> {
        let mut measured = self.before.iter().chain(&self.after).filter(|ceilings| ceilings.threads == threads);
        let first = measured.next()?.clone();
        Some(measured.fold(first, Ceilings::better))
    }

    /// The limits that changed by more than a tenth while the rows were measured: ratios stand, shares of the peak are doubtful.
    pub fn drift(&self) -> Vec<Drift> {
        let mut drift = Vec::new();
        for (before, after) in self.before.iter().zip(&self.after) {
            for ((what, before_value), (_, after_value)) in before.figures().into_iter().zip(after.figures()) {
                if (after_value / before_value - 1.0).abs() > DRIFT {
                    drift.push(Drift { threads: before.threads, what, before: before_value, after: after_value });
                }
            }
        }
        drift
    }
}

/// The limits of a number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    pub threads: usize,
    /// Fused multiply-adds in registers, counted as two operations each, in 10⁹ a second.
    pub peak_gflops: f64,
    /// Read bandwidth by level, nearest first.
    pub levels: Vec<Level>,
}

/// One level of the memory hierarchy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub name: String,
    /// Bytes that it holds for these threads; infinite memory is `None`.
    pub capacity: Option<f64>,
    /// 10⁹ bytes a second.
    pub gbytes_per_second: f64,
}

impl Ceilings {
    /// Measures the ceilings of `threads` threads at once.
    pub fn measure(isa: Isa, threads: usize) -> Self {
        let peak_gflops = together(threads, || peak::gflops(isa));
        let levels = caches::levels()
            .into_iter()
            .map(|cache| {
                let sharers = if cache.shared { threads } else { 1 };
                let gbytes_per_second = together(threads, || bandwidth::gbytes_per_second(isa, cache.probe / sharers));
                let capacity = cache.capacity.map(|bytes| (bytes / sharers * threads) as f64);
                Level { name: cache.name, capacity, gbytes_per_second }
            })
            .collect();
        Self { threads, peak_gflops, levels }
    }

    /// The better of each figure.
    fn better(mut self, other: &Self) -> Self {
        self.peak_gflops = self.peak_gflops.max(other.peak_gflops);
        for (level, other) in self.levels.iter_mut().zip(&other.levels) {
            level.gbytes_per_second = level.gbytes_per_second.max(other.gbytes_per_second);
        }
        self
    }

    /// Everything that was measured, with names and units.
    fn figures(&self) -> Vec<(String, f64)> {
        let levels = self.levels.iter().map(|level| (format!("GB/s of {}", level.name), level.gbytes_per_second));
        [("GFLOP/s of multiply-adds".to_string(), self.peak_gflops)].into_iter().chain(levels).collect()
    }

    /// The nearest level that holds a working set.
    pub fn level_of(&self, bytes: f64) -> &Level {
        let holds = |level: &&Level| level.capacity.is_none_or(|capacity| bytes <= capacity);
        self.levels.iter().find(holds).unwrap_or(&self.levels[self.levels.len() - 1])
    }

    /// Nanoseconds below which no program for this work can get: what the arithmetic takes, or the memory traffic.
    pub fn bound_ns(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.peak_gflops).max(bytes / self.level_of(bytes).gbytes_per_second)
    }
}

/// Sum of what `threads` threads measure at the same time.
fn together(threads: usize, measure: impl Fn() -> f64 + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let measured = || {
            barrier.wait();
            measure()
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(measured)).collect();
        let own = measured();
        own + others.into_iter().map(|other| other.join().expect("a measurement does not panic")).sum::<f64>()
    })
}

/// The cores that the system runs on. How many this thread may use says nothing of them: the program gives cores up, and a
/// library that it loads may keep it to a single one.
#[cfg(target_os = "linux")]
fn online_cores() -> usize {
    // SAFETY: the call has no preconditions.
    let cores = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(cores).unwrap_or(0).max(1)
}

/// The cores that the program may use, where nothing else is told.
#[cfg(not(target_os = "linux"))]
fn online_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The CPU's name as the system gives it.
pub fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_string(), |(_, name)| name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings() -> Ceilings {
        let level = |name: &str, capacity, gbytes_per_second| Level { name: name.into(), capacity, gbytes_per_second };
        Ceilings {
            threads: 1,
            peak_gflops: 100.0,
            levels: vec![level("L1", Some(1e3), 400.0), level("L2", Some(1e6), 200.0), level("memory", None, 20.0)],
        }
    }

    #[test]
    fn the_bound_is_the_slower_of_arithmetic_and_traffic() {
        let ceilings = ceilings();
        assert_eq!(ceilings.bound_ns(1e6, 800.0), 1e4);
        assert_eq!(ceilings.bound_ns(10.0, 800.0), 2.0);
        assert_eq!(ceilings.bound_ns(10.0, 2e6), 1e5);
        assert_eq!(ceilings.level_of(1e3).name, "L1");
        assert_eq!(ceilings.level_of(1e7).name, "memory");
    }

    #[test]
    fn ceilings_are_the_better_of_before_and_after_and_drift_is_told() {
        let mut machine = Machine::named(Isa::available()[0]);
        let mut after = ceilings();
        after.peak_gflops = 80.0;
        after.levels[1].gbytes_per_second = 205.0;
        (machine.before, machine.after) = (vec![ceilings()], vec![after]);
        let best = machine.ceilings(1).unwrap();
        assert_eq!((best.peak_gflops, best.levels[1].gbytes_per_second), (100.0, 205.0));
        let drift = machine.drift();
        assert_eq!(drift.len(), 1);
        assert_eq!((drift[0].before, drift[0].after), (100.0, 80.0));
        assert!(machine.ceilings(2).is_none());
    }

    /// The cores that this thread is kept to.
    #[test]
    fn the_cores_are_the_machines() {
        std::thread::spawn(|| {
            let all = std::thread::available_parallelism().unwrap().get();
            affinity::use_cores(1);
            assert!(Machine::named(Isa::available()[0]).cores >= all);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_measured_machine_is_plausible() {
        let isa = Isa::available()[0];
        let peak = peak::gflops(isa);
        assert!((0.1..10_000.0).contains(&peak), "{peak} GFLOP/s");
        let bandwidth = bandwidth::gbytes_per_second(isa, 16 << 10);
        assert!((0.1..10_000.0).contains(&bandwidth), "{bandwidth} GB/s");
    }
}
