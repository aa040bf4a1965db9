//! The class `Network`.

mod construct;
mod dict;
mod files;
mod fit;
mod names;
pub(crate) mod state;
mod steps;
mod stretches;
mod use_only;

pub(crate) use construct::Recipe;

use crate::errors::raise;
use crate::shared::Shared;
use crate::{optimizer, settings};
use pyo3::prelude::*;

/// The crate's network.
pub(crate) type Core = fused_dense::Network;

/// Dense layers in a chain, trained on mini-batches of float32.
///
/// inputs is the number of values of a sample; layers are pairs of a number of outputs and the name of an activation, such as
/// (30, "relu"): identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, gelu, gelu_tanh, of which leaky_relu(0.1) and
/// elu(0.5) have a parameter. The other arguments:
///
/// - cost: "quadratic", "binary_cross_entropy" behind a sigmoid, "softmax_cross_entropy" behind the identity;
/// - optimizer: Sgd(...), Adam(...), which is the default, or the learning rate of plain gradient descent;
/// - init: "zeros", "glorot-uniform", "glorot-normal", "he-uniform", "he-normal", "lecun-uniform", "lecun-normal"; by default
///   the one that suits each activation. seed: that of the initial weights, the same on every platform;
/// - threads: on which the work is shared out where that pays. The bits of results do not depend on it;
/// - max_batch: the most samples of one call that trains;
/// - class_weights: a weight for each class or output. positive_weight: for targets of 1 in binary cross-entropy;
/// - summation: "auto", "chain" or "lanes", the order in which the terms of a sum are added. With the other two, a sample's
///   prediction does not depend on the batch that it is in;
/// - guarded: whether a step that is not finite is refused with a DivergenceError.
///
/// Arrays are numpy's, of float32, and read where they are. A call that computes releases the interpreter's lock; meanwhile no
/// other thread should write to its arrays. Several threads may use one network: calls that only read run beside each other,
/// calls that train one after the other.
#[pyclass(frozen, subclass, module = "fused_dense")]
pub(crate) struct Network {
    pub(crate) recipe: Recipe,
    pub(crate) core: Shared<Core>,
}

impl Network {
    pub(crate) fn inputs(&self) -> usize {
        self.recipe.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.recipe.layers.last().map_or(0, |&(outputs, _)| outputs)
    }
}

#[pymethods]
impl Network {
    /// Values of a sample.
    #[getter(inputs)]
    fn py_inputs(&self) -> usize {
        self.inputs()
    }

    /// Outputs of the last layer.
    #[getter(outputs)]
    fn py_outputs(&self) -> usize {
        self.outputs()
    }

    /// The most samples of a call that trains.
    #[getter]
    fn max_batch(&self) -> usize {
        self.recipe.max_batch
    }

    /// The threads that its work may run on.
    #[getter]
    fn threads(&self) -> usize {
        self.recipe.threads
    }

    /// The name of the cost.
    #[getter]
    fn cost(&self) -> String {
        settings::cost_name(self.recipe.cost)
    }

    /// The number of outputs and the activation of each layer.
    #[getter]
    fn layers(&self) -> Vec<(usize, String)> {
        self.recipe.layers.iter().map(|&(outputs, activation)| (outputs, activation.to_string())).collect()
    }

    /// Steps taken so far.
    #[getter]
    fn steps(&self, py: Python<'_>) -> PyResult<u64> {
        self.core.glance(py, Core::steps)
    }

    /// The optimiser with its settings as they are now.
    #[getter]
    fn optimizer(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        optimizer::write(py, self.core.glance(py, Core::optimizer)?)
    }

    #[setter]
    fn set_optimizer(&self, py: Python<'_>, optimizer: &Bound<'_, PyAny>) -> PyResult<()> {
        let optimizer = optimizer::read(optimizer)?;
        self.core.write(py, |core| core.set_optimizer(optimizer))?.map_err(raise)
    }

    /// The learning rate of the next step.
    #[getter]
    fn learning_rate(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(settings::as_written(self.core.glance(py, |core| core.optimizer().learning_rate())?))
    }

    #[setter]
    fn set_learning_rate(&self, py: Python<'_>, rate: f32) -> PyResult<()> {
        self.core.write(py, |core| core.set_learning_rate(rate))?.map_err(raise)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let optimizer = self.optimizer(py)?.bind(py).repr()?.to_string();
        let layers: Vec<String> =
            self.layers().into_iter().map(|(outputs, activation)| format!("({outputs}, '{activation}')")).collect();
        let (inputs, layers, cost) = (self.inputs(), layers.join(", "), self.cost());
        Ok(format!("Network({inputs}, [{layers}], cost='{cost}', optimizer={optimizer})"))
    }
}
