//! The crate `matrixmultiply`, on one thread whatever is asked: its own pool is chosen by an environment variable.

use super::unfused::{self, Factor};
use fused_dense::Isa;

pub struct Sgemm;

impl unfused::Sgemm for Sgemm {
    fn sgemm(&self, _threads: usize, alpha: f32, a: Factor<'_>, b: Factor<'_>, beta: f32, c: &mut [f32]) {
        let (m, k, n) = (a.rows, a.cols, b.cols);
        assert!(b.rows == k && c.len() == m * n);
        // SAFETY: the factors' strides stay inside their slices, and `c` is a row-major `m × n` slice of its own.
        unsafe {
            matrixmultiply::sgemm(
                m,
                k,
                n,
                alpha,
                a.data.as_ptr(),
                a.row_stride as isize,
                a.col_stride as isize,
                b.data.as_ptr(),
                b.row_stride as isize,
                b.col_stride as isize,
                beta,
                c.as_mut_ptr(),
                n as isize,
                1,
            );
        }
    }

    fn is_held_to(&self, isa: Isa) -> bool {
        // Built without this feature, the crate has no AVX-512 kernels.
        super::is_best(isa) || (isa == Isa::Avx2 && cfg!(not(feature = "avx512")))
    }
}
