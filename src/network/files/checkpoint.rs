//! Checkpoints: parameters, the optimiser's arrays and settings, and how far training has come.

use super::{OF_TRAINING, fill, pairs, parameters, settings};
use crate::files::{self, Data, File, FileError, LayerNames, Tensor};
use crate::network::{Layer, Network};
use crate::optimizer::Optimizer;
use core::mem::discriminant;
use std::collections::BTreeSet;
use std::path::Path;

impl Network {
    /// Writes all that training goes on from: the parameters, the optimiser with its settings and arrays, the steps taken and
    /// the epoch and batch.
    ///
    /// The file is one of [`save`](Self::save) with more in it, and [`load`](Self::load) reads its parameters. The arrays have
    /// the names that PyTorch's optimisers give them, behind those of their parameters:
    ///
    /// ```text
    /// training.0.weight.momentum_buffer      the velocity
    /// training.0.weight.exp_avg              the first moment
    /// training.0.weight.exp_avg_sq           the second moment
    /// training.steps                         steps taken, U64
    /// training.epochs                        the last whole epoch's number, U64
    /// training.batches                       batches of the epoch behind it, U64
    /// ```
    ///
    /// and so do those of each bias. The settings are metadata. The rest is the builder's: the cost and its weights, threads
    /// and batches. Gradients that were [accumulated](Self::accumulate) for a step to come are not in the file.
    ///
    /// Training that goes on from a checkpoint has the bits of training that never stopped, on processors with fused
    /// multiply-add and with the same calls. [`next_epoch`](Self::next_epoch) tells [`fit`](Self::fit) where it was, and within
    /// an epoch [`next_batch`](Self::next_batch):
    ///
    /// ```
    /// use fused_dense::{Activation, Fit, Network, Sgd};
    ///
    /// let path = std::env::temp_dir().join(format!("checkpoint-{}.safetensors", std::process::id()));
    /// let builder = Network::builder(1).layer(1, Activation::Identity).optimizer(Sgd::new(0.01).momentum(0.9));
    /// let (x, y) = ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]);
    /// let fit = || Fit::new().batch(2).seed(5);
    ///
    /// // Four epochs with a checkpoint behind each, of which the program sees three.
    /// let mut network = builder.clone().build()?;
    /// for _ in 0..3 {
    ///     let next = network.next_epoch();
    ///     network.fit(&x, &y, fit().first_epoch(next).epochs(1))?;
    ///     network.save_checkpoint(&path)?;
    /// }
    /// let mut resumed = builder.clone().build()?;
    /// resumed.load_checkpoint(&path)?;
    /// assert_eq!((resumed.next_epoch(), resumed.steps()), (4, 6));
    /// let next = resumed.next_epoch();
    /// resumed.fit(&x, &y, fit().first_epoch(next).epochs(1))?;
    ///
    /// let mut at_once = builder.build()?;
    /// at_once.fit(&x, &y, fit().epochs(4))?;
    /// assert_eq!(resumed.layers()[0].w(), at_once.layers()[0].w());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [Early stopping](crate::Fit::early_stopping) looks at the epochs of one `fit`, and begins anew with the next.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        self.check_layers()?;
        let (steps, epochs, batches) = ([self.steps], [self.epochs as u64], [self.batches as u64]);
        let mut tensors = self.arrays();
        for (name, count) in [(steps_name(), &steps), (epochs_name(), &epochs), (batches_name(), &batches)] {
            tensors.push(Tensor { name, shape: Vec::new(), data: Data::Integers(count) });
        }
        let mut metadata = self.description();
        metadata.extend(settings::of(&self.optimizer));
        files::write(path.as_ref(), &tensors, &pairs(&metadata))
    }

    /// Reads what [`save_checkpoint`](Self::save_checkpoint) wrote: the network then is the one that was saved, its learning
    /// rate and the optimiser's other settings included.
    ///
    /// The network has the same layers and the same kind of optimiser, [`Sgd`](crate::Sgd) or [`Adam`](crate::Adam), with as
    /// many arrays; other settings come from the file, so that an Adam becomes an AdamW where the file has one. Gradients in
    /// the layers count as none.
    ///
    /// # Errors
    /// Nothing is changed where
    /// - the file cannot be read: [`FileError::Io`], [`FileError::Format`];
    /// - it is no checkpoint, or a setting cannot be read: [`FileError::Metadata`], [`FileError::Network`];
    /// - it is that of another optimiser: [`FileError::Optimizer`];
    /// - it has another number of layers, lacks tensors, or has some besides: [`FileError::Layers`],
    ///   [`FileError::Missing`], [`FileError::Unexpected`];
    /// - a tensor has another shape or type: [`FileError::Shape`], [`FileError::DataType`];
    /// - a number of steps or epochs leaves no room for more: [`FileError::Count`];
    /// - layers were exchanged for such as do not fit: [`FileError::Network`].
    pub fn load_checkpoint(&mut self, path: impl AsRef<Path>) -> Result<(), FileError> {
        self.check_layers()?;
        let file = File::read(path.as_ref())?;
        let optimizer = settings::read(&file)?;
        check_optimizer(self.optimizer, optimizer)?;
        self.names_in(&file)?;
        let expected = self.arrays();
        let found: Vec<_> =
            expected.iter().map(|tensor| file.floats(&tensor.name, &tensor.shape)).collect::<Result<_, _>>()?;
        let [steps_name, epochs_name, batches_name] = [steps_name(), epochs_name(), batches_name()];
        let steps = count(&file, &steps_name, i64::MAX as u64)?;
        let epochs = count(&file, &epochs_name, isize::MAX as u64)?;
        // Files of versions that stopped behind whole epochs alone have no such number.
        let has_batches = file.names().any(|name| name == batches_name);
        let batches = if has_batches { count(&file, &batches_name, isize::MAX as u64)? } else { 0 };
        let known: BTreeSet<&str> = expected.iter().map(|tensor| &tensor.name[..]).collect();
        let is_known =
            |name: &&str| known.contains(name) || [&steps_name[..], &epochs_name, &batches_name].contains(name);
        if let Some(name) = file.names().find(|name| !is_known(name)) {
            return Err(FileError::Unexpected { tensor: name.to_string() });
        }

        self.arrays_mut().zip(found).for_each(|(array, values)| fill(array, values));
        (self.optimizer, self.steps) = (optimizer, steps);
        (self.epochs, self.batches) = (epochs as usize, batches as usize);
        self.has_gradients = false;
        Ok(())
    }

    /// All arrays as tensors, in the order of [`arrays_mut`](Self::arrays_mut).
    fn arrays(&self) -> Vec<Tensor<'_>> {
        let kept = array_names(&self.optimizer);
        let layers = self.layers.iter().zip(self.names());
        layers.flat_map(|(layer, names)| [parameters(layer, &names), state(layer, &names, kept)]).flatten().collect()
    }
}

/// A layer's optimiser arrays as tensors, each named after its parameter and shaped as that.
fn state<'l>(layer: &'l Layer, names: &LayerNames, kept: &'static [&'static str]) -> Vec<Tensor<'l>> {
    let of_layer = parameters(layer, names);
    let arrays = layer.optimizer_state().zip(kept).flat_map(|(arrays, kept)| {
        of_layer.iter().zip(arrays).map(move |(parameter, array)| Tensor {
            name: format!("{OF_TRAINING}{}.{kept}", parameter.name),
            shape: parameter.shape.clone(),
            data: Data::Floats(array),
        })
    });
    arrays.collect()
}

/// The names of the arrays beside each parameter, as PyTorch's optimisers have them.
fn array_names(optimizer: &Optimizer) -> &'static [&'static str] {
    let most: &[&str] = match optimizer {
        Optimizer::Sgd(_) => &["momentum_buffer"],
        Optimizer::Adam(_) => &["exp_avg", "exp_avg_sq"],
    };
    &most[..optimizer.state_arrays()]
}

fn steps_name() -> String {
    format!("{OF_TRAINING}steps")
}

fn epochs_name() -> String {
    format!("{OF_TRAINING}epochs")
}

fn batches_name() -> String {
    format!("{OF_TRAINING}batches")
}

/// A single number, from which as many more can be counted.
fn count(file: &File, name: &str, max: u64) -> Result<u64, FileError> {
    let found = file.integers(name, &[])?.next().unwrap_or_default();
    if found <= max { Ok(found) } else { Err(FileError::Count { tensor: name.to_string(), max, found }) }
}

/// Whether the arrays of the one are those of the other.
fn check_optimizer(expected: Optimizer, found: Optimizer) -> Result<(), FileError> {
    let is_same = discriminant(&expected) == discriminant(&found) && expected.state_arrays() == found.state_arrays();
    if is_same { Ok(()) } else { Err(FileError::Optimizer { expected, found }) }
}
