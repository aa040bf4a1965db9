//! The library of this repository.

use super::{Contender, Plan, Routine};
use crate::bench::buffer::Buffer;
use crate::bench::recipe::{Cost, Hidden, Recipe, Rule};
use crate::bench::shape::{Shape, Weights};
use crate::bench::training::Training;
use crate::bench::workload::{Quantity, Task, Workload};
use crate::machine::affinity::keep_to_core;
use anyhow::Context;
use fused_dense::{
    Activation, Adam, Dense, Fit, Gradients, Isa, Network, Optimizer, PackedWeights, Parameter, Sgd, Team, Threads,
    Tuning, Update, Upstream,
};
use std::hint::black_box;

/// Our layer, on one instruction set or any below it.
pub struct Fused {
    pub isa: Isa,
    pub sharing: Sharing,
    /// How it gets the weights of single layers.
    pub weights: Weights,
    /// The tuning row of single layers, where it is not the one that they take by themselves.
    pub tuning: Option<&'static Tuning>,
}

/// The threads that share our work out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sharing {
    /// A team of the library's own
    Team,
    /// The rayon pool that calls are made in
    Pool,
}

impl Contender for Fused {
    fn name(&self) -> &str {
        match self.weights {
            Weights::Plain => "fused-dense",
            Weights::Packed => "fused-dense-packed",
        }
    }

    fn version(&self) -> &str {
        "of this repository"
    }

    fn is_held_to(&self, isa: Isa) -> bool {
        self.isa <= isa
    }

    fn weights(&self) -> Weights {
        self.weights
    }

    fn plan<'a>(&'a self, task: Task<'a>, threads: usize) -> anyhow::Result<Plan<'a>> {
        Ok(Plan::Ready(match task {
            Task::Forward(work) => {
                let layer = self.layer(work.shape, &self.threads(threads))?;
                let w = self.weights_of(&layer, work)?;
                Box::new(Forward { layer, work, w, a: Buffer::unwritten(work.shape.batch * work.shape.outputs) })
            }
            Task::Backward(work) => {
                let Shape { batch, inputs, outputs } = work.shape;
                let layer = self.layer(work.shape, &self.threads(threads))?;
                let w = self.weights_of(&layer, work)?;
                Box::new(Backward {
                    layer,
                    work,
                    w,
                    d_w: Buffer::unwritten(outputs * inputs),
                    d_b: Buffer::unwritten(outputs),
                    d_a_prev: Buffer::unwritten(batch * inputs),
                })
            }
            Task::Step(training) => {
                Box::new(Step { network: network(training, self.isa, self.threads(threads))?, training })
            }
            Task::Epoch(training) => {
                let network = network(training, self.isa, self.threads(threads))?;
                Box::new(Epoch { network, training, seed: 0 })
            }
        }))
    }
}

impl Fused {
    /// The backward pass that updates the layer's parameters, which no peer has as one call.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn update<'a>(
        &self,
        work: &'a Workload,
        threads: usize,
        optimizer: Optimizer,
    ) -> anyhow::Result<BackwardUpdate<'a>> {
        let Shape { batch, inputs, outputs } = work.shape;
        let with_state = |values: &[f32]| {
            let state = (0..optimizer.state_arrays()).map(|_| Buffer::filled(0.0, values.len())).collect();
            (values.iter().copied().collect(), state)
        };
        Ok(BackwardUpdate {
            layer: self.layer(work.shape, &self.threads(threads))?,
            work,
            optimizer,
            w: with_state(&work.w),
            b: with_state(&work.b),
            d_a_prev: Buffer::unwritten(batch * inputs),
            partial_sums: Buffer::filled(0.0, outputs * inputs),
        })
    }

    fn threads(&self, threads: usize) -> Threads {
        match (threads, self.sharing) {
            (1, _) => Threads::Serial,
            (_, Sharing::Team) => Team::with_start(threads, keep_to_core).into(),
            (_, Sharing::Pool) => Threads::CurrentPool { max: threads },
        }
    }

    fn layer(&self, Shape { inputs, outputs, .. }: Shape, threads: &Threads) -> anyhow::Result<Dense> {
        let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_isa(self.isa).with_threads(threads.clone());
        let layer = if let Some(tuning) = self.tuning { layer.with_tuning(tuning) } else { layer };
        layer.isa().with_context(|| format!("no kernels for {}", self.isa))?;
        Ok(layer)
    }

    fn weights_of<'a>(&self, layer: &Dense, work: &'a Workload) -> anyhow::Result<OurWeights<'a>> {
        Ok(match self.weights {
            Weights::Plain => OurWeights::Plain(&work.w),
            Weights::Packed => OurWeights::Packed(layer.pack(&*work.w)?),
        })
    }
}

/// Our network at the beginning of a training.
///
/// # Errors
/// Where the library fails.
pub fn network(training: &Training, isa: Isa, threads: Threads) -> anyhow::Result<Network> {
    let recipe = training.recipe;
    let mut builder = Network::builder(training.network.widths[0])
        .cost(cost(recipe))
        .optimizer(optimizer(training.rule))
        .isa(isa)
        .threads(threads)
        .max_batch(training.network.batch);
    let last = training.layers.len() - 1;
    for (index, layer) in training.network.layers().enumerate() {
        builder = builder.layer(layer.outputs, activation(recipe, index == last));
    }
    let mut network = builder.build()?;
    for (layer, parameters) in network.layers_mut().iter_mut().zip(&training.layers) {
        layer.w_mut().copy_from_slice(&parameters.w);
        layer.b_mut().copy_from_slice(&parameters.b);
        for (to, from) in layer.optimizer_state_mut().zip(&parameters.state) {
            to.into_iter().zip(from).for_each(|(to, from)| to.copy_from_slice(from));
        }
    }
    network.set_steps(training.steps_before);
    Ok(network)
}

fn activation(recipe: Recipe, is_last: bool) -> Activation {
    match (is_last, recipe.hidden(), recipe.cost()) {
        (false, Hidden::Relu, _) => Activation::Relu,
        (true, _, Cost::SoftmaxCrossEntropy) => Activation::Identity,
        (false, Hidden::Sigmoid, _) | (true, _, Cost::BinaryCrossEntropy | Cost::Quadratic) => Activation::Sigmoid,
    }
}

fn cost(recipe: Recipe) -> fused_dense::Cost {
    match recipe.cost() {
        Cost::BinaryCrossEntropy => fused_dense::Cost::BinaryCrossEntropy,
        Cost::Quadratic => fused_dense::Cost::Quadratic,
        Cost::SoftmaxCrossEntropy => fused_dense::Cost::SoftmaxCrossEntropy,
    }
}

fn optimizer(rule: Rule) -> Optimizer {
    match rule {
        Rule::Descent { rate } => Sgd::new(rate).into(),
        Rule::Momentum { rate, momentum } => Sgd::new(rate).momentum(momentum).into(),
        Rule::Adam { rate, betas, epsilon } => Adam::new(rate).betas(betas.0, betas.1).epsilon(epsilon).into(),
    }
}

/// The weights of one layer, as calls get them.
enum OurWeights<'a> {
    Plain(&'a [f32]),
    Packed(PackedWeights),
}

impl OurWeights<'_> {
    fn get(&self) -> fused_dense::Weights<'_> {
        match self {
            Self::Plain(w) => (*w).into(),
            Self::Packed(packed) => packed.into(),
        }
    }
}

struct Forward<'a> {
    layer: Dense,
    work: &'a Workload,
    w: OurWeights<'a>,
    a: Buffer,
}

impl Routine for Forward<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let Workload { x, b, .. } = self.work;
        Ok(self.layer.forward(&**x, self.w.get(), &**b, &mut *self.a)?)
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![Quantity::new("a", &self.a)])
    }
}

struct Backward<'a> {
    layer: Dense,
    work: &'a Workload,
    w: OurWeights<'a>,
    d_w: Buffer,
    d_b: Buffer,
    d_a_prev: Buffer,
}

impl Routine for Backward<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let Workload { x, a, d_a, scale, .. } = self.work;
        let gradients = Gradients::new().w(&mut *self.d_w).b(&mut *self.d_b).a_prev(&mut *self.d_a_prev).scale(*scale);
        Ok(self.layer.backward(&**x, self.w.get(), &**a, Upstream::Activation(&**d_a), gradients)?)
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![
            Quantity::new("d_w", &self.d_w),
            Quantity::new("d_b", &self.d_b),
            Quantity::new("d_a_prev", &self.d_a_prev),
        ])
    }
}

/// A backward pass with the step of an optimiser, on parameters of its own.
pub struct BackwardUpdate<'a> {
    layer: Dense,
    work: &'a Workload,
    optimizer: Optimizer,
    /// Both parameters with the optimiser's state.
    w: (Buffer, Vec<Buffer>),
    b: (Buffer, Vec<Buffer>),
    d_a_prev: Buffer,
    partial_sums: Buffer,
}

impl Routine for BackwardUpdate<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let Workload { x, a, d_a, scale, .. } = self.work;
        let [w, b] = [&mut self.w, &mut self.b].map(|(values, state)| {
            state.iter_mut().fold(Parameter::new(&mut **values), |parameter, state| parameter.state(&mut **state))
        });
        let update = Update::new(self.optimizer).b(b).a_prev(&mut *self.d_a_prev).scale(*scale);
        let update = update.partial_sums(&mut *self.partial_sums);
        Ok(self.layer.backward_update(&**x, w, &**a, Upstream::Activation(&**d_a), update)?)
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        let of_parameter = |(values, state): &(Buffer, Vec<Buffer>), [name, its_state]: [&'static str; 2]| {
            let state = state.iter().map(move |state| Quantity::new(its_state, state)).collect::<Vec<_>>();
            std::iter::once(Quantity::new(name, values)).chain(state)
        };
        let parameters = of_parameter(&self.w, ["w", "state_w"]).chain(of_parameter(&self.b, ["b", "state_b"]));
        Ok(parameters.chain([Quantity::new("d_a_prev", &self.d_a_prev)]).collect())
    }
}

struct Step<'a> {
    network: Network,
    training: &'a Training,
}

impl Routine for Step<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let targets = self.training.targets_of(0..self.training.samples);
        black_box(self.network.step(&*self.training.x, targets)?);
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(outcome(&self.network))
    }
}

/// All that a network's training has changed.
fn outcome(network: &Network) -> Vec<Quantity> {
    let of_layer = |layer: &fused_dense::Layer| {
        let state =
            layer.optimizer_state().flat_map(|[w, b]| [Quantity::new("state_w", w), Quantity::new("state_b", b)]);
        [Quantity::new("w", layer.w()), Quantity::new("b", layer.b())].into_iter().chain(state).collect::<Vec<_>>()
    };
    network.layers().iter().flat_map(of_layer).collect()
}

struct Epoch<'a> {
    network: Network,
    training: &'a Training,
    /// Of the next epoch's order.
    seed: u64,
}

impl Epoch<'_> {
    fn fit(&mut self, samples: usize, fit: Fit<'_>) -> anyhow::Result<()> {
        let (x, targets) = (self.training.x_of(0..samples), self.training.targets_of(0..samples));
        black_box(self.network.fit(x, targets, fit.epochs(1).batch(self.training.network.batch))?);
        Ok(())
    }
}

impl Routine for Epoch<'_> {
    /// A whole `fit`, with its look at all data.
    fn run(&mut self) -> anyhow::Result<()> {
        self.seed += 1;
        self.fit(self.training.samples, Fit::new().seed(self.seed))
    }

    fn rehearse(&mut self) -> anyhow::Result<()> {
        self.fit(self.training.checked * self.training.network.batch, Fit::new().in_order())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(outcome(&self.network))
    }
}
