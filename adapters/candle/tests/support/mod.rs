//! Shared by the tests: numbers whose sums are exact, tensors of many layouts, and candle's own layer to compare with.
#![allow(dead_code)] // no test uses all of it

use candle_core::{Device, Module, Result, Tensor, Var};
use candle_nn::{Linear, ops};
use fused_dense_candle::Activation;

/// Numbers from a seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 40
    }

    /// Eighths from -1 to 1: products of two, and sums of thousands of these, are exact in `f32`, in any order.
    pub(crate) fn eighths(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (self.next() % 17) as f32 / 8.0 - 1.0).collect()
    }

    /// Odd multiples of 1/128: added to a sum of products of eighths, none gives 0.
    pub(crate) fn odd(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (2 * (self.next() % 64) + 1) as f32 / 128.0 - 0.5).collect()
    }

    /// Values of a network's size.
    pub(crate) fn uniform(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next() as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}

/// How a tensor lies in the memory of the variable that it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Contiguous,
    /// The last two axes are exchanged.
    Transposed,
    /// All axes run the other way round.
    Permuted,
    /// The last axis is a part of a longer one.
    NarrowLast,
    /// Each axis is.
    NarrowAll,
    /// All axes but the last repeat one row.
    RepeatedRow,
    /// The first axis repeats what stands behind it.
    RepeatedFirst,
    /// One value everywhere.
    RepeatedValue,
}

pub(crate) const FORMS: [Form; 8] = [
    Form::Contiguous,
    Form::Transposed,
    Form::Permuted,
    Form::NarrowLast,
    Form::NarrowAll,
    Form::RepeatedRow,
    Form::RepeatedFirst,
    Form::RepeatedValue,
];

impl Form {
    /// A variable, and the tensor of these dimensions that is made of it.
    pub(crate) fn make(self, dims: &[usize], mut values: impl FnMut(usize) -> Vec<f32>) -> Result<(Var, Tensor)> {
        let last = dims.len() - 1;
        let mut base = dims.to_vec();
        match self {
            Self::Contiguous => {}
            Self::Transposed if last > 0 => base.swap(last, last - 1),
            Self::Transposed => {}
            Self::Permuted => base.reverse(),
            Self::NarrowLast => base[last] += 3,
            Self::NarrowAll => base.iter_mut().for_each(|len| *len += 2),
            Self::RepeatedRow => base[..last].fill(1),
            Self::RepeatedFirst => base[0] = 1,
            Self::RepeatedValue => base.fill(1),
        }
        let var = Var::from_vec(values(base.iter().product()), base.as_slice(), &Device::Cpu)?;
        let tensor = match self {
            Self::Contiguous => var.as_tensor().clone(),
            Self::Transposed if last > 0 => var.transpose(last, last - 1)?,
            Self::Transposed => var.as_tensor().clone(),
            Self::Permuted => var.permute((0..dims.len()).rev().collect::<Vec<_>>())?,
            Self::NarrowLast => var.narrow(last, 2, dims[last])?,
            Self::NarrowAll => {
                let mut tensor = var.as_tensor().clone();
                for (axis, len) in dims.iter().enumerate() {
                    tensor = tensor.narrow(axis, 1, *len)?;
                }
                tensor
            }
            Self::RepeatedRow | Self::RepeatedFirst | Self::RepeatedValue => var.broadcast_as(dims)?,
        };
        Ok((var, tensor))
    }
}

/// Every activation, those that have a parameter with another one too.
pub(crate) fn activations() -> Vec<Activation> {
    let others = [Activation::LeakyRelu { slope: 0.25 }, Activation::Elu { alpha: 0.5 }];
    Activation::all().iter().copied().chain(others).collect()
}

/// The activation in candle's own operations.
pub(crate) fn candle_activation(activation: Activation, z: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(z.clone()),
        Activation::Sigmoid => ops::sigmoid(z),
        Activation::Tanh => z.tanh(),
        Activation::Relu => z.relu(),
        Activation::LeakyRelu { slope } => ops::leaky_relu(z, slope.into()),
        Activation::Silu => z.silu(),
        Activation::Gelu => z.gelu_erf(),
        Activation::GeluTanh => z.gelu(),
        Activation::Softplus => (z.exp()? + 1.0)?.log(),
        Activation::Elu { alpha } => z.elu(alpha.into()),
        other => panic!("{other} has no counterpart here"),
    }
}

/// candle's own pre-activation, for an input of any layout and any number of axes.
pub(crate) fn candle_linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = w.dims2()?;
    let mut dims = x.dims().to_vec();
    *dims.last_mut().expect("an axis") = outputs;
    let rows = x.contiguous()?.reshape(((), inputs))?;
    Linear::new(w.contiguous()?, b.cloned()).forward(&rows)?.reshape(dims)
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32 on the CPU")
}

pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    values(tensor).into_iter().map(f32::to_bits).collect()
}

/// Both have one shape, and are as near as `tolerance` of the largest value.
pub(crate) fn assert_near(found: &Tensor, expected: &Tensor, tolerance: f32, subject: &str) {
    assert_eq!(found.dims(), expected.dims(), "{subject}");
    let (found, expected) = (values(found), values(expected));
    let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * largest, "{subject}[{index}]: expected {expected}, found {found}");
    }
}
