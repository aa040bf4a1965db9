//! Training that goes on from a checkpoint.

use crate::folder::Folder;
use crate::{data, network, optimizers, other_settings, state, train};
use fused_dense::{Fit, Sgd};

#[test]
fn resumed_steps_are_those_that_never_stopped() {
    let folder = Folder::new("steps");
    let path = folder.path("network.safetensors");
    for optimizer in optimizers() {
        let mut whole = network(optimizer, 1);
        train(&mut whole, 0..12);
        for stop in [0, 1, 3, 7, 11] {
            let mut first = network(optimizer, 1);
            train(&mut first, 0..stop);
            first.save_checkpoint(&path).expect("a file");
            let mut second = network(other_settings(optimizer), 9);
            second.load_checkpoint(&path).expect("a file that fits");
            train(&mut second, stop..12);
            assert_eq!(state(&second), state(&whole), "{optimizer}, stopped after {stop} steps");
        }
    }
}

#[test]
fn a_resumed_fit_is_one_that_never_stopped() {
    let folder = Folder::new("fit");
    let path = folder.path("network.safetensors");
    let (x, labels) = data();
    for optimizer in optimizers() {
        for has_schedule in [false, true] {
            let fit = || {
                let fit = Fit::new().batch(9).seed(3).hold_out(0.2);
                if has_schedule { fit.learning_rate(|epoch| 0.1 / epoch as f32) } else { fit }
            };
            let mut whole = network(optimizer, 1);
            let history = whole.fit(&x, &labels, fit().epochs(7)).expect("valid training");
            assert_eq!(whole.next_epoch(), 8);
            for stop in [0, 1, 4] {
                let mut first = network(optimizer, 1);
                first.fit(&x, &labels, fit().epochs(stop)).expect("valid training");
                first.save_checkpoint(&path).expect("a file");
                let mut second = network(other_settings(optimizer), 9);
                second.load_checkpoint(&path).expect("a file that fits");
                let next = second.next_epoch();
                assert_eq!(next, stop + 1);
                let rest = second.fit(&x, &labels, fit().first_epoch(next).epochs(7 - stop)).expect("valid training");
                assert_eq!(state(&second), state(&whole), "{optimizer}, stopped after {stop} epochs");
                let costs = |epochs: &[fused_dense::Epoch]| epochs.iter().map(|epoch| epoch.cost).collect::<Vec<_>>();
                assert_eq!(costs(rest.epochs()), costs(&history.epochs()[stop..]));
            }
        }
    }
}

/// The epoch goes back with the parameters that it made.
#[test]
fn early_stopping_goes_back_to_the_best_epoch() {
    let (x, labels) = data();
    let mut network = network(Sgd::new(0.1), 1);
    // No epoch behind the third changes anything.
    let fit = Fit::new().learning_rate(|epoch| if epoch > 3 { 0.0 } else { 0.1 }).early_stopping(2);
    let history = network.fit(&x, &labels, fit.validation(&x, &labels).epochs(10)).expect("valid training");
    assert_eq!((history.best_epoch(), network.next_epoch()), (3, 4));
}
