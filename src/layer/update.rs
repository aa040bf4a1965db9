//! A step of gradient descent within the backward pass.

use super::backward::Operands;
use super::{Dense, Gradients, Saved, Upstream};
use crate::error::{Error, Operand};
use crate::gemm::packed::WeightsSource;
use crate::gemm::update::Parameter as CheckedParameter;
use crate::kernel::update::Rule;
use crate::matrix::{Input, Output};
use crate::workspace::Workspace;

/// A layer's weights or bias in an update, with what the optimiser keeps beside them.
///
/// Anything that is an [`Output`] converts, so that `&mut w` is enough for plain gradient descent.
///
/// ```
/// use fused_dense::{Activation, Dense, Parameter, Update, Upstream};
///
/// let mut layer = Dense::new(1, 1, Activation::Identity);
/// let (mut w, mut velocity) = ([1.0], [0.0]);
/// let parameter = Parameter::new(&mut w).momentum(0.5, &mut velocity);
/// layer.backward_update(&[2.0], parameter, &[2.0], Upstream::PreActivation(&[1.0]), Update::new(0.25))?;
/// assert_eq!((w, velocity), ([0.5], [2.0])); // dw = 2
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct Parameter<'a> {
    value: Output<'a>,
    velocity: Option<Output<'a>>,
    momentum: f32,
    weight_decay: f32,
}

impl<'a> Parameter<'a> {
    /// Updated by its gradient alone.
    pub fn new(value: impl Into<Output<'a>>) -> Self {
        Self { value: value.into(), velocity: None, momentum: 0.0, weight_decay: 0.0 }
    }

    /// Adds `λ` times the parameter to its gradient; nothing where `λ` is 0.
    #[must_use]
    pub fn weight_decay(self, lambda: f32) -> Self {
        Self { weight_decay: lambda, ..self }
    }

    /// Updates by a velocity, of which each step keeps `μ` times the last one; before the first step it is zero. It has
    /// the parameter's shape, and the update is fast where it has its layout.
    #[must_use]
    pub fn momentum(self, mu: f32, velocity: impl Into<Output<'a>>) -> Self {
        Self { velocity: Some(velocity.into()), momentum: mu, ..self }
    }

    fn check(
        &mut self,
        [operand, velocity]: [Operand; 2],
        (rows, cols): (usize, usize),
        learning_rate: f32,
    ) -> Result<CheckedParameter, Error> {
        Ok(CheckedParameter {
            sink: self.value.sink(operand, rows, cols, true)?,
            velocity: match &mut self.velocity {
                None => None,
                Some(its) => Some(its.sink(velocity, rows, cols, true)?),
            },
            rule: Rule { learning_rate, weight_decay: self.weight_decay, momentum: self.momentum },
        })
    }
}

impl<'a, T: Into<Output<'a>>> From<T> for Parameter<'a> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// The options of a backward pass that updates the weights.
///
/// ```
/// use fused_dense::{Activation, Dense, Update, Upstream};
///
/// let mut layer = Dense::new(1, 1, Activation::Identity);
/// let (mut w, mut b) = ([1.0], [0.0]);
/// let update = Update::new(0.25).b(&mut b).scale(0.5);
/// layer.backward_update(&[2.0], &mut w, &[2.0], Upstream::PreActivation(&[1.0]), update)?;
/// assert_eq!((w, b), ([0.75], [-0.125]));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct Update<'a> {
    learning_rate: f32,
    b: Option<Parameter<'a>>,
    partial_sums: Option<Output<'a>>,
    others: Gradients<'a>,
}

impl<'a> Update<'a> {
    /// With this learning rate `η`, and nothing besides.
    #[must_use]
    pub fn new(learning_rate: f32) -> Self {
        Self { learning_rate, b: None, partial_sums: None, others: Gradients::new() }
    }

    /// Updates the bias too.
    #[must_use]
    pub fn b(self, b: impl Into<Parameter<'a>>) -> Self {
        Self { b: Some(b.into()), ..self }
    }

    /// `dA_prev = dz · w`, with the weights before the update.
    #[must_use]
    pub fn a_prev(self, d_a_prev: impl Into<Output<'a>>) -> Self {
        Self { others: self.others.a_prev(d_a_prev), ..self }
    }

    /// `dA_prev += dz · w`, with the weights before the update.
    #[must_use]
    pub fn add_to_a_prev(self, d_a_prev: impl Into<Output<'a>>) -> Self {
        Self { others: self.others.add_to_a_prev(d_a_prev), ..self }
    }

    /// Keeps `dz` itself.
    #[must_use]
    pub fn z(self, d_z: impl Into<Output<'a>>) -> Self {
        Self { others: self.others.z(d_z), ..self }
    }

    /// The factor `s` of `dw` and `db`: 1 (the default) for sums, `1/m` for the textbook's means.
    #[must_use]
    pub fn scale(self, s: f32) -> Self {
        Self { others: self.others.scale(s), ..self }
    }

    /// Room of the weights' shape for partial sums of `dw`, which a batch of more than [`Dense::update_batch`] samples
    /// needs; what stands there afterwards is no gradient. Smaller batches may use it too: a few shapes are faster so. Since a
    /// call need not write all of it, it has to be initialised.
    #[must_use]
    pub fn partial_sums(self, room: impl Into<Output<'a>>) -> Self {
        Self { partial_sums: Some(room.into()), ..self }
    }
}

/// The parameters of an update, checked.
pub(super) struct Step {
    pub(super) w: CheckedParameter,
    pub(super) b: Option<CheckedParameter>,
}

impl Dense {
    /// [`backward`](Self::backward), and a step of gradient descent by `dw` and `db`, which never stand in memory whole:
    /// each piece updates its parameters while it is in the first-level cache.
    ///
    /// With `g` each element of `dw` or `db`, `p` the parameter's and `v` its velocity's:
    ///
    /// ```text
    /// g = fma(λ, p, g)     where there is weight decay
    /// v = fma(μ, v, g)     where there is momentum; v then takes the place of g
    /// p = fma(-η, g, p)
    /// ```
    ///
    /// to the bit what [`reference::update`](crate::reference::update) makes of the gradients that `backward` returns.
    /// `dA_prev` is that of the weights before the step.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense, Parameter, Update, Upstream};
    ///
    /// let mut layer = Dense::new(2, 1, Activation::Sigmoid);
    /// let (x, y) = ([1.0, 2.0, -1.0, 0.5], [1.0, 0.0]);
    /// let (mut w, mut b, mut velocity) = ([0.1, -0.2], [0.0], [0.0; 2]);
    /// let mut a = [0.0; 2];
    /// for _ in 0..100 {
    ///     layer.forward(&x, &w, &b, &mut a)?;
    ///     layer.backward_update(
    ///         &x,
    ///         Parameter::new(&mut w).momentum(0.9, &mut velocity).weight_decay(1e-4),
    ///         &a,
    ///         Upstream::Targets(&y),
    ///         Update::new(0.5).b(&mut b).scale(0.5),
    ///     )?;
    /// }
    /// assert!(a[0] > 0.95 && a[1] < 0.05);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`backward`](Self::backward), with `w` and velocities among the operands, and [`Error::NoPartialSums`]; nothing
    /// is touched then.
    pub fn backward_update<'a, T: Into<Input<'a>>>(
        &mut self,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Parameter<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        update: Update<'a>,
    ) -> Result<(), Error> {
        // Before the workspace is taken: a conversion is the caller's code, which may panic.
        let (a_prev, w, saved, upstream) = (a_prev.into(), w.into(), saved.into(), upstream.into_input());
        let mut workspace = core::mem::take(&mut self.workspace);
        let result = self.update_call(&mut workspace, a_prev, w, saved, upstream, update);
        self.workspace = workspace;
        result
    }

    /// [`backward_update`](Self::backward_update) with the caller's workspace, so that threads can share the layer.
    ///
    /// # Errors
    /// As [`backward_update`](Self::backward_update), and [`Error::WorkspaceTooSmall`].
    pub fn backward_update_in<'a, T: Into<Input<'a>>>(
        &self,
        workspace: &mut Workspace,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Parameter<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        update: Update<'a>,
    ) -> Result<(), Error> {
        self.update_call(workspace, a_prev.into(), w.into(), saved.into(), upstream.into_input(), update)
    }

    fn update_call(
        &self,
        workspace: &mut Workspace,
        a_prev: Input<'_>,
        mut w: Parameter<'_>,
        saved: Saved<'_>,
        upstream: Upstream<Input<'_>>,
        update: Update<'_>,
    ) -> Result<(), Error> {
        let Update { learning_rate, mut b, partial_sums, others } = update;
        let step = Step {
            w: w.check([Operand::W, Operand::VW], (self.outputs, self.inputs), learning_rate)?,
            b: match &mut b {
                None => None,
                Some(b) => Some(b.check([Operand::B, Operand::VB], (1, self.outputs), learning_rate)?),
            },
        };
        let mut gradients = match partial_sums {
            None => others,
            Some(room) => others.w(room),
        };
        let weights = WeightsSource::plain(step.w.sink.as_source());
        let operands = Operands {
            a_prev: &a_prev,
            w: &weights,
            saved: &saved,
            upstream: &upstream,
            gradients: &mut gradients,
            step: Some(&step),
        };
        self.backward_call(workspace, operands)
    }

    /// The most samples that [`backward_update`](Self::backward_update) takes without
    /// [room for partial sums](Update::partial_sums).
    ///
    /// # Errors
    /// As [`workspace_len`](Self::workspace_len).
    pub fn update_batch(&self) -> Result<usize, Error> {
        self.layout.as_ref().map(|layout| layout.chunk_rows).map_err(Clone::clone)
    }
}
