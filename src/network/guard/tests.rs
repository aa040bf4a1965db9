//! The bounds by which a step is known to be finite before any `dz` below the top is made.

use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::network::passes::Above;
use crate::network::{Network, NetworkBuilder};
use crate::optimizer::{Adam, Optimizer, Sgd};

fn builder(hidden: usize, optimizer: impl Into<Optimizer>) -> NetworkBuilder {
    let network = Network::builder(5).layer(hidden, Activation::Relu).layer(hidden, Activation::Relu);
    network.layer(3, Activation::Sigmoid).optimizer(optimizer).seed(3)
}

fn step(network: &mut Network) {
    network.step(&[0.5, -1.0, 0.25, 2.0, -0.125], &[0.0, 1.0, 0.5]).unwrap();
}

fn bounds(network: &Network) -> Vec<Option<f64>> {
    network.layers.iter().map(|layer| layer.w.bound()).collect()
}

/// Plain descent, decaying or not, knows bounds of all weights but the first layer's, of which nobody asks for one.
#[test]
fn a_bound_holds_after_every_step_of_plain_descent() {
    for optimizer in [Sgd::new(0.5), Sgd::new(0.5).weight_decay(0.75), Sgd::new(3.0).weight_decay(1.0)] {
        let mut network = builder(7, optimizer).build().unwrap();
        for _ in 0..10 {
            step(&mut network);
            assert_eq!(network.layers[0].w.bound(), None);
            for layer in &network.layers[1..] {
                let bound = layer.w.bound().unwrap();
                assert!(layer.w().iter().all(|w| f64::from(w.abs()) <= bound), "{bound}");
            }
        }
    }
}

#[test]
fn whoever_changes_weights_takes_their_bound() {
    let mut network = builder(7, 0.5).build().unwrap();
    step(&mut network);
    network.layers_mut()[1].w_mut()[0] = 3.0;
    assert!(matches!(bounds(&network)[..], [None, None, Some(_)]));
    step(&mut network);
    assert!(network.layers[1].w.bound().unwrap() >= 3.0);
    let _ = network.layers_mut()[2].parameters_mut();
    assert!(matches!(bounds(&network)[..], [None, Some(_), None]));
    network.gradients(&[1.0; 5], &[0.0; 3]).unwrap();
    network.apply_gradients().unwrap();
    assert_eq!(bounds(&network), [None; 3]);
}

/// Momentum and Adam keep what earlier gradients left, and no bound outlasts their step: the weights are looked at anew, if they
/// are few.
#[test]
fn momentum_and_adam_leave_no_bound() {
    for optimizer in [Sgd::new(0.5).momentum(0.5).into(), Optimizer::from(Adam::new(0.01))] {
        let mut network = builder(7, optimizer).build().unwrap();
        step(&mut network);
        assert_eq!(bounds(&network), [None; 3]);
        network.look_at_inputs((&[1.0; 5]).into(), 1, Above::ByA).unwrap();
        assert!(network.bounds_suffice(1.0, 1, 1.0).unwrap());
        assert!(matches!(bounds(&network)[..], [None, Some(_), Some(_)]));
        let most = network.layers[1].dense.target().unwrap().tuning.right_max_len;
        let hidden = most.isqrt() + 1;
        let mut network = builder(hidden, optimizer).build().unwrap();
        network.look_at_inputs((&[1.0; 5]).into(), 1, Above::ByA).unwrap();
        assert!(!network.bounds_suffice(1.0, 1, 1.0).unwrap());
        assert!(matches!(bounds(&network)[..], [None, None, Some(_)]));
    }
}

/// A bound that many steps have raised is found anew before it sends a step the long way.
#[test]
fn a_loose_bound_is_found_anew() {
    let mut network = builder(7, 0.5).build().unwrap();
    step(&mut network);
    for layer in &mut network.layers[1..] {
        let _ = layer.w.for_step(|_| Some(1e30));
    }
    network.look_at_inputs((&[1.0; 5]).into(), 1, Above::ByA).unwrap();
    assert!(!network.bounds_suffice(1.0, 1, 1.0).unwrap());
    step(&mut network);
    assert!(network.layers[1..].iter().all(|layer| layer.w.bound().unwrap() < 1e6), "{:?}", bounds(&network));
}

#[test]
fn weights_that_are_no_numbers_bound_nothing() {
    for spoilt in [f32::NAN, f32::INFINITY, f32::MAX] {
        let mut network = builder(7, 0.5).build().unwrap();
        network.layers_mut()[1].w_mut()[9] = spoilt;
        network.look_at_inputs((&[1.0; 5]).into(), 1, Above::ByA).unwrap();
        assert!(!network.bounds_suffice(1.0, 1, 1.0).unwrap(), "{spoilt}");
    }
}

/// Layers whose outputs cannot be large are not looked at: a NaN among them shows in the cost.
#[test]
fn a_nan_that_is_not_looked_at_refuses_the_step() {
    let bounded = Activation::all().iter().filter(|activation| activation.largest().is_some());
    for (hidden, layer) in bounded.flat_map(|hidden| (0..4).map(move |layer| (*hidden, layer))) {
        let network = Network::builder(5).layer(6, hidden).layer(6, hidden).layer(6, hidden);
        let mut network = network.layer(3, Activation::Sigmoid).optimizer(0.5).seed(3).build().unwrap();
        step(&mut network);
        network.layers_mut()[layer].w_mut()[7] = f32::NAN;
        let weights = |network: &Network| -> Vec<u32> {
            network.layers.iter().flat_map(|layer| layer.w().iter().map(|w| w.to_bits())).collect()
        };
        let before = weights(&network);
        let refused = network.step(&[0.5, -1.0, 0.25, 2.0, -0.125], &[0.0, 1.0, 0.5]);
        let expected = Err(Error::NotFinite { layer: None, operand: Operand::Cost });
        assert_eq!((refused, weights(&network)), (expected, before), "{hidden}, layer {layer}");
    }
}
