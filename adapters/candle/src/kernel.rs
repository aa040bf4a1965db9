//! The fused calls over views, with outputs of their own.

use crate::error::{Checked, Fault};
use crate::fresh::Fresh;
use fused_dense::{Bias, Dense, Gradients, MatrixView, Outputs, Saved, Upstream, WorkspacePool};

/// A planned layer and its workspaces: what a layer shares with the calls that a graph keeps of it.
#[derive(Debug)]
pub(crate) struct Kernel {
    dense: Dense,
    pool: WorkspacePool,
}

/// The outputs of a forward call.
pub(crate) struct Forward {
    pub(crate) a: Vec<f32>,
    pub(crate) z: Option<Vec<f32>>,
}

/// The operands of a backward call.
pub(crate) struct Backward<'a> {
    pub(crate) x: MatrixView<'a>,
    pub(crate) w: MatrixView<'a>,
    pub(crate) saved: Saved<'a>,
    pub(crate) d_a: MatrixView<'a>,
}

/// One of something for each tensor that a gradient goes to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Each<T> {
    pub(crate) x: T,
    pub(crate) w: T,
    pub(crate) b: T,
}

impl Kernel {
    /// # Errors
    /// Where the layer can make no call: a parameter of its activation, or its instruction set.
    pub(crate) fn new(dense: Dense) -> Checked<Self> {
        let pool = WorkspacePool::new(&dense)?;
        Ok(Self { dense, pool })
    }

    pub(crate) fn dense(&self) -> &Dense {
        &self.dense
    }

    pub(crate) fn forward(
        &self,
        x: MatrixView<'_>,
        w: MatrixView<'_>,
        b: Option<MatrixView<'_>>,
        keeps_z: bool,
    ) -> Checked<Forward> {
        let (rows, cols) = (x.rows(), self.dense.outputs());
        let mut a = Fresh::new(rows, cols)?;
        let mut z = if keeps_z { Some(Fresh::new(rows, cols)?) } else { None };
        let mut outputs = Outputs::new(a.view()?);
        if let Some(z) = &mut z {
            outputs = outputs.z(z.view()?);
        }
        self.dense.forward_in(&mut self.pool.get(), x, w, b.map_or(Bias::None, Bias::from), outputs)?;
        // SAFETY: a call that returns `Ok` has written every element of its outputs.
        unsafe { Ok(Forward { a: a.written(), z: z.map(|z| z.written()) }) }
    }

    /// The gradients that are wanted, all of them in one call.
    pub(crate) fn backward(&self, given: Backward<'_>, wanted: Each<bool>) -> Result<Each<Option<Vec<f32>>>, Fault> {
        let (inputs, outputs) = (self.dense.inputs(), self.dense.outputs());
        let room = |is_wanted, rows, cols| if is_wanted { Fresh::new(rows, cols).map(Some) } else { Ok(None) };
        let mut d_x = room(wanted.x, given.x.rows(), inputs)?;
        let mut d_w = room(wanted.w, outputs, inputs)?;
        let mut d_b = room(wanted.b, 1, outputs)?;
        let mut gradients = Gradients::new();
        if let Some(d_x) = &mut d_x {
            gradients = gradients.a_prev(d_x.view()?);
        }
        if let Some(d_w) = &mut d_w {
            gradients = gradients.w(d_w.view()?);
        }
        if let Some(d_b) = &mut d_b {
            gradients = gradients.b(d_b.view()?);
        }
        let Backward { x, w, saved, d_a } = given;
        self.dense.backward_in(&mut self.pool.get(), x, w, saved, Upstream::Activation(d_a), gradients)?;
        // SAFETY: a call that returns `Ok` has written every element of the gradients that it was asked for.
        let written = |gradient: Option<Fresh>| gradient.map(|gradient| unsafe { gradient.written() });
        Ok(Each { x: written(d_x), w: written(d_w), b: written(d_b) })
    }
}
