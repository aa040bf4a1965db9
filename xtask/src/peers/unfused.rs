//! A layer out of a library that only multiplies matrices: products, and the element-wise passes around them.

use super::{Contender, Routine, passes};
use crate::bench::buffer::Buffer;
use crate::bench::shape::{Pass, Shape};
use crate::bench::workload::{Quantity, Workload};

/// A product's input: element `(i, j)` at `i · row_stride + j · col_stride`.
#[derive(Clone, Copy)]
pub struct Factor<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub cols: usize,
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<'a> Factor<'a> {
    fn row_major(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols);
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// Whether its rows, and not its columns, are contiguous.
    pub fn is_row_major(&self) -> bool {
        self.col_stride == 1 && self.row_stride >= self.cols
    }

    fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A library's matrix product.
pub trait Sgemm: Send + Sync {
    /// `c = alpha · a · b` for row-major `c`, which is never read.
    fn sgemm(&self, threads: usize, alpha: f32, a: Factor<'_>, b: Factor<'_>, c: &mut [f32]);

    /// Told once before calls with another number of threads.
    fn set_threads(&self, _threads: usize) {}
}

/// How the element-wise work around the products is split.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passes {
    /// Bias, activation, `dz` and `db` each on its own.
    Apart,
    /// Bias with activation, `dz` with `db`.
    Joined,
}

/// A layer out of matrix products.
pub struct Unfused<G> {
    name: String,
    version: String,
    gemm: G,
    passes: Passes,
}

impl<G: Sgemm> Unfused<G> {
    /// With as few passes as can be.
    pub fn new(name: impl Into<String>, version: impl Into<String>, gemm: G) -> Self {
        Self { name: name.into(), version: version.into(), gemm, passes: Passes::Joined }
    }

    /// With a pass for each operation.
    pub fn baseline(name: impl Into<String>, version: impl Into<String>, gemm: G) -> Self {
        Self { passes: Passes::Apart, ..Self::new(name, version, gemm) }
    }
}

impl<G: Sgemm> Contender for Unfused<G> {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn plan<'a>(&'a self, work: &'a Workload, pass: Pass, threads: usize) -> anyhow::Result<Box<dyn Routine + 'a>> {
        self.gemm.set_threads(threads);
        let Shape { batch, inputs, outputs } = work.shape;
        Ok(match pass {
            Pass::Forward => Box::new(Forward { layer: self, work, threads, a: Buffer::unwritten(batch * outputs) }),
            Pass::Backward => Box::new(Backward {
                layer: self,
                work,
                threads,
                dz: Buffer::unwritten(batch * outputs),
                d_w: Buffer::unwritten(outputs * inputs),
                d_b: Buffer::unwritten(outputs),
                d_a_prev: Buffer::unwritten(batch * inputs),
            }),
        })
    }
}

struct Forward<'a, G> {
    layer: &'a Unfused<G>,
    work: &'a Workload,
    threads: usize,
    a: Buffer,
}

impl<G: Sgemm> Routine for Forward<'_, G> {
    fn run(&mut self) {
        let Shape { batch, inputs, outputs } = self.work.shape;
        let x = Factor::row_major(&self.work.x, batch, inputs);
        let w = Factor::row_major(&self.work.w, outputs, inputs);
        self.layer.gemm.sgemm(self.threads, 1.0, x, w.transposed(), &mut self.a);
        match self.layer.passes {
            Passes::Joined => passes::bias_sigmoid(&mut self.a, &self.work.b),
            Passes::Apart => {
                passes::add_bias(&mut self.a, &self.work.b);
                passes::sigmoid(&mut self.a);
            }
        }
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![Quantity::new("a", &self.a)])
    }
}

struct Backward<'a, G> {
    layer: &'a Unfused<G>,
    work: &'a Workload,
    threads: usize,
    dz: Buffer,
    d_w: Buffer,
    d_b: Buffer,
    d_a_prev: Buffer,
}

impl<G: Sgemm> Routine for Backward<'_, G> {
    fn run(&mut self) {
        let (work, gemm) = (self.work, &self.layer.gemm);
        let Shape { batch, inputs, outputs } = work.shape;
        match self.layer.passes {
            Passes::Joined => {
                passes::sigmoid_backward_sums(&work.d_a, &work.a, work.scale, &mut self.dz, &mut self.d_b);
            }
            Passes::Apart => {
                passes::sigmoid_backward(&work.d_a, &work.a, &mut self.dz);
                passes::column_sums(&self.dz, work.scale, &mut self.d_b);
            }
        }
        let dz = Factor::row_major(&self.dz, batch, outputs);
        let x = Factor::row_major(&work.x, batch, inputs);
        let w = Factor::row_major(&work.w, outputs, inputs);
        gemm.sgemm(self.threads, work.scale, dz.transposed(), x, &mut self.d_w);
        gemm.sgemm(self.threads, 1.0, dz, w, &mut self.d_a_prev);
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![
            Quantity::new("d_w", &self.d_w),
            Quantity::new("d_b", &self.d_b),
            Quantity::new("d_a_prev", &self.d_a_prev),
        ])
    }
}
