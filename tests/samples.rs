//! Batches that are taken from samples, dense and sparse: equal to those that a caller gathers, and refused where they
//! are wrong.

mod support;

use fused_dense::{Activation, Adam, Cost, Error, Fit, Integer, Network, Operand, SampleRows, Samples, Sgd, Targets};
use support::random::Random;
use support::values;

const INPUTS: usize = 19;
const COUNT: usize = 50;

fn network() -> Network {
    Network::builder(INPUTS)
        .layer(7, Activation::Tanh)
        .layer(3, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .optimizer(Adam::new(0.01))
        .build()
        .expect("a valid network")
}

/// Two thirds of the values are zero.
fn thin_values() -> Vec<f32> {
    let mut random = Random(5);
    values(COUNT * INPUTS, 3).into_iter().map(|x| if random.below(3) == 0 { x } else { 0.0 }).collect()
}

/// The entries of a dense matrix, in another order within each row.
fn sparse<I: TryFrom<usize>>(x: &[f32]) -> (Vec<f32>, Vec<I>, Vec<I>)
where
    I::Error: std::fmt::Debug,
{
    let index = |i: usize| I::try_from(i).expect("a small number");
    let (mut entries, mut columns, mut starts) = (Vec::new(), Vec::new(), vec![index(0)]);
    for row in x.chunks_exact(INPUTS) {
        for (column, &value) in row.iter().enumerate().rev().filter(|entry| *entry.1 != 0.0) {
            entries.push(value);
            columns.push(index(column));
        }
        starts.push(index(entries.len()));
    }
    (entries, columns, starts)
}

fn batches() -> Vec<Vec<usize>> {
    let mut random = Random(11);
    (1..40).map(|batch| (0..batch).map(|_| random.below(COUNT)).collect()).collect()
}

fn parameters(network: &Network) -> Vec<Vec<f32>> {
    network.layers().iter().flat_map(|layer| [layer.w().to_vec(), layer.b().to_vec()]).collect()
}

#[test]
fn steps_on_samples_are_steps_on_gathered_batches() {
    fn check<I: Integer + TryFrom<usize>>(x: &[f32], labels: &[u8], weights: &[f32])
    where
        I::Error: std::fmt::Debug,
    {
        let (entries, columns, starts) = sparse::<I>(x);
        let targets = Targets::classes(labels).sample_weights(weights);
        let [mut expected, mut of_dense, mut of_sparse] = [(); 3].map(|()| network());
        let mut dense = Samples::new(&of_dense, x, targets).expect("valid samples");
        let mut thin =
            Samples::new(&of_sparse, SampleRows::sparse(&entries, &columns, &starts), targets).expect("valid samples");
        assert_eq!((dense.len(), thin.len(), thin.is_empty()), (COUNT, COUNT, false));
        for rows in batches() {
            let batch: Vec<f32> = rows.iter().flat_map(|&row| x[row * INPUTS..][..INPUTS].to_vec()).collect();
            let (of_batch, s): (Vec<u8>, Vec<f32>) = rows.iter().map(|&row| (labels[row], weights[row])).unzip();
            let cost = expected.step(&batch, Targets::classes(&of_batch).sample_weights(&s)).expect("a step");
            dense.prefetch(&rows);
            thin.prefetch(&rows);
            assert_eq!(of_dense.step_on(&mut dense, &rows), Ok(cost));
            assert_eq!(of_sparse.step_on(&mut thin, &rows), Ok(cost));
            assert_eq!(thin.weight(&rows), Ok(s.iter().map(|&s| f64::from(s)).sum()));
        }
        assert_eq!(parameters(&of_dense), parameters(&expected));
        assert_eq!(parameters(&of_sparse), parameters(&expected));
    }
    let x = thin_values();
    let labels: Vec<u8> = (0..COUNT).map(|i| (i % 3) as u8).collect();
    let weights: Vec<f32> = (0..COUNT).map(|i| 0.5 + i as f32 / 16.0).collect();
    check::<i32>(&x, &labels, &weights);
    check::<i64>(&x, &labels, &weights);
    check::<usize>(&x, &labels, &weights);
}

#[test]
fn entries_of_one_place_add_up() {
    let network = Network::builder(2).layer(1, Activation::Identity).build().expect("a valid network");
    let rows = SampleRows::sparse(&[1.0, 2.0, 4.0], &[1, 1, 0], &[0_u8, 3, 3]);
    let mut samples = Samples::new(&network, rows, &[0.0, 0.0]).expect("valid samples");
    assert_eq!(samples.gather(&[1, 0]).expect("two rows").0, [0.0, 0.0, 4.0, 3.0]);
}

#[test]
fn values_that_add_up_to_infinity_are_no_step() {
    let mut network = Network::builder(1).layer(1, Activation::Sigmoid).build().expect("a valid network");
    let before = parameters(&network);
    let rows = SampleRows::sparse(&[3e38, 3e38], &[0, 0], &[0_u8, 2]);
    let mut samples = Samples::new(&network, rows, &[0.0]).expect("finite values");
    let found = network.step_on(&mut samples, &[0]);
    assert_eq!(found, Err(Error::NotFinite { layer: None, operand: Operand::X }));
    assert_eq!(parameters(&network), before);
}

#[test]
fn wrong_sparse_rows_are_refused() {
    let network = network();
    let y = [0_u8];
    let refused = |values: &[f32], columns: &[i64], starts: &[i64]| {
        Samples::new(&network, SampleRows::sparse(values, columns, starts), &y).map(|_| ()).expect_err("wrong rows")
    };
    let place = |operand, place, expected, found| Error::Place { operand, place, expected, found };
    let (columns, row_starts) = (Operand::Columns, Operand::RowStarts);
    assert_eq!(refused(&[1.0], &[], &[0, 1]), Error::Length { operand: columns, expected: 1, found: 0 });
    let below = "a column below the number of inputs";
    assert_eq!(refused(&[1.0, 1.0], &[18, 19], &[0, 2]), place(columns, 1, below, 19));
    assert_eq!(refused(&[1.0], &[-1], &[0, 1]), place(columns, 0, below, -1));
    assert_eq!(refused(&[], &[], &[]), Error::Length { operand: row_starts, expected: 1, found: 0 });
    let inside = "a start of at most the number of entries";
    assert_eq!(refused(&[1.0], &[0], &[0, 2]), place(row_starts, 1, inside, 2));
    assert_eq!(refused(&[1.0], &[0], &[1, 0]), place(row_starts, 1, "a start of at least the one before", 0));
    let infinite = refused(&[f32::INFINITY], &[0], &[0, 1]);
    assert_eq!(infinite, Error::NotFinite { layer: None, operand: Operand::X });
}

#[test]
fn wrong_batches_touch_nothing() {
    let (mut network, x) = (network(), values(COUNT * INPUTS, 3));
    let labels = [0_u8; COUNT];
    let before = parameters(&network);
    let mut samples = Samples::new(&network, &x, &labels).expect("valid samples");
    let missing = Error::NoSuchSample { place: 1, samples: COUNT, found: COUNT };
    assert_eq!(network.step_on(&mut samples, &[0, COUNT]), Err(missing.clone()));
    assert_eq!(samples.gather(&[0, COUNT]).map(|_| ()), Err(missing.clone()));
    assert_eq!(samples.weight(&[0, COUNT]), Err(missing));
    samples.prefetch(&[0, COUNT, usize::MAX]);
    let most = network.max_batch();
    let found = network.step_on(&mut samples, &vec![0; most + 1]);
    assert_eq!(found, Err(Error::BatchTooLarge { max: most, found: most + 1 }));

    let mut other = Network::builder(1).layer(1, Activation::Identity).build().expect("a valid network");
    let found = other.step_on(&mut samples, &[0, 1]);
    assert_eq!(found, Err(Error::Shape { operand: Operand::X, expected: (2, 1), found: (2, INPUTS) }));
    assert_eq!((parameters(&network), network.steps()), (before, 0));
}

#[test]
fn fit_is_steps_on_samples() {
    let (x, labels) = (values(COUNT * INPUTS, 3), (0..COUNT).map(|i| i % 3).collect::<Vec<_>>());
    let [mut fitted, mut stepped] = [(); 2].map(|()| network());
    let history = fitted.fit(&x, &labels, Fit::new().epochs(2).batch(8).in_order()).expect("training");
    let mut samples = Samples::new(&stepped, &x, &labels).expect("valid samples");
    let order: Vec<usize> = (0..COUNT).collect();
    for epoch in history.epochs() {
        let of_batch = |rows: &[usize]| rows.len() as f64 * stepped.step_on(&mut samples, rows).expect("a step");
        assert_eq!(order.chunks(8).map(of_batch).sum::<f64>() / COUNT as f64, epoch.cost);
    }
    assert_eq!(parameters(&fitted), parameters(&stepped));
}

#[test]
fn an_optimizer_is_exchanged_for_one_with_the_same_state() {
    let (x, labels) = (values(2 * INPUTS, 3), [0_u8, 2]);
    let [mut changed, mut expected] = [(); 2].map(|()| network());
    assert_eq!(
        changed.set_optimizer(Sgd::new(0.1)),
        Err(Error::StateArrays { operand: Operand::W, expected: 0, found: 2 })
    );
    assert!(matches!(changed.set_optimizer(Adam::new(-1.0)), Err(Error::Setting { name: "learning_rate", .. })));
    assert_eq!(changed.optimizer(), expected.optimizer());
    changed.set_optimizer(Adam::new(0.02)).expect("as many arrays");
    expected.set_learning_rate(0.02).expect("a valid rate");
    for _ in 0..3 {
        assert_eq!(changed.step(&x, &labels), expected.step(&x, &labels));
    }
    assert_eq!(parameters(&changed), parameters(&expected));
}

/// Rows of doubles are those of their rounded values, to the bit.
#[test]
fn doubles_are_rounded_as_they_are_gathered() {
    // Not all are numbers of single precision.
    let double: Vec<f64> = values(COUNT * INPUTS, 9).into_iter().map(|x| f64::from(x) * 1.1).collect();
    let single: Vec<f32> = double.iter().map(|&x| x as f32).collect();
    let labels: Vec<u8> = (0..COUNT).map(|i| (i % 3) as u8).collect();
    let (columns, starts): (Vec<usize>, Vec<usize>) =
        ((0..COUNT * INPUTS).map(|i| i % INPUTS).collect(), (0..=COUNT).map(|i| i * INPUTS).collect());
    let mut networks = [network(), network(), network()];
    let [of_single, of_double, of_sparse] = &mut networks;
    let mut all = [
        Samples::new(of_single, &single, &labels[..]).expect("valid samples"),
        Samples::new(of_double, SampleRows::dense(&double), &labels[..]).expect("valid samples"),
        Samples::new(of_sparse, SampleRows::sparse(&double, &columns, &starts), &labels[..]).expect("valid samples"),
    ];
    for batch in batches() {
        all[0].prefetch(&batch);
        all[1].prefetch(&batch);
        let costs: Vec<u64> = networks
            .iter_mut()
            .zip(&mut all)
            .map(|(network, samples)| network.step_on(samples, &batch).expect("a step").to_bits())
            .collect();
        assert!(costs.iter().all(|&cost| cost == costs[0]));
    }
    assert_eq!(parameters(&networks[0]), parameters(&networks[1]));
    assert_eq!(parameters(&networks[0]), parameters(&networks[2]));
}

#[test]
fn doubles_that_single_precision_cannot_hold_are_refused() {
    let network = network();
    for bad in [f64::NAN, f64::INFINITY, -3.5e38] {
        let mut x = vec![0.5; 2 * INPUTS];
        x[INPUTS + 3] = bad;
        let error = Samples::new(&network, SampleRows::dense(&x), &[0_u8, 1]).expect_err("no finite numbers");
        assert_eq!(error, Error::NotFinite { layer: None, operand: Operand::X });
    }
    let short = Samples::new(&network, SampleRows::dense(&[0.5_f64; INPUTS + 1]), &[0_u8]).expect_err("no whole rows");
    let expected = Samples::new(&network, &[0.5_f32; INPUTS + 1], &[0_u8]).expect_err("no whole rows");
    assert_eq!(short, expected);
}
