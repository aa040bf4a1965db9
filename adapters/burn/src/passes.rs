//! The two passes over the memory of a backend's tensors.

use crate::backend::{LinearBias, LinearOperands};
use crate::error::{Error, Operand};
use crate::host::Host;
use crate::kernel::FusedKernel;
use crate::matrix::extent;
use crate::uninit::Uninit;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use fused_dense::{Bias, Gradients, MatrixView, MatrixViewMut, Outputs, Saved, Upstream};

/// The outputs of a forward pass.
pub(crate) struct Forward<B: Backend> {
    pub(crate) a: FloatTensor<B>,
    /// The pre-activation, where it was asked for.
    pub(crate) z: Option<FloatTensor<B>>,
}

/// `z = input · weight + bias`, `a = g(z)`.
pub(crate) fn forward<B: Host>(
    operands: &LinearOperands<B>,
    kernel: &FusedKernel,
    keep_z: bool,
) -> Result<Forward<B>, Error> {
    let shape = check(operands, kernel)?;
    let (rows, cols) = extent(&shape);
    let (dense, mut workspace) = kernel.parts()?;
    let input = B::matrix(&operands.input, Operand::Input)?;
    let weight = B::matrix(&operands.weight, Operand::Weight)?;
    let bias = match &operands.bias {
        LinearBias::None => None,
        LinearBias::Given(bias) => Some(B::matrix(bias, Operand::Bias)?),
    };
    let mut a = Uninit::new(rows, cols)?;
    let mut z = keep_z.then(|| Uninit::new(rows, cols)).transpose()?;

    let mut outputs = Outputs::new(MatrixViewMut::from_uninit(a.room(), rows, cols, cols, 1)?);
    if let Some(z) = &mut z {
        outputs = outputs.z(MatrixViewMut::from_uninit(z.room(), rows, cols, cols, 1)?);
    }
    let bias = match &bias {
        None => Bias::None,
        Some(bias) => bias.view()?.into(),
    };
    dense.forward_in(&mut workspace, input.view()?, weight.view()?.transposed(), bias, outputs)?;
    // SAFETY: the call has returned `Ok`, and so has written every element of its outputs, which are all of the room.
    let (a, z) = unsafe { (a.written(), z.map(|z| z.written())) };
    Ok(Forward { a: B::tensor(a, shape.clone()), z: z.map(|z| B::tensor(z, shape)) })
}

/// The forward operands that a backward pass needs, and which gradients it computes.
pub(crate) struct Backward<'t, B: Backend> {
    pub(crate) input: &'t FloatTensor<B>,
    pub(crate) weight: &'t FloatTensor<B>,
    /// `z` where the activation's derivative needs it, else `a`; none for a linear layer.
    pub(crate) saved: Option<&'t FloatTensor<B>>,
    pub(crate) output_gradient: &'t FloatTensor<B>,
    pub(crate) wanted: Wanted,
}

/// A value for each of the three tensors that have a gradient.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Each<T> {
    pub(crate) input: T,
    pub(crate) weight: T,
    pub(crate) bias: T,
}

/// Whether a tensor's gradient is wanted.
pub(crate) type Wanted = Each<bool>;

impl<B: Host> Backward<'_, B> {
    /// All gradients that are wanted, by one call.
    pub(crate) fn run(self, kernel: &FusedKernel) -> Result<Each<Option<FloatTensor<B>>>, Error> {
        let (rows, _) = extent(&self.input.shape());
        let (d_input, d_output) = (kernel.d_input(), kernel.d_output());
        let mut d_x = self.wanted.input.then(|| Uninit::new(rows, d_input)).transpose()?;
        let mut d_w = self.wanted.weight.then(|| Uninit::new(d_input, d_output)).transpose()?;
        let mut d_b = self.wanted.bias.then(|| Uninit::new(1, d_output)).transpose()?;
        let weight = B::matrix(self.weight, Operand::Weight)?;
        let weight = weight.view()?;
        // The gradient stands as the weights do: an optimiser reads both.
        let in_columns = weight.row_stride() == 1 && weight.col_stride() > 1;

        let mut gradients = Gradients::new();
        if let Some(d_x) = &mut d_x {
            gradients = gradients.a_prev(MatrixViewMut::from_uninit(d_x.room(), rows, d_input, d_input, 1)?);
        }
        if let Some(d_w) = &mut d_w {
            let (row_stride, col_stride) = if in_columns { (d_input, 1) } else { (1, d_output) };
            let d_w = MatrixViewMut::from_uninit(d_w.room(), d_output, d_input, row_stride, col_stride)?;
            gradients = gradients.w(d_w);
        }
        if let Some(d_b) = &mut d_b {
            gradients = gradients.b(MatrixViewMut::from_uninit(d_b.room(), 1, d_output, d_output, 1)?);
        }
        self.call(kernel, weight, gradients)?;
        // SAFETY: the call has returned `Ok`, and so has written every element of its outputs, which are all of the room.
        let written = |gradient: Option<Uninit>| gradient.map(|gradient| unsafe { gradient.written() });
        Ok(Each {
            input: written(d_x).map(|values| B::tensor(values, self.input.shape())),
            weight: written(d_w).map(|values| match in_columns {
                false => B::tensor(values, Shape::new([d_input, d_output])),
                true => B::float_transpose(B::tensor(values, Shape::new([d_output, d_input]))),
            }),
            bias: written(d_b).map(|values| B::tensor(values, Shape::new([d_output]))),
        })
    }

    fn call(&self, kernel: &FusedKernel, weight: MatrixView<'_>, gradients: Gradients<'_>) -> Result<(), Error> {
        let (dense, mut workspace) = kernel.parts()?;
        let input = B::matrix(self.input, Operand::Input)?;
        let output_gradient = B::matrix(self.output_gradient, Operand::OutputGradient)?;
        // Made by the forward pass, so that nothing can be wrong with it.
        let saved = self.saved.map(|saved| B::matrix(saved, Operand::OutputGradient)).transpose()?;

        let d_a = output_gradient.view()?;
        let (saved, upstream) = match &saved {
            // The derivative is 1, and what is saved is not read.
            None => (Saved::from(d_a), Upstream::PreActivation(d_a)),
            Some(saved) if kernel.activation().needs_z() => (Saved::z(saved.view()?), Upstream::Activation(d_a)),
            Some(saved) => (Saved::from(saved.view()?), Upstream::Activation(d_a)),
        };
        Ok(dense.backward_in(&mut workspace, input.view()?, weight.transposed(), saved, upstream, gradients)?)
    }
}

/// The output's shape, where all operands have theirs.
fn check<B: Backend>(operands: &LinearOperands<B>, kernel: &FusedKernel) -> Result<Shape, Error> {
    let (d_input, d_output) = (kernel.d_input(), kernel.d_output());
    let mut shape = operands.input.shape();
    match shape.last_mut() {
        Some(last) if *last == d_input => *last = d_output,
        _ => return Err(Error::Shape { operand: Operand::Input, expected: vec![d_input], found: shape.to_vec() }),
    }
    has_shape(Operand::Weight, &operands.weight.shape(), &[d_input, d_output])?;
    if let LinearBias::Given(bias) = &operands.bias {
        has_shape(Operand::Bias, &bias.shape(), &[d_output])?;
    }
    Ok(shape)
}

fn has_shape(operand: Operand, found: &[usize], expected: &[usize]) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { operand, expected: expected.to_vec(), found: found.to_vec() })
}
