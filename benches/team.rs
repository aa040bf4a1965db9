//! The cost of handing a job to a team and having it back: from the call until both threads have begun their parts and
//! the caller knows that both are done, with a pause between the calls.

mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fused_dense::Team;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn fork_join(criterion: &mut Criterion) {
    let team = Team::new(2);
    let threads = team.threads();
    let mut group = criterion.benchmark_group("fork-join of two");
    for pause in [0, 10, 50].map(Duration::from_micros) {
        group.bench_function(BenchmarkId::new("pause", format!("{pause:?}")), |bencher| {
            bencher.iter_custom(|calls| {
                let mut total = Duration::ZERO;
                for _ in 0..calls {
                    let since = Instant::now();
                    while since.elapsed() < pause {
                        spin_loop();
                    }
                    let arrived = AtomicUsize::new(0);
                    let start = Instant::now();
                    team.for_each(threads, |_| {
                        // Nobody goes on alone: a job that one thread does by itself costs next to nothing.
                        arrived.fetch_add(1, Ordering::Relaxed);
                        while arrived.load(Ordering::Relaxed) < threads {
                            spin_loop();
                        }
                    });
                    total += start.elapsed();
                }
                total
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = fork_join }
criterion_main!(benches);
