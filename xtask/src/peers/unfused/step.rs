//! A whole training step. The update by plain descent belongs to the product that makes the gradient; other optimisers have
//! a pass over gradient, parameters and state.

use super::{Factor, Sgemm, Unfused};
use crate::bench::buffer::Buffer;
use crate::bench::recipe::{Cost, Rule};
use crate::bench::shape::Shape;
use crate::bench::training::{Parameters, Training};
use crate::bench::workload::Quantity;
use crate::peers::{Routine, passes};
use fused_dense::loss;
use std::hint::black_box;

pub struct Step<'a, G> {
    library: &'a Unfused<G>,
    training: &'a Training,
    threads: usize,
    steps: u64,
    layers: Vec<Layer>,
    /// The last layer's pre-activation, from which the cost is computed.
    z: Buffer,
}

struct Layer {
    shape: Shape,
    w: Buffer,
    b: Buffer,
    state: Vec<[Buffer; 2]>,
    a: Buffer,
    d_a: Buffer,
    dz: Buffer,
    /// Empty where the product adds to the weights themselves.
    d_w: Buffer,
    d_b: Buffer,
}

fn copied(buffer: &Buffer) -> Buffer {
    buffer.iter().copied().collect()
}

impl Layer {
    fn new(shape: Shape, Parameters { w, b, state }: &Parameters) -> Self {
        let room = || Buffer::unwritten(shape.batch * shape.outputs);
        Self {
            shape,
            w: copied(w),
            b: copied(b),
            state: state.iter().map(|arrays| arrays.each_ref().map(copied)).collect(),
            a: room(),
            d_a: room(),
            dz: room(),
            d_w: Buffer::unwritten(if state.is_empty() { 0 } else { w.len() }),
            d_b: Buffer::unwritten(shape.outputs),
        }
    }
}

impl<'a, G> Step<'a, G> {
    pub fn new(library: &'a Unfused<G>, training: &'a Training, threads: usize) -> Self {
        let pairs = training.network.layers().zip(&training.layers);
        let layers: Vec<Layer> = pairs.map(|(shape, parameters)| Layer::new(shape, parameters)).collect();
        let z = Buffer::unwritten(layers[layers.len() - 1].a.len());
        Self { library, training, threads, steps: training.steps_before, layers, z }
    }
}

impl<G: Sgemm> Step<'_, G> {
    fn forward(&mut self) {
        let last = self.layers.len() - 1;
        for index in 0..=last {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { shape: Shape { batch, inputs, outputs }, w, b, a, .. } = &mut rest[0];
            let a_prev = before.last().map_or(&*self.training.x, |layer| &*layer.a);
            let a_prev = Factor::row_major(a_prev, *batch, *inputs);
            let w = Factor::row_major(w, *outputs, *inputs);
            let to = if index == last { &mut self.z } else { &mut *a };
            self.library.gemm.sgemm(self.threads, 1.0, a_prev, w.transposed(), 0.0, to);
            if index == last {
                passes::add_bias(to, b);
            } else {
                self.library.activate(self.training.recipe.hidden(), to, b);
            }
        }
    }

    /// The cost, and the last layer's `dz`. Nobody else has passes for the cost: everybody gets ours.
    fn top(&mut self) -> anyhow::Result<()> {
        let Layer { shape: Shape { outputs, .. }, a, d_a, dz, .. } =
            self.layers.last_mut().expect("a network has a layer");
        let (targets, y) = (self.training.targets_of(0..self.training.samples), self.training.values());
        match self.training.recipe.cost() {
            Cost::BinaryCrossEntropy => {
                black_box(loss::binary_cross_entropy_from_z(&self.z, y, *outputs)?);
                a.copy_from_slice(&self.z);
                passes::sigmoid(a);
                passes::difference(a, y, dz);
            }
            Cost::Quadratic => {
                a.copy_from_slice(&self.z);
                passes::sigmoid(a);
                black_box(loss::quadratic(a, y, *outputs)?);
                passes::difference(a, y, d_a);
                passes::sigmoid_backward(d_a, a, dz);
            }
            Cost::SoftmaxCrossEntropy => {
                black_box(loss::softmax_cross_entropy(&self.z, targets, *outputs)?);
                loss::softmax_cross_entropy_gradient(&self.z, targets, dz, *outputs)?;
            }
        }
        Ok(())
    }

    fn backward(&mut self) {
        let (hidden, rule) = (self.training.recipe.hidden(), self.training.rule);
        let mean = 1.0 / self.training.network.batch as f32;
        let update = Update::new(rule, self.steps);
        let last = self.layers.len() - 1;
        for index in (0..=last).rev() {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { shape: Shape { batch, inputs, outputs }, w, b, state, a, d_a, dz, d_w, d_b } = &mut rest[0];
            if index == last {
                passes::column_sums(dz, mean, d_b);
            } else {
                self.library.derive(hidden, d_a, a, mean, dz, d_b);
            }
            let dz = Factor::row_major(dz, *batch, *outputs);
            let a_prev = match before.last_mut() {
                Some(layer) => {
                    let w = Factor::row_major(w, *outputs, *inputs);
                    self.library.gemm.sgemm(self.threads, 1.0, dz, w, 0.0, &mut layer.d_a);
                    &*layer.a
                }
                None => &*self.training.x,
            };
            let a_prev = Factor::row_major(a_prev, *batch, *inputs);
            if let Rule::Descent { rate } = rule {
                self.library.gemm.sgemm(self.threads, -rate * mean, dz.transposed(), a_prev, 1.0, w);
            } else {
                self.library.gemm.sgemm(self.threads, mean, dz.transposed(), a_prev, 0.0, d_w);
                update.apply(w, d_w, state, 0);
            }
            update.apply(b, d_b, state, 1);
        }
    }
}

/// An optimiser's step.
enum Update {
    Descent { rate: f32 },
    Momentum { rate: f32, momentum: f32 },
    Adam(passes::AdamStep),
}

impl Update {
    fn new(rule: Rule, step: u64) -> Self {
        match rule {
            Rule::Descent { rate } => Self::Descent { rate },
            Rule::Momentum { rate, momentum } => Self::Momentum { rate, momentum },
            Rule::Adam { rate, betas, epsilon } => {
                let left = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
                let (rate, root) = (f64::from(rate) / left(betas.0), 1.0 / left(betas.1).sqrt());
                Self::Adam(passes::AdamStep { betas, epsilon, rate: rate as f32, root: root as f32 })
            }
        }
    }

    /// Updates weights or a bias, which have the first or the second of the state's arrays.
    fn apply(&self, parameter: &mut [f32], gradient: &[f32], state: &mut [[Buffer; 2]], which: usize) {
        match (self, state) {
            (Self::Momentum { rate, momentum }, [v]) => {
                passes::momentum(parameter, gradient, &mut v[which], *rate, *momentum);
            }
            (Self::Adam(step), [m, v]) => passes::adam(parameter, gradient, &mut m[which], &mut v[which], step),
            (Self::Descent { rate }, []) => {
                parameter.iter_mut().zip(gradient).for_each(|(parameter, gradient)| *parameter -= rate * gradient);
            }
            _ => unreachable!("a rule has as many arrays as it says"),
        }
    }
}

impl<G: Sgemm> Routine for Step<'_, G> {
    fn run(&mut self) -> anyhow::Result<()> {
        self.steps += 1;
        self.forward();
        self.top()?;
        self.backward();
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        let of_layer = |layer: &Layer| {
            let state =
                layer.state.iter().flat_map(|[w, b]| [Quantity::new("state_w", w), Quantity::new("state_b", b)]);
            [Quantity::new("w", &layer.w), Quantity::new("b", &layer.b)].into_iter().chain(state).collect::<Vec<_>>()
        };
        Ok(self.layers.iter().flat_map(of_layer).collect())
    }
}
