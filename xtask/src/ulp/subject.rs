//! The functions under test, and what they should return.
//!
//! The oracle is `f64` arithmetic on the `exp`, `expm1`, `log1p` and `erfc` of crate `libm` (pure Rust, the same on every
//! machine), each within 1 ULP of `f64`. With at most five more roundings, its results are within 2^-49.5 of the true value,
//! relative: at most 2·10⁻⁸ ULP of `f32`. Two exceptions: a power `e^y` of a rounded `y` has `y` times the error of `y`, up to
//! 2^-45.5 where GELU and its approximation end, which is 4·10⁻⁷ ULP; and near the zero of a derivative its error is that of
//! its terms, of which the unit there takes account ([`Subject::least_unit`]).

use anyhow::Context as _;
use fused_dense::{Activation, Isa, Saved};
use std::fmt;

/// A function of one argument, as the library offers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Value(Activation),
    DerivativeFromZ(Activation),
    /// For arguments that are values, not negative.
    DerivativeFromA(Activation),
}

/// The oracle's error, in ULP of `f32`.
pub const ORACLE_ERROR: f64 = 4e-7;

/// Shared by all functions of an argument.
#[derive(Clone, Copy)]
pub struct Oracle {
    x: f64,
    /// `e^-|x|`
    exp: f64,
    /// `e^-2|x| - 1`
    expm1: f64,
}

impl Oracle {
    /// For an argument that is not NaN, given without its sign.
    pub fn new(magnitude: f32) -> Self {
        let x = f64::from(magnitude);
        Self { x, exp: libm::exp(-x), expm1: libm::expm1(-2.0 * x) }
    }
}

impl Subject {
    /// Whose value or derivative it is.
    pub fn activation(self) -> Activation {
        match self {
            Self::Value(activation) | Self::DerivativeFromZ(activation) | Self::DerivativeFromA(activation) => {
                activation
            }
        }
    }

    /// The true value at the oracle's argument, negated if asked.
    #[inline]
    pub fn exact(self, oracle: Oracle, negative: bool) -> f64 {
        let Oracle { x, exp, expm1 } = oracle;
        match self {
            Self::Value(Activation::Sigmoid) if negative => exp / (1.0 + exp),
            Self::Value(Activation::Sigmoid) => 1.0 / (1.0 + exp),
            Self::DerivativeFromZ(Activation::Sigmoid) => exp / ((1.0 + exp) * (1.0 + exp)),
            Self::Value(Activation::Tanh) => {
                let tanh = -expm1 / (2.0 + expm1);
                if negative { -tanh } else { tanh }
            }
            // e^-2|x| from e^-|x|, which keeps its relative accuracy where e^-2|x| - 1 has lost it.
            Self::DerivativeFromZ(Activation::Tanh) => 4.0 * exp * exp / ((1.0 + exp * exp) * (1.0 + exp * exp)),
            Self::Value(Activation::Silu) if negative => -x.min(MOST) * (exp / (1.0 + exp)),
            Self::Value(Activation::Silu) => x / (1.0 + exp),
            Self::DerivativeFromZ(Activation::Silu) => gated_slope(x.min(MOST), x.min(MOST), negative),
            Self::Value(Activation::Gelu) if negative => -x.min(MOST) * upper_normal(x),
            Self::Value(Activation::Gelu) => x * (1.0 - upper_normal(x)),
            Self::DerivativeFromZ(Activation::Gelu) => {
                let x = x.min(MOST);
                let below = upper_normal(x) - x * DENSITY * libm::exp(-0.5 * x * x);
                if negative { below } else { 1.0 - below }
            }
            Self::Value(Activation::GeluTanh) => {
                let exp = libm::exp(-cubic(x.min(MOST), 1.0));
                if negative { -x.min(MOST) * (exp / (1.0 + exp)) } else { x / (1.0 + exp) }
            }
            Self::DerivativeFromZ(Activation::GeluTanh) => {
                gated_slope(cubic(x.min(MOST), 1.0), cubic(x.min(MOST), 3.0), negative)
            }
            Self::Value(Activation::Softplus) => libm::log1p(exp) + if negative { 0.0 } else { x },
            Self::DerivativeFromA(Activation::Softplus) => -libm::expm1(-x),
            Self::Value(Activation::Elu { alpha }) if negative => f64::from(alpha) * libm::expm1(-x),
            Self::Value(Activation::Elu { .. }) => x,
            Self::DerivativeFromZ(Activation::Elu { alpha }) if negative || x == 0.0 => f64::from(alpha) * exp,
            Self::DerivativeFromZ(Activation::Elu { .. }) => 1.0,
            Self::Value(_) | Self::DerivativeFromZ(_) | Self::DerivativeFromA(_) => {
                unreachable!("no oracle for {self} at {x}")
            }
        }
    }

    /// The unit that errors are at least measured in at this argument: near a zero that is no float, that of 1/8; elsewhere
    /// none.
    pub fn least_unit(self, x: f32) -> f64 {
        let zero = match self {
            Self::DerivativeFromZ(Activation::Silu) => -1.278_464_5,
            Self::DerivativeFromZ(Activation::Gelu) => -0.751_791_5,
            Self::DerivativeFromZ(Activation::GeluTanh) => -0.752_461_4,
            _ => return 0.0,
        };
        if (x - zero).abs() < 0.5 { 2.0_f64.powi(-3 - 23) } else { 0.0 }
    }

    /// Whether the function is monotone for arguments of each sign, and the library promises how nearly its results are.
    pub fn is_monotone(self) -> bool {
        match self {
            Self::Value(activation) => !activation.needs_z() && activation != Activation::Softplus,
            Self::DerivativeFromZ(activation) => matches!(activation, Activation::Sigmoid | Activation::Tanh),
            Self::DerivativeFromA(_) => true,
        }
    }

    /// Whether the function falls, rather than rises, as the magnitude of its argument grows.
    pub fn falls(self, negative: bool) -> bool {
        match self {
            Self::Value(_) => negative,
            Self::DerivativeFromZ(_) => true,
            Self::DerivativeFromA(_) => false,
        }
    }

    /// The library's results.
    ///
    /// # Errors
    /// Where the library refuses, which it has no reason to.
    pub fn run(self, isa: Isa, x: &[f32], ones: &[f32], results: &mut [f32]) -> anyhow::Result<()> {
        match self {
            Self::Value(activation) => activation.forward_with_isa(isa, x, results),
            Self::DerivativeFromZ(activation) => activation.backward_with_isa(isa, Saved::z(x), ones, results),
            Self::DerivativeFromA(activation) => activation.backward_with_isa(isa, x, ones, results),
        }
        .with_context(|| format!("{self} on {isa}"))
    }
}

/// Where everything that vanishes has vanished, so that infinity is no argument.
const MOST: f64 = 200.0;

/// `1 / √(2π)`
const DENSITY: f64 = 0.398_942_280_401_432_7;

/// `Φ(-x)`
fn upper_normal(x: f64) -> f64 {
    0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2)
}

/// `2√(2/π) · (x + slope · 0.044715 x³)`
fn cubic(x: f64, slope: f64) -> f64 {
    4.0 * DENSITY * x * (1.0 + slope * 0.044_715 * x * x)
}

/// The derivative of `z · σ(y)`, for `y` and `m = z · y'` of `|z|`.
fn gated_slope(y: f64, m: f64, negative: bool) -> f64 {
    let exp = libm::exp(-y);
    let below = exp / (1.0 + exp) * (1.0 - m / (1.0 + exp));
    if negative { below } else { 1.0 - below }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Value(activation) => activation.to_string(),
            Self::DerivativeFromZ(activation) => format!("{activation}' from z"),
            Self::DerivativeFromA(activation) => format!("{activation}' from a"),
        })
    }
}
