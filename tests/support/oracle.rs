//! The exact results in `f64`, each with a bound of the error that single precision may add.
//!
//! A sum of `n` products, in either order of summation and with or without fused multiply-add, puts each term through
//! at most `n + 6` roundings: its product, the additions behind it, start, scale and the addition to an old value. Its
//! error is therefore at most `γ(n + 6) · Σ|terms|` with `γ(n) = n·u / (1 - n·u)`, `u = 2⁻²⁴` (Higham, Accuracy and
//! Stability of Numerical Algorithms, 3.1), plus half the smallest subnormal for each product that underflows. Errors
//! of the operands are carried along.

use super::options::{Above, BackwardOptions, ForwardOptions, Kept, Rule, UpdateOptions, Want};
use super::problem::{Problem, Results};
use fused_dense::{Activation, Operand};

/// Unit roundoff of single precision.
pub(crate) const U: f64 = 1.0 / (1 << 24) as f64;

/// Smallest subnormal of single precision.
const TINY: f64 = 1.401_298_464_324_817e-45;

/// Bound of the error of an activation's value, relative where it exceeds 1.
const VALUE_ERROR: f64 = 4.0 * U;

/// The largest slope of an activation: that of GELU is 1.13.
const MOST_SLOPE: f64 = 1.2;

/// Bound of the absolute error of a derivative, which is at most 1.2: a quotient of few operations.
const DERIVATIVE_ERROR: f64 = 16.0 * U;

/// An exact value, and how far a single-precision result may be from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounded {
    pub(crate) exact: f64,
    pub(crate) error: f64,
}

impl From<f32> for Bounded {
    fn from(x: f32) -> Self {
        Self { exact: x.into(), error: 0.0 }
    }
}

impl Bounded {
    pub(crate) fn admits(&self, found: f32) -> bool {
        (f64::from(found) - self.exact).abs() <= self.error
    }

    /// The largest magnitude that a result may have.
    fn most(self) -> f64 {
        self.exact.abs() + self.error
    }

    fn times(self, other: Self) -> Self {
        let error = self.most() * other.most() - (self.exact * other.exact).abs();
        Self { exact: self.exact * other.exact, error }
    }

    /// The square root of a number from 0 on.
    fn root(self) -> Self {
        let [exact, least, most] = [self.exact, self.exact - self.error, self.most()].map(|x| x.max(0.0).sqrt());
        Self { exact, error: (most - exact).max(exact - least) }.rounded()
    }

    /// The quotient by a positive number; without bound where that may be zero.
    fn over(self, divisor: Self) -> Self {
        let (exact, least) = (self.exact / divisor.exact, divisor.exact - divisor.error);
        let error = if least > 0.0 { (self.error + exact.abs() * divisor.error) / least } else { f64::INFINITY };
        Self { exact, error }.rounded()
    }

    /// One more rounding.
    fn rounded(self) -> Self {
        Self { error: self.error + U * self.most() + TINY, ..self }
    }
}

/// A number that is made of settings and rounded to single precision.
fn number(exact: f64) -> Bounded {
    Bounded { exact, error: U * exact.abs() + TINY }
}

/// `factor · x + y` in at most two roundings.
fn multiply_add(factor: Bounded, x: Bounded, y: Bounded) -> Bounded {
    let product = factor.times(x);
    let rounding = 2.0 * U * (product.most() + y.most()) + 2.0 * TINY;
    Bounded { exact: product.exact + y.exact, error: product.error + y.error + rounding }
}

/// A parameter behind an optimiser's step; `state` too is that behind it.
pub(crate) fn step(
    options: &UpdateOptions,
    decays: bool,
    parameter: f32,
    gradient: Bounded,
    state: &mut [Bounded],
) -> Bounded {
    let (eta, lambda) = (f64::from(options.learning_rate), f64::from(if decays { options.weight_decay } else { 0.0 }));
    let parameter = Bounded::from(parameter);
    let decayed = multiply_add(number(lambda), parameter, gradient);
    let adam = |(beta1, beta2): (f32, f32), epsilon: f32, parameter, g: Bounded, state: &mut [Bounded]| {
        let [beta1, beta2] = [beta1, beta2].map(f64::from);
        let powers = [beta1, beta2].map(|beta| beta.powf(options.step as f64));
        let m = multiply_add(number(1.0 - beta1), multiply_add(number(-1.0), state[0], g), state[0]);
        let kept = number(beta2).times(state[1]).rounded();
        let v = multiply_add(number(1.0 - beta2), g.times(g).rounded(), kept);
        state.copy_from_slice(&[m, v]);
        let correction = number(1.0 / (1.0 - powers[1]).sqrt());
        let d = m.over(multiply_add(correction, v.root(), epsilon.into()));
        multiply_add(number(-eta / (1.0 - powers[0])), d, parameter)
    };
    let mut velocity = |mu: f32| {
        state[0] = multiply_add(mu.into(), state[0], decayed);
        state[0]
    };
    let direction = match options.rule {
        Rule::Descent => decayed,
        Rule::Momentum { mu } => velocity(mu),
        Rule::Nesterov { mu } => multiply_add(mu.into(), velocity(mu), decayed),
        Rule::Adam { betas, epsilon } => return adam(betas, epsilon, parameter, decayed, state),
        Rule::DecoupledAdam { betas, epsilon } => {
            let kept = number(1.0 - eta * lambda).times(parameter).rounded();
            return adam(betas, epsilon, kept, gradient, state);
        }
    };
    multiply_add(number(-eta), direction, parameter)
}

fn gamma(n: usize) -> f64 {
    let nu = n as f64 * U;
    nu / (1.0 - nu)
}

/// `old + scale · (start + Σ a·b)` over `len` terms.
pub(crate) fn sum_of_products(
    len: usize,
    [start, old]: [Option<f32>; 2],
    scale: f32,
    term: impl Fn(usize) -> (Bounded, Bounded),
) -> Bounded {
    let (scale, old, start) = (f64::from(scale), f64::from(old.unwrap_or(0.0)), f64::from(start.unwrap_or(0.0)));
    let (mut exact, mut error, mut magnitude) = (start, 0.0, start.abs());
    for p in 0..len {
        let (a, b) = term(p);
        let product = a.times(b);
        exact += product.exact;
        error += product.error;
        magnitude += product.most();
    }
    let rounding = gamma(len + 6) * (scale.abs() * magnitude + old.abs()) + (len + 6) as f64 * TINY;
    Bounded { exact: old + scale * exact, error: scale.abs() * error + rounding }
}

/// `g(z)` and `g'(z)`.
pub(crate) fn activate(g: Activation, z: f64) -> (f64, f64) {
    match g {
        Activation::Identity => (z, 1.0),
        Activation::Sigmoid => {
            let a = 1.0 / (1.0 + (-z).exp());
            (a, 1.0 / (1.0 + (-z).exp()) / (1.0 + z.exp()))
        }
        Activation::Tanh => (z.tanh(), 1.0 / z.cosh().powi(2)),
        Activation::Relu => (z.max(0.0), f64::from(u8::from(z > 0.0))),
        Activation::LeakyRelu { slope } if z < 0.0 => (f64::from(slope) * z, slope.into()),
        Activation::LeakyRelu { .. } => (z, f64::from(u8::from(z > 0.0))),
        Activation::Silu => gated(z, z, z),
        Activation::Gelu => {
            let (distribution, density) = normal(z);
            (z * distribution, distribution + z * density)
        }
        Activation::GeluTanh => {
            let (linear, cubic) = (core::f64::consts::FRAC_2_SQRT_PI * core::f64::consts::SQRT_2, 0.044_715 * z * z);
            gated(z, linear * z * (1.0 + cubic), linear * z * (1.0 + 3.0 * cubic))
        }
        Activation::Softplus => (z.max(0.0) + (-z.abs()).exp().ln_1p(), logistic(z)),
        Activation::Elu { alpha } if z < 0.0 => (f64::from(alpha) * z.exp_m1(), f64::from(alpha) * z.exp()),
        Activation::Elu { .. } => (z, 1.0),
        other => unreachable!("no oracle for {other}"),
    }
}

fn logistic(y: f64) -> f64 {
    1.0 / (1.0 + (-y).exp())
}

/// `z · σ(y)` and its derivative, for `m = z · y'`.
fn gated(z: f64, y: f64, m: f64) -> (f64, f64) {
    (z * logistic(y), logistic(y) * (1.0 + m * logistic(-y)))
}

/// The standard normal distribution, and its density: `Φ(z) = ½ + φ(z) · (z + z³/3 + z⁵/(3·5) + …)`, without cancellation.
/// (G. Marsaglia, Evaluating the Normal Distribution, 2004.)
fn normal(z: f64) -> (f64, f64) {
    let density = (-0.5 * z * z).exp() / (2.0 * core::f64::consts::PI).sqrt();
    if z.abs() > 9.0 {
        return (f64::from(u8::from(z > 0.0)), density);
    }
    let (mut sum, mut term, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    (0.5 + density * sum, density)
}

/// Whether the derivative jumps at zero.
fn has_step(g: Activation) -> bool {
    matches!(g, Activation::Relu | Activation::LeakyRelu { .. })
}

/// `g(z)`
pub(crate) fn value(g: Activation, z: Bounded) -> Bounded {
    if g == Activation::Relu && z.exact + z.error < 0.0 {
        return 0.0.into();
    }
    let exact = activate(g, z.exact).0;
    let own = if matches!(g, Activation::Identity | Activation::Relu) { 0.0 } else { VALUE_ERROR };
    Bounded { exact, error: MOST_SLOPE * z.error + own * exact.abs().max(1.0) }
}

/// `g'(z)`, from `a` or `z`. As functions of `a` or `z` the derivatives have slopes of at most 1, but that of tanh
/// from `a` has 2; those that jump where the argument is zero do so where no error may reach.
pub(crate) fn derivative(g: Activation, kept: Kept, saved: Bounded) -> Bounded {
    let x = saved.exact;
    let exact = match (g, kept) {
        (Activation::Sigmoid, Kept::A) => x * (1.0 - x),
        (Activation::Tanh, Kept::A) => 1.0 - x * x,
        (Activation::Softplus, Kept::A) => -(-x).exp_m1(),
        (Activation::Elu { alpha }, Kept::A) if x <= 0.0 => x + f64::from(alpha),
        _ => activate(g, x).1,
    };
    let error = match g {
        Activation::Identity => 0.0,
        _ if has_step(g) => {
            assert!(saved.error == 0.0 || x.abs() > saved.error, "{g} near its step");
            0.0
        }
        Activation::Tanh if kept == Kept::A => 2.0 * saved.error + DERIVATIVE_ERROR,
        _ => saved.error + DERIVATIVE_ERROR,
    };
    Bounded { exact, error }
}

/// `z` and `a`, from exact parameters and bounded inputs.
pub(crate) fn layer(problem: &Problem, a_prev: &[Bounded], bias: bool) -> (Vec<Bounded>, Vec<Bounded>) {
    let (inputs, outputs) = (problem.layer.inputs(), problem.layer.outputs());
    let z: Vec<Bounded> = each(problem.batch, outputs, |i, j| {
        let b = bias.then(|| problem.b[j]);
        sum_of_products(inputs, [b, None], 1.0, |p| (a_prev[i * inputs + p], problem.w[j * inputs + p].into()))
    });
    let a = z.iter().map(|&z| value(problem.layer.activation(), z)).collect();
    (z, a)
}

pub(crate) fn bounded(values: &[f32]) -> Vec<Bounded> {
    values.iter().map(|&x| x.into()).collect()
}

/// The exact results of the forward call.
pub(crate) fn forward(problem: &Problem, options: &ForwardOptions) -> Results<Bounded> {
    let (z, a) = layer(problem, &bounded(&problem.a_prev), options.bias);
    let mut results = vec![(Operand::A, a)];
    if options.keep_z {
        results.push((Operand::Z, z));
    }
    results
}

/// The exact results of the backward call.
pub(crate) fn backward(problem: &Problem, options: &BackwardOptions) -> Results<Bounded> {
    let (from, upstream, saved) = problem.backward_inputs(options);
    gradients(problem, options, from, &bounded(upstream), &bounded(&saved))
}

/// The gradients that follow from bounded upstream and saved values.
pub(crate) fn gradients(
    problem: &Problem,
    options: &BackwardOptions,
    from: Above,
    upstream: &[Bounded],
    saved: &[Bounded],
) -> Results<Bounded> {
    let (g, batch) = (problem.layer.activation(), problem.batch);
    let (inputs, outputs) = (problem.layer.inputs(), problem.layer.outputs());
    let dz: Vec<Bounded> = upstream
        .iter()
        .zip(saved)
        .map(|(&upstream, &saved)| match from {
            Above::Activation => upstream.times(derivative(g, problem.kept(options), saved)).rounded(),
            Above::PreActivation => upstream,
            Above::Targets => {
                let a = if problem.kept(options) == Kept::A { saved } else { value(g, saved) };
                Bounded { exact: a.exact - upstream.exact, error: a.error + upstream.error }.rounded()
            }
        })
        .collect();
    let old = |want: Want, old: &[f32], at: usize| (want == Want::Add).then(|| old[at]);
    let mut results = Results::new();
    if options.w != Want::Nothing {
        let d_w = each(outputs, inputs, |i, j| {
            let old = old(options.w, &problem.old_w, i * inputs + j);
            let term = |p: usize| (dz[p * outputs + i], problem.a_prev[p * inputs + j].into());
            sum_of_products(batch, [None, old], options.scale, term)
        });
        results.push((Operand::DW, d_w));
    }
    if options.b != Want::Nothing {
        let d_b = each(1, outputs, |_, j| {
            let old = old(options.b, &problem.old_b, j);
            sum_of_products(batch, [None, old], options.scale, |p| (dz[p * outputs + j], 1.0.into()))
        });
        results.push((Operand::DB, d_b));
    }
    if options.a_prev != Want::Nothing {
        let d_a_prev = each(batch, inputs, |i, j| {
            let old = old(options.a_prev, &problem.old_a_prev, i * inputs + j);
            let term = |p: usize| (dz[i * outputs + p], problem.w[p * inputs + j].into());
            sum_of_products(outputs, [None, old], 1.0, term)
        });
        results.push((Operand::DAPrev, d_a_prev));
    }
    if options.keep_dz {
        results.push((Operand::DZ, dz));
    }
    results
}

fn each(rows: usize, cols: usize, value: impl Fn(usize, usize) -> Bounded) -> Vec<Bounded> {
    (0..rows * cols).map(|at| value(at / cols, at % cols)).collect()
}
