//! A layer with operands: its calls on memory of any layout, and what they must return.

use super::compare::assert_bits;
use super::options::{Above, BackwardOptions, ForwardOptions, Kept, UpdateOptions, Want};
use super::oracle;
use super::stored::{CANARY, Placement, Stored};
use super::values;
use core::cell::RefCell;
use core::fmt;
use fused_dense::{
    Activation, Bias, Dense, Gradients, MatrixView, Operand, Outputs, Parameter, Saved, Update, Weights, Workspace,
    reference,
};

/// Each output of a call with its elements, row by row.
pub(crate) type Results<T = f32> = Vec<(Operand, Vec<T>)>;

/// A layer, and plain values for every operand of its calls.
#[derive(Clone)]
pub(crate) struct Problem {
    pub(crate) layer: Dense,
    pub(crate) batch: usize,
    pub(crate) a_prev: Vec<f32>,
    pub(crate) w: Vec<f32>,
    pub(crate) b: Vec<f32>,
    /// The saved values of a backward call, from a forward call on any inputs.
    pub(crate) z: Vec<f32>,
    pub(crate) d_a: Vec<f32>,
    pub(crate) d_z: Vec<f32>,
    pub(crate) targets: Vec<f32>,
    /// The values that gradients are added to.
    pub(crate) old_w: Vec<f32>,
    pub(crate) old_b: Vec<f32>,
    pub(crate) old_a_prev: Vec<f32>,
    /// Whether calls are given the weights packed.
    pub(crate) packed: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layer, batch) = (&self.layer, self.batch);
        let isa = layer.isa().map_or_else(|error| error.to_string(), |isa| isa.to_string());
        let (inputs, outputs, activation) = (layer.inputs(), layer.outputs(), layer.activation());
        let packed = if self.packed { ", weights packed" } else { "" };
        write!(f, "{batch}×{inputs}→{outputs} {activation} on {isa}, {:?} order{packed}", layer.summation())
    }
}

thread_local! {
    /// Used by one call after the other without being cleared: no call may count on what scratch memory holds.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

fn with_used_workspace<R>(layer: &Dense, call: impl FnOnce(&mut Workspace) -> R) -> R {
    WORKSPACE.with_borrow_mut(|workspace| {
        let len = layer.workspace_len().expect("a size");
        if workspace.len() < len {
            *workspace = Workspace::new(len);
        }
        call(workspace)
    })
}

/// A parameter with its state, to be updated.
fn parameter<'s>(value: &'s mut Stored, state: &'s mut [(Operand, Stored)]) -> Parameter<'s> {
    state.iter_mut().fold(Parameter::new(value.output()), |parameter, (_, array)| parameter.state(array.output()))
}

impl Problem {
    /// Pseudo-random operands.
    pub(crate) fn new(layer: Dense, batch: usize) -> Self {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        Self {
            batch,
            a_prev: values(batch * inputs, 1),
            w: values(outputs * inputs, 2),
            b: values(outputs, 3),
            z: values(batch * outputs, 10).iter().map(|z| 3.0 * z).collect(),
            d_a: values(batch * outputs, 4),
            d_z: values(batch * outputs, 5),
            targets: values(batch * outputs, 6).iter().map(|y| 0.25 * y + 0.5).collect(),
            old_w: values(outputs * inputs, 7),
            old_b: values(outputs, 8),
            old_a_prev: values(batch * inputs, 9),
            packed: false,
            layer,
        }
    }

    fn is_exact(&self) -> bool {
        self.layer.isa().expect("an instruction set").is_bit_exact()
    }

    /// `g` of each value.
    pub(crate) fn activated(&self, z: &[f32]) -> Vec<f32> {
        z.iter().map(|&z| self.layer.activation().value(z)).collect()
    }

    /// The values that a call saves: some activations need `z`, whatever the options say.
    pub(crate) fn kept(&self, options: &BackwardOptions) -> Kept {
        if self.layer.activation().needs_z() { Kept::Z } else { options.kept }
    }

    /// The operands of a backward call: upstream and saved values. Targets need a sigmoid; other layers get `dA`.
    pub(crate) fn backward_inputs(&self, options: &BackwardOptions) -> (Above, &[f32], Vec<f32>) {
        let saved = match self.kept(options) {
            Kept::A => self.activated(&self.z),
            Kept::Z => self.z.clone(),
        };
        match options.from {
            Above::Targets if self.layer.activation() == Activation::Sigmoid => (Above::Targets, &self.targets, saved),
            Above::PreActivation => (Above::PreActivation, &self.d_z, saved),
            Above::Activation | Above::Targets => (Above::Activation, &self.d_a, saved),
        }
    }

    /// The same problem with its weights packed before each call.
    pub(crate) fn with_packed_weights(&self) -> Self {
        Self { packed: true, ..self.clone() }
    }

    /// The weights as calls are given them. Packed, they come into memory that held others.
    fn with_weights<R>(&self, w: &Stored, call: impl FnOnce(Weights<'_>) -> R) -> R {
        if !self.packed {
            return call(w.input().into());
        }
        let (inputs, outputs) = (self.layer.inputs(), self.layer.outputs());
        let others = vec![CANARY; outputs * inputs];
        let others = MatrixView::new(&others, outputs, inputs, 1, outputs).expect("a valid view");
        let mut packed = self.layer.pack(others).expect("weights of the right size");
        assert_eq!(packed.repack(w.input()), Ok(()), "{self}");
        call(Weights::Packed(&packed))
    }

    /// The forward call on operands placed as told.
    #[track_caller]
    pub(crate) fn forward(&self, options: &ForwardOptions, placement: &Placement<'_>) -> Results {
        let (layer, batch) = (&self.layer, self.batch);
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let a_prev = Stored::new(placement, Operand::APrev, batch, inputs, &self.a_prev);
        let w = Stored::new(placement, Operand::W, outputs, inputs, &self.w);
        let b = Stored::new(placement, Operand::B, 1, outputs, &self.b);
        let mut a = Stored::canaries(placement, Operand::A, batch, outputs);
        let mut z = Stored::canaries(placement, Operand::Z, batch, outputs);

        let bias = if options.bias { Bias::Given(b.input()) } else { Bias::None };
        let outputs = Outputs::new(a.overwritten());
        let outputs = if options.keep_z { outputs.z(z.overwritten()) } else { outputs };
        let result = self.with_weights(&w, |w| {
            with_used_workspace(layer, |used| layer.forward_in(used, a_prev.input(), w, bias, outputs))
        });
        assert_eq!(result, Ok(()), "{self}");

        a_prev.assert_holds(Operand::APrev, &self.a_prev);
        w.assert_holds(Operand::W, &self.w);
        b.assert_holds(Operand::B, &self.b);
        let mut results = vec![(Operand::A, a.written(Operand::A))];
        if options.keep_z {
            results.push((Operand::Z, z.written(Operand::Z)));
        }
        results
    }

    /// The backward call on operands placed as told.
    #[track_caller]
    pub(crate) fn backward(&self, options: &BackwardOptions, placement: &Placement<'_>) -> Results {
        let (layer, batch) = (&self.layer, self.batch);
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let (from, upstream_values, saved_values) = self.backward_inputs(options);
        let upstream_operand = from.operand();
        let a_prev = Stored::new(placement, Operand::APrev, batch, inputs, &self.a_prev);
        let w = Stored::new(placement, Operand::W, outputs, inputs, &self.w);
        let saved = Stored::new(placement, Operand::A, batch, outputs, &saved_values);
        let upstream = Stored::new(placement, upstream_operand, batch, outputs, upstream_values);
        let gradient = |want, operand, rows, cols, old: &[f32]| match want {
            Want::Add => Stored::new(placement, operand, rows, cols, old),
            Want::Nothing | Want::Overwrite => Stored::canaries(placement, operand, rows, cols),
        };
        let mut d_w = gradient(options.w, Operand::DW, outputs, inputs, &self.old_w);
        let mut d_b = gradient(options.b, Operand::DB, 1, outputs, &self.old_b);
        let mut d_a_prev = gradient(options.a_prev, Operand::DAPrev, batch, inputs, &self.old_a_prev);
        let mut d_z = Stored::canaries(placement, Operand::DZ, batch, outputs);

        let mut gradients = Gradients::new().scale(options.scale);
        gradients = match options.w {
            Want::Nothing => gradients,
            Want::Overwrite => gradients.w(d_w.overwritten()),
            Want::Add => gradients.add_to_w(d_w.output()),
        };
        gradients = match options.b {
            Want::Nothing => gradients,
            Want::Overwrite => gradients.b(d_b.overwritten()),
            Want::Add => gradients.add_to_b(d_b.output()),
        };
        gradients = match options.a_prev {
            Want::Nothing => gradients,
            Want::Overwrite => gradients.a_prev(d_a_prev.overwritten()),
            Want::Add => gradients.add_to_a_prev(d_a_prev.output()),
        };
        if options.keep_dz {
            gradients = gradients.z(d_z.overwritten());
        }
        let kept = match self.kept(options) {
            Kept::A => Saved::A(saved.input()),
            Kept::Z => Saved::Z(saved.input()),
        };
        let from_above = from.upstream(upstream.input());
        let result = self.with_weights(&w, |w| {
            with_used_workspace(layer, |used| layer.backward_in(used, a_prev.input(), w, kept, from_above, gradients))
        });
        assert_eq!(result, Ok(()), "{self}");

        a_prev.assert_holds(Operand::APrev, &self.a_prev);
        w.assert_holds(Operand::W, &self.w);
        saved.assert_holds(Operand::A, &saved_values);
        upstream.assert_holds(upstream_operand, upstream_values);
        let wanted = [
            (options.w != Want::Nothing, Operand::DW, d_w),
            (options.b != Want::Nothing, Operand::DB, d_b),
            (options.a_prev != Want::Nothing, Operand::DAPrev, d_a_prev),
            (options.keep_dz, Operand::DZ, d_z),
        ];
        let wanted = wanted.into_iter().filter(|(is_wanted, ..)| *is_wanted);
        wanted.map(|(_, operand, stored)| (operand, stored.written(operand))).collect()
    }

    /// The arrays of an optimiser beside weights, or a bias, before the step: velocity and first moment are what gradients are
    /// otherwise added to, the second moment is their square.
    fn state(&self, options: &UpdateOptions, operand: Operand) -> Vec<(Operand, Vec<f32>)> {
        let (old, [first, second]) = match operand {
            Operand::W => (&self.old_w, [Operand::MW, Operand::VW]),
            _ => (&self.old_b, [Operand::MB, Operand::VB]),
        };
        match options.optimizer().state_arrays() {
            0 => vec![],
            1 => vec![(second, old.clone())],
            _ => vec![(first, old.clone()), (second, old.iter().map(|x| x * x).collect())],
        }
    }

    /// The update of parameters placed as told.
    #[track_caller]
    pub(crate) fn update(
        &self,
        options: &BackwardOptions,
        update_options: &UpdateOptions,
        placement: &Placement<'_>,
    ) -> Results {
        let (layer, batch) = (&self.layer, self.batch);
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let (from, upstream_values, saved_values) = self.backward_inputs(options);
        let upstream_operand = from.operand();
        let a_prev = Stored::new(placement, Operand::APrev, batch, inputs, &self.a_prev);
        let saved = Stored::new(placement, Operand::A, batch, outputs, &saved_values);
        let upstream = Stored::new(placement, upstream_operand, batch, outputs, upstream_values);
        let mut w = Stored::new(placement, Operand::W, outputs, inputs, &self.w);
        let mut b = Stored::new(placement, Operand::B, 1, outputs, &self.b);
        let stored = |operand, rows, cols| -> Vec<(Operand, Stored)> {
            let state = self.state(update_options, operand).into_iter();
            state.map(|(name, values)| (name, Stored::new(placement, name, rows, cols, &values))).collect()
        };
        let (mut w_state, mut b_state) = (stored(Operand::W, outputs, inputs), stored(Operand::B, 1, outputs));
        let mut room = Stored::canaries(placement, Operand::DW, outputs, inputs);
        let mut d_a_prev = match options.a_prev {
            Want::Add => Stored::new(placement, Operand::DAPrev, batch, inputs, &self.old_a_prev),
            Want::Nothing | Want::Overwrite => Stored::canaries(placement, Operand::DAPrev, batch, inputs),
        };
        let mut d_z = Stored::canaries(placement, Operand::DZ, batch, outputs);

        let bias = update_options.bias;
        let mut update = Update::new(update_options.optimizer()).step(update_options.step).scale(options.scale);
        if bias {
            update = update.b(parameter(&mut b, &mut b_state));
        }
        // Room that is not needed may be there.
        if batch > layer.update_batch().expect("a size") || options.scale == BackwardOptions::PLAIN.scale {
            update = update.partial_sums(room.output());
        }
        update = match options.a_prev {
            Want::Nothing => update,
            Want::Overwrite => update.a_prev(d_a_prev.overwritten()),
            Want::Add => update.add_to_a_prev(d_a_prev.output()),
        };
        if options.keep_dz {
            update = update.z(d_z.overwritten());
        }
        let kept = match self.kept(options) {
            Kept::A => Saved::A(saved.input()),
            Kept::Z => Saved::Z(saved.input()),
        };
        let result = with_used_workspace(layer, |used| {
            let w = parameter(&mut w, &mut w_state);
            layer.backward_update_in(used, a_prev.input(), w, kept, from.upstream(upstream.input()), update)
        });
        assert_eq!(result, Ok(()), "{self}");

        a_prev.assert_holds(Operand::APrev, &self.a_prev);
        saved.assert_holds(Operand::A, &saved_values);
        upstream.assert_holds(upstream_operand, upstream_values);
        if !bias {
            b.assert_holds(Operand::B, &self.b);
        }
        let mut wanted = vec![(Operand::W, w)];
        wanted.extend(w_state);
        if bias {
            wanted.push((Operand::B, b));
            wanted.extend(b_state);
        }
        if options.a_prev != Want::Nothing {
            wanted.push((Operand::DAPrev, d_a_prev));
        }
        if options.keep_dz {
            wanted.push((Operand::DZ, d_z));
        }
        wanted.into_iter().map(|(operand, stored)| (operand, stored.written(operand))).collect()
    }

    /// The results of an update, from those of the backward pass: `step` takes whether a parameter decays, its old value,
    /// its gradient and its state, which it changes, and returns its new value.
    fn stepped<T: Copy + From<f32>>(
        &self,
        backward: Results<T>,
        options: &UpdateOptions,
        step: impl Fn(bool, f32, T, &mut [T]) -> T,
    ) -> Results<T> {
        let mut results = Results::new();
        for (operand, mut values) in backward {
            let (parameter, old) = match operand {
                Operand::DW => (Operand::W, &self.w),
                Operand::DB if options.bias => (Operand::B, &self.b),
                Operand::DB => continue,
                _ => {
                    results.push((operand, values));
                    continue;
                }
            };
            let mut state: Results<T> = self
                .state(options, parameter)
                .into_iter()
                .map(|(name, values)| (name, values.into_iter().map(T::from).collect()))
                .collect();
            for (i, value) in values.iter_mut().enumerate() {
                let mut its: Vec<T> = state.iter().map(|(_, values)| values[i]).collect();
                *value = step(parameter == Operand::W, old[i], *value, &mut its);
                state.iter_mut().zip(its).for_each(|((_, values), new)| values[i] = new);
            }
            results.push((parameter, values));
            results.extend(state);
        }
        results
    }

    /// Runs an update and compares it with the backward pass and a scalar step behind it, as [`check`](Self::check).
    #[track_caller]
    pub(crate) fn check_update(&self, options: &BackwardOptions, update: &UpdateOptions, placement: &Placement<'_>) {
        let options = &BackwardOptions { w: Want::Overwrite, b: Want::Overwrite, ..*options };
        let found = self.update(options, update, placement);
        if self.is_exact() {
            let gradients = self.backward_reference(options, self.contiguous_inputs(placement));
            let expected = self.stepped(gradients, update, |decays, old, g, state: &mut [f32]| {
                reference::update(update.optimizer(), update.step, decays, old, g, state)
            });
            self.assert_equal(&found, &expected, &(options, update));
        } else {
            let exact = self.stepped(oracle::backward(self, options), update, |decays, old, g, state| {
                oracle::step(update, decays, old, g, state)
            });
            self.assert_within(&found, &exact, &(options, update));
        }
    }

    /// The results that [`forward`](Self::forward) must return, by the crate's reference.
    fn forward_reference(&self, options: &ForwardOptions, contiguous_inputs: bool) -> Results {
        let b = options.bias.then_some(self.b.as_slice());
        let z = reference::forward_z(&self.layer, self.batch, &self.a_prev, &self.w, b, contiguous_inputs);
        let mut results = vec![(Operand::A, self.activated(&z))];
        if options.keep_z {
            results.push((Operand::Z, z));
        }
        results
    }

    /// `dz` by the crate's reference.
    fn dz_reference(&self, options: &BackwardOptions) -> Vec<f32> {
        let g = self.layer.activation();
        let (from, upstream, saved) = self.backward_inputs(options);
        let dz = |(&upstream, &saved): (&f32, &f32)| match (from, self.kept(options)) {
            (Above::Activation, Kept::A) => upstream * g.derivative_from_a(saved),
            (Above::Activation, Kept::Z) => upstream * g.derivative_from_z(saved),
            (Above::PreActivation, _) => upstream,
            (Above::Targets, Kept::A) => saved - upstream,
            (Above::Targets, Kept::Z) => g.value(saved) - upstream,
        };
        upstream.iter().zip(&saved).map(dz).collect()
    }

    /// The results that [`backward`](Self::backward) must return, by the crate's reference.
    fn backward_reference(&self, options: &BackwardOptions, contiguous_inputs: bool) -> Results {
        let (layer, m, scale) = (&self.layer, self.batch, options.scale);
        let dz = self.dz_reference(options);
        let mut results = Results::new();
        if options.w != Want::Nothing {
            let old = (options.w == Want::Add).then_some(self.old_w.as_slice());
            results.push((Operand::DW, reference::backward_w(layer, m, &dz, &self.a_prev, scale, old)));
        }
        if options.b != Want::Nothing {
            let old = (options.b == Want::Add).then_some(self.old_b.as_slice());
            results.push((Operand::DB, reference::backward_b(layer, m, &dz, scale, old)));
        }
        if options.a_prev != Want::Nothing {
            let old = (options.a_prev == Want::Add).then_some(self.old_a_prev.as_slice());
            let d_a_prev = reference::backward_a_prev(layer, m, &dz, &self.w, old, contiguous_inputs);
            results.push((Operand::DAPrev, d_a_prev));
        }
        if options.keep_dz {
            results.push((Operand::DZ, dz));
        }
        results
    }

    /// Whether the weights, placed so, lie contiguous along the inputs, which the `Auto` order looks at.
    fn contiguous_inputs(&self, placement: &Placement<'_>) -> bool {
        let w = Stored::new(placement, Operand::W, self.layer.outputs(), self.layer.inputs(), &self.w);
        let (row_stride, col_stride) = w.counting_strides();
        col_stride <= row_stride
    }

    /// Runs both passes and compares: with the reference to the bit or, where multiply-adds are not fused, with the
    /// exact values to the bound that `oracle` derives.
    #[track_caller]
    pub(crate) fn check(&self, forward: &ForwardOptions, backward: &BackwardOptions, placement: &Placement<'_>) {
        let a = self.forward(forward, placement);
        let d = self.backward(backward, placement);
        if self.is_exact() {
            let contiguous_inputs = self.contiguous_inputs(placement);
            self.assert_equal(&a, &self.forward_reference(forward, contiguous_inputs), forward);
            self.assert_equal(&d, &self.backward_reference(backward, contiguous_inputs), backward);
        } else {
            self.assert_within(&a, &oracle::forward(self, forward), forward);
            self.assert_within(&d, &oracle::backward(self, backward), backward);
        }
    }

    /// Fails where results differ in a bit.
    #[track_caller]
    pub(crate) fn assert_equal(&self, found: &Results, expected: &Results, options: &dyn fmt::Debug) {
        assert_eq!(found.len(), expected.len());
        for ((operand, found), (its, expected)) in found.iter().zip(expected) {
            assert_eq!(operand, its);
            assert_bits(format_args!("{self}: {operand} with {options:?}"), found, expected);
        }
    }

    /// Fails where a result is further from its exact value than the bound.
    #[track_caller]
    pub(crate) fn assert_within(&self, found: &Results, exact: &Results<oracle::Bounded>, options: &dyn fmt::Debug) {
        assert_eq!(found.len(), exact.len());
        for ((operand, found), (its, exact)) in found.iter().zip(exact) {
            assert_eq!((operand, found.len()), (its, exact.len()));
            for (i, (&found, exact)) in found.iter().zip(exact).enumerate() {
                assert!(exact.admits(found), "{self}: {operand}[{i}] = {found:e}, exact {exact:?}, with {options:?}");
            }
        }
    }
}
