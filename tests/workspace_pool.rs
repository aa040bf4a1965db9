//! Threads that share a layer, each with a workspace of a pool.

use fused_dense::{Activation, Dense, Error, Gradients, Isa, PooledWorkspace, Upstream, Workspace, WorkspacePool};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

const INPUTS: usize = 40;
const OUTPUTS: usize = 24;
const THREADS: usize = 4;

fn values(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 97) as f32 / 48.0 - 1.0).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Forward and backward of a batch, by the bits of all outputs.
fn call(layer: &Dense, workspace: &mut Workspace, batch: usize) -> Result<Vec<u32>, Error> {
    let (x, w, b) = (values(batch * INPUTS, batch), values(OUTPUTS * INPUTS, 1), values(OUTPUTS, 2));
    let mut a = vec![0.0; batch * OUTPUTS];
    layer.forward_in(workspace, &x, &w, &b, &mut a)?;
    let (mut d_w, mut d_b, mut d_x) = (vec![0.0; w.len()], vec![0.0; OUTPUTS], vec![0.0; x.len()]);
    let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_x);
    layer.backward_in(workspace, &x, &w, &a, Upstream::Activation(&values(a.len(), 3)), gradients)?;
    Ok(bits(&[a, d_w, d_b, d_x].concat()))
}

#[test]
fn callers_at_once_get_the_bits_of_one() {
    for isa in Isa::available() {
        let layer = Dense::new(INPUTS, OUTPUTS, Activation::Tanh).with_isa(isa);
        let batches = [1, 2, 7, if cfg!(miri) { 9 } else { 300 }];
        let mut own = Workspace::new(layer.workspace_len().expect("a size"));
        let expected = batches.map(|batch| call(&layer, &mut own, batch).expect("a valid call"));
        let pool = WorkspacePool::new(&layer).expect("a size");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (layer, pool, batches, expected) = (&layer, &pool, &batches, &expected);
                scope.spawn(move || {
                    for round in 0..if cfg!(miri) { 2 } else { 40 } {
                        let which = (thread + round) % batches.len();
                        let found = call(layer, &mut pool.get(), batches[which]).expect("a valid call");
                        assert_eq!(found, expected[which], "{isa}, batch {}", batches[which]);
                    }
                });
            }
        });
        assert!((1..=THREADS).contains(&pool.idle()), "{} workspaces", pool.idle());
    }
}

#[test]
fn there_are_as_many_workspaces_as_callers_at_once() {
    let layer = Dense::new(INPUTS, OUTPUTS, Activation::Relu);
    let pool = WorkspacePool::new(&layer).expect("a size");
    assert_eq!(pool.idle(), 0, "none before it is needed");
    for _ in 0..10 {
        call(&layer, &mut pool.get(), 3).expect("a valid call");
        assert_eq!(pool.idle(), 1, "one caller after the other");
    }
    let barrier = Barrier::new(THREADS);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut workspace = pool.get();
                    barrier.wait();
                    call(&layer, &mut workspace, 3).expect("a valid call");
                });
            }
        });
        assert_eq!(pool.idle(), THREADS);
    }
}

#[test]
fn a_workspace_returns_while_its_thread_unwinds() {
    let layer = Dense::new(INPUTS, OUTPUTS, Activation::Sigmoid);
    let pool = WorkspacePool::new(&layer).expect("a size");
    let mut own = Workspace::new(layer.workspace_len().expect("a size"));
    let expected = call(&layer, &mut own, 5);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut workspace = pool.get();
        call(&layer, &mut workspace, 5).expect("a valid call");
        panic!("the caller's own");
    }));
    assert!(result.is_err());
    assert_eq!(pool.idle(), 1);
    assert_eq!(call(&layer, &mut pool.get(), 5), expected);
}

#[test]
fn a_pool_serves_the_largest_of_its_layers() {
    let layers = [(1, 1), (500, 300), (30, 10)].map(|(i, o)| Dense::new(i, o, Activation::Identity));
    let most = layers.iter().map(|layer| layer.workspace_len().expect("a size")).max().expect("layers");
    let pool = WorkspacePool::for_layers(&layers).expect("a size");
    assert!(pool.get().len() >= most && most > layers[0].workspace_len().expect("a size"));
    // A pool for no layers has workspaces all the same.
    assert!(WorkspacePool::for_layers([]).expect("a size").get().is_empty());

    let too_large = Dense::new(usize::MAX, 1, Activation::Identity);
    let expected = too_large.workspace_len().expect_err("no memory holds it");
    assert_eq!(WorkspacePool::for_layers([&layers[0], &too_large]).err(), Some(expected));
}

/// A caller may take the memory out: the next one gets a workspace that is as large as it must be.
#[test]
fn what_a_caller_takes_out_is_replaced() {
    let layer = Dense::new(INPUTS, OUTPUTS, Activation::Sigmoid);
    let pool = WorkspacePool::new(&layer).expect("a size");
    let taken = core::mem::take(&mut *pool.get());
    assert_eq!((taken.len() >= layer.workspace_len().expect("a size"), pool.idle()), (true, 1));
    assert!(call(&layer, &mut pool.get(), 2).is_ok());
    *pool.get() = Workspace::default();
    assert!(call(&layer, &mut pool.get(), 2).is_ok());
}

#[test]
fn a_clone_has_workspaces_of_its_own() {
    let layer = Dense::new(INPUTS, OUTPUTS, Activation::Sigmoid);
    let pool = WorkspacePool::new(&layer).expect("a size");
    drop(pool.get());
    let clone = pool.clone();
    assert_eq!((pool.idle(), clone.idle()), (1, 0));
    assert_eq!(clone.get().len(), pool.get().len());
    assert!(format!("{pool:?}").contains("idle: 1"));
}

#[test]
fn pools_and_workspaces_go_to_other_threads() {
    fn both<T: Send + Sync>() {}
    both::<WorkspacePool>();
    both::<PooledWorkspace<'_>>();
}
