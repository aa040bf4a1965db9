//! Each operand of each call, of the wrong size or of the wrong kind.

use crate::calls::{Given, backward, forward, saved_operand, shape, upstream_operand, wrong_sizes};
use crate::support::options::{Above, Kept};
use crate::support::stored::{CANARY, is_canary};
use crate::{BATCH, INPUTS, OUTPUTS, layer};
use core::mem::MaybeUninit;
use fused_dense::{
    Activation, Bias, Dense, Error, Gradients, Isa, MatrixView, MatrixViewMut, Operand, Saved, Upstream,
};

#[test]
fn every_operand_of_forward() {
    assert_eq!(forward(None), Ok(()));
    for operand in [Operand::APrev, Operand::W, Operand::B, Operand::A, Operand::Z] {
        for (given, error) in wrong_sizes(operand) {
            assert_eq!(forward(Some((operand, given))), Err(error), "{operand} given as {given:?}");
        }
    }
}

#[test]
fn every_operand_of_backward() {
    for above in [Above::Activation, Above::PreActivation, Above::Targets] {
        for (kept, add) in [(Kept::A, false), (Kept::A, true), (Kept::Z, false), (Kept::Z, true)] {
            assert_eq!(backward(above, kept, add, None), Ok(()));
            let always = [Operand::APrev, Operand::W, Operand::DW, Operand::DB, Operand::DAPrev, Operand::DZ];
            for operand in always.into_iter().chain([saved_operand(kept), upstream_operand(above)]) {
                for (given, error) in wrong_sizes(operand) {
                    let found = backward(above, kept, add, Some((operand, given)));
                    assert_eq!(found, Err(error), "{operand} given as {given:?}, {above:?}, {kept:?}");
                }
            }
        }
    }
}

#[test]
fn another_batch_is_a_wrong_output() {
    let found = forward(Some((Operand::APrev, Given::Slice(5 * INPUTS))));
    assert_eq!(found, Err(Error::Length { operand: Operand::A, expected: 5 * OUTPUTS, found: BATCH * OUTPUTS }));
    let found = forward(Some((Operand::APrev, Given::View(1, INPUTS))));
    assert_eq!(found, Err(Error::Length { operand: Operand::A, expected: OUTPUTS, found: BATCH * OUTPUTS }));
}

/// Without inputs, or without outputs, a slice cannot tell the batch; another operand does.
#[test]
fn empty_rows_must_be_empty_slices() {
    let mut a = [CANARY; 6];
    let error = Error::Length { operand: Operand::APrev, expected: 0, found: 3 };
    assert_eq!(Dense::new(0, 2, Activation::Tanh).forward(&[0.0; 3], &[], Bias::None, &mut a), Err(error));
    assert!(a.into_iter().all(is_canary));
    let error = Error::Length { operand: Operand::A, expected: 0, found: 6 };
    assert_eq!(Dense::new(2, 0, Activation::Tanh).forward(&[0.0; 4], &[], Bias::None, &mut a), Err(error));
    assert!(a.into_iter().all(is_canary));
    assert_eq!(Dense::new(0, 2, Activation::Identity).forward(&[], &[], &[1.0, 2.0], &mut a), Ok(()));
    assert_eq!(a, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0], "the batch of `a`");
}

#[test]
fn gradients_added_to_must_be_initialised() {
    for operand in [Operand::DW, Operand::DB, Operand::DAPrev] {
        let (rows, cols) = shape(operand);
        let mut memory = vec![MaybeUninit::uninit(); rows * cols];
        let view = MatrixViewMut::from_uninit(&mut memory, rows, cols, cols, 1).expect("a valid view");
        let mut others = vec![CANARY; OUTPUTS * INPUTS];
        let gradients = match operand {
            Operand::DW => Gradients::new().add_to_w(view).b(&mut others[..OUTPUTS]),
            Operand::DB => Gradients::new().add_to_b(view).w(&mut others),
            _ => Gradients::new().add_to_a_prev(view).w(&mut others),
        };
        let result = layer().backward(
            &[0.0; BATCH * INPUTS],
            &[0.0; OUTPUTS * INPUTS],
            &[0.0; BATCH * OUTPUTS],
            Upstream::Activation(&[0.0; BATCH * OUTPUTS]),
            gradients,
        );
        assert_eq!(result, Err(Error::Uninitialised { operand }));
        assert!(others.into_iter().all(is_canary));
    }
}

#[test]
fn targets_need_a_sigmoid() {
    for &found in Activation::all() {
        let mut d_w = [CANARY; 1];
        let result = Dense::new(1, 1, found).backward(
            &[1.0],
            &[1.0],
            &[0.5],
            Upstream::Targets(&[1.0]),
            Gradients::new().w(&mut d_w),
        );
        if found == Activation::Sigmoid {
            assert_eq!(result, Ok(()));
        } else {
            assert_eq!(result, Err(Error::TargetsNeedSigmoid { found }));
            assert!(is_canary(d_w[0]));
        }
    }
}

#[test]
fn activations_alone_take_slices_of_one_length() {
    for isa in Isa::available() {
        for &g in Activation::all() {
            let mut out = [CANARY; 3];
            let error = Error::Length { operand: Operand::A, expected: 4, found: 3 };
            assert_eq!(g.forward(&[0.0; 4], &mut out), Err(error.clone()));
            assert_eq!(g.forward_with_isa(isa, &[0.0; 4], &mut out), Err(error));

            let d_a = [0.0; 3];
            let error = |operand| Err(Error::Length { operand, expected: 3, found: 2 });
            assert_eq!(g.backward_with_isa(isa, Saved::z(&[0.0; 2]), &d_a, &mut out), error(Operand::Z));
            assert_eq!(g.backward(Saved::z(&[0.0; 3]), &d_a, &mut out[..2]), error(Operand::DZ));

            let view = MatrixView::new(&[0.0; 6], 1, 3, 6, 2).expect("a valid view");
            let not_a_slice = |operand| Err(Error::NotASlice { operand });
            assert_eq!(g.backward(Saved::z(view), &d_a, &mut out), not_a_slice(Operand::Z));
            if !g.needs_z() {
                assert_eq!(g.backward(&[0.0; 2], &d_a, &mut out), error(Operand::A));
                assert_eq!(g.backward(&[0.0; 3], &d_a, &mut out[..2]), error(Operand::DZ));
                assert_eq!(g.backward(view, &d_a, &mut out), not_a_slice(Operand::A));
            }
            assert!(out.into_iter().all(is_canary));
            let rows = MatrixView::row_major(&d_a, 3, 1).expect("a valid view");
            assert_eq!(g.backward(Saved::z(rows), &[1.0; 3], &mut out), Ok(()), "rows without gaps are a slice");
        }
    }
}
