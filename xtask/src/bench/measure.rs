//! Paired timing: ours, the peer, the peer, ours (A B B A), so that a slow drift of the machine cancels.

use super::buffer::Buffer;
use super::statistics::Spread;
use crate::peers::Routine;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Time for one pair of contenders.
    pub per_pair: Duration,
    /// Rounds that even the slowest pair gets.
    pub min_rounds: usize,
    /// Rounds after which a pair's median is settled.
    pub max_rounds: usize,
    pub caches: Caches,
}

/// What the caches hold when a timed stretch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Caches {
    /// The operands, as far as they fit: the same call ran just before
    Warm,
    /// Nothing of use: other memory was written before each call
    Cold,
}

/// Elements that are written to make caches cold: more than any last level holds for one core.
const FLUSHED: usize = 16 << 20;

/// Shortest timed stretch: a thousand times what reading the clock takes. Faster calls are repeated within it.
const MIN_SAMPLE: Duration = Duration::from_micros(50);

/// Calls that run longer than this find the caches as their own last part left them, whoever ran before.
const WARM_UP_MAX: Duration = Duration::from_millis(2);

/// Pause before a sample with several threads: the other library's workers stop spinning, so that they take no time
/// from those that are measured.
const SETTLE: Duration = Duration::from_millis(3);

/// A routine with what its timing needs to know.
pub struct Timed<'a> {
    routine: Box<dyn Routine + 'a>,
    /// Calls in one sample.
    calls: u32,
    settle: Duration,
    /// Written before each sample, for cold caches.
    flushed: Option<Buffer>,
}

impl<'a> Timed<'a> {
    /// Finds how many calls make a sample: one where caches are to be cold.
    pub fn calibrate(mut routine: Box<dyn Routine + 'a>, threads: usize, caches: Caches) -> Self {
        let flushed = (caches == Caches::Cold).then(|| Buffer::filled(0.0, FLUSHED));
        let mut calls = 1;
        while flushed.is_none() {
            // The better of two, in case something else ran in between.
            let elapsed = time(&mut *routine, calls).min(time(&mut *routine, calls));
            if elapsed >= MIN_SAMPLE {
                break;
            }
            // Cold caches make the first calls look slower than they are; growing step by step sees to that.
            calls = (calls * 2).max((MIN_SAMPLE.as_nanos() / elapsed.as_nanos().max(50)) as u32).min(calls * 8);
        }
        let settle = if threads == 1 { Duration::ZERO } else { SETTLE };
        Self { routine, calls, settle, flushed }
    }

    /// Nanoseconds of one call.
    fn sample(&mut self) -> f64 {
        if !self.settle.is_zero() {
            std::thread::sleep(self.settle);
            // Wakes the workers up again.
            time(&mut *self.routine, self.calls);
        }
        if let Some(flushed) = &mut self.flushed {
            flushed.iter_mut().for_each(|value| *value += 1.0);
            black_box(&mut **flushed);
            return time(&mut *self.routine, 1).as_nanos() as f64;
        }
        let warm_up = time(&mut *self.routine, 1);
        if self.calls == 1 && warm_up > WARM_UP_MAX {
            return warm_up.as_nanos() as f64;
        }
        time(&mut *self.routine, self.calls).as_nanos() as f64 / f64::from(self.calls)
    }
}

fn time(routine: &mut dyn Routine, calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        routine.run();
    }
    start.elapsed()
}

/// What a pair's rounds measured.
pub struct Paired {
    /// Nanoseconds of our calls.
    pub ours: Vec<f64>,
    /// Nanoseconds of the peer's calls.
    pub peer: Vec<f64>,
    /// Peer's time by ours, round by round.
    pub ratio: Spread,
}

/// Measures one pair.
pub fn paired(ours: &mut Timed<'_>, peer: &mut Timed<'_>, effort: &Effort) -> Paired {
    let start = Instant::now();
    let (mut our_times, mut peer_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    while ratios.len() < effort.min_rounds || (start.elapsed() < effort.per_pair && ratios.len() < effort.max_rounds) {
        let round = [ours.sample(), peer.sample(), peer.sample(), ours.sample()];
        our_times.extend([round[0], round[3]]);
        peer_times.extend([round[1], round[2]]);
        ratios.push((round[1] + round[2]) / (round[0] + round[3]));
    }
    Paired { ours: our_times, peer: peer_times, ratio: Spread::of(&ratios) }
}

/// Nanoseconds of our calls where there is nobody to compare with.
pub fn alone(ours: &mut Timed<'_>, effort: &Effort) -> Vec<f64> {
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < effort.min_rounds || (start.elapsed() < effort.per_pair && times.len() < effort.max_rounds) {
        times.push(ours.sample());
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload::Quantity;

    struct Spin(Duration);

    impl Routine for Spin {
        fn run(&mut self) {
            let start = Instant::now();
            while start.elapsed() < self.0 {}
        }

        fn results(&self) -> anyhow::Result<Vec<Quantity>> {
            Ok(Vec::new())
        }
    }

    fn spin(micros: u64) -> Timed<'static> {
        Timed::calibrate(Box::new(Spin(Duration::from_micros(micros))), 1, Caches::Warm)
    }

    #[test]
    fn short_calls_are_batched_and_long_ones_are_not() {
        assert!(spin(1).calls >= 25);
        assert_eq!(spin(200).calls, 1);
    }

    #[test]
    fn cold_calls_are_timed_one_by_one() {
        let mut timed = Timed::calibrate(Box::new(Spin(Duration::from_micros(1))), 1, Caches::Cold);
        assert_eq!(timed.calls, 1);
        assert!(timed.sample() >= 1e3);
    }

    #[test]
    fn the_ratio_is_the_peers_time_by_ours() {
        let effort = Effort { per_pair: Duration::from_millis(5), min_rounds: 5, max_rounds: 50, caches: Caches::Warm };
        let found = paired(&mut spin(20), &mut spin(60), &effort);
        assert!((2.0..4.5).contains(&found.ratio.median), "{:?}", found.ratio);
        assert_eq!(found.ours.len(), found.peer.len());
    }
}
