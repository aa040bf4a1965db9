//! One layer's passes.

use super::{Factor, Sgemm, Unfused};
use crate::bench::buffer::Buffer;
use crate::bench::recipe::Hidden;
use crate::bench::shape::Shape;
use crate::bench::workload::{Quantity, Workload};
use crate::peers::Routine;

pub struct Forward<'a, G> {
    layer: &'a Unfused<G>,
    work: &'a Workload,
    threads: usize,
    a: Buffer,
}

impl<'a, G> Forward<'a, G> {
    pub fn new(layer: &'a Unfused<G>, work: &'a Workload, threads: usize) -> Self {
        Self { layer, work, threads, a: Buffer::unwritten(work.shape.batch * work.shape.outputs) }
    }
}

impl<G: Sgemm> Routine for Forward<'_, G> {
    fn run(&mut self) -> anyhow::Result<()> {
        let Shape { batch, inputs, outputs } = self.work.shape;
        let x = Factor::row_major(&self.work.x, batch, inputs);
        let w = Factor::row_major(&self.work.w, outputs, inputs);
        self.layer.gemm.sgemm(self.threads, 1.0, x, w.transposed(), 0.0, &mut self.a);
        self.layer.activate(Hidden::Sigmoid, &mut self.a, &self.work.b);
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![Quantity::new("a", &self.a)])
    }
}

pub struct Backward<'a, G> {
    layer: &'a Unfused<G>,
    work: &'a Workload,
    threads: usize,
    dz: Buffer,
    d_w: Buffer,
    d_b: Buffer,
    d_a_prev: Buffer,
}

impl<'a, G> Backward<'a, G> {
    pub fn new(layer: &'a Unfused<G>, work: &'a Workload, threads: usize) -> Self {
        let Shape { batch, inputs, outputs } = work.shape;
        Self {
            layer,
            work,
            threads,
            dz: Buffer::unwritten(batch * outputs),
            d_w: Buffer::unwritten(outputs * inputs),
            d_b: Buffer::unwritten(outputs),
            d_a_prev: Buffer::unwritten(batch * inputs),
        }
    }
}

impl<G: Sgemm> Routine for Backward<'_, G> {
    fn run(&mut self) -> anyhow::Result<()> {
        let (work, gemm) = (self.work, &self.layer.gemm);
        let Shape { batch, inputs, outputs } = work.shape;
        self.layer.derive(Hidden::Sigmoid, &work.d_a, &work.a, work.scale, &mut self.dz, &mut self.d_b);
        let dz = Factor::row_major(&self.dz, batch, outputs);
        let x = Factor::row_major(&work.x, batch, inputs);
        let w = Factor::row_major(&work.w, outputs, inputs);
        gemm.sgemm(self.threads, work.scale, dz.transposed(), x, 0.0, &mut self.d_w);
        gemm.sgemm(self.threads, 1.0, dz, w, 0.0, &mut self.d_a_prev);
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![
            Quantity::new("d_w", &self.d_w),
            Quantity::new("d_b", &self.d_b),
            Quantity::new("d_a_prev", &self.d_a_prev),
        ])
    }
}
