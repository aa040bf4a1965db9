//! A network's step against the calls it is made of, and what it learns.

#![cfg(not(miri))]

use fused_dense::{
    Activation, Cost, Dense, Error, Gradients, Input, MatrixView, Network, Operand, Outputs, Sgd, Team, Threads,
    Upstream, loss,
};
#[cfg(feature = "rayon")]
use std::sync::Arc;

const SIZES: [(usize, usize, Activation); 3] =
    [(7, 33, Activation::Tanh), (33, 18, Activation::Relu), (18, 5, Activation::Sigmoid)];

fn values(len: usize, mut state: u64, low: f32, high: f32) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len).map(|_| next()).collect()
}

fn network(cost: Cost, max_batch: usize) -> Network {
    network_on([const { Threads::Serial }; 3], cost, max_batch)
}

/// A network whose layers have these threads.
fn network_on(threads: [Threads; 3], cost: Cost, max_batch: usize) -> Network {
    let layers = SIZES.into_iter().zip(threads);
    let layers = layers
        .map(|((inputs, outputs, activation), threads)| Dense::new(inputs, outputs, activation).with_threads(threads));
    let mut network = of(layers, cost, max_batch).unwrap();
    for (seed, layer) in network.layers_mut().iter_mut().enumerate() {
        let [(w, _), (b, _)] = layer.parameters_mut();
        w.copy_from_slice(&values(w.len(), seed as u64, -0.5, 0.5));
        b.copy_from_slice(&values(b.len(), 10 + seed as u64, -0.1, 0.1));
    }
    network
}

/// A network that a step changes by plain gradient descent.
fn of(layers: impl IntoIterator<Item = Dense>, cost: Cost, max_batch: usize) -> Result<Network, Error> {
    Network::of(layers).cost(cost).optimizer(Sgd::new(1.0)).max_batch(max_batch).build()
}

/// A step with this learning rate.
fn step<'a>(network: &mut Network, x: impl Into<Input<'a>>, y: &[f32], rate: f32) -> Result<f64, Error> {
    network.set_learning_rate(rate)?;
    network.step(x, y)
}

fn parameters(network: &Network) -> Vec<Vec<f32>> {
    network.layers().iter().flat_map(|layer| [layer.w().to_vec(), layer.b().to_vec()]).collect()
}

/// The cost and the parameters after one step, layer by layer.
fn step_by_hand(network: &Network, x: &[f32], y: &[f32], batch: usize, learning_rate: f32) -> (f64, Vec<Vec<f32>>) {
    let mut a = vec![x.to_vec()];
    let mut z = Vec::new();
    for layer in network.layers() {
        let mut dense = layer.dense().clone();
        z = vec![0.0; batch * dense.outputs()];
        let mut next = z.clone();
        dense.forward(a.last().unwrap(), layer.w(), layer.b(), Outputs::new(&mut next).z(&mut z)).unwrap();
        a.push(next);
    }
    let output = a.last().unwrap();
    let mut d_a = vec![0.0; output.len()];
    let cost = match network.cost() {
        Cost::BinaryCrossEntropy => loss::binary_cross_entropy_from_z(&z, y, 5).unwrap(),
        _ => {
            loss::quadratic_gradient(output, y, &mut d_a).unwrap();
            loss::quadratic(output, y, 5).unwrap()
        }
    };
    let mut stepped = parameters(network);
    for (index, layer) in network.layers().iter().enumerate().rev() {
        let mut dense = layer.dense().clone();
        let (mut d_w, mut d_b) = (vec![0.0; layer.w().len()], vec![0.0; layer.b().len()]);
        let mut d_a_prev = vec![0.0; a[index].len()];
        let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_a_prev).scale(1.0 / batch as f32);
        let is_short_cut = index == 2 && network.cost() == Cost::BinaryCrossEntropy;
        let upstream = if is_short_cut { Upstream::Targets(y) } else { Upstream::Activation(&d_a[..]) };
        dense.backward(&a[index], layer.w(), &a[index + 1], upstream, gradients).unwrap();
        let is_fused = dense.isa().unwrap().is_bit_exact();
        for (parameters, gradients) in stepped[2 * index..].iter_mut().zip([d_w, d_b]) {
            for (p, g) in parameters.iter_mut().zip(gradients) {
                *p = if is_fused { (-learning_rate).mul_add(g, *p) } else { *p - learning_rate * g };
            }
        }
        d_a = d_a_prev;
    }
    (cost, stepped)
}

/// Layers that share a team or a pool, some of them, or one each.
#[test]
fn threads_do_not_show_in_a_step() {
    let team = || Threads::from(Team::new(3));
    let one_team = team();
    let choices = [
        [const { Threads::Serial }; 3].map(|_| one_team.clone()),
        [Threads::Serial, one_team.clone(), Threads::Serial],
        [team(), one_team.clone(), team()],
    ];
    check_steps_on(choices);
}

#[test]
#[cfg(feature = "rayon")]
fn pools_do_not_show_in_a_step() {
    let pool = || Threads::from(Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()));
    let (one_team, one_pool) = (Threads::from(Team::new(3)), pool());
    let choices = [
        [const { Threads::Serial }; 3].map(|_| one_pool.clone()),
        [one_team.clone(), pool(), one_team.clone()],
        [one_pool.clone(), one_team.clone(), Threads::CurrentPool { max: 2 }],
    ];
    check_steps_on(choices);
}

/// Steps of a network with these threads for its layers, against those of one on a single thread.
fn check_steps_on(choices: impl IntoIterator<Item = [Threads; 3]>) {
    let batch = 700;
    let (x, y) = (values(batch * 7, 1, -1.0, 1.0), values(batch * 5, 2, 0.0, 1.0));
    let mut serial = network(Cost::Quadratic, batch);
    let costs = [0.5, 0.25, 0.5].map(|rate| step(&mut serial, &x, &y, rate).unwrap());
    for threads in choices {
        let mut shared = network_on(threads.clone(), Cost::Quadratic, batch);
        assert_eq!([0.5, 0.25, 0.5].map(|rate| step(&mut shared, &x, &y, rate).unwrap()), costs, "{threads:?}");
        assert_eq!(parameters(&shared), parameters(&serial), "{threads:?}");
        assert_eq!(shared.forward(&x).unwrap(), serial.forward(&x).unwrap(), "{threads:?}");
    }
}

#[test]
fn a_step_is_its_layers_calls_to_the_bit() {
    for cost in [Cost::BinaryCrossEntropy, Cost::Quadratic] {
        for batch in [1, 4, 31, 300] {
            // Room for more than the batch must not matter.
            let mut network = network(cost, 300);
            let (x, y) = (values(batch * 7, 1, -1.0, 1.0), values(batch * 5, 2, 0.0, 1.0));
            let expected = step_by_hand(&network, &x, &y, batch, 0.3);
            let found = step(&mut network, &x, &y, 0.3).unwrap();
            assert_eq!((found, parameters(&network)), expected, "{cost:?}, batch {batch}");
        }
    }
}

#[test]
fn samples_in_columns_give_the_same_bits() {
    let (x, y) = (values(31 * 7, 1, -1.0, 1.0), values(31 * 5, 2, 0.0, 1.0));
    let by_feature: Vec<f32> = (0..7 * 31).map(|at| x[at % 31 * 7 + at / 31]).collect();
    let view = MatrixView::row_major(&by_feature, 7, 31).unwrap().transposed();
    let (mut plain, mut strided) = (network(Cost::BinaryCrossEntropy, 31), network(Cost::BinaryCrossEntropy, 31));
    assert_eq!(step(&mut plain, &x, &y, 0.1), step(&mut strided, view, &y, 0.1));
    assert_eq!(parameters(&plain), parameters(&strided));
}

#[test]
fn gradients_are_the_slopes_of_the_cost() {
    let (x, y) = (values(6 * 7, 1, -1.0, 1.0), values(6 * 5, 2, 0.0, 1.0));
    for cost in [Cost::BinaryCrossEntropy, Cost::Quadratic] {
        let mut network = network(cost, 6);
        network.gradients(&x, &y).unwrap();
        for layer in 0..3 {
            let (step, gradient) = (1.0 / 512.0, network.layers()[layer].d_w()[8]);
            let mut moved = |by: f32| {
                network.layers_mut()[layer].w_mut()[8] += by;
                let cost = network.gradients(&x, &y).unwrap();
                network.layers_mut()[layer].w_mut()[8] -= by;
                cost
            };
            let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            assert!((slope - f64::from(gradient)).abs() < 1e-4, "{cost:?}, layer {layer}: {slope} against {gradient}");
        }
    }
}

#[test]
fn the_cost_falls() {
    let x = values(64 * 7, 1, -1.0, 1.0);
    // Learnable: is input j greater than input j + 1?
    let y: Vec<f32> = (0..64 * 5).map(|at| f32::from(x[at / 5 * 7 + at % 5] > x[at / 5 * 7 + at % 5 + 1])).collect();
    for cost in [Cost::BinaryCrossEntropy, Cost::Quadratic] {
        let mut network = network(cost, 64);
        let costs: Vec<f64> = (0..200).map(|_| step(&mut network, &x, &y, 0.3).unwrap()).collect();
        assert!(costs.windows(2).all(|pair| pair[1] < pair[0]), "{cost:?}: {costs:?}");
        assert!(costs[199] < 0.5 * costs[0], "{cost:?}: from {} to {}", costs[0], costs[199]);
    }
}

#[test]
fn forward_returns_the_batch_alone() {
    let mut network = network(Cost::Quadratic, 8);
    let x = values(3 * 7, 1, -1.0, 1.0);
    let three = network.forward(&x).unwrap().to_vec();
    assert_eq!(three.len(), 3 * 5);
    assert_eq!(network.forward(&x[7..]).unwrap(), &three[5..]);
}

#[test]
fn an_empty_batch_changes_nothing() {
    let mut network = network(Cost::BinaryCrossEntropy, 8);
    let before = parameters(&network);
    assert_eq!(step(&mut network, &[], &[], 1.0), Ok(0.0));
    assert_eq!(parameters(&network), before);
    assert_eq!(network.forward(&[]).unwrap(), &[] as &[f32]);
}

#[test]
fn a_layer_without_inputs_takes_the_batch_of_the_targets() {
    let mut network = of([Dense::new(0, 1, Activation::Sigmoid)], Cost::BinaryCrossEntropy, 4).unwrap();
    assert_eq!(step(&mut network, &[], &[1.0, 0.0, 1.0, 1.0], 2.0), Ok(2.0_f64.ln()));
    assert_eq!(network.layers()[0].b(), [0.5]);
    assert_eq!(step(&mut network, &[], &[1.0; 5], 2.0), Err(Error::BatchTooLarge { max: 4, found: 5 }));
}

#[test]
fn chains_that_do_not_fit_are_refused() {
    let dense = Dense::new;
    let new = |layers: Vec<Dense>, cost| of(layers, cost, 4).err();
    assert_eq!(new(vec![], Cost::Quadratic), Some(Error::NoLayers));
    let broken = vec![dense(2, 3, Activation::Relu), dense(4, 1, Activation::Sigmoid)];
    assert_eq!(new(broken, Cost::Quadratic), Some(Error::Chain { layer: 1, expected: 3, found: 4 }));
    let no_sigmoid = vec![dense(2, 3, Activation::Tanh)];
    let (cost, expected, found) = (Cost::BinaryCrossEntropy, Activation::Sigmoid, Activation::Tanh);
    assert_eq!(new(no_sigmoid, cost), Some(Error::CostNeedsActivation { cost, expected, found }));
    for max_batch in [usize::MAX, usize::MAX / 64] {
        let layers = [dense(1, 0, Activation::Relu), dense(0, 3, Activation::Relu)];
        let refused = of(layers, Cost::Quadratic, max_batch).err();
        assert_eq!(refused, Some(Error::NetworkTooLarge { layer: 1, max_batch }));
    }
}

#[test]
fn wrong_arguments_touch_nothing() {
    let mut network = network(Cost::BinaryCrossEntropy, 4);
    let (x, y) = ([0.5; 5 * 7], [1.0; 5 * 5]);
    network.gradients(&x[..28], &y[..20]).unwrap();
    let state = |network: &Network| {
        let gradients = network.layers().iter().map(|layer| (layer.d_w().to_vec(), layer.d_b().to_vec()));
        (parameters(network), gradients.collect::<Vec<_>>())
    };
    let before = state(&network);
    let view = MatrixView::row_major(&x, 4, 6).unwrap();
    assert_eq!(step(&mut network, &x, &y, 1.0), Err(Error::BatchTooLarge { max: 4, found: 5 }));
    let not_whole = Error::NotWholeRows { operand: Operand::X, row_len: 7, found: 13 };
    assert_eq!(step(&mut network, &x[..13], &y[..5], 1.0), Err(not_whole));
    let targets = Error::Length { operand: Operand::Targets, expected: 20, found: 15 };
    assert_eq!(step(&mut network, &x[..28], &y[..15], 1.0), Err(targets));
    let shape = Error::Shape { operand: Operand::X, expected: (4, 7), found: (4, 6) };
    assert_eq!(step(&mut network, view, &y[..20], 1.0), Err(shape));
    network.set_steps(u64::MAX);
    assert_eq!(step(&mut network, &x[..28], &y[..20], 1.0), Err(Error::StepZero));
    assert_eq!(network.apply_gradients(), Err(Error::StepZero));
    assert_eq!((state(&network), network.steps()), (before, u64::MAX));
}

/// `layers_mut` hands out whole layers, which may be exchanged: for such as fit, or every call says which does not.
#[test]
fn exchanged_layers_fit_or_are_refused() {
    let (x, y) = (values(4 * 7, 1, -1.0, 1.0), values(4 * 5, 2, 0.0, 1.0));
    let refused = |network: &mut Network, error: &Error| {
        let before = parameters(network);
        assert_eq!(network.forward(&x).err().as_ref(), Some(error));
        assert_eq!(network.gradients(&x, &y).err().as_ref(), Some(error));
        assert_eq!(step(network, &x, &y, 0.5).err().as_ref(), Some(error));
        assert_eq!(parameters(network), before);
    };
    for threads in [Threads::Serial, Threads::from(Team::new(2))] {
        let new =
            |max_batch| network_on([const { Threads::Serial }; 3].map(|_| threads.clone()), Cost::Quadratic, max_batch);
        let (mut found, expected) = (new(4), new(4).forward(&x).unwrap().to_vec());

        // More room, other threads.
        found.layers_mut().clone_from_slice(new(9).layers());
        found.layers_mut()[1..2].clone_from_slice(&network(Cost::Quadratic, 4).layers()[1..2]);
        assert_eq!(found.forward(&x).unwrap(), expected);

        // Less room.
        let mut smaller = new(3);
        found.layers_mut().clone_from_slice(smaller.layers());
        let error = Error::Exchanged { layer: 0, expected: (7, 33, 4), found: (7, 33, 3) };
        assert_eq!(
            error.to_string(),
            "network: expected layer 0 to be 7→33 with room for 4 samples, found 7→33 with room for 3"
        );
        refused(&mut found, &error);

        // Other widths.
        let mut found = new(4);
        found.layers_mut().swap(0, 1);
        refused(&mut found, &Error::Exchanged { layer: 0, expected: (7, 33, 4), found: (33, 18, 4) });
        found.layers_mut().swap(0, 1);
        core::mem::swap(&mut found.layers_mut()[2], &mut smaller.layers_mut()[1]);
        refused(&mut found, &Error::Exchanged { layer: 2, expected: (18, 5, 4), found: (33, 18, 3) });
        core::mem::swap(&mut found.layers_mut()[2], &mut smaller.layers_mut()[1]);
        assert_eq!(found.forward(&x).unwrap(), expected);
    }

    // A last layer that the cost does not fit.
    let mut entropy = of([Dense::new(7, 5, Activation::Sigmoid)], Cost::BinaryCrossEntropy, 4).unwrap();
    let tanh = of([Dense::new(7, 5, Activation::Tanh)], Cost::Quadratic, 4).unwrap();
    entropy.layers_mut().clone_from_slice(tanh.layers());
    refused(
        &mut entropy,
        &Error::CostNeedsActivation {
            cost: Cost::BinaryCrossEntropy,
            expected: Activation::Sigmoid,
            found: Activation::Tanh,
        },
    );
}
