//! A whole training step: the update of the weights belongs to the product that makes their gradient.

use super::{Factor, Sgemm, Unfused};
use crate::bench::buffer::Buffer;
use crate::bench::shape::Shape;
use crate::bench::training::{RATE, Training};
use crate::bench::workload::Quantity;
use crate::peers::{Routine, passes};
use fused_dense::loss::binary_cross_entropy_from_z;
use std::hint::black_box;

pub struct Step<'a, G> {
    library: &'a Unfused<G>,
    training: &'a Training,
    threads: usize,
    layers: Vec<Layer>,
    /// The last layer's pre-activation, from which the cost is computed.
    z: Buffer,
}

struct Layer {
    shape: Shape,
    w: Buffer,
    b: Buffer,
    a: Buffer,
    d_a: Buffer,
    dz: Buffer,
    d_b: Buffer,
}

impl<'a, G> Step<'a, G> {
    pub fn new(library: &'a Unfused<G>, training: &'a Training, threads: usize) -> Self {
        let layers: Vec<Layer> = training
            .network
            .layers()
            .zip(&training.parameters)
            .map(|(shape, (w, b))| {
                let room = || Buffer::unwritten(shape.batch * shape.outputs);
                Layer {
                    shape,
                    w: w.iter().copied().collect(),
                    b: b.iter().copied().collect(),
                    a: room(),
                    d_a: room(),
                    dz: room(),
                    d_b: Buffer::unwritten(shape.outputs),
                }
            })
            .collect();
        Self { library, training, threads, layers, z: Buffer::unwritten(training.y.len()) }
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
            self.library.gemm.sgemm(self.threads, 1.0, a_prev, w.transposed(), 0.0, a);
            if index == last {
                passes::add_bias(a, b);
                self.z.copy_from_slice(a);
                passes::sigmoid(a);
            } else {
                self.library.activate(a, b);
            }
        }
    }

    fn backward(&mut self) {
        let rate = RATE / self.training.network.batch as f32;
        let last = self.layers.len() - 1;
        for index in (0..=last).rev() {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { shape: Shape { batch, inputs, outputs }, w, b, a, d_a, dz, d_b } = &mut rest[0];
            if index == last {
                passes::difference(a, &self.training.y, dz);
                passes::column_sums(dz, rate, d_b);
            } else {
                self.library.derive(d_a, a, rate, dz, d_b);
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
            self.library.gemm.sgemm(self.threads, -rate, dz.transposed(), a_prev, 1.0, w);
            for (b, d_b) in b.iter_mut().zip(&**d_b) {
                *b -= d_b;
            }
        }
    }
}

impl<G: Sgemm> Routine for Step<'_, G> {
    fn run(&mut self) -> anyhow::Result<()> {
        self.forward();
        let outputs = self.layers[self.layers.len() - 1].shape.outputs;
        // Nobody else has a pass for this: everybody gets ours.
        black_box(binary_cross_entropy_from_z(&self.z, &self.training.y, outputs)?);
        self.backward();
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        let of_layer = |layer: &Layer| [Quantity::new("w", &layer.w), Quantity::new("b", &layer.b)];
        Ok(self.layers.iter().flat_map(of_layer).collect())
    }
}
