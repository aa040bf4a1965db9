//! A layer out of a library that only multiplies matrices: products, and the element-wise passes around them.

mod layer;
mod step;

use super::{Contender, Plan, passes};
use crate::bench::recipe::Hidden;
use crate::bench::workload::Task;
use fused_dense::Isa;

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
    /// `c = beta · c + alpha · a · b` for row-major `c`, which is not read where `beta` is 0; else `beta` is 1.
    fn sgemm(&self, threads: usize, alpha: f32, a: Factor<'_>, b: Factor<'_>, beta: f32, c: &mut [f32]);

    /// Told once before calls with another number of threads.
    fn set_threads(&self, _threads: usize) {}

    /// As [`Contender::has_own_threads`].
    fn has_own_threads(&self) -> bool {
        false
    }

    /// Whether it uses nothing above this instruction set as this program was built and started.
    fn is_held_to(&self, isa: Isa) -> bool;
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

    fn has_own_threads(&self) -> bool {
        self.gemm.has_own_threads()
    }

    fn is_held_to(&self, isa: Isa) -> bool {
        self.gemm.is_held_to(isa)
    }

    fn plan<'a>(&'a self, task: Task<'a>, threads: usize) -> anyhow::Result<Plan<'a>> {
        self.gemm.set_threads(threads);
        Ok(Plan::Ready(match task {
            Task::Forward(work) => Box::new(layer::Forward::new(self, work, threads)),
            Task::Backward(work) => Box::new(layer::Backward::new(self, work, threads)),
            Task::Step(training) => Box::new(step::Step::new(self, training, threads)),
            Task::Epoch(_) => return Ok(Plan::Absent("it has no loop over a data set".into())),
        }))
    }
}

impl<G> Unfused<G> {
    /// `z ← g(z + bias)`.
    fn activate(&self, activation: Hidden, z: &mut [f32], bias: &[f32]) {
        match (self.passes, activation) {
            (Passes::Joined, Hidden::Sigmoid) => passes::bias_sigmoid(z, bias),
            (Passes::Joined, Hidden::Relu) => passes::bias_relu(z, bias),
            (Passes::Apart, _) => {
                passes::add_bias(z, bias);
                match activation {
                    Hidden::Sigmoid => passes::sigmoid(z),
                    Hidden::Relu => passes::relu(z),
                }
            }
        }
    }

    /// `dz = dA ⊙ g'` from `a`, and `db = s · Σ_batch dz`.
    fn derive(&self, activation: Hidden, d_a: &[f32], a: &[f32], scale: f32, dz: &mut [f32], d_b: &mut [f32]) {
        match (self.passes, activation) {
            (Passes::Joined, Hidden::Sigmoid) => passes::sigmoid_backward_sums(d_a, a, scale, dz, d_b),
            (Passes::Joined, Hidden::Relu) => passes::relu_backward_sums(d_a, a, scale, dz, d_b),
            (Passes::Apart, _) => {
                match activation {
                    Hidden::Sigmoid => passes::sigmoid_backward(d_a, a, dz),
                    Hidden::Relu => passes::relu_backward(d_a, a, dz),
                }
                passes::column_sums(dz, scale, d_b);
            }
        }
    }
}
