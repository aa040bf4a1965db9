//! The whole backward pass on one thread: `dz`, `db`, `dw`, with and without `dA_prev`.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fused_dense::{Activation, Dense, Gradients, Upstream};
use std::hint::black_box;
use support::{SHAPES, flops, name, values};

fn backward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backward");
    for shape in SHAPES {
        let (batch, inputs, outputs) = shape;
        let (x, w) = (values(batch * inputs), values(outputs * inputs));
        let (a, d_a) = (vec![0.25; batch * outputs], values(batch * outputs));
        let (mut d_w, mut d_b, mut d_x) = (w.clone(), vec![0.0; outputs], x.clone());
        let mut layer = Dense::new(inputs, outputs, Activation::Sigmoid);
        let scale = 1.0 / batch as f32;

        group.throughput(Throughput::Elements(2 * flops(shape)));
        group.bench_function(BenchmarkId::new("hidden layer", name(shape)), |bencher| {
            bencher.iter(|| {
                let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_x).scale(scale);
                let upstream = Upstream::Activation(black_box(&d_a));
                layer.backward(black_box(&x), black_box(&w), &a, upstream, gradients).expect("fitting operands");
            });
        });
        group.throughput(Throughput::Elements(flops(shape)));
        group.bench_function(BenchmarkId::new("first layer", name(shape)), |bencher| {
            bencher.iter(|| {
                let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).scale(scale);
                let upstream = Upstream::Activation(black_box(&d_a));
                layer.backward(black_box(&x), black_box(&w), &a, upstream, gradients).expect("fitting operands");
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = backward }
criterion_main!(benches);
