//! The activations on their own, against a loop over the standard library's functions.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fused_dense::{Activation, Saved};
use std::hint::black_box;
use support::values;

/// Elements: in the first-level cache, with input and output.
const LEN: usize = 2048;

fn activations(criterion: &mut Criterion) {
    let z: Vec<f32> = values(LEN).iter().map(|z| 8.0 * z).collect();
    let (d_a, mut a) = (values(LEN), vec![0.0; LEN]);

    let mut group = criterion.benchmark_group("activations");
    group.throughput(Throughput::Elements(LEN as u64));
    for &activation in Activation::all() {
        group.bench_function(BenchmarkId::new("forward", activation), |bencher| {
            bencher.iter(|| activation.forward(black_box(&z), black_box(&mut a)).expect("equal lengths"));
        });
        let mut d_z = vec![0.0; LEN];
        if !activation.needs_z() {
            group.bench_function(BenchmarkId::new("backward from a", activation), |bencher| {
                bencher.iter(|| activation.backward(black_box(&a), &d_a, black_box(&mut d_z)).expect("equal lengths"));
            });
        }
        group.bench_function(BenchmarkId::new("backward from z", activation), |bencher| {
            bencher.iter(|| {
                activation.backward(Saved::z(black_box(&z)), &d_a, black_box(&mut d_z)).expect("equal lengths")
            });
        });
    }

    let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
    for (name, function) in [("sigmoid", sigmoid as fn(f32) -> f32), ("tanh", f32::tanh)] {
        group.bench_function(BenchmarkId::new("forward by std", name), |bencher| {
            bencher.iter(|| {
                for (a, z) in black_box(&mut a).iter_mut().zip(black_box(&z)) {
                    *a = function(*z);
                }
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = activations }
criterion_main!(benches);
