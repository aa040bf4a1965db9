//! The arguments of a call whose names matter.

use crate::matrix::{Input, Output};

/// The bias `b`: given, or none.
///
/// Anything that is an [`Input`] converts, so that `&b` is enough.
///
/// ```
/// use fused_dense::{Activation, Bias, Dense};
///
/// let mut layer = Dense::new(1, 1, Activation::Identity);
/// let mut a = [0.0];
/// layer.forward(&[2.0], &[3.0], Bias::None, &mut a)?;
/// assert_eq!(a, [6.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Bias<'a> {
    /// `z = a_prev · wᵀ`
    None,
    /// `z = a_prev · wᵀ + b`, with one value for each output.
    Given(Input<'a>),
}

impl<'a, T: Into<Input<'a>>> From<T> for Bias<'a> {
    fn from(b: T) -> Self {
        Self::Given(b.into())
    }
}

/// The outputs of a forward pass: the activation `a`, and the pre-activation `z` if it is to be kept.
///
/// Anything that is an [`Output`] converts, so that `&mut a` is enough.
///
/// ```
/// use fused_dense::{Activation, Dense, Outputs};
///
/// let mut layer = Dense::new(1, 1, Activation::Tanh);
/// let (mut a, mut z) = ([0.0], [0.0]);
/// layer.forward(&[2.0], &[0.25], &[0.0], Outputs::new(&mut a).z(&mut z))?;
/// assert_eq!(z, [0.5]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct Outputs<'a> {
    pub(super) a: Output<'a>,
    pub(super) z: Option<Output<'a>>,
}

impl<'a> Outputs<'a> {
    /// Writes the activation alone.
    pub fn new(a: impl Into<Output<'a>>) -> Self {
        Self { a: a.into(), z: None }
    }

    /// Keeps the pre-activation too.
    #[must_use]
    pub fn z(self, z: impl Into<Output<'a>>) -> Self {
        Self { z: Some(z.into()), ..self }
    }
}

impl<'a, T: Into<Output<'a>>> From<T> for Outputs<'a> {
    fn from(a: T) -> Self {
        Self::new(a)
    }
}

/// The values that were saved of the forward pass, from which the derivative `g'(z)` is computed.
///
/// Anything that is an [`Input`] converts to [`Saved::A`], so that `&a` is enough.
///
/// ```
/// use fused_dense::{Activation, Saved};
///
/// // At z = 30 the sigmoid is 1 in `f32`, of which nothing is left for a derivative.
/// let mut d_z = [[0.0]; 2];
/// Activation::Sigmoid.backward(&[1.0], &[1.0], &mut d_z[0])?;
/// Activation::Sigmoid.backward(Saved::z(&[30.0]), &[1.0], &mut d_z[1])?;
/// assert!(d_z[0] == [0.0] && d_z[1][0] > 9e-14);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Saved<'a> {
    /// The activation `a`; some activations [need `z`](crate::Activation::needs_z).
    A(Input<'a>),
    /// The pre-activation `z`: exact also where `a` has saturated.
    Z(Input<'a>),
}

impl<'a> Saved<'a> {
    /// The pre-activation `z`.
    pub fn z(z: impl Into<Input<'a>>) -> Self {
        Self::Z(z.into())
    }
}

impl<'a, T: Into<Input<'a>>> From<T> for Saved<'a> {
    fn from(a: T) -> Self {
        Self::A(a.into())
    }
}

/// The gradient that comes down from the loss or the layer above.
///
/// ```
/// use fused_dense::{Activation, Dense, Gradients, Upstream};
///
/// let mut layer = Dense::new(1, 1, Activation::Sigmoid);
/// let (x, w, a, y) = ([1.0], [0.0], [0.5], [1.0]);
/// let mut d_b = [[0.0]; 2];
/// layer.backward(&x, &w, &a, Upstream::Targets(&y), Gradients::new().b(&mut d_b[0]))?;
/// layer.backward(&x, &w, &a, Upstream::PreActivation(&[0.5 - 1.0]), Gradients::new().b(&mut d_b[1]))?;
/// assert_eq!(d_b, [[-0.5]; 2]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Upstream<T> {
    /// The loss's gradient by the activation, `dA`: `dz = dA ⊙ g'(z)`.
    Activation(T),
    /// The loss's gradient by the pre-activation, `dz` itself.
    PreActivation(T),
    /// The targets `y` of a cross-entropy loss behind a sigmoid: `dz = a - y`.
    Targets(T),
}

impl<'a, T: Into<Input<'a>>> Upstream<T> {
    #[inline(always)]
    pub(crate) fn into_input(self) -> Upstream<Input<'a>> {
        match self {
            Self::Activation(d_a) => Upstream::Activation(d_a.into()),
            Self::PreActivation(d_z) => Upstream::PreActivation(d_z.into()),
            Self::Targets(y) => Upstream::Targets(y.into()),
        }
    }
}

/// Which gradients a backward pass computes, and where to.
///
/// Each is overwritten (`β = 0`: never read before, so it may hold anything) or, with `add_to_…`, added to (`β = 1`).
///
/// ```
/// use fused_dense::{Activation, Dense, Gradients, Upstream};
///
/// let mut layer = Dense::new(1, 1, Activation::Identity);
/// let (x, w, a, d_a) = ([2.0, 4.0], [3.0], [6.0, 12.0], [1.0, 1.0]); // two samples
/// let (mut d_w, mut d_b) = ([f32::NAN], [10.0]);
/// let gradients = Gradients::new().w(&mut d_w).add_to_b(&mut d_b).scale(0.5);
/// layer.backward(&x, &w, &a, Upstream::Activation(&d_a), gradients)?;
/// assert_eq!((d_w, d_b), ([3.0], [11.0]));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Debug)]
pub struct Gradients<'a> {
    pub(super) w: Option<Gradient<'a>>,
    pub(super) b: Option<Gradient<'a>>,
    pub(super) a_prev: Option<Gradient<'a>>,
    pub(super) z: Option<Output<'a>>,
    pub(super) scale: f32,
}

/// One gradient's place.
#[derive(Debug)]
pub(super) struct Gradient<'a> {
    pub(super) output: Output<'a>,
    pub(super) add: bool,
}

impl Default for Gradients<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Gradients<'a> {
    /// None, with scale 1.
    #[must_use]
    pub fn new() -> Self {
        Self { w: None, b: None, a_prev: None, z: None, scale: 1.0 }
    }

    /// `dw = s · dzᵀ · a_prev`
    #[must_use]
    pub fn w(self, d_w: impl Into<Output<'a>>) -> Self {
        Self { w: Some(Gradient { output: d_w.into(), add: false }), ..self }
    }

    /// `dw += s · dzᵀ · a_prev`
    #[must_use]
    pub fn add_to_w(self, d_w: impl Into<Output<'a>>) -> Self {
        Self { w: Some(Gradient { output: d_w.into(), add: true }), ..self }
    }

    /// `db = s · Σ_batch dz`
    #[must_use]
    pub fn b(self, d_b: impl Into<Output<'a>>) -> Self {
        Self { b: Some(Gradient { output: d_b.into(), add: false }), ..self }
    }

    /// `db += s · Σ_batch dz`
    #[must_use]
    pub fn add_to_b(self, d_b: impl Into<Output<'a>>) -> Self {
        Self { b: Some(Gradient { output: d_b.into(), add: true }), ..self }
    }

    /// `dA_prev = dz · w`
    #[must_use]
    pub fn a_prev(self, d_a_prev: impl Into<Output<'a>>) -> Self {
        Self { a_prev: Some(Gradient { output: d_a_prev.into(), add: false }), ..self }
    }

    /// `dA_prev += dz · w`
    #[must_use]
    pub fn add_to_a_prev(self, d_a_prev: impl Into<Output<'a>>) -> Self {
        Self { a_prev: Some(Gradient { output: d_a_prev.into(), add: true }), ..self }
    }

    /// Keeps `dz` itself.
    #[must_use]
    pub fn z(self, d_z: impl Into<Output<'a>>) -> Self {
        Self { z: Some(d_z.into()), ..self }
    }

    /// The factor `s` of `dw` and `db`: 1 (the default) for sums, `1/m` for the textbook's means.
    #[must_use]
    pub fn scale(self, s: f32) -> Self {
        Self { scale: s, ..self }
    }
}
