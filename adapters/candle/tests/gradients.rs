//! Outputs and gradients are candle's own, for every activation, shape and layout.

mod support;

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use fused_dense_candle::{Activation, FusedLinear};
use proptest::prelude::*;
use support::{FORMS, Form, Numbers, activations, assert_near, bits, candle_activation, candle_linear};

/// candle's own, computed in each type, and how near to it the results are: in single precision candle's derivative of SiLU
/// is a difference of large numbers, and in both those of GELU have constants of six digits.
const PRECISIONS: [(DType, f32); 2] = [(DType::F32, 1e-4), (DType::F64, TOLERANCE)];

const TOLERANCE: f32 = 4e-6;

#[derive(Clone, Debug)]
struct Case {
    /// Of `x`, without the last axis.
    leading: Vec<usize>,
    inputs: usize,
    outputs: usize,
    activation: Activation,
    x: Form,
    w: Form,
    b: Option<Form>,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let form = || prop::sample::select(FORMS.to_vec());
    (
        prop::collection::vec(1..6_usize, 0..4),
        1..40_usize,
        1..40_usize,
        prop::sample::select(activations()),
        (form(), form(), prop::option::of(form())),
        any::<u64>(),
    )
        .prop_map(|(leading, inputs, outputs, activation, (x, w, b), seed)| Case {
            leading,
            inputs,
            outputs,
            activation,
            x,
            w,
            b,
            seed,
        })
}

/// A case's tensors, and the variables that they are made of.
struct Operands {
    x: Tensor,
    w: Tensor,
    b: Option<Tensor>,
    vars: Vec<Source>,
    /// The weight of each output in the loss.
    shares: Tensor,
}

/// A variable that an operand is made of.
struct Source {
    name: &'static str,
    var: Var,
    /// How often the operand repeats each element: the gradient is a sum of as many, which may cancel.
    repeats: usize,
}

impl Source {
    fn new(name: &'static str, (var, operand): (Var, Tensor)) -> (Self, Tensor) {
        let repeats = operand.elem_count().div_ceil(var.elem_count());
        (Self { name, var, repeats }, operand)
    }
}

impl Operands {
    fn new(case: &Case) -> Result<Self> {
        let mut numbers = Numbers(case.seed);
        let mut dims = case.leading.clone();
        dims.push(case.inputs);
        let (x_source, x) = Source::new("x", case.x.make(&dims, |len| numbers.eighths(len))?);
        let (w_source, w) = Source::new("w", case.w.make(&[case.outputs, case.inputs], |len| numbers.eighths(len))?);
        let mut vars = vec![x_source, w_source];
        let mut b = None;
        if let Some(form) = case.b {
            let (source, tensor) = Source::new("b", form.make(&[case.outputs], |len| numbers.odd(len))?);
            vars.push(source);
            b = Some(tensor);
        }
        // Where z is 0 the derivative of a function with a kink is a matter of taste.
        let z = candle_linear(&x, &w, b.as_ref())?.detach();
        let shares = Tensor::from_vec(numbers.eighths(z.elem_count()), z.dims(), &Device::Cpu)?;
        let shares = (shares * z.ne(0_f32)?.to_dtype(z.dtype())?)?;
        Ok(Self { x, w, b, vars, shares })
    }
}

/// candle's own output, computed in this type.
fn candle(case: &Case, operands: &Operands, dtype: DType) -> Result<Tensor> {
    let Operands { x, w, b, .. } = operands;
    let b = b.as_ref().map(|b| b.to_dtype(dtype)).transpose()?;
    let z = candle_linear(&x.to_dtype(dtype)?, &w.to_dtype(dtype)?, b.as_ref())?;
    candle_activation(case.activation, &z)?.to_dtype(DType::F32)
}

fn compare(case: &Case) -> Result<()> {
    let operands = Operands::new(case)?;
    let Operands { x, w, b, vars, shares } = &operands;
    let layer = FusedLinear::new(w.clone(), b.clone(), case.activation)?;
    let found = layer.forward(x)?;
    let gradients = (&found * shares)?.sum_all()?.backward()?;
    for (dtype, tolerance) in PRECISIONS {
        // Sums of eighths are exact: these have the same bits, whatever the order.
        let is_exact = matches!(case.activation, Activation::Identity | Activation::Relu);
        let tolerance = if is_exact { 0.0 } else { tolerance };
        let expected = candle(case, &operands, dtype)?;
        assert_near(&found, &expected, tolerance, &format!("a by {dtype:?}"));
        let expected = (expected * shares)?.sum_all()?.backward()?;
        for Source { name, var, repeats } in vars {
            let (found, expected) = (gradients.get(var).expect("a gradient"), expected.get(var).expect("a gradient"));
            let tolerance = tolerance * *repeats as f32;
            assert_near(found, expected, tolerance, &format!("gradient of {name} by {dtype:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn outputs_and_gradients_are_candles(case in cases()) {
        compare(&case).unwrap();
    }
}

#[test]
fn every_activation_and_layout_agrees() {
    for (index, activation) in activations().into_iter().enumerate() {
        for form in FORMS {
            for b in [None, Some(form)] {
                let (leading, seed) = (vec![2, 3], index as u64);
                let case = Case { leading, inputs: 17, outputs: 9, activation, x: form, w: form, b, seed };
                compare(&case).unwrap();
            }
        }
    }
}

#[test]
fn long_batches_agree() {
    for activation in [Activation::Relu, Activation::Gelu] {
        let (x, w, b) = (Form::Contiguous, Form::Contiguous, Some(Form::Contiguous));
        compare(&Case { leading: vec![3, 257], inputs: 33, outputs: 20, activation, x, w, b, seed: 3 }).unwrap();
    }
}

/// A tensor's layout changes no bit, whether it is read where it lies or copied.
#[test]
fn layouts_of_the_input_have_the_same_bits() -> Result<()> {
    let mut numbers = Numbers(5);
    let w = Tensor::from_vec(numbers.uniform(30 * 50), (30, 50), &Device::Cpu)?;
    let layer = FusedLinear::new(w, None, Activation::Sigmoid)?;
    for form in FORMS {
        let (_, x) = form.make(&[2, 4, 50], |len| numbers.uniform(len))?;
        assert_eq!(bits(&layer.forward(&x)?), bits(&layer.forward(&x.force_contiguous()?)?), "{form:?}");
    }
    Ok(())
}

/// A vector in, a vector out.
#[test]
fn single_samples_need_no_batch() -> Result<()> {
    let w = Tensor::new(&[[1_f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &Device::Cpu)?;
    let b = Var::new(&[0.5_f32, 0.0, -0.5], &Device::Cpu)?;
    let layer = FusedLinear::new(w, Some(b.as_tensor().clone()), Activation::Identity)?;
    let x = Var::new(&[1_f32, -1.0], &Device::Cpu)?;
    let a = layer.forward(&x)?;
    assert_eq!(a.to_vec1::<f32>()?, [-0.5, -1.0, -1.5]);
    let gradients = a.backward()?;
    assert_eq!(gradients.get(&x).expect("a gradient").to_vec1::<f32>()?, [9.0, 12.0]);
    assert_eq!(gradients.get(&b).expect("a gradient").to_vec1::<f32>()?, [1.0; 3]);
    Ok(())
}

/// An operand that candle does not track costs nothing, and has no gradient.
#[test]
fn constants_have_no_gradient() -> Result<()> {
    for activation in [Activation::Relu, Activation::Silu] {
        let mut numbers = Numbers(8);
        let tensors = [(vec![4, 3], 12), (vec![2, 3], 6), (vec![2], 2)];
        let vars: Vec<Var> = tensors
            .into_iter()
            .map(|(dims, len)| Var::from_vec(numbers.uniform(len), dims, &Device::Cpu))
            .collect::<Result<_>>()?;
        let operand = |index: usize, tracked: usize| {
            if tracked & (1 << index) != 0 { vars[index].as_tensor().clone() } else { vars[index].detach() }
        };
        let all = {
            let layer = FusedLinear::new(operand(1, 7), Some(operand(2, 7)), activation)?;
            layer.forward(&operand(0, 7))?.backward()?
        };
        for tracked in 0..8 {
            let operands = [0, 1, 2].map(|index| operand(index, tracked));
            let layer = FusedLinear::new(operands[1].clone(), Some(operands[2].clone()), activation)?;
            let a = layer.forward(&operands[0])?;
            assert_eq!(a.track_op(), tracked != 0);
            let found = if tracked == 0 { continue } else { a.backward()? };
            for (index, operand) in operands.iter().enumerate() {
                let is_tracked = tracked & (1 << index) != 0;
                assert_eq!(found.get(operand).map(bits), all.get(&vars[index]).filter(|_| is_tracked).map(bits));
            }
        }
    }
    Ok(())
}

/// A batch of none, and a layer without inputs.
#[test]
fn empty_operands_are_valid() -> Result<()> {
    for activation in activations() {
        for (leading, inputs, outputs) in [(vec![0], 3, 2), (vec![2, 0], 3, 2), (vec![4], 0, 2), (vec![4], 3, 0)] {
            let mut dims = leading.clone();
            dims.push(inputs);
            let x = Var::zeros(dims.as_slice(), DType::F32, &Device::Cpu)?;
            let w = Var::ones((outputs, inputs), DType::F32, &Device::Cpu)?;
            let b = Var::ones(outputs, DType::F32, &Device::Cpu)?;
            let layer = FusedLinear::new(w.as_tensor().clone(), Some(b.as_tensor().clone()), activation)?;
            let a = layer.forward(&x)?;
            *dims.last_mut().expect("an axis") = outputs;
            assert_eq!(a.dims(), dims);
            let one = candle_activation(activation, &Tensor::new(&[1_f32], &Device::Cpu)?)?;
            assert_near(&a, &one.broadcast_as(dims.as_slice())?, 1e-6, "a");
            let gradients = a.backward()?;
            for var in [&x, &w, &b] {
                let gradient = gradients.get(var).expect("a gradient");
                assert_eq!(gradient.dims(), var.dims());
                if leading.contains(&0) {
                    assert_eq!(bits(gradient), bits(&var.zeros_like()?));
                }
            }
        }
    }
    Ok(())
}

/// The gradient that comes from above may be a view: of a sum, one value for all outputs.
#[test]
fn gradients_from_above_have_any_layout() -> Result<()> {
    let mut numbers = Numbers(13);
    let w = Var::from_vec(numbers.uniform(12), (4, 3), &Device::Cpu)?;
    let x = Tensor::from_vec(numbers.uniform(30), (2, 5, 3), &Device::Cpu)?;
    let layer = FusedLinear::new(w.as_tensor().clone(), None, Activation::Tanh)?;
    let expected = candle_activation(Activation::Tanh, &candle_linear(&x, &w, None)?)?;
    for reduce in [
        |a: &Tensor| a.sum_all(),
        |a: &Tensor| a.transpose(0, 2)?.narrow(1, 1, 3)?.sum(0),
        |a: &Tensor| a.permute((2, 0, 1))?.contiguous()?.mean_all(),
    ] {
        let gradients = (reduce(&layer.forward(&x)?)?.backward()?, reduce(&expected)?.backward()?);
        let gradients = (gradients.0.get(&w).expect("a gradient"), gradients.1.get(&w).expect("a gradient"));
        assert_near(gradients.0, gradients.1, TOLERANCE, "w");
    }
    Ok(())
}
