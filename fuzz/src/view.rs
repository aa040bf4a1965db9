//! Views of arbitrary shapes, strides and memory: made, or refused, as a model in wide integers says.

use crate::Shared;
use arbitrary::{Result, Unstructured};
use core::mem::MaybeUninit;
use fused_dense::{Activation, Dense, Error, MatrixView, MatrixViewMut};
use std::collections::HashSet;

/// Most elements of the memory under a view.
const MOST_LEN: usize = 600;

/// A shape and its strides, counted so wide that hardly anything overflows.
#[derive(Clone, Copy, Debug)]
struct Model {
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl Model {
    fn pick(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self { rows: number(u)?, cols: number(u)?, row_stride: number(u)?, col_stride: number(u)? })
    }

    fn is_empty(self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    /// Elements from the first to the last; `None` above all that memory can hold.
    fn span(self) -> Option<u128> {
        if self.is_empty() {
            return Some(0);
        }
        let reach = |len: usize, stride: usize| (len as u128 - 1) * stride as u128;
        reach(self.rows, self.row_stride).checked_add(reach(self.cols, self.col_stride))?.checked_add(1)
    }

    fn place(self, row: usize, col: usize) -> usize {
        row * self.row_stride + col * self.col_stride
    }

    /// The error of a view of so much memory, if it is wrong.
    fn out_of_bounds(self, found: usize) -> Option<Error> {
        let span = self.span();
        let fits = span.is_some_and(|span| span <= found as u128);
        (!fits).then(|| Error::OutOfBounds { expected: span.and_then(|span| span.try_into().ok()), found })
    }

    /// Whether one stride reaches past the whole extent of the other.
    fn is_nested(self) -> bool {
        let nests = |outer: usize, outer_stride: usize, inner: usize, inner_stride: usize| {
            let extent = (inner as u128 - 1) * inner_stride as u128;
            (inner == 1 || inner_stride > 0) && (outer == 1 || outer_stride as u128 > extent)
        };
        self.is_empty()
            || nests(self.rows, self.row_stride, self.cols, self.col_stride)
            || nests(self.cols, self.col_stride, self.rows, self.row_stride)
    }

    /// Whether all elements stand apart, place by place.
    fn is_apart(self) -> bool {
        let mut places = HashSet::new();
        // Rows without elements may be more than can be counted in time.
        self.is_empty() || (0..self.rows).all(|row| (0..self.cols).all(|col| places.insert(self.place(row, col))))
    }
}

/// Mostly small; or near a power of two, up to the largest.
fn number(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match u.int_in_range(0..=7)? {
        0..=4 => u.int_in_range(0..=12)?,
        5 => u.int_in_range(0..=300)?,
        6 => (1_usize << u.int_in_range(0..=usize::BITS - 1)?).wrapping_add(u.int_in_range(0..=2)?).wrapping_sub(1),
        _ => usize::MAX - u.int_in_range(0..=2)?,
    })
}

/// Checks a case.
///
/// # Errors
/// Where the bytes make none.
pub fn check(u: &mut Unstructured<'_>) -> Result<Shared> {
    let model = Model::pick(u)?;
    let len = match model.span() {
        // As often as not on the edge between enough and too little.
        Some(span) if u.arbitrary()? => (span.min(MOST_LEN as u128) as usize).saturating_sub(u.int_in_range(0..=1)?),
        _ => u.int_in_range(0..=MOST_LEN)?,
    };
    let mut memory: Vec<f32> = (0..len).map(|at| at as f32).collect();
    if let Some(view) = check_reading(model, &memory) {
        check_elements(u, model, &view)?;
        check_calls(model, view);
    }
    check_writing(model, &mut memory);
    Ok(false)
}

/// The view, where there should be one.
fn check_reading(model: Model, memory: &[f32]) -> Option<MatrixView<'_>> {
    let Model { rows, cols, row_stride, col_stride } = model;
    match (MatrixView::new(memory, rows, cols, row_stride, col_stride), model.out_of_bounds(memory.len())) {
        (Ok(view), None) => Some(view),
        (Err(found), Some(expected)) => {
            assert_eq!(found, expected, "{model:?}");
            None
        }
        (found, expected) => panic!("{model:?} of {}: {found:?}, expected {expected:?}", memory.len()),
    }
}

fn check_elements(u: &mut Unstructured<'_>, model: Model, view: &MatrixView<'_>) -> Result<()> {
    let Model { rows, cols, row_stride, col_stride } = model;
    assert_eq!((view.rows(), view.cols()), (rows, cols));
    let flipped = view.transposed();
    assert_eq!((flipped.rows(), flipped.cols()), (cols, rows));
    for _ in 0..4 {
        let (row, col) = (number(u)?, number(u)?);
        // The last of each axis too.
        for (row, col) in [(row, col), (rows.wrapping_sub(1), col), (row, cols.wrapping_sub(1))] {
            let expected = (row < rows && col < cols).then(|| model.place(row, col) as f32);
            assert_eq!(view.get(row, col), expected, "{model:?} at ({row}, {col})");
            assert_eq!(flipped.get(col, row), expected, "{model:?} transposed at ({col}, {row})");
        }
    }
    // Strides that somebody goes along are kept.
    assert!(model.is_empty() || rows == 1 || view.row_stride() == row_stride);
    assert!(model.is_empty() || cols == 1 || view.col_stride() == col_stride);
    Ok(())
}

/// A layer takes the view or refuses it, however large the batch seems by a stride of 0.
fn check_calls(model: Model, view: MatrixView<'_>) {
    const OUTPUTS: usize = 2;
    if model.cols > 64 {
        return;
    }
    let mut layer = Dense::new(model.cols, OUTPUTS, Activation::Tanh);
    let w = vec![0.5; OUTPUTS * model.cols];
    let mut a = vec![0.25; OUTPUTS * model.rows.min(MOST_LEN)];
    let result = layer.forward(view, &w, &[0.0; OUTPUTS], &mut a);
    assert_eq!(result.is_ok(), model.rows <= MOST_LEN, "{model:?}: {result:?}");
    assert!(result.is_ok() || a.iter().all(|&x| x == 0.25), "{model:?}: an output was touched");
    let plan = layer.describe(model.rows);
    // A plan counts with no more samples than memory could hold.
    let may_be_refused = model.rows > MOST_LEN && matches!(plan, Err(Error::TooLarge { .. }));
    assert!(plan.is_ok() || may_be_refused, "{model:?}: {plan:?}");
}

fn check_writing(model: Model, memory: &mut [f32]) {
    let Model { rows, cols, row_stride, col_stride } = model;
    let expected = model.out_of_bounds(memory.len()).or_else(|| {
        let (shape, strides) = ((rows, cols), (row_stride, col_stride));
        (!model.is_nested()).then_some(Error::Overlapping { shape, strides })
    });
    let is_small = rows.saturating_mul(cols) <= 4096;
    let found = MatrixViewMut::new(memory, rows, cols, row_stride, col_stride).map(|view| {
        assert_eq!((view.rows(), view.cols()), (rows, cols));
        assert!(!is_small || model.is_apart(), "{model:?}: two elements share a place");
    });
    assert_eq!(found.err(), expected, "{model:?} of {}", memory.len());
    let mut fresh = vec![MaybeUninit::uninit(); memory.len()];
    let found = MatrixViewMut::from_uninit(&mut fresh, rows, cols, row_stride, col_stride);
    assert_eq!(found.err(), expected, "{model:?} of {} uninitialised", memory.len());
}
