//! The costs that a network can descend.

use crate::activation::Activation;
use core::fmt;

/// The cost that a [`Network`](crate::Network) descends, a mean over the batch; [`loss`](crate::loss) has the formulas.
///
/// ```
/// use fused_dense::{Activation, Cost, Init, Network};
///
/// let network = Network::builder(1).layer(1, Activation::Identity).init(Init::Zeros);
/// let mut network = network.cost(Cost::Quadratic).build()?;
/// assert_eq!(network.gradients(&[1.0], &[2.0])?, 2.0); // ½ (0 - 2)²
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cost {
    /// Cross-entropy of each output on its own. The last layer has to be a sigmoid: the cost is computed from its `z`
    /// and descended by `dz = a - y`, both exact where the sigmoid has saturated.
    BinaryCrossEntropy,
    /// `½‖a-y‖²`, behind any activation.
    Quadratic,
    /// Cross-entropy of classes that exclude each other, `-Σ y ln p` with `p = softmax(z)`. The last layer has to be the
    /// identity: the cost is computed from its `z` and descended by `dz = p - y`.
    SoftmaxCrossEntropy,
}

impl Cost {
    /// The activation that the last layer has to have; `None` where any will do.
    pub(crate) fn activation(self) -> Option<Activation> {
        match self {
            Self::BinaryCrossEntropy => Some(Activation::Sigmoid),
            Self::Quadratic => None,
            Self::SoftmaxCrossEntropy => Some(Activation::Identity),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BinaryCrossEntropy => "binary cross-entropy",
            Self::Quadratic => "quadratic",
            Self::SoftmaxCrossEntropy => "softmax cross-entropy",
        })
    }
}
