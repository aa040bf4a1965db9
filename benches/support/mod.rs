//! Shared by the benches: shapes, data, and how long to measure.
#![allow(dead_code)] // no bench uses all of it

use criterion::Criterion;
use std::time::Duration;

/// `(batch, inputs, outputs)`: from a layer whose call overhead counts to one that fills the second-level cache.
pub(crate) const SHAPES: [(usize, usize, usize); 8] = [
    (1, 784, 30),
    (1, 1024, 1024),
    (10, 784, 30),
    (10, 30, 10),
    (128, 512, 512),
    (256, 13, 512),
    (256, 256, 1),
    (256, 1024, 1024),
];

/// A shape as the field writes it.
pub(crate) fn name((batch, inputs, outputs): (usize, usize, usize)) -> String {
    format!("{batch}×{inputs}→{outputs}")
}

/// Floating-point operations of one product of this shape.
pub(crate) fn flops((batch, inputs, outputs): (usize, usize, usize)) -> u64 {
    2 * (batch * inputs * outputs) as u64
}

/// `len` values in `-1..1`, the same on every run.
pub(crate) fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 1999) as f32 / 1000.0 - 1.0).collect()
}

/// A second for each benchmark: kernels of microseconds need no more.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args()
}
