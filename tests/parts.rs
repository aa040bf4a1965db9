//! Gradients as sums by block: together they are those of the whole batch, to the bit, however the batch is cut into parts.

mod support;

use fused_dense::{
    Activation, Adam, Cost, Error, Fit, FitSteps, Network, NetworkBuilder, Operand, Optimizer, SUM_BLOCK, Samples, Sgd,
    Summation, Targets, WholeBatch, add_block_sums,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{isas, values};

const INPUTS: usize = 23;

/// Sizes of batches, each with the sizes of its parts.
const CUTS: &[(usize, &[usize])] = &[
    (0, &[0, 0]),
    (5, &[0, 5]),
    (256, &[256, 0]),
    (258, &[256, 2]),
    (261, &[256, 5]),
    (600, &[512, 0, 88]),
    (600, &[256, 256, 88]),
    (1025, &[256, 768, 1]),
];

/// One network for each kind of cost and last layer, one of them wider than a block, so that the order of sums by
/// `Summation::Auto` depends on the batch.
fn builders() -> Vec<NetworkBuilder> {
    let hidden = |summation| Network::builder(INPUTS).layer(9, Activation::Gelu).summation(summation).max_batch(1100);
    vec![
        hidden(Summation::Auto)
            .layer(3, Activation::Identity)
            .cost(Cost::SoftmaxCrossEntropy)
            .optimizer(Adam::new(0.01)),
        hidden(Summation::Auto).layer(300, Activation::Tanh).optimizer(Sgd::new(0.1).momentum(0.9)),
        hidden(Summation::Lanes)
            .layer(2, Activation::Sigmoid)
            .cost(Cost::BinaryCrossEntropy)
            .class_weights([0.5, 2.0])
            .positive_weight(3.0)
            .optimizer(Adam::new(0.01).decoupled_weight_decay(0.1)),
        hidden(Summation::Chain).layer(1, Activation::Identity).optimizer(Sgd::new(0.1).weight_decay(0.01)),
    ]
}

/// Targets of a batch: valid ones for each cost.
struct Data {
    x: Vec<f32>,
    y: Vec<f32>,
    labels: Vec<u16>,
    weights: Vec<f32>,
    outputs: usize,
}

impl Data {
    fn new(network: &Network, samples: usize) -> Self {
        let outputs = network.outputs();
        let y = values(samples * outputs, 2).iter().map(|y| (y + 2.0) / 4.0).collect();
        Self {
            x: values(samples * INPUTS, 1),
            y,
            labels: (0..samples).map(|i| (i * 7 % outputs) as u16).collect(),
            // The first 256 weigh nothing.
            weights: (0..samples).map(|i| if i < 256 && samples > 256 { 0.0 } else { 0.1 + (i % 5) as f32 }).collect(),
            outputs,
        }
    }

    fn x(&self, rows: core::ops::Range<usize>) -> &[f32] {
        &self.x[rows.start * INPUTS..rows.end * INPUTS]
    }

    fn targets(&self, cost: Cost, rows: core::ops::Range<usize>, weighted: bool) -> Targets<'_> {
        let targets = if cost == Cost::SoftmaxCrossEntropy {
            Targets::classes(&self.labels[rows.clone()])
        } else {
            Targets::values(&self.y[rows.start * self.outputs..rows.end * self.outputs])
        };
        if weighted { targets.sample_weights(&self.weights[rows]) } else { targets }
    }
}

fn parameters(network: &Network) -> Vec<u32> {
    let layers = network.layers().iter();
    layers.flat_map(|layer| layer.w().iter().chain(layer.b())).map(|value| value.to_bits()).collect()
}

/// A step on a batch in parts: the cost.
fn step_in_parts(network: &mut Network, data: &Data, parts: &[usize], weighted: bool) -> Result<f64, Error> {
    let (cost, isa) = (network.cost(), network.layers()[0].dense().isa()?);
    let mut start = 0;
    let ranges: Vec<_> = parts.iter().map(|len| (start, start += len, start)).map(|(from, (), to)| from..to).collect();
    let part = |network: &Network, rows: &core::ops::Range<usize>| {
        network.part(data.x(rows.clone()), data.targets(cost, rows.clone(), weighted)).inspect(|part| {
            assert_eq!((part.samples(), part.is_weighted()), (rows.len(), weighted));
        })
    };
    let parts = ranges.iter().map(|rows| part(network, rows)).collect::<Result<Vec<_>, _>>()?;
    let weights: Vec<f64> = parts.iter().flat_map(|part| part.block_weights().collect::<Vec<_>>()).collect();
    let whole = if weighted { WholeBatch::weighted(start, weights)? } else { WholeBatch::new(start) };
    let mut totals: Vec<[Vec<f32>; 2]> =
        network.layers().iter().map(|layer| [vec![0.0; layer.w().len()], vec![0.0; layer.b().len()]]).collect();
    let (mut sum, mut is_first, top) = (0.0, true, network.layers().len() - 1);
    for part in &parts {
        network.sums_by_block(part, whole, |sums| {
            let [d_w, d_b] = &mut totals[sums.layer];
            add_block_sums(isa, whole.scale(), sums.d_w, is_first, d_w)?;
            add_block_sums(isa, whole.scale(), sums.d_b, is_first, d_b)?;
            sum += if sums.layer == top { sums.cost } else { 0.0 };
            is_first &= sums.layer != 0;
            Ok::<(), Error>(())
        })?;
    }
    for ([d_w, d_b], totals) in network.gradients_mut().zip(&totals) {
        d_w.copy_from_slice(&totals[0]);
        d_b.copy_from_slice(&totals[1]);
    }
    network.apply_gradients()?;
    Ok(sum / whole.divisor())
}

#[test]
fn parts_have_the_bits_of_the_whole() {
    for isa in isas::promised() {
        for builder in builders() {
            for &(samples, parts) in CUTS.iter().filter(|cut| cut.0 > 0) {
                for weighted in [false, true] {
                    let builder = builder.clone().isa(isa);
                    let (mut whole, mut cut) =
                        (builder.clone().build().unwrap(), builder.max_batch(256).build().unwrap());
                    let data = Data::new(&whole, samples);
                    for step in 0..3 {
                        let targets = data.targets(whole.cost(), 0..samples, weighted);
                        let expected = whole.step(&data.x, targets).unwrap();
                        let found = step_in_parts(&mut cut, &data, parts, weighted).unwrap();
                        assert_eq!(found.to_bits(), expected.to_bits(), "{isa} {samples} {parts:?} {weighted} {step}");
                        assert!(parameters(&cut) == parameters(&whole), "{isa} {samples} {parts:?} {weighted} {step}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_empty_part_has_no_blocks() {
    let mut network = builders().remove(0).build().unwrap();
    let before = parameters(&network);
    let part = network.part(&[0.0; 0], &[0_u8; 0]).unwrap();
    assert_eq!((part.samples(), part.blocks(), part.block_weights().len()), (0, 0, 0));
    network.sums_by_block(&part, WholeBatch::new(0), |_| -> Result<(), Error> { panic!("a block") }).unwrap();
    assert_eq!((WholeBatch::new(0).scale(), WholeBatch::new(0).divisor()), (1.0, 1.0));
    assert_eq!(parameters(&network), before);
}

#[test]
fn faults_are_found_before_the_pass() {
    let mut network = builders().remove(0).build().unwrap();
    let data = Data::new(&network, 300);
    let small = builders().remove(0).max_batch(255).build().unwrap();
    let labels = Targets::classes(&data.labels);
    assert_eq!(small.part(&data.x, labels).unwrap_err(), Error::BatchTooLarge { max: 255, found: 256 });
    assert!(matches!(network.part(&data.x[1..], labels), Err(Error::NotWholeRows { operand: Operand::X, .. })));
    assert!(matches!(network.part(&data.x, &[3_u8; 300]), Err(Error::Class { .. })));
    let infinite = [f32::INFINITY; 300];
    let weighted = labels.sample_weights(&infinite);
    assert!(matches!(network.part(&data.x, weighted), Err(Error::Value { operand: Operand::SampleWeights, .. })));
    assert!(matches!(WholeBatch::weighted(4, [0.0, 0.0]), Err(Error::WeightSum { .. })));

    let other = Network::builder(INPUTS).layer(4, Activation::Identity).build().unwrap();
    let part = other.part(data.x(0..1), &[0.0; 4]).unwrap();
    let found = network.sums_by_block(&part, WholeBatch::new(1), |_| Ok::<(), Error>(())).unwrap_err();
    assert_eq!(found, Error::Shape { operand: Operand::X, expected: (3, INPUTS), found: (4, INPUTS) });
    let mut total = [1.0; 2];
    let isa = network.layers()[0].dense().isa().unwrap();
    assert!(matches!(add_block_sums(isa, 1.0, &[1.0], false, &mut total), Err(Error::Length { .. })));
    assert_eq!(total, [1.0; 2]);
}

#[test]
fn a_caller_ends_the_pass() {
    #[derive(Debug, PartialEq)]
    enum Fault {
        Network(Error),
        Mine(usize),
    }
    impl From<Error> for Fault {
        fn from(error: Error) -> Self {
            Self::Network(error)
        }
    }
    let mut network = builders().remove(0).build().unwrap();
    let data = Data::new(&network, 600);
    let part = network.part(&data.x, Targets::classes(&data.labels)).unwrap();
    let mut calls = 0;
    let found = network.sums_by_block(&part, WholeBatch::new(600), |sums| {
        calls += 1;
        if sums.block == 1 { Err(Fault::Mine(sums.layer)) } else { Ok(()) }
    });
    assert_eq!((found, calls), (Err(Fault::Mine(1)), 3));
    assert_eq!(network.apply_gradients(), Err(Error::NoGradients));
    // Batches of its own count as such again.
    let mut fresh = builders().remove(0).build().unwrap();
    assert_eq!(network.forward(data.x(0..2)).unwrap(), fresh.forward(data.x(0..2)).unwrap());
    let panics =
        || network.sums_by_block(&part, WholeBatch::new(600), |_| -> Result<(), Error> { panic!("on purpose") });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(network.forward(data.x(0..2)).unwrap(), fresh.forward(data.x(0..2)).unwrap());
}

#[test]
fn gradients_from_outside_are_guarded() {
    let mut network = builders().remove(0).build().unwrap();
    let before = parameters(&network);
    for [d_w, d_b] in network.gradients_mut() {
        d_w.fill(f32::NAN);
        d_b.fill(0.0);
    }
    assert_eq!(network.apply_gradients(), Err(Error::NotFinite { layer: Some(0), operand: Operand::DW }));
    assert_eq!(parameters(&network), before);
}

/// Steps that stop the training before a given one.
struct Stopping {
    left: usize,
    epochs: Vec<bool>,
}

impl FitSteps for Stopping {
    type Error = Error;

    fn step(&mut self, network: &mut Network, samples: &mut Samples<'_>, rows: &[usize]) -> Result<f64, Error> {
        self.left = self.left.checked_sub(1).ok_or(Error::NoGradients)?;
        network.step_on(samples, rows)
    }

    fn ends(&mut self, _: &Network, wants_to: bool) -> Result<bool, Error> {
        self.epochs.push(wants_to);
        Ok(self.epochs.len() == 2)
    }
}

#[test]
fn a_fit_goes_on_within_an_epoch() {
    for optimizer in [Optimizer::from(0.1), Adam::new(0.01).into()] {
        let builder = builders().remove(1).optimizer(optimizer);
        let fit = || Fit::new().batch(32).seed(9);
        let data = Data::new(&builder.clone().build().unwrap(), 200);
        let mut at_once = builder.clone().build().unwrap();
        at_once.fit(&data.x, &data.y, fit().epochs(3)).unwrap();
        assert_eq!((at_once.next_epoch(), at_once.next_batch()), (4, 0));
        // Seven steps an epoch: stopped within the first, behind it, within the second, and before its last batch.
        for (steps, epoch, batch) in [(3, 1, 3), (7, 2, 0), (9, 2, 2), (13, 2, 6)] {
            let mut network = builder.clone().build().unwrap();
            let mut stopping = Stopping { left: steps, epochs: Vec::new() };
            let stopped = network.fit_by(&data.x, &data.y, fit().epochs(3), 200, &mut stopping);
            assert_eq!(stopped, Err(Error::NoGradients));
            assert_eq!((network.next_epoch(), network.next_batch()), (epoch, batch), "{steps} steps");
            let rest = fit().first_epoch(epoch).first_batch(batch).epochs(4 - epoch);
            network.fit(&data.x, &data.y, rest).unwrap();
            assert_eq!(network.steps(), at_once.steps());
            assert!(parameters(&network) == parameters(&at_once), "{steps} steps");
        }
    }
}

#[test]
fn steps_of_ones_own_have_the_last_word_on_the_end() {
    let mut network = builders().remove(3).build().unwrap();
    let data = Data::new(&network, 10);
    let mut steps = Stopping { left: usize::MAX, epochs: Vec::new() };
    let fit = || Fit::new().batch(20).epochs(5).on_epoch(|_| core::ops::ControlFlow::Break(()));
    assert_eq!(network.fit_by(&data.x, &data.y, fit(), SUM_BLOCK, &mut steps).unwrap().epochs().len(), 2);
    assert_eq!(steps.epochs, [true, true]);
    let found = network.fit_by(&data.x, &data.y, fit(), 10, &mut steps);
    assert_eq!(found, Err(Error::BatchTooLarge { max: 10, found: 20 }));
    let found = network.fit(&data.x, &data.y, fit().first_batch(1)).unwrap_err();
    assert!(matches!(found, Error::Setting { name: "first_batch", .. }));
}
