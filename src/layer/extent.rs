//! The largest magnitude of an operand.

use super::Dense;
use crate::error::{Error, Operand};
use crate::kernel::extent::Extent;
use crate::matrix::Input;

impl Dense {
    /// The largest `|element|` of a `rows × cols` matrix; NaN where any is infinite or NaN.
    ///
    /// # Errors
    /// Where the matrix has another shape, and an error of the instruction set.
    pub(crate) fn largest(&self, matrix: Input<'_>, rows: usize, cols: usize) -> Result<f32, Error> {
        let kernels = self.kernels()?;
        let source = matrix.source(Operand::X, rows, cols)?;
        // Along the axis whose elements lie side by side, if there is one.
        let (source, rows, cols) =
            if source.col_stride == 1 { (source, rows, cols) } else { (source.transposed(), cols, rows) };
        let is_whole = source.col_stride == 1 && source.row_stride == cols;
        let (rows, cols) = if is_whole { (1, rows * cols) } else { (rows, cols) };
        let mut largest = 0.0;
        let look = |src, rows, cols, row_stride, largest: &mut f32| {
            // SAFETY: `select` returned the kernels; the matrix was checked to be readable at every place.
            unsafe { (kernels.extent)(&Extent { rows, cols, src, row_stride, largest }) }
        };
        if source.col_stride == 1 {
            look(source.ptr, rows, cols, source.row_stride, &mut largest);
            return Ok(largest);
        }
        for i in 0..rows {
            let mut of_row = 0.0;
            look(source.at(i, 0), cols, 1, source.col_stride, &mut of_row);
            if of_row.is_nan() {
                return Ok(of_row);
            }
            largest = of_row.max(largest);
        }
        Ok(largest)
    }
}
