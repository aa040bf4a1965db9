//! Names of a network's tensors, as PyTorch gives them to a `Sequential` of `Linear` modules.

use super::FileError;
use std::collections::{BTreeMap, BTreeSet};

/// The names of one layer's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerNames {
    /// `outputs × inputs`.
    pub(crate) weight: String,
    /// `outputs`; a layer may have none.
    pub(crate) bias: Option<String>,
}

fn weight(module: usize) -> String {
    format!("{module}.weight")
}

fn bias(module: usize) -> String {
    format!("{module}.bias")
}

/// The names that a `Sequential` has: for each layer one module, and one more where an activation follows. So the layers of
/// `Linear, ReLU, Linear` are 0 and 2.
pub(crate) fn sequential(has_activation: impl IntoIterator<Item = bool>) -> Vec<LayerNames> {
    let mut module = 0;
    let layers = has_activation.into_iter().map(|has_activation| {
        let names = LayerNames { weight: weight(module), bias: Some(bias(module)) };
        module += 1 + usize::from(has_activation);
        names
    });
    layers.collect()
}

/// The layers of a file, by the numbers of their modules: modules without parameters between them, such as activations and
/// dropout, do not matter. `is_known` says which names besides are in their place.
///
/// # Errors
/// [`FileError::Unexpected`] for a name that is neither known nor a layer's, and for a bias without a weight.
pub(crate) fn layers_of<'n>(
    names: impl IntoIterator<Item = &'n str>,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<LayerNames>, FileError> {
    let unexpected = |tensor: String| FileError::Unexpected { tensor };
    let mut weights = BTreeMap::new();
    let mut biases = BTreeSet::new();
    for name in names {
        let (module, parameter) = name.split_once('.').unwrap_or_default();
        // A number as it is written, without zeros or a sign before it, so that no two names stand for one layer.
        match module.parse().ok().filter(|number: &usize| number.to_string() == module) {
            Some(module) if parameter == "weight" => {
                weights.insert(module, None);
            }
            Some(module) if parameter == "bias" => {
                biases.insert(module);
            }
            _ if is_known(name) => {}
            _ => return Err(unexpected(name.to_string())),
        }
    }
    for module in biases {
        *weights.get_mut(&module).ok_or_else(|| unexpected(bias(module)))? = Some(bias(module));
    }
    Ok(weights.into_iter().map(|(module, bias)| LayerNames { weight: weight(module), bias }).collect())
}
