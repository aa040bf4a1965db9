//! Threads: those that share a call's work, and those that share a layer.

mod support;

use candle_core::{Device, Module, Result, Tensor, Var};
use fused_dense_candle::{Activation, FusedLinear, Team, Threads};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::{Numbers, bits};

/// The bits of the output and of all gradients.
fn results(layer: &FusedLinear, x: &Var) -> Result<Vec<Vec<u32>>> {
    let a = layer.forward(x)?;
    let gradients = a.sqr()?.backward()?;
    let operands = [Some(x.as_tensor()), Some(layer.weight()), layer.bias()];
    let of_operands = operands.into_iter().flatten().map(|operand| bits(gradients.get(operand).expect("a gradient")));
    Ok(core::iter::once(bits(&a)).chain(of_operands).collect())
}

fn layer(inputs: usize, outputs: usize, activation: Activation) -> Result<FusedLinear> {
    let mut numbers = Numbers(2);
    let w = Var::from_vec(numbers.uniform(outputs * inputs), (outputs, inputs), &Device::Cpu)?;
    let b = Var::from_vec(numbers.uniform(outputs), outputs, &Device::Cpu)?;
    FusedLinear::new(w.into_inner(), Some(b.into_inner()), activation)
}

fn input(batch: usize, inputs: usize) -> Result<Var> {
    Var::from_vec(Numbers(1).uniform(batch * inputs), (batch, inputs), &Device::Cpu)
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() -> Result<()> {
    let team = Team::new(2);
    for activation in [Activation::Sigmoid, Activation::Gelu] {
        for (batch, inputs, outputs) in [(3, 20, 7), (600, 300, 200)] {
            let serial = layer(inputs, outputs, activation)?;
            let x = input(batch, inputs)?;
            let expected = results(&serial, &x)?;
            let shared = serial.clone().with_threads(&team)?;
            assert!(results(&shared, &x)? == expected, "{activation}, {batch}×{inputs}→{outputs}");
            assert!(results(&shared.with_threads(Threads::Serial)?, &x)? == expected);
        }
    }
    // Else the test proves nothing. A team that has not worked yet has measured nothing that a plan could go by.
    let fresh = layer(300, 200, Activation::Sigmoid)?.with_threads(Team::new(2))?;
    let plan = fresh.dense().describe(600).expect("a valid layer").to_string();
    assert!(plan.contains("2 thread(s)"), "{plan}");
    Ok(())
}

#[test]
fn threads_share_a_layer() -> Result<()> {
    let layer = layer(40, 30, Activation::Silu)?;
    let x = input(25, 40)?;
    let expected = results(&layer, &x)?;
    thread::scope(|scope| {
        let callers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..50).all(|_| results(&layer, &x).unwrap() == expected))).collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
    Ok(())
}

/// A matrix may be input and weight at once, while another thread waits to write to it.
#[test]
fn one_tensor_may_be_both_operands() -> Result<()> {
    let both = Var::new(&[[1_f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
    let values = both.as_tensor().copy()?;
    let layer = FusedLinear::new(both.as_tensor().clone(), None, Activation::Identity)?;
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                both.set(&values).unwrap();
            }
        });
        for _ in 0..2000 {
            let a = layer.forward(&both).unwrap();
            assert_eq!(a.to_vec2::<f32>().unwrap(), [[5.0, 11.0], [11.0, 25.0]]);
            let gradients = a.backward().unwrap();
            let gradient: &Tensor = gradients.get(&both).expect("a gradient");
            assert_eq!(gradient.to_vec2::<f32>().unwrap(), [[8.0, 12.0], [8.0, 12.0]]);
        }
        is_done.store(true, Ordering::Relaxed);
    });
    Ok(())
}
