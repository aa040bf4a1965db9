//! Shared by the examples: how they end, random numbers that are the same on every run, data sets, and a picture.
#![allow(dead_code)] // no example uses all of it

pub(crate) mod mnist;
pub(crate) mod picture;
pub(crate) mod small;

use fused_dense::Error;
use std::process::ExitCode;

/// Ends a program. An error says in its own words what is wrong; returned from `main`, it would show its fields instead.
pub(crate) fn end(result: Result<ExitCode, Error>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a few lines, and good enough to shuffle and to initialise.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Fills with values spread evenly over `-limit..limit`.
    pub(crate) fn fill_uniform(&mut self, values: &mut [f32], limit: f32) {
        for value in values {
            let unit = (self.next() >> 40) as f32 / (1 << 24) as f32;
            *value = limit * (2.0 * unit - 1.0);
        }
    }

    /// Initial weights of a layer: variance `1/inputs`, so that `z` starts near the size of one input, where neither
    /// sigmoid nor tanh is saturated.
    pub(crate) fn fill_weights(&mut self, w: &mut [f32], inputs: usize) {
        self.fill_uniform(w, (3.0 / inputs as f32).sqrt());
    }

    /// Puts the items in random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}
