//! A training that is killed, and goes on from its checkpoint with another number of ranks.

use crate::data::{Data, bits, kinds, patient};
use crate::errors::kill_self;
use crate::steps::STATES;
use fused_dense::{Fit, FitSteps, Network, Samples};
use fused_dense_mpi::Distributed;
use mpi::environment::Universe;
use std::path::Path;

const SAMPLES: usize = 1500;
const EPOCHS: usize = 10;

fn fit() -> Fit<'static> {
    // Five steps an epoch.
    Fit::new().batch(300).epochs(EPOCHS).seed(8)
}

/// Steps of one machine, up to a number of them.
struct Alone {
    most: u64,
}

impl FitSteps for Alone {
    type Error = fused_dense::Error;

    fn step(
        &mut self,
        network: &mut Network,
        samples: &mut Samples<'_>,
        rows: &[usize],
    ) -> Result<f64, fused_dense::Error> {
        if network.steps() == self.most {
            return Err(fused_dense::Error::NoGradients);
        }
        network.step_on(samples, rows)
    }
}

/// Goes on from a checkpoint where there is one. The detail is the state, the steps after which a rank is killed (0 for none),
/// and the file.
pub(crate) fn run(universe: &Universe, detail: &str) {
    let [state, end, path] = detail.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{detail}") };
    let state = STATES.into_iter().find(|known| known.to_string() == state).expect("a state");
    let end: u64 = end.parse().expect("a number");
    go_on(universe, &kinds()[2], state, end, Path::new(path));
}

fn go_on(universe: &Universe, kind: &crate::data::Kind, state: fused_dense_mpi::State, end: u64, path: &Path) {
    let mut network = kind.builder.clone().build().expect("a network");
    let mut alone = kind.builder.clone().build().expect("a network");
    let data = Data::new(network.outputs(), SAMPLES, 3);
    let targets = data.targets(network.cost(), 0..SAMPLES, kind.is_weighted);
    if path.exists() {
        network.load_checkpoint(path).expect("a checkpoint");
    }
    let fit_on = |network: &Network| {
        let next = network.next_epoch();
        fit().first_epoch(next).first_batch(network.next_batch()).epochs(EPOCHS + 1 - next)
    };
    // One machine has the same after as many steps.
    let stopped = alone.fit_by(&data.x, targets, fit(), SAMPLES, &mut Alone { most: network.steps() });
    assert!(stopped.is_err() || network.steps() == 5 * EPOCHS as u64);
    assert!(bits(&network) == bits(&alone), "after {} steps", network.steps());

    let options = patient().state(state).checkpoint(path, 7).quiet();
    let rest = fit_on(&network);
    let mut distributed = Distributed::new(universe, &universe.world(), network, options).expect("ranks that agree");
    if end == 0 {
        distributed.fit(&data.x, targets, rest).expect("a training");
        alone.fit(&data.x, targets, fit_on(&alone)).expect("a training");
        assert_eq!(distributed.network().steps(), 5 * EPOCHS as u64);
        assert!(bits(distributed.network()) == bits(&alone));
        let _ = std::fs::remove_file(path);
        return;
    }
    let last = distributed.rank() + 1 == distributed.size();
    let rest = rest.learning_rate(|epoch| {
        // Epoch 4 begins after 15 steps.
        if last && (epoch as u64 - 1) * 5 + 5 > end {
            kill_self();
        }
        0.003
    });
    distributed.fit(&data.x, targets, rest).expect("a training");
}
