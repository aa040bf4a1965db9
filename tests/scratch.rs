//! Scratch memory: how it grows with the threads, that it suffices for all of them, and that nobody touches it in vain.

#![cfg(feature = "rayon")]

mod support;

use fused_dense::{Activation, Dense, Summation, Threads, Workspace};
use support::isas;
use support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use support::problem::Problem;
use support::stored::{Layout, Placement};

fn len(inputs: usize, outputs: usize, max: usize) -> usize {
    let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_threads(Threads::CurrentPool { max });
    layer.workspace_len().expect("a size")
}

/// A panel of the widest kernels and a block's `dz`: what a worker needs however small its part is.
const LEAST_EACH: usize = 52 << 10;

#[test]
fn grows_by_the_root_of_the_threads() {
    let sizes = [1, 10, 30, 100, 256, 784, 1024, 4096];
    for (inputs, outputs) in sizes.into_iter().flat_map(|inputs| sizes.map(|outputs| (inputs, outputs))) {
        let one = len(inputs, outputs, 1);
        for threads in [1, 2, 3, 4, 7, 16, 64, 100, 256] {
            let found = len(inputs, outputs, threads);
            let root = (threads as f64).sqrt();
            // The room that an output shared by blocks needs besides does not grow with the threads.
            let most = (1.1 * root * one as f64) as usize + threads * LEAST_EACH + (1 << 18);
            assert!(found <= most, "{inputs}→{outputs} by {threads}: {found} elements, {one} for one thread");
            assert!(found >= one, "{inputs}→{outputs} by {threads}: a call on one thread has as much as ever");
        }
    }
    for size in [512, 1024, 2048, 4096] {
        assert!(len(size, size, 64) <= 8 * len(size, size, 1), "{size}→{size}");
    }
}

/// Pieces of a large pool's size, whose workers take rows as they have room for, give the bits of one thread.
#[test]
fn small_pieces_give_the_same_bits() {
    let (batch, inputs, outputs) = (600, 300, 290);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    let layouts: [&(dyn Fn(_) -> Layout + Sync); 2] =
        [&|_| Layout::Slice, &|operand| [Layout::Columns { step: 1, gap: 1 }, Layout::Slice][operand as usize % 2]];
    for isa in isas::all() {
        let layer = isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Sigmoid);
        let serial = Problem::new(layer, batch);
        for threads in [Threads::CurrentPool { max: 256 }, Threads::CurrentPool { max: 2 }] {
            let shared = Problem { layer: serial.layer.clone().with_threads(threads), ..serial.clone() };
            for layout in layouts {
                let both = |problem: &Problem| {
                    let placement = Placement::views(layout);
                    let forward = problem.forward(&ForwardOptions::ALL[0], &placement);
                    let backward = problem.backward(&BackwardOptions::PLAIN, &placement);
                    let update = problem.update(&BackwardOptions::PLAIN, &UpdateOptions::ALL[7], &placement);
                    [forward, backward, update]
                };
                let (expected, found) = (both(&serial), pool.install(|| both(&shared)));
                for ((operand, found), (_, expected)) in found.iter().flatten().zip(expected.iter().flatten()) {
                    support::compare::assert_bits(format_args!("{shared}: {operand}"), found, expected);
                }
            }
        }
    }
}

/// A workspace takes no memory before it is used, nor does a layer's clone.
#[cfg(target_os = "linux")]
#[test]
fn pages_that_no_call_uses_take_no_memory() {
    const LEN: usize = 256 << 20 >> 2;
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
        let pages: usize = pages.split(' ').nth(1).expect("its second number").parse().expect("a number");
        // SAFETY: asks for a number.
        pages * usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a page size")
    };
    let before = resident();
    let workspaces = [(); 4].map(|()| Workspace::new(LEN));
    let clones = workspaces.clone();
    assert!(workspaces.iter().chain(&clones).all(|workspace| workspace.len() == LEN));
    let taken = resident().saturating_sub(before);
    assert!(taken < LEN * size_of::<f32>(), "{taken} bytes for eight workspaces that nobody uses");
}
