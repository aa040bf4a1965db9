//! The same bits on every number of threads, and one layer shared by several callers.

#![cfg(not(miri))]

mod support;

use fused_dense::{Activation, Dense, Description, Gradients, Outputs, Summation, Team, Threads, Upstream, Workspace};
#[cfg(feature = "rayon")]
use std::sync::Arc;
use support::compare::assert_bits;
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, ForwardOptions, Want};
use support::problem::{Problem, Results};
use support::stored::Placement;

/// Fewer and more threads than the machine has.
const SIZES: [usize; 4] = [1, 2, 5, 16];

/// `(batch, inputs, outputs)`: not worth sharing with anybody.
const TINY: (usize, usize, usize) = (3, 5, 7);

/// Worth sharing with a team: wide, tall, deep, one sample, several slabs, and so wide that `dz` itself is shared.
const SMALL: [(usize, usize, usize); 6] =
    [(40, 90, 133), (700, 20, 24), (17, 400, 30), (1, 600, 310), (1030, 35, 20), (257, 2, 900)];

/// Worth sharing with a rayon pool.
#[cfg(feature = "rayon")]
const LARGE: [(usize, usize, usize); 3] = [(64, 300, 333), (1030, 130, 70), (17, 1200, 530)];

#[cfg(feature = "rayon")]
fn pool(threads: usize) -> Arc<rayon::ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool"))
}

fn both_passes(problem: &Problem) -> [Results; 2] {
    let add = BackwardOptions { w: Want::Add, b: Want::Add, ..BackwardOptions::PLAIN };
    let forward = ForwardOptions { bias: true, keep_z: true };
    [problem.forward(&forward, &Placement::PLAIN), problem.backward(&add, &Placement::PLAIN)]
}

/// Compares shared calls with serial ones on every instruction set and in both orders; `share` runs a problem in ways
/// of its own.
fn check_bits(shapes: &[(usize, usize, usize)], share: impl Fn(&Problem, &(dyn Fn(&Problem, &str) + Sync))) {
    for isa in isas::all() {
        for summation in &SUMMATIONS[1..] {
            for &(batch, inputs, outputs) in shapes {
                let layer = isas::layer(isa, *summation, inputs, outputs, Activation::Sigmoid);
                let serial = Problem::new(layer, batch);
                let expected = both_passes(&serial);
                share(&serial, &|shared, how| {
                    for shared in [shared.clone(), shared.with_packed_weights()] {
                        for (found, expected) in both_passes(&shared).iter().zip(&expected) {
                            shared.assert_equal(found, expected, &how);
                        }
                    }
                });
            }
        }
    }
}

fn with_threads(problem: &Problem, threads: impl Into<Threads>) -> Problem {
    Problem { layer: problem.layer.clone().with_threads(threads), ..problem.clone() }
}

#[test]
fn bits_do_not_depend_on_a_team() {
    let teams = [1, 2, 3, 4, 5, 6, 7, 8, 11, 16].map(Team::new);
    let shapes: Vec<_> = SMALL.into_iter().chain([TINY]).collect();
    check_bits(&shapes, |serial, check| {
        for team in &teams {
            check(&with_threads(serial, team), &format!("{team:?}"));
        }
    });
}

#[test]
#[cfg(feature = "rayon")]
fn bits_do_not_depend_on_a_pool() {
    let pools = SIZES.map(pool);
    let shapes: Vec<_> = LARGE.into_iter().chain([TINY]).collect();
    check_bits(&shapes, |serial, check| {
        let inside = with_threads(serial, Threads::CurrentPool { max: 16 });
        for pool in &pools {
            let threads = pool.current_num_threads();
            pool.install(|| check(&inside, &format!("inside of a pool of {threads}")));
            let outside = with_threads(serial, Arc::clone(pool));
            check(&outside, &format!("outside of a pool of {threads}"));
            pool.install(|| check(&outside, &format!("inside of the given pool of {threads}")));
        }
    });
}

#[test]
#[cfg(feature = "rayon")]
fn bits_do_not_depend_on_the_limit() {
    let (batch, inputs, outputs) = LARGE[0];
    let serial = Problem::new(Dense::new(inputs, outputs, Activation::Sigmoid), batch);
    let expected = both_passes(&serial);
    let pool = pool(5);
    for max in 0..=6 {
        let shared = with_threads(&serial, Threads::CurrentPool { max });
        let found = pool.install(|| both_passes(&shared));
        for (found, expected) in found.iter().zip(&expected) {
            shared.assert_equal(found, expected, &format_args!("at most {max} of 5 threads"));
        }
    }
}

/// Callers with layers of their own share a team, which has one job at a time.
#[test]
fn callers_share_a_team() {
    let team = Team::new(3);
    let problems = SMALL.map(|(batch, inputs, outputs)| {
        Problem::new(Dense::new(inputs, outputs, Activation::Tanh).with_threads(&team), batch)
    });
    std::thread::scope(|scope| {
        for problem in &problems {
            scope.spawn(move || {
                let expected = both_passes(&with_threads(problem, Threads::Serial));
                for round in 0..10 {
                    for (found, expected) in both_passes(problem).iter().zip(&expected) {
                        problem.assert_equal(found, expected, &format_args!("round {round}"));
                    }
                }
            });
        }
    });
}

fn workers(plan: &Description) -> [usize; 3] {
    [plan.forward.workers, plan.d_w.workers, plan.d_a_prev.workers]
}

fn describe(threads: &Threads, (batch, inputs, outputs): (usize, usize, usize)) -> Description {
    let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_threads(threads.clone());
    layer.describe(batch).expect("a plan")
}

/// These shapes are shared out to at most so many, and a tiny one to nobody.
fn check_shared(kind: &Threads, threads: usize, shapes: &[(usize, usize, usize)]) {
    let tiny = describe(kind, TINY);
    assert_eq!((workers(&tiny), tiny.threads), ([1; 3], threads), "{tiny}");
    for shape in shapes {
        let plan = describe(kind, *shape);
        let range = threads.min(2)..=threads;
        assert!(workers(&plan).iter().all(|count| range.contains(count)), "{shape:?}: {plan}");
    }
}

#[test]
fn a_team_shares_what_is_worth_it() {
    for threads in SIZES {
        check_shared(&Team::new(threads).into(), threads, &SMALL);
    }
}

#[test]
#[cfg(feature = "rayon")]
fn a_pool_shares_what_is_worth_it_up_to_the_limit() {
    for threads in SIZES {
        check_shared(&pool(threads).into(), threads, &LARGE);
        let pool = pool(threads);
        for max in 0..5 {
            let plan = pool.install(|| describe(&Threads::CurrentPool { max }, LARGE[0]));
            let most = threads.min(max).max(1);
            assert!(plan.threads == most && workers(&plan).iter().all(|count| *count <= most), "at most {max}: {plan}");
        }
    }
}

#[test]
#[cfg(feature = "rayon")]
fn a_serial_layer_stays_on_its_thread() {
    let plan = pool(8).install(|| Dense::new(500, 500, Activation::Tanh).describe(500)).expect("a plan");
    assert_eq!((workers(&plan), plan.threads, plan.threads_source), ([1; 3], 1, "serial"));
    let outside = Dense::new(500, 500, Activation::Tanh).with_threads(Threads::CurrentPool { max: 8 });
    let plan = outside.describe(500).expect("a plan");
    assert_eq!((workers(&plan), plan.threads_source), ([1; 3], "outside of any rayon pool"));
}

/// Callers on threads of their own share one layer, each with its own workspace.
#[test]
fn callers_share_a_layer() {
    let (batch, inputs, outputs) = (33, 65, 40);
    for isa in isas::all() {
        let problem = Problem::new(isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Sigmoid), batch);
        let [expected_forward, expected_backward] = both_passes(&problem);
        let Problem { layer, a_prev, w, b, d_a, .. } = &problem;
        let saved = &problem.activated(&problem.z);
        let (a, z) = (&expected_forward[0].1, &expected_forward[1].1);
        let d_a_prev = &expected_backward[2].1;
        std::thread::scope(|scope| {
            for caller in 0..5 {
                scope.spawn(move || {
                    let mut workspace = Workspace::new(layer.workspace_len().expect("a size"));
                    for _ in 0..20 {
                        let (mut own_a, mut own_z) = (vec![0.0; a.len()], vec![0.0; z.len()]);
                        let outputs = Outputs::new(&mut own_a).z(&mut own_z);
                        layer.forward_in(&mut workspace, a_prev, w, b, outputs).expect("a valid call");
                        assert_bits(format_args!("caller {caller}: a"), &own_a, a);
                        assert_bits(format_args!("caller {caller}: z"), &own_z, z);
                        let mut own_d = vec![0.0; d_a_prev.len()];
                        let gradients = Gradients::new().a_prev(&mut own_d);
                        let upstream = Upstream::Activation(d_a);
                        layer.backward_in(&mut workspace, a_prev, w, saved, upstream, gradients).expect("a valid call");
                        assert_bits(format_args!("caller {caller}: d_a_prev"), &own_d, d_a_prev);
                    }
                });
            }
        });
    }
}

/// A call from inside a task of the pool, next to others, does not wait for a worker that waits for it.
#[test]
#[cfg(feature = "rayon")]
fn calls_nest_in_a_busy_pool() {
    let problem = {
        let layer = isas::layer(fused_dense::Isa::available()[0], Summation::Auto, 300, 333, Activation::Sigmoid);
        Problem::new(layer.with_threads(Threads::CurrentPool { max: 4 }), 64)
    };
    let expected = both_passes(&problem);
    let Problem { layer, a_prev, w, b, .. } = &problem;
    pool(3).scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|_| {
                let mut workspace = Workspace::new(layer.workspace_len().expect("a size"));
                let mut a = vec![0.0; 64 * 333];
                layer.forward_in(&mut workspace, a_prev, w, b, &mut a).expect("a valid call");
                assert_bits("a", &a, &expected[0][0].1);
            });
        }
    });
}
