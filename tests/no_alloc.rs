//! After planning, no call allocates. A program of its own, without the test harness: it counts every allocation of the
//! process, and the harness's main thread makes some while a test has begun.

#[path = "support/patience.rs"]
mod patience;

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use fused_dense::{
    Activation, Adam, Bias, Cost, Dense, Error, Gradients, Isa, MatrixView, MatrixViewMut, Network, Outputs, Parameter,
    Saved, Summation, Team, Update, Upstream, Workspace, WorkspacePool,
};
use patience::wait_until;
use std::alloc::System;
use std::time::Duration;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: forwards every call unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while `call` runs, on all threads.
fn allocations(call: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    call();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// A layer with contiguous operands for every call.
struct Operands {
    layer: Dense,
    batch: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    a: Vec<f32>,
    z: Vec<f32>,
    d_z: Vec<f32>,
    d_w: Vec<f32>,
    d_b: Vec<f32>,
    d_x: Vec<f32>,
}

impl Operands {
    fn new(layer: Dense, batch: usize) -> Self {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let filled = |len| vec![0.5; len];
        Self {
            batch,
            x: filled(batch * inputs),
            w: filled(outputs * inputs),
            b: filled(outputs),
            a: filled(batch * outputs),
            z: filled(batch * outputs),
            d_z: filled(batch * outputs),
            d_w: filled(outputs * inputs),
            d_b: filled(outputs),
            d_x: filled(batch * inputs),
            layer,
        }
    }

    /// The most calls of [`call_all`](Self::call_all).
    #[cfg(feature = "rayon")]
    const CALLS: usize = 7;

    /// Forward and backward, in every variant.
    fn call_all(&mut self) -> Result<(), Error> {
        let Self { layer, batch, x, w, b, a, z, d_z, d_w, d_b, d_x } = self;
        let (batch, inputs, outputs) = (*batch, layer.inputs(), layer.outputs());
        layer.forward(&*x, &*w, &*b, &mut *a)?;
        layer.forward(&*x, &*w, Bias::None, Outputs::new(&mut *a).z(&mut *z))?;
        // The same memory as feature-major arrays.
        let transposed = |data, rows, cols| MatrixView::new(data, rows, cols, 1, rows);
        let a_columns = MatrixViewMut::new(a, batch, outputs, 1, batch)?;
        layer.forward(transposed(x, batch, inputs)?, transposed(w, outputs, inputs)?, &*b, a_columns)?;

        let all = Gradients::new().w(&mut *d_w).b(&mut *d_b).a_prev(&mut *d_x).z(&mut *d_z).scale(0.5);
        layer.backward(&*x, &*w, &*a, Upstream::Activation(&*z), all)?;
        let add = Gradients::new().add_to_w(&mut *d_w).add_to_b(&mut *d_b).add_to_a_prev(&mut *d_x);
        layer.backward(&*x, &*w, Saved::z(&*z), Upstream::PreActivation(&*d_z), add)?;
        let columns = Gradients::new()
            .w(MatrixViewMut::new(d_w, outputs, inputs, 1, outputs)?)
            .a_prev(MatrixViewMut::new(d_x, batch, inputs, 1, batch)?);
        layer.backward(
            &*x,
            transposed(w, outputs, inputs)?,
            &*a,
            Upstream::Activation(transposed(z, batch, outputs)?),
            columns,
        )?;
        if layer.activation() == Activation::Sigmoid {
            layer.backward(&*x, &*w, &*a, Upstream::Targets(&*z), Gradients::new().w(&mut *d_w).b(&mut *d_b))?;
        }
        Ok(())
    }
}

fn layers() -> impl Iterator<Item = Dense> {
    let shapes = [(1, 1), (30, 10), (5, 300), (784, 30), (300, 300)];
    let options = Isa::available().into_iter().flat_map(move |isa| shapes.map(|shape| (isa, shape)));
    options.flat_map(|(isa, (inputs, outputs))| {
        [
            (Summation::Auto, Activation::Sigmoid),
            (Summation::Chain, Activation::Tanh),
            (Summation::Lanes, Activation::Identity),
        ]
        .map(|(summation, g)| Dense::new(inputs, outputs, g).with_isa(isa).with_summation(summation))
    })
}

fn main() {
    // A count of allocations is the same there, and takes hours.
    if cfg!(miri) {
        return;
    }
    calls_do_not_allocate();
    with_a_pool_of_workspaces();
    in_a_team();
    #[cfg(feature = "rayon")]
    in_a_rayon_pool();
    println!("no call allocates");
}

fn calls_do_not_allocate() {
    assert_ne!(allocations(|| drop(core::hint::black_box(vec![0.0_f32; 100]))), 0, "the counter counts");

    for layer in layers() {
        for batch in [0, 1, 10, 300] {
            let mut operands = Operands::new(layer.clone(), batch);
            let mut result = Ok(());
            // The very first call included: planning was all the preparation.
            let count = allocations(|| result = operands.call_all());
            assert_eq!((result, count), (Ok(()), 0), "{layer:?}, batch {batch}");
        }
    }

    let mut layer = Dense::new(30, 10, Activation::Sigmoid);
    let mut a = [0.0; 10];
    let count = allocations(|| {
        assert!(layer.forward(&[0.0; 3], &[], Bias::None, &mut a).is_err());
        assert!(Activation::Tanh.forward(&[0.5; 10], &mut a).is_ok());
    });
    assert_eq!(count, 0, "errors, and an activation alone");

    let mut packed = layer.pack(&[0.5; 300]).expect("weights of the right size");
    let count = allocations(|| {
        packed.repack(&[0.25; 300]).expect("weights of the right size");
        layer.forward(&[0.5; 30], &packed, Bias::None, &mut a).expect("a valid call");
        let by_inputs = MatrixView::new(&[0.25; 300], 10, 30, 1, 10).expect("a valid view");
        packed.repack(by_inputs).expect("weights of the right size");
        let (saved, mut d_x) = ([0.5; 10], [0.0; 30]);
        let gradients = Gradients::new().a_prev(&mut d_x);
        layer.backward(&[0.5; 30], &packed, &saved, Upstream::Activation(&saved), gradients).expect("a valid call");
    });
    assert_eq!(count, 0, "packing again, and calls with packed weights");

    let (mut w, mut m_w, mut v_w, mut d_x) = ([0.5; 300], [0.0; 300], [0.0; 300], [0.0; 30]);
    let (mut b, mut m_b, mut v_b) = ([0.5; 10], [0.0; 10], [0.0; 10]);
    let count = allocations(|| {
        let w = Parameter::new(&mut w).state(&mut m_w).state(&mut v_w);
        let b = Parameter::new(&mut b).state(&mut m_b).state(&mut v_b);
        let update = Update::new(Adam::new(0.1).weight_decay(0.1)).b(b).a_prev(&mut d_x);
        layer.backward_update(&[0.5; 30], w, &[0.5; 10], Upstream::Targets(&[1.0; 10]), update).expect("a valid call");
    });
    assert_eq!(count, 0, "an update");

    let mut workspace = Workspace::new(layer.workspace_len().expect("a size"));
    let (x, w) = ([0.5; 30], [0.5; 300]);
    let count = allocations(|| layer.forward_in(&mut workspace, &x, &w, Bias::None, &mut a).expect("a valid call"));
    assert_eq!(count, 0, "with the caller's workspace");

    let chain = [Dense::new(30, 20, Activation::Tanh), Dense::new(20, 10, Activation::Sigmoid)];
    let mut network = Network::of(chain).cost(Cost::BinaryCrossEntropy).max_batch(4).build().expect("a network");
    let count = allocations(|| assert!(network.step(&[0.5; 90], &[1.0; 30]).is_ok()));
    assert_eq!(count, 0, "a network's step");
    networks_allocate_nothing();
}

/// Every call of a classifier, from the first on; inference from the second on.
fn networks_allocate_nothing() {
    let mut network = Network::builder(30)
        .layer(20, Activation::Relu)
        .layer(10, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .optimizer(Adam::new(0.01))
        .max_batch(4)
        .build()
        .expect("a network");
    let (x, labels) = ([0.5; 90], [0_u8, 9, 3]);
    let (mut a, mut classes) = ([0.0; 30], [0; 3]);
    let count = allocations(|| {
        network.step(&x, &labels).expect("a valid call");
        network.gradients(&x, &labels).expect("a valid call");
        network.accumulate(&x, &labels, 3.0).expect("a valid call");
        network.clip_gradients(1e-3).expect("gradients");
        network.apply_gradients().expect("gradients");
        let flat = |_: &[f32], d_a: &mut [f32]| {
            d_a.fill(0.5);
            1.0
        };
        network.step_with_d_a(&x, flat).expect("a valid call");
    });
    assert_eq!(count, 0, "training");
    let mut ask = || {
        network.predict(&x, &mut a).expect("a valid call");
        network.predict_probabilities(&x, &mut a).expect("a valid call");
        network.predict_z(&x, &mut a).expect("a valid call");
        network.predict_classes(&x, &mut classes).expect("a valid call");
        network.evaluate(&x, &labels).expect("a valid call");
    };
    ask();
    assert_eq!(allocations(ask), 0, "inference");
}

/// A pool that has had so many callers at once allocates nothing for as many.
fn with_a_pool_of_workspaces() {
    let layer = Dense::new(30, 10, Activation::Sigmoid);
    let pool = WorkspacePool::new(&layer).expect("a size");
    let (x, w) = ([0.5; 30], [0.5; 300]);
    let callers_at_once = || {
        let mut workspaces = [(); 5].map(|()| pool.get());
        for workspace in &mut workspaces {
            layer.forward_in(workspace, &x, &w, Bias::None, &mut [0.0; 10]).expect("a valid call");
        }
    };
    assert_ne!(allocations(callers_at_once), 0, "workspaces are made when they are needed");
    for _ in 0..3 {
        assert_eq!(allocations(callers_at_once), 0, "with a pool of workspaces");
    }
}

/// Sharing work out in a team allocates nothing, whether its threads are awake or asleep.
fn in_a_team() {
    let team = Team::new(4);
    let layer = Dense::new(300, 400, Activation::Sigmoid).with_threads(&team);
    let mut operands = Operands::new(layer, 300);
    assert!(operands.layer.describe(300).expect("a plan").forward.workers > 1, "nothing is shared");
    // A team allocates nothing, but a thread does when it starts. Who is at work has started, and none is left out of
    // parts that wait for each other.
    let at_work = AtomicUsize::new(0);
    team.for_each(4, |_| {
        at_work.fetch_add(1, Ordering::Relaxed);
        wait_until("all are at work", || at_work.load(Ordering::Relaxed) == 4);
    });
    for pause in [0, 0, 2] {
        std::thread::sleep(Duration::from_millis(pause));
        let count = allocations(|| operands.call_all().expect("valid calls"));
        assert_eq!(count, 0, "in a team, after {pause} ms");
    }
}

/// rayon allocates a box for each helper of a call that it sends for, and now and then more room for its queues. Nothing
/// else is allocated once a thread has called.
#[cfg(feature = "rayon")]
fn in_a_rayon_pool() {
    use fused_dense::Threads;
    use std::sync::Arc;

    const WORKERS: usize = 4;
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("a pool"));
    let check = |threads: Threads| {
        let layer = Dense::new(300, 400, Activation::Sigmoid).with_threads(threads);
        let mut operands = Operands::new(layer, 300);
        assert!(operands.layer.describe(300).expect("a plan").forward.workers > 1, "nothing is shared");
        operands.call_all().expect("valid calls");
        let rounds = 50;
        let count = allocations(|| (0..rounds).for_each(|_| operands.call_all().expect("valid calls")));
        let boxes = rounds * Operands::CALLS * (WORKERS - 1);
        // A block of the queue has room for dozens of boxes; a worker's first theft allocates a little.
        let most = boxes + boxes / 32 + 16 * WORKERS;
        assert!(count <= most, "{count} allocations, at most {boxes} boxes");
    };
    check(Threads::from(Arc::clone(&pool)));
    pool.install(|| check(Threads::CurrentPool { max: WORKERS }));
}
