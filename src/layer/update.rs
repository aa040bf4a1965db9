//! An optimiser's step within the backward pass.

use super::backward::Operands;
use super::{Dense, Gradients, Saved, Upstream};
use crate::error::{Error, Operand};
use crate::gemm::packed::WeightsSource;
use crate::gemm::update::Parameter as CheckedParameter;
use crate::kernel::Sink;
use crate::kernel::update::{MOST_STATE, Rule};
use crate::matrix::{Input, Output};
use crate::optimizer::{Optimizer, STATE_OF_B, STATE_OF_W, check_state_arrays, check_step};
use crate::workspace::Workspace;

/// A layer's weights or bias in an update, with what the optimiser keeps beside them.
///
/// Anything that is an [`Output`] converts, so that `&mut w` is enough for plain gradient descent.
///
/// ```
/// use fused_dense::{Activation, Dense, Parameter, Sgd, Update, Upstream};
///
/// let mut layer = Dense::new(1, 1, Activation::Identity);
/// let (mut w, mut velocity) = ([1.0], [0.0]);
/// let (parameter, update) = (Parameter::new(&mut w).state(&mut velocity), Update::new(Sgd::new(0.25).momentum(0.5)));
/// layer.backward_update(&[2.0], parameter, &[2.0], Upstream::PreActivation(&[1.0]), update)?;
/// assert_eq!((w, velocity), ([0.5], [2.0])); // dw = 2
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct Parameter<'a> {
    value: Output<'a>,
    /// The first ones that were given.
    state: [Option<Output<'a>>; MOST_STATE],
    /// All that were given.
    state_arrays: usize,
}

impl<'a> Parameter<'a> {
    /// A parameter alone.
    pub fn new(value: impl Into<Output<'a>>) -> Self {
        Self { value: value.into(), state: [None, None], state_arrays: 0 }
    }

    /// Adds an array that the optimiser keeps between steps: called once for each of
    /// [`Optimizer::state_arrays`], the velocity, or the first moment and then the second.
    ///
    /// It has the parameter's shape, and is zero before the first step. The update is fast where it has the parameter's
    /// layout.
    #[must_use]
    pub fn state(mut self, array: impl Into<Output<'a>>) -> Self {
        self.add_state(array);
        self
    }

    /// [`state`](Self::state) in place.
    #[inline(always)]
    pub(crate) fn add_state(&mut self, array: impl Into<Output<'a>>) {
        if let Some(place) = self.state.get_mut(self.state_arrays) {
            *place = Some(array.into());
        }
        self.state_arrays += 1;
    }

    /// # Errors
    /// Where the parameter or its state has another shape, or the state is not what the optimiser keeps.
    #[inline(always)]
    fn check<'r>(
        &mut self,
        operand: Operand,
        names: [&[Operand]; MOST_STATE + 1],
        (rows, cols): (usize, usize),
        (state_arrays, rule): (usize, &'r Rule),
    ) -> Result<CheckedParameter<'r>, Error> {
        check_state_arrays(operand, state_arrays, self.state_arrays)?;
        let sink = self.value.sink(operand, rows, cols, true)?;
        let state = match state_arrays {
            0 => [CheckedParameter::NO_STATE; MOST_STATE],
            _ => self.check_state(names[state_arrays], (rows, cols))?,
        };
        Ok(CheckedParameter { sink, state, rule })
    }

    /// # Errors
    /// Where an array of the state has another shape.
    fn check_state(&mut self, names: &[Operand], (rows, cols): (usize, usize)) -> Result<[Sink; MOST_STATE], Error> {
        let mut state = [CheckedParameter::NO_STATE; MOST_STATE];
        for ((sink, array), &name) in state.iter_mut().zip(self.state.iter_mut().flatten()).zip(names) {
            *sink = array.sink(name, rows, cols, true)?;
        }
        Ok(state)
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
    optimizer: Optimizer,
    step: u64,
    b: Option<Parameter<'a>>,
    /// With room for partial sums in the place of the weights' gradient.
    others: Gradients<'a>,
}

impl<'a> Update<'a> {
    /// The optimiser's first step, of the weights alone. A number is plain gradient descent with this learning rate.
    #[must_use]
    pub fn new(optimizer: impl Into<Optimizer>) -> Self {
        Self { optimizer: optimizer.into(), step: 1, b: None, others: Gradients::new() }
    }

    /// Which step it is, `t = 1, 2, …`: 1 by default. Adam's depends on it; gradient descent's does not.
    #[must_use]
    pub fn step(self, t: u64) -> Self {
        Self { step: t, ..self }
    }

    /// Updates the bias too. It does not decay, whatever the optimiser's weight decay.
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
    /// needs; what stands there afterwards is no gradient. Smaller batches are faster with it where the optimiser keeps state and all
    /// rows are contiguous. Since a call need not write all of it, it has to be initialised.
    #[must_use]
    pub fn partial_sums(self, room: impl Into<Output<'a>>) -> Self {
        Self { others: self.others.w(room), ..self }
    }
}

/// The numbers of an optimiser's step, which is found to be one.
pub(crate) struct Rules {
    of_w: Rule,
    /// A bias does not decay.
    of_b: Rule,
    /// Arrays that the optimiser keeps beside each parameter.
    state_arrays: usize,
}

impl Rules {
    /// # Errors
    /// [`Error::Setting`] and [`Error::StepZero`].
    #[inline(always)]
    pub(crate) fn new(optimizer: &Optimizer, step: u64) -> Result<Self, Error> {
        optimizer.check()?;
        check_step(step)?;
        let of_w = optimizer.rule(step, true);
        Ok(Self { of_w, of_b: of_w.without_decay(), state_arrays: optimizer.state_arrays() })
    }
}

/// The operands of a backward pass that updates the parameters. By reference: a small layer would wait for their copies.
pub(crate) struct UpdateOperands<'o, 'a> {
    pub(crate) a_prev: &'o Input<'a>,
    pub(crate) w: &'o mut Parameter<'a>,
    pub(crate) b: Option<&'o mut Parameter<'a>>,
    pub(crate) saved: &'o Saved<'a>,
    pub(crate) upstream: &'o Upstream<Input<'a>>,
    /// With room for partial sums in the place of the weights' gradient.
    pub(crate) others: &'o mut Gradients<'a>,
}

/// The parameters of an update, checked.
pub(super) struct Step<'r> {
    pub(super) w: CheckedParameter<'r>,
    pub(super) b: Option<CheckedParameter<'r>>,
}

impl Dense {
    /// [`backward`](Self::backward), and an optimiser's step by `dw` and `db`, which never stand in memory whole: each
    /// piece updates its parameters while it is in the first-level cache.
    ///
    /// [`Optimizer`] has the rules. Parameters and state are, to the bit, what
    /// [`reference::update`](crate::reference::update) makes of the gradients that `backward` returns. Weights decay where
    /// the optimiser says so, the bias never does. `dA_prev` is that of the weights before the step.
    ///
    /// ```
    /// use fused_dense::{Activation, Adam, Dense, Parameter, Update, Upstream};
    ///
    /// let mut layer = Dense::new(2, 1, Activation::Sigmoid);
    /// let (x, y) = ([1.0, 2.0, -1.0, 0.5], [1.0, 0.0]);
    /// let (mut w, mut m_w, mut v_w) = ([0.1, -0.2], [0.0; 2], [0.0; 2]);
    /// let (mut b, mut m_b, mut v_b) = ([0.0], [0.0], [0.0]);
    /// let (adam, mut a) = (Adam::new(0.1).decoupled_weight_decay(1e-2), [0.0; 2]);
    /// for step in 1..=100 {
    ///     layer.forward(&x, &w, &b, &mut a)?;
    ///     let w = Parameter::new(&mut w).state(&mut m_w).state(&mut v_w);
    ///     let b = Parameter::new(&mut b).state(&mut m_b).state(&mut v_b);
    ///     layer.backward_update(&x, w, &a, Upstream::Targets(&y), Update::new(adam).step(step).b(b).scale(0.5))?;
    /// }
    /// assert!(a[0] > 0.95 && a[1] < 0.05);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`backward`](Self::backward), with `w` and the state among the operands, [`Error::Setting`],
    /// [`Error::StepZero`], [`Error::StateArrays`] and [`Error::NoPartialSums`]; nothing is touched then.
    pub fn backward_update<'a, T: Into<Input<'a>>>(
        &mut self,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Parameter<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        mut update: Update<'a>,
    ) -> Result<(), Error> {
        // Before the workspace is taken: a conversion is the caller's code, which may panic.
        let (a_prev, mut w, saved, upstream) = (a_prev.into(), w.into(), saved.into(), upstream.into_input());
        self.with_workspace(|layer, workspace| {
            layer.update_given(workspace, &a_prev, &mut w, &saved, &upstream, &mut update)
        })
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
        mut update: Update<'a>,
    ) -> Result<(), Error> {
        let (a_prev, mut w, saved, upstream) = (a_prev.into(), w.into(), saved.into(), upstream.into_input());
        self.update_given(workspace, &a_prev, &mut w, &saved, &upstream, &mut update)
    }

    /// [`backward_update_in`](Self::backward_update_in) by reference: a small layer would wait for the operands' copies.
    #[inline(always)]
    fn update_given<'a>(
        &self,
        workspace: &mut Workspace,
        a_prev: &Input<'a>,
        w: &mut Parameter<'a>,
        saved: &Saved<'a>,
        upstream: &Upstream<Input<'a>>,
        update: &mut Update<'a>,
    ) -> Result<(), Error> {
        let Update { optimizer, step, b, others } = update;
        let rules = Rules::new(optimizer, *step)?;
        self.update_call(workspace, UpdateOperands { a_prev, w, b: b.as_mut(), saved, upstream, others }, &rules)
    }

    /// Checks the parameters, and runs the backward pass that updates them.
    ///
    /// # Errors
    /// As [`backward_update_in`](Self::backward_update_in).
    #[inline(always)]
    pub(crate) fn update_call(
        &self,
        workspace: &mut Workspace,
        operands: UpdateOperands<'_, '_>,
        rules: &Rules,
    ) -> Result<(), Error> {
        let UpdateOperands { a_prev, w, b, saved, upstream, others } = operands;
        let (of_w, of_b) = ((self.outputs, self.inputs), (1, self.outputs));
        let step = Step {
            w: w.check(Operand::W, STATE_OF_W, of_w, (rules.state_arrays, &rules.of_w))?,
            b: match b {
                None => None,
                Some(b) => Some(b.check(Operand::B, STATE_OF_B, of_b, (rules.state_arrays, &rules.of_b))?),
            },
        };
        let weights = WeightsSource::plain(step.w.sink.as_source());
        let operands = Operands { a_prev, w: &weights, saved, upstream, gradients: others, step: Some(&step) };
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
