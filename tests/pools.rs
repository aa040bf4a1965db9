//! Calls from inside a rayon pool's own tasks, which hold locks and borrowed memory over a call: a call that waits runs
//! none of the caller's other tasks.

#![cfg(feature = "rayon")]

#[path = "support/patience.rs"]
mod patience;

use fused_dense::{Activation, Bias, Dense, Threads, Workspace};
use patience::PATIENCE;
use rayon::ThreadPool;
use rayon::prelude::*;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

const BATCH: usize = 64;
const INPUTS: usize = 300;
const OUTPUTS: usize = 333;
const CALLS: usize = 300;

fn pool(threads: usize) -> Arc<ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool"))
}

/// A layer's operands, and the output of a serial call.
struct Sample {
    x: Vec<f32>,
    w: Vec<f32>,
    expected: Vec<u32>,
}

fn layer(threads: &Threads) -> Dense {
    Dense::new(INPUTS, OUTPUTS, Activation::Tanh).with_threads(threads.clone())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

impl Sample {
    fn new() -> Self {
        let values = |len: usize| (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect::<Vec<_>>();
        let (x, w) = (values(BATCH * INPUTS), values(OUTPUTS * INPUTS));
        let mut a = vec![0.0; BATCH * OUTPUTS];
        layer(&Threads::Serial).forward(&x, &w, Bias::None, &mut a).expect("a valid call");
        Self { x, w, expected: bits(&a) }
    }

    /// Calls from many tasks at once in pools of 8, with the threads that they may use: the pool around the call, the
    /// same pool by name, and another one.
    fn call_from_tasks(&self, task: impl Fn(&Self, &Dense) + Sync) {
        let (own, other) = (pool(8), pool(3));
        for threads in [Threads::CurrentPool { max: 8 }, Arc::clone(&own).into(), Arc::clone(&other).into()] {
            let layer = layer(&threads);
            own.install(|| {
                assert!(layer.describe(BATCH).expect("a plan").forward.workers > 1, "nothing is shared");
                (0..CALLS).into_par_iter().with_max_len(1).for_each(|_| task(self, &layer));
            });
        }
    }
}

/// Runs a check that may hang, or panic, on a thread of its own.
fn check(check: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        check();
        done.send(()).expect("somebody listens");
    });
    is_done.recv_timeout(PATIENCE).expect("neither a hang nor a panic");
}

#[test]
fn a_lock_may_be_held_over_a_call() {
    check(|| {
        let output = Mutex::new(vec![0.0; BATCH * OUTPUTS]);
        Sample::new().call_from_tasks(|sample, layer| {
            let mut a = output.lock().expect("no panic");
            a.fill(f32::NAN);
            let mut workspace = Workspace::new(layer.workspace_len().expect("a size"));
            layer.forward_in(&mut workspace, &sample.x, &sample.w, Bias::None, &mut *a).expect("a valid call");
            assert!(bits(&a) == sample.expected);
        });
    });
}

#[test]
fn a_locked_layer_is_shared_by_tasks() {
    check(|| {
        let sample = Sample::new();
        let (own, other) = (pool(8), pool(3));
        for threads in [Threads::CurrentPool { max: 8 }, Arc::clone(&own).into(), Arc::clone(&other).into()] {
            let layer = Mutex::new((layer(&threads), vec![0.0; BATCH * OUTPUTS]));
            own.install(|| {
                (0..CALLS).into_par_iter().with_max_len(1).for_each(|_| {
                    let mut layer = layer.lock().expect("no panic");
                    let (layer, a) = &mut *layer;
                    layer.forward(&sample.x, &sample.w, Bias::None, &mut *a).expect("a valid call");
                    assert!(bits(a) == sample.expected);
                });
            });
        }
    });
}

#[test]
fn thread_local_memory_may_be_borrowed_over_a_call() {
    thread_local!(static OWN: RefCell<(Workspace, Vec<f32>)> = RefCell::new((Workspace::new(0), Vec::new())));
    check(|| {
        Sample::new().call_from_tasks(|sample, layer| {
            OWN.with_borrow_mut(|(workspace, a)| {
                if a.is_empty() {
                    *workspace = Workspace::new(layer.workspace_len().expect("a size"));
                    a.resize(BATCH * OUTPUTS, 0.0);
                }
                layer.forward_in(workspace, &sample.x, &sample.w, Bias::None, &mut *a).expect("a valid call");
                assert!(bits(a) == sample.expected);
            });
        });
    });
}

/// Layers of several limits one after the other: helpers that are still about from one call help in the next one only
/// where that has a place for them.
#[test]
fn calls_of_different_limits_follow_each_other() {
    check(|| {
        let (sample, pool) = (Sample::new(), pool(8));
        pool.install(|| {
            let mut layers = [8, 2, 5, 3, 8, 4].map(|max| layer(&Threads::CurrentPool { max }));
            let mut a = vec![0.0; BATCH * OUTPUTS];
            for layer in (0..CALLS).flat_map(|call| [call % 6, call / 6 % 6]) {
                layers[layer].forward(&sample.x, &sample.w, Bias::None, &mut a).expect("a valid call");
                assert!(bits(&a) == sample.expected);
            }
        });
    });
}

/// A pool that ends: its last handle goes with the layer, while helpers are on their way.
#[test]
fn a_pool_may_end_right_behind_a_call() {
    check(|| {
        let sample = Sample::new();
        for threads in [1, 2, 3, 8].into_iter().cycle().take(100) {
            let mut layer = layer(&pool(threads).into());
            let mut a = vec![0.0; BATCH * OUTPUTS];
            for _ in 0..2 {
                layer.forward(&sample.x, &sample.w, Bias::None, &mut a).expect("a valid call");
                assert!(bits(&a) == sample.expected);
            }
        }
    });
}

/// A thread that calls on its way out, when its own memory is gone, is served as well.
#[test]
fn a_thread_may_call_as_it_ends() {
    struct CallsAtTheEnd(Arc<Sample>, Dense, mpsc::Sender<bool>);
    impl Drop for CallsAtTheEnd {
        fn drop(&mut self) {
            let Self(sample, layer, tell) = self;
            let mut a = vec![0.0; BATCH * OUTPUTS];
            layer.forward(&sample.x, &sample.w, Bias::None, &mut a).expect("a valid call");
            let _ = tell.send(bits(&a) == sample.expected);
        }
    }
    thread_local!(static AT_END: RefCell<Option<CallsAtTheEnd>> = const { RefCell::new(None) });

    let (tell, results) = mpsc::channel();
    let (sample, threads) = (Arc::new(Sample::new()), pool(3).into());
    for calls_before in [false, true] {
        let (at_end, mut layer) = (CallsAtTheEnd(Arc::clone(&sample), layer(&threads), tell.clone()), layer(&threads));
        let sample = Arc::clone(&sample);
        let thread = thread::spawn(move || {
            AT_END.set(Some(at_end));
            if calls_before {
                let mut a = vec![0.0; BATCH * OUTPUTS];
                layer.forward(&sample.x, &sample.w, Bias::None, &mut a).expect("a valid call");
            }
        });
        thread.join().expect("no panic");
        assert_eq!(results.recv_timeout(PATIENCE), Ok(true));
    }
}
