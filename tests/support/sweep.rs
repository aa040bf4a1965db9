//! Many problems: every instruction set, every order of summation, with activations and options taking turns.

use super::isas::{self, SUMMATIONS};
use super::options::{BackwardOptions, Cycle, ForwardOptions};
use super::problem::Problem;
use fused_dense::Activation;

/// Calls `check` with a problem of each shape `(batch, inputs, outputs)` on each instruction set in each order.
pub(crate) fn sweep(
    shapes: impl Iterator<Item = (usize, usize, usize)> + Clone,
    check: impl Fn(&Problem, &ForwardOptions, &BackwardOptions),
) {
    let mut options = Cycle::default();
    let mut activations = Activation::all().iter().cycle();
    for isa in isas::all() {
        for summation in SUMMATIONS {
            for (batch, inputs, outputs) in shapes.clone() {
                let activation = *activations.next().expect("a cycle");
                let problem = Problem::new(isas::layer(isa, summation, inputs, outputs, activation), batch);
                let (forward, backward) = options.next();
                check(&problem, &forward, &backward);
            }
        }
    }
}
