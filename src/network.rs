//! Layers in a chain that own their parameters, and one step of gradient descent through all of them.

use crate::cost::Cost;
use crate::error::{Error, Operand};
use crate::layer::{Dense, Gradients, Outputs, Update, Upstream};
use crate::loss;
use crate::matrix::{Input, check_len};

/// One layer of a [`Network`] with its parameters and their gradients.
///
/// ```
/// use fused_dense::{Activation, Cost, Dense, Network};
///
/// let layers = [Dense::new(1, 1, Activation::Identity)];
/// let mut network = Network::new(layers, Cost::Quadratic, 1)?;
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
    dense: Dense,
    w: Vec<f32>,
    b: Vec<f32>,
    d_w: Vec<f32>,
    d_b: Vec<f32>,
    /// Room for `max_batch` rows.
    a: Vec<f32>,
    d_a: Vec<f32>,
    max_batch: usize,
}

impl Layer {
    /// With all parameters zero; `None` where memory cannot be had.
    fn new(dense: Dense, max_batch: usize) -> Option<Self> {
        let (inputs, outputs) = (dense.inputs(), dense.outputs());
        Some(Self {
            w: zeros(outputs, inputs)?,
            b: zeros(1, outputs)?,
            d_w: zeros(outputs, inputs)?,
            d_b: zeros(1, outputs)?,
            a: zeros(max_batch, outputs)?,
            d_a: zeros(max_batch, outputs)?,
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

    /// The cost's gradient by the weights, of the last [`Network::gradients`]; after a [`Network::step`] it is none.
    pub fn d_w(&self) -> &[f32] {
        &self.d_w
    }

    /// The cost's gradient by the bias, of the last [`Network::gradients`].
    pub fn d_b(&self) -> &[f32] {
        &self.d_b
    }

    /// Weights and bias, each beside its gradient: what an optimiser works on.
    pub fn parameters_mut(&mut self) -> [(&mut [f32], &[f32]); 2] {
        [(&mut self.w, &self.d_w), (&mut self.b, &self.d_b)]
    }
}

/// Dense layers in a chain, trained by gradient descent on mini-batches.
///
/// The network owns parameters, activations and gradients, all allocated when it is made: no call allocates, but for
/// what a rayon pool's tasks take. Parameters start at zero; give the weights values of your own, since layers of equal
/// weights stay equal.
///
/// ```
/// use fused_dense::{Activation, Cost, Dense, Network};
///
/// // Exclusive or: the smallest problem that needs a hidden layer.
/// let x = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let y = [0.0, 1.0, 1.0, 0.0];
///
/// let layers = [Dense::new(2, 2, Activation::Tanh), Dense::new(2, 1, Activation::Sigmoid)];
/// let mut network = Network::new(layers, Cost::BinaryCrossEntropy, 4)?;
/// network.layers_mut()[0].w_mut().copy_from_slice(&[1.0, -1.0, -1.0, 1.0]);
/// network.layers_mut()[1].w_mut().copy_from_slice(&[1.0, 1.0]);
///
/// for _ in 0..200 {
///     network.step(&x, &y, 1.0)?;
/// }
/// let a = network.forward(&x)?;
/// assert!(a.iter().zip(y).all(|(a, y)| a.round() == y));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    cost: Cost,
    max_batch: usize,
    /// Each layer's inputs and outputs, which a layer that takes its place has to have.
    places: Vec<(usize, usize)>,
    /// The last layer's pre-activation.
    z: Vec<f32>,
}

impl Network {
    /// Chains layers, from the input's to the output's, for batches of up to `max_batch` samples.
    ///
    /// Each layer keeps its own options (threads, order of summation, instruction set). Where layers share a team or a
    /// pool, a call enters it once for all of them.
    ///
    /// # Errors
    /// [`Error::NoLayers`] and [`Error::Chain`] where the layers make no chain, [`Error::CostNeedsActivation`] where
    /// the cost does not fit the last layer, [`Error::NetworkTooLarge`] where memory cannot be had, and what is wrong
    /// with a layer's instruction set.
    pub fn new(layers: impl IntoIterator<Item = Dense>, cost: Cost, max_batch: usize) -> Result<Self, Error> {
        let mut chain: Vec<Layer> = Vec::new();
        for dense in layers {
            dense.isa()?;
            if let Some(before) = chain.last()
                && before.dense.outputs() != dense.inputs()
            {
                let (expected, found) = (before.dense.outputs(), dense.inputs());
                return Err(Error::Chain { layer: chain.len(), expected, found });
            }
            let too_large = Error::NetworkTooLarge { layer: chain.len(), max_batch };
            chain.push(Layer::new(dense, max_batch).ok_or(too_large)?);
        }
        let last = &chain.last().ok_or(Error::NoLayers)?.dense;
        check_cost(cost, last)?;
        let too_large = Error::NetworkTooLarge { layer: chain.len() - 1, max_batch };
        let z = zeros(max_batch, last.outputs()).ok_or(too_large)?;
        let places = chain.iter().map(|layer| (layer.dense.inputs(), layer.dense.outputs())).collect();
        Ok(Self { layers: chain, cost, max_batch, places, z })
    }

    /// The layers, from the input's to the output's.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers, with parameters to be initialised or changed.
    ///
    /// A whole layer may be exchanged for another network's of the same shape with room for as many samples; every call
    /// refuses what does not fit ([`Error::Exchanged`]).
    pub fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    /// The cost that a step descends.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The most samples in one call.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// The network's output `a: batch × outputs` for `x: batch × inputs`.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`], [`Error::Exchanged`], and where `x` has the wrong size or shape.
    pub fn forward<'a>(&mut self, x: impl Into<Input<'a>>) -> Result<&[f32], Error> {
        let x = x.into();
        let batch = self.batch(x)?.unwrap_or(0);
        self.in_session(x, |network| network.forward_pass(x, batch))?;
        let output = self.layers.last().ok_or(Error::NoLayers)?;
        Ok(&output.a[..batch * output.dense.outputs()])
    }

    /// One pass forward and one backward: the cost of the batch, and its gradients by all parameters
    /// ([`Layer::d_w`], [`Layer::d_b`]), for an optimiser of your own ([`Layer::parameters_mut`]).
    ///
    /// `x: batch × inputs`, the targets `y: batch × outputs`. Gradients are means over the batch, as the cost is. An empty batch
    /// has cost 0 and gradients 0.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`], [`Error::Exchanged`], and where `x` or `y` has the wrong size or shape; no gradient is
    /// touched then.
    pub fn gradients<'a>(&mut self, x: impl Into<Input<'a>>, y: &[f32]) -> Result<f64, Error> {
        let x = x.into();
        self.in_session(x, |network| network.both_passes(x, y, None))
    }

    /// The cost, and the gradients or, with a learning rate, a step by them.
    fn both_passes(&mut self, x: Input<'_>, y: &[f32], learning_rate: Option<f32>) -> Result<f64, Error> {
        let outputs = self.layers.last().ok_or(Error::NoLayers)?.dense.outputs();
        let batch = match self.batch(x)? {
            Some(batch) => batch,
            None => self.fitting(Input::Slice(y).batch(Operand::Targets, outputs)?.unwrap_or(0))?,
        };
        check_len(Operand::Targets, y.len(), batch, outputs)?;
        self.forward_pass(x, batch)?;
        self.backward_pass(x, y, batch, learning_rate)
    }

    /// One step of gradient descent, `w -= η·dw` and `b -= η·db`: returns the cost of the batch before the step.
    ///
    /// `x: batch × inputs`, the targets `y: batch × outputs`, `η` the learning rate. Each layer is updated within its backward pass
    /// ([`Dense::backward_update`]), each parameter by one fused multiply-add.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients); no parameter is touched then.
    pub fn step<'a>(&mut self, x: impl Into<Input<'a>>, y: &[f32], learning_rate: f32) -> Result<f64, Error> {
        let x = x.into();
        self.in_session(x, |network| network.both_passes(x, y, Some(learning_rate)))
    }

    /// Runs a step as one session of the threads that the layers share: of those of the first layer that has any.
    fn in_session<R: Send>(
        &mut self,
        x: Input<'_>,
        step: impl FnOnce(&mut Self) -> Result<R, Error> + Send,
    ) -> Result<R, Error> {
        let sharing = self.layers.iter().map(|layer| &layer.dense).find(|dense| dense.threads().max() > 1);
        let Some(sharing) = sharing else { return step(self) };
        let batch = self.batch(x)?.unwrap_or(0);
        let cycles = self.layers.iter().map(|layer| layer.dense.step_cycles(batch)).sum();
        let parameters = self.layers.iter().map(|layer| layer.w.len()).sum();
        let (threads, pays) = (sharing.threads().clone(), sharing.step_pays(cycles, parameters));
        threads.session(cycles, pays, || step(self))
    }

    /// Samples in `x`; `None` where the first layer has no inputs and a slice cannot tell.
    fn batch(&self, x: Input<'_>) -> Result<Option<usize>, Error> {
        self.check_layers()?;
        let inputs = self.layers.first().ok_or(Error::NoLayers)?.dense.inputs();
        let Some(batch) = x.batch(Operand::X, inputs)? else { return Ok(None) };
        // Checked here, where it has its own name: the first layer would call it `a_prev`.
        x.source(Operand::X, batch, inputs)?;
        self.fitting(batch).map(Some)
    }

    /// Whether each layer still fits its place: a caller may have exchanged it for another.
    fn check_layers(&self) -> Result<(), Error> {
        for (index, (layer, &(inputs, outputs))) in self.layers.iter().zip(&self.places).enumerate() {
            let found = (layer.dense.inputs(), layer.dense.outputs(), layer.max_batch);
            if (found.0, found.1) != (inputs, outputs) || found.2 < self.max_batch {
                return Err(Error::Exchanged { layer: index, expected: (inputs, outputs, self.max_batch), found });
            }
        }
        self.layers.last().map_or(Ok(()), |last| check_cost(self.cost, &last.dense))
    }

    fn fitting(&self, batch: usize) -> Result<usize, Error> {
        if batch <= self.max_batch {
            Ok(batch)
        } else {
            Err(Error::BatchTooLarge { max: self.max_batch, found: batch })
        }
    }

    /// Every layer's `a`, and the last one's `z`.
    fn forward_pass(&mut self, x: Input<'_>, batch: usize) -> Result<(), Error> {
        let (last, hidden) = self.layers.split_last_mut().ok_or(Error::NoLayers)?;
        let mut a_prev = x;
        for Layer { dense, w, b, a, .. } in hidden {
            let a = &mut a[..batch * dense.outputs()];
            dense.forward(a_prev, &*w, &*b, &mut *a)?;
            a_prev = Input::Slice(a);
        }
        let rows = ..batch * last.dense.outputs();
        last.dense.forward(a_prev, &last.w, &last.b, Outputs::new(&mut last.a[rows]).z(&mut self.z[rows]))
    }

    /// The cost, and from the last layer to the first the gradients that lead to it, or a step by them.
    fn backward_pass(
        &mut self,
        x: Input<'_>,
        y: &[f32],
        batch: usize,
        learning_rate: Option<f32>,
    ) -> Result<f64, Error> {
        let Layer { dense, a, d_a, .. } = self.layers.last_mut().ok_or(Error::NoLayers)?;
        let outputs = dense.outputs();
        let rows = ..batch * outputs;
        let cost = match self.cost {
            Cost::BinaryCrossEntropy => loss::binary_cross_entropy_from_z(&self.z[rows], y, outputs)?,
            Cost::Quadratic => {
                loss::quadratic_gradient(&a[rows], y, &mut d_a[rows])?;
                loss::quadratic(&a[rows], y, outputs)?
            }
            // Behind the identity, the gradient by `z` is the one by `a`.
            Cost::SoftmaxCrossEntropy => {
                loss::softmax_cross_entropy_gradient(&self.z[rows], y, &mut d_a[rows], outputs)?;
                loss::softmax_cross_entropy(&self.z[rows], y, outputs)?
            }
        };

        // An empty batch has gradients 0, not 0 · ∞.
        let scale = 1.0 / batch.max(1) as f32;
        let mut targets = (self.cost == Cost::BinaryCrossEntropy).then_some(y);
        let mut above = &mut self.layers[..];
        while let Some((layer, below)) = above.split_last_mut() {
            let Layer { dense, w, b, a, d_a, d_w, d_b, .. } = layer;
            let a = &a[..batch * dense.outputs()];
            let upstream = match targets.take() {
                Some(y) => Upstream::Targets(y),
                None => Upstream::Activation(&d_a[..a.len()]),
            };
            // Nobody asks for the gradient by `x`.
            let (a_prev, d_a_prev) = match below.last_mut() {
                None => (x, None),
                Some(Layer { dense, a, d_a, .. }) => {
                    let rows = ..batch * dense.outputs();
                    (Input::Slice(&a[rows]), Some(&mut d_a[rows]))
                }
            };
            match learning_rate {
                None => {
                    let gradients = Gradients::new().w(d_w).b(d_b).scale(scale);
                    let gradients = match d_a_prev {
                        None => gradients,
                        Some(d_a_prev) => gradients.a_prev(d_a_prev),
                    };
                    dense.backward(a_prev, &*w, a, upstream, gradients)?;
                }
                Some(learning_rate) => {
                    let update = Update::new(learning_rate).b(b).partial_sums(d_w).scale(scale);
                    let update = match d_a_prev {
                        None => update,
                        Some(d_a_prev) => update.a_prev(d_a_prev),
                    };
                    dense.backward_update(a_prev, w, a, upstream, update)?;
                }
            }
            above = below;
        }
        Ok(cost)
    }
}

/// Whether the cost fits the last layer.
fn check_cost(cost: Cost, last: &Dense) -> Result<(), Error> {
    let found = last.activation();
    match cost.activation() {
        Some(expected) if expected != found => Err(Error::CostNeedsActivation { cost, expected, found }),
        _ => Ok(()),
    }
}

/// `rows · cols` zeros; `None` where memory cannot be had.
fn zeros(rows: usize, cols: usize) -> Option<Vec<f32>> {
    let len = rows.checked_mul(cols)?;
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).ok()?;
    zeros.resize(len, 0.0);
    Some(zeros)
}
