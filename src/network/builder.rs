//! How a network is made.

use super::layer::Layer;
use super::predict::Sessions;
use super::{Network, check_cost};
use crate::activation::Activation;
use crate::cost::Cost;
use crate::error::Error;
use crate::init::Init;
use crate::isa::Isa;
use crate::layer::Dense;
use crate::objective::Objective;
use crate::optimizer::{Adam, Optimizer};
use crate::summation::Summation;
use crate::threads::Threads;

/// The parts of a [`Network`], from the input to the output.
///
/// Without a word it has the quadratic cost, [`Adam`] with a learning rate of 0.001, batches of up to 256 samples, the
/// [initial values](Init::for_activation) that suit each activation from seed 0, and one thread.
///
/// ```
/// use fused_dense::{Activation, Adam, Cost, Init, Network, Team};
///
/// let team = Team::new(2);
/// let network = Network::builder(784)
///     .layer(100, Activation::Relu)
///     .layer(10, Activation::Identity)
///     .cost(Cost::SoftmaxCrossEntropy)
///     .optimizer(Adam::new(1e-3).decoupled_weight_decay(0.01))
///     .init(Init::HeNormal)
///     .seed(7)
///     .threads(&team)
///     .max_batch(128)
///     .build()?;
/// assert_eq!((network.inputs(), network.outputs()), (784, 10));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NetworkBuilder {
    inputs: usize,
    layers: Vec<Place>,
    cost: Cost,
    class_weights: Option<Vec<f32>>,
    positive_weight: Option<f32>,
    optimizer: Optimizer,
    init: Option<Init>,
    seed: u64,
    threads: Threads,
    isa: Option<Isa>,
    summation: Summation,
    max_batch: usize,
    is_guarded: bool,
}

/// A layer to be made, or one that the caller has set up.
#[derive(Clone, Debug)]
enum Place {
    New { outputs: usize, activation: Activation },
    Given(Box<Dense>),
}

impl Place {
    fn outputs(&self) -> usize {
        match self {
            Self::New { outputs, .. } => *outputs,
            Self::Given(dense) => dense.outputs(),
        }
    }
}

impl Network {
    /// A network of layers with options of their own, from the input's to the output's.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense, Network, Summation};
    ///
    /// let layers = [Dense::new(3, 2, Activation::Tanh), Dense::new(2, 1, Activation::Sigmoid)];
    /// let network = Network::of(layers.map(|layer| layer.with_summation(Summation::Chain))).build()?;
    /// assert_eq!(network.inputs(), 3);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    pub fn of(layers: impl IntoIterator<Item = Dense>) -> NetworkBuilder {
        let layers: Vec<Dense> = layers.into_iter().collect();
        let builder = Self::builder(layers.first().map_or(0, Dense::inputs));
        layers.into_iter().fold(builder, NetworkBuilder::dense)
    }

    /// A network for samples of so many inputs.
    pub fn builder(inputs: usize) -> NetworkBuilder {
        NetworkBuilder {
            inputs,
            layers: Vec::new(),
            cost: Cost::Quadratic,
            class_weights: None,
            positive_weight: None,
            optimizer: Adam::new(1e-3).into(),
            init: None,
            seed: 0,
            threads: Threads::Serial,
            isa: None,
            summation: Summation::Auto,
            max_batch: crate::SUM_BLOCK,
            is_guarded: true,
        }
    }
}

impl NetworkBuilder {
    /// Adds a layer of so many outputs, which takes the outputs of the one before.
    pub fn layer(mut self, outputs: usize, activation: Activation) -> Self {
        self.layers.push(Place::New { outputs, activation });
        self
    }

    /// Adds a layer with options of its own: [`threads`](Self::threads), [`isa`](Self::isa) and
    /// [`summation`](Self::summation) leave it as it is.
    pub fn dense(mut self, dense: Dense) -> Self {
        self.layers.push(Place::Given(Box::new(dense)));
        self
    }

    /// The cost that a step descends.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// Multiplies the loss of each output or class by a weight of its own.
    pub fn class_weights(self, weights: impl Into<Vec<f32>>) -> Self {
        Self { class_weights: Some(weights.into()), ..self }
    }

    /// Multiplies, in [`Cost::BinaryCrossEntropy`], the part of targets of 1 by this weight.
    pub fn positive_weight(self, weight: f32) -> Self {
        Self { positive_weight: Some(weight), ..self }
    }

    /// The rule by which a step changes parameters: [`Sgd`](crate::Sgd) or [`Adam`].
    pub fn optimizer(self, optimizer: impl Into<Optimizer>) -> Self {
        Self { optimizer: optimizer.into(), ..self }
    }

    /// The initial weights of all layers. Biases begin at zero.
    pub fn init(self, init: Init) -> Self {
        Self { init: Some(init), ..self }
    }

    /// The seed of the initial weights, which are the same on every platform.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Where the layers' work may run.
    pub fn threads(self, threads: impl Into<Threads>) -> Self {
        Self { threads: threads.into(), ..self }
    }

    /// Uses no instruction set above this one, whatever the environment says.
    pub fn isa(self, cap: Isa) -> Self {
        Self { isa: Some(cap), ..self }
    }

    /// The order in which the terms of a sum are added.
    pub fn summation(self, summation: Summation) -> Self {
        Self { summation, ..self }
    }

    /// The most samples of a batch that trains; memory for its activations is allocated at once.
    pub fn max_batch(self, samples: usize) -> Self {
        Self { max_batch: samples, ..self }
    }

    /// Lets a step go on where the cost or a gradient is infinite or NaN. The guard costs a look at each layer's input, and
    /// where weights are large or an optimiser keeps state beside many of them, that all `dz` are made before the first update.
    pub fn unguarded(self) -> Self {
        Self { is_guarded: false, ..self }
    }

    /// Plans, allocates and initialises the network.
    ///
    /// # Errors
    /// [`Error::NoLayers`] and [`Error::Chain`] where the layers make no chain, [`Error::CostNeedsActivation`] where the
    /// cost does not fit the last layer, [`Error::Length`] and [`Error::Setting`] for weights, initial values and numbers
    /// of the optimiser, [`Error::NetworkTooLarge`] where memory cannot be had, [`Error::LayerActivation`] where an activation's
    /// parameter is none, and errors of the instruction set.
    pub fn build(self) -> Result<Network, Error> {
        self.optimizer.check()?;
        let last = self.layers.last().ok_or(Error::NoLayers)?.outputs();
        let objective = Objective::new(self.cost, last, self.class_weights.as_deref(), self.positive_weight)?;
        let mut layers: Vec<Layer> = Vec::new();
        let mut inputs = self.inputs;
        for (index, place) in self.layers.iter().enumerate() {
            let dense = self.dense_of(place, inputs);
            dense.isa().map_err(|error| match error {
                Error::ActivationParameter { found } => Error::LayerActivation { layer: index, found },
                other => other,
            })?;
            if dense.inputs() != inputs {
                return Err(Error::Chain { layer: index, expected: inputs, found: dense.inputs() });
            }
            inputs = dense.outputs();
            let too_large = Error::NetworkTooLarge { layer: index, max_batch: self.max_batch };
            let mut layer = Layer::new(dense, self.max_batch, &self.optimizer).ok_or(too_large)?;
            let (rows, cols) = (layer.dense.outputs(), layer.dense.inputs());
            let init = self.init.unwrap_or(Init::for_activation(layer.dense.activation()));
            init.fill(cols, rows, self.seed, index as u64, &mut layer.w)?;
            layers.push(layer);
        }
        if let Some(last) = layers.last() {
            check_cost(self.cost, &last.dense)?;
        }
        let places = layers.iter().map(|layer| (layer.dense.inputs(), layer.dense.outputs())).collect();
        Ok(Network {
            layers,
            may_be_exchanged: false,
            objective,
            optimizer: self.optimizer,
            steps: 0,
            epochs: 0,
            batches: 0,
            max_batch: self.max_batch,
            places,
            is_guarded: self.is_guarded,
            has_gradients: false,
            largest_of_data: None,
            sessions: Sessions::default(),
        })
    }

    fn dense_of(&self, place: &Place, inputs: usize) -> Dense {
        match place {
            Place::Given(dense) => (**dense).clone(),
            Place::New { outputs, activation } => {
                let dense = Dense::new(inputs, *outputs, *activation)
                    .with_summation(self.summation)
                    .with_threads(self.threads.clone());
                match self.isa {
                    None => dense,
                    Some(cap) => dense.with_isa(cap),
                }
            }
        }
    }
}
