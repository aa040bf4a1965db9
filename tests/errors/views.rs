//! Views that leave their slice, or whose elements share a place.

use core::mem::MaybeUninit;
use fused_dense::{Error, MatrixView, MatrixViewMut};

#[test]
fn views_keep_inside_their_slice() {
    let mut data = [0.0; 13];
    let needs = |expected, found| Error::OutOfBounds { expected: Some(expected), found };
    // Three rows of four, five apart: the last element is the fourteenth.
    assert_eq!(MatrixView::new(&data, 3, 4, 5, 1).err(), Some(needs(14, 13)));
    assert_eq!(MatrixViewMut::new(&mut data, 3, 4, 5, 1).err(), Some(needs(14, 13)));
    assert_eq!(MatrixView::new(&data, 4, 3, 1, 5).err(), Some(needs(14, 13)));
    assert_eq!(MatrixView::row_major(&data, 2, 7).err(), Some(needs(14, 13)));
    assert_eq!(MatrixViewMut::row_major(&mut data, 2, 7).err(), Some(needs(14, 13)));
    assert_eq!(MatrixView::new(&[], 1, 1, 0, 0).err(), Some(needs(1, 0)));
    let mut uninit = [MaybeUninit::uninit(); 13];
    assert_eq!(MatrixViewMut::from_uninit(&mut uninit, 3, 4, 5, 1).err(), Some(needs(14, 13)));

    assert!(MatrixView::new(&[0.0; 14], 3, 4, 5, 1).is_ok());
    assert!(MatrixView::new(&data, 1000, 13, 0, 1).is_ok(), "a repeated row");
    assert!(MatrixView::new(&[], 0, 1000, 1000, 1).is_ok(), "no rows");
    assert!(MatrixViewMut::new(&mut [], 1000, 0, 1000, 1).is_ok(), "no columns");
}

#[test]
fn views_of_absurd_size_are_out_of_bounds() {
    const MAX: usize = usize::MAX;
    let mut data = [0.0; 8];
    let overflow = Some(Error::OutOfBounds { expected: None, found: 8 });
    let sizes = [(MAX, 2, MAX, 1), (2, MAX, 1, MAX), (2, 2, MAX, MAX), (MAX, MAX, MAX, MAX), (MAX, 1, 2, 1)];
    for (rows, cols, row_stride, col_stride) in sizes {
        assert_eq!(MatrixView::new(&data, rows, cols, row_stride, col_stride).err(), overflow);
        assert_eq!(MatrixViewMut::new(&mut data, rows, cols, row_stride, col_stride).err(), overflow);
    }
    let all_of_memory = Some(Error::OutOfBounds { expected: Some(MAX), found: 8 });
    assert_eq!(MatrixView::new(&data, MAX, 1, 1, 1).err(), all_of_memory);
    assert_eq!(MatrixViewMut::new(&mut data, MAX, 1, 1, 1).err(), all_of_memory);
}

#[test]
fn mutable_views_do_not_overlap_themselves() {
    let mut data = [0.0; 100];
    for (shape, strides) in [
        ((3, 4), (3, 1)),
        ((3, 4), (0, 1)),
        ((3, 4), (1, 0)),
        ((3, 4), (1, 2)),
        ((3, 4), (1, 1)),
        ((3, 3), (2, 3)),
        ((2, 2), (0, 0)),
        ((2, 1), (0, 1)),
        ((1, 2), (1, 0)),
    ] {
        let view = MatrixViewMut::new(&mut data, shape.0, shape.1, strides.0, strides.1);
        assert_eq!(view.err(), Some(Error::Overlapping { shape, strides }));
    }
    for ((rows, cols), (row_stride, col_stride)) in [
        ((3, 4), (4, 1)),
        ((3, 4), (1, 3)),
        ((3, 4), (7, 2)),
        ((1, 4), (0, 1)),
        ((4, 1), (1, 0)),
        ((1, 1), (0, 0)),
        ((0, 9), (0, 0)),
    ] {
        assert!(MatrixViewMut::new(&mut data, rows, cols, row_stride, col_stride).is_ok(), "{rows}×{cols}");
    }
}

/// Every small shape with every small stride: accepted where one stride reaches past the whole extent of the other, and
/// then no two elements share a place and none lies outside.
#[test]
fn accepted_views_are_sound() {
    const LEN: usize = 24;
    let mut data: [f32; LEN] = core::array::from_fn(|at| at as f32);
    let sizes = 0..=4_usize;
    let shapes = sizes.clone().flat_map(|rows| sizes.clone().map(move |cols| (rows, cols)));
    for (rows, cols) in shapes {
        for (row_stride, col_stride) in (0..=9_usize).flat_map(|rs| (0..=9_usize).map(move |cs| (rs, cs))) {
            let elements = (0..rows).flat_map(|i| (0..cols).map(move |j| i * row_stride + j * col_stride));
            let mut places: Vec<usize> = elements.collect();
            let is_inside = places.iter().all(|&place| place < LEN);
            let view = MatrixView::new(&data, rows, cols, row_stride, col_stride);
            assert_eq!(view.is_ok(), is_inside);
            if let Ok(view) = view {
                let read = (0..rows).flat_map(|i| (0..cols).map(move |j| view.get(i, j).expect("an element")));
                assert!(read.eq(places.iter().map(|&place| place as f32)));
                assert_eq!((view.get(rows, 0), view.get(0, cols)), (None, None));
                let transposed = view.transposed();
                assert_eq!((transposed.rows(), transposed.cols()), (cols, rows));
                let same = MatrixView::new(&data, cols, rows, col_stride, row_stride).expect("a valid view");
                let strides = |view: MatrixView<'_>| (view.row_stride(), view.col_stride());
                assert_eq!(strides(transposed), strides(same));
                if rows > 1 && cols > 1 {
                    assert_eq!(strides(view), (row_stride, col_stride));
                    assert_eq!(strides(transposed), (col_stride, row_stride));
                }
            }

            let reaches_past = |outer: (usize, usize), inner: (usize, usize)| {
                (inner.0 == 1 || inner.1 > 0) && (outer.0 == 1 || outer.1 > (inner.0 - 1) * inner.1)
            };
            let (by_rows, by_cols) = ((rows, row_stride), (cols, col_stride));
            let is_apart = places.is_empty() || reaches_past(by_rows, by_cols) || reaches_past(by_cols, by_rows);
            let is_accepted = MatrixViewMut::new(&mut data, rows, cols, row_stride, col_stride).is_ok();
            assert_eq!(is_accepted, is_inside && is_apart, "{rows}×{cols} by {row_stride}, {col_stride}");
            places.sort_unstable();
            let is_distinct = places.windows(2).all(|pair| pair[0] != pair[1]);
            assert!(!is_accepted || is_distinct, "{rows}×{cols} by {row_stride}, {col_stride}");
        }
    }
}
