//! The names of a network's arrays, as its files have them.

use super::Core;
use fused_dense::{Activation, Optimizer};

/// Begins the names of arrays that are no parameters.
const OF_TRAINING: &str = "training.";

/// The number of steps taken.
pub(super) const STEPS: &str = "training.steps";

/// The number of the last epoch.
pub(super) const EPOCHS: &str = "training.epochs";

/// The batches of the epoch behind it, in checkpoints of programs that stop within one.
pub(super) const BATCHES: &str = "training.batches";

/// An array's name and shape.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) is_parameter: bool,
}

/// All arrays, layer by layer: weights and bias, then what the optimiser keeps beside each of the two.
pub(super) fn of(core: &Core) -> Vec<Named> {
    let kept = kept(core.optimizer());
    let mut module = 0;
    let mut found = Vec::new();
    for layer in core.layers() {
        let (outputs, inputs) = (layer.dense().outputs(), layer.dense().inputs());
        let parameters = [("weight", vec![outputs, inputs]), ("bias", vec![outputs])];
        for (kind, shape) in &parameters {
            found.push(Named { name: format!("{module}.{kind}"), shape: shape.clone(), is_parameter: true });
        }
        for kept in kept {
            for (kind, shape) in &parameters {
                let name = format!("{OF_TRAINING}{module}.{kind}.{kept}");
                found.push(Named { name, shape: shape.clone(), is_parameter: false });
            }
        }
        // As in a torch.nn.Sequential: an activation is a module of its own, and the identity is none.
        module += if layer.dense().activation() == Activation::Identity { 1 } else { 2 };
    }
    found
}

/// The names of the arrays beside each parameter, as PyTorch's optimisers have them.
fn kept(optimizer: Optimizer) -> &'static [&'static str] {
    let most: &[&str] = match optimizer {
        Optimizer::Adam(_) => &["exp_avg", "exp_avg_sq"],
        _ => &["momentum_buffer"],
    };
    &most[..optimizer.state_arrays()]
}

/// The arrays themselves, in the same order.
pub(super) fn values(core: &Core) -> Vec<&[f32]> {
    let of_layer = |layer| {
        let layer: &fused_dense::Layer = layer;
        [layer.w(), layer.b()].into_iter().chain(layer.optimizer_state().flatten())
    };
    core.layers().iter().flat_map(of_layer).collect()
}

/// Sets the arrays, each from values of its length, or leaves it as it is.
pub(super) fn set(core: &mut Core, values: &[Option<&[f32]>]) {
    let mut values = values.iter();
    for layer in core.layers_mut() {
        fill(layer.w_mut(), values.next());
        fill(layer.b_mut(), values.next());
        layer.optimizer_state_mut().flatten().for_each(|array| fill(array, values.next()));
    }
}

fn fill(array: &mut [f32], values: Option<&Option<&[f32]>>) {
    if let Some(Some(values)) = values {
        array.copy_from_slice(values);
    }
}
