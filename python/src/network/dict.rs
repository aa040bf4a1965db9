//! The state of a network as a dictionary of arrays, and in pickles.

use super::names::{self, BATCHES, EPOCHS, Named, STEPS};
use super::{Core, Network};
use crate::arrays::{Filled, Values};
use numpy::PyArrayDyn;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};

/// The numbers, beside the arrays, from which training goes on.
#[derive(Clone, Copy)]
struct Progress {
    steps: u64,
    epochs: u64,
}

#[pymethods]
impl Network {
    /// Copies of all that training changes: parameters, the optimiser's arrays, the numbers of steps and epochs.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let named = self.core.glance(py, names::of)?;
        let mut arrays: Vec<Filled<'_, f32>> = named.iter().map(|named| Filled::new(py, &named.shape, None)).collect();
        let mut places: Vec<&mut [f32]> = arrays.iter_mut().map(Filled::as_slice_mut).collect();
        let progress = self.core.read(py, |core| {
            places.iter_mut().zip(names::values(core)).for_each(|(place, values)| place.copy_from_slice(values));
            Progress { steps: core.steps(), epochs: core.next_epoch() as u64 - 1 }
        })?;
        let state = PyDict::new(py);
        for (named, array) in named.into_iter().zip(arrays) {
            state.set_item(named.name, array.into_array())?;
        }
        state.set_item(STEPS, number(py, progress.steps))?;
        state.set_item(EPOCHS, number(py, progress.epochs))?;
        Ok(state)
    }

    /// Sets what state_dict returned, or parameters alone: then the rest stays. Nothing changes where an array is missing, too
    /// many, or of another type or shape.
    fn load_state_dict(&self, py: Python<'_>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = state.cast::<PyMapping>().map_err(|_| {
            PyTypeError::new_err(format!("state: expected a mapping of names to arrays, found {}", state.get_type()))
        })?;
        let named = self.core.glance(py, names::of)?;
        let keys: Vec<String> = state.keys()?.extract()?;
        let is_known = |key: &&String| {
            [STEPS, EPOCHS, BATCHES].contains(&key.as_str()) || named.iter().any(|named| named.name == **key)
        };
        if let Some(key) = keys.iter().find(|key| !is_known(key)) {
            return Err(PyValueError::new_err(format!("state: expected no array {key}, found one")));
        }
        let is_whole = keys.iter().any(|key| key.starts_with("training."));
        let arrays = named.iter().map(|named| array(state, named, is_whole)).collect::<PyResult<Vec<_>>>()?;
        let progress = if is_whole { Some(progress(state)?) } else { None };
        let values: Vec<Option<&[f32]>> = arrays.iter().map(|array| array.as_ref().map(Values::as_slice)).collect();
        self.core.write(py, |core| set(core, &values, progress))
    }

    fn __getstate__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyDict>, Option<Bound<'py, PyAny>>)> {
        // Of classes that Python derives from this one.
        let attributes = slf.getattr_opt("__dict__")?;
        Ok((slf.get().state_dict(slf.py())?, attributes))
    }

    fn __setstate__(slf: &Bound<'_, Self>, state: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (arrays, attributes) = state.extract::<(Bound<'_, PyAny>, Option<Bound<'_, PyAny>>)>()?;
        slf.get().load_state_dict(slf.py(), &arrays)?;
        match attributes {
            None => Ok(()),
            Some(attributes) => slf.getattr("__dict__")?.call_method1("update", (attributes,)).map(drop),
        }
    }
}

fn set(core: &mut Core, values: &[Option<&[f32]>], progress: Option<Progress>) {
    names::set(core, values);
    if let Some(Progress { steps, epochs }) = progress {
        core.set_steps(steps);
        core.set_next_epoch(usize::try_from(epochs).unwrap_or(usize::MAX).saturating_add(1));
    }
}

fn number(py: Python<'_>, value: u64) -> Bound<'_, PyArrayDyn<u64>> {
    let mut array = Filled::<u64>::new(py, &[], None);
    array.as_slice_mut().fill(value);
    array.into_array()
}

fn find<'py>(state: &Bound<'py, PyMapping>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    if state.contains(name)? {
        return state.get_item(name);
    }
    Err(PyKeyError::new_err(format!("state: expected an array {name}, found none")))
}

/// The array of this name and shape, if it is asked for.
fn array<'py>(state: &Bound<'py, PyMapping>, named: &Named, is_whole: bool) -> PyResult<Option<Values<'py, f32>>> {
    if !is_whole && !named.is_parameter {
        return Ok(None);
    }
    let values = Values::new(&named.name, &find(state, &named.name)?)?;
    values.expect_shape(&named.name, &named.shape)?;
    Ok(Some(values))
}

fn progress(state: &Bound<'_, PyMapping>) -> PyResult<Progress> {
    // Here fit begins each epoch with its first batch.
    if state.contains(BATCHES)? {
        number_of(state, BATCHES, 0)?;
    }
    let most = i64::MAX as u64;
    Ok(Progress { steps: number_of(state, STEPS, most)?, epochs: number_of(state, EPOCHS, most)? })
}

/// A single number up to the largest that can be gone on from.
fn number_of(state: &Bound<'_, PyMapping>, name: &str, most: u64) -> PyResult<u64> {
    let values = Values::<u64>::new(name, &find(state, name)?)?;
    values.expect_shape(name, &[])?;
    match values.as_slice() {
        [found] if *found <= most => Ok(*found),
        found => Err(PyValueError::new_err(format!("{name}: expected a number of at most {most}, found {found:?}"))),
    }
}
