//! Inference: any batch, by any number of threads at once.

use super::{Core, Network};
use crate::arrays::{Filled, Rows};
use crate::errors::raise;
use crate::targets::TargetArrays;
use fused_dense::{Error, MatrixView};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// A call of the crate's that reads samples and fills an array.
type Predict = fn(&Core, MatrixView<'_>, &mut [f32]) -> Result<(), Error>;

#[pymethods]
impl Network {
    /// The network's output for any number of samples.
    #[pyo3(signature = (x, out = None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.filled(py, x, out, |core, x, a| core.predict(x, a))
    }

    /// As predict, with the output as probabilities: behind softmax cross-entropy the softmax of its rows.
    #[pyo3(signature = (x, out = None))]
    fn predict_proba<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.filled(py, x, out, |core, x, p| core.predict_probabilities(x, p))
    }

    /// The class of each sample, as uint32.
    fn predict_classes<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let x = Rows::new("x", x, self.inputs())?;
        let mut found = Filled::<u32>::new(py, x.leading(), None);
        let (x, classes) = (x.view(), found.as_slice_mut());
        self.core.read(py, |core| core.predict_classes(x, classes))?.map_err(raise)?;
        Ok(found.into_array().into_any())
    }

    /// The cost of samples, and the accuracy of their classes where the targets are classes.
    #[pyo3(signature = (x, targets, sample_weight = None))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        sample_weight: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let x = Rows::new("x", x, self.inputs())?;
        let targets = TargetArrays::new(targets, sample_weight, x.leading(), self.outputs())?;
        let (x, targets) = (x.view(), targets.targets());
        let found = self.core.read(py, |core| core.evaluate(x, targets))?.map_err(raise)?;
        evaluation(py, found)
    }
}

impl Network {
    fn filled<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
        predict: Predict,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut x = Rows::new("x", x, self.inputs())?;
        let mut found = Filled::output(&mut x, self.outputs(), out)?;
        let (x, a) = (x.view(), found.as_slice_mut());
        self.core.read(py, |core| predict(core, x, a))?.map_err(raise)?;
        Ok(found.into_array().into_any())
    }
}

/// An evaluation as Python's named tuple.
pub(crate) fn evaluation(py: Python<'_>, found: fused_dense::Evaluation) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "fused_dense._records", "Evaluation")?.call1((found.cost, found.accuracy))
}
