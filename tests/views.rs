//! Views from raw parts and of several dimensions, with a typed error for what cannot be a view.

use core::mem::MaybeUninit;
use core::ptr;
use fused_dense::{Activation, Bias, Dense, Error, Gradients, MatrixView, MatrixViewMut, Operand, Saved, Upstream};

/// More elements than an allocation can have.
const TOO_MANY: usize = isize::MAX.unsigned_abs() / size_of::<f32>() + 1;

/// The error for a view at this address, the same of every constructor.
///
/// # Safety
/// As [`MatrixViewMut::from_raw_parts`], where the parts make a view.
unsafe fn error(first: *mut f32, (rows, cols): (usize, usize), (row, col): (usize, usize)) -> Option<Error> {
    // SAFETY: the caller promises it; the views are gone one after the other.
    let errors = unsafe {
        [
            MatrixView::from_raw_parts(first, rows, cols, row, col).err(),
            MatrixViewMut::from_raw_parts(first, rows, cols, row, col).err(),
            MatrixViewMut::from_raw_parts_uninit(first, rows, cols, row, col).err(),
        ]
    };
    assert_eq!((&errors[0], &errors[0]), (&errors[1], &errors[2]));
    errors.into_iter().next().flatten()
}

#[test]
fn spans_beyond_every_allocation_are_refused() {
    let mut one = 1.0;
    for (shape, strides) in [
        ((1, TOO_MANY), (0, 1)),
        ((TOO_MANY, 1), (1, 0)),
        ((2, 1), (TOO_MANY - 1, 1)),
        ((2, 2), (usize::MAX, 1)),
        ((2, 2), (1, usize::MAX)),
        ((usize::MAX, 2), (3, 1)),
        ((usize::MAX, usize::MAX), (usize::MAX, usize::MAX)),
    ] {
        // SAFETY: no view is made.
        let found = unsafe { error(&raw mut one, shape, strides) };
        assert_eq!(found, Some(Error::ViewTooLarge { shape, strides }));
    }
    let text = Error::ViewTooLarge { shape: (2, 3), strides: (usize::MAX, 1) }.to_string();
    assert_eq!(
        text,
        format!(
            "matrix view: expected a span of at most isize::MAX bytes, found 2×3 elements with row stride {} and column \
             stride 1",
            usize::MAX
        )
    );
}

#[test]
fn addresses_that_no_element_has_are_refused() {
    let mut values = [1.0_f32; 4];
    let odd = values.as_mut_ptr().wrapping_byte_add(2);
    for first in [ptr::null_mut(), odd] {
        // SAFETY: no view is made.
        let found = unsafe { error(first, (1, 2), (2, 1)) };
        assert_eq!(found, Some(Error::Address { found: first.addr() }));
    }
    assert_eq!(
        Error::Address { found: 0 }.to_string(),
        "matrix view: expected an address that is not null and a multiple of 4, found 0x0"
    );
}

#[test]
fn empty_matrices_have_any_address_and_strides() -> Result<(), Error> {
    for shape in [(0, 0), (0, 3), (3, 0), (0, usize::MAX), (usize::MAX, 0)] {
        for strides in [(0, 0), (3, 1), (usize::MAX, usize::MAX)] {
            // SAFETY: without elements, there are no places.
            let found = unsafe { error(ptr::null_mut(), shape, strides) };
            assert_eq!(found, None, "{shape:?} {strides:?}");
        }
    }
    // SAFETY: as above.
    let x = unsafe { MatrixView::from_raw_parts(ptr::null(), 0, 3, 3, 1)? };
    assert_eq!((x.rows(), x.cols(), x.get(0, 0)), (0, 3, None));
    Dense::new(3, 2, Activation::Tanh).forward(x, &[0.5; 6], &[0.0; 2], &mut [])
}

#[test]
fn elements_that_share_a_place_are_refused_where_they_are_written() -> Result<(), Error> {
    let mut values = [1.0, 2.0, 3.0, 4.0];
    let first = values.as_mut_ptr();
    for (shape, strides) in [((2, 2), (1, 1)), ((2, 2), (0, 1)), ((2, 3), (2, 1)), ((1, 2), (2, 0))] {
        // SAFETY: the places lie in the array; no writable view is made.
        let (read, written) = unsafe {
            (
                MatrixView::from_raw_parts(first, shape.0, shape.1, strides.0, strides.1),
                MatrixViewMut::from_raw_parts(first, shape.0, shape.1, strides.0, strides.1),
            )
        };
        assert!(read.is_ok(), "{shape:?} {strides:?}");
        assert_eq!(written.err(), Some(Error::Overlapping { shape, strides }));
    }
    // SAFETY: the places lie in the array, which is not written to.
    let repeated = unsafe { MatrixView::from_raw_parts(first, 3, 2, 0, 3)? };
    assert_eq!((repeated.get(2, 0), repeated.get(2, 1)), (Some(1.0), Some(4.0)));
    Ok(())
}

/// Inputs and outputs of a layer in the rows of one array, and a foreign number in each gap.
#[test]
fn interleaved_matrices_and_uninitialised_outputs() -> Result<(), Error> {
    const ROWS: usize = 5;
    const GAP: f32 = 77.0;
    let (w, b) = ([0.5, -0.25, 1.0, 2.0, 0.125, -1.0], [0.25, -0.5]);
    let mut layer = Dense::new(3, 2, Activation::Sigmoid);
    let x: Vec<f32> = (0..ROWS * 3).map(|index| index as f32 * 0.125 - 1.0).collect();
    let mut expected = [0.0; ROWS * 2];
    layer.forward(&x, &w, &b, &mut expected)?;

    // Three inputs, a gap, two outputs.
    let mut rows = vec![MaybeUninit::<f32>::uninit(); ROWS * 6];
    for row in 0..ROWS {
        for col in 0..3 {
            rows[row * 6 + col].write(x[row * 3 + col]);
        }
        rows[row * 6 + 3].write(GAP);
    }
    let first = rows.as_mut_ptr().cast::<f32>();
    // SAFETY: all lies inside `rows`; the views share no place, and are gone before `rows` is used again. The places of
    // the inputs are initialised.
    let (input, output) = unsafe {
        (
            MatrixView::from_raw_parts(first, ROWS, 3, 6, 1)?,
            MatrixViewMut::from_raw_parts_uninit(first.add(4), ROWS, 2, 6, 1)?,
        )
    };
    layer.forward(input, &w, &b, output)?;
    // SAFETY: inputs and gaps were written above, the outputs by the layer.
    let found: Vec<f32> = rows.into_iter().map(|value| unsafe { value.assume_init() }).collect();
    for row in 0..ROWS {
        let found = &found[row * 6..(row + 1) * 6];
        assert_eq!((&found[..3], found[3], &found[4..]), (&x[row * 3..][..3], GAP, &expected[row * 2..][..2]));
    }
    Ok(())
}

#[test]
fn uninitialised_memory_is_not_added_to() -> Result<(), Error> {
    let mut layer = Dense::new(1, 1, Activation::Identity);
    let mut d_w = MaybeUninit::<f32>::uninit();
    // SAFETY: the view has the one place, alone.
    let view = unsafe { MatrixViewMut::from_raw_parts_uninit(d_w.as_mut_ptr(), 1, 1, 1, 1)? };
    let call = |layer: &mut Dense, gradients| {
        layer.backward(&[2.0], &[1.0], Saved::A((&[1.0]).into()), Upstream::PreActivation(&[3.0]), gradients)
    };
    let result = call(&mut layer, Gradients::new().add_to_w(view));
    assert_eq!(result, Err(Error::Uninitialised { operand: Operand::DW }));
    // SAFETY: as above.
    let view = unsafe { MatrixViewMut::from_raw_parts_uninit(d_w.as_mut_ptr(), 1, 1, 1, 1)? };
    call(&mut layer, Gradients::new().w(view))?;
    // SAFETY: the call has written it.
    assert_eq!(unsafe { d_w.assume_init() }, 6.0);
    // Initialised memory may be added to.
    let mut sum = 1.0;
    // SAFETY: as above.
    let view = unsafe { MatrixViewMut::from_raw_parts(&raw mut sum, 1, 1, 1, 1)? };
    call(&mut layer, Gradients::new().add_to_w(view))?;
    assert_eq!(sum, 7.0);
    // A view that is transposed keeps its mark.
    // SAFETY: as above; it is marked as uninitialised.
    let view = unsafe { MatrixViewMut::from_raw_parts_uninit(&raw mut sum, 1, 1, 1, 1)? };
    let result = call(&mut layer, Gradients::new().add_to_w(view.transposed()));
    assert_eq!(result, Err(Error::Uninitialised { operand: Operand::DW }));
    layer.forward(&[1.0], &[1.0], Bias::None, &mut [0.0])
}

#[test]
fn dimensions_that_do_not_join_are_refused() {
    let mut data = [0.0_f32; 24];
    // Dimensions of one element stand between, with any stride.
    for (dims, strides, error) in [
        (&[2, 3, 4][..], &[12, 4, 1][..], None),
        (&[2, 1, 3, 1, 4], &[12, usize::MAX, 4, 7, 1], None),
        (&[2, 3, 2], &[12, 4, 1], None),
        (&[24], &[1], None),
        (&[3, 2, 4], &[4, 12, 1], Some(Error::NotJoined { outer: 0, inner: 1, expected: 24, found: 4 })),
        (&[2, 1, 2, 4], &[12, 9, 4, 1], Some(Error::NotJoined { outer: 0, inner: 2, expected: 8, found: 12 })),
        (&[2, 2, 2, 2], &[1, 8, 4, 2], Some(Error::NotJoined { outer: 0, inner: 1, expected: 16, found: 1 })),
        (&[2, 3, 5], &[12, 4, 1], Some(Error::OutOfBounds { expected: Some(25), found: 24 })),
        (&[3, 2], &[usize::MAX, 1], Some(Error::OutOfBounds { expected: None, found: 24 })),
        (&[usize::MAX, 2, 1], &[0, 0, 1], Some(Error::OutOfBounds { expected: None, found: 24 })),
        (&[], &[], Some(Error::Dimensions { dims: 0, strides: 0 })),
        (&[2, 3], &[3], Some(Error::Dimensions { dims: 2, strides: 1 })),
        (&[2, 0, 3], &[usize::MAX, 5, 1], None),
    ] {
        assert_eq!(MatrixViewMut::from_dims(&mut data, dims, strides).err(), error, "{dims:?} {strides:?}");
        assert_eq!(MatrixView::from_dims(&data, dims, strides).err(), error, "{dims:?} {strides:?}");
    }
    let text = Error::NotJoined { outer: 0, inner: 2, expected: 8, found: 12 }.to_string();
    assert_eq!(
        text,
        "array: expected a stride of 8 along dimension 0, with which it joins dimension 2 to rows, found 12"
    );
    let text = Error::Dimensions { dims: 2, strides: 1 }.to_string();
    assert_eq!(text, "array: expected at least one dimension and a stride for each, found 2 dimensions and 1 strides");
}

#[test]
fn rows_that_repeat_are_read_and_not_written() {
    let mut data = [1.0_f32, 2.0, 3.0];
    let repeated = MatrixView::from_dims(&data, &[2, 4, 3], &[0, 0, 1]).map(|view| (view.rows(), view.get(7, 2)));
    assert_eq!(repeated, Ok((8, Some(3.0))));
    let written = MatrixViewMut::from_dims(&mut data, &[2, 4, 3], &[0, 0, 1]);
    assert_eq!(written.err(), Some(Error::Overlapping { shape: (8, 3), strides: (0, 1) }));
    // Each row of two once more, which are no rows with one stride.
    let twice = MatrixView::from_dims(&data, &[2, 2, 1], &[0, 1, 1]);
    assert_eq!(twice.err(), Some(Error::NotJoined { outer: 0, inner: 1, expected: 2, found: 0 }));
}

#[test]
fn empty_arrays_have_any_strides() {
    for dims in [[0, 3, 2], [3, 0, 2], [3, 2, 0], [0, usize::MAX, 2], [0, 0, usize::MAX]] {
        for strides in [[0, 0, 0], [1, 2, 3], [usize::MAX; 3]] {
            let view = MatrixView::from_dims(&[], &dims, &strides).map(|view| (view.rows(), view.cols()));
            assert_eq!(view, Ok((dims[0] * dims[1], dims[2])), "{dims:?} {strides:?}");
        }
    }
}
