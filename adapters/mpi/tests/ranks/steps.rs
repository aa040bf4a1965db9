//! Steps of all ranks beside those of one machine, which each rank makes for itself.

use crate::data::{Data, INPUTS, Kind, bits, gradient_bits, kinds, large_kind, patient, values};
use core::ops::Range;
use fused_dense::{Fit, Network, SUM_BLOCK};
use fused_dense_mpi::{Distributed, Options, State, Way};
use mpi::environment::Universe;

const STEPS: usize = 50;

pub(crate) const WAYS: [Way; 2] = [Way::Exchange, Way::Chain];

pub(crate) const STATES: [State; 2] = [State::Replicated, State::Shared];

fn distributed<'u>(universe: &'u Universe, kind: &Kind, options: Options) -> Distributed<'u> {
    let network = kind.builder.clone().max_batch(SUM_BLOCK).build().expect("a network");
    Distributed::new(universe, &universe.world(), network, options.quiet()).expect("ranks that agree")
}

/// A rank's samples of a batch, and the whole batch, which is cut in another way in each step.
fn cut(step: usize, rank: usize, ranks: usize) -> (Range<usize>, usize) {
    let blocks = |rank: usize| match step % 4 {
        // As many on each.
        0 => 1,
        // Some have more, and some have none.
        1 => (2 * rank + step) % 3,
        // One rank has all, and it is not the first where there are more.
        2 => {
            if rank == ranks / 2 {
                2
            } else {
                0
            }
        }
        // Several on each.
        _ => 2,
    };
    let starts: Vec<usize> = (0..=ranks).map(|end| (0..end).map(blocks).sum::<usize>() * SUM_BLOCK).collect();
    // The last block is short: so short in some steps that its order of sums would be another on its own.
    let missing = if step % 4 == 3 { SUM_BLOCK - 2 } else { step * 7 % SUM_BLOCK };
    let all = starts[ranks].saturating_sub(missing);
    (starts[rank].min(all)..starts[rank + 1].min(all), all)
}

/// Fifty steps by each way, with each state, of each kind of network.
pub(crate) fn steps(universe: &Universe, _: &str) {
    for (number, kind) in kinds().iter().enumerate() {
        for way in WAYS {
            for state in STATES {
                // The plan chooses in some runs how layers are put together.
                let options = patient().way(way).state(state);
                let options = if number % 2 == 0 { options.bucket(0) } else { options };
                compare_steps(distributed(universe, kind, options), kind, STEPS, &format!("{number} {way} {state}"));
            }
        }
    }
}

/// A few steps of a network whose layers are exchanged in several stretches.
pub(crate) fn large(universe: &Universe, _: &str) {
    let kind = large_kind();
    for (way, state) in WAYS.into_iter().flat_map(|way| STATES.map(|state| (way, state))) {
        let options = patient().way(way).state(state).bucket(0);
        compare_steps(distributed(universe, &kind, options), &kind, 5, &format!("{way} {state}"));
    }
}

fn compare_steps(mut distributed: Distributed<'_>, kind: &Kind, steps: usize, name: &str) {
    let mut alone = kind.builder.clone().build().expect("a network");
    let (rank, ranks, cost) = (distributed.rank(), distributed.size(), alone.cost());
    let data = Data::new(alone.outputs(), cut(3, rank, ranks).1 + 3 * SUM_BLOCK * ranks, 5);
    for step in 0..steps {
        let (own, all) = cut(step, rank, ranks);
        if all == 0 {
            continue;
        }
        let targets = data.targets(cost, own.clone(), kind.is_weighted);
        let found = distributed.step(data.x(own), targets).expect("a step");
        let expected = alone.step(data.x(0..all), data.targets(cost, 0..all, kind.is_weighted)).expect("a step");
        assert_eq!(found.cost.to_bits(), expected.to_bits(), "{name}: cost of step {step}");
        assert_eq!(found.samples, all);
        assert!(bits(distributed.network()) == bits(&alone), "{name}: parameters after step {step}");
    }
    assert_eq!(distributed.network().steps(), alone.steps());
    let states = |network: &Network| -> Vec<u32> {
        let arrays = network.layers().iter().flat_map(|layer| layer.optimizer_state().flatten());
        arrays.flatten().map(|value| value.to_bits()).collect()
    };
    let network = distributed.into_network().expect("the network");
    assert!(states(&network) == states(&alone), "{name}: the optimiser's arrays");
}

/// Gradients that are clipped before they are applied.
pub(crate) fn gradients(universe: &Universe, _: &str) {
    for kind in &kinds()[1..3] {
        for state in STATES {
            let mut distributed = distributed(universe, kind, patient().state(state));
            let mut alone = kind.builder.clone().build().expect("a network");
            let (cost, data) = (alone.cost(), Data::new(alone.outputs(), 2100, 5));
            let all = SUM_BLOCK * distributed.size() - 10;
            let own = distributed.share(all);
            assert!(distributed.plan(all).to_string().contains(&state.to_string()));
            for _ in 0..5 {
                let targets = data.targets(cost, own.clone(), kind.is_weighted);
                let found = distributed.gradients(data.x(own.clone()), targets).expect("gradients");
                let targets = data.targets(cost, 0..all, kind.is_weighted);
                let expected = alone.gradients(data.x(0..all), targets).expect("gradients");
                assert_eq!(found.cost.to_bits(), expected.to_bits());
                assert!(gradient_bits(distributed.network()) == gradient_bits(&alone));
                let norm = distributed.network_mut().clip_gradients(0.01).expect("a norm");
                assert_eq!(norm, alone.clip_gradients(0.01).expect("a norm"));
                distributed.apply_gradients().expect("a step");
                alone.apply_gradients().expect("a step");
                assert!(bits(distributed.network()) == bits(&alone));
                assert!(distributed.apply_gradients().is_err(), "they are used");
            }
            let empty = distributed.gradients(data.x(0..0), data.targets(cost, 0..0, false)).expect("no samples");
            assert_eq!((empty.cost, empty.samples, empty.ranks), (0.0, 0, 0));
            assert!(gradient_bits(distributed.network()).iter().all(|gradient| *gradient == 0));
        }
    }
}

/// Whole trainings, with validation and early stopping.
pub(crate) fn fit(universe: &Universe, _: &str) {
    for kind in kinds() {
        let mut distributed = distributed(universe, &kind, patient());
        let mut alone = kind.builder.clone().build().expect("a network");
        let cost = alone.cost();
        let (data, test) = (Data::new(alone.outputs(), 1500, 1), Data::new(alone.outputs(), 300, 2));
        let fit = || {
            let fit = Fit::new().batch(700).epochs(6).seed(4).early_stopping(3);
            fit.validation(&test.x, test.targets(cost, 0..300, false)).learning_rate(|epoch| 0.01 / epoch as f32)
        };
        let targets = data.targets(cost, 0..1500, kind.is_weighted);
        let found = distributed.fit(&data.x, targets, fit()).expect("a training");
        let expected = alone.fit(&data.x, targets, fit()).expect("a training");
        assert_eq!(found, expected);
        assert!(bits(distributed.network()) == bits(&alone));
        // One rank's wish ends the training of all.
        let wishes = distributed.rank() == 1;
        let fit = Fit::new().epochs(4).on_epoch(|_| {
            if wishes { core::ops::ControlFlow::Break(()) } else { core::ops::ControlFlow::Continue(()) }
        });
        let found = distributed.fit(&data.x, targets, fit).expect("a training");
        assert_eq!((found.epochs().len(), found.end()), (1, fused_dense::FitEnd::Callback));
        // Ranks that go through their samples in different orders find out.
        let fit = Fit::new().epochs(1).seed(distributed.rank() as u64);
        let found = distributed.fit(&data.x, targets, fit).expect_err("different orders");
        assert!(matches!(found, fused_dense_mpi::Error::OutOfStep { rank: 1, .. }), "{found}");
    }
}

/// Fewer blocks than ranks.
pub(crate) fn idle(universe: &Universe, _: &str) {
    for way in WAYS {
        let network = kinds()[0].builder.clone().build().expect("a network");
        let options = patient().way(way);
        let mut distributed =
            Distributed::new(universe, &universe.world(), network, options).expect("ranks that agree");
        let data = Data::new(5, 300, 1);
        assert_eq!((distributed.plan(100).workers, distributed.plan(300).workers), (1, 2));
        assert_eq!(distributed.plan(100 * SUM_BLOCK).workers, distributed.size());
        for (samples, workers) in [(300, 2), (100, 1)] {
            let own = distributed.share(samples);
            let targets = data.targets(distributed.network().cost(), own.clone(), false);
            let step = distributed.step(data.x(own.clone()), targets).expect("a step");
            assert_eq!((step.ranks, own.is_empty()), (workers, distributed.rank() >= workers));
        }
        assert_eq!(data.x.len(), 300 * INPUTS);
    }
}

/// Sums of values that have nothing to do with the network.
pub(crate) fn sums(universe: &Universe, _: &str) {
    for way in WAYS {
        let mut distributed = distributed(universe, &kinds()[0], patient().way(way));
        let (rank, ranks) = (distributed.rank(), distributed.size());
        for len in [0, 1, 3, 1000, 1_000_003] {
            assert_eq!(distributed.plan_of_sum(len).way, way);
            let of = |rank: usize| values(len, 77 + rank as u64);
            let mut expected = of(0);
            for rank in 1..ranks {
                expected.iter_mut().zip(of(rank)).for_each(|(sum, value)| *sum += value);
            }
            let mut found = of(rank);
            distributed.ordered_sum(&mut found).expect("a sum");
            assert!(
                found.iter().zip(&expected).all(|(found, expected)| found.to_bits() == expected.to_bits()),
                "{len}"
            );
        }
        let mut other = vec![1.0; 3 + rank];
        let found = distributed.ordered_sum(&mut other).expect_err("different numbers of values");
        assert!(matches!(found, fused_dense_mpi::Error::OutOfStep { rank: 1, .. }), "{found}");
        assert!(other.iter().all(|value| *value == 1.0));
    }
}
