//! burn's optimisers train fused layers as they train burn's own.

use crate::support::{Numbers, burn_activation, devices};
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor};
use fused_dense_burn::{Activation, FusedLinear};

const STEPS: usize = 40;

#[derive(Module, Debug)]
struct Own {
    hidden: Linear,
    output: Linear,
}

#[derive(Module, Debug)]
struct Fused {
    hidden: FusedLinear,
    output: FusedLinear,
}

/// The loss before and after training.
fn train<M: Module>(
    mut model: M,
    mut optimizer: ModuleOptimizer,
    learning_rate: f64,
    forward: impl Fn(&M, Tensor<2>) -> Tensor<2>,
    device: &Device,
) -> [f64; 2] {
    let input = Numbers(7).tensor([24, 8], device);
    let classes: Tensor<1, Int> = Tensor::<1, Int>::arange(0..24, device) % 3;
    let loss = CrossEntropyLossConfig::new().init(device);
    let loss_of = |model: &M| loss.forward(forward(model, input.clone()), classes.clone());
    let value = |loss: Tensor<1>| f64::from(loss.into_scalar::<f32>());
    let before = value(loss_of(&model));
    for _ in 0..STEPS {
        let gradients = GradientsParams::from_grads(loss_of(&model).backward(), &model);
        model = optimizer.step(learning_rate, model, gradients);
    }
    [before, value(loss_of(&model))]
}

fn both(optimizer: impl Fn() -> ModuleOptimizer, learning_rate: f64, device: &Device) {
    let mut numbers = Numbers(11);
    let own = Own { hidden: numbers.linear(8, 16, true, device), output: numbers.linear(16, 3, true, device) };
    let fused = Fused {
        hidden: FusedLinear::from_linear(own.hidden.clone(), Activation::Tanh),
        output: FusedLinear::from_linear(own.output.clone(), Activation::Identity),
    };
    let own = train(
        own,
        optimizer(),
        learning_rate,
        |model, x| model.output.forward(burn_activation(Activation::Tanh, model.hidden.forward(x))),
        device,
    );
    let fused =
        train(fused, optimizer(), learning_rate, |model, x| model.output.forward(model.hidden.forward(x)), device);
    assert!(own[1] < 0.7 * own[0], "burn's own layers learn: {own:?}");
    for (own, fused) in own.iter().zip(fused) {
        assert!((own - fused).abs() < 1e-3 * own, "own {own}, fused {fused}");
    }
}

#[test]
fn gradient_descent_reaches_the_same_loss() {
    for device in devices() {
        both(|| SgdConfig::new().init(), 0.2, &device.autodiff());
    }
}

#[test]
fn adam_reaches_the_same_loss() {
    for device in devices() {
        both(|| AdamConfig::new().init(), 0.01, &device.autodiff());
    }
}
