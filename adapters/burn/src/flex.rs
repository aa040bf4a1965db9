//! Tensors of burn's backend flex: bytes with a layout.

use crate::backend::{FusedLinearBackend, LinearOperands, LinearOutcome};
use crate::error::{Error, Operand};
use crate::host::Host;
use crate::kernel::FusedKernel;
use crate::matrix::{Matrix, extent};
use crate::passes;
use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Bytes, DType, Shape};
use fused_dense::MatrixView;

impl FusedLinearBackend for Flex {
    fn fused_linear(operands: LinearOperands<Self>, kernel: FusedKernel) -> LinearOutcome<Self> {
        passes::forward(&operands, &kernel, false).map(|forward| forward.a).into()
    }
}

impl Host for Flex {
    fn matrix(tensor: &FloatTensor<Self>, operand: Operand) -> Result<Matrix<'_>, Error> {
        if tensor.dtype() != DType::F32 {
            return Err(Error::DType { operand, found: tensor.dtype() });
        }
        let layout = tensor.layout();
        let (rows, cols) = extent(layout.shape());
        let Some((row_stride, col_stride)) = strides(layout.shape(), layout.strides()) else {
            let values = tensor.to_contiguous().storage::<f32>().to_vec();
            return Ok(Matrix::Copied { values, rows, cols });
        };
        // An empty tensor may begin behind its storage.
        let elements = tensor.storage::<f32>().get(layout.start_offset()..).unwrap_or_default();
        Ok(Matrix::InPlace(MatrixView::new(elements, rows, cols, row_stride, col_stride)?))
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
    }
}

/// The strides of rows and columns, where those of the axes come to such a pair and run forwards.
fn strides(shape: &[usize], strides: &[isize]) -> Option<(usize, usize)> {
    if shape.contains(&0) {
        return Some((0, 1));
    }
    // An axis of one element has no stride that counts.
    let mut axes = shape.iter().zip(strides).rev();
    let col_stride =
        axes.next().filter(|(len, _)| **len > 1).map_or(Some(1), |(_, stride)| usize::try_from(*stride).ok())?;
    let mut leading = axes.filter(|(len, _)| **len > 1);
    let Some((len, stride)) = leading.next() else {
        return Some((0, col_stride));
    };
    let row_stride = usize::try_from(*stride).ok()?;
    let mut next = row_stride.checked_mul(*len)?;
    for (len, stride) in leading {
        if usize::try_from(*stride) != Ok(next) {
            return None;
        }
        next = next.checked_mul(*len)?;
    }
    Some((row_stride, col_stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of the elements in the order of their indices, by the shape's own strides.
    fn places(shape: &[usize], strides: &[isize]) -> Vec<isize> {
        let mut places = vec![0];
        for (len, stride) in shape.iter().zip(strides) {
            places = places.iter().flat_map(|place| (0..*len as isize).map(move |i| place + i * stride)).collect();
        }
        places
    }

    #[test]
    fn a_pair_of_strides_leads_to_the_same_places() {
        let mut in_place = 0;
        for lens in [[2, 3, 4], [1, 3, 4], [2, 1, 4], [2, 3, 1], [1, 1, 1], [3, 1, 1], [0, 3, 4], [2, 3, 0]] {
            for (a, b, c) in
                [(12, 4, 1), (24, 8, 2), (1, 2, 6), (0, 0, 1), (0, 0, 0), (4, 8, 1), (12, -4, 1), (12, 4, -1)]
            {
                let found = strides(&lens, &[a, b, c]);
                let (rows, cols) = extent(&lens);
                if let Some((row_stride, col_stride)) = found {
                    let pair = [row_stride as isize, col_stride as isize];
                    assert_eq!(places(&[rows, cols], &pair), places(&lens, &[a, b, c]), "{lens:?} {a} {b} {c}");
                    in_place += 1;
                }
            }
        }
        assert!(in_place > 32, "{in_place}");
        assert_eq!(strides(&[2, 3, 4], &[4, 8, 1]), None);
        assert_eq!(strides(&[2, 3, 4], &[12, 4, -1]), None);
        assert_eq!(strides(&[5], &[3]), Some((0, 3)));
    }
}
