//! candle's layouts as matrices.

use crate::error::{Checked, Fault};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result, Storage, Tensor};
use fused_dense::MatrixView;

/// A layout as a matrix: its last axis along the columns, all axes before it along the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    offset: usize,
}

impl Rows {
    /// `None` where the axes before the last have no stride in common, where there is no axis at all, and where the rows are
    /// more than `usize` counts.
    fn of(layout: &Layout) -> Option<Self> {
        let (&cols, lens) = layout.dims().split_last()?;
        let (&col_stride, strides) = layout.stride().split_last()?;
        let is_empty = layout.dims().contains(&0);
        let (mut rows, mut row_stride) = (1_usize, 0_usize);
        for (&len, &stride) in lens.iter().zip(strides).rev() {
            // Along an axis of one element nothing follows, and its stride says nothing.
            if len == 1 {
                continue;
            }
            if rows == 1 {
                row_stride = stride;
            } else if !is_empty && row_stride.checked_mul(rows) != Some(stride) {
                return None;
            }
            rows = rows.checked_mul(len)?;
        }
        Some(Self { rows, cols, row_stride, col_stride, offset: layout.start_offset() })
    }

    fn view(self, values: &[f32]) -> Checked<MatrixView<'_>> {
        // An empty tensor may begin behind the end.
        let values = values.get(self.offset..).unwrap_or_default();
        Ok(MatrixView::new(values, self.rows, self.cols, self.row_stride, self.col_stride)?)
    }
}

/// The tensor itself where its rows have one stride in common, else a contiguous copy, through which gradients pass.
pub(crate) fn with_rows(tensor: &Tensor) -> Result<Tensor> {
    if Rows::of(tensor.layout()).is_some() { Ok(tensor.clone()) } else { tensor.contiguous() }
}

/// The values of a tensor of rows with one stride, without a copy.
pub(crate) fn matrix<'a>(operand: &'static str, values: &'a CpuStorage, layout: &Layout) -> Checked<MatrixView<'a>> {
    let CpuStorage::F32(values) = values else {
        return Err(Fault::Type { operand, found: values.dtype() });
    };
    let expected = || "[.., columns] with one stride from row to row".to_string();
    let rows = Rows::of(layout);
    rows.ok_or_else(|| Fault::Shape { operand, expected: expected(), found: layout.dims().to_vec() })?.view(values)
}

/// The storage of a tensor on the CPU.
pub(crate) fn on_cpu<'a>(operand: &'static str, storage: &'a Storage) -> Checked<&'a CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        Storage::Cuda(_) => Err(Fault::Place { operand, found: "on a CUDA device" }),
        Storage::Metal(_) => Err(Fault::Place { operand, found: "on a Metal device" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Shape;

    fn rows(dims: &[usize], strides: &[usize]) -> Option<(usize, usize, usize, usize)> {
        let layout = Layout::new(Shape::from_dims(dims), strides.to_vec(), 7);
        let Rows { rows, cols, row_stride, col_stride, offset } = Rows::of(&layout)?;
        assert_eq!(offset, 7);
        Some((rows, cols, row_stride, col_stride))
    }

    #[test]
    fn axes_with_a_common_stride_are_one() {
        assert_eq!(rows(&[5], &[1]), Some((1, 5, 0, 1)));
        assert_eq!(rows(&[4, 5], &[5, 1]), Some((4, 5, 5, 1)));
        assert_eq!(rows(&[2, 3, 4, 5], &[60, 20, 5, 1]), Some((24, 5, 5, 1)));
        // Narrowed columns, every second row, a transposed matrix.
        assert_eq!(rows(&[2, 3, 5], &[24, 8, 1]), Some((6, 5, 8, 1)));
        assert_eq!(rows(&[2, 3, 5], &[30, 10, 1]), Some((6, 5, 10, 1)));
        assert_eq!(rows(&[4, 5], &[1, 4]), Some((4, 5, 1, 4)));
        // One sample for all.
        assert_eq!(rows(&[2, 3, 5], &[0, 0, 1]), Some((6, 5, 0, 1)));
    }

    #[test]
    fn strides_along_single_elements_do_not_count() {
        assert_eq!(rows(&[2, 1, 3, 5], &[15, 99, 5, 1]), Some((6, 5, 5, 1)));
        assert_eq!(rows(&[1, 3, 1, 5], &[99, 5, 99, 1]), Some((3, 5, 5, 1)));
        assert_eq!(rows(&[2, 3, 0], &[99, 5, 1]), Some((6, 0, 5, 1)));
        assert_eq!(rows(&[2, 0, 3, 5], &[99, 7, 98, 1]), Some((0, 5, 98, 1)));
    }

    #[test]
    fn axes_without_a_common_stride_are_none() {
        assert_eq!(rows(&[], &[]), None);
        assert_eq!(rows(&[2, 3, 5], &[5, 10, 1]), None);
        assert_eq!(rows(&[2, 3, 5], &[0, 5, 1]), None);
        assert_eq!(rows(&[2, 3, 5], &[5, 0, 1]), None);
        assert_eq!(rows(&[usize::MAX, 3, 5], &[0, 0, 1]), None);
    }
}
