//! The rules by which parameters follow their gradient.

use crate::error::{Error, Operand};
use crate::gemm::update::Parameter;
use crate::isa::{self, Isa, Kernels};
use crate::kernel::update::{Kind, MOST_STATE, Moments, Rule};
use crate::kernel::{Sink, Source};
use crate::matrix::check_len;
use crate::plan::Part;
use core::fmt;

/// The names of the arrays that a rule keeps beside weights, by how many there are.
pub(crate) const STATE_OF_W: [&[Operand]; MOST_STATE + 1] = [&[], &[Operand::VW], &[Operand::MW, Operand::VW]];

/// The same beside a bias.
pub(crate) const STATE_OF_B: [&[Operand]; MOST_STATE + 1] = [&[], &[Operand::VB], &[Operand::MB, Operand::VB]];

/// Gradient descent, with momentum and weight decay if wanted: the rule of `torch.optim.SGD` without dampening.
///
/// With `p` each parameter, `g` its gradient and `v` its velocity, which starts at zero:
///
/// ```text
/// g = g + λ·p                       with weight decay
/// v = μ·v + g                       with momentum
/// p = p - η·g                       without momentum
///     p - η·v                       with momentum
///     p - η·(g + μ·v)               with Nesterov's momentum
/// ```
///
/// [`reference::update`](crate::reference::update) has the order of the operations, to the bit. Momentum is that of
/// Sutskever, Martens, Dahl and Hinton, *On the importance of initialization and momentum in deep learning* (2013), with
/// the learning rate outside of the velocity.
///
/// ```
/// use fused_dense::{Optimizer, Sgd};
///
/// let optimizer = Optimizer::from(Sgd::new(0.5).momentum(0.9));
/// let (mut w, mut velocity) = ([1.0], [0.0]);
/// optimizer.apply(1, &mut w, &[1.0], &mut [&mut velocity])?;
/// assert_eq!((w, velocity), ([0.5], [1.0]));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sgd {
    /// The learning rate `η`.
    pub learning_rate: f32,
    /// The share `μ` of the velocity that a step keeps.
    pub momentum: f32,
    /// Whether momentum is Nesterov's.
    pub nesterov: bool,
    /// The weight decay `λ`.
    pub weight_decay: f32,
}

impl Sgd {
    /// Plain gradient descent with the learning rate `η`, a finite number from 0 on.
    #[must_use]
    pub fn new(learning_rate: f32) -> Self {
        Self { learning_rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// Descends along a velocity, of which each step keeps `μ` times the last one, from 0 to 1. With 0, the default,
    /// there is no velocity.
    #[must_use]
    pub fn momentum(self, mu: f32) -> Self {
        Self { momentum: mu, ..self }
    }

    /// Nesterov's momentum: descends by `g + μ·v`, where the velocity would lead next. It asks for a momentum.
    #[must_use]
    pub fn nesterov(self) -> Self {
        Self { nesterov: true, ..self }
    }

    /// Adds `λ` times the weights to their gradient: the gradient of a cost of `λ/2 · Σ w²`. A bias does not decay.
    #[must_use]
    pub fn weight_decay(self, lambda: f32) -> Self {
        Self { weight_decay: lambda, ..self }
    }

    /// No parameter is larger after a step than this, where none was larger than `parameter`, and no gradient than
    /// `gradient`; none with momentum, which keeps what earlier gradients left.
    fn bound_after(&self, parameter: f64, gradient: f64) -> Option<f64> {
        let [rate, decay] = [self.learning_rate, self.weight_decay].map(f64::from);
        // Each of the step's few operations in `f32` rounds by a factor of at most 1 + 2⁻²⁴.
        let roundings = 1.0 + 1e-6;
        let bound = roundings * (parameter + rate * (gradient + decay * parameter));
        (self.momentum == 0.0).then_some(bound)
    }

    fn rule(&self) -> Rule {
        let kind = match (self.momentum == 0.0, self.nesterov) {
            (true, _) => Kind::Descent,
            (false, false) => Kind::Momentum,
            (false, true) => Kind::Nesterov,
        };
        let &Self { learning_rate, momentum, weight_decay, .. } = self;
        Rule { kind, rate: learning_rate, weight_decay, momentum, moments: Moments::NONE }
    }

    fn check(&self) -> Result<(), Error> {
        check_rates(self.learning_rate, self.weight_decay)?;
        check_setting("momentum", "a number from 0 to 1", self.momentum, |mu| (0.0..=1.0).contains(&mu))?;
        check_setting("momentum", "more than 0 for Nesterov's rule", self.momentum, |mu| !self.nesterov || mu > 0.0)
    }
}

/// Adam: steps of about the learning rate, whatever the gradient's scale: the rules of `torch.optim.Adam` and `AdamW`.
///
/// With `p` each parameter, `g` its gradient, `m` and `v` its first and second moment, which start at zero, in step
/// `t = 1, 2, …`:
///
/// ```text
/// g = g + λ·p                       with weight decay
/// p = p·(1 - η·λ)                   with decoupled weight decay
/// m = β₁·m + (1 - β₁)·g
/// v = β₂·v + (1 - β₂)·g²
/// p = p - η · m/(1 - β₁ᵗ) / (√(v/(1 - β₂ᵗ)) + ε)
/// ```
///
/// [`reference::update`](crate::reference::update) has the order of the operations, to the bit. Adam is that of Kingma
/// and Ba, [*Adam: A Method for Stochastic Optimization*](https://arxiv.org/abs/1412.6980) (2015), algorithm 1; with
/// decoupled weight decay it is AdamW, of Loshchilov and Hutter, [*Decoupled Weight Decay
/// Regularization*](https://arxiv.org/abs/1711.05101) (2019), where `λ` is multiplied by the learning rate, as in
/// `torch.optim.AdamW`.
///
/// ```
/// use fused_dense::{Adam, Optimizer};
///
/// let optimizer = Optimizer::from(Adam::new(0.25));
/// let (mut w, mut m, mut v) = ([1.0], [0.0], [0.0]);
/// for step in 1..=3 {
///     optimizer.apply(step, &mut w, &[1000.0], &mut [&mut m, &mut v])?;
/// }
/// assert!((w[0] - 0.25_f32).abs() < 1e-6, "three steps of a quarter");
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Adam {
    /// The learning rate `η`.
    pub learning_rate: f32,
    /// The shares `β₁` and `β₂` of the moments that a step keeps.
    pub betas: (f32, f32),
    /// Added to the denominator.
    pub epsilon: f32,
    /// The weight decay `λ`.
    pub weight_decay: f32,
    /// Whether weight decay is that of AdamW, apart from the gradient.
    pub is_decoupled: bool,
}

impl Adam {
    /// With the learning rate `η`, a finite number from 0 on; `β₁ = 0.9`, `β₂ = 0.999`, `ε = 10⁻⁸`, and no weight
    /// decay.
    #[must_use]
    pub fn new(learning_rate: f32) -> Self {
        Self { learning_rate, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, is_decoupled: false }
    }

    /// The shares that a step keeps of the first and of the second moment, each at least 0 and below 1.
    #[must_use]
    pub fn betas(self, beta1: f32, beta2: f32) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// Added to the denominator, a finite number from 0 on. With 0, a parameter whose gradients were all zero becomes NaN.
    #[must_use]
    pub fn epsilon(self, epsilon: f32) -> Self {
        Self { epsilon, ..self }
    }

    /// Adds `λ` times the weights to their gradient, as `torch.optim.Adam` does. A bias does not decay. It takes the
    /// place of decoupled weight decay.
    #[must_use]
    pub fn weight_decay(self, lambda: f32) -> Self {
        Self { weight_decay: lambda, is_decoupled: false, ..self }
    }

    /// Multiplies the weights by `1 - η·λ` before each step, as `torch.optim.AdamW` does. A bias does not decay. It
    /// takes the place of weight decay in the gradient.
    #[must_use]
    pub fn decoupled_weight_decay(self, lambda: f32) -> Self {
        Self { weight_decay: lambda, is_decoupled: true, ..self }
    }

    fn rule(&self, step: u64) -> Rule {
        let [eta, lambda] = [self.learning_rate, self.weight_decay].map(f64::from);
        let betas = [self.betas.0, self.betas.1].map(f64::from);
        let [first_power, second_power] = powers(betas, step);
        Rule {
            kind: Kind::Adam,
            rate: (eta / (1.0 - first_power)) as f32,
            weight_decay: if self.is_decoupled { 0.0 } else { self.weight_decay },
            momentum: 0.0,
            moments: Moments {
                kept: if self.is_decoupled { (1.0 - eta * lambda) as f32 } else { 1.0 },
                first_rate: (1.0 - betas[0]) as f32,
                second_kept: self.betas.1,
                second_rate: (1.0 - betas[1]) as f32,
                correction: (1.0 / (1.0 - second_power).sqrt()) as f32,
                epsilon: self.epsilon,
            },
        }
    }

    fn check(&self) -> Result<(), Error> {
        let is_beta = |beta: f32| (0.0..1.0).contains(&beta);
        check_rates(self.learning_rate, self.weight_decay)?;
        check_setting("beta1", "a number from 0 to below 1", self.betas.0, is_beta)?;
        check_setting("beta2", "a number from 0 to below 1", self.betas.1, is_beta)?;
        check_setting("epsilon", FROM_ZERO_ON, self.epsilon, is_from_zero_on)
    }
}

/// Two numbers to the same power, by squaring: multiplications alone, which every platform rounds alike.
fn powers(base: [f64; 2], exponent: u64) -> [f64; 2] {
    let (mut powers, mut squares, mut rest) = ([1.0; 2], base, exponent);
    while rest != 0 {
        for i in 0..2 {
            if rest & 1 == 1 {
                powers[i] *= squares[i];
            }
            squares[i] *= squares[i];
        }
        rest >>= 1;
    }
    powers
}

const FROM_ZERO_ON: &str = "a finite number from 0 on";

fn is_from_zero_on(x: f32) -> bool {
    (0.0..=f32::MAX).contains(&x)
}

fn check_rates(learning_rate: f32, weight_decay: f32) -> Result<(), Error> {
    check_setting("learning_rate", FROM_ZERO_ON, learning_rate, is_from_zero_on)?;
    check_setting("weight_decay", FROM_ZERO_ON, weight_decay, is_from_zero_on)
}

#[inline(always)]
fn check_setting(
    name: &'static str,
    expected: &'static str,
    found: f32,
    is_valid: impl Fn(f32) -> bool,
) -> Result<(), Error> {
    if is_valid(found) { Ok(()) } else { Err(Error::Setting { name, expected, found }) }
}

/// The rule by which [`Dense::backward_update`](crate::Dense::backward_update) changes parameters.
///
/// A number is plain gradient descent with this learning rate. Settings are checked by the calls that take an optimiser.
///
/// ```
/// use fused_dense::{Adam, Optimizer, Sgd};
///
/// let optimizers: [Optimizer; 3] = [0.1.into(), Sgd::new(0.1).momentum(0.9).into(), Adam::new(1e-3).into()];
/// assert_eq!(optimizers.map(|optimizer| optimizer.state_arrays()), [0, 1, 2]);
/// assert_eq!(optimizers[0], Sgd::new(0.1).into());
/// assert_eq!(optimizers[2].to_string(), "Adam: learning rate 0.001, betas 0.9 and 0.999, epsilon 1e-8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// Gradient descent.
    Sgd(Sgd),
    /// Adam, and AdamW.
    Adam(Adam),
}

impl Optimizer {
    /// The learning rate `η`.
    #[must_use]
    pub fn learning_rate(&self) -> f32 {
        match self {
            Self::Sgd(sgd) => sgd.learning_rate,
            Self::Adam(adam) => adam.learning_rate,
        }
    }

    /// The same with another learning rate.
    #[must_use]
    pub fn with_learning_rate(self, learning_rate: f32) -> Self {
        match self {
            Self::Sgd(sgd) => Self::Sgd(Sgd { learning_rate, ..sgd }),
            Self::Adam(adam) => Self::Adam(Adam { learning_rate, ..adam }),
        }
    }

    /// The same without weight decay of either kind, as it treats a bias.
    #[must_use]
    pub fn without_weight_decay(self) -> Self {
        match self {
            Self::Sgd(sgd) => Self::Sgd(Sgd { weight_decay: 0.0, ..sgd }),
            Self::Adam(adam) => Self::Adam(Adam { weight_decay: 0.0, ..adam }),
        }
    }

    /// Arrays of a parameter's shape that it keeps between steps: 0, 1 (the velocity) or 2 (the first and the second
    /// moment). All are zero before the first step.
    #[must_use]
    pub fn state_arrays(&self) -> usize {
        match self {
            Self::Sgd(sgd) => usize::from(sgd.momentum != 0.0),
            Self::Adam(_) => 2,
        }
    }

    /// # Errors
    /// [`Error::Setting`]
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Sgd(sgd) => sgd.check(),
            Self::Adam(adam) => adam.check(),
        }
    }

    /// No parameter is larger after a step than this, where none was larger than `parameter`, and no gradient than
    /// `gradient`; none where that depends on what the optimiser keeps.
    pub(crate) fn bound_after(&self, parameter: f64, gradient: f64) -> Option<f64> {
        match self {
            Self::Sgd(sgd) => sgd.bound_after(parameter, gradient),
            Self::Adam(_) => None,
        }
    }

    /// The kernel's numbers for step 1, 2, …, and for a parameter that decays or not. [`check`](Self::check) has found the
    /// settings valid.
    #[inline(always)]
    pub(crate) fn rule(&self, step: u64, decays: bool) -> Rule {
        let rule = match self {
            Self::Sgd(sgd) => sgd.rule(),
            Self::Adam(adam) => adam.rule(step),
        };
        if decays { rule } else { rule.without_decay() }
    }

    /// Updates a parameter by its gradient, with the kernels that [`Dense::backward_update`](crate::Dense::backward_update)
    /// runs within the backward pass, in step `step = 1, 2, …`.
    ///
    /// `gradient` and each array of `state`, of which there are [`state_arrays`](Self::state_arrays), are as long as the
    /// parameter. It decays as weights do; for a bias take [`without_weight_decay`](Self::without_weight_decay).
    ///
    /// ```
    /// use fused_dense::{Optimizer, Sgd};
    ///
    /// let optimizer = Optimizer::from(Sgd::new(0.5).weight_decay(0.25));
    /// let (mut w, mut b) = ([4.0, 8.0], [4.0]);
    /// optimizer.apply(1, &mut w, &[1.0, 2.0], &mut [])?;
    /// optimizer.without_weight_decay().apply(1, &mut b, &[1.0], &mut [])?;
    /// assert_eq!((w, b), ([3.0, 6.0], [3.5]));
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::StepZero`], [`Error::StateArrays`], and [`Error::Length`], which calls the parameter
    /// `w`, its gradient `d_w` and its state `v_w`, or `m_w` and `v_w`; nothing is touched then. And what is wrong with
    /// the instruction set.
    pub fn apply(
        &self,
        step: u64,
        parameter: &mut [f32],
        gradient: &[f32],
        state: &mut [&mut [f32]],
    ) -> Result<(), Error> {
        self.apply_on(isa::select_default()?.kernels, step, parameter, gradient, state)
    }

    /// [`apply`](Self::apply) on no instruction set above `cap`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_with_isa(
        &self,
        cap: Isa,
        step: u64,
        parameter: &mut [f32],
        gradient: &[f32],
        state: &mut [&mut [f32]],
    ) -> Result<(), Error> {
        self.apply_on(isa::select(cap)?.kernels, step, parameter, gradient, state)
    }

    pub(crate) fn apply_on(
        &self,
        kernels: &Kernels,
        step: u64,
        parameter: &mut [f32],
        gradient: &[f32],
        state: &mut [&mut [f32]],
    ) -> Result<(), Error> {
        self.check()?;
        check_step(step)?;
        let names = STATE_OF_W[self.state_arrays()];
        let row = |slice: &mut [f32]| Sink { ptr: slice.as_mut_ptr(), row_stride: slice.len(), col_stride: 1 };
        check_len(Operand::DW, gradient.len(), 1, parameter.len())?;
        check_state_arrays(Operand::W, names.len(), state.len())?;
        let mut sinks = [Parameter::NO_STATE; MOST_STATE];
        for ((sink, state), &name) in sinks.iter_mut().zip(state.iter_mut()).zip(names) {
            check_len(name, state.len(), 1, parameter.len())?;
            *sink = row(state);
        }
        let parameter = Parameter { sink: row(parameter), state: sinks, rule: &self.rule(step, true) };
        // SAFETY: `select` returned the kernels; all slices have one length, there are as many as the rule keeps, and
        // the borrows keep them apart.
        unsafe { update_row(kernels, &parameter, gradient) };
        Ok(())
    }
}

/// `total = fma(scale, values, total)`, element by element.
///
/// # Errors
/// [`Error::Length`]
pub(crate) fn add_scaled(kernels: &Kernels, scale: f32, values: &[f32], total: &mut [f32]) -> Result<(), Error> {
    check_len(Operand::PartialSums, values.len(), 1, total.len())?;
    // A step of gradient descent is `fma(-rate, gradient, parameter)`.
    let rule = Rule { kind: Kind::Descent, rate: -scale, weight_decay: 0.0, momentum: 0.0, moments: Moments::NONE };
    let sink = Sink { ptr: total.as_mut_ptr(), row_stride: total.len(), col_stride: 1 };
    let parameter = Parameter { sink, state: [Parameter::NO_STATE; MOST_STATE], rule: &rule };
    // SAFETY: `select` returned the kernels; both slices have one length, descent keeps no state, and the borrows keep the
    // slices apart.
    unsafe { update_row(kernels, &parameter, values) };
    Ok(())
}

/// Updates as many parameters, one behind the other, as there are gradients.
///
/// # Safety
/// The parameters and the state that the rule keeps must be readable and writable at as many places; none overlaps another.
/// `kernels` is a row that `isa::select` returned.
unsafe fn update_row(kernels: &Kernels, parameter: &Parameter, gradient: &[f32]) {
    let len = gradient.len();
    let gradient = Source { ptr: gradient.as_ptr(), row_stride: len, col_stride: 1 };
    // SAFETY: the caller's promise.
    unsafe { parameter.update(kernels, &Part { rows: 0..1, cols: 0..len }, gradient) };
}

/// # Errors
/// [`Error::StepZero`]
#[inline(always)]
pub(crate) fn check_step(step: u64) -> Result<(), Error> {
    if step == 0 { Err(Error::StepZero) } else { Ok(()) }
}

/// # Errors
/// [`Error::StateArrays`]
#[inline(always)]
pub(crate) fn check_state_arrays(operand: Operand, expected: usize, found: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::StateArrays { operand, expected, found }) }
}

impl From<Sgd> for Optimizer {
    fn from(sgd: Sgd) -> Self {
        Self::Sgd(sgd)
    }
}

impl From<Adam> for Optimizer {
    fn from(adam: Adam) -> Self {
        Self::Adam(adam)
    }
}

/// Plain gradient descent with this learning rate.
impl From<f32> for Optimizer {
    fn from(learning_rate: f32) -> Self {
        Self::Sgd(Sgd::new(learning_rate))
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (decay, is_decoupled) = match *self {
            Self::Sgd(Sgd { learning_rate, momentum, nesterov, weight_decay }) => {
                write!(f, "gradient descent: learning rate {learning_rate}")?;
                if momentum != 0.0 {
                    write!(f, ", {}momentum {momentum}", if nesterov { "Nesterov's " } else { "" })?;
                }
                (weight_decay, false)
            }
            Self::Adam(Adam { learning_rate, betas: (beta1, beta2), epsilon, weight_decay, is_decoupled }) => {
                write!(f, "Adam: learning rate {learning_rate}, betas {beta1} and {beta2}, epsilon {epsilon:e}")?;
                (weight_decay, is_decoupled)
            }
        };
        if decay != 0.0 {
            write!(f, ", {}weight decay {decay}", if is_decoupled { "decoupled " } else { "" })?;
        }
        Ok(())
    }
}
