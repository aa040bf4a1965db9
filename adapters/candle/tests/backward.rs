//! The crate's own backward pass gives the gradients that candle's gives.

mod support;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, bail};
use candle_core::{CustomOp1, Device, Layout, Module, Result, Shape, Tensor, Var};
use fused_dense_candle::{Activation, FusedLinear, backward};
use std::collections::BTreeSet;
use support::{Numbers, activations, values};

struct Net {
    x: Var,
    w: Var,
    b: Var,
}

impl Net {
    fn new() -> Result<Self> {
        let mut numbers = Numbers(11);
        let mut var = |dims: &[usize]| Var::from_vec(numbers.eighths(dims.iter().product()), dims, &Device::Cpu);
        Ok(Self { x: var(&[5, 4])?, w: var(&[4, 4])?, b: var(&[4])? })
    }

    fn layer(&self, activation: Activation) -> Result<FusedLinear> {
        FusedLinear::new(self.w.as_tensor().clone(), Some(self.b.as_tensor().clone()), activation)
    }

    fn of(&self, gradients: &GradStore) -> Vec<Vec<f32>> {
        [&self.x, &self.w, &self.b].map(|var| values(gradients.get(var).expect("a gradient"))).to_vec()
    }
}

/// `found` has the gradients of `expected`, and of the same tensors.
fn assert_same(found: &GradStore, expected: &GradStore, subject: &str) {
    let ids = |gradients: &GradStore| gradients.get_ids().map(|id| format!("{id:?}")).collect::<BTreeSet<_>>();
    assert_eq!(ids(found), ids(expected), "{subject}");
    for id in expected.get_ids() {
        let [found, expected] = [found, expected].map(|gradients| gradients.get_id(*id).expect("the same tensors"));
        assert_eq!(found.dims(), expected.dims(), "{subject}");
        assert_eq!(values(found), values(expected), "{subject}");
    }
}

#[test]
fn gradients_are_those_of_candles_pass() -> Result<()> {
    let net = Net::new()?;
    for activation in activations() {
        let layer = net.layer(activation)?;
        let loss = layer.forward(&layer.forward(&net.x)?)?.sum_all()?;
        assert_same(&backward(&loss)?, &loss.backward()?, &activation.to_string());
    }
    Ok(())
}

/// Layers that share parameters, with each other and with an operation of candle's: sums of eighths are exact in any order.
#[test]
fn gradients_of_shared_parameters_add_up() -> Result<()> {
    let net = Net::new()?;
    let (one, other) = (net.layer(Activation::Relu)?, net.layer(Activation::Identity)?);
    let own = net.x.matmul(&net.w.t()?)?.broadcast_add(&net.b)?;
    let loss = ((one.forward(&net.x)? + other.forward(&net.x)?)? + own)?.sum_all()?;
    assert_same(&backward(&loss)?, &loss.backward()?, "shared");
    Ok(())
}

/// Parameters that are made of variables pass their gradients on to them.
#[test]
fn gradients_go_through_parameters_to_variables() -> Result<()> {
    let net = Net::new()?;
    let layer = FusedLinear::new(net.w.t()?.affine(2.0, 0.0)?, Some((net.b.as_tensor() * 0.5)?), Activation::Relu)?;
    let loss = layer.forward(&net.x)?.sum_all()?;
    let gradients = backward(&loss)?;
    assert_eq!(net.of(&gradients), net.of(&loss.backward()?));
    assert!(values(gradients.get(&net.w).expect("a gradient")).iter().any(|value| *value != 0.0));
    Ok(())
}

/// An operation that does not change its operand, and whose step backward fails or runs another pass.
enum Step {
    Fails,
    Runs(Tensor),
}

impl CustomOp1 for Step {
    fn name(&self) -> &'static str {
        "step"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((storage.clone(), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match self {
            Self::Fails => bail!("as the test wants it"),
            Self::Runs(loss) => assert_same(&backward(loss)?, &without(loss)?, "inner"),
        }
        Ok(Some(gradient.clone()))
    }
}

/// candle's own pass, on a thread that is in no other.
fn without(loss: &Tensor) -> Result<GradStore> {
    std::thread::scope(|scope| scope.spawn(|| loss.backward()).join().expect("no panic"))
}

/// A pass within a pass has gradients of its own, and so has each pass after one that failed.
#[test]
fn passes_keep_their_gradients_apart() -> Result<()> {
    let net = Net::new()?;
    let inner = net.layer(Activation::Identity)?.forward(&net.x)?.sum_all()?;
    let a = net.layer(Activation::Relu)?.forward(&net.x)?;
    let outer = net.layer(Activation::Tanh)?.forward(&a.apply_op1(Step::Runs(inner))?)?.sum_all()?;
    assert_same(&backward(&outer)?, &without(&outer)?, "outer");

    let failing = net.layer(Activation::Tanh)?.forward(&a.apply_op1(Step::Fails)?)?.sum_all()?;
    assert!(backward(&failing).is_err());
    // Nothing waits any more: candle's pass has all gradients.
    let loss = a.sum_all()?;
    assert_eq!(net.of(&loss.backward()?), net.of(&without(&loss)?));
    assert_same(&backward(&loss)?, &without(&loss)?, "afterwards");
    Ok(())
}
