//! The operation on a backend that records gradients.

use crate::backend::{FusedLinearBackend, LinearBias, LinearOperands, LinearOutcome};
use crate::error::Error;
use crate::host::Host;
use crate::kernel::FusedKernel;
use crate::passes::{self, Each};
use burn::backend::Autodiff;
use burn::backend::Backend;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use fused_dense::Activation;

impl<B: Host, C: CheckpointStrategy> FusedLinearBackend for Autodiff<B, C> {
    fn fused_linear(operands: LinearOperands<Self>, kernel: FusedKernel) -> LinearOutcome<Self> {
        let (input, input_node) = operands.input.into_parts();
        let (weight, weight_node) = operands.weight.into_parts();
        match operands.bias {
            LinearBias::None => {
                let operands = LinearOperands { input, weight, bias: LinearBias::None };
                record::<B, C, 2>([input_node, weight_node], operands, kernel)
            }
            LinearBias::Given(bias) => {
                let (bias, bias_node) = bias.into_parts();
                let operands = LinearOperands { input, weight, bias: LinearBias::Given(bias) };
                record::<B, C, 3>([input_node, weight_node, bias_node], operands, kernel)
            }
        }
        .into()
    }
}

/// Runs the forward pass, and records the backward step where any of the nodes is tracked.
fn record<B: Host, C: CheckpointStrategy, const N: usize>(
    nodes: [NodeGuard; N],
    operands: LinearOperands<B>,
    kernel: FusedKernel,
) -> Result<FloatTensor<Autodiff<B, C>>, Error>
where
    FusedLinearBackward: Backward<B, N, State = State<B>>,
{
    match FusedLinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::UnTracked(prepared) => Ok(prepared.finish(passes::forward(&operands, &kernel, false)?.a)),
        OpsKind::Tracked(prepared) => {
            let activation = kernel.activation();
            let forward = passes::forward(&operands, &kernel, activation.needs_z())?;
            let saved = match activation {
                Activation::Identity => None,
                _ => forward.z.or_else(|| Some(forward.a.clone())),
            };
            let LinearOperands { input, weight, .. } = operands;
            Ok(prepared.finish(State { input, weight, saved, kernel }, forward.a))
        }
    }
}

/// The values of the forward pass that the backward step needs.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    saved: Option<FloatTensor<B>>,
    kernel: FusedKernel,
}

/// The backward step of input, weights and, as a third parent, bias.
#[derive(Debug)]
struct FusedLinearBackward;

impl<B: Host, const N: usize> Backward<B, N> for FusedLinearBackward {
    type State = State<B>;

    /// # Panics
    /// Where there is no memory for the gradients, of which burn's steps have no other way to tell.
    fn backward(self, ops: Ops<State<B>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let mut parents = ops.parents.into_iter();
        let mut parent = || parents.next().flatten();
        let (input, weight, bias) = (parent(), parent(), parent());
        let State { input: x, weight: w, saved, kernel } = ops.state;
        let step = passes::Backward::<B> {
            input: &x,
            weight: &w,
            saved: saved.as_ref(),
            output_gradient: &output_gradient,
            wanted: Each { input: input.is_some(), weight: weight.is_some(), bias: bias.is_some() },
        };
        let gradients = step.run(&kernel).unwrap_or_else(|error| panic!("{error}"));
        let pairs = [(input, gradients.input), (weight, gradients.weight), (bias, gradients.bias)];
        for (node, gradient) in pairs {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
