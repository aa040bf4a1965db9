//! Small problems through every kind of call: few enough for Miri, which runs them a thousand times slower than a
//! machine and sees every access, the origin of every pointer, and every race. `cargo +nightly miri test` runs these, `errors`,
//! `ndarray` and a few of the `properties`; the other tests look at bits, clocks, processes or large shapes, for which
//! Miri has no eye or no time.

mod support;

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};
use fused_dense::{
    Activation, Bias, Cost, Dense, Gradients, Isa, MatrixView, MatrixViewMut, Network, Saved, Sgd, Team, Threads,
    Upstream, loss,
};
use support::isas;
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};

/// `(batch, inputs, outputs)`: one of everything, less than a vector, around one and two, nothing.
const SHAPES: [(usize, usize, usize); 8] =
    [(1, 1, 1), (2, 3, 5), (1, 17, 9), (7, 9, 17), (9, 8, 16), (0, 3, 2), (3, 0, 2), (2, 3, 0)];

/// Two blocks of each sum.
const LONG_SHAPES: [(usize, usize, usize); 3] = [(1, 2, 258), (1, 258, 2), (258, 2, 1)];

const LAYOUTS: [Layout; 3] = [Layout::Slice, Layout::Rows { step: 2, gap: 3 }, Layout::Columns { step: 1, gap: 1 }];

/// One problem of each shape, the long ones in plain slices, with instruction sets, orders and activations taking turns.
fn problems(layout: Layout) -> impl Iterator<Item = (usize, Problem)> {
    let isas = isas::all();
    let long = if layout == Layout::Slice { &LONG_SHAPES[..] } else { &[] };
    SHAPES.iter().chain(long).enumerate().map(move |(i, &(batch, inputs, outputs))| {
        let activation = Activation::all()[i % Activation::all().len()];
        let summation = isas::SUMMATIONS[i % isas::SUMMATIONS.len()];
        let layer = isas::layer(isas[i % isas.len()], summation, inputs, outputs, activation);
        (i, Problem::new(layer, batch))
    })
}

#[test]
fn both_passes_in_every_layout() {
    for (turn, layout) in LAYOUTS.into_iter().enumerate() {
        for (i, problem) in problems(layout) {
            let backward = BackwardOptions::nth(131 * (LAYOUTS.len() * i + turn));
            let problem = Problem { packed: (i + turn) % 2 == 1, ..problem };
            problem.check(&ForwardOptions::ALL[(i + turn) % 4], &backward, &Placement::views(&|_| layout));
        }
    }
}

#[test]
fn updates_in_every_layout() {
    // A third of them is as much as an interpreter does in a minute.
    let layouts = LAYOUTS.into_iter().enumerate().skip(if cfg!(miri) { 2 } else { 0 });
    for (turn, layout) in layouts {
        for (i, problem) in problems(layout) {
            let update = UpdateOptions::ALL[4 * (i + turn) % UpdateOptions::ALL.len()];
            let backward = BackwardOptions::nth(131 * (LAYOUTS.len() * i + turn));
            problem.check_update(&backward, &update, &Placement::views(&|_| layout));
        }
    }
}

#[test]
fn optimizers_alone() {
    let gradient = [-1.0, 0.5, 0.0, 2.0, 30.0, -0.125, 1.5, -0.25, 3.0, -4.0, 0.125];
    for isa in Isa::available() {
        for optimizer in UpdateOptions::ALL.map(|options| options.optimizer()).into_iter().skip(6) {
            for len in [0, 1, 7, 8, 9, 11] {
                let (mut w, mut first, mut second) = ([0.0; 11], [0.0; 11], [0.0; 11]);
                let state = &mut [&mut first[..len], &mut second[..len]][..optimizer.state_arrays()];
                optimizer.apply_with_isa(isa, 1, &mut w[..len], &gradient[..len], state).expect("a valid call");
                let descends = |(&w, &g): (&f32, &f32)| w * g < 0.0 || w == 0.0 && g == 0.0;
                assert!(w.iter().zip(&gradient).take(len).all(descends) && w[len..] == [0.0; 11][len..]);
            }
        }
    }
}

/// Strides that lead far away from memory, on axes along which nothing lies.
#[test]
fn nothing_behind_long_strides() {
    for isa in isas::all() {
        let mut layer = Dense::new(0, 2, Activation::Identity).with_isa(isa);
        let nothing = MatrixView::new(&[], 5, 0, 1000, 1).expect("a valid view");
        let mut a = [0.0; 10];
        layer.forward(nothing, &[], &[1.0, 2.0], &mut a).expect("a valid call");
        assert_eq!(a, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        let (mut d_b, upstream) = ([0.0; 2], Upstream::PreActivation(&a));
        layer.backward(nothing, &[], &a, upstream, Gradients::new().b(&mut d_b)).expect("a valid call");
        assert_eq!(d_b, [5.0, 10.0]);
    }
}

#[test]
fn uninitialised_outputs_are_written() {
    for isa in isas::all() {
        let mut layer = Dense::new(3, 9, Activation::Relu).with_isa(isa);
        let (x, w) = ([1.0; 6], [1.0; 27]);
        let mut memory = [const { MaybeUninit::uninit() }; 2 * 9];
        let a = MatrixViewMut::from_uninit(&mut memory, 2, 9, 1, 2).expect("a valid view");
        layer.forward(&x, &w, Bias::None, a).expect("a valid call");
        // SAFETY: the call returned `Ok`.
        let a = memory.map(|a| unsafe { a.assume_init() });
        assert_eq!(a, [3.0; 18]);

        let mut memory = [const { MaybeUninit::uninit() }; 27];
        let d_w = MatrixViewMut::from_uninit(&mut memory, 9, 3, 3, 1).expect("a valid view");
        layer.backward(&x, &w, &a, Upstream::Activation(&a), Gradients::new().w(d_w)).expect("a valid call");
        // SAFETY: the call returned `Ok`.
        assert_eq!(memory.map(|d_w| unsafe { d_w.assume_init() }), [6.0; 27]);
    }
}

#[test]
fn activations_alone() {
    let values = [-1.0, 0.0, 0.5, 2.0, 30.0, -30.0, 1.5, -0.25, 3.0, -4.0, 0.125];
    for isa in Isa::available() {
        for &activation in Activation::all() {
            for len in [0, 1, 7, 8, 9, 11] {
                let (z, mut a, mut d_z) = (&values[..len], [0.0; 11], [0.0; 11]);
                activation.forward_with_isa(isa, z, &mut a[..len]).expect("a valid call");
                let saved = if activation.needs_z() || len % 2 == 0 { Saved::z(z) } else { Saved::from(&a[..len]) };
                activation.backward_with_isa(isa, saved, z, &mut d_z[..len]).expect("a valid call");
                assert!(a[..len].iter().zip(z).all(|(&a, &z)| (a - activation.value(z)).abs() < 1e-5));
            }
        }
    }
}

#[test]
fn softmax_alone() {
    let values: Vec<f32> = (0..3 * 70).map(|i| (i % 11) as f32 - 5.0).collect();
    for isa in Isa::available() {
        for outputs in [1, 5, 8, 16, 17, 35, 70] {
            for batch in [0, 1, 3] {
                let z = &values[..batch * outputs];
                let (mut p, mut d_z) = (vec![0.0; z.len()], vec![0.0; z.len()]);
                loss::softmax_with_isa(isa, z, &mut p, outputs).expect("a valid call");
                loss::softmax_backward_with_isa(isa, &p, z, &mut d_z, outputs).expect("a valid call");
                for (p, d_z) in p.chunks_exact(outputs).zip(d_z.chunks_exact(outputs)) {
                    assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                    assert!(d_z.iter().sum::<f32>().abs() < 1e-5);
                }
            }
        }
    }
    let (z, labels, mut d_z) = (&values[..15], [4_u8, 0, 1], [0.0; 15]);
    loss::softmax_cross_entropy_gradient(z, &labels, &mut d_z, 5).expect("a valid call");
    assert!(loss::softmax_cross_entropy(z, &labels, 5).expect("a valid call") > 0.0 && d_z.iter().sum::<f32>() < 1e-5);
}

#[test]
fn a_network_learns_a_step() {
    for cost in [Cost::BinaryCrossEntropy, Cost::Quadratic] {
        let layers = [Dense::new(2, 9, Activation::Tanh), Dense::new(9, 1, Activation::Sigmoid)];
        let network = Network::of(layers).cost(cost).optimizer(Sgd::new(0.5)).max_batch(4);
        let mut network = network.build().expect("a chain");
        for layer in network.layers_mut() {
            layer.w_mut().iter_mut().enumerate().for_each(|(i, w)| *w = 0.1 * (i % 7) as f32 - 0.3);
        }
        let (x, y) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]);
        let costs = [0; 4].map(|_| network.step(&x, &y).expect("a valid call"));
        assert!(costs.is_sorted_by(|a, b| a > b), "{costs:?}");
        network.gradients(&x[..6], &y[..3]).expect("a valid call");
        assert_eq!(network.forward(&x[..4]).expect("a valid call").len(), 2);
    }
}

/// Jobs of a team, from two callers at once, that hand plain memory over and back.
#[test]
fn a_team_hands_memory_over() {
    let team = Team::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for parts in [0, 1, 2, 7, 20] {
                    let done: Vec<AtomicUsize> = (0..parts).map(AtomicUsize::new).collect();
                    team.for_each(parts, |part| {
                        // Relaxed: the team itself must bring what was written to the caller.
                        done[part].store(done[part].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    });
                    assert!(done.into_iter().enumerate().all(|(part, done)| done.into_inner() == part + 1));
                }
            });
        }
    });
    team.hold(|| team.for_each(4, |_| team.for_each(2, |_| ())));
}

/// Calls just large enough to be shared out; in a build that shares all work, small ones.
fn check_shared(threads: Threads) {
    let (batch, inputs, outputs) = if cfg!(fused_dense_force_sharing) { (5, 7, 18) } else { (33, 40, 70) };
    let problem = Problem::new(Dense::new(inputs, outputs, Activation::Sigmoid).with_threads(threads), batch);
    problem.check(&ForwardOptions::ALL[0], &BackwardOptions::PLAIN, &Placement::PLAIN);
    problem.check_update(&BackwardOptions::PLAIN, &UpdateOptions::ALL[7], &Placement::PLAIN);
}

#[test]
fn calls_shared_in_a_team() {
    check_shared(Team::new(2).into());
}

#[test]
#[cfg(feature = "rayon")]
#[cfg_attr(miri, ignore = "a pool's queues, crossbeam-epoch, break the rule of stacked borrows")]
fn calls_shared_in_a_pool() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    check_shared(std::sync::Arc::new(pool).into());
}
