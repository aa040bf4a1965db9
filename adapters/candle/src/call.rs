//! A call of a layer as candle's graph keeps it.

use crate::error::NAME;
use crate::gradients::collect;
use crate::kernel::{Backward, Each, Kernel};
use crate::rows::{matrix, on_cpu, with_rows};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};
use core::cell::Cell;
use fused_dense::{MatrixView, Saved};
use std::sync::{Arc, OnceLock};

/// A tensor's memory and layout, as candle hands them to an operation.
type Stored<'a> = (&'a CpuStorage, &'a Layout);

/// One forward call of `x`, the weight and the bias, and what its backward call needs besides them.
pub(crate) struct Call {
    kernel: Arc<Kernel>,
    keeps_z: bool,
    /// The pre-activation, where the derivative follows from it alone; the graph's output has no room for it.
    z: OnceLock<Vec<f32>>,
}

impl Call {
    /// `is_tracked` tells whether a backward call may follow.
    pub(crate) fn new(kernel: Arc<Kernel>, is_tracked: bool) -> Self {
        let keeps_z = is_tracked && kernel.dense().activation().needs_z();
        Self { kernel, keeps_z, z: OnceLock::new() }
    }

    fn forward(&self, x: Stored<'_>, w: Stored<'_>, b: Option<Stored<'_>>) -> Result<(CpuStorage, Shape)> {
        let b = match b {
            None => None,
            Some((values, layout)) => Some(matrix("bias", values, layout)?),
        };
        let forward = self.kernel.forward(matrix("x", x.0, x.1)?, matrix("weight", w.0, w.1)?, b, self.keeps_z)?;
        if let Some(z) = forward.z {
            // An operation belongs to one node, and is called once.
            let _ = self.z.set(z);
        }
        let mut dims = x.1.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.kernel.dense().outputs();
        }
        Ok((CpuStorage::F32(forward.a), Shape::from(dims)))
    }

    /// The gradients of those tensors that candle tracks, from the output `a` and its gradient.
    fn backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: Option<&Tensor>,
        a: &Tensor,
        d_a: &Tensor,
    ) -> Result<Each<Option<Tensor>>> {
        let wanted = Each { x: x.track_op(), w: w.track_op(), b: b.is_some_and(Tensor::track_op) };
        if !(wanted.x || wanted.w || wanted.b) {
            return Ok(Each::default());
        }
        let d_a = with_rows(d_a)?;
        let ((a, a_layout), (d_a, d_a_layout)) = (a.storage_and_layout(), d_a.storage_and_layout());
        let d_a = matrix("gradient", on_cpu("gradient", &d_a)?, d_a_layout)?;
        let saved = match self.z.get() {
            None => Saved::from(matrix("output", on_cpu("output", &a)?, a_layout)?),
            Some(z) => Saved::z(z),
        };
        let reader = Reader { kernel: &self.kernel, saved, d_a, wanted, computed: Cell::default() };
        x.apply_op2_no_bwd(w, &reader)?;
        let computed = reader.computed.take();
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values.map(|values| Tensor::from_vec(values, like.shape(), &Device::Cpu)).transpose()
        };
        let parameter = |values: Option<Vec<f32>>, like: &Tensor| match tensor(values, like)? {
            None => Ok(None),
            Some(gradient) => collect(like, gradient),
        };
        Ok(Each {
            x: tensor(computed.x, x)?,
            w: parameter(computed.w, w)?,
            b: b.map_or(Ok(None), |b| parameter(computed.b, b))?,
        })
    }
}

/// The backward call as an operation on `x` and the weight, which may be the same memory: candle locks the operands of an
/// operation so that one thread can read them twice while another waits to write. The output and its gradient are memory of
/// their own.
struct Reader<'a> {
    kernel: &'a Kernel,
    saved: Saved<'a>,
    d_a: MatrixView<'a>,
    wanted: Each<bool>,
    computed: Cell<Each<Option<Vec<f32>>>>,
}

impl CustomOp2 for Reader<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (matrix("x", x, x_layout)?, matrix("weight", w, w_layout)?);
        let given = Backward { x, w, saved: self.saved, d_a: self.d_a };
        self.computed.set(self.kernel.backward(given, self.wanted)?);
        Ok((CpuStorage::F32(Vec::new()), Shape::from(0)))
    }
}

impl CustomOp2 for Call {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (w, w_layout), None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, a: &Tensor, d_a: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradients = self.backward(x, w, None, a, d_a)?;
        Ok((gradients.x, gradients.w))
    }
}

impl CustomOp3 for Call {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (w, w_layout), Some((b, b_layout)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        a: &Tensor,
        d_a: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Each { x, w, b } = self.backward(x, w, Some(b), a, d_a)?;
        Ok((x, w, b))
    }
}
