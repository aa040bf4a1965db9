//! The forward pass on one thread, against the product that a Rust user would call today with the activation behind it.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fused_dense::{Activation, Dense};
use std::hint::black_box;
use support::{SHAPES, flops, name, values};

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    for shape in SHAPES {
        let (batch, inputs, outputs) = shape;
        let (x, w, b) = (values(batch * inputs), values(outputs * inputs), values(outputs));
        let mut a = vec![0.0; batch * outputs];
        group.throughput(Throughput::Elements(flops(shape)));

        let mut layer = Dense::new(inputs, outputs, Activation::Sigmoid);
        group.bench_function(BenchmarkId::new("fused", name(shape)), |bencher| {
            bencher
                .iter(|| layer.forward(black_box(&x), black_box(&w), &b, black_box(&mut a)).expect("fitting operands"));
        });
        group.bench_function(BenchmarkId::new("matrixmultiply, std", name(shape)), |bencher| {
            bencher.iter(|| unfused(shape, black_box(&x), black_box(&w), &b, black_box(&mut a)));
        });
    }
    group.finish();
}

/// `a = σ(x·wᵀ + b)` in three passes.
fn unfused((m, k, n): (usize, usize, usize), x: &[f32], w: &[f32], b: &[f32], a: &mut [f32]) {
    for row in a.chunks_exact_mut(n) {
        row.copy_from_slice(b);
    }
    assert!(x.len() == m * k && w.len() == n * k && a.len() == m * n);
    let (rs, cs) = (k as isize, 1);
    // SAFETY: the operands have the sizes just checked, and wᵀ is w with its strides exchanged.
    unsafe {
        matrixmultiply::sgemm(m, k, n, 1.0, x.as_ptr(), rs, cs, w.as_ptr(), cs, rs, 1.0, a.as_mut_ptr(), n as isize, 1);
    }
    for a in a {
        *a = 1.0 / (1.0 + (-*a).exp());
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = forward }
criterion_main!(benches);
