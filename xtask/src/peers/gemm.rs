//! The crate `gemm`, with its AVX-512 kernels.

use super::unfused::{self, Factor};
use ::gemm::Parallelism;
use fused_dense::Isa;

pub struct Sgemm;

impl unfused::Sgemm for Sgemm {
    fn sgemm(&self, threads: usize, alpha: f32, a: Factor<'_>, b: Factor<'_>, beta: f32, c: &mut [f32]) {
        let (m, k, n) = (a.rows, a.cols, b.cols);
        assert!(b.rows == k && c.len() == m * n);
        let parallelism = if threads == 1 { Parallelism::None } else { Parallelism::Rayon(threads) };
        // SAFETY: the factors' strides stay inside their slices, and `c` is a row-major `m × n` slice of its own.
        unsafe {
            ::gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n as isize,
                beta != 0.0,
                a.data.as_ptr(),
                a.col_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr(),
                b.col_stride as isize,
                b.row_stride as isize,
                beta,
                alpha,
                false,
                false,
                false,
                parallelism,
            );
        }
    }

    fn is_held_to(&self, isa: Isa) -> bool {
        // Built without this feature, the crate has no AVX-512 kernels.
        super::is_best(isa) || (isa == Isa::Avx2 && cfg!(not(feature = "avx512")))
    }
}
