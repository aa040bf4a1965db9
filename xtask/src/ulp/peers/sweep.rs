//! The sweep over both signs of every `step`-th magnitude.

use super::super::subject::{Oracle, Subject};
use super::super::tally::Tally;
use super::Peer;
use fused_dense::Activation;
use indicatif::ProgressBar;
use rayon::prelude::*;
use std::ops::RangeInclusive;

/// The bit patterns of magnitudes end before this one.
pub const END: u32 = 1 << 31;

/// Arguments of one call: enough that passing them to another process counts little.
const BLOCK: u32 = 1 << 20;
/// Arguments that one thread tallies at a time.
const CHUNK: usize = 1 << 12;

/// The sweep's findings on one function.
pub struct Row {
    pub library: String,
    pub version: String,
    pub function: Activation,
    pub step: u32,
    pub counts: Counts,
}

/// Normal values from here on are so far from subnormal ones that no intermediate result need be one.
const AMPLE: f64 = 1.0 / (1_u128 << 120) as f64;

/// Tallies by what the true value is.
#[derive(Default)]
pub struct Counts {
    pub ample: Tally,
    /// Normal, but below the ample ones.
    pub least_normal: Tally,
    pub subnormal: Tally,
    /// Below half the least subnormal.
    pub zero: Tally,
    /// Subnormal results that are off by more than 1 ULP, and those of them that are 0.
    pub wrong_subnormals: u64,
    pub flushed: u64,
    /// Numbers for NaN.
    pub lost_nan: u64,
    /// Results outside the function's range.
    pub out_of_range: u64,
}

impl Counts {
    fn add(&mut self, x: f32, result: f32, exact: f64, range: &RangeInclusive<f32>) {
        if x.is_nan() {
            self.lost_nan += u64::from(!result.is_nan());
            return;
        }
        self.out_of_range += u64::from(!result.is_nan() && !range.contains(&result));
        if exact.abs() >= AMPLE {
            self.ample.add(x, result, exact, 0.0);
            return;
        }
        if exact.abs() >= f64::from(f32::MIN_POSITIVE) {
            self.least_normal.add(x, result, exact, 0.0);
            return;
        }
        let least = f64::from(f32::from_bits(1));
        if exact.abs() < least / 2.0 {
            self.zero.add(x, result, exact, 0.0);
            return;
        }
        self.subnormal.add(x, result, exact, 0.0);
        if (f64::from(result) - exact).abs() > least {
            self.wrong_subnormals += 1;
            self.flushed += u64::from(result == 0.0);
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.ample.merge(&other.ample);
        self.least_normal.merge(&other.least_normal);
        self.subnormal.merge(&other.subnormal);
        self.zero.merge(&other.zero);
        self.wrong_subnormals += other.wrong_subnormals;
        self.flushed += other.flushed;
        self.lost_nan += other.lost_nan;
        self.out_of_range += other.out_of_range;
        self
    }

    /// All tallies.
    pub fn tallies(&self) -> [&Tally; 4] {
        [&self.ample, &self.least_normal, &self.subnormal, &self.zero]
    }
}

/// Sweeps all peers.
///
/// # Errors
/// Where one of them fails.
pub fn sweep(peers: &mut [Box<dyn Peer>], step: u32, progress: &ProgressBar) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = peers.iter().flat_map(|peer| rows_of(&**peer, step)).collect();
    if rows.is_empty() {
        return Ok(rows);
    }
    let (mut x, mut results) = (Vec::new(), Vec::new());
    for start in (0..END).step_by((BLOCK * step) as usize) {
        let end = END.min(start.saturating_add(BLOCK * step));
        let magnitudes: Vec<u32> = (start..end).step_by(step as usize).collect();
        let oracles: Vec<Oracle> = magnitudes.par_iter().map(|&bits| Oracle::new(f32::from_bits(bits))).collect();
        results.resize(magnitudes.len(), f32::NAN);
        for negative in [false, true] {
            x.clear();
            x.extend(magnitudes.iter().map(|bits| f32::from_bits(bits | u32::from(negative) << 31)));
            let mut rows = rows.iter_mut();
            for peer in &mut *peers {
                for (function, row) in peer.functions().to_vec().into_iter().zip(&mut rows) {
                    peer.run(function, &x, &mut results)?;
                    let counts = std::mem::take(&mut row.counts);
                    row.counts = counts.merge(count(function, negative, &x, &results, &oracles));
                }
            }
        }
        progress.inc(u64::from(end - start));
    }
    Ok(rows)
}

fn rows_of(peer: &dyn Peer, step: u32) -> Vec<Row> {
    let row = |&function: &Activation| Row {
        library: peer.library().into(),
        version: peer.version().into(),
        function,
        step,
        counts: Counts::default(),
    };
    peer.functions().iter().map(row).collect()
}

fn count(function: Activation, negative: bool, x: &[f32], results: &[f32], oracles: &[Oracle]) -> Counts {
    let range = if function == Activation::Tanh { -1.0..=1.0 } else { 0.0..=1.0 };
    let chunks = x.par_chunks(CHUNK).zip(results.par_chunks(CHUNK)).zip(oracles.par_chunks(CHUNK));
    let count_chunk = |mut counts: Counts, ((x, results), oracles): ((&[f32], &[f32]), &[Oracle])| {
        for ((&x, &result), &oracle) in x.iter().zip(results).zip(oracles) {
            counts.add(x, result, Subject::Value(function).exact(oracle, negative), &range);
        }
        counts
    };
    chunks.fold(Counts::default, count_chunk).reduce(Counts::default, Counts::merge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_by_what_they_should_be() {
        let (mut counts, range) = (Counts::default(), 0.0..=1.0);
        counts.add(0.0, 0.5, 0.5, &range);
        counts.add(20.0, 1.0 + f32::EPSILON, 1.0, &range);
        counts.add(-87.0, 0.0, 1.6e-38, &range);
        counts.add(-90.0, 0.0, 8.2e-40, &range);
        counts.add(-200.0, 0.0, 1.4e-87, &range);
        counts.add(f32::NAN, 0.5, f64::NAN, &range);
        assert_eq!(counts.tallies().map(|tally| tally.count), [2, 1, 1, 1]);
        assert_eq!((counts.wrong_subnormals, counts.flushed), (1, 1));
        assert_eq!((counts.out_of_range, counts.lost_nan), (1, 1));
        assert_eq!(counts.merge(Counts::default()).ample.worst[0], (1.0, 20.0));
    }
}
