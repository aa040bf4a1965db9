//! The library of this repository.

use super::{Contender, Plan, Routine};
use crate::bench::buffer::Buffer;
use crate::bench::shape::{Shape, Weights};
use crate::bench::training::{RATE, Training};
use crate::bench::workload::{Quantity, Task, Workload};
use crate::machine::affinity::keep_to_core;
use anyhow::Context;
use fused_dense::{Activation, Cost, Dense, Gradients, Isa, Network, PackedWeights, Sgd, Team, Threads, Upstream};
use std::hint::black_box;

/// Our layer, on one instruction set or any below it.
pub struct Fused {
    pub isa: Isa,
    pub sharing: Sharing,
    /// How it gets the weights of single layers.
    pub weights: Weights,
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
            Task::Step(training) => Box::new(self.step(training, threads)?),
        }))
    }
}

impl Fused {
    fn threads(&self, threads: usize) -> Threads {
        match (threads, self.sharing) {
            (1, _) => Threads::Serial,
            (_, Sharing::Team) => Team::with_start(threads, keep_to_core).into(),
            (_, Sharing::Pool) => Threads::CurrentPool { max: threads },
        }
    }

    fn layer(&self, Shape { inputs, outputs, .. }: Shape, threads: &Threads) -> anyhow::Result<Dense> {
        let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_isa(self.isa).with_threads(threads.clone());
        layer.isa().with_context(|| format!("no kernels for {}", self.isa))?;
        Ok(layer)
    }

    fn weights_of<'a>(&self, layer: &Dense, work: &'a Workload) -> anyhow::Result<OurWeights<'a>> {
        Ok(match self.weights {
            Weights::Plain => OurWeights::Plain(&work.w),
            Weights::Packed => OurWeights::Packed(layer.pack(&*work.w)?),
        })
    }

    fn step<'a>(&self, training: &'a Training, threads: usize) -> anyhow::Result<Step<'a>> {
        let threads = self.threads(threads);
        let layers = training
            .network
            .layers()
            .map(|shape| self.layer(shape, &threads))
            .collect::<anyhow::Result<Vec<Dense>>>()?;
        let network = Network::of(layers).cost(Cost::BinaryCrossEntropy).optimizer(Sgd::new(RATE));
        let mut network = network.max_batch(training.network.batch).build()?;
        for (layer, (w, b)) in network.layers_mut().iter_mut().zip(&training.parameters) {
            layer.w_mut().copy_from_slice(w);
            layer.b_mut().copy_from_slice(b);
        }
        Ok(Step { network, training })
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

struct Step<'a> {
    network: Network,
    training: &'a Training,
}

impl Routine for Step<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        black_box(self.network.step(&*self.training.x, &*self.training.y)?);
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        let layers = self.network.layers().iter();
        Ok(layers.flat_map(|layer| [Quantity::new("w", layer.w()), Quantity::new("b", layer.b())]).collect())
    }
}
