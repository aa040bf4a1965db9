//! Outside of any pool a layer never starts rayon's global one. Alone in its binary: the global pool is one per
//! process.

#![cfg(all(feature = "rayon", not(miri)))]

mod support;

use fused_dense::{Activation, Dense, Threads};
use support::options::{BackwardOptions, ForwardOptions};
use support::problem::Problem;
use support::stored::Placement;

#[test]
fn the_global_pool_is_not_started() {
    let layer = Dense::new(400, 400, Activation::Sigmoid).with_threads(Threads::CurrentPool { max: 8 });
    assert_eq!(layer.describe(400).expect("a plan").forward.workers, 1, "outside of a pool");
    let problem = Problem::new(layer, 400);
    problem.forward(&ForwardOptions::ALL[0], &Placement::PLAIN);
    problem.backward(&BackwardOptions::PLAIN, &Placement::PLAIN);
    let started_here = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    assert!(started_here.is_ok(), "the global pool had been started: {started_here:?}");
}
