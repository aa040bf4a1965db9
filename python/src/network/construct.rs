//! How a network is made, and made again from a pickle.

use super::{Core, Network};
use crate::errors::raise;
use crate::optimizer;
use crate::settings;
use crate::shared::Shared;
use crate::teams::team;
use fused_dense::{Activation, Adam, Cost, Error, Init, Optimizer, Summation, Threads};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// All that a network is made from, but for its optimiser.
pub(crate) struct Recipe {
    pub(crate) inputs: usize,
    pub(crate) layers: Vec<(usize, Activation)>,
    pub(crate) cost: Cost,
    pub(crate) threads: usize,
    /// Those threads themselves.
    team: Threads,
    pub(crate) max_batch: usize,
    init: Option<Init>,
    seed: u64,
    class_weights: Option<Vec<f32>>,
    positive_weight: Option<f32>,
    summation: Summation,
    is_guarded: bool,
}

impl Recipe {
    pub(crate) fn build(&self, optimizer: Optimizer) -> Result<Core, Error> {
        let builder = Core::builder(self.inputs)
            .cost(self.cost)
            .optimizer(optimizer)
            .seed(self.seed)
            .threads(self.team.clone())
            .summation(self.summation)
            .max_batch(self.max_batch);
        let builder =
            self.layers.iter().fold(builder, |builder, &(outputs, activation)| builder.layer(outputs, activation));
        let builder = self.init.into_iter().fold(builder, |builder, init| builder.init(init));
        let builder = self.class_weights.iter().fold(builder, |builder, weights| builder.class_weights(&weights[..]));
        let builder = self.positive_weight.into_iter().fold(builder, |builder, weight| builder.positive_weight(weight));
        if self.is_guarded { builder.build() } else { builder.unguarded().build() }
    }
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (inputs, layers, *, cost = "quadratic", optimizer = None, init = None, seed = 0, threads = None,
                        max_batch = None, class_weights = None, positive_weight = None, summation = "auto", guarded = true),
           text_signature = "(inputs, layers, *, cost='quadratic', optimizer=None, init=None, seed=0, threads=1, \
                             max_batch=256, class_weights=None, positive_weight=None, summation='auto', guarded=True)")]
    #[allow(clippy::too_many_arguments)] // they are Python's keywords
    fn new(
        py: Python<'_>,
        inputs: &Bound<'_, PyAny>,
        layers: &Bound<'_, PyAny>,
        cost: &str,
        optimizer: Option<&Bound<'_, PyAny>>,
        init: Option<&str>,
        seed: u64,
        threads: Option<&Bound<'_, PyAny>>,
        max_batch: Option<&Bound<'_, PyAny>>,
        class_weights: Option<Vec<f32>>,
        positive_weight: Option<f32>,
        summation: &str,
        guarded: bool,
    ) -> PyResult<Self> {
        let optimizer = optimizer.map_or(Ok(Adam::new(0.001).into()), optimizer::read)?;
        let threads = threads.map_or(Ok(1), settings::threads)?;
        let recipe = Recipe {
            inputs: settings::count("inputs", inputs, 1)?,
            layers: settings::layers(layers)?,
            cost: settings::cost(cost)?,
            threads,
            team: team(threads),
            max_batch: max_batch.map_or(Ok(256), |samples| settings::count("max_batch", samples, 1))?,
            init: init.map(settings::init).transpose()?,
            seed,
            class_weights,
            positive_weight,
            summation: settings::summation(summation)?,
            is_guarded: guarded,
        };
        let core = py.detach(|| recipe.build(optimizer)).map_err(raise)?;
        Ok(Self { recipe, core: Shared::new(core) })
    }

    /// The arguments of a network like this one, whose state a pickle then sets.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let recipe = &self.recipe;
        let layers: Vec<(usize, String)> =
            recipe.layers.iter().map(|&(outputs, activation)| (outputs, activation.to_string())).collect();
        let keywords = PyDict::new(py);
        keywords.set_item("cost", settings::cost_name(recipe.cost))?;
        keywords.set_item("optimizer", optimizer::write(py, self.core.glance(py, Core::optimizer)?)?)?;
        // No value of it stays, so that none is drawn.
        keywords.set_item("init", Init::Zeros.to_string())?;
        keywords.set_item("threads", recipe.threads)?;
        keywords.set_item("max_batch", recipe.max_batch)?;
        keywords.set_item("class_weights", recipe.class_weights.clone())?;
        keywords.set_item("positive_weight", recipe.positive_weight)?;
        keywords.set_item("summation", settings::summation_name(recipe.summation))?;
        keywords.set_item("guarded", recipe.is_guarded)?;
        Ok(((recipe.inputs, layers).into_pyobject(py)?, keywords))
    }
}
