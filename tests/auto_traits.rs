//! Types that hosts keep in shared state, send to threads and call behind `catch_unwind`.

use fused_dense::{
    Activation, Adam, Bias, Caches, Classes, Cost, Dense, Description, Error, Evaluation, Gradients, History, Init,
    Input, Isa, Layer, MatrixView, MatrixViewMut, Network, NetworkBuilder, Optimizer, Output, Outputs, PackedWeights,
    Parameter, PooledWorkspace, Saved, Sgd, Targets, Team, Threads, Tuning, Unfit, Update, Upstream, Weights,
    Workspace, WorkspacePool,
};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};

/// May be sent, shared, and used again on either side of a panic.
const fn everywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}

/// May be sent and shared; a mutable borrow is looked at behind a panic only where its owner says so, as any other.
const fn across_threads<T: Send + Sync + RefUnwindSafe>() {}

const _: () = {
    everywhere::<Dense>();
    everywhere::<Network>();
    everywhere::<NetworkBuilder>();
    everywhere::<Layer>();
    everywhere::<PackedWeights>();
    everywhere::<Workspace>();
    everywhere::<WorkspacePool>();
    everywhere::<PooledWorkspace<'_>>();
    everywhere::<Team>();
    everywhere::<Threads>();
    everywhere::<Description>();
    everywhere::<History>();
    everywhere::<Evaluation>();
    everywhere::<Error>();
    everywhere::<(Activation, Adam, Caches, Cost, Init, Isa, Optimizer, Sgd, Tuning)>();
    everywhere::<(Bias<'_>, Classes<'_>, Input<'_>, MatrixView<'_>, Saved<'_>, Targets<'_>, Unfit, Weights<'_>)>();
    everywhere::<Upstream<Input<'_>>>();
    across_threads::<(Gradients<'_>, MatrixViewMut<'_>, Output<'_>, Outputs<'_>, Parameter<'_>, Update<'_>)>();
};

#[cfg(feature = "safetensors")]
const _: () = {
    const fn errors_travel<T: Send + Sync>() {}
    errors_travel::<fused_dense::FileError>();
};

const BATCH: usize = 40;
const INPUTS: usize = 90;
const OUTPUTS: usize = 133;

/// An operand whose conversion panics, as a caller's own code may.
struct Hostile;

impl From<Hostile> for Input<'_> {
    fn from(_: Hostile) -> Self {
        panic!("a conversion")
    }
}

fn every_choice() -> Vec<Threads> {
    vec![
        Threads::Serial,
        Team::new(3).into(),
        #[cfg(feature = "rayon")]
        std::sync::Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool")).into(),
    ]
}

/// Without a word about unwinding at the caller's: layers, pools of workspaces and networks go on behind a panic.
#[test]
#[cfg_attr(
    miri,
    ignore = "layers that are worth sharing take minutes, and a pool's queues break the rule of stacked borrows"
)]
fn shared_state_goes_on_behind_a_panic() {
    let (x, w) = (vec![0.25; BATCH * INPUTS], vec![0.5; OUTPUTS * INPUTS]);
    for threads in every_choice() {
        let layer = Dense::new(INPUTS, OUTPUTS, Activation::Tanh).with_threads(threads.clone());
        let pool = WorkspacePool::new(&layer).expect("a size");
        let call = || {
            let mut a = vec![0.0; BATCH * OUTPUTS];
            layer.forward_in(&mut pool.get(), &x, &w, Bias::None, &mut a).map(|()| a)
        };
        let before = call();
        let panic = catch_unwind(|| layer.forward_in(&mut pool.get(), Hostile, &w, Bias::None, &mut vec![0.0; 1]));
        assert!(panic.is_err() && before.is_ok() && call() == before, "{threads:?}");

        let network = Network::builder(INPUTS).layer(OUTPUTS, Activation::Tanh).threads(threads).build();
        let network = network.expect("a network");
        let predict = || {
            let mut a = vec![0.0; BATCH * OUTPUTS];
            network.predict(&x, &mut a).map(|()| a)
        };
        let before = predict();
        let panic = catch_unwind(|| network.predict(Hostile, &mut [0.0; OUTPUTS]));
        assert!(panic.is_err() && before.is_ok() && predict() == before);
    }
}

#[test]
fn a_team_goes_on_behind_a_panic() {
    let team = Team::new(3);
    for part in [0, 5, 99] {
        let panic = catch_unwind(|| team.for_each(100, |found| assert_ne!(found, part)));
        assert!(panic.is_err());
        let count = core::sync::atomic::AtomicUsize::new(0);
        team.for_each(100, |_| _ = count.fetch_add(1, core::sync::atomic::Ordering::Relaxed));
        assert_eq!(count.into_inner(), 100);
    }
}

/// A cost of the caller's runs in the middle of a step, between the passes.
#[test]
fn a_network_goes_on_behind_a_cost_that_panics() {
    let network =
        || Network::builder(2).layer(3, Activation::Tanh).layer(1, Activation::Sigmoid).build().expect("fits");
    let (mut network, mut other) = (network(), network());
    let (x, y) = ([0.5, -1.0, 2.0, 0.25], [1.0, 0.0]);
    let hostile = |_: &[f32], _: &mut [f32]| panic!("a cost");
    for _ in 0..3 {
        for call in [Network::step_with_d_a, Network::step_with_d_z, Network::gradients_with_d_a] {
            assert!(catch_unwind(AssertUnwindSafe(|| call(&mut network, &x, hostile))).is_err());
        }
        assert_eq!(network.step(&x, &y), other.step(&x, &y));
        let cost = |a: &[f32], d: &mut [f32]| {
            d.fill(0.5);
            f64::from(a[0])
        };
        assert_eq!(network.step_with_d_a(&x, cost), other.step_with_d_a(&x, cost));
        assert_eq!(network.step_with_d_z(&x, cost), other.step_with_d_z(&x, cost));
    }
    assert_eq!(network.layers()[0].w(), other.layers()[0].w());
}
