//! The kernels behind another crate's layer: `cargo run --release --example backend`.
//!
//! That crate keeps samples in columns and weights as `[inputs, outputs]`, and calls its layers through `&self` from many
//! threads. Nothing needs to be copied or transposed, and the answer does not depend on who computes which samples.

mod support;

use fused_dense::{Activation, Dense, Error, MatrixView, Workspace};
use std::process::ExitCode;
use std::thread;
use support::Random;

const INPUTS: usize = 200;
const OUTPUTS: usize = 64;
const SAMPLES: usize = 1000;
const THREADS: usize = 4;

/// A layer as the other crate might define it.
struct Linear {
    kernels: Dense,
    /// `[inputs, outputs]`
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// The outputs of samples `first..`, as many as `out` has room for, from `features: [inputs, SAMPLES]`.
    fn forward(&self, features: &[f32], first: usize, out: &mut [f32], scratch: &mut Workspace) -> Result<(), Error> {
        // Strides turn both round: a sample's features are SAMPLES apart, the next sample is the next element.
        let samples = out.len() / OUTPUTS;
        let x = MatrixView::new(&features[first..], samples, INPUTS, 1, SAMPLES)?;
        let w = MatrixView::row_major(&self.weights, INPUTS, OUTPUTS)?.transposed();
        self.kernels.forward_in(scratch, x, w, &self.bias, out)
    }
}

fn main() -> ExitCode {
    support::end(run())
}

fn run() -> Result<ExitCode, Error> {
    let mut random = Random(1);
    let kernels = Dense::new(INPUTS, OUTPUTS, Activation::Relu);
    let mut layer = Linear { kernels, weights: vec![0.0; INPUTS * OUTPUTS], bias: vec![0.1; OUTPUTS] };
    random.fill_weights(&mut layer.weights, INPUTS);
    let mut features = vec![0.0; INPUTS * SAMPLES];
    random.fill_uniform(&mut features, 1.0);

    // One workspace for each thread, made once: calls allocate nothing.
    let scratch_len = layer.kernels.workspace_len()?;
    let mut workspaces = vec![Workspace::new(scratch_len); THREADS];
    let mut shared_out = vec![0.0; SAMPLES * OUTPUTS];
    let share = SAMPLES / THREADS;
    thread::scope(|scope| {
        let parts = shared_out.chunks_mut(share * OUTPUTS).zip(&mut workspaces).enumerate();
        let (layer, features) = (&layer, &features);
        let calls: Vec<_> = parts
            .map(|(part, (out, scratch))| scope.spawn(move || layer.forward(features, part * share, out, scratch)))
            .collect();
        calls.into_iter().try_for_each(|call| call.join().expect("no call panics"))
    })?;

    let mut alone = vec![0.0; SAMPLES * OUTPUTS];
    layer.forward(&features, 0, &mut alone, &mut workspaces[0])?;
    assert!(shared_out.iter().zip(&alone).all(|(shared, alone)| shared.to_bits() == alone.to_bits()));

    println!("{SAMPLES} samples on {THREADS} threads and on one: the same bits\n");
    println!("with plain slices and {share} samples, a call of this layer runs as");
    println!("{}", layer.kernels.describe(share)?);
    Ok(ExitCode::SUCCESS)
}
