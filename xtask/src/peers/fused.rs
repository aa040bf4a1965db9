//! The library of this repository.

use super::{Contender, Routine};
use crate::bench::buffer::Buffer;
use crate::bench::shape::{Pass, Shape};
use crate::bench::workload::{Quantity, Workload};
use anyhow::Context;
use fused_dense::{Activation, Dense, Gradients, Isa, Team, Threads, Upstream};

/// Our layer, on one instruction set or any below it.
pub struct Fused {
    pub isa: Isa,
    pub sharing: Sharing,
}

/// What shares the work of several threads out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sharing {
    /// A team of the library's own
    Team,
    /// The rayon pool that calls are made in
    Pool,
}

impl Contender for Fused {
    fn name(&self) -> &str {
        "fused-dense"
    }

    fn version(&self) -> &str {
        "of this repository"
    }

    fn plan<'a>(&'a self, work: &'a Workload, pass: Pass, threads: usize) -> anyhow::Result<Box<dyn Routine + 'a>> {
        let Shape { batch, inputs, outputs } = work.shape;
        let threads = match (threads, self.sharing) {
            (1, _) => Threads::Serial,
            (_, Sharing::Team) => Team::new(threads).into(),
            (_, Sharing::Pool) => Threads::CurrentPool { max: threads },
        };
        let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_isa(self.isa).with_threads(threads);
        layer.isa().with_context(|| format!("no kernels for {}", self.isa))?;
        Ok(match pass {
            Pass::Forward => Box::new(Forward { layer, work, a: Buffer::unwritten(batch * outputs) }),
            Pass::Backward => Box::new(Backward {
                layer,
                work,
                d_w: Buffer::unwritten(outputs * inputs),
                d_b: Buffer::unwritten(outputs),
                d_a_prev: Buffer::unwritten(batch * inputs),
            }),
        })
    }
}

struct Forward<'a> {
    layer: Dense,
    work: &'a Workload,
    a: Buffer,
}

impl Routine for Forward<'_> {
    fn run(&mut self) {
        let Workload { x, w, b, .. } = self.work;
        self.layer.forward(&**x, &**w, &**b, &mut *self.a).expect("the operands fit the layer");
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![Quantity::new("a", &self.a)])
    }
}

struct Backward<'a> {
    layer: Dense,
    work: &'a Workload,
    d_w: Buffer,
    d_b: Buffer,
    d_a_prev: Buffer,
}

impl Routine for Backward<'_> {
    fn run(&mut self) {
        let Workload { x, w, a, d_a, scale, .. } = self.work;
        let gradients = Gradients::new().w(&mut *self.d_w).b(&mut *self.d_b).a_prev(&mut *self.d_a_prev).scale(*scale);
        self.layer
            .backward(&**x, &**w, &**a, Upstream::Activation(&**d_a), gradients)
            .expect("the operands fit the layer");
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![
            Quantity::new("d_w", &self.d_w),
            Quantity::new("d_b", &self.d_b),
            Quantity::new("d_a_prev", &self.d_a_prev),
        ])
    }
}
