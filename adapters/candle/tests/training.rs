//! Training by candle's optimisers goes the way that it goes with candle's own layers.

mod support;

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::{AdamW, Linear, Optimizer, SGD, VarBuilder, VarMap, loss};
use fused_dense_candle::{Activation, FusedLinear, fused_sequential};
use support::{Numbers, candle_activation};

const BATCH: usize = 24;
const SIZES: [usize; 3] = [10, 16, 4];
const STEPS: usize = 60;

/// The loss before each step.
fn train<O: Optimizer>(
    network: &dyn Fn(&Tensor) -> Result<Tensor>,
    parameters: &VarMap,
    optimizer: impl FnOnce(Vec<Var>) -> Result<O>,
) -> Result<Vec<f32>> {
    let mut numbers = Numbers(6);
    let x = Tensor::from_vec(numbers.uniform(BATCH * SIZES[0]), (BATCH, SIZES[0]), &Device::Cpu)?;
    let classes: Vec<u32> = (0..BATCH).map(|sample| (sample % SIZES[2]) as u32).collect();
    let classes = Tensor::from_vec(classes, BATCH, &Device::Cpu)?;
    let mut optimizer = optimizer(parameters.all_vars())?;
    (0..STEPS)
        .map(|_| {
            let loss = loss::cross_entropy(&network(&x)?, &classes)?;
            optimizer.backward_step(&loss)?;
            loss.to_scalar()
        })
        .collect()
}

/// The same initial values for both, then the same steps.
fn compare<O: Optimizer>(activation: Activation, optimizer: impl Fn(Vec<Var>) -> Result<O>) -> Result<()> {
    let (ours, theirs) = (VarMap::new(), VarMap::new());
    let vb = |parameters| VarBuilder::from_varmap(parameters, DType::F32, &Device::Cpu);
    let fused = fused_sequential(SIZES[0], vb(&ours))
        .layer(SIZES[1], activation)
        .layer(SIZES[2], Activation::Identity)
        .build()?;
    let linear = |layer: usize| candle_nn::linear(SIZES[layer], SIZES[layer + 1], vb(&theirs).pp(layer));
    let [first, second]: [Linear; 2] = [linear(0)?, linear(1)?];
    let pairs = fused.layers().iter().zip([&first, &second]);
    let copy = |from: &Tensor, to: &Tensor| Var::from_tensor(to)?.set(from);
    for (layer, linear) in pairs {
        copy(layer.weight(), linear.weight())?;
        copy(layer.bias().expect("a bias"), linear.bias().expect("a bias"))?;
    }
    let found = train(&|x| fused.forward(x), &ours, &optimizer)?;
    let own = |x: &Tensor| second.forward(&candle_activation(activation, &first.forward(x)?)?);
    let expected = train(&own, &theirs, &optimizer)?;
    assert!(expected[STEPS - 1] < 0.8 * expected[0], "{activation}: nothing was learnt: {expected:?}");
    for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() <= 2e-4 * expected, "{activation}, step {step}: {expected} became {found}");
    }
    Ok(())
}

#[test]
fn adam_reaches_the_same_loss() -> Result<()> {
    for activation in [Activation::Sigmoid, Activation::Tanh, Activation::Silu, Activation::Gelu] {
        compare(activation, |vars| AdamW::new_lr(vars, 0.02))?;
    }
    Ok(())
}

#[test]
fn gradient_descent_reaches_the_same_loss() -> Result<()> {
    for activation in [Activation::Tanh, Activation::Softplus, Activation::Elu { alpha: 1.0 }] {
        compare(activation, |vars| SGD::new(vars, 0.2))?;
    }
    Ok(())
}

/// A layer whose weight is no variable stays as it is, and passes gradients on.
#[test]
fn frozen_layers_stay() -> Result<()> {
    let weight = Var::from_vec(Numbers(2).uniform(15), (5, 3), &Device::Cpu)?;
    let first = FusedLinear::new(weight.as_tensor().clone(), None, Activation::Tanh)?;
    let frozen = Tensor::from_vec(Numbers(3).uniform(10), (2, 5), &Device::Cpu)?;
    let second = FusedLinear::new(frozen, None, Activation::Identity)?;
    let before = support::bits(second.weight());
    let x = Tensor::from_vec(Numbers(9).uniform(12), (4, 3), &Device::Cpu)?;
    let loss = |first: &FusedLinear| second.forward(&first.forward(&x)?)?.sqr()?.mean_all();
    let start = loss(&first)?.to_scalar::<f32>()?;
    let mut optimizer = SGD::new(vec![weight], 0.3)?;
    for _ in 0..100 {
        optimizer.backward_step(&loss(&first)?)?;
    }
    assert!(loss(&first)?.to_scalar::<f32>()? < 0.5 * start);
    assert_eq!(support::bits(second.weight()), before);
    Ok(())
}
