//! Memory for outputs that a call overwrites.

use crate::error::{Checked, Fault};
use core::mem::MaybeUninit;
use fused_dense::MatrixViewMut;

/// Room for a contiguous `rows × cols` matrix that nobody has written to.
pub(crate) struct Fresh {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Fresh {
    pub(crate) fn new(rows: usize, cols: usize) -> Checked<Self> {
        let too_large = || Fault::Memory { rows, cols };
        let mut values = Vec::new();
        values.try_reserve_exact(rows.checked_mul(cols).ok_or_else(too_large)?).map_err(|_| too_large())?;
        Ok(Self { values, rows, cols })
    }

    pub(crate) fn view(&mut self) -> Checked<MatrixViewMut<'_>> {
        let room: &mut [MaybeUninit<f32>] = self.values.spare_capacity_mut();
        Ok(MatrixViewMut::from_uninit(room, self.rows, self.cols, self.cols, 1)?)
    }

    /// The matrix's elements.
    ///
    /// # Safety
    /// Every element of the [`view`](Self::view) must have been written.
    pub(crate) unsafe fn written(mut self) -> Vec<f32> {
        // SAFETY: `new` reserved room for `rows · cols` elements, which did not overflow; the caller has written them.
        unsafe { self.values.set_len(self.rows * self.cols) };
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beyond_memory_are_refused() {
        for (rows, cols) in [(usize::MAX, 2), (usize::MAX / 4, 1)] {
            assert!(matches!(Fresh::new(rows, cols), Err(Fault::Memory { .. })));
        }
        assert!(Fresh::new(usize::MAX, 0).is_ok());
    }
}
