//! The loop itself: epochs over the training samples, the validation behind each, and the best state to go back to.

use super::{Epoch, Fit, FitEnd, FitSteps, History, Validation};
use crate::error::{Error, Operand};
use crate::matrix::Input;
use crate::network::{Evaluation, Network, Samples};
use crate::random::Shuffle;
use crate::targets::Targets;

/// Trains as the options say, in batches of so many samples.
pub(super) fn run<S: FitSteps>(
    network: &mut Network,
    x: Input<'_>,
    targets: Targets<'_>,
    mut fit: Fit<'_>,
    batch: usize,
    steps: &mut S,
) -> Result<History, S::Error> {
    // The shape of a view; its elements are those of a slice from here on.
    network.any_batch(x, targets.batch(network.outputs())?)?;
    let x = x.as_slice(Operand::X)?;
    let mut data = Samples::new(network, x, targets)?;
    if let Validation::Given(x, targets) = fit.validation {
        network.check_validation(x, targets)?;
    }
    let (rows, held_out) = split(data.len(), &fit)?;
    check_first_batch(fit.first_batch, rows.len().div_ceil(batch))?;
    let mut to_validate = data.with_own_memory();
    let held_out = to_validate.gather(&held_out)?;
    let mut shuffle = Shuffle::default();
    let mut order = rows.clone();
    let mut best = Best::default();
    let mut history = History { epochs: Vec::new(), best: 0, end: FitEnd::AllEpochs };
    let (patience, least) = fit.patience.unwrap_or((usize::MAX, 0.0));
    for number in (fit.first_epoch..).take(fit.epochs) {
        if let Some(of_epoch) = &mut fit.learning_rate {
            network.set_learning_rate(of_epoch(number))?;
        }
        if fit.shuffles {
            let places = shuffle.order(rows.len(), fit.seed, number as u64)?;
            order.iter_mut().zip(places).for_each(|(sample, &place)| *sample = rows[place]);
        }
        let first = if number == fit.first_epoch { fit.first_batch } else { 0 };
        let cost = train(network, &mut data, Batches { order: &order, batch, first, epoch: number }, steps)?;
        (network.epochs, network.batches) = (number, 0);
        let validation = validate(network, fit.validation, held_out)?;
        let judged = validation.map_or(cost, |validation| validation.cost);
        let is_best = best.epoch == 0 || judged < best.cost - least;
        if is_best {
            best.keep(network, number, judged, fit.patience.is_some());
        }
        let epoch = Epoch { number, cost, validation, is_best };
        history.epochs.push(epoch);
        history.best = best.epoch;
        let wants_to_end = fit.on_epoch.as_mut().is_some_and(|callback| callback(&epoch).is_break());
        if steps.ends(network, wants_to_end)? {
            history.end = FitEnd::Callback;
            break;
        }
        if number - best.epoch >= patience {
            history.end = FitEnd::NoImprovement;
            break;
        }
    }
    if fit.patience.is_some() {
        best.go_back(network);
    }
    Ok(history)
}

/// The cost and the accuracy on the validation set, where there is one.
fn validate(
    network: &Network,
    set: Validation<'_>,
    held_out: (&[f32], Targets<'_>),
) -> Result<Option<Evaluation>, Error> {
    match set {
        Validation::None => Ok(None),
        Validation::Given(x, targets) => network.evaluate(x, targets).map(Some),
        Validation::Share(_) => network.evaluate(held_out.0, held_out.1).map(Some),
    }
}

/// Whether the first epoch has a batch that is not left out.
fn check_first_batch(first: usize, batches: usize) -> Result<(), Error> {
    let expected = "less than the batches of an epoch";
    if first == 0 || first < batches {
        Ok(())
    } else {
        Err(Error::Setting { name: "first_batch", expected, found: first as f32 })
    }
}

/// The samples to train on, and those held out.
fn split(samples: usize, fit: &Fit<'_>) -> Result<(Vec<usize>, Vec<usize>), Error> {
    let Validation::Share(share) = fit.validation else { return Ok(((0..samples).collect(), Vec::new())) };
    // The order of epoch 0, which nobody trains on, decides.
    let mut rows = Shuffle::default().order(samples, fit.seed, 0)?.to_vec();
    let held_out = rows.split_off(samples - (f64::from(share) * samples as f64).round() as usize);
    rows.sort_unstable();
    Ok((rows, held_out))
}

/// The batches of an epoch.
struct Batches<'o> {
    /// The samples, in the epoch's order.
    order: &'o [usize],
    /// How many make a batch.
    batch: usize,
    /// The first batch to train on.
    first: usize,
    /// The epoch's number.
    epoch: usize,
}

/// One step for each batch from the first that is wanted on: the mean of the cost over all of them.
fn train<S: FitSteps>(
    network: &mut Network,
    samples: &mut Samples<'_>,
    Batches { order, batch, first, epoch }: Batches<'_>,
    steps: &mut S,
) -> Result<f64, S::Error> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let last = order.len().div_ceil(batch).saturating_sub(1);
    let mut following = order.chunks(batch).skip(first.saturating_add(1));
    for (number, rows) in order.chunks(batch).enumerate().skip(first) {
        samples.prefetch(following.next().unwrap_or_default());
        let of_batch = samples.weight(rows)?;
        // A batch whose samples all weigh nothing teaches nothing.
        if of_batch > 0.0 {
            sum += steps.step(network, samples, rows)? * of_batch;
            weight += of_batch;
            // An epoch whose last batch is done is done itself.
            (network.epochs, network.batches) =
                if number == last { (epoch, 0) } else { (epoch.saturating_sub(1), number + 1) };
            steps.after_step(network)?;
        }
    }
    Ok(if weight > 0.0 { sum / weight } else { 0.0 })
}

/// The state of the epoch with the lowest cost.
#[derive(Default)]
struct Best {
    cost: f64,
    epoch: usize,
    /// Parameters and optimiser's arrays, where training may go back to them.
    arrays: Vec<Vec<f32>>,
    steps: u64,
}

impl Best {
    fn keep(&mut self, network: &mut Network, epoch: usize, cost: f64, keeps_state: bool) {
        (self.cost, self.epoch, self.steps) = (cost, epoch, network.steps);
        if keeps_state {
            let arrays = network.arrays_mut().map(|array| array.to_vec());
            self.arrays = arrays.collect();
        }
    }

    fn go_back(&self, network: &mut Network) {
        if self.epoch > 0 {
            for (array, kept) in network.arrays_mut().zip(&self.arrays) {
                array.copy_from_slice(kept);
            }
            (network.steps, network.epochs, network.batches) = (self.steps, self.epoch, 0);
        }
    }
}
