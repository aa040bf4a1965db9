//! The functions under test, and what they should return.
//!
//! The oracle is `f64` arithmetic on the `exp` and `expm1` of crate `libm` (pure Rust, the same on every machine), each
//! within 1 ULP of `f64`. With at most five more roundings, its results are within 2^-49.5 of the true value, relative: at
//! most 2·10⁻⁸ ULP of `f32`.

use anyhow::Context as _;
use fused_dense::{Activation, Isa, Saved};
use std::fmt;

/// A function of one argument, as the library offers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Value(Activation),
    DerivativeFromZ(Activation),
}

/// The oracle's error, in ULP of `f32`.
pub const ORACLE_ERROR: f64 = 2e-8;

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
            Self::Value(_) | Self::DerivativeFromZ(_) => unreachable!("no oracle for {self} at {x}"),
        }
    }

    /// Whether the function falls, rather than rises, as the magnitude of its argument grows.
    pub fn falls(self, negative: bool) -> bool {
        match self {
            Self::Value(_) => negative,
            Self::DerivativeFromZ(_) => true,
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
        }
        .with_context(|| format!("{self} on {isa}"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Value(activation) => activation.to_string(),
            Self::DerivativeFromZ(activation) => format!("{activation}' from z"),
        })
    }
}
