//! candle's activations by their fused names.

use crate::error::Fault;
use candle_core::Result;
use candle_nn::Activation as CandleActivation;
use fused_dense::Activation;

/// The fused form of one of candle's activations, for configurations that name candle's.
///
/// | candle | fused |
/// |---|---|
/// | `Sigmoid` | [`Activation::Sigmoid`] |
/// | `Relu` | [`Activation::Relu`] |
/// | `LeakyRelu(slope)` | [`Activation::LeakyRelu`] |
/// | `Elu(alpha)` | [`Activation::Elu`] |
/// | `Silu`, `Swish` | [`Activation::Silu`] |
/// | `Gelu` | [`Activation::Gelu`] |
/// | `NewGelu`, `GeluPytorchTanh` | [`Activation::GeluTanh`] |
///
/// Parameters are rounded to `f32`. Besides these there are [`Activation::Identity`], [`Activation::Tanh`] and
/// [`Activation::Softplus`], of which candle's enum has none.
///
/// ```
/// use fused_dense_candle::{Activation, fused_activation};
/// assert_eq!(fused_activation(candle_nn::Activation::Swish)?, Activation::Silu);
/// assert!(fused_activation(candle_nn::Activation::Mish).is_err());
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// Where it has no fused form.
pub fn fused_activation(activation: CandleActivation) -> Result<Activation> {
    Ok(match activation {
        CandleActivation::Sigmoid => Activation::Sigmoid,
        CandleActivation::Relu => Activation::Relu,
        CandleActivation::LeakyRelu(slope) => Activation::LeakyRelu { slope: slope as f32 },
        CandleActivation::Elu(alpha) => Activation::Elu { alpha: alpha as f32 },
        CandleActivation::Silu | CandleActivation::Swish => Activation::Silu,
        CandleActivation::Gelu => Activation::Gelu,
        CandleActivation::NewGelu | CandleActivation::GeluPytorchTanh => Activation::GeluTanh,
        found => return Err(Fault::Activation { found }.into()),
    })
}
