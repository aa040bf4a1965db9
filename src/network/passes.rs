//! The passes of a network: forward, the cost on top, and back down through the layers.

use super::Network;
use super::guard::Verdict;
use super::layer::{Layer, needs_z, saved, z_of};
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::layer::{Bias, Gradients, Outputs, Parameter, Rules, UpdateOperands, Upstream, Weights};
use crate::matrix::Input;
use crate::optimizer::Optimizer;
use crate::targets::Checked;

/// A cost of the caller's own: reads the output, writes its gradient, returns the cost.
type OwnCost<'t> = &'t mut dyn FnMut(&[f32], &mut [f32]) -> f64;

/// The cost on top of the network.
pub(super) enum Top<'t> {
    /// The network's own, against targets.
    Targets(Checked<'t>),
    /// The caller's, which writes the gradient by `a`.
    ByA(OwnCost<'t>),
    /// The caller's, which writes the gradient by `z`.
    ByZ(OwnCost<'t>),
}

/// The use of the gradients.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    /// They stay in the layers.
    Gradients,
    /// They are the part of this batch in a sum over several, whose scale is given, and are added where there are some.
    Sum { scale: f32, add: bool },
    /// The optimiser takes a step along them.
    Step,
}

/// The gradient that a layer gets from above.
#[derive(Clone, Copy)]
pub(super) enum Above<'t> {
    /// `dA` stands in the layer's memory.
    ByA,
    /// `dz` stands in the layer's memory.
    ByZ,
    /// The targets of a cost that the backward kernel knows.
    Targets(&'t [f32]),
}

impl Above<'_> {
    fn upstream<'l>(self, d_a: &'l [f32], d_z: &'l [f32]) -> Upstream<&'l [f32]>
    where
        Self: 'l,
    {
        match self {
            Self::ByA => Upstream::Activation(d_a),
            Self::ByZ => Upstream::PreActivation(d_z),
            Self::Targets(y) => Upstream::Targets(y),
        }
    }
}

impl Top<'_> {
    /// Whether the gradient on top is computed from the last layer's `z`.
    fn wants_z(&self, network: &Network) -> bool {
        match self {
            Self::Targets(_) => network.objective.wants_z(),
            Self::ByA(_) => false,
            Self::ByZ(_) => true,
        }
    }
}

impl Network {
    /// Forward, the cost, and backward to the gradients or a step along them.
    pub(super) fn run(&mut self, x: Input<'_>, batch: usize, top: &mut Top<'_>, aim: Aim) -> Result<f64, Error> {
        if batch == 0 && matches!(aim, Aim::Step) {
            return Ok(0.0);
        }
        self.in_session(batch, |network| {
            network.forward_pass(x, batch, top.wants_z(network))?;
            let Cost { sum, divisor, mean, above } = network.cost_pass(batch, top)?;
            let cost = sum / divisor;
            match aim {
                Aim::Gradients => network.gradients_pass(x, batch, above, mean, false)?,
                Aim::Sum { scale, add } => {
                    network.gradients_pass(x, batch, above, scale, add)?;
                    return Ok(cost * f64::from(scale) / f64::from(mean));
                }
                Aim::Step if network.is_guarded => network.guarded_step(x, batch, above, mean, cost)?,
                Aim::Step => network.step_pass(x, batch, above, mean)?,
            }
            Ok(cost)
        })
    }

    /// The sums of one block of a larger batch: `Σ s·L`, and each layer's sums in its memory for gradients, which `each` gets
    /// from the last layer to the first, as soon as they are there.
    pub(super) fn block_pass<E: From<Error>>(
        &mut self,
        x: Input<'_>,
        targets: Checked<'_>,
        mut each: impl FnMut(f64, usize, &Layer) -> Result<(), E>,
    ) -> Result<(), E> {
        let batch = targets.batch;
        let mut top = Top::Targets(targets);
        self.in_session(batch, |network| {
            network.forward_pass(x, batch, top.wants_z(network))?;
            let Cost { sum, above, .. } = network.cost_pass(batch, &mut top)?;
            let mut above = Some(above);
            Self::descend(&mut network.layers, x, batch, |index, layer, a_prev, d_a_prev| {
                layer.gradients(a_prev, batch, above.take().unwrap_or(Above::ByA), d_a_prev, (1.0, false))?;
                each(sum, index, layer)
            })
        })
    }

    /// Every layer's `a`, the `z` of those that need it for their derivative, and, if asked for, the last one's.
    pub(super) fn forward_pass(&mut self, x: Input<'_>, batch: usize, keeps_last_z: bool) -> Result<(), Error> {
        let last = self.layers.len() - 1;
        let mut a_prev = x;
        for (index, Layer { dense, w, b, z, a, .. }) in self.layers.iter_mut().enumerate() {
            let len = batch * dense.outputs();
            let a = &mut a[..len];
            // Behind the identity `a` is `z`.
            let is_wanted = index == last && keeps_last_z && dense.activation() != Activation::Identity;
            let outputs = Outputs::new(&mut *a);
            let mut outputs = if is_wanted || needs_z(dense) { outputs.z(&mut z[..len]) } else { outputs };
            let (w, b) = (Weights::from(&**w), Bias::from(&**b));
            dense.with_workspace(|dense, workspace| dense.forward_call(workspace, &a_prev, &w, &b, &mut outputs))?;
            a_prev = Input::Slice(a);
        }
        Ok(())
    }

    /// The cost and the gradient on top.
    fn cost_pass<'t>(&mut self, batch: usize, top: &mut Top<'t>) -> Result<Cost<'t>, Error> {
        let Layer { dense, z, a, d_a, d_z, .. } = self.layers.last_mut().ok_or(Error::NoLayers)?;
        let kernels = dense.target()?.kernels;
        let len = batch * dense.outputs();
        // In place: a cost of the caller's own may panic, and the memory has to be there for the next call.
        let (z, a, d_a, d_z) = (z_of(dense, z, a, len), &a[..len], &mut d_a[..len], &mut d_z[..len]);
        Ok(match top {
            Top::Targets(targets) => {
                let by_z = self.objective.wants_z();
                let short_cut = self.objective.short_cut(targets);
                let sum = self.objective.sum(kernels, targets, z, a, if by_z { d_z } else { d_a });
                let above = match short_cut {
                    Some(y) => Above::Targets(y),
                    None if by_z => Above::ByZ,
                    None => Above::ByA,
                };
                Cost { sum, divisor: targets.divisor(), mean: self.objective.scale(targets), above }
            }
            Top::ByA(cost) => Cost { sum: cost(a, d_a), divisor: 1.0, mean: 1.0, above: Above::ByA },
            Top::ByZ(cost) => Cost { sum: cost(z, d_z), divisor: 1.0, mean: 1.0, above: Above::ByZ },
        })
    }

    /// Visits the layers from the last to the first with the gradient from above, the input, and the place of its
    /// gradient; nobody asks for the gradient by `x`.
    pub(super) fn descend<E>(
        layers: &mut [Layer],
        x: Input<'_>,
        batch: usize,
        mut visit: impl FnMut(usize, &mut Layer, Input<'_>, Option<&mut [f32]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = layers;
        let mut index = rest.len();
        while let Some((layer, below)) = rest.split_last_mut() {
            let (a_prev, d_a_prev) = match below.last_mut() {
                None => (x, None),
                Some(Layer { dense, a, d_a, .. }) => {
                    let rows = ..batch * dense.outputs();
                    (Input::Slice(&a[rows]), Some(&mut d_a[rows]))
                }
            };
            index -= 1;
            visit(index, layer, a_prev, d_a_prev)?;
            rest = below;
        }
        Ok(())
    }

    /// All gradients by the parameters, times `scale`.
    fn gradients_pass(
        &mut self,
        x: Input<'_>,
        batch: usize,
        top: Above<'_>,
        scale: f32,
        add: bool,
    ) -> Result<(), Error> {
        let mut above = Some(top);
        Self::descend(&mut self.layers, x, batch, |_, layer, a_prev, d_a_prev| {
            layer.gradients(a_prev, batch, above.take().unwrap_or(Above::ByA), d_a_prev, (scale, add))
        })?;
        self.has_gradients = true;
        Ok(())
    }

    /// A step of the optimiser, each layer within its backward pass.
    fn step_pass(&mut self, x: Input<'_>, batch: usize, top: Above<'_>, scale: f32) -> Result<(), Error> {
        let update = self.next_step(scale)?;
        let mut above = Some(top);
        Self::descend(&mut self.layers, x, batch, |_, layer, a_prev, d_a_prev| {
            let above = above.take().unwrap_or(Above::ByA);
            layer.update(a_prev, batch, above, d_a_prev, &update)
        })?;
        Ok(())
    }

    /// A step of the optimiser, if the cost and all gradients are finite.
    ///
    /// Where it follows from the size of the weights, of the inputs and of the gradient on top, each layer is one call, as
    /// without a guard. Where not, all `dz` come first, with the weights as they are; where their size tells that no gradient
    /// can overflow, each layer is updated while its gradient is made. Where that does not follow either, all gradients are
    /// made and looked at first.
    fn guarded_step(&mut self, x: Input<'_>, batch: usize, top: Above<'_>, scale: f32, cost: f64) -> Result<(), Error> {
        if !cost.is_finite() {
            return Err(Error::NotFinite { layer: None, operand: Operand::Cost });
        }
        self.look_at_inputs(x, batch, top)?;
        if self.gradients_are_bounded(batch, top, scale)? {
            return self.step_pass(x, batch, top, scale);
        }
        let mut above = Some(top);
        Self::descend(&mut self.layers, x, batch, |_, layer, a_prev, d_a_prev| {
            layer.make_dz(a_prev, batch, above.take().unwrap_or(Above::ByA), d_a_prev)
        })?;
        if self.verdict(batch, scale)? == Verdict::MayOverflow {
            // Those that stood there are lost, even if the step is refused.
            self.has_gradients = false;
            self.gradients_of_dz(x, batch, scale)?;
            self.check_gradients()?;
            return self.apply();
        }
        let update = self.next_step(scale)?;
        Self::descend(&mut self.layers, x, batch, |_, layer, a_prev, _| {
            layer.update(a_prev, batch, Above::ByZ, None, &update)
        })?;
        Ok(())
    }

    /// All gradients by the parameters from each layer's `dz`.
    fn gradients_of_dz(&mut self, x: Input<'_>, batch: usize, scale: f32) -> Result<(), Error> {
        Self::descend(&mut self.layers, x, batch, |_, layer, a_prev, _| {
            layer.gradients(a_prev, batch, Above::ByZ, None, (scale, false))
        })
    }

    /// The next step of the optimiser, which counts as taken; the layers' gradients are none from here on.
    fn next_step(&mut self, scale: f32) -> Result<Next, Error> {
        let step = self.number_of_next_step()?;
        let rules = Rules::new(&self.optimizer, step)?;
        self.steps = step;
        self.has_gradients = false;
        Ok(Next { optimizer: self.optimizer, rules, scale, is_guarded: self.is_guarded })
    }
}

/// The cost of a batch and the gradient on top.
struct Cost<'t> {
    /// The cost before it is divided: of the network's own `Σ s·L`.
    sum: f64,
    divisor: f64,
    /// The factor that makes sums over the batch means.
    mean: f32,
    above: Above<'t>,
}

/// A step of the optimiser.
struct Next {
    optimizer: Optimizer,
    rules: Rules,
    scale: f32,
    /// Whether the layers know how large their gradients can be.
    is_guarded: bool,
}

/// The gradients, and that by the input where it has a place.
#[inline(always)]
fn with_a_prev<'l>(gradients: Gradients<'l>, d_a_prev: Option<&'l mut [f32]>) -> Gradients<'l> {
    match d_a_prev {
        None => gradients,
        Some(d_a_prev) => gradients.a_prev(d_a_prev),
    }
}

impl Layer {
    /// The gradients by the parameters, times a scale and added to what is there if wanted, and the gradient by the input.
    fn gradients(
        &mut self,
        a_prev: Input<'_>,
        batch: usize,
        above: Above<'_>,
        d_a_prev: Option<&mut [f32]>,
        (scale, add): (f32, bool),
    ) -> Result<(), Error> {
        let Self { dense, w, d_w, d_b, z, a, d_a, d_z, .. } = self;
        let gradients = Gradients::new().scale(scale);
        let (d_w, d_b) = (&mut **d_w, &mut **d_b);
        let gradients = if add { gradients.add_to_w(d_w).add_to_b(d_b) } else { gradients.w(d_w).b(d_b) };
        let gradients = with_a_prev(gradients, d_a_prev);
        let len = batch * dense.outputs();
        let upstream = above.upstream(&d_a[..len], &d_z[..len]);
        dense.backward(a_prev, &**w, saved(dense, z, a, batch), upstream, gradients)
    }

    /// The layer's `dz`, and the gradient by its input.
    fn make_dz(
        &mut self,
        a_prev: Input<'_>,
        batch: usize,
        above: Above<'_>,
        d_a_prev: Option<&mut [f32]>,
    ) -> Result<(), Error> {
        let Self { dense, w, z, a, d_a, d_z, .. } = self;
        let len = batch * dense.outputs();
        let (d_a, d_z) = (&d_a[..len], &mut d_z[..len]);
        let gradients = with_a_prev(Gradients::new(), d_a_prev);
        let saved = saved(dense, z, a, batch);
        match above {
            Above::ByA => dense.backward(a_prev, &**w, saved, Upstream::Activation(d_a), gradients.z(d_z)),
            Above::Targets(y) => dense.backward(a_prev, &**w, saved, Upstream::Targets(y), gradients.z(d_z)),
            Above::ByZ => dense.backward(a_prev, &**w, saved, Upstream::PreActivation(&*d_z), gradients),
        }
    }

    /// The backward pass, with a step of the optimiser.
    fn update(
        &mut self,
        a_prev: Input<'_>,
        batch: usize,
        above: Above<'_>,
        d_a_prev: Option<&mut [f32]>,
        Next { optimizer, rules, scale, is_guarded }: &Next,
    ) -> Result<(), Error> {
        let Self { dense, w, b, d_w, state, z, a, d_a, d_z, largest_gradient, .. } = self;
        let bound_after = |bound| if *is_guarded { optimizer.bound_after(bound, *largest_gradient) } else { None };
        let (mut w, mut b) = (Parameter::new(w.for_step(bound_after)), Parameter::new(&mut **b));
        for [of_w, of_b] in state {
            w.add_state(&mut **of_w);
            b.add_state(&mut **of_b);
        }
        let len = batch * dense.outputs();
        let saved = saved(dense, z, a, batch);
        let upstream = above.upstream(&d_a[..len], &d_z[..len]).into_input();
        let mut others = with_a_prev(Gradients::new().w(&mut **d_w).scale(*scale), d_a_prev);
        let (a_prev, w, b) = (&a_prev, &mut w, Some(&mut b));
        let (saved, upstream, others) = (&saved, &upstream, &mut others);
        let operands = UpdateOperands { a_prev, w, b, saved, upstream, others };
        dense.with_workspace(|dense, workspace| dense.update_call(workspace, operands, rules))
    }
}
