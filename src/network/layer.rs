//! One layer of a network: its parameters, and the memory that its passes fill.

use super::values::Values;
use super::weights::Weights;
use crate::activation::Activation;
use crate::layer::{Dense, Saved};
use crate::optimizer::Optimizer;

/// One layer of a [`Network`](crate::Network) with its parameters and their gradients.
///
/// ```
/// use fused_dense::{Activation, Init, Network};
///
/// let mut network = Network::builder(1).layer(1, Activation::Identity).init(Init::Zeros).build()?;
/// network.gradients(&[1.0], &[2.0])?;
/// let layer = &mut network.layers_mut()[0];
/// assert_eq!((layer.d_w(), layer.d_b()), (&[-2.0][..], &[-2.0][..]));
/// for (parameter, gradient) in layer.parameters_mut() {
///     parameter[0] -= 0.5 * gradient[0];
/// }
/// assert_eq!(network.forward(&[1.0])?, [2.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Layer {
    pub(super) dense: Dense,
    pub(super) w: Weights,
    pub(super) b: Values,
    pub(super) d_w: Values,
    pub(super) d_b: Values,
    /// The optimiser's arrays beside the weights and beside the bias.
    pub(super) state: Vec<[Values; 2]>,
    /// The pre-activation: room for `max_batch` rows, as in the three below.
    pub(super) z: Values,
    pub(super) a: Values,
    pub(super) d_a: Values,
    pub(super) d_z: Values,
    /// The largest magnitude of the input, as the guard found it last.
    pub(super) largest_input: f32,
    /// No element of the gradients has a larger magnitude, as the guard found last.
    pub(super) largest_gradient: f64,
    pub(super) max_batch: usize,
}

impl Layer {
    /// With all parameters zero; `None` where memory cannot be had.
    pub(super) fn new(dense: Dense, max_batch: usize, optimizer: &Optimizer) -> Option<Self> {
        let (inputs, outputs) = (dense.inputs(), dense.outputs());
        let state = |_| Some([Values::zeros(outputs, inputs)?, Values::zeros(1, outputs)?]);
        Some(Self {
            w: Weights::zeros(outputs, inputs)?,
            b: Values::zeros(1, outputs)?,
            d_w: Values::zeros(outputs, inputs)?,
            d_b: Values::zeros(1, outputs)?,
            state: (0..optimizer.state_arrays()).map(state).collect::<Option<_>>()?,
            z: Values::zeros(max_batch, outputs)?,
            a: Values::zeros(max_batch, outputs)?,
            d_a: Values::zeros(max_batch, outputs)?,
            d_z: Values::zeros(max_batch, outputs)?,
            largest_input: 0.0,
            largest_gradient: 0.0,
            max_batch,
            dense,
        })
    }

    /// The layer's shape, activation and plan.
    pub fn dense(&self) -> &Dense {
        &self.dense
    }

    /// The weights, `outputs × inputs`.
    pub fn w(&self) -> &[f32] {
        &self.w
    }

    /// The weights, to be initialised or changed.
    pub fn w_mut(&mut self) -> &mut [f32] {
        &mut self.w
    }

    /// The bias, one value for each output.
    pub fn b(&self) -> &[f32] {
        &self.b
    }

    /// The bias, to be initialised or changed.
    pub fn b_mut(&mut self) -> &mut [f32] {
        &mut self.b
    }

    /// The cost's gradient by the weights, of the last [`Network::gradients`](crate::Network::gradients) or
    /// [`Network::accumulate`](crate::Network::accumulate); after a [`Network::step`](crate::Network::step) it is none.
    pub fn d_w(&self) -> &[f32] {
        &self.d_w
    }

    /// The cost's gradient by the bias, as [`d_w`](Self::d_w).
    pub fn d_b(&self) -> &[f32] {
        &self.d_b
    }

    /// Weights and bias, each beside its gradient, for an optimiser of your own.
    pub fn parameters_mut(&mut self) -> [(&mut [f32], &[f32]); 2] {
        [(&mut self.w, &self.d_w), (&mut self.b, &self.d_b)]
    }

    /// The arrays that the network's optimiser keeps beside the weights and beside the bias: a velocity, or the first and
    /// the second moment; none for plain gradient descent.
    pub fn optimizer_state(&self) -> impl Iterator<Item = [&[f32]; 2]> {
        self.state.iter().map(|[w, b]| [&**w, &**b])
    }

    /// The same arrays, to be set.
    pub fn optimizer_state_mut(&mut self) -> impl Iterator<Item = [&mut [f32]; 2]> {
        self.state.iter_mut().map(|[w, b]| [&mut **w, &mut **b])
    }

    /// Values in `batch` rows of the output.
    pub(super) fn output_len(&self, batch: usize) -> usize {
        batch * self.dense.outputs()
    }
}

/// The first `len` values of the pre-activation, where it was kept or is the activation.
pub(super) fn z_of<'l>(dense: &Dense, z: &'l Values, a: &'l Values, len: usize) -> &'l [f32] {
    if dense.activation() == Activation::Identity { &a[..len] } else { &z[..len] }
}

/// Whether a backward pass through the layer needs `z`.
pub(super) fn needs_z(dense: &Dense) -> bool {
    dense.activation().needs_z()
}

/// The values of `batch` samples from which the derivative is computed.
pub(super) fn saved<'l>(dense: &Dense, z: &'l Values, a: &'l Values, batch: usize) -> Saved<'l> {
    let len = batch * dense.outputs();
    if needs_z(dense) { Saved::z(&z[..len]) } else { Saved::from(&a[..len]) }
}
