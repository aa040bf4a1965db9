//! Networks kept in files: the parameters alone, or all that training goes on from.
//!
//! A tensor of the file and an array of the network have the same elements in the same order, so that a file's bits are the
//! network's.

mod checkpoint;
mod settings;

use super::{Layer, Network};
use crate::activation::Activation;
use crate::files::{self, Data, File, FileError, LayerNames, Tensor};
use std::path::Path;

/// Begins the names of a checkpoint's tensors that are no parameters.
const OF_TRAINING: &str = "training.";

impl Network {
    /// Writes the parameters to a file in the format safetensors, as PyTorch does those of a `Sequential` of `Linear` and
    /// activation modules.
    ///
    /// The number of a module is part of its tensors' names; an activation is a module of its own, and the identity is
    /// none:
    ///
    /// ```text
    /// Network::builder(4)                        torch.nn.Sequential(
    ///     .layer(8, Activation::Relu)                torch.nn.Linear(4, 8),   # 0
    ///                                                torch.nn.ReLU(),         # 1
    ///     .layer(3, Activation::Identity)            torch.nn.Linear(8, 3))   # 2
    ///
    /// 0.weight [8, 4]   0.bias [8]   2.weight [3, 8]   2.bias [3]
    /// ```
    ///
    /// so that `model.load_state_dict(safetensors.torch.load_file(path))` takes them. For people, the metadata have the
    /// `activations` and the `cost`; no reader asks for them. The file takes the place of an old one as a whole or not at
    /// all. The same network gives the same bytes.
    ///
    /// ```
    /// use fused_dense::{Activation, Network};
    ///
    /// let path = std::env::temp_dir().join(format!("parameters-{}.safetensors", std::process::id()));
    /// let builder = Network::builder(4).layer(8, Activation::Relu).layer(3, Activation::Identity);
    /// let network = builder.clone().seed(7).build()?;
    /// network.save(&path)?;
    ///
    /// let mut same = builder.build()?;
    /// same.load(&path)?;
    /// assert_eq!(same.layers()[1].w(), network.layers()[1].w());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FileError::Io`], and [`FileError::Network`] where layers were exchanged for such as do not fit; an old file stays
    /// then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        self.check_layers()?;
        let tensors: Vec<Tensor<'_>> =
            self.layers.iter().zip(self.names()).flat_map(|(layer, names)| parameters(layer, &names)).collect();
        let description = self.description();
        files::write(path.as_ref(), &tensors, &pairs(&description))
    }

    /// Reads the parameters from a file: one that [`save`](Self::save) or [`save_checkpoint`](Self::save_checkpoint) wrote, or
    /// another program.
    ///
    /// A tensor is named by a number and `weight` or `bias`. Layers are in the order of the numbers, which may leave out any,
    /// so that a `Sequential` with dropout fits, or one whose activations are no modules. A layer whose bias is not in the
    /// file has none there (`Linear(…, bias=False)`): its bias becomes zero. Activations are the network's own, whatever the
    /// file was written for.
    ///
    /// Parameters alone change. The optimiser's arrays, its steps and the epoch stay; gradients in the layers are those of
    /// other parameters, and count as none.
    ///
    /// # Errors
    /// Nothing is changed where
    /// - the file cannot be read: [`FileError::Io`], [`FileError::Format`];
    /// - it has another number of layers, or tensors with other names: [`FileError::Layers`], [`FileError::Unexpected`];
    /// - a tensor has another shape or another type than `F32`: [`FileError::Shape`], [`FileError::DataType`];
    /// - layers were exchanged for such as do not fit: [`FileError::Network`].
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<(), FileError> {
        self.check_layers()?;
        let file = File::read(path.as_ref())?;
        let mut found = Vec::with_capacity(self.layers.len());
        for (layer, names) in self.layers.iter().zip(self.names_in(&file)?) {
            let [of_w, of_b] = shapes(layer);
            let w = file.floats(&names.weight, &of_w)?;
            let b = names.bias.map(|bias| file.floats(&bias, &of_b)).transpose()?;
            found.push((w, b));
        }
        for (Layer { w, b, .. }, (of_w, of_b)) in self.layers.iter_mut().zip(found) {
            fill(w, of_w);
            match of_b {
                Some(of_b) => fill(b, of_b),
                None => b.fill(0.0),
            }
        }
        self.has_gradients = false;
        Ok(())
    }

    /// The names of the layers' parameters.
    fn names(&self) -> Vec<LayerNames> {
        files::sequential(self.layers.iter().map(|layer| layer.dense.activation() != Activation::Identity))
    }

    /// The names of the layers' parameters in a file, which has to have as many layers.
    fn names_in(&self, file: &File) -> Result<Vec<LayerNames>, FileError> {
        let names = files::layers_of(file.names(), |name| name.starts_with(OF_TRAINING))?;
        let (expected, found) = (self.layers.len(), names.len());
        if found == expected { Ok(names) } else { Err(FileError::Layers { expected, found }) }
    }

    /// The metadata of each file. PyTorch's own files say `format = pt` too, and some programs read no others.
    fn description(&self) -> Vec<(&'static str, String)> {
        let activations: Vec<String> = self.layers.iter().map(|layer| layer.dense.activation().to_string()).collect();
        vec![("format", "pt".into()), ("activations", activations.join(", ")), ("cost", self.cost().to_string())]
    }
}

/// The shapes of weights and bias.
fn shapes(layer: &Layer) -> [Vec<usize>; 2] {
    let (inputs, outputs) = (layer.dense.inputs(), layer.dense.outputs());
    [vec![outputs, inputs], vec![outputs]]
}

/// A layer's weights and bias as tensors.
fn parameters<'l>(layer: &'l Layer, names: &LayerNames) -> Vec<Tensor<'l>> {
    let [of_w, of_b] = shapes(layer);
    let weight = Tensor { name: names.weight.clone(), shape: of_w, data: Data::Floats(&layer.w) };
    let bias = names.bias.clone().map(|name| Tensor { name, shape: of_b, data: Data::Floats(&layer.b) });
    [Some(weight), bias].into_iter().flatten().collect()
}

/// Metadata as they are written.
fn pairs<'m>(metadata: &'m [(&'static str, String)]) -> Vec<(&'m str, &'m str)> {
    metadata.iter().map(|(key, value)| (*key, &value[..])).collect()
}

/// Takes as many values as there are places; the shape was checked.
fn fill(places: &mut [f32], values: impl Iterator<Item = f32>) {
    places.iter_mut().zip(values).for_each(|(place, value)| *place = value);
}
