//! Arrays of several dimensions as matrices: `[.., inputs]`, whose leading dimensions become one.

use super::{MatrixView, MatrixViewMut};
use crate::error::Error;

/// Shape and strides of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

/// Why an array is no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Dimensions {
        dims: usize,
        strides: usize,
    },
    OutOfBounds {
        expected: Option<usize>,
        found: usize,
    },
    NotJoined {
        outer: usize,
        inner: usize,
        expected: usize,
        found: usize,
    },
    Overlapping {
        shape: (usize, usize),
        strides: (usize, usize),
    },
    #[cfg(feature = "ndarray")]
    NegativeStride {
        axis: usize,
        found: isize,
    },
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Dimensions { dims, strides } => Self::Dimensions { dims, strides },
            Fault::OutOfBounds { expected, found } => Self::OutOfBounds { expected, found },
            Fault::NotJoined { outer, inner, expected, found } => Self::NotJoined { outer, inner, expected, found },
            Fault::Overlapping { shape, strides } => Self::Overlapping { shape, strides },
            #[cfg(feature = "ndarray")]
            Fault::NegativeStride { axis, found } => Self::NegativeStride { axis, found },
        }
    }
}

impl<'a> MatrixView<'a> {
    /// A view of an array of several dimensions, `[.., inputs]`: the last one is the columns, all before it together the
    /// rows, in the order of their indices. Nothing is copied: dimensions join where a step along one is as long as all
    /// of the one behind it. A dimension of one element joins any; a stride of 0 repeats.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense, Error, MatrixView};
    ///
    /// // Two sentences of two words of three features, of which a layer takes the first two.
    /// let words: Vec<f32> = (0..12).map(|i| i as f32).collect();
    /// let x = MatrixView::from_dims(&words, &[2, 2, 2], &[6, 3, 1])?;
    /// assert_eq!((x.rows(), x.cols(), x.get(3, 1)), (4, 2, Some(10.0)));
    /// let mut a = [0.0; 4];
    /// Dense::new(2, 1, Activation::Identity).forward(x, &[1.0, 1.0], &[0.0], &mut a)?;
    /// assert_eq!(a, [1.0, 7.0, 13.0, 19.0]);
    ///
    /// // Sentence by sentence within each place: rows in this order have no common stride.
    /// let error = MatrixView::from_dims(&words, &[2, 2, 2], &[3, 6, 1]).unwrap_err();
    /// assert_eq!(error, Error::NotJoined { outer: 0, inner: 1, expected: 12, found: 3 });
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Dimensions`] where there is no dimension, or not a stride for each; [`Error::OutOfBounds`] where the last
    /// element would lie outside `data`; [`Error::NotJoined`] where rows have no common stride: a copy has.
    pub fn from_dims(data: &'a [f32], dims: &[usize], strides: &[usize]) -> Result<Self, Error> {
        let Joined { rows, cols, row_stride, col_stride } = checked(data.len(), dims, strides)?;
        // SAFETY: every element lies inside `data`, which is borrowed for `'a`.
        Ok(unsafe { Self::from_raw(data.as_ptr(), rows, cols, row_stride, col_stride) })
    }
}

impl<'a> MatrixViewMut<'a> {
    /// A writable view of an array of several dimensions, `[.., outputs]`, as [`MatrixView::from_dims`].
    ///
    /// ```
    /// use fused_dense::{Activation, Bias, Dense, MatrixViewMut};
    ///
    /// let mut a = [9.0; 8]; // two times two rows of one output, with a gap behind each
    /// let output = MatrixViewMut::from_dims(&mut a, &[2, 2, 1], &[4, 2, 1])?;
    /// Dense::new(1, 1, Activation::Identity).forward(&[1.0, 2.0, 3.0, 4.0], &[2.0], Bias::None, output)?;
    /// assert_eq!(a, [2.0, 9.0, 4.0, 9.0, 6.0, 9.0, 8.0, 9.0]);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`MatrixView::from_dims`], and [`Error::Overlapping`] where the strides do not keep the elements apart.
    pub fn from_dims(data: &'a mut [f32], dims: &[usize], strides: &[usize]) -> Result<Self, Error> {
        let Joined { rows, cols, row_stride, col_stride } = checked(data.len(), dims, strides)?;
        // SAFETY: every element lies inside `data`, which is initialised and exclusively borrowed for `'a`.
        Ok(unsafe { Self::from_raw(data.as_mut_ptr(), rows, cols, row_stride, col_stride)? })
    }
}

/// The matrix that an array of these dimensions is, once it is known to lie inside so many elements.
fn checked(len: usize, dims: &[usize], strides: &[usize]) -> Result<Joined, Fault> {
    if dims.len() != strides.len() {
        return Err(Fault::Dimensions { dims: dims.len(), strides: strides.len() });
    }
    match span(dims, strides) {
        Some(needed) if needed <= len => join(len, dims, |axis| strides[axis]),
        expected => Err(Fault::OutOfBounds { expected, found: len }),
    }
}

/// Elements that an array spans, from its first to its last; `None` on overflow.
#[inline]
pub(super) fn span(dims: &[usize], strides: &[usize]) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    let last = dims
        .iter()
        .zip(strides)
        .try_fold(0_usize, |sum, (dim, stride)| sum.checked_add((dim - 1).checked_mul(*stride)?));
    last?.checked_add(1)
}

/// The matrix that an array of these dimensions is, all of whose elements lie in memory of `len`.
pub(crate) fn join(len: usize, dims: &[usize], stride: impl Fn(usize) -> usize) -> Result<Joined, Fault> {
    let Some((&cols, leading)) = dims.split_last() else { return Err(Fault::Dimensions { dims: 0, strides: 0 }) };
    let rows = match leading.contains(&0) {
        true => Some(0),
        false => leading.iter().try_fold(1_usize, |rows, dim| rows.checked_mul(*dim)),
    };
    // Only rows that repeat, or have no elements, can be so many.
    let rows = rows.ok_or(Fault::OutOfBounds { expected: None, found: len })?;
    let mut row_stride = 0;
    if rows > 0 && cols > 0 {
        // The dimension behind, and all of its elements' length.
        let mut behind = None;
        for outer in (0..leading.len()).rev().filter(|&axis| leading[axis] > 1) {
            let found = stride(outer);
            match behind {
                None => row_stride = found,
                Some((inner, expected)) if found != expected => {
                    return Err(Fault::NotJoined { outer, inner, expected, found });
                }
                Some(_) => {}
            }
            // At most twice the span of the dimension, which fits memory.
            behind = Some((outer, leading[outer] * found));
        }
    }
    Ok(Joined { rows, cols, row_stride, col_stride: stride(leading.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each element of the array, by the strides of its dimensions, in the order of indices.
    fn places(dims: &[usize], strides: &[usize]) -> Vec<usize> {
        dims.iter().zip(strides).fold(vec![0], |places, (&dim, &stride)| {
            places.iter().flat_map(|place| (0..dim).map(move |index| place + index * stride)).collect()
        })
    }

    fn places_of_matrix(joined: Joined) -> Vec<usize> {
        places(&[joined.rows, joined.cols], &[joined.row_stride, joined.col_stride])
    }

    proptest! {
        /// A matrix has the array's places, in its order; where there is none, no row stride gives them.
        #[test]
        fn a_matrix_has_the_places_of_its_array(
            axes in prop::collection::vec((0_usize..4, prop::sample::select(vec![0, 1, 2, 3, 4, 6, 8, 12, 24])), 1..5),
        ) {
            let (dims, strides): (Vec<usize>, Vec<usize>) = axes.into_iter().unzip();
            let expected = places(&dims, &strides);
            match join(usize::MAX, &dims, |axis| strides[axis]) {
                Ok(joined) => prop_assert_eq!(places_of_matrix(joined), expected),
                Err(Fault::NotJoined { .. }) => {
                    let (cols, leading) = dims.split_last().expect("a dimension");
                    let (rows, col_stride) = (leading.iter().product(), strides[leading.len()]);
                    for row_stride in 0..=100 {
                        let joined = Joined { rows, cols: *cols, row_stride, col_stride };
                        prop_assert_ne!(&places_of_matrix(joined), &expected);
                    }
                }
                Err(fault) => prop_assert!(false, "{fault:?}"),
            }
        }
    }
}
