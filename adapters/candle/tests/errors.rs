//! Faults are errors that say what was expected and what was found.

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};
use fused_dense_candle::fused_dense::Dense;
use fused_dense_candle::{Activation, FusedLinear, FusedSequential, fused_activation, fused_sequential};

fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap()
}

fn of_type(dims: &[usize], dtype: DType) -> Tensor {
    Tensor::zeros(dims, dtype, &Device::Cpu).unwrap()
}

#[track_caller]
fn assert_text<T>(result: Result<T>, expected: &str) {
    let Err(error) = result else { panic!("expected an error: {expected}") };
    let text = error.to_string();
    // With RUST_BACKTRACE set candle adds a trace.
    assert_eq!(text.lines().next(), Some(expected), "{text}");
}

#[test]
fn inputs_are_checked() {
    let layer = FusedLinear::new(zeros(&[4, 3]), Some(zeros(&[4])), Activation::Relu).unwrap();
    let forward = |x| layer.forward(&x);
    assert_text(forward(zeros(&[2, 5])), "fused-linear: x: expected the shape [.., 3], found [2, 5]");
    assert_text(forward(zeros(&[3, 4, 2])), "fused-linear: x: expected the shape [.., 3], found [3, 4, 2]");
    assert_text(forward(zeros(&[])), "fused-linear: x: expected the shape [.., 3], found []");
    for (dtype, name) in [(DType::F64, "f64"), (DType::F16, "f16"), (DType::BF16, "bf16"), (DType::U32, "u32")] {
        let expected = format!("fused-linear: x: expected f32, found {name} (`to_dtype` converts it)");
        assert_text(forward(of_type(&[2, 3], dtype)), &expected);
    }
    assert_eq!(forward(zeros(&[2, 3])).unwrap().dims(), [2, 4], "the layer works on");
}

#[test]
fn parameters_are_checked() {
    let new = |w: &Tensor, b: Option<&Tensor>| FusedLinear::new(w.clone(), b.cloned(), Activation::Relu);
    assert_text(new(&zeros(&[4]), None), "fused-linear: weight: expected the shape [outputs, inputs], found [4]");
    assert_text(
        new(&zeros(&[1, 4, 3]), None),
        "fused-linear: weight: expected the shape [outputs, inputs], found [1, 4, 3]",
    );
    for bias in [zeros(&[3]), zeros(&[1, 4]), zeros(&[])] {
        let expected = format!("fused-linear: bias: expected the shape [4], found {:?}", bias.dims());
        assert_text(new(&zeros(&[4, 3]), Some(&bias)), &expected);
    }
    assert_text(
        new(&of_type(&[4, 3], DType::F64), None),
        "fused-linear: weight: expected f32, found f64 (`to_dtype` converts it)",
    );
    assert_text(
        new(&zeros(&[4, 3]), Some(&of_type(&[4], DType::F16))),
        "fused-linear: bias: expected f32, found f16 (`to_dtype` converts it)",
    );
    let other = Dense::new(2, 4, Activation::Relu);
    assert_text(
        FusedLinear::with_dense(other, zeros(&[4, 3]), None),
        "fused-linear: weight: expected the shape [4, 2], found [4, 3]",
    );
}

/// The kernels' own errors come with their own text.
#[test]
fn activations_are_checked() {
    let new = |activation| FusedLinear::new(zeros(&[4, 3]), None, activation);
    for activation in [Activation::LeakyRelu { slope: -1.0 }, Activation::Elu { alpha: f32::NAN }] {
        let error = Dense::new(3, 4, activation).workspace_len().unwrap_err();
        assert_text(new(activation), &format!("fused-linear: {error}"));
    }
    assert_text(
        fused_activation(candle_nn::Activation::HardSwish),
        "fused-linear: expected an activation that has a fused form, found HardSwish",
    );
    for candle in [candle_nn::Activation::LeakyRelu(-0.5), candle_nn::Activation::Elu(1e300)] {
        assert!(new(fused_activation(candle).unwrap()).is_err());
    }
}

#[test]
fn outputs_beyond_memory_are_refused() -> Result<()> {
    let layer = FusedLinear::new(zeros(&[4, 3]), None, Activation::Relu)?;
    let x = zeros(&[3]).broadcast_as((1 << 40, 1 << 20, 3))?;
    let expected =
        format!("fused-linear: expected an output that fits memory, found one of {}×4 elements", 1_u64 << 60);
    assert_text(layer.forward(&x), &expected);
    Ok(())
}

#[test]
fn chains_are_checked() -> Result<()> {
    let layer = |inputs, outputs| FusedLinear::new(zeros(&[outputs, inputs]), None, Activation::Relu);
    assert_text(FusedSequential::new(Vec::new()), "fused-linear: expected at least one layer, found none");
    assert_text(
        FusedSequential::new(vec![layer(2, 3)?, layer(3, 4)?, layer(5, 1)?]),
        "fused-linear: expected layer 2 to take the 4 outputs of the layer before, found 5 inputs",
    );
    let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
    assert!(fused_sequential(3, vb).build().is_err());
    let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F64, &Device::Cpu);
    assert_text(
        fused_sequential(3, vb).layer(4, Activation::Relu).build(),
        "fused-linear: weight: expected f32, found f64 (`to_dtype` converts it)",
    );
    Ok(())
}
