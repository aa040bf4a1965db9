//! Inference: a network asked through a shared reference, by several threads at once.

use super::Network;
use super::values::Values;
use crate::cost::Cost;
use crate::error::{Error, Operand};
use crate::layer::Outputs;
use crate::loss;
use crate::matrix::{Input, Output, check_len};
use crate::pool::Pool;
use crate::summation::SUM_BLOCK;
use crate::workspace::Workspace;

/// The memory of one call: a workspace for each layer, which keeps its plans, and two layers' activations in turn.
#[derive(Debug, Default)]
pub(super) struct Session {
    workspaces: Vec<Workspace>,
    activations: [Values; 2],
    /// The output, where the caller asks for something made of it.
    pub(super) output: Values,
    /// The output's pre-activation and the cost's gradient by it.
    pub(super) z: Values,
    pub(super) gradient: Values,
}

/// Sessions to borrow. A network's copy begins with none.
#[derive(Debug, Default)]
pub(super) struct Sessions(pub(super) Pool<Session>);

impl Clone for Sessions {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Network {
    /// The output `a: batch × outputs` for `x: batch × inputs`: any batch, by any number of threads at once.
    ///
    /// Samples go through the layers up to 256 at a time. A call borrows memory of its own from the network, as many as
    /// run at once; nothing is allocated once they have been made, for batches no larger. With
    /// [`Summation::Auto`](crate::Summation::Auto) a sample's bits may depend on the batch, as in
    /// [`forward`](Self::forward); pinned they do not.
    ///
    /// ```
    /// use fused_dense::{Activation, Network};
    ///
    /// let network = Network::builder(2).layer(1, Activation::Sigmoid).build()?;
    /// std::thread::scope(|scope| {
    ///     for x in [[0.0, 1.0], [2.0, 3.0]] {
    ///         let network = &network;
    ///         scope.spawn(move || network.predict(&x, &mut [0.0]).unwrap());
    ///     }
    /// });
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Exchanged`], and where `x` or `a` has the wrong size or shape; `a` is not touched then.
    pub fn predict<'a, 'o>(&self, x: impl Into<Input<'a>>, a: impl Into<Output<'o>>) -> Result<(), Error> {
        let (x, mut a) = (x.into(), a.into());
        let outputs = self.outputs();
        let batch = self.any_batch(x, a.whole_rows(outputs))?;
        a.sink(Operand::A, batch, outputs, false)?;
        let mut session = self.sessions.0.take();
        self.chunks(&mut session, x, batch, |_, session, x, (start, count)| {
            self.forward_chunk(session, x, count, Some(a.rows(start, count, outputs)))
        })
    }

    /// As [`predict`](Self::predict), with the output as probabilities: of a network that descends
    /// [softmax cross-entropy](Cost::SoftmaxCrossEntropy) the softmax of its rows, of any other the output itself.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and [`Error::NotASlice`] where `p` is a view of anything but contiguous rows of
    /// initialised memory.
    pub fn predict_probabilities<'a, 'o>(
        &self,
        x: impl Into<Input<'a>>,
        p: impl Into<Output<'o>>,
    ) -> Result<(), Error> {
        let (x, mut p) = (x.into(), p.into());
        let outputs = self.outputs();
        let batch = self.any_batch(x, p.whole_rows(outputs))?;
        p.sink(Operand::A, batch, outputs, false)?;
        let p = p.as_slice_mut(Operand::A)?;
        if self.cost() != Cost::SoftmaxCrossEntropy {
            return self.predict(x, p);
        }
        let mut session = self.sessions.0.take();
        self.chunks(&mut session, x, batch, |_, session, x, (start, count)| {
            self.forward_chunk(session, x, count, None)?;
            let z = &session.output[..count * outputs];
            loss::softmax(z, &mut p[start * outputs..(start + count) * outputs], outputs)
        })
    }

    /// As [`predict`](Self::predict), with `z`, the last layer's values before its activation: what an output that has
    /// saturated no longer tells.
    ///
    /// ```
    /// use fused_dense::{Activation, Init, Network};
    ///
    /// let mut network = Network::builder(1).layer(1, Activation::Sigmoid).init(Init::Zeros).build()?;
    /// network.layers_mut()[0].b_mut().copy_from_slice(&[30.0]);
    /// let (mut a, mut z) = ([0.0], [0.0]);
    /// network.predict(&[1.0], &mut a)?;
    /// network.predict_z(&[1.0], &mut z)?;
    /// assert_eq!((a, z), ([1.0], [30.0])); // the other class has e⁻³⁰
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_z<'a>(&self, x: impl Into<Input<'a>>, z: &mut [f32]) -> Result<(), Error> {
        let x = x.into();
        let outputs = self.outputs();
        let batch = self.any_batch(x, z.len().checked_div(outputs))?;
        check_len(Operand::Z, z.len(), batch, outputs)?;
        let mut session = self.sessions.0.take();
        self.chunks(&mut session, x, batch, |_, session, x, (start, count)| {
            self.forward_chunk(session, x, count, None)?;
            z[start * outputs..(start + count) * outputs].copy_from_slice(&session.z[..count * outputs]);
            Ok(())
        })
    }

    /// The class of each sample of `x: batch × inputs`: the number of its largest output, the first of equals; of a single
    /// output, which counts as the probability of class 1, whether it is above ½. A row with NaN in it has the class of its
    /// largest number, or 0.
    ///
    /// ```
    /// use fused_dense::{Activation, Init, Network};
    ///
    /// let mut network = Network::builder(2).layer(3, Activation::Identity).init(Init::Zeros).build()?;
    /// network.layers_mut()[0].b_mut().copy_from_slice(&[0.0, 2.0, 1.0]);
    /// let mut classes = [0; 2];
    /// network.predict_classes(&[1.0, 2.0, 3.0, 4.0], &mut classes)?;
    /// assert_eq!(classes, [1, 1]);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_classes<'a>(&self, x: impl Into<Input<'a>>, classes: &mut [u32]) -> Result<(), Error> {
        let x = x.into();
        let outputs = self.outputs();
        let batch = self.any_batch(x, Some(classes.len()))?;
        check_len(Operand::Classes, classes.len(), batch, 1)?;
        let mut session = self.sessions.0.take();
        self.chunks(&mut session, x, batch, |_, session, x, (start, count)| {
            self.forward_chunk(session, x, count, None)?;
            let rows = session.output[..count * outputs].chunks_exact(outputs.max(1));
            for (class, row) in classes[start..start + count].iter_mut().zip(rows) {
                *class = class_of(row);
            }
            Ok(())
        })
    }

    /// Samples in `x`, any number of them.
    pub(super) fn any_batch(&self, x: Input<'_>, of_output: Option<usize>) -> Result<usize, Error> {
        self.check_layers()?;
        let batch = x.batch(Operand::X, self.inputs())?.or(of_output).unwrap_or(0);
        x.source(Operand::X, batch, self.inputs())?;
        Ok(batch)
    }

    /// Calls `run` for one chunk of [`SUM_BLOCK`] samples after the other, whose activations stay in the caches, with a
    /// session that has room for it.
    pub(super) fn chunks(
        &self,
        session: &mut Session,
        x: Input<'_>,
        batch: usize,
        mut run: impl FnMut(&Self, &mut Session, Input<'_>, (usize, usize)) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.make_room(session, batch.min(SUM_BLOCK))?;
        for start in (0..batch).step_by(SUM_BLOCK) {
            let count = SUM_BLOCK.min(batch - start);
            run(self, session, x.rows(start, count, self.inputs()), (start, count))?;
        }
        Ok(())
    }

    fn make_room(&self, session: &mut Session, rows: usize) -> Result<(), Error> {
        for layer in &self.layers[session.workspaces.len().min(self.layers.len())..] {
            session.workspaces.push(Workspace::new(layer.dense.workspace_len()?));
        }
        for (workspace, layer) in session.workspaces.iter_mut().zip(&self.layers) {
            let len = layer.dense.workspace_len()?;
            if workspace.len() < len {
                *workspace = Workspace::new(len);
            }
        }
        let widest = self.places.iter().map(|place| place.1).max().unwrap_or(0);
        let too_large = Error::TooLarge { operand: Operand::A };
        let Session { activations: [before, after], output, z, gradient, .. } = session;
        for values in [before, after, output, z, gradient] {
            if values.len() < rows * widest {
                *values = Values::zeros(rows, widest).ok_or(too_large.clone())?;
            }
        }
        Ok(())
    }

    /// The output for up to [`SUM_BLOCK`] samples: to `a`, or with its pre-activation to the session's own memory.
    pub(super) fn forward_chunk(
        &self,
        session: &mut Session,
        x: Input<'_>,
        rows: usize,
        a: Option<Output<'_>>,
    ) -> Result<(), Error> {
        let Session { workspaces, activations: [before, after], output, z, .. } = session;
        let (mut before, mut after) = (before, after);
        let (last, hidden) = self.layers.split_last().ok_or(Error::NoLayers)?;
        let mut a_prev = x;
        for (layer, workspace) in hidden.iter().zip(&mut *workspaces) {
            let next = &mut after[..layer.output_len(rows)];
            layer.dense.forward_in(workspace, a_prev, &*layer.w, &*layer.b, &mut *next)?;
            core::mem::swap(&mut before, &mut after);
            a_prev = Input::Slice(&before[..layer.output_len(rows)]);
        }
        let workspace = workspaces.last_mut().ok_or(Error::NoLayers)?;
        let len = last.output_len(rows);
        let outputs = match a {
            Some(a) => Outputs::new(a),
            None => Outputs::new(&mut output[..len]).z(&mut z[..len]),
        };
        last.dense.forward_in(workspace, a_prev, &*last.w, &*last.b, outputs)
    }
}

/// The class that a row of outputs speaks for.
pub(super) fn class_of(row: &[f32]) -> u32 {
    if let [probability] = row {
        return u32::from(*probability > 0.5);
    }
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (class as u32, value);
        }
    }
    best.0
}
