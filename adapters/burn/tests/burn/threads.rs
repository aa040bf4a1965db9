//! Threads change no bit, and layers can be called from several.

use crate::support::{Numbers, bits, devices, fused};
use burn::tensor::Tensor;
use fused_dense_burn::{Activation, FusedLinear, Team};

/// Large enough for two threads to pay.
const SHAPE: [usize; 2] = [256, 300];
const OUTPUTS: usize = 280;

fn results(layer: &FusedLinear, input: Tensor<2>) -> [Vec<u32>; 4] {
    let input = input.detach().require_grad();
    let output = layer.forward(input.clone());
    let gradients = (output.clone() * output.clone()).sum().backward();
    [
        bits(output),
        bits(input.grad(&gradients).expect("tracked")),
        bits(layer.weight.grad(&gradients).expect("tracked")),
        bits(layer.bias.as_ref().and_then(|bias| bias.grad(&gradients)).expect("tracked")),
    ]
}

#[test]
fn one_thread_and_two_have_the_same_bits() {
    let team = Team::new(2);
    for device in devices() {
        let device = device.autodiff();
        let mut numbers = Numbers(3);
        let linear = numbers.linear(SHAPE[1], OUTPUTS, true, &device);
        let input = numbers.input(SHAPE, &device);
        for activation in [Activation::Relu, Activation::Gelu] {
            let one = fused(&linear, activation);
            let two = one.clone().with_threads(&team);
            assert!(results(&one, input.clone()) == results(&two, input.clone()), "{activation} on {device:?}");
        }
    }
}

#[test]
fn a_layer_is_called_from_several_threads_at_once() {
    for device in devices() {
        let device = device.autodiff();
        let mut numbers = Numbers(5);
        let linear = numbers.linear(40, 30, true, &device);
        let layer = fused(&linear, Activation::Silu);
        let inputs = (0..4).map(|_| numbers.input([8, 40], &device)).collect::<Vec<_>>();
        let alone = inputs.iter().map(|input| results(&layer, input.clone())).collect::<Vec<_>>();
        let together = std::thread::scope(|scope| {
            let calls = inputs.iter().map(|input| {
                let (layer, input) = (layer.clone(), input.clone());
                scope.spawn(move || results(&layer, input))
            });
            let calls = calls.collect::<Vec<_>>();
            calls.into_iter().map(|call| call.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(alone == together, "{device:?}");
    }
}
