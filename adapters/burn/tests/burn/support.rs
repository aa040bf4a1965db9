//! Devices, numbers and burn's own layers.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use core::f32::consts::FRAC_1_SQRT_2;
use fused_dense_burn::{Activation, FusedLinear};

/// A device of each backend with fused layers.
pub(crate) fn devices() -> Vec<Device> {
    vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        ndarray(),
    ]
}

#[cfg(feature = "ndarray")]
#[allow(deprecated)] // burn has deprecated the backend
pub(crate) fn ndarray() -> Device {
    Device::ndarray()
}

/// Every activation, those with a parameter with an unusual one too.
pub(crate) fn activations() -> Vec<Activation> {
    let unusual = [Activation::LeakyRelu { slope: 0.25 }, Activation::Elu { alpha: 0.5 }];
    Activation::all().iter().copied().chain(unusual).collect()
}

/// burn's own function.
pub(crate) fn burn_activation<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Identity => z,
        Activation::Sigmoid => activation::sigmoid(z),
        Activation::Tanh => activation::tanh(z),
        Activation::Relu => activation::relu(z),
        Activation::LeakyRelu { slope } => activation::leaky_relu(z, slope.into()),
        Activation::Silu => activation::silu(z),
        // On burn's ndarray backend, the derivative of burn's `gelu` is that of its approximation by tanh.
        Activation::Gelu => (z.clone() * FRAC_1_SQRT_2).erf().add_scalar(1.0) * z * 0.5,
        Activation::GeluTanh => activation::gelu_approximate(z),
        Activation::Softplus => activation::softplus(z, 1.0),
        Activation::Elu { alpha } => activation::elu(z, alpha.into()),
        other => panic!("burn's function for {other} is not known"),
    }
}

/// Numbers that are the same on every run (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Multiples of `unit` from `-4 · unit` to `4 · unit`.
    fn grid(&mut self, unit: f32) -> f32 {
        unit * ((self.next() % 9) as f32 - 4.0)
    }

    /// Values between -1 and 1.
    pub(crate) fn tensor<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let values = (0..shape.iter().product()).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
        Tensor::from_data(TensorData::new::<f32, _>(values, shape), device)
    }

    /// An input whose products with [`linear`](Self::linear) are exact in `f32` and never 0: no rounding moves a `z` to the
    /// other side of a kink.
    pub(crate) fn input<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let d_input = shape[D - 1];
        let value = |i: usize| if i.is_multiple_of(d_input) { 0.5 } else { self.grid(0.25) };
        let values = (0..shape.iter().product()).map(value).collect();
        Tensor::from_data(TensorData::new::<f32, _>(values, shape), device)
    }

    /// A linear layer for such inputs.
    pub(crate) fn linear(&mut self, d_input: usize, d_output: usize, bias: bool, device: &Device) -> Linear {
        let value = |i: usize| match i / d_output {
            0 => self.grid(0.125) + 0.0625,
            _ => self.grid(0.25),
        };
        let weight = (0..d_input * d_output).map(value).collect();
        let weight = TensorData::new::<f32, _>(weight, [d_input, d_output]);
        let bias = bias.then(|| {
            let bias = (0..d_output).map(|_| self.grid(0.0625)).collect();
            Param::from_data(TensorData::new::<f32, _>(bias, [d_output]), device)
        });
        Linear { weight: Param::from_data(weight, device), bias }
    }
}

/// A fused layer with the same parameters.
pub(crate) fn fused(linear: &Linear, activation: Activation) -> FusedLinear {
    FusedLinear::from_linear(linear.clone(), activation)
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// The bits of a tensor's values.
pub(crate) fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    values(tensor).into_iter().map(f32::to_bits).collect()
}

/// Equal shapes, and values equal but for rounding.
pub(crate) fn assert_close<const D: usize>(found: Tensor<D>, expected: Tensor<D>, subject: &str) {
    assert_eq!(found.dims(), expected.dims(), "{subject}");
    let (found, expected) = (values(found), values(expected));
    let scale = expected.iter().fold(1.0_f32, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 2e-6 * scale,
            "{subject}: expected {expected}, found {found} at scale {scale}"
        );
    }
}
