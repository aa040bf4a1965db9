//! The same bits on every number of threads, and one layer shared by several callers.

mod support;

use fused_dense::{Activation, Dense, Gradients, Isa, Outputs, Summation, Threads, Upstream, Workspace};
use support::compare::assert_bits;
use support::isas::{self, SUMMATIONS};
use support::options::{BackwardOptions, ForwardOptions, Want};
use support::problem::{Problem, Results};
use support::stored::Placement;

/// Fewer and more threads than the machine has.
const POOLS: [usize; 6] = [1, 2, 3, 5, 8, 16];

/// `(batch, inputs, outputs)`: too small to share, wide, tall, deep, and wide enough for `dz` itself to be shared.
const SHAPES: [(usize, usize, usize); 6] =
    [(3, 5, 7), (64, 300, 333), (1030, 70, 40), (17, 1200, 130), (1, 2100, 1050), (257, 2, 8200)];

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool")
}

fn both_passes(problem: &Problem) -> [Results; 2] {
    let add = BackwardOptions { w: Want::Add, b: Want::Add, ..BackwardOptions::PLAIN };
    let forward = ForwardOptions { bias: true, keep_z: true };
    [problem.forward(&forward, &Placement::PLAIN), problem.backward(&add, &Placement::PLAIN)]
}

#[test]
fn bits_do_not_depend_on_threads() {
    let pools = POOLS.map(pool);
    for isa in isas::all() {
        for (summation, (batch, inputs, outputs)) in
            SUMMATIONS[1..].iter().flat_map(|s| SHAPES.map(|shape| (*s, shape)))
        {
            let serial = Problem::new(isas::layer(isa, summation, inputs, outputs, Activation::Sigmoid), batch);
            let expected = both_passes(&serial);
            let mut shared = serial.clone();
            shared.layer = shared.layer.with_threads(Threads::CurrentPool { max: 16 });
            for pool in &pools {
                let found = pool.install(|| both_passes(&shared));
                for (found, expected) in found.iter().zip(&expected) {
                    shared.assert_equal(found, expected, &format_args!("{} threads", pool.current_num_threads()));
                }
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_limit() {
    let (batch, inputs, outputs) = SHAPES[1];
    let mut problem = Problem::new(Dense::new(inputs, outputs, Activation::Sigmoid), batch);
    let expected = both_passes(&problem);
    let pool = pool(5);
    for max in 0..=6 {
        problem.layer = problem.layer.with_threads(Threads::CurrentPool { max });
        let found = pool.install(|| both_passes(&problem));
        for (found, expected) in found.iter().zip(&expected) {
            problem.assert_equal(found, expected, &format_args!("at most {max} of 5 threads"));
        }
    }
}

/// The shapes above are shared out where they are meant to be, up to the pool's size and the caller's limit.
#[test]
fn large_shapes_are_shared_and_small_ones_are_not() {
    let workers = |threads: usize, max: usize, (batch, inputs, outputs): (usize, usize, usize)| {
        let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_threads(Threads::CurrentPool { max });
        let plan = pool(threads).install(|| layer.describe(batch)).expect("a plan");
        [plan.forward.workers, plan.d_w.workers, plan.d_a_prev.workers]
    };
    for threads in POOLS {
        assert_eq!(workers(threads, 8, SHAPES[0]), [1; 3], "{threads} threads");
        for shape in &SHAPES[1..] {
            let found = workers(threads, 8, *shape);
            assert!(found.iter().all(|&w| (threads.min(2)..=threads.min(8)).contains(&w)), "{shape:?}: {found:?}");
        }
        assert_eq!(workers(threads, 1, SHAPES[1]), [1; 3], "at most one of {threads} threads");
        assert_eq!(workers(threads, 0, SHAPES[1]), [1; 3], "a limit of none still leaves the caller");
    }
}

#[test]
fn a_serial_layer_stays_on_its_thread() {
    let plan = pool(8).install(|| Dense::new(500, 500, Activation::Tanh).describe(500)).expect("a plan");
    assert_eq!([plan.forward.workers, plan.d_w.workers, plan.d_a_prev.workers], [1; 3]);
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
fn calls_nest_in_a_busy_pool() {
    let problem = {
        let layer = isas::layer(Isa::available()[0], Summation::Auto, 300, 333, Activation::Sigmoid);
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
