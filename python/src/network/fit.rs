//! The training loop: the crate's `fit`, but with Python's callbacks and signals between its steps.

use super::names;
use super::use_only::evaluation;
use super::{Core, Network};
use crate::arrays::Rows;
use crate::errors::raise;
use crate::settings::count;
use crate::targets::TargetArrays;
use fused_dense::{Error, Evaluation, MatrixView, Samples, Shuffle, Targets};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyTuple};

#[pymethods]
impl Network {
    /// Trains by steps on mini-batches.
    ///
    /// Each epoch goes through the samples in an order of its own, from the seed and the epoch's number; epochs are counted on
    /// from the last fit. batch is max_batch where it is not given. validation is a pair of samples and targets, or the share
    /// of the samples that is held out. With early_stopping it ends where the cost has not fallen for so many epochs, by more
    /// than least_improvement, and goes back to the best one. learning_rate(epoch) returns that of an epoch;
    /// on_epoch(epoch) may return True to end the training. Both may call any method of this network.
    ///
    /// Ctrl-C raises KeyboardInterrupt between two steps; the network then is as the last one left it.
    #[pyo3(signature = (x, targets, *, epochs = None, batch = None, shuffle = true, seed = 0, sample_weight = None,
                        validation = None, early_stopping = None, least_improvement = 0.0, learning_rate = None,
                        on_epoch = None),
           text_signature = "($self, x, targets, *, epochs=10, batch=None, shuffle=True, seed=0, sample_weight=None, \
                             validation=None, early_stopping=None, least_improvement=0.0, learning_rate=None, \
                             on_epoch=None)")]
    #[allow(clippy::too_many_arguments)] // they are Python's keywords
    fn fit<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        epochs: Option<&Bound<'py, PyAny>>,
        batch: Option<&Bound<'py, PyAny>>,
        shuffle: bool,
        seed: u64,
        sample_weight: Option<&Bound<'py, PyAny>>,
        validation: Option<&Bound<'py, PyAny>>,
        early_stopping: Option<&Bound<'py, PyAny>>,
        least_improvement: f64,
        learning_rate: Option<&Bound<'py, PyAny>>,
        on_epoch: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = Options {
            epochs: epochs.map_or(Ok(10), |epochs| count("epochs", epochs, 0))?,
            batch: batch.map_or(Ok(self.recipe.max_batch), |batch| self.batch_size(batch))?,
            seed: shuffle.then_some(seed),
            patience: early_stopping.map(|patience| count("early_stopping", patience, 0)).transpose()?,
            least_improvement,
            learning_rate,
            on_epoch,
        };
        let x = Rows::new("x", x, self.inputs())?.contiguous()?;
        let targets = TargetArrays::new(targets, sample_weight, x.leading(), self.outputs())?;
        let validation = Validation::read(self, validation)?;
        self.run(py, &options, &x, &targets, &validation, seed)
    }
}

/// The options of a fit.
struct Options<'a, 'py> {
    epochs: usize,
    batch: usize,
    /// None where samples stay in their order.
    seed: Option<u64>,
    patience: Option<usize>,
    least_improvement: f64,
    learning_rate: Option<&'a Bound<'py, PyAny>>,
    on_epoch: Option<&'a Bound<'py, PyAny>>,
}

/// The samples that nobody trains on.
enum Validation<'py> {
    None,
    Share(f64),
    Given(Rows<'py>, TargetArrays<'py>),
}

impl<'py> Validation<'py> {
    fn read(network: &Network, argument: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(argument) = argument else { return Ok(Self::None) };
        if let Ok(share) = argument.extract::<f64>() {
            if share > 0.0 && share < 1.0 {
                return Ok(Self::Share(share));
            }
            return Err(PyValueError::new_err(format!("validation: expected a share between 0 and 1, found {share}")));
        }
        let pair = argument.cast::<PyTuple>().ok().and_then(|pair| pair.extract::<(Bound<'_, _>, Bound<'_, _>)>().ok());
        let Some((x, targets)) = pair else {
            return Err(PyTypeError::new_err(format!(
                "validation: expected a pair (x, targets), a share between 0 and 1 or None, found {}",
                argument.get_type().name()?
            )));
        };
        let x = Rows::new("validation x", &x, network.inputs())?.contiguous()?;
        let targets = TargetArrays::new(&targets, None, x.leading(), network.outputs())?;
        Ok(Self::Given(x, targets))
    }
}

/// Samples that a fit evaluates after each epoch.
struct HeldOut<'a> {
    x: MatrixView<'a>,
    targets: Targets<'a>,
}

impl Network {
    fn run<'py>(
        &self,
        py: Python<'py>,
        options: &Options<'_, 'py>,
        x: &Rows<'py>,
        targets: &TargetArrays<'py>,
        validation: &Validation<'py>,
        seed: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let targets = targets.targets();
        let (mut training, mut held) = (self.samples(py, x, targets)?, None);
        let mut rows: Vec<usize> = (0..training.len()).collect();
        let held_out = match validation {
            Validation::None => None,
            Validation::Given(x, targets) => {
                let targets = targets.targets();
                // All that can be wrong with them shows before the first step.
                self.samples(py, x, targets)?;
                Some(HeldOut { x: x.view(), targets })
            }
            Validation::Share(share) => {
                let held_rows = split(&mut rows, *share, seed).map_err(raise)?;
                let (x, targets) = held.insert(self.samples(py, x, targets)?).gather(&held_rows).map_err(raise)?;
                let x = MatrixView::row_major(x, held_rows.len(), self.inputs()).map_err(raise)?;
                Some(HeldOut { x, targets })
            }
        };
        self.course(py, options, &mut training, &rows, held_out.as_ref())
    }

    /// Rows that stand one behind the other as samples to train on, checked.
    fn samples<'a>(&self, py: Python<'_>, x: &'a Rows<'_>, targets: Targets<'a>) -> PyResult<Samples<'a>> {
        let values = x.strided().dense(0..x.rows()).unwrap_or_default();
        self.core.read(py, |core| Samples::new(core, values, targets))?.map_err(raise)
    }

    /// The epochs.
    fn course<'py>(
        &self,
        py: Python<'py>,
        options: &Options<'_, 'py>,
        samples: &mut Samples<'_>,
        rows: &[usize],
        held_out: Option<&HeldOut<'_>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (keeps_state, least) = (options.patience.is_some(), options.least_improvement);
        let mut best = Best { keeps_state, least, ..Best::default() };
        let (mut shuffle, mut order) = (Shuffle::default(), rows.to_vec());
        let (history, mut end) = (PyList::empty(py), "all epochs");
        let first = self.core.glance(py, Core::next_epoch)?;
        for number in (first..).take(options.epochs) {
            if let Some(of_epoch) = options.learning_rate {
                let rate: f32 = of_epoch.call1((number,))?.extract()?;
                self.core.write(py, |core| core.set_learning_rate(rate))?.map_err(raise)?;
            }
            if let Some(seed) = options.seed {
                let places = shuffle.order(rows.len(), seed, number as u64).map_err(raise)?;
                order.iter_mut().zip(places).for_each(|(sample, &place)| *sample = rows[place]);
            }
            let cost = self.epoch(py, samples, &order, options.batch)?;
            let validation = self.core.write(py, |core| {
                core.set_next_epoch(number.saturating_add(1));
                held_out.map(|HeldOut { x, targets }| core.evaluate(*x, *targets)).transpose()
            })?;
            let validation = validation.map_err(raise)?;
            let is_best =
                self.core.read(py, |core| best.look(core, number, validation.map_or(cost, |found| found.cost)))?;
            let epoch = epoch_record(py, number, cost, validation, is_best)?;
            history.append(&epoch)?;
            if asks_to_end(options.on_epoch, &epoch)? {
                end = "callback";
                break;
            }
            if options.patience.is_some_and(|patience| number - best.epoch >= patience) {
                end = "no improvement";
                break;
            }
        }
        if options.patience.is_some() {
            self.core.write(py, |core| best.go_back(core))?;
        }
        history_class(py)?.call1((history, best.epoch, end))
    }

    /// One step for each batch of these samples: the mean of the cost over all of them.
    fn epoch(&self, py: Python<'_>, samples: &mut Samples<'_>, order: &[usize], batch: usize) -> PyResult<f64> {
        let (mut sum, mut weight, mut rest) = (0.0, 0.0, order);
        self.in_stretches(py, |core| {
            let (rows, following) = rest.split_at(batch.min(rest.len()));
            rest = following;
            samples.prefetch(&following[..batch.min(following.len())]);
            let of_batch = samples.weight(rows)?;
            // A batch whose samples all weigh nothing teaches nothing.
            if of_batch > 0.0 {
                sum += core.step_on(samples, rows)? * of_batch;
                weight += of_batch;
            }
            Ok(rest.is_empty())
        })?;
        Ok(if weight > 0.0 { sum / weight } else { 0.0 })
    }
}

/// Takes a share of the samples out of them.
fn split(rows: &mut Vec<usize>, share: f64, seed: u64) -> Result<Vec<usize>, Error> {
    // The order of epoch 0, which nobody trains on, decides.
    *rows = Shuffle::default().order(rows.len(), seed, 0)?.to_vec();
    let held_out = rows.split_off(rows.len() - (share * rows.len() as f64).round() as usize);
    rows.sort_unstable();
    Ok(held_out)
}

/// The state of the epoch with the lowest cost.
#[derive(Default)]
struct Best {
    /// Whether training may go back to it.
    keeps_state: bool,
    /// A cost is lower only if it is so by more than this.
    least: f64,
    cost: f64,
    epoch: usize,
    /// Parameters and the optimiser's arrays.
    arrays: Vec<Vec<f32>>,
    steps: u64,
}

impl Best {
    /// Keeps the state of an epoch, if it is the best: returns whether it is.
    fn look(&mut self, core: &Core, number: usize, cost: f64) -> bool {
        let is_best = self.epoch == 0 || cost < self.cost - self.least;
        if is_best {
            (self.cost, self.epoch, self.steps) = (cost, number, core.steps());
            if self.keeps_state {
                self.arrays = names::values(core).into_iter().map(<[f32]>::to_vec).collect();
            }
        }
        is_best
    }

    fn go_back(&self, core: &mut Core) {
        if self.epoch > 0 {
            let arrays: Vec<Option<&[f32]>> = self.arrays.iter().map(|array| Some(&array[..])).collect();
            names::set(core, &arrays);
            core.set_steps(self.steps);
            core.set_next_epoch(self.epoch.saturating_add(1));
        }
    }
}

/// Whether a callback returns True.
fn asks_to_end(on_epoch: Option<&Bound<'_, PyAny>>, epoch: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(on_epoch) = on_epoch else { return Ok(false) };
    let answer = on_epoch.call1((epoch,))?;
    if answer.is_none() {
        return Ok(false);
    }
    answer.extract::<bool>().map_err(|_| {
        PyTypeError::new_err(format!("on_epoch: expected it to return True, False or None, found {answer}"))
    })
}

fn epoch_record<'py>(
    py: Python<'py>,
    number: usize,
    cost: f64,
    validation: Option<Evaluation>,
    is_best: bool,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let validation = validation.map(|found| evaluation(py, found)).transpose()?;
    CLASS.import(py, "fused_dense._records", "Epoch")?.call1((number, cost, validation, is_best))
}

fn history_class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "fused_dense._records", "History")
}
