//! A backward pass in which the gradients of parameters do not pass through candle's sums.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use core::cell::RefCell;

thread_local! {
    /// The gradients of the innermost [`backward`] that this thread is in.
    static COLLECTED: RefCell<Option<GradStore>> = const { RefCell::new(None) };
}

/// [`Tensor::backward`], faster where fused layers have variables as parameters.
///
/// candle adds each gradient to zeros that it has allocated for it: three more passes over memory of the parameter's size, and
/// twice as much new memory. Here the layers put the gradients of their variables into the store themselves. It has the
/// gradients that `loss.backward()` would have.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{AdamW, Optimizer, VarBuilder, VarMap};
/// use fused_dense_candle::{Activation, Module, backward, fused_linear};
///
/// let parameters = VarMap::new();
/// let vb = VarBuilder::from_varmap(&parameters, DType::F32, &Device::Cpu);
/// let layer = fused_linear(3, 2, Activation::Sigmoid, vb)?;
/// let mut optimizer = AdamW::new_lr(parameters.all_vars(), 0.01)?;
/// let loss = layer.forward(&Tensor::ones((4, 3), DType::F32, &Device::Cpu)?)?.sum_all()?;
/// optimizer.step(&backward(&loss)?)?; // in place of `optimizer.backward_step(&loss)?`
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// An operation whose own step backward calls `Tensor::backward` on a graph with fused layers, as one for checkpointing may,
/// would miss their gradients there: it has to call this function too, or be trained by `loss.backward()`.
///
/// # Errors
/// As [`Tensor::backward`].
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    let scope = Scope::enter();
    let mut gradients = loss.backward()?;
    gradients.extend(scope.leave())?;
    Ok(gradients)
}

/// Adds a gradient to those of the [`backward`] that this thread is in. Gives it back where it is in none, and where candle
/// itself needs the gradient to go on from it.
pub(crate) fn collect(tensor: &Tensor, gradient: Tensor) -> Result<Option<Tensor>> {
    COLLECTED.with_borrow_mut(|collected| match collected {
        Some(collected) if tensor.is_variable() => {
            let sum = match collected.remove(tensor) {
                None => gradient,
                Some(other) => other.add(&gradient)?,
            };
            collected.insert(tensor, sum);
            Ok(None)
        }
        _ => Ok(Some(gradient)),
    })
}

/// A backward pass's collection, in place of the one around it until the end, or until a panic.
struct Scope {
    outer: Option<GradStore>,
}

impl Scope {
    fn enter() -> Self {
        Self { outer: COLLECTED.replace(Some(GradStore::default())) }
    }

    fn leave(self) -> GradStore {
        COLLECTED.take().unwrap_or_default()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        COLLECTED.set(self.outer.take());
    }
}
