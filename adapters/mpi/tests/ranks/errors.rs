//! Ranks that refuse, differ, end or say nothing.

use crate::data::{Data, INPUTS, bits, kinds, patient};
use crate::steps::STATES;
use fused_dense::{Adam, Network, Operand, SUM_BLOCK, Targets};
use fused_dense_mpi::{Distributed, Error, Options};
use mpi::environment::Universe;
use mpi::traits::Communicator;
use std::time::Duration;

/// How long ranks wait for one that never answers.
const PATIENCE: Duration = Duration::from_secs(3);

fn network() -> Network {
    kinds()[1].builder.clone().build().expect("a network")
}

fn distributed(universe: &Universe, options: Options) -> Distributed<'_> {
    Distributed::new(universe, &universe.world(), network(), options.quiet()).expect("ranks that agree")
}

/// Calls that all ranks refuse, and that they go on behind them.
pub(crate) fn refused(universe: &Universe, _: &str) {
    for state in STATES {
        let mut distributed = distributed(universe, patient().state(state));
        let (rank, data) = (distributed.rank(), Data::new(5, 256, 1));
        let before = bits(distributed.network());
        let labels = [1_u8; 256];

        // One rank's part is wrong.
        let x = if rank == 1 { &data.x[1..] } else { &data.x };
        let found = distributed.step(x, &labels).expect_err("half a sample");
        match (rank, found) {
            (1, Error::Network(fused_dense::Error::NotWholeRows { operand: Operand::X, .. })) => {}
            (_, Error::OtherRank { rank: 1, message }) => {
                assert!(message.starts_with("x: expected a multiple"), "{message}")
            }
            (_, found) => panic!("{found}"),
        }
        // A part in the middle is no whole number of blocks.
        let samples = if rank == 1 { 100 } else { 256 };
        let found = distributed.step(&data.x[..samples * INPUTS], &labels[..samples]).expect_err("a part");
        assert!(matches!(found, Error::Part { rank: 1, samples: 100, block: SUM_BLOCK }), "{found}");
        // Some have weights.
        let (weights, targets) = ([1.0; 256], Targets::classes(&labels));
        let targets = if rank == 2 { targets.sample_weights(&weights) } else { targets };
        let found = distributed.step(&data.x, targets).expect_err("weights on one rank");
        assert!(matches!(found, Error::Weights { weighted: 2, unweighted: 0 }), "{found}");
        // All weights are zero.
        let zeros = Targets::classes(&labels).sample_weights(&[0.0; 256]);
        let found = distributed.step(&data.x, zeros).expect_err("no weight");
        assert!(matches!(found, Error::Network(fused_dense::Error::WeightSum { .. })), "{found}");
        // Different calls.
        let found =
            if rank == 0 { distributed.step(&data.x, &labels) } else { distributed.gradients(&data.x, &labels) };
        let found = found.expect_err("different calls");
        assert!(matches!(found, Error::OutOfStep { rank: 1, .. }), "{found}");
        // Different learning rates.
        let rate = if rank == 2 { 0.1 } else { 0.003 };
        distributed.network_mut().set_learning_rate(rate).expect("a rate");
        let found = distributed.step(&data.x, &labels).expect_err("different rates");
        assert!(matches!(found, Error::OutOfStep { rank: 2, .. }), "{found}");
        distributed.network_mut().set_learning_rate(0.003).expect("a rate");
        // Infinity in one rank's samples spoils the cost or the gradients of all.
        let mut x = data.x.clone();
        x[5] = if rank == 1 { f32::INFINITY } else { 0.5 };
        let found = distributed.step(&x, &labels).expect_err("infinity");
        assert!(matches!(found, Error::Network(fused_dense::Error::NotFinite { .. })), "{found}");
        // A checkpoint that cannot be written.
        let found = distributed.checkpoint("/nowhere/at/all").expect_err("no folder");
        assert!(matches!((rank, &found), (0, Error::File(_)) | (1.., Error::OtherRank { rank: 0, .. })), "{found}");

        assert_eq!(distributed.network().steps(), 0);
        assert!(bits(distributed.network()) == before);
        distributed.step(&data.x, &labels).expect("a step");
        assert!(bits(distributed.network()) != before);
    }
}

/// Ranks that are set up differently: each is named with its differences.
pub(crate) fn disagree(universe: &Universe, _: &str) {
    let rank = universe.world().rank();
    let builder = || kinds()[1].builder.clone();
    let builders = [builder(), builder().seed(4), builder(), builder().optimizer(Adam::new(0.1)).unguarded()];
    let network = builders[rank as usize].clone().build().expect("a network");
    let found = Distributed::new(universe, &universe.world(), network, patient()).expect_err("differences");
    let Error::Disagree { differences } = &found else { panic!("{found}") };
    let whose: Vec<usize> = differences.iter().map(|difference| difference.rank).collect();
    assert_eq!(whose, [1, 1, 1, 3, 3], "{found}");
    let text = found.to_string();
    assert!(text.contains("rank 1: layer 0: parameters, which follow from the seed or a file: expected "), "{text}");
    assert!(text.contains("rank 3: optimizer: expected Adam: learning rate 0.003,"), "{text}");
    assert!(text.contains("rank 3: guard: expected true, as on rank 0, found false"), "{text}");

    // Shapes that differ, and options.
    let network = builder().layer(3 + rank as usize, fused_dense::Activation::Identity).build().expect("a network");
    let options = patient().checkpoint("same", if rank == 2 { 5 } else { 6 });
    let text = Distributed::new(universe, &universe.world(), network, options).expect_err("differences").to_string();
    assert!(text.contains("rank 2: layer 3: shape: expected 3×5, as on rank 0, found 5×5"), "{text}");
    assert!(text.contains("rank 2: steps between checkpoints: expected 6, as on rank 0, found 5"), "{text}");
}

/// Steps of all ranks, in the fifth of which one does something else.
fn steps_until(distributed: &mut Distributed<'_>, mut other: impl FnMut(&Distributed<'_>)) {
    let data = Data::new(5, 256, 1);
    for step in 0..1000 {
        if step == 5 && distributed.rank() == 1 {
            other(distributed);
        }
        distributed.step(&data.x, &[1_u8; 256]).expect("a step");
    }
}

/// The system's way to end a process at once.
pub(crate) fn kill_self() -> ! {
    let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
    loop {
        std::thread::sleep(PATIENCE);
    }
}

/// A rank is killed.
pub(crate) fn killed(universe: &Universe, _: &str) {
    steps_until(&mut distributed(universe, patient()), |_| kill_self());
}

/// A rank is there and does nothing.
pub(crate) fn silent(universe: &Universe, _: &str) {
    steps_until(&mut distributed(universe, Options::new().patience(PATIENCE)), |_| {
        loop {
            std::thread::sleep(PATIENCE);
        }
    });
}

/// A rank never comes to the meeting.
pub(crate) fn absent(universe: &Universe, _: &str) {
    while universe.world().rank() == 1 {
        std::thread::sleep(PATIENCE);
    }
    distributed(universe, Options::new().patience(PATIENCE));
}

/// A rank's program fails.
pub(crate) fn panic(universe: &Universe, _: &str) {
    steps_until(&mut distributed(universe, patient()), |_| panic!("on purpose"));
}

/// Failures come back to a caller who asked for them.
pub(crate) fn returned(universe: &Universe, _: &str) {
    let mut distributed = distributed(universe, Options::new().patience(PATIENCE).return_failures());
    while distributed.rank() == 1 {
        std::thread::sleep(PATIENCE);
    }
    let data = Data::new(5, 256, 1);
    let found = distributed.step(&data.x, &[1_u8; 256]).expect_err("rank 1 is not there");
    assert!(matches!(&found, Error::Silent { ranks, .. } if ranks == &[1]), "{found}");
    let found = distributed.step(&data.x, &[1_u8; 256]).expect_err("no second try");
    assert!(matches!(found, Error::Broken), "{found}");
    distributed.abort("seen enough");
}
