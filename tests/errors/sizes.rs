//! Sizes that are too large for numbers or memory, and workspaces that are too small.

use crate::support::stored::{CANARY, is_canary};
use crate::{BATCH, INPUTS, OUTPUTS, layer, layer_of};
use fused_dense::{
    Activation, Bias, Dense, Error, Gradients, MatrixView, Network, Operand, Team, Threads, Upstream, Workspace,
};

#[test]
fn a_workspace_must_be_large_enough() {
    let layer = layer();
    let expected = layer.workspace_len().expect("a size");
    let (x, w, b) = ([0.0; BATCH * INPUTS], [0.0; OUTPUTS * INPUTS], [0.0; OUTPUTS]);
    for len in [0, 1, expected - 16] {
        let mut workspace = Workspace::new(len);
        let found = workspace.len();
        assert!((len..len + 16).contains(&found));
        let mut a = [CANARY; BATCH * OUTPUTS];
        let result = layer.forward_in(&mut workspace, &x, &w, &b, &mut a);
        assert_eq!(result, Err(Error::WorkspaceTooSmall { expected, found }));
        let mut d_w = [CANARY; OUTPUTS * INPUTS];
        let upstream = Upstream::Activation(&a);
        let result = layer.backward_in(&mut workspace, &x, &w, &a, upstream, Gradients::new().w(&mut d_w));
        assert_eq!(result, Err(Error::WorkspaceTooSmall { expected, found }));
        assert!(a.into_iter().chain(d_w).all(is_canary));
    }
    let mut a = [CANARY; BATCH * OUTPUTS];
    assert_eq!(layer.forward_in(&mut Workspace::new(expected), &x, &w, &b, &mut a), Ok(()));
}

#[test]
fn sizes_that_overflow() {
    let w = Error::TooLarge { operand: Operand::W };
    for (inputs, outputs) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX)] {
        let mut layer = Dense::new(inputs, outputs, Activation::Sigmoid);
        assert_eq!(layer.workspace_len(), Err(w.clone()), "{inputs}→{outputs}");
        assert!(layer.forward(&[], &[], Bias::None, &mut []).is_err());
    }
    assert_eq!(Dense::new(usize::MAX, 2, Activation::Tanh).forward(&[], &[], Bias::None, &mut []), Err(w));

    // More than memory can hold, though it fits `usize`.
    let mut layer = Dense::new(1 << 54, 1, Activation::Sigmoid);
    let expected = layer.workspace_len().expect("a size");
    let repeated = MatrixView::new(&[1.0], 1, 1 << 54, 0, 0).expect("a valid view");
    let mut a = [CANARY];
    let result = layer.forward(repeated, repeated, Bias::None, &mut a);
    assert_eq!(result, Err(Error::WorkspaceTooSmall { expected, found: 0 }));
    assert!(is_canary(a[0]));

    // A batch as large as numbers go, repeated from one sample.
    let sample = [1.0; INPUTS];
    let repeated = MatrixView::new(&sample, usize::MAX, INPUTS, 0, 1).expect("a valid view");
    let mut a = [CANARY; OUTPUTS];
    let result = layer_of(INPUTS, OUTPUTS).forward(repeated, &[0.0; INPUTS * OUTPUTS], Bias::None, &mut a);
    assert_eq!(result, Err(Error::TooLarge { operand: Operand::A }));
    let result = layer_of(INPUTS, 1).forward(repeated, &sample, Bias::None, &mut a);
    assert_eq!(result, Err(Error::Length { operand: Operand::A, expected: usize::MAX, found: OUTPUTS }));
    assert_eq!(layer_of(INPUTS, 0).forward(repeated, &[], Bias::None, &mut []), Ok(()), "nothing to compute");
    assert!(a.into_iter().all(is_canary));
}

#[test]
#[cfg(feature = "rayon")]
fn no_call_has_more_workers_than_a_team() {
    let with_workers =
        |max| Dense::new(8, 8, Activation::Sigmoid).with_threads(Threads::CurrentPool { max }).workspace_len();
    assert_eq!(with_workers(usize::MAX), with_workers(Team::MAX_THREADS));
}

/// No number is too large to be asked about: what does not fit is an error, also with threads.
#[test]
fn numbers_as_large_as_they_come() {
    const MAX: usize = usize::MAX;
    let threads = [
        Threads::Serial,
        Threads::Team(Team::new(2)),
        #[cfg(feature = "rayon")]
        Threads::Pool(rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool").into()),
    ];
    let sizes = [0, 1, 3, 1000, MAX / 64, MAX / 16, MAX / 5, MAX / 4, MAX / 4 + 1, MAX / 2, MAX - 1, MAX];
    for threads in threads {
        for (inputs, outputs) in sizes.into_iter().flat_map(|inputs| sizes.map(|outputs| (inputs, outputs))) {
            let layer = layer_of(inputs, outputs).with_threads(threads.clone());
            for batch in sizes {
                let too_large = |operand| Err(Error::TooLarge { operand });
                let expected = match layer.workspace_len() {
                    Err(error) => Err(error),
                    Ok(_) if batch.saturating_mul(inputs.max(1)) > MAX / 4 => too_large(Operand::APrev),
                    Ok(_) if batch.saturating_mul(outputs.max(1)) > MAX / 4 => too_large(Operand::A),
                    Ok(_) => Ok(()),
                };
                assert_eq!(layer.describe(batch).map(|_| ()), expected, "{batch}×{inputs}→{outputs}");
            }
            let weights = MatrixView::new(&[1.0], outputs, inputs, 0, 0);
            let Ok(weights) = weights else { continue };
            assert_eq!(layer.describe_with(1, weights).map(|_| ()), layer.describe(1).map(|_| ()));
            if inputs.max(outputs) > 1000 && inputs.min(outputs) > 0 {
                assert_eq!(
                    layer.pack(weights).err(),
                    Some(Error::TooLarge { operand: Operand::W }),
                    "{inputs}→{outputs}"
                );
            }
        }

        // As many samples of one, repeated.
        let samples = |cols: usize| MatrixView::new(&[1.0; 3][..cols], MAX, cols, 0, 1).expect("a valid view");
        let (mut d_w, mut d_b) = ([CANARY; 6], [CANARY; 2]);
        let gradients = Gradients::new().w(&mut d_w).b(&mut d_b);
        let upstream = Upstream::Activation(samples(2));
        let mut layer = layer_of(3, 2).with_threads(threads.clone());
        let result = layer.backward(samples(3), &[1.0; 6], samples(2), upstream, gradients);
        assert_eq!(result, Err(Error::TooLarge { operand: Operand::APrev }));
        assert!(d_w.into_iter().chain(d_b).all(is_canary));
        let mut layer = layer_of(3, 0).with_threads(threads.clone());
        assert_eq!(layer.forward(samples(3), &[], Bias::None, &mut []), Ok(()), "nothing to compute");
        let mut network =
            Network::of([layer_of(3, 0).with_threads(threads.clone())]).max_batch(MAX).build().expect("a chain");
        assert_eq!(network.forward(samples(3)), Ok(&[][..]));
    }
    assert!(Workspace::new(MAX).is_empty() && Workspace::new(MAX / 4).is_empty());
}
