//! Arguments that are numbers and names, as the crate's settings.

use fused_dense::{Activation, Cost, Init, Summation, Team};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A number of things, from `least` on.
pub(crate) fn count(name: &str, argument: &Bound<'_, PyAny>, least: usize) -> PyResult<usize> {
    let py = argument.py();
    let found = match argument.extract::<isize>() {
        Ok(found) => found,
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => {
            return Err(PyValueError::new_err(format!("{name}: expected a number that fits memory, found {argument}")));
        }
        Err(_) => {
            let found = argument.get_type().name()?;
            return Err(PyTypeError::new_err(format!("{name}: expected an integer, found {found}")));
        }
    };
    usize::try_from(found)
        .ok()
        .filter(|&found| found >= least)
        .ok_or_else(|| PyValueError::new_err(format!("{name}: expected an integer from {least} on, found {found}")))
}

/// A number of threads that a team can have.
pub(crate) fn threads(argument: &Bound<'_, PyAny>) -> PyResult<usize> {
    let (found, most) = (count("threads", argument, 1)?, Team::MAX_THREADS);
    if found <= most {
        return Ok(found);
    }
    Err(PyValueError::new_err(format!("threads: expected at most {most}, found {found}")))
}

/// The layers of a network: pairs of a number of outputs and an activation's name.
pub(crate) fn layers(argument: &Bound<'_, PyAny>) -> PyResult<Vec<(usize, Activation)>> {
    let wrong = |found: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!(
            "layers: expected pairs of a number of outputs and an activation, such as [(30, \"relu\"), (10, \"identity\")], \
             found {found}"
        ))
    };
    if argument.is_instance_of::<PyString>() {
        return Err(wrong(argument));
    }
    let layers = argument.try_iter().map_err(|_| wrong(argument))?;
    let layer = |layer: PyResult<Bound<'_, PyAny>>| {
        let layer = layer?;
        let pair = layer.len().is_ok_and(|length| length == 2) && !layer.is_instance_of::<PyString>();
        let (true, Ok(outputs), Ok(activation)) = (pair, layer.get_item(0), layer.get_item(1)) else {
            return Err(wrong(&layer));
        };
        let Ok(activation) = activation.cast::<PyString>() else { return Err(wrong(&layer)) };
        let activation = activation.to_string().parse::<Activation>();
        let activation = activation.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok((count("layers: outputs", &outputs, 1)?, activation))
    };
    layers.map(layer).collect()
}

/// Letters alone, none of them a capital: case, blanks, `_` and `-` do not matter, as in the names of activations.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !"_-".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// One of several named values.
fn named<T: Copy>(setting: &str, name: &str, known: &[(&str, T)]) -> PyResult<T> {
    let found = known.iter().find(|(known, _)| plain(known) == plain(name));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|&(name, _)| name).collect();
        PyValueError::new_err(format!("{setting}: expected one of {}, found {name:?}", names.join(", ")))
    })
}

const COSTS: &[(&str, Cost)] = &[
    ("quadratic", Cost::Quadratic),
    ("binary_cross_entropy", Cost::BinaryCrossEntropy),
    ("softmax_cross_entropy", Cost::SoftmaxCrossEntropy),
];

pub(crate) fn cost(name: &str) -> PyResult<Cost> {
    named("cost", name, COSTS)
}

/// The name by which Python knows a cost.
pub(crate) fn cost_name(cost: Cost) -> String {
    let known = COSTS.iter().find(|&&(_, known)| known == cost);
    known.map_or_else(|| cost.to_string(), |(name, _)| (*name).to_string())
}

const SUMMATIONS: &[(&str, Summation)] =
    &[("auto", Summation::Auto), ("chain", Summation::Chain), ("lanes", Summation::Lanes)];

pub(crate) fn summation(name: &str) -> PyResult<Summation> {
    named("summation", name, SUMMATIONS)
}

pub(crate) fn summation_name(summation: Summation) -> &'static str {
    SUMMATIONS.iter().find(|&&(_, known)| known == summation).map_or("auto", |(name, _)| name)
}

pub(crate) fn init(name: &str) -> PyResult<Init> {
    name.parse::<Init>().map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The double that reads as a setting was written: 0.001, where single precision has 0.0010000000474974513.
pub(crate) fn as_written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}
