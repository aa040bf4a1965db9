//! Training of whole networks: optimisers, the guard, gradients in parts, inference, and the loop.

#![cfg(not(miri))]

mod support;

use core::ops::ControlFlow;
use fused_dense::{
    Activation, Adam, Cost, Error, Fit, FitEnd, Init, Isa, Network, NetworkBuilder, Operand, Optimizer, Sgd, Summation,
    Targets, Team, reference,
};

/// Numbers between `low` and `high`, the same on every run.
fn values(len: usize, mut state: u64, low: f32, high: f32) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len).map(|_| next()).collect()
}

const INPUTS: usize = 9;
const CLASSES: usize = 4;

/// Two hidden layers, of which one needs `z` on the way back, and classes on top.
fn classifier() -> NetworkBuilder {
    Network::builder(INPUTS)
        .layer(19, Activation::Relu)
        .layer(11, Activation::Gelu)
        .layer(CLASSES, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .seed(5)
}

/// Samples whose class is the place of their largest input among the first four.
fn samples(count: usize) -> (Vec<f32>, Vec<u8>) {
    let x = values(count * INPUTS, 1, -1.0, 1.0);
    let class_of = |row: &[f32]| (0..CLASSES).max_by(|&i, &j| row[i].total_cmp(&row[j])).unwrap_or(0) as u8;
    let labels = x.chunks(INPUTS).map(class_of).collect();
    (x, labels)
}

fn optimizers() -> [Optimizer; 6] {
    [
        Sgd::new(0.1).into(),
        Sgd::new(0.05).momentum(0.9).into(),
        Sgd::new(0.05).momentum(0.9).nesterov().weight_decay(1e-3).into(),
        Adam::new(0.01).into(),
        Adam::new(0.01).betas(0.8, 0.95).epsilon(1e-6).weight_decay(0.01).into(),
        Adam::new(0.01).decoupled_weight_decay(0.05).into(),
    ]
}

/// Parameters and the optimiser's state, as bits.
fn state(network: &Network) -> Vec<Vec<u32>> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let of_layer = |layer: &fused_dense::Layer| {
        let state = layer.optimizer_state().flatten().map(bits).collect::<Vec<_>>();
        [vec![bits(layer.w()), bits(layer.b())], state].concat()
    };
    network.layers().iter().flat_map(of_layer).collect()
}

/// A step is forward, backward and the reference's update of each parameter by its gradient, whatever the optimiser.
#[test]
fn a_step_is_the_references_update_by_the_gradients() {
    let (x, labels) = samples(70);
    for optimizer in optimizers() {
        let mut network = classifier().optimizer(optimizer).build().unwrap();
        if !network.layers()[0].dense().isa().unwrap().is_bit_exact() {
            continue;
        }
        for step in 1..=5 {
            let mut expected = network.clone();
            let cost = expected.gradients(&x, &labels).unwrap();
            for layer in expected.layers_mut() {
                let (d_w, d_b) = (layer.d_w().to_vec(), layer.d_b().to_vec());
                let mut arrays: Vec<[Vec<f32>; 2]> =
                    layer.optimizer_state().map(|[of_w, of_b]| [of_w.to_vec(), of_b.to_vec()]).collect();
                let mut update = |parameters: &mut [f32], gradients: &[f32], which: usize| {
                    for (at, (parameter, &gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
                        let mut of_one: Vec<f32> = arrays.iter().map(|array| array[which][at]).collect();
                        *parameter = reference::update(optimizer, step, which == 0, *parameter, gradient, &mut of_one);
                        for (array, value) in arrays.iter_mut().zip(of_one) {
                            array[which][at] = value;
                        }
                    }
                };
                update(layer.w_mut(), &d_w, 0);
                update(layer.b_mut(), &d_b, 1);
                for (to, from) in layer.optimizer_state_mut().zip(&arrays) {
                    to.into_iter().zip(from).for_each(|(to, from)| to.copy_from_slice(from));
                }
            }
            assert_eq!(network.step(&x, &labels), Ok(cost), "{optimizer}");
            assert_eq!(network.steps(), step);
            assert_eq!(state(&network), state(&expected), "{optimizer}, step {step}");
        }
    }
}

/// Guarded or not, all at once or by `apply_gradients`, on one thread or several, with each instruction set.
#[test]
fn every_way_to_step_has_the_same_bits() {
    let (x, labels) = samples(300);
    for optimizer in optimizers() {
        for isa in Isa::available().into_iter().filter(|isa| isa.is_bit_exact()) {
            let new = || classifier().optimizer(optimizer).max_batch(300).isa(isa);
            let mut guarded = new().build().unwrap();
            let mut unguarded = new().unguarded().build().unwrap();
            let mut in_two = new().build().unwrap();
            let mut shared = new().threads(Team::new(3)).build().unwrap();
            for _ in 0..3 {
                let cost = guarded.step(&x, &labels).unwrap();
                assert_eq!(unguarded.step(&x, &labels), Ok(cost));
                assert_eq!(shared.step(&x, &labels), Ok(cost));
                assert_eq!(in_two.gradients(&x, &labels), Ok(cost));
                in_two.apply_gradients().unwrap();
            }
            for other in [&unguarded, &in_two, &shared] {
                assert_eq!(state(other), state(&guarded), "{optimizer}, {isa}");
            }
        }
    }
}

/// Parts of whole blocks add up to the bits of the whole batch.
#[test]
fn accumulated_blocks_are_the_whole_batch() {
    let (x, labels) = samples(600);
    let new = || classifier().max_batch(600).summation(Summation::Chain).build().unwrap();
    let (mut whole, mut in_parts) = (new(), new());
    let cost = whole.gradients(&x, &labels).unwrap();
    let mut sum = 0.0;
    for part in [0..256, 256..512, 512..600] {
        let rows = part.start * INPUTS..part.end * INPUTS;
        sum += in_parts.accumulate(&x[rows], &labels[part], 600.0).unwrap();
    }
    assert!((sum - cost).abs() < 1e-6, "{sum} against {cost}");
    for (whole, in_parts) in whole.layers().iter().zip(in_parts.layers()) {
        assert_eq!((whole.d_w(), whole.d_b()), (in_parts.d_w(), in_parts.d_b()));
    }
    // A step ends the sum.
    in_parts.apply_gradients().unwrap();
    assert_eq!(in_parts.apply_gradients(), Err(Error::NoGradients));
    assert_eq!(in_parts.clip_gradients(1.0), Err(Error::NoGradients));
    in_parts.accumulate(&x[..INPUTS], &labels[..1], 1.0).unwrap();
    let mut alone = in_parts.clone();
    alone.gradients(&x[..INPUTS], &labels[..1]).unwrap();
    assert_eq!(in_parts.layers()[0].d_w(), alone.layers()[0].d_w());
    for samples in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(in_parts.accumulate(&x, &labels, samples), Err(Error::Setting { name: "samples", .. })));
    }
}

#[test]
fn clipping_bounds_the_norm_of_all_gradients_together() {
    let (x, labels) = samples(50);
    let mut network = classifier().build().unwrap();
    network.gradients(&x, &labels).unwrap();
    let norm_of = |network: &Network| {
        let gradients = network.layers().iter().flat_map(|layer| layer.d_w().iter().chain(layer.d_b()));
        gradients.map(|&gradient| f64::from(gradient).powi(2)).sum::<f64>().sqrt()
    };
    let before = norm_of(&network);
    let unclipped = network.layers()[0].d_w().to_vec();
    let norm = network.clip_gradients(2.0 * before as f32).unwrap();
    assert!((norm - before).abs() < 1e-12 * before);
    assert_eq!(network.layers()[0].d_w(), unclipped, "nothing to clip");
    network.clip_gradients(0.25 * before as f32).unwrap();
    assert!((norm_of(&network) / before - 0.25).abs() < 1e-6);
    assert!(matches!(network.clip_gradients(0.0), Err(Error::Setting { name: "max_norm", .. })));
}

/// A step whose cost or gradient is not finite leaves parameters, state and count as they were.
#[test]
fn the_guard_refuses_and_leaves_everything() {
    let (x, labels) = samples(6);
    let spoilt = |at: usize, value: f32| {
        let mut x = x.clone();
        x[at] = value;
        x
    };
    for optimizer in optimizers() {
        let mut network = classifier().optimizer(optimizer).build().unwrap();
        network.step(&x, &labels).unwrap();
        let before = state(&network);
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = network.step(&spoilt(2 * INPUTS, value), &labels).unwrap_err();
            assert!(matches!(error, Error::NotFinite { .. }), "{error}");
            assert_eq!((state(&network), network.steps()), (before.clone(), 1), "{optimizer}, {value}");
        }
        let diverging = |_: &[f32], d_a: &mut [f32]| {
            d_a.fill(0.0);
            f64::NAN
        };
        let refused = Err(Error::NotFinite { layer: None, operand: Operand::Cost });
        assert_eq!(network.step_with_d_a(&x, diverging), refused);
        let steep = |_: &[f32], d_z: &mut [f32]| {
            d_z.fill(f32::INFINITY);
            1.0
        };
        let refused = Err(Error::NotFinite { layer: Some(2), operand: Operand::DZ });
        assert_eq!(network.step_with_d_z(&x, steep), refused);
        assert_eq!((state(&network), network.steps()), (before, 1), "{optimizer}");
        network.step(&x, &labels).unwrap();
    }
}

/// A cost of the caller's own may panic: the network then is as it was, and goes on.
#[test]
fn a_cost_that_panics_leaves_everything() {
    let (x, labels) = samples(6);
    let (mut network, mut other) = (classifier().build().unwrap(), classifier().build().unwrap());
    let before = state(&network);
    for by_z in [false, true] {
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let cost = |_: &[f32], _: &mut [f32]| panic!("no cost");
            if by_z { network.step_with_d_z(&x, cost) } else { network.step_with_d_a(&x, cost) }
        }));
        assert!(panics.is_err());
        assert_eq!((state(&network), network.steps()), (before.clone(), 0));
    }
    assert_eq!(network.step(&x, &labels), other.step(&x, &labels));
    assert_eq!(state(&network), state(&other));
}

/// Where sizes alone cannot rule an overflow out, the gradients are made and looked at: finite ones are applied with the
/// bits of an unguarded step, an overflow is refused.
#[test]
fn the_guard_looks_closer_where_an_overflow_is_possible() {
    let new = || {
        let network = Network::builder(2).layer(2, Activation::Identity).optimizer(Sgd::new(1e-30).momentum(0.5));
        network.init(Init::Zeros)
    };
    let x = [1e20, 0.0, 0.0, 1e20];
    let apart = |_: &[f32], d_z: &mut [f32]| {
        d_z.copy_from_slice(&[1e18, 1e-20, 1e-20, 1e18]);
        1.0
    };
    let (mut guarded, mut unguarded) = (new().build().unwrap(), new().unguarded().build().unwrap());
    assert_eq!(guarded.step_with_d_z(&x, apart), Ok(1.0));
    assert_eq!(unguarded.step_with_d_z(&x, apart), Ok(1.0));
    assert_eq!(state(&guarded), state(&unguarded));
    let before = state(&guarded);
    let overflowing = |_: &[f32], d_z: &mut [f32]| {
        d_z.copy_from_slice(&[1e19, 0.0, 0.0, 1e19]);
        1.0
    };
    let refused = Err(Error::NotFinite { layer: Some(0), operand: Operand::DW });
    assert_eq!(guarded.step_with_d_z(&x, overflowing), refused);
    assert_eq!(state(&guarded), before);
    // The refused step looked at gradients of its own, in the place of any others.
    guarded.gradients(&x, &[0.0; 4]).unwrap();
    assert_eq!(guarded.step_with_d_z(&x, overflowing), refused);
    assert_eq!(guarded.apply_gradients(), Err(Error::NoGradients));
}

/// Numbers of any size, from tiny to where products overflow: a step is taken only if all gradients are finite, and has the
/// bits of one without a guard then; refused, it leaves everything.
#[test]
fn a_guarded_step_is_taken_only_if_all_gradients_are_finite() {
    const BATCH: usize = 3;
    let activations = [Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::LeakyRelu { slope: 1e6 }];
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..600_u64 {
        let exponents = values(16, seed + 1000, -30.0, 38.0);
        let of_size = |len: usize, index: usize| {
            let size = 10_f32.powf(exponents[index] * if seed % 3 == 0 { 0.1 } else { 0.7 });
            values(len, seed * 16 + index as u64, -size, size)
        };
        let optimizer = optimizers()[(seed % 6) as usize];
        let network = Network::builder(INPUTS)
            .layer(7, activations[(seed % 4) as usize])
            .layer(5, activations[(seed / 4 % 4) as usize])
            .layer(CLASSES, if seed % 2 == 0 { Activation::Sigmoid } else { Activation::Identity })
            .cost(if seed % 2 == 0 { Cost::BinaryCrossEntropy } else { Cost::Quadratic })
            .optimizer(optimizer);
        let (mut guarded, mut unguarded) = (network.clone().build().unwrap(), network.unguarded().build().unwrap());
        for step in 0..3 {
            if step != 1 {
                // The bounds of the steps before are those of other weights.
                for (index, (layer, same)) in guarded.layers_mut().iter_mut().zip(unguarded.layers_mut()).enumerate() {
                    let w = of_size(layer.w().len(), step + index);
                    layer.w_mut().copy_from_slice(&w);
                    same.w_mut().copy_from_slice(&w);
                }
            }
            let (x, y) = (of_size(BATCH * INPUTS, 8 + step), values(BATCH * CLASSES, seed, 0.0, 1.0));
            let (before, mut with_gradients) = (state(&guarded), guarded.clone());
            let cost = with_gradients.gradients(&x, &y).unwrap();
            let mut gradients = with_gradients.layers().iter().flat_map(|layer| layer.d_w().iter().chain(layer.d_b()));
            let are_finite = cost.is_finite() && gradients.all(|gradient| gradient.is_finite());
            match guarded.step(&x, &y) {
                Ok(found) => {
                    assert!(are_finite, "seed {seed}, step {step}");
                    assert_eq!(unguarded.step(&x, &y), Ok(found));
                    assert_eq!(state(&guarded), state(&unguarded), "seed {seed}, step {step}");
                    taken += 1;
                }
                Err(error) => {
                    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
                    assert_eq!(state(&guarded), before, "seed {seed}, step {step}");
                    refused += 1;
                    break;
                }
            }
        }
    }
    assert!(taken > 500 && refused > 100, "{taken} taken, {refused} refused");
}

/// A cost of the caller's own that is one of the network's has its gradients, but for roundings.
#[test]
fn own_costs_are_as_good_as_built_in_ones() {
    let x = values(5 * INPUTS, 3, -1.0, 1.0);
    let y = values(5, 4, 0.0, 1.0);
    let new =
        || Network::builder(INPUTS).layer(7, Activation::Tanh).layer(1, Activation::Sigmoid).optimizer(Sgd::new(0.5));
    let mut built_in = new().cost(Cost::Quadratic).build().unwrap();
    let mut own = new().cost(Cost::Quadratic).build().unwrap();
    for _ in 0..4 {
        let cost = built_in.gradients(&x, &y).unwrap();
        let quadratic = |a: &[f32], d_a: &mut [f32]| {
            for ((d_a, a), y) in d_a.iter_mut().zip(a).zip(&y) {
                *d_a = (a - y) / 5.0;
            }
            a.iter().zip(&y).map(|(a, y)| f64::from(a - y).powi(2) / 10.0).sum()
        };
        let found = own.gradients_with_d_a(&x, quadratic).unwrap();
        assert!((cost - found).abs() < 1e-7 * cost, "{cost} against {found}");
        let pairs = built_in.layers().iter().zip(own.layers());
        for (a, b) in pairs.flat_map(|(built_in, own)| built_in.d_w().iter().zip(own.d_w())) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1e-3), "{a} against {b}");
        }
        built_in.apply_gradients().unwrap();
        own.apply_gradients().unwrap();
    }
}

/// The slope of each cost, by differences.
#[test]
fn gradients_are_the_slopes_of_every_cost() {
    let x = values(6 * INPUTS, 1, -1.0, 1.0);
    let shares = [0.1, 0.2, 0.3, 0.4, 1.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25].repeat(2);
    let (ones, weights) = (values(6 * CLASSES, 2, 0.0, 1.0), [0.5, 1.0, 2.0, 0.0, 3.0, 1.0]);
    let labels = [0_usize, 1, 2, 3, 0, 1];
    let new = |cost, last| Network::builder(INPUTS).layer(8, Activation::Silu).layer(CLASSES, last).cost(cost).seed(9);
    let (softmax, identity) = (Cost::SoftmaxCrossEntropy, Activation::Identity);
    let class_weights = [0.5, 1.0, 2.0, 4.0];
    let cases: [(NetworkBuilder, Targets<'_>); 8] = [
        (new(softmax, identity), Targets::classes(&labels)),
        (new(softmax, identity), Targets::values(&shares)),
        (new(softmax, identity).class_weights(class_weights), Targets::classes(&labels).sample_weights(&weights)),
        (new(softmax, identity).class_weights(class_weights), Targets::values(&shares)),
        (new(Cost::BinaryCrossEntropy, Activation::Sigmoid), Targets::values(&ones)),
        (
            new(Cost::BinaryCrossEntropy, Activation::Sigmoid).positive_weight(3.0).class_weights(class_weights),
            Targets::values(&ones).sample_weights(&weights),
        ),
        (new(Cost::Quadratic, Activation::Softplus), Targets::values(&ones)),
        (new(Cost::Quadratic, identity).class_weights(class_weights), Targets::values(&ones).sample_weights(&weights)),
    ];
    for (case, (builder, targets)) in cases.into_iter().enumerate() {
        let mut network = builder.build().unwrap();
        let cost = network.gradients(&x, targets).unwrap();
        let evaluated = network.evaluate(&x, targets).unwrap().cost;
        assert!((cost - evaluated).abs() < 1e-12 + 1e-7 * cost, "case {case}: {cost} and {evaluated}");
        for layer in 0..2 {
            let (step, gradient) = (1.0 / 256.0, network.layers()[layer].d_w()[8]);
            let mut moved = |by: f32| {
                network.layers_mut()[layer].w_mut()[8] += by;
                let cost = network.evaluate(&x, targets).unwrap().cost;
                network.layers_mut()[layer].w_mut()[8] -= by;
                cost
            };
            let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            assert!(
                (slope - f64::from(gradient)).abs() < 1e-4,
                "case {case}, layer {layer}: slope {slope} against {gradient}"
            );
        }
    }
}

/// Inference through `&self` by several threads, in batches of any size.
#[test]
fn predictions_are_those_of_forward() {
    let (x, _) = samples(700);
    let mut network = classifier().summation(Summation::Chain).max_batch(700).build().unwrap();
    let expected = network.forward(&x).unwrap().to_vec();
    let small = classifier().summation(Summation::Chain).max_batch(1).build().unwrap();
    std::thread::scope(|scope| {
        for count in [1, 3, 255, 256, 257, 700] {
            let (small, x, expected) = (&small, &x, &expected);
            scope.spawn(move || {
                let mut a = vec![f32::NAN; count * CLASSES];
                small.predict(&x[..count * INPUTS], &mut a).unwrap();
                assert_eq!(a, expected[..count * CLASSES]);
                let mut z = vec![f32::NAN; count * CLASSES];
                small.predict_z(&x[..count * INPUTS], &mut z).unwrap();
                assert_eq!(z, a, "the last layer is the identity");
                let mut classes = vec![99; count];
                small.predict_classes(&x[..count * INPUTS], &mut classes).unwrap();
                let mut p = vec![0.0; count * CLASSES];
                small.predict_probabilities(&x[..count * INPUTS], &mut p).unwrap();
                for ((row, p), class) in a.chunks(CLASSES).zip(p.chunks(CLASSES)).zip(classes) {
                    assert!(row.iter().all(|&value| value <= row[class as usize]));
                    assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6 && p[class as usize] >= 0.25);
                }
            });
        }
    });
    let mut a = [7.0; 5];
    let error = Error::Length { operand: Operand::A, expected: 4, found: 5 };
    assert_eq!(small.predict(&x[..INPUTS], &mut a), Err(error));
    let error = Error::Length { operand: Operand::Z, expected: 4, found: 5 };
    assert_eq!(small.predict_z(&x[..INPUTS], &mut a), Err(error));
    assert_eq!(a, [7.0; 5]);
    assert!(small.predict_classes(&x[..INPUTS + 1], &mut [0]).is_err());
}

#[test]
fn fit_learns_and_repeats_itself() {
    let (x, labels) = samples(400);
    let fit = || Fit::new().epochs(40).batch(16).seed(11).hold_out(0.25);
    let new = || classifier().optimizer(Adam::new(0.01)).build().unwrap();
    let (mut once, mut again) = (new(), new());
    let history = once.fit(&x, &labels, fit()).unwrap();
    assert_eq!(again.fit(&x, &labels, fit()).unwrap(), history);
    assert_eq!(state(&once), state(&again));
    assert_eq!((history.epochs().len(), history.end()), (40, FitEnd::AllEpochs));
    assert_eq!(once.steps(), 40 * (300_u64.div_ceil(16)));
    let last = history.epochs().last().unwrap();
    assert!(last.cost < 0.5 * history.epochs()[0].cost);
    assert!(last.validation.unwrap().accuracy.unwrap() > 0.8, "{last:?}");

    // In two parts, with the network's state carried over.
    let mut parts = new();
    parts.fit(&x, &labels, fit().epochs(15)).unwrap();
    parts.fit(&x, &labels, fit().epochs(25).first_epoch(16)).unwrap();
    assert_eq!(state(&parts), state(&once));
}

/// The best epoch's parameters come back.
#[test]
fn early_stopping_keeps_the_best() {
    let (x, labels) = samples(60);
    let (held_x, held_labels) = (values(40 * INPUTS, 77, -1.0, 1.0), [0_u8, 1, 2, 3].repeat(10));
    let mut network = classifier().optimizer(Adam::new(0.02)).build().unwrap();
    let fit = Fit::new().epochs(500).batch(20).validation(&held_x, &held_labels).early_stopping(4);
    let history = network.fit(&x, &labels, fit).unwrap();
    // Random labels cannot be learnt: the cost on them soon rises.
    assert_eq!(history.end(), FitEnd::NoImprovement);
    assert_eq!(history.epochs().len(), history.best_epoch() + 4);
    let best = history.epochs()[history.best_epoch() - 1].validation.unwrap();
    assert_eq!(network.evaluate(&held_x, &held_labels).unwrap(), best);
    let steps = history.best_epoch() as u64 * 3;
    assert_eq!(network.steps(), steps);
}

#[test]
fn fit_obeys_its_callback_and_its_rates() {
    let (x, labels) = samples(30);
    let mut network = classifier().optimizer(Sgd::new(1.0)).build().unwrap();
    let mut seen = Vec::new();
    let fit = Fit::new().in_order().learning_rate(|epoch| 0.1 / epoch as f32).on_epoch(|epoch| {
        seen.push(epoch.number);
        if epoch.number == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(network.fit(&x, &labels, fit).unwrap().end(), FitEnd::Callback);
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(network.optimizer().learning_rate(), 0.1 / 3.0);
}

#[test]
fn fit_refuses_before_it_touches() {
    let (x, labels) = samples(30);
    let mut network = classifier().max_batch(8).build().unwrap();
    let before = state(&network);
    let mut refused = |x: &[f32], labels: &[u8], fit: Fit<'_>| network.fit(x, labels, fit).unwrap_err();
    assert_eq!(refused(&x, &labels, Fit::new().batch(9)), Error::BatchTooLarge { max: 8, found: 9 });
    assert!(matches!(refused(&x, &labels, Fit::new().batch(0)), Error::Setting { name: "batch", .. }));
    for share in [0.0, 1.0, f32::NAN] {
        assert!(matches!(refused(&x, &labels, Fit::new().hold_out(share)), Error::Setting { name: "hold_out", .. }));
    }
    refused(&x[1..], &labels, Fit::new());
    refused(&x, &labels[1..], Fit::new());
    let mut wrong = labels.clone();
    wrong[29] = CLASSES as u8;
    refused(&x, &wrong, Fit::new());
    let mut infinite = x.clone();
    infinite[100] = f32::INFINITY;
    assert_eq!(refused(&infinite, &labels, Fit::new()), Error::NotFinite { layer: None, operand: Operand::X });
    assert_eq!(state(&network), before);
}

/// Without a word about weights, each kind of layer begins where it can learn.
#[test]
fn exclusive_or_is_learnt_from_the_default() {
    let (x, y) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]);
    for activation in [Activation::Tanh, Activation::Sigmoid, Activation::Relu, Activation::Gelu, Activation::Softplus]
    {
        let network = Network::builder(2).layer(16, activation).layer(1, Activation::Sigmoid);
        let mut network =
            network.cost(Cost::BinaryCrossEntropy).optimizer(Adam::new(0.05)).max_batch(4).build().unwrap();
        for _ in 0..500 {
            network.step(&x, &y).unwrap();
        }
        let mut classes = [9; 4];
        network.predict_classes(&x, &mut classes).unwrap();
        assert_eq!(classes, [0, 1, 1, 0], "{activation}");
    }
}

#[test]
fn builders_refuse_by_name() {
    let adam = |adam: Adam| classifier().optimizer(adam).build().err();
    assert!(matches!(adam(Adam::new(f32::NAN)), Some(Error::Setting { .. })));
    assert!(matches!(adam(Adam::new(0.1).betas(1.0, 0.9)), Some(Error::Setting { .. })));
    let sigmoid =
        Network::builder(2).layer(2, Activation::Sigmoid).cost(Cost::SoftmaxCrossEntropy).build().unwrap_err();
    let cost = Cost::SoftmaxCrossEntropy;
    let (expected, found) = (Activation::Identity, Activation::Sigmoid);
    assert_eq!(sigmoid, Error::CostNeedsActivation { cost, expected, found });
    assert_eq!(Network::builder(2).build().unwrap_err(), Error::NoLayers);
    let steep = Activation::LeakyRelu { slope: f32::NAN };
    let error = Network::builder(2).layer(2, Activation::Relu).layer(2, steep).build().unwrap_err();
    assert!(matches!(error, Error::LayerActivation { layer: 1, .. }));
    assert!(error.to_string().starts_with("network: layer 1: "), "{error}");
    assert!(classifier().class_weights([1.0; 3]).build().is_err());
    assert!(classifier().positive_weight(2.0).build().is_err());
}
