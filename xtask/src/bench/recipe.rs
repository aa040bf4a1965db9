//! How a network is trained, as data: hidden activation, cost and optimiser.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A way to train a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Sigmoids, cross-entropy of each output, gradient descent
    #[default]
    Sigmoid,
    /// Sigmoids, quadratic cost, gradient descent
    SigmoidQuadratic,
    /// ReLU, softmax cross-entropy, gradient descent
    ReluSoftmaxSgd,
    /// ReLU, softmax cross-entropy, gradient descent with a momentum of 0.9
    ReluSoftmaxMomentum,
    /// ReLU, softmax cross-entropy, Adam
    ReluSoftmaxAdam,
}

/// The activation of all layers but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    Sigmoid,
    Relu,
}

/// The cost, a mean over the batch, with the last layer's activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Of sigmoids, each on its own.
    BinaryCrossEntropy,
    /// `½‖a-y‖²` of sigmoids.
    Quadratic,
    /// Of `z`, against one class for each sample.
    SoftmaxCrossEntropy,
}

/// The optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Rule {
    /// `p - rate·g`
    Descent { rate: f32 },
    /// `v = momentum·v + g`, then `p - rate·v`
    Momentum { rate: f32, momentum: f32 },
    /// As Kingma and Ba have it.
    Adam { rate: f32, betas: (f32, f32), epsilon: f32 },
}

impl Recipe {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::SigmoidQuadratic => "sigmoid-quadratic",
            Self::ReluSoftmaxSgd => "relu-softmax-sgd",
            Self::ReluSoftmaxMomentum => "relu-softmax-momentum",
            Self::ReluSoftmaxAdam => "relu-softmax-adam",
        }
    }

    pub fn hidden(self) -> Hidden {
        match self {
            Self::Sigmoid | Self::SigmoidQuadratic => Hidden::Sigmoid,
            Self::ReluSoftmaxSgd | Self::ReluSoftmaxMomentum | Self::ReluSoftmaxAdam => Hidden::Relu,
        }
    }

    pub fn cost(self) -> Cost {
        match self {
            Self::Sigmoid => Cost::BinaryCrossEntropy,
            Self::SigmoidQuadratic => Cost::Quadratic,
            Self::ReluSoftmaxSgd | Self::ReluSoftmaxMomentum | Self::ReluSoftmaxAdam => Cost::SoftmaxCrossEntropy,
        }
    }

    /// Rates, which change nothing of the work, are so small that a network stays in training as long as it is timed: at a
    /// hundredth of what people take, a hundred thousand steps of Adam on one batch leave gradients of a usual size.
    pub fn rule(self) -> Rule {
        match self {
            Self::Sigmoid | Self::SigmoidQuadratic | Self::ReluSoftmaxSgd => Rule::Descent { rate: 0.01 },
            Self::ReluSoftmaxMomentum => Rule::Momentum { rate: 0.001, momentum: 0.9 },
            Self::ReluSoftmaxAdam => Rule::Adam { rate: 1e-5, betas: (0.9, 0.999), epsilon: 1e-8 },
        }
    }

    /// The addition to the pass's name in tables.
    pub fn suffix(self) -> String {
        if self.is_default() { String::new() } else { format!(", {self}") }
    }

    /// Whether it is the one that has no name in tables.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Rule {
    /// The same with another rate.
    pub fn with_rate(self, rate: f32) -> Self {
        match self {
            Self::Descent { .. } => Self::Descent { rate },
            Self::Momentum { momentum, .. } => Self::Momentum { rate, momentum },
            Self::Adam { betas, epsilon, .. } => Self::Adam { rate, betas, epsilon },
        }
    }

    /// Arrays of a parameter's shape that it keeps between steps.
    pub fn state_arrays(self) -> usize {
        match self {
            Self::Descent { .. } => 0,
            Self::Momentum { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }

    /// The parameter behind step `step = 1, 2, …`, in double precision; its state is changed in place.
    pub fn updated(self, step: u64, parameter: f64, gradient: f64, state: &mut [f64]) -> f64 {
        match self {
            Self::Descent { rate } => parameter - f64::from(rate) * gradient,
            Self::Momentum { rate, momentum } => {
                state[0] = f64::from(momentum) * state[0] + gradient;
                parameter - f64::from(rate) * state[0]
            }
            Self::Adam { rate, betas, epsilon } => {
                let (beta1, beta2) = (f64::from(betas.0), f64::from(betas.1));
                state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
                state[1] = beta2 * state[1] + (1.0 - beta2) * gradient * gradient;
                let mean = state[0] / (1.0 - beta1.powf(step as f64));
                let variance = state[1] / (1.0 - beta2.powf(step as f64));
                parameter - f64::from(rate) * mean / (variance.sqrt() + f64::from(epsilon))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn a_recipe_has_one_name_everywhere() {
        for recipe in Recipe::value_variants() {
            let typed = recipe.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), recipe.name());
            assert_eq!(serde_json::to_string(recipe).unwrap(), format!("\"{}\"", recipe.name()));
        }
    }

    #[test]
    fn adams_first_step_is_the_rate_along_the_sign() {
        let rule = Recipe::ReluSoftmaxAdam.rule().with_rate(0.001);
        let mut state = [0.0; 2];
        let after = rule.updated(1, 1.0, -5.0, &mut state);
        assert!((after - 1.001).abs() < 1e-9);
        assert!((state[0] + 0.5).abs() < 1e-6 && (state[1] - 0.025).abs() < 1e-6);
        assert_eq!(rule.state_arrays(), state.len());
    }
}
