//! The optimisers: gradient descent and Adam.

use crate::errors::raise;
use crate::settings::as_written;
use fused_dense::Optimizer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Gradient descent, with momentum and weight decay if wanted: the rule of torch.optim.SGD without dampening.
#[pyclass(frozen, eq, module = "fused_dense", from_py_object)]
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Sgd(pub(crate) fused_dense::Sgd);

/// Adam, and AdamW with decoupled weight decay: the rules of torch.optim.Adam and torch.optim.AdamW.
#[pyclass(frozen, eq, module = "fused_dense", from_py_object)]
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Adam(pub(crate) fused_dense::Adam);

#[pymethods]
impl Sgd {
    #[new]
    #[pyo3(signature = (learning_rate, *, momentum = 0.0, nesterov = false, weight_decay = 0.0))]
    fn new(learning_rate: f32, momentum: f32, nesterov: bool, weight_decay: f32) -> PyResult<Self> {
        let sgd = fused_dense::Sgd::new(learning_rate).momentum(momentum).weight_decay(weight_decay);
        let sgd = if nesterov { sgd.nesterov() } else { sgd };
        checked(sgd).map(|()| Self(sgd))
    }

    #[getter]
    fn learning_rate(&self) -> f64 {
        as_written(self.0.learning_rate)
    }

    #[getter]
    fn momentum(&self) -> f64 {
        as_written(self.0.momentum)
    }

    #[getter]
    fn nesterov(&self) -> bool {
        self.0.nesterov
    }

    #[getter]
    fn weight_decay(&self) -> f64 {
        as_written(self.0.weight_decay)
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let settings = PyDict::new(py);
        settings.set_item("momentum", self.momentum())?;
        settings.set_item("nesterov", self.nesterov())?;
        settings.set_item("weight_decay", self.weight_decay())?;
        Ok((PyTuple::new(py, [self.learning_rate()])?, settings))
    }

    fn __repr__(&self) -> String {
        let [rate, momentum, decay] = [self.0.learning_rate, self.0.momentum, self.0.weight_decay];
        let nesterov = python_bool(self.0.nesterov);
        format!("Sgd({rate:?}, momentum={momentum:?}, nesterov={nesterov}, weight_decay={decay:?})")
    }
}

#[pymethods]
impl Adam {
    #[new]
    #[pyo3(signature = (learning_rate = 0.001, *, betas = (0.9, 0.999), epsilon = 1e-8, weight_decay = 0.0,
                        decoupled = false),
           text_signature = "(learning_rate=0.001, *, betas=(0.9, 0.999), epsilon=1e-08, weight_decay=0.0, \
                             decoupled=False)")]
    fn new(learning_rate: f32, betas: (f32, f32), epsilon: f32, weight_decay: f32, decoupled: bool) -> PyResult<Self> {
        let adam = fused_dense::Adam::new(learning_rate).betas(betas.0, betas.1).epsilon(epsilon);
        let adam = if decoupled { adam.decoupled_weight_decay(weight_decay) } else { adam.weight_decay(weight_decay) };
        checked(adam).map(|()| Self(adam))
    }

    #[getter]
    fn learning_rate(&self) -> f64 {
        as_written(self.0.learning_rate)
    }

    #[getter]
    fn betas(&self) -> (f64, f64) {
        (as_written(self.0.betas.0), as_written(self.0.betas.1))
    }

    #[getter]
    fn epsilon(&self) -> f64 {
        as_written(self.0.epsilon)
    }

    #[getter]
    fn weight_decay(&self) -> f64 {
        as_written(self.0.weight_decay)
    }

    #[getter]
    fn decoupled(&self) -> bool {
        self.0.is_decoupled
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let settings = PyDict::new(py);
        settings.set_item("betas", self.betas())?;
        settings.set_item("epsilon", self.epsilon())?;
        settings.set_item("weight_decay", self.weight_decay())?;
        settings.set_item("decoupled", self.decoupled())?;
        Ok((PyTuple::new(py, [self.learning_rate()])?, settings))
    }

    fn __repr__(&self) -> String {
        let fused_dense::Adam { learning_rate: rate, betas, epsilon, weight_decay: decay, is_decoupled, .. } = self.0;
        let decoupled = python_bool(is_decoupled);
        format!("Adam({rate:?}, betas={betas:?}, epsilon={epsilon:?}, weight_decay={decay:?}, decoupled={decoupled})")
    }
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn checked(optimizer: impl Into<Optimizer>) -> PyResult<()> {
    // Settings are checked by the calls that take an optimiser: this one changes no parameter.
    let optimizer: Optimizer = optimizer.into();
    let mut none: [&mut [f32]; 2] = Default::default();
    optimizer.apply(1, &mut [], &[], &mut none[..optimizer.state_arrays()]).map_err(raise)
}

/// An optimiser as an argument: an object, or the learning rate of plain gradient descent.
pub(crate) fn read(argument: &Bound<'_, PyAny>) -> PyResult<Optimizer> {
    if let Ok(sgd) = argument.cast::<Sgd>() {
        return Ok(sgd.get().0.into());
    }
    if let Ok(adam) = argument.cast::<Adam>() {
        return Ok(adam.get().0.into());
    }
    let Ok(rate) = argument.extract::<f32>() else {
        let found = argument.get_type().name()?;
        return Err(PyTypeError::new_err(format!("optimizer: expected Sgd, Adam or a learning rate, found {found}")));
    };
    let optimizer = fused_dense::Sgd::new(rate);
    checked(optimizer).map(|()| optimizer.into())
}

/// An optimiser as Python's object.
pub(crate) fn write(py: Python<'_>, optimizer: Optimizer) -> PyResult<Py<PyAny>> {
    match optimizer {
        Optimizer::Sgd(sgd) => Ok(Py::new(py, Sgd(sgd))?.into_any()),
        Optimizer::Adam(adam) => Ok(Py::new(py, Adam(adam))?.into_any()),
        other => Err(PyTypeError::new_err(format!("optimizer: expected Sgd or Adam, found {other}"))),
    }
}
