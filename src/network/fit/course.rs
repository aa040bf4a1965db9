//! The loop itself: epochs over the training samples, the validation behind each, and the best state to go back to.

use super::{Epoch, Fit, FitEnd, History, Validation};
use crate::error::{Error, Operand};
use crate::matrix::Input;
use crate::network::Network;
use crate::network::values::Values;
use crate::random::Shuffle;
use crate::simd::prefetch;
use crate::targets::{Gathered, Targets};
use crate::workspace::LINE;

/// Trains as the options say, in batches of so many samples.
pub(super) fn run(
    network: &mut Network,
    x: Input<'_>,
    targets: Targets<'_>,
    mut fit: Fit<'_>,
    batch: usize,
) -> Result<History, Error> {
    let (samples, largest) = network.check_data(x, targets)?;
    let x = x.as_slice(Operand::X)?;
    if let Validation::Given(x, targets) = fit.validation {
        network.check_data(x, targets)?;
    }
    let (rows, held_out) = split(samples, &fit)?;
    let held_out = HeldOut::new(network, x, targets, &held_out)?;
    let mut batches = Batches::new(network, x, targets, batch, largest)?;
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
        let cost = batches.train(network, &order)?;
        network.epochs = number;
        let validation = match fit.validation {
            Validation::None => None,
            Validation::Given(x, targets) => Some(network.evaluate(x, targets)?),
            Validation::Share(_) => Some(network.evaluate(&held_out.x[..], held_out.targets.targets())?),
        };
        let judged = validation.map_or(cost, |validation| validation.cost);
        let is_best = best.epoch == 0 || judged < best.cost - least;
        if is_best {
            best.keep(network, number, judged, fit.patience.is_some());
        }
        let epoch = Epoch { number, cost, validation, is_best };
        history.epochs.push(epoch);
        history.best = best.epoch;
        if fit.on_epoch.as_mut().is_some_and(|callback| callback(&epoch).is_break()) {
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

/// The samples to train on, and those held out.
fn split(samples: usize, fit: &Fit<'_>) -> Result<(Vec<usize>, Vec<usize>), Error> {
    let Validation::Share(share) = fit.validation else { return Ok(((0..samples).collect(), Vec::new())) };
    // The order of epoch 0, which nobody trains on, decides.
    let mut rows = Shuffle::default().order(samples, fit.seed, 0)?.to_vec();
    let held_out = rows.split_off(samples - (f64::from(share) * samples as f64).round() as usize);
    rows.sort_unstable();
    Ok((rows, held_out))
}

/// Samples that were gathered from the data.
struct HeldOut {
    x: Values,
    targets: Gathered,
}

impl HeldOut {
    fn new(network: &Network, x: &[f32], targets: Targets<'_>, rows: &[usize]) -> Result<Self, Error> {
        let too_large = Error::TooLarge { operand: Operand::X };
        let mut held_out = Values::zeros(rows.len(), network.inputs()).ok_or(too_large)?;
        gather(x, rows, network.inputs(), &mut held_out);
        let mut of_targets = Gathered::default();
        of_targets.gather(targets, rows, network.outputs());
        Ok(Self { x: held_out, targets: of_targets })
    }
}

/// Copies rows one behind the other.
fn gather(x: &[f32], rows: &[usize], inputs: usize, to: &mut [f32]) {
    for (to, &row) in to.chunks_exact_mut(inputs.max(1)).zip(rows) {
        to.copy_from_slice(&x[row * inputs..(row + 1) * inputs]);
    }
}

/// Asks for a sample to be brought into the second-level cache.
fn prefetch_row(row: &[f32]) {
    for line in row.chunks(LINE) {
        prefetch(line.as_ptr());
    }
}

/// The data, and memory for one batch of it.
struct Batches<'d> {
    x: &'d [f32],
    targets: Targets<'d>,
    batch: usize,
    /// The largest magnitude of `x`, if the guard asks for it.
    largest: Option<f32>,
    gathered_x: Values,
    gathered: Gathered,
}

impl<'d> Batches<'d> {
    fn new(
        network: &Network,
        x: &'d [f32],
        targets: Targets<'d>,
        batch: usize,
        largest: Option<f32>,
    ) -> Result<Self, Error> {
        let too_large = Error::TooLarge { operand: Operand::X };
        let gathered_x = Values::zeros(batch, network.inputs()).ok_or(too_large)?;
        Ok(Self { x, targets, batch, largest, gathered_x, gathered: Gathered::default() })
    }

    /// One step for each batch of these samples: the mean of the cost over all of them.
    fn train(&mut self, network: &mut Network, rows: &[usize]) -> Result<f64, Error> {
        // Known for these steps alone.
        network.largest_of_data = self.largest;
        let cost = self.steps(network, rows);
        network.largest_of_data = None;
        cost
    }

    fn steps(&mut self, network: &mut Network, rows: &[usize]) -> Result<f64, Error> {
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let (mut sum, mut weight) = (0.0, 0.0);
        let mut following = rows.chunks(self.batch).skip(1);
        for rows in rows.chunks(self.batch) {
            let x = &mut self.gathered_x[..rows.len() * inputs];
            gather(self.x, rows, inputs, x);
            // Samples in random order are nowhere near the caches: the next ones come while this batch is worked on.
            for &row in following.next().unwrap_or_default() {
                prefetch_row(&self.x[row * inputs..(row + 1) * inputs]);
            }
            let targets = self.gathered.gather(self.targets, rows, outputs);
            let of_batch = targets.weight(rows.len());
            // A batch whose samples all weigh nothing teaches nothing.
            if of_batch > 0.0 {
                sum += network.step(&*x, targets)? * of_batch;
                weight += of_batch;
            }
        }
        Ok(if weight > 0.0 { sum / weight } else { 0.0 })
    }
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
            (network.steps, network.epochs) = (self.steps, self.epoch);
        }
    }
}
