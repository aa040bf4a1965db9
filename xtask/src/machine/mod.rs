//! What the machine can do, measured in the run that it is compared with.

mod bandwidth;
mod caches;
mod peak;

use fused_dense::Isa;
use serde::{Deserialize, Serialize};
use std::sync::Barrier;

/// The machine, and its ceilings for each number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub os: String,
    /// Instruction set that our kernels and the measured peak use.
    pub isa: String,
    pub ceilings: Vec<Ceilings>,
}

/// What a number of threads can reach.
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
    fn a_measured_machine_is_plausible() {
        let isa = Isa::available()[0];
        let peak = peak::gflops(isa);
        assert!((0.1..10_000.0).contains(&peak), "{peak} GFLOP/s");
        let bandwidth = bandwidth::gbytes_per_second(isa, 16 << 10);
        assert!((0.1..10_000.0).contains(&bandwidth), "{bandwidth} GB/s");
    }
}
