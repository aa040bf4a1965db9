//! Bad input: the error says which operand, what was expected and what was found, and no output was touched.

mod calls;
mod conversions;
mod instruction_sets;
mod messages;
mod operands;
mod sizes;
#[path = "../support/mod.rs"]
mod support;
mod views;

use fused_dense::{Activation, Dense};

const BATCH: usize = 3;
const INPUTS: usize = 4;
const OUTPUTS: usize = 2;

fn layer() -> Dense {
    layer_of(INPUTS, OUTPUTS)
}

fn layer_of(inputs: usize, outputs: usize) -> Dense {
    Dense::new(inputs, outputs, Activation::Sigmoid)
}
