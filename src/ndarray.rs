//! Arrays of `ndarray` as operands, without copying.
//!
//! Any layout fits but one that runs backwards: rows or columns in order, transposed, every other, a range of columns. The
//! last axis is the columns; all before it together are the rows, so that a vector is a matrix of one row.

use crate::error::Error;
use crate::matrix::{Fault, Input, Joined, MatrixView, MatrixViewMut, Output, join};
use crate::targets::Targets;
use ::ndarray::{ArrayBase, ArrayRef, ArrayView, ArrayViewMut, Data, DataMut, Dimension};

/// An array of any dimensions, with the feature `ndarray`: the last axis is the columns, all before it together are the
/// rows. An array that is no matrix (it runs backwards, or its rows have no common stride) is refused by the call that it
/// is given to.
///
/// ```
/// use fused_dense::{Activation, Dense};
/// use ndarray::{Array1, Array2, array};
///
/// let x = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]; // 2 features × 3 samples
/// let (w, b) = (array![[1.0, 0.5]], Array1::zeros(1));
/// let mut a = Array2::zeros((3, 1));
/// Dense::new(2, 1, Activation::Identity).forward(x.t(), &w, &b, &mut a)?;
/// assert_eq!(a, array![[3.0], [4.5], [6.0]]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
impl<'a, S: Data<Elem = f32>, D: Dimension> From<&'a ArrayBase<S, D>> for Input<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        array.view().into()
    }
}

/// As a reference to an array, with the feature `ndarray`.
impl<'a, D: Dimension> From<&'a ArrayRef<f32, D>> for Input<'a> {
    fn from(array: &'a ArrayRef<f32, D>) -> Self {
        array.view().into()
    }
}

/// As a reference to an array, with the feature `ndarray`.
impl<'a, D: Dimension> From<ArrayView<'a, f32, D>> for Input<'a> {
    fn from(array: ArrayView<'a, f32, D>) -> Self {
        view(array).map_or_else(Self::unfit, Self::View)
    }
}

/// An array of any dimensions, with the feature `ndarray`, as it is an [`Input`]. One that shares its elements with others
/// is copied first.
///
/// ```
/// use fused_dense::{Activation, Dense, Gradients, Upstream};
/// use ndarray::{Array, array, s};
///
/// let mut layer = Dense::new(2, 1, Activation::Identity);
/// let (x, w, d_a) = (array![[1.0, 2.0], [3.0, 4.0]], array![[1.0, 0.5]], array![[1.0], [2.0]]);
/// let mut a = Array::zeros((2, 1, 2)); // the outputs of two by one samples, and a column that is none of them
/// layer.forward(&x, &w, &array![0.0], a.slice_mut(s![.., .., ..1]))?;
/// assert_eq!(a, array![[[2.0, 0.0]], [[5.0, 0.0]]]);
///
/// let (mut d_w, mut d_b) = (Array::zeros((1, 2)), Array::zeros(1));
/// let gradients = Gradients::new().w(&mut d_w).b(&mut d_b);
/// layer.backward(&x, &w, a.slice(s![.., .., ..1]), Upstream::Activation(&d_a), gradients)?;
/// assert_eq!((d_w, d_b), (array![[7.0, 10.0]], array![3.0]));
/// # Ok::<(), fused_dense::Error>(())
/// ```
impl<'a, S: DataMut<Elem = f32>, D: Dimension> From<&'a mut ArrayBase<S, D>> for Output<'a> {
    fn from(array: &'a mut ArrayBase<S, D>) -> Self {
        array.view_mut().into()
    }
}

/// As a reference to an array, with the feature `ndarray`.
impl<'a, D: Dimension> From<&'a mut ArrayRef<f32, D>> for Output<'a> {
    fn from(array: &'a mut ArrayRef<f32, D>) -> Self {
        array.view_mut().into()
    }
}

/// As a reference to an array, with the feature `ndarray`.
impl<'a, D: Dimension> From<ArrayViewMut<'a, f32, D>> for Output<'a> {
    fn from(array: ArrayViewMut<'a, f32, D>) -> Self {
        view_mut(array).map_or_else(Self::unfit, Self::View)
    }
}

/// With the feature `ndarray`: an array of integers is the class of each sample, one of `f32` a value for each output, with
/// the outputs along its last axis, or of a single axis. An array that is not contiguous, row by row, or has rows of another
/// length, is refused by the call that it is given to.
///
/// ```
/// use fused_dense::{Activation, Cost, Network};
/// use ndarray::{Array2, array};
///
/// let mut network =
///     Network::builder(2).layer(3, Activation::Identity).cost(Cost::SoftmaxCrossEntropy).build()?;
/// let (x, labels) = (array![[1.0, 2.0], [3.0, 4.0]], array![0, 2]);
/// let cost = network.step(&x, &labels)?;
/// assert!(network.step(&x, &array![[1.0, 0.0, 0.0], [0.0, 0.0, 1.0_f32]])? < cost);
///
/// let mut p = Array2::zeros((2, 3));
/// network.predict_probabilities(&x, &mut p)?;
/// assert!((p.sum() - 2.0).abs() < 1e-6);
/// # Ok::<(), fused_dense::Error>(())
/// ```
impl<'a, S: Data, D: Dimension> From<&'a ArrayBase<S, D>> for Targets<'a>
where
    &'a [S::Elem]: Into<Targets<'a>>,
{
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        let targets = array.as_slice().map_or_else(Self::unfit, Into::into);
        match array.shape() {
            [_, .., columns] => targets.columns(*columns),
            _ => targets,
        }
    }
}

/// With the feature `ndarray`: the last axis is the columns, all before it together are the rows. References to arrays are
/// operands by themselves ([`Input`]); this is for an array whose fault should show before the call.
///
/// ```
/// use fused_dense::{Error, MatrixView};
/// use ndarray::{array, s};
///
/// let x = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let features = MatrixView::try_from(x.t())?;
/// assert_eq!((features.rows(), features.cols(), features.get(2, 1)), (3, 2, Some(6.0)));
/// let backwards = MatrixView::try_from(x.slice(s![.., ..;-1]));
/// assert_eq!(backwards.unwrap_err(), Error::NegativeStride { axis: 1, found: -1 });
/// # Ok::<(), Error>(())
/// ```
impl<'a, D: Dimension> TryFrom<ArrayView<'a, f32, D>> for MatrixView<'a> {
    type Error = Error;

    /// # Errors
    /// [`Error::NegativeStride`], [`Error::NotJoined`], and [`Error::Dimensions`] where there is no axis.
    fn try_from(array: ArrayView<'a, f32, D>) -> Result<Self, Error> {
        Ok(view(array)?)
    }
}

/// With the feature `ndarray`: the last axis is the columns, all before it together are the rows.
impl<'a, D: Dimension> TryFrom<ArrayViewMut<'a, f32, D>> for MatrixViewMut<'a> {
    type Error = Error;

    /// # Errors
    /// [`Error::NegativeStride`], [`Error::NotJoined`], [`Error::Dimensions`] where there is no axis, and
    /// [`Error::Overlapping`] where strides interleave rows and columns.
    fn try_from(array: ArrayViewMut<'a, f32, D>) -> Result<Self, Error> {
        Ok(view_mut(array)?)
    }
}

fn view<D: Dimension>(array: ArrayView<'_, f32, D>) -> Result<MatrixView<'_>, Fault> {
    let Joined { rows, cols, row_stride, col_stride } = joined(array.shape(), array.strides(), array.len())?;
    // SAFETY: a view of an array borrows its elements as long as the result, and these are their places.
    Ok(unsafe { MatrixView::from_raw(array.as_ptr(), rows, cols, row_stride, col_stride) })
}

fn view_mut<D: Dimension>(mut array: ArrayViewMut<'_, f32, D>) -> Result<MatrixViewMut<'_>, Fault> {
    let Joined { rows, cols, row_stride, col_stride } = joined(array.shape(), array.strides(), array.len())?;
    // SAFETY: a mutable view of an array borrows its elements exclusively as long as the result, and these are their
    // places. All lie in one allocation, so that their span does not overflow.
    unsafe { MatrixViewMut::from_raw(array.as_mut_ptr(), rows, cols, row_stride, col_stride) }
}

/// The matrix of an array's axes, which count forwards.
fn joined(dims: &[usize], strides: &[isize], len: usize) -> Result<Joined, Fault> {
    // Nothing follows the only element of an axis, nor any of an empty array, whatever the stride.
    let is_backwards = |axis: usize| len > 0 && dims[axis] > 1 && strides[axis] < 0;
    match (0..dims.len()).find(|&axis| is_backwards(axis)) {
        Some(axis) => Err(Fault::NegativeStride { axis, found: strides[axis] }),
        None => join(len, dims, |axis| strides[axis].unsigned_abs()),
    }
}
