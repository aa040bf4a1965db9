//! Outputs and gradients equal those of burn's own layers.

use crate::support::{Numbers, activations, assert_close, burn_activation, devices, fused, values};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use fused_dense_burn::Activation;
use proptest::prelude::*;

/// Both layers forward and backward, from the same upstream gradient.
fn compare<const D: usize>(shape: [usize; D], d_output: usize, bias: bool, activation: Activation, device: &Device) {
    let subject = format!("{shape:?} to {d_output}, bias {bias}, {activation}, {device:?}");
    let mut numbers = Numbers(7);
    let linear = numbers.linear(shape[D - 1], d_output, bias, device);
    let layer = fused(&linear, activation);
    let input = numbers.input(shape, device);
    let mut output_shape = shape;
    output_shape[D - 1] = d_output;
    let upstream = numbers.tensor(output_shape, device);

    let own_input = input.clone().detach().require_grad();
    let own = burn_activation(activation, linear.forward(own_input.clone()));
    let own_gradients = (own.clone() * upstream.clone()).sum().backward();

    let input = input.require_grad();
    let output = layer.forward(input.clone());
    assert_close(output.clone(), own, &format!("{subject}: output"));
    let gradients = (output * upstream).sum().backward();

    let gradient = |of: &Tensor<D>, gradients| of.grad(gradients).expect("tracked");
    assert_close(gradient(&input, &gradients), gradient(&own_input, &own_gradients), &format!("{subject}: input"));
    let (found, expected) = (layer.weight.grad(&gradients), linear.weight.grad(&own_gradients));
    assert_close(found.expect("tracked"), expected.expect("tracked"), &format!("{subject}: weight"));
    if let (Some(found), Some(expected)) = (&layer.bias, &linear.bias) {
        let (found, expected) = (found.grad(&gradients), expected.grad(&own_gradients));
        assert_close(found.expect("tracked"), expected.expect("tracked"), &format!("{subject}: bias"));
    }
}

#[test]
fn every_activation_with_and_without_bias() {
    for device in devices() {
        for activation in activations() {
            for bias in [true, false] {
                compare([5, 7], 6, bias, activation, &device.clone().autodiff());
            }
        }
    }
}

#[test]
fn with_gradient_checkpointing() {
    for device in devices() {
        let device = device.autodiff().gradient_checkpointing();
        compare([5, 7], 6, true, Activation::Silu, &device);
        compare([5, 7], 6, false, Activation::Tanh, &device);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_shapes_and_batch_axes(
        lead in [1..5_usize, 1..5_usize, 1..9_usize],
        d_input in 1..40_usize,
        d_output in 1..40_usize,
        bias: bool,
        activation in proptest::sample::select(activations()),
        device in proptest::sample::select(devices()),
        axes in 1..5_usize,
    ) {
        let device = device.autodiff();
        let [a, b, c] = lead;
        match axes {
            1 => compare([d_input], d_output, bias, activation, &device),
            2 => compare([c, d_input], d_output, bias, activation, &device),
            3 => compare([b, c, d_input], d_output, bias, activation, &device),
            _ => compare([a, b, c, d_input], d_output, bias, activation, &device),
        }
    }
}

/// Backwards too, which on burn's other CPU backend is the derivative of the approximation by tanh.
#[test]
#[cfg(feature = "flex")]
fn gelu_is_that_of_flex() {
    let device = Device::flex().autodiff();
    let mut numbers = Numbers(3);
    let linear = numbers.linear(7, 6, true, &device);
    let layer = fused(&linear, Activation::Gelu);
    let input = numbers.input([5, 7], &device);
    let (output, own) = (layer.forward(input.clone()), burn::tensor::activation::gelu(linear.forward(input)));
    assert_close(output.clone(), own.clone(), "output");
    let (found, expected) = (layer.weight.grad(&output.sum().backward()), linear.weight.grad(&own.sum().backward()));
    assert_close(found.expect("tracked"), expected.expect("tracked"), "weight");
}

/// More samples than one block of the sums over the batch.
#[test]
fn a_long_batch() {
    for device in devices() {
        compare([3, 211, 20], 9, true, Activation::Gelu, &device.autodiff());
    }
}

#[test]
fn an_empty_batch_has_no_output_and_gradients_of_zero() {
    for device in devices() {
        let device = device.autodiff();
        let layer = fused(&Numbers(3).linear(4, 3, true, &device), Activation::Relu);
        let output = layer.forward(Tensor::<3>::zeros([2, 0, 4], &device));
        assert_eq!(output.dims(), [2, 0, 3]);
        let gradients = output.sum().backward();
        assert_eq!(values(layer.weight.grad(&gradients).expect("tracked")), [0.0; 12]);
        assert_eq!(values(layer.bias.as_ref().and_then(|bias| bias.grad(&gradients)).expect("tracked")), [0.0; 3]);
    }
}

/// The gradient of a sum is one number that stands for all.
#[test]
fn a_broadcast_gradient() {
    for device in devices() {
        let device = device.autodiff();
        let mut numbers = Numbers(11);
        let linear = numbers.linear(6, 5, true, &device);
        let layer = fused(&linear, Activation::Sigmoid);
        let input = numbers.input([4, 6], &device);
        let gradients = layer.forward(input.clone()).sum().backward();
        let own_gradients = burn_activation(Activation::Sigmoid, linear.forward(input)).sum().backward();
        let (found, expected) = (layer.weight.grad(&gradients), linear.weight.grad(&own_gradients));
        assert_close(found.expect("tracked"), expected.expect("tracked"), "weight");
    }
}

/// A tensor that is used twice gets the sum of both gradients, from fused layers as from burn's own.
#[test]
fn a_layer_used_twice() {
    for device in devices() {
        let device = device.autodiff();
        let mut numbers = Numbers(13);
        let linear = numbers.linear(6, 6, true, &device);
        let layer = fused(&linear, Activation::Tanh);
        let input = numbers.input([4, 6], &device);
        let own = |x| burn_activation(Activation::Tanh, linear.forward(x));
        let gradients = layer.forward(layer.forward(input.clone())).sum().backward();
        let own_gradients = own(own(input)).sum().backward();
        let (found, expected) = (layer.weight.grad(&gradients), linear.weight.grad(&own_gradients));
        assert_close(found.expect("tracked"), expected.expect("tracked"), "weight");
    }
}

/// Which of input, weights and bias have a gradient.
fn tracked(linear: &Linear, input: bool, weight: bool, bias: bool, device: &Device) -> [bool; 3] {
    let mut layer = fused(linear, Activation::Gelu);
    layer.weight = layer.weight.set_require_grad(weight);
    layer.bias = layer.bias.map(|b| b.set_require_grad(bias));
    let x = Numbers(5).input([3, 4], device).set_require_grad(input);
    let output = layer.forward(x.clone());
    let all = fused(linear, Activation::Gelu);
    let all_x = Numbers(5).input([3, 4], device).require_grad();
    let all_gradients = all.forward(all_x.clone()).sum().backward();
    let gradients = output.sum().backward();

    let found_x = x.grad(&gradients);
    let (found_w, found_b) = (layer.weight.grad(&gradients), layer.bias.as_ref().and_then(|b| b.grad(&gradients)));
    let found = [found_x.is_some(), found_w.is_some(), found_b.is_some()];
    if let Some(found) = found_x {
        assert_close(found, all_x.grad(&all_gradients).expect("tracked"), "input");
    }
    if let Some(found) = found_w {
        assert_close(found, all.weight.grad(&all_gradients).expect("tracked"), "weight");
    }
    if let Some(found) = found_b {
        let expected = all.bias.as_ref().and_then(|b| b.grad(&all_gradients));
        assert_close(found, expected.expect("tracked"), "bias");
    }
    found
}

#[test]
fn what_is_frozen_has_no_gradient_and_changes_no_other() {
    for device in devices() {
        let device = device.autodiff();
        let linear = Numbers(17).linear(4, 3, true, &device);
        for mask in 1..8 {
            let [input, weight, bias] = [mask & 1 > 0, mask & 2 > 0, mask & 4 > 0];
            assert_eq!(tracked(&linear, input, weight, bias, &device), [input, weight, bias]);
        }
    }
}

#[test]
fn without_any_gradient_nothing_is_recorded() {
    for device in devices() {
        let device = device.autodiff();
        let mut numbers = Numbers(19);
        let layer = fused(&numbers.linear(4, 3, true, &device), Activation::Relu);
        let input = numbers.input([2, 4], &device);
        let output = burn::module::Module::freeze(layer).forward(input);
        assert!(!output.is_require_grad());
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| output.sum().backward())).is_err());
    }
}

/// A batch that was made outside of the recording is a constant, as in burn's own operations.
#[test]
fn an_input_from_a_plain_device() {
    for plain in devices() {
        let device = plain.clone().autodiff();
        let mut numbers = Numbers(23);
        let linear = numbers.linear(4, 3, true, &device);
        let layer = fused(&linear, Activation::Softplus);
        let input = numbers.input([2, 4], &plain);
        let gradients = layer.forward(input.clone()).sum().backward();
        let own_gradients = burn_activation(Activation::Softplus, linear.forward(input)).sum().backward();
        let (found, expected) = (layer.weight.grad(&gradients), linear.weight.grad(&own_gradients));
        assert_close(found.expect("tracked"), expected.expect("tracked"), "weight");
    }
}
