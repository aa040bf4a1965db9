//! Parameters: the names, shapes, initial values and files of candle's own layers.

mod support;

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};
use fused_dense_candle::{
    Activation, FusedLinear, FusedSequential, fused_linear, fused_linear_no_bias, fused_sequential,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use support::{Numbers, assert_near, bits};

fn builder(parameters: &VarMap) -> VarBuilder<'static> {
    VarBuilder::from_varmap(parameters, DType::F32, &Device::Cpu)
}

fn shapes(parameters: &VarMap) -> BTreeMap<String, Vec<usize>> {
    let data = parameters.data().lock().unwrap();
    data.iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.safetensors"))
}

fn input() -> Result<Tensor> {
    Tensor::from_vec(Numbers(4).uniform(5 * 12), (5, 12), &Device::Cpu)
}

#[test]
fn names_and_shapes_are_candles() -> Result<()> {
    let (candle, fused) = (VarMap::new(), VarMap::new());
    candle_nn::linear(12, 7, builder(&candle).pp("a"))?;
    candle_nn::linear_no_bias(7, 3, builder(&candle).pp("b"))?;
    let with = fused_linear(12, 7, Activation::Relu, builder(&fused).pp("a"))?;
    let without = fused_linear_no_bias(7, 3, Activation::Relu, builder(&fused).pp("b"))?;
    assert!(with.bias().is_some() && without.bias().is_none());
    assert_eq!(shapes(&fused), shapes(&candle));
    Ok(())
}

/// Within five standard errors of what candle draws from: deviation √(2/inputs), and ±1/√inputs.
#[test]
fn initial_values_are_candles() -> Result<()> {
    let (inputs, outputs) = (400, 300);
    let layer = fused_linear(inputs, outputs, Activation::Relu, builder(&VarMap::new()))?;
    let variance = layer.weight().sqr()?.mean_all()?.to_scalar::<f32>()?;
    let expected = 2.0 / inputs as f32;
    assert!((variance / expected - 1.0).abs() < 5.0 * (2.0 / (inputs * outputs) as f32).sqrt(), "{variance}");
    let largest = layer.bias().expect("a bias").abs()?.max_all()?.to_scalar::<f32>()?;
    assert!((0.04..=0.05).contains(&largest), "{largest}");
    Ok(())
}

/// A file of either is read by the other.
#[test]
fn files_are_interchangeable() -> Result<()> {
    let (mut candle, mut fused) = (VarMap::new(), VarMap::new());
    let linear = candle_nn::linear(12, 7, builder(&candle).pp("layer"))?;
    let layer = fused_linear(12, 7, Activation::Tanh, builder(&fused).pp("layer"))?;
    assert_ne!(bits(layer.weight()), bits(linear.weight()));

    let path = file("from_candle");
    candle.save(&path)?;
    fused.load(&path)?;
    assert_eq!(bits(layer.weight()), bits(linear.weight()));
    assert_near(&layer.forward(&input()?)?, &linear.forward(&input()?)?.tanh()?, 1e-6, "a");

    for var in fused.all_vars() {
        var.set(&(var.as_tensor() * 2.0)?)?;
    }
    let path = file("from_fused");
    fused.save(&path)?;
    candle.load(&path)?;
    assert_eq!(bits(linear.weight()), bits(layer.weight()));
    assert_near(&layer.forward(&input()?)?, &linear.forward(&input()?)?.tanh()?, 1e-6, "a");

    // As a model for inference is loaded.
    let contents = std::fs::read(&path)?;
    let vb = VarBuilder::from_buffered_safetensors(contents, DType::F32, &Device::Cpu)?;
    let loaded = fused_linear(12, 7, Activation::Tanh, vb.pp("layer"))?;
    assert_eq!(bits(&loaded.forward(&input()?)?), bits(&layer.forward(&input()?)?));
    assert!(!loaded.forward(&input()?)?.track_op());
    Ok(())
}

#[test]
fn chains_name_their_layers() -> Result<()> {
    let parameters = VarMap::new();
    let network = fused_sequential(12, builder(&parameters).pp("mlp"))
        .layer(8, Activation::Relu)
        .bias(false)
        .layer(6, Activation::Gelu)
        .named_layer("classes", 4, Activation::Identity)
        .build()?;
    let names: Vec<_> = shapes(&parameters).into_iter().collect();
    let expected = [
        ("mlp.0.bias", vec![8]),
        ("mlp.0.weight", vec![8, 12]),
        ("mlp.1.weight", vec![6, 8]),
        ("mlp.classes.weight", vec![4, 6]),
    ];
    assert_eq!(names, expected.map(|(name, dims)| (name.to_string(), dims)));

    let outputs = network.forward_all(&input()?)?;
    assert_eq!(outputs.iter().map(Tensor::dims).collect::<Vec<_>>(), [[5, 8], [5, 6], [5, 4]]);
    assert_eq!(bits(&network.forward(&input()?)?), bits(&outputs[2]));
    let again = FusedSequential::new(network.layers().to_vec())?;
    assert_eq!(bits(&again.forward(&input()?)?), bits(&outputs[2]));
    Ok(())
}

/// A fused layer stands among candle's modules.
#[test]
fn layers_are_modules() -> Result<()> {
    let layer = fused_linear(12, 7, Activation::Relu, builder(&VarMap::new()))?;
    let expected = layer.forward(&input()?)?.sum(1)?;
    let chain = candle_nn::seq().add(layer.clone()).add_fn(|x| x.sum(1));
    assert_eq!(bits(&chain.forward(&input()?)?), bits(&expected));
    let same: &FusedLinear = &layer;
    assert_eq!(bits(&input()?.apply(same)?.sum(1)?), bits(&expected));
    Ok(())
}
