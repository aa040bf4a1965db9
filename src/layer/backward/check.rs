//! A backward call's operands, checked against the layer's shape and turned into pointers.

use super::{Call, Operands};
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::isa::{Kernels, Target};
use crate::kernel::Sink;
use crate::kernel::elementwise::DzRows;
use crate::layer::call::Gradient;
use crate::layer::{Dense, Saved, Upstream};
use crate::plan::UpdateBy;

/// A gradient's memory, and whether to add to it.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub(super) sink: Sink,
    pub(super) add: bool,
}

impl Destination {
    #[inline(always)]
    fn check(
        gradient: &mut Option<Gradient<'_>>,
        operand: Operand,
        rows: usize,
        cols: usize,
        may_be_left: bool,
    ) -> Result<Option<Self>, Error> {
        match gradient {
            None => Ok(None),
            Some(Gradient { output, add }) => {
                Ok(Some(Self { sink: output.sink(operand, rows, cols, *add || may_be_left)?, add: *add }))
            }
        }
    }
}

impl<'c> Call<'c> {
    /// # Errors
    /// As [`Dense::backward`].
    #[inline(always)]
    pub(super) fn check(layer: &'c Dense, target: Target, operands: Operands<'c, '_>) -> Result<Self, Error> {
        let Operands { a_prev, w, saved, upstream, gradients, step } = operands;
        let dz_kernel = dz_kernel(target.kernels, layer.activation, saved, upstream)?;
        let (upstream, upstream_name) = match upstream {
            Upstream::Activation(d_a) => (d_a, Operand::DA),
            Upstream::PreActivation(d_z) => (d_z, Operand::DZ),
            Upstream::Targets(y) => (y, Operand::Targets),
        };
        let (saved, saved_name) = match saved {
            Saved::A(a) => (a, Operand::A),
            Saved::Z(z) => (z, Operand::Z),
        };
        let (inputs, outputs) = (layer.inputs, layer.outputs);
        let batch = match a_prev.batch(Operand::APrev, inputs)? {
            Some(batch) => batch,
            None => upstream.batch(upstream_name, outputs)?.unwrap_or(0),
        };
        let d_w_name = if step.is_some() { Operand::PartialSums } else { Operand::DW };
        Ok(Self {
            layer,
            target,
            batch,
            a_prev: a_prev.source(Operand::APrev, batch, inputs)?,
            w,
            saved: saved.source(saved_name, batch, outputs)?,
            upstream: upstream.source(upstream_name, batch, outputs)?,
            dz_kernel,
            // Room for partial sums may stay as it is: nobody may take it for written.
            d_w: Destination::check(&mut gradients.w, d_w_name, outputs, inputs, step.is_some())?,
            d_b: Destination::check(&mut gradients.b, Operand::DB, 1, outputs, false)?,
            d_a_prev: Destination::check(&mut gradients.a_prev, Operand::DAPrev, batch, inputs, false)?,
            d_z: match &mut gradients.z {
                None => None,
                Some(d_z) => Some(d_z.sink(Operand::DZ, batch, outputs, false)?),
            },
            scale: gradients.scale,
            step,
            update_by: UpdateBy::Tiles,
        })
    }
}

/// The kernel that makes `dz`, by what comes from above and what was saved; none where upstream is `dz` itself.
#[inline(always)]
fn dz_kernel(
    kernels: &Kernels,
    activation: Activation,
    saved: &Saved<'_>,
    upstream: &Upstream<crate::matrix::Input<'_>>,
) -> Result<Option<unsafe fn(&DzRows)>, Error> {
    Ok(match (upstream, saved) {
        (Upstream::PreActivation(_), _) => None,
        (Upstream::Activation(_), _) if activation.is_identity() => None,
        (Upstream::Activation(_), Saved::A(_)) => match kernels.dz_from_a[activation.index()] {
            None => return Err(Error::NeedsZ { found: activation }),
            kernel => kernel,
        },
        (Upstream::Activation(_), Saved::Z(_)) => Some(kernels.dz_from_z[activation.index()]),
        (Upstream::Targets(_), _) if activation != Activation::Sigmoid => {
            return Err(Error::TargetsNeedSigmoid { found: activation });
        }
        (Upstream::Targets(_), Saved::A(_)) => Some(kernels.dz_from_targets_and_a),
        (Upstream::Targets(_), Saved::Z(_)) => Some(kernels.dz_from_targets_and_z),
    })
}
