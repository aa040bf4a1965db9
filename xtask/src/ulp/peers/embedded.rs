//! Functions that the tool is built with: our own functions, `wide`, and the loops around the bench's matrix products.

use super::Peer;
use crate::lockfile;
use crate::peers::passes;
use fused_dense::{Activation, Isa};
use rayon::prelude::*;
use wide::f32x8;

/// Arguments that one thread takes at a time.
const CHUNK: usize = 1 << 12;

type Function = fn(&[f32], &mut [f32]);

struct Embedded {
    library: &'static str,
    version: String,
    functions: Vec<Activation>,
    /// One for each of `functions`.
    loops: Vec<Function>,
}

/// All of them.
pub fn all() -> Vec<Box<dyn Peer>> {
    let both = vec![Activation::Sigmoid, Activation::Tanh];
    let wide_version = lockfile::version("wide").unwrap_or_default();
    // The crate chooses its instructions when it is compiled, and rounds multiply-adds accordingly.
    let wide_target = if cfg!(target_feature = "fma") { "compiled with FMA" } else { "compiled without FMA" };
    let peers = [
        Embedded {
            library: "fused-dense",
            version: format!("{} ({})", lockfile::version("fused-dense").unwrap_or_default(), Isa::available()[0]),
            functions: both.clone(),
            loops: vec![|x, results| ours(Activation::Sigmoid, x, results), |x, results| {
                ours(Activation::Tanh, x, results);
            }],
        },
        Embedded {
            library: "wide",
            version: format!("{wide_version} ({wide_target})"),
            functions: both,
            loops: vec![
                |x, results| in_eights(x, results, |x| f32x8::ONE / (f32x8::ONE + (-x).exp())),
                |x, results| in_eights(x, results, f32x8::tanh),
            ],
        },
        Embedded {
            library: "loops of `cargo xtask bench`",
            version: "—".into(),
            functions: vec![Activation::Sigmoid],
            loops: vec![|x, results| {
                results.copy_from_slice(x);
                passes::sigmoid(results);
            }],
        },
    ];
    peers.into_iter().map(|peer| Box::new(peer) as Box<dyn Peer>).collect()
}

fn ours(activation: Activation, x: &[f32], results: &mut [f32]) {
    let isa = Isa::available()[0];
    activation.forward_with_isa(isa, x, results).expect("the instruction set is available and the lengths agree");
}

fn in_eights(x: &[f32], results: &mut [f32], function: impl Fn(f32x8) -> f32x8) {
    for (x, results) in x.chunks(8).zip(results.chunks_mut(8)) {
        let mut lanes = [0.0; 8];
        lanes[..x.len()].copy_from_slice(x);
        results.copy_from_slice(&function(f32x8::new(lanes)).to_array()[..x.len()]);
    }
}

impl Peer for Embedded {
    fn library(&self) -> &str {
        self.library
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn functions(&self) -> &[Activation] {
        &self.functions
    }

    fn run(&mut self, function: Activation, x: &[f32], results: &mut [f32]) -> anyhow::Result<()> {
        let place = self.functions.iter().position(|&known| known == function);
        let run = self.loops[place.expect("only what it has is asked of it")];
        x.par_chunks(CHUNK).zip(results.par_chunks_mut(CHUNK)).for_each(|(x, results)| run(x, results));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_the_one_that_its_name_says() {
        let x: Vec<f32> = (0..13).map(|i| i as f32 - 6.0).collect();
        for mut peer in all() {
            for function in peer.functions().to_vec() {
                let mut results = [f32::NAN; 13];
                peer.run(function, &x, &mut results).unwrap();
                for (&x, result) in x.iter().zip(results) {
                    let exact = if function == Activation::Tanh { x.tanh() } else { 1.0 / (1.0 + (-x).exp()) };
                    assert!((result - exact).abs() < 1e-5, "{} {function} {x}: {result}", peer.library());
                }
            }
        }
    }
}
