//! A tensor's elements as a matrix: all axes but the last are rows.

use crate::error::Error;
use fused_dense::MatrixView;

/// The elements where they stand, or copied where no pair of strides leads from one to the next.
pub enum Matrix<'a> {
    InPlace(MatrixView<'a>),
    Copied { values: Vec<f32>, rows: usize, cols: usize },
}

impl Matrix<'_> {
    pub(crate) fn view(&self) -> Result<MatrixView<'_>, Error> {
        match self {
            Self::InPlace(view) => Ok(*view),
            Self::Copied { values, rows, cols } => Ok(MatrixView::row_major(values, *rows, *cols)?),
        }
    }
}

/// Rows and columns of a shape, which has one axis at least.
pub(crate) fn extent(shape: &[usize]) -> (usize, usize) {
    let (cols, leading) = shape.split_last().map_or((1, shape), |(cols, leading)| (*cols, leading));
    (leading.iter().product(), cols)
}
