//! The crate `faer`.

use super::unfused::{self, Factor};
use ::faer::linalg::matmul::matmul;
use ::faer::{Accum, MatMut, MatRef, Par};
use fused_dense::Isa;

pub struct Sgemm;

impl unfused::Sgemm for Sgemm {
    fn sgemm(&self, threads: usize, alpha: f32, a: Factor<'_>, b: Factor<'_>, beta: f32, c: &mut [f32]) {
        let parallelism = if threads == 1 { Par::Seq } else { Par::rayon(threads) };
        let c = MatMut::from_row_major_slice_mut(c, a.rows, b.cols);
        let accumulation = if beta == 0.0 { Accum::Replace } else { Accum::Add };
        matmul(c, accumulation, view(a), view(b), alpha, parallelism);
    }

    fn is_held_to(&self, isa: Isa) -> bool {
        // It takes what it finds at run time, however it is built.
        super::is_best(isa)
    }
}

fn view(factor: Factor<'_>) -> MatRef<'_, f32> {
    let Factor { data, rows, cols, row_stride, col_stride } = factor;
    if factor.is_row_major() {
        MatRef::from_row_major_slice_with_stride(data, rows, cols, row_stride)
    } else {
        MatRef::from_column_major_slice_with_stride(data, rows, cols, col_stride)
    }
}
