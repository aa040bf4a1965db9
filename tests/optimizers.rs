//! Optimisers: several steps in a row, alone and within the backward pass, against the reference to the bit and the
//! textbook's formulas in `f64` to a bound.

#![cfg(not(miri))]

mod support;

use core::mem::MaybeUninit;
use fused_dense::{
    Activation, Adam, Dense, Error, Gradients, Isa, MatrixViewMut, Operand, Optimizer, Output, Parameter, Sgd,
    Summation, Team, Update, Upstream, reference,
};
use support::compare::assert_bits;
use support::options::{Rule, UpdateOptions};
use support::{isas, values};

/// A parameter with what an optimiser keeps beside it, all zero at first.
#[derive(Clone, Debug)]
struct Trained {
    value: Vec<f32>,
    state: Vec<Vec<f32>>,
}

impl Trained {
    fn new(optimizer: Optimizer, value: Vec<f32>) -> Self {
        Self { state: vec![vec![0.0; value.len()]; optimizer.state_arrays()], value }
    }

    fn parameter(&mut self) -> Parameter<'_> {
        self.state.iter_mut().fold(Parameter::new(&mut self.value), |parameter, array| parameter.state(array))
    }

    /// The reference's step.
    fn step(&mut self, optimizer: Optimizer, step: u64, decays: bool, gradient: &[f32]) {
        for (i, (value, &g)) in self.value.iter_mut().zip(gradient).enumerate() {
            let mut its: Vec<f32> = self.state.iter().map(|array| array[i]).collect();
            *value = reference::update(optimizer, step, decays, *value, g, &mut its);
            self.state.iter_mut().zip(its).for_each(|(array, new)| array[i] = new);
        }
    }

    fn apply(&mut self, optimizer: Optimizer, isa: Isa, step: u64, gradient: &[f32]) {
        let mut state: Vec<&mut [f32]> = self.state.iter_mut().map(Vec::as_mut_slice).collect();
        optimizer.apply_with_isa(isa, step, &mut self.value, gradient, &mut state).expect("a valid call");
    }

    #[track_caller]
    fn assert_equal(&self, other: &Self, what: impl core::fmt::Display) {
        assert_bits(format_args!("{what}: parameter"), &self.value, &other.value);
        assert_eq!(self.state.len(), other.state.len());
        for (i, (found, expected)) in self.state.iter().zip(&other.state).enumerate() {
            assert_bits(format_args!("{what}: state {i}"), found, expected);
        }
    }
}

/// The instruction sets that have the reference's bits.
fn exact() -> impl Iterator<Item = Isa> {
    isas::all().into_iter().filter(|isa| isa.is_bit_exact())
}

fn optimizers() -> impl Iterator<Item = (UpdateOptions, Optimizer)> {
    UpdateOptions::ALL.into_iter().map(|options| (options, options.optimizer()))
}

/// A layer's weights and bias over some steps within the backward pass, and by the gradients that `backward` returns.
struct Training {
    layer: Dense,
    batch: usize,
    optimizer: Optimizer,
    w: Trained,
    b: Trained,
}

impl Training {
    fn new(layer: Dense, batch: usize, optimizer: Optimizer) -> Self {
        let [w, b] = [layer.inputs() * layer.outputs(), layer.outputs()]
            .map(|len| Trained::new(optimizer, values(len, len as u64)));
        Self { layer, batch, optimizer, w, b }
    }

    fn inputs(&self, step: u64) -> (Vec<f32>, Vec<f32>) {
        let (m, k, n) = (self.batch, self.layer.inputs(), self.layer.outputs());
        (values(m * k, 2 * step), values(m * n, 2 * step + 1))
    }

    /// `z` for `a`: the layer has no activation to undo.
    fn fused(&mut self, step: u64) {
        let (x, d_z) = self.inputs(step);
        let mut room = vec![0.0; self.w.value.len()];
        let update = Update::new(self.optimizer).step(step).b(self.b.parameter()).scale(0.01);
        let update = match self.batch > self.layer.update_batch().expect("a size") || step.is_multiple_of(2) {
            true => update.partial_sums(&mut room),
            false => update,
        };
        let upstream = Upstream::PreActivation(&d_z);
        self.layer.backward_update(&x, self.w.parameter(), &d_z, upstream, update).expect("a valid call");
    }

    fn by_the_reference(&mut self, step: u64) {
        let (x, d_z) = self.inputs(step);
        let (mut d_w, mut d_b) = (vec![0.0; self.w.value.len()], vec![0.0; self.b.value.len()]);
        let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).scale(0.01);
        let upstream = Upstream::PreActivation(&d_z);
        self.layer.backward(&x, &self.w.value, &d_z, upstream, gradients).expect("a valid call");
        self.w.step(self.optimizer, step, true, &d_w);
        self.b.step(self.optimizer, step, false, &d_b);
    }
}

#[test]
fn state_evolves_as_in_the_reference() {
    for isa in exact() {
        for (options, optimizer) in optimizers() {
            for (batch, inputs, outputs) in [(1, 40, 37), (7, 19, 33), (9, 1030, 3), (300, 33, 20), (1100, 9, 17)] {
                let layer = isas::layer(isa, Summation::Auto, inputs, outputs, Activation::Identity);
                let mut fused = Training::new(layer.clone(), batch, optimizer);
                let mut expected = Training::new(layer, batch, optimizer);
                for step in options.step..options.step + 4 {
                    fused.fused(step);
                    expected.by_the_reference(step);
                }
                let what = format!("{batch}×{inputs}→{outputs} on {isa}, {optimizer}");
                fused.w.assert_equal(&expected.w, format_args!("w of {what}"));
                fused.b.assert_equal(&expected.b, format_args!("b of {what}"));
            }
        }
    }
}

/// On any number of threads, and where they share by tiles, by chunks or by blocks.
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let rules = [8, 10, 12].map(|index| UpdateOptions::ALL[index].optimizer());
    let shapes = [(40, 90, 133), (1, 600, 310), (1030, 35, 20)];
    let train = |layer: Dense, batch, optimizer| {
        let mut training = Training::new(layer, batch, optimizer);
        (1..=2).for_each(|step| training.fused(step));
        training
    };
    for (batch, inputs, outputs) in shapes {
        let layer = Dense::new(inputs, outputs, Activation::Identity);
        let serial = rules.map(|optimizer| train(layer.clone(), batch, optimizer));
        for threads in 1..=16 {
            let team = Team::new(threads);
            let shared = layer.clone().with_threads(&team);
            assert_eq!(threads > 1, shared.describe(batch).expect("a plan").d_w.workers > 1);
            for (optimizer, expected) in rules.into_iter().zip(&serial) {
                let found = train(shared.clone(), batch, optimizer);
                found.w.assert_equal(&expected.w, format_args!("w, {threads} threads, {optimizer}"));
                found.b.assert_equal(&expected.b, format_args!("b, {threads} threads, {optimizer}"));
            }
        }
    }
}

/// Every length, as far as whole groups of vectors and what is left of them go.
#[test]
fn a_step_alone_has_the_bits_of_the_reference() {
    for isa in exact() {
        for (options, optimizer) in optimizers() {
            for len in (0..=140).chain([1000]) {
                let mut found = Trained::new(optimizer, values(len, 1));
                let mut expected = found.clone();
                for step in options.step..options.step + 3 {
                    let gradient = values(len, step);
                    found.apply(optimizer, isa, step, &gradient);
                    expected.step(optimizer, step, true, &gradient);
                }
                found.assert_equal(&expected, format_args!("{len} elements on {isa}, {optimizer}"));
            }
        }
    }
}

#[test]
fn special_values_go_as_in_the_reference() {
    let special = [
        0.0,
        -0.0,
        1.0,
        -3.0,
        1e-30,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        -1e-40,
        1e30,
        f32::MAX,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let n = special.len();
    let all = |stride: usize| (0..n * n * n).map(move |i| special[i / stride % n]).collect::<Vec<f32>>();
    for isa in exact() {
        for (options, optimizer) in optimizers() {
            let mut found = Trained::new(optimizer, all(1));
            // Each array by itself: the second moment is no negative number.
            found.state.iter_mut().for_each(|array| *array = all(n));
            if let [_, second] = &mut found.state[..] {
                second.iter_mut().for_each(|v| *v = v.abs());
            }
            let mut expected = found.clone();
            found.apply(optimizer, isa, options.step, &all(n * n));
            expected.step(optimizer, options.step, true, &all(n * n));
            found.assert_equal(&expected, format_args!("on {isa}, {optimizer}"));
        }
    }
}

/// The textbook's rules in `f64`, as the papers write them.
fn exact_steps(options: &UpdateOptions, parameter: f32, gradients: &[Vec<f32>], i: usize) -> f64 {
    let [eta, lambda] = [options.learning_rate, options.weight_decay].map(f64::from);
    let (mut p, mut m, mut v) = (f64::from(parameter), 0.0, 0.0);
    for (gradient, t) in gradients.iter().zip(options.step as i32..) {
        let plain = f64::from(gradient[i]);
        let g = plain + lambda * p;
        match options.rule {
            Rule::Descent => p -= eta * g,
            Rule::Momentum { mu } => {
                v = f64::from(mu) * v + g;
                p -= eta * v;
            }
            Rule::Nesterov { mu } => {
                v = f64::from(mu) * v + g;
                p -= eta * (g + f64::from(mu) * v);
            }
            Rule::Adam { betas, epsilon } | Rule::DecoupledAdam { betas, epsilon } => {
                let is_decoupled = matches!(options.rule, Rule::DecoupledAdam { .. });
                let (g, decay) = if is_decoupled { (plain, eta * lambda * p) } else { (g, 0.0) };
                let (beta1, beta2) = (f64::from(betas.0), f64::from(betas.1));
                m = beta1 * m + (1.0 - beta1) * g;
                v = beta2 * v + (1.0 - beta2) * g * g;
                let (m_hat, v_hat) = (m / (1.0 - beta1.powi(t)), v / (1.0 - beta2.powi(t)));
                p = p - decay - eta * m_hat / (v_hat.sqrt() + f64::from(epsilon));
            }
        }
    }
    p
}

/// Parameters stay within a few units in the last place of the largest value that they have, 50 steps long.
#[test]
fn fifty_steps_are_near_the_exact_ones() {
    const STEPS: usize = 50;
    const LEN: usize = 100;
    let gradients: Vec<Vec<f32>> = (0..STEPS).map(|step| values(LEN, step as u64)).collect();
    let mut worst: Vec<(f64, String)> = Vec::new();
    for isa in isas::all() {
        for (options, optimizer) in optimizers() {
            let start = values(LEN, 1000);
            let mut trained = Trained::new(optimizer, start.clone());
            let mut largest = start.iter().fold(0.0_f32, |most, p| most.max(p.abs()));
            for (gradient, step) in gradients.iter().zip(options.step..) {
                trained.apply(optimizer, isa, step, gradient);
                largest = trained.value.iter().fold(largest, |most, p| most.max(p.abs()));
            }
            let error = (0..LEN).map(|i| {
                let exact = exact_steps(&options, start[i], &gradients, i);
                (f64::from(trained.value[i]) - exact).abs()
            });
            let unit = f64::from(largest) * f64::from(f32::EPSILON);
            worst.push((error.fold(0.0, f64::max) / unit, format!("{optimizer} on {isa}")));
        }
    }
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert!(worst[0].0 < 6.0, "{} units, {}", worst[0].0, worst[0].1);
}

/// The power behind Adam's corrections of its bias, beside the exact one.
#[test]
fn powers_are_exact_but_for_few_roundings() {
    for beta in [0.0_f32, 0.5, 0.9, 0.999, 0.999_999] {
        for exponent in [1_u64, 2, 3, 7, 100, 999, 1 << 20, u64::MAX] {
            let (found, exact) = (reference::power(beta.into(), exponent), f64::from(beta).powf(exponent as f64));
            // Each squaring doubles the relative error before it.
            let bound = 2.0 * exponent as f64 * f64::EPSILON * exact;
            assert!((found - exact).abs() <= bound, "{beta}^{exponent}: {found:e}, exact {exact:e}");
        }
    }
    assert_eq!(reference::power(0.5, 10), 1.0 / 1024.0);
    assert_eq!(reference::power(0.9, 0), 1.0);
}

/// Only the bias that decays would be zero in the end.
#[test]
fn a_bias_does_not_decay() {
    let optimizers: [Optimizer; 4] = [
        Sgd::new(0.25).weight_decay(2.0).into(),
        Sgd::new(0.25).momentum(0.5).weight_decay(2.0).into(),
        Adam::new(0.25).weight_decay(2.0).into(),
        Adam::new(0.25).decoupled_weight_decay(2.0).into(),
    ];
    for optimizer in optimizers {
        let [mut w, mut b] = [vec![1.0; 6], vec![1.0; 2]].map(|value| Trained::new(optimizer, value));
        for step in 1..=5 {
            let update = Update::new(optimizer).step(step).b(b.parameter());
            let upstream = Upstream::PreActivation(&[0.0; 2]);
            Dense::new(3, 2, Activation::Identity)
                .backward_update(&[0.0; 3], w.parameter(), &[0.0; 2], upstream, update)
                .expect("a valid call");
        }
        assert_eq!(b.value, [1.0; 2], "{optimizer}");
        assert!(w.value.iter().all(|w| w.abs() < 0.8), "{optimizer}: {w:?}");
    }
}

#[test]
fn an_optimizer_says_what_it_is() {
    let texts: [(Optimizer, &str); 6] = [
        (0.5.into(), "gradient descent: learning rate 0.5"),
        (Sgd::new(0.1).momentum(0.9).into(), "gradient descent: learning rate 0.1, momentum 0.9"),
        (
            Sgd::new(0.1).momentum(0.9).nesterov().weight_decay(0.01).into(),
            "gradient descent: learning rate 0.1, Nesterov's momentum 0.9, weight decay 0.01",
        ),
        (Adam::new(0.01).into(), "Adam: learning rate 0.01, betas 0.9 and 0.999, epsilon 1e-8"),
        (
            Adam::new(0.01).betas(0.5, 0.75).epsilon(0.25).weight_decay(0.1).into(),
            "Adam: learning rate 0.01, betas 0.5 and 0.75, epsilon 2.5e-1, weight decay 0.1",
        ),
        (
            Adam::new(0.01).weight_decay(0.2).decoupled_weight_decay(0.1).into(),
            "Adam: learning rate 0.01, betas 0.9 and 0.999, epsilon 1e-8, decoupled weight decay 0.1",
        ),
    ];
    for (optimizer, text) in texts {
        assert_eq!(optimizer.to_string(), text);
        assert_eq!(optimizer.with_learning_rate(0.125).learning_rate(), 0.125);
        assert_eq!(optimizer.with_learning_rate(0.125).with_learning_rate(optimizer.learning_rate()), optimizer);
        assert!(!optimizer.without_weight_decay().to_string().contains("decay"));
    }
}

/// The error of an update and of a step alone, which must leave everything as it is.
#[track_caller]
fn refused(optimizer: Optimizer, step: u64) -> Error {
    let [mut w, mut b] = [vec![1.0; 6], vec![1.0; 2]].map(|value| Trained::new(optimizer, value));
    let mut state: Vec<&mut [f32]> = w.state.iter_mut().map(Vec::as_mut_slice).collect();
    let alone = optimizer.apply(step, &mut w.value, &[1.0; 6], &mut state).expect_err("an error");
    let update = Update::new(optimizer).step(step).b(b.parameter());
    let mut d_x = [1.0; 3];
    let within = Dense::new(3, 2, Activation::Identity).backward_update(
        &[1.0; 3],
        w.parameter(),
        &[1.0; 2],
        Upstream::PreActivation(&[1.0; 2]),
        update.a_prev(&mut d_x),
    );
    // Compared as texts, since no NaN equals another.
    assert_eq!(within.expect_err("an error").to_string(), alone.to_string());
    assert!(w.value.iter().chain(&b.value).chain(&d_x).all(|&x| x == 1.0));
    assert!(w.state.iter().chain(&b.state).flatten().all(|&x| x == 0.0));
    alone
}

#[test]
fn settings_out_of_range() {
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e-3];
    for x in bad {
        let rates: [(&str, Optimizer); 8] = [
            ("learning_rate", x.into()),
            ("learning_rate", Adam::new(x).into()),
            ("weight_decay", Sgd::new(0.1).weight_decay(x).into()),
            ("weight_decay", Adam::new(0.1).weight_decay(x).into()),
            ("weight_decay", Adam::new(0.1).decoupled_weight_decay(x).into()),
            ("epsilon", Adam::new(0.1).epsilon(x).into()),
            ("momentum", Sgd::new(0.1).momentum(x).into()),
            ("beta1", Adam::new(0.1).betas(x, 0.5).into()),
        ];
        for (setting, optimizer) in rates {
            let error = refused(optimizer, 1);
            let text = error.to_string();
            let is_named = text.contains(setting) && text.ends_with(&format!("found {x}"));
            assert!(is_named && matches!(error, Error::Setting { name, .. } if name == setting), "{text}");
        }
    }
    let setting = |name, expected, found| Error::Setting { name, expected, found };
    let below_one = "a number from 0 to below 1";
    assert_eq!(refused(Adam::new(0.1).betas(0.5, 1.0).into(), 1), setting("beta2", below_one, 1.0));
    assert_eq!(refused(Adam::new(0.1).betas(1.0, 0.5).into(), 1), setting("beta1", below_one, 1.0));
    assert_eq!(refused(Sgd::new(0.1).momentum(1.5).into(), 1), setting("momentum", "a number from 0 to 1", 1.5));
    let nesterov = setting("momentum", "more than 0 for Nesterov's rule", 0.0);
    assert_eq!(refused(Sgd::new(0.1).nesterov().into(), 1), nesterov);
    assert_eq!(nesterov.to_string(), "expected momentum to be more than 0 for Nesterov's rule, found 0");
}

#[test]
fn there_is_no_step_0() {
    for (_, optimizer) in optimizers() {
        assert_eq!(refused(optimizer, 0), Error::StepZero);
    }
    assert_eq!(Error::StepZero.to_string(), "optimiser: expected a step from 1 on, found 0");
}

/// The result of an update of a layer 3→2 with these arrays beside the weights, and zeros beside the bias. It must leave
/// everything alone.
fn update_with<'s>(
    optimizer: Optimizer,
    w_arrays: impl IntoIterator<Item = Output<'s>>,
    b_arrays: usize,
) -> Result<(), Error> {
    let (mut w, mut b, mut beside_b) = ([1.0; 6], [1.0; 2], vec![[0.0; 2]; b_arrays]);
    let of_w = w_arrays.into_iter().fold(Parameter::new(&mut w), |of_w, array| of_w.state(array));
    let of_b = beside_b.iter_mut().fold(Parameter::new(&mut b), Parameter::state);
    let result = Dense::new(3, 2, Activation::Identity).backward_update(
        &[1.0; 3],
        of_w,
        &[1.0; 2],
        Upstream::PreActivation(&[1.0; 2]),
        Update::new(optimizer).b(of_b),
    );
    let is_untouched = w == [1.0; 6] && b == [1.0; 2] && beside_b.iter().flatten().all(|&x| x == 0.0);
    assert_eq!(result.is_err(), is_untouched);
    result
}

#[test]
fn the_wrong_number_of_state_arrays() {
    let optimizers: [Optimizer; 3] = [0.5.into(), Sgd::new(0.5).momentum(0.5).into(), Adam::new(0.5).into()];
    for (expected, optimizer) in optimizers.into_iter().enumerate() {
        assert_eq!(optimizer.state_arrays(), expected);
        for found in 0..5 {
            let error = |operand| match found == expected {
                true => Ok(()),
                false => Err(Error::StateArrays { operand, expected, found }),
            };
            let mut arrays = vec![[0.0; 6]; found];
            let result = update_with(optimizer, arrays.iter_mut().map(Output::from), expected);
            assert_eq!(result, error(Operand::W));
            assert!(result.is_ok() || arrays.iter().flatten().all(|&x| x == 0.0));

            let mut arrays = vec![[0.0; 6]; expected];
            let result = update_with(optimizer, arrays.iter_mut().map(Output::from), found);
            assert_eq!(result, error(Operand::B));
            assert!(result.is_ok() || arrays.iter().flatten().all(|&x| x == 0.0));

            let (mut w, mut arrays) = ([1.0; 6], vec![[0.0; 6]; found]);
            let mut state: Vec<&mut [f32]> = arrays.iter_mut().map(|array| &mut array[..]).collect();
            assert_eq!(optimizer.apply(1, &mut w, &[1.0; 6], &mut state), error(Operand::W));
            assert_eq!(w == [1.0; 6], found != expected);
        }
    }
    let error = Error::StateArrays { operand: Operand::B, expected: 2, found: 1 };
    assert_eq!(error.to_string(), "b: expected 2 state arrays for the optimiser, found 1");
}

#[test]
fn state_arrays_of_the_wrong_size_or_kind() {
    let adam = Optimizer::from(Adam::new(0.5));
    for (wrong, operand) in [Operand::MW, Operand::VW].into_iter().enumerate() {
        for found in [0, 5, 7] {
            let expected = Error::Length { operand, expected: 6, found };
            let mut arrays = [vec![0.0; 6], vec![0.0; 6]];
            arrays[wrong] = vec![0.0; found];
            assert_eq!(update_with(adam, arrays.iter_mut().map(Output::from), 2), Err(expected.clone()));

            let [first, second] = &mut arrays;
            let mut w = [1.0; 6];
            assert_eq!(adam.apply(1, &mut w, &[1.0; 6], &mut [first, second]), Err(expected));
            assert!(w == [1.0; 6] && arrays.iter().flatten().all(|&x| x == 0.0));
        }

        let (mut right, mut memory) = ([0.0; 6], [MaybeUninit::new(0.0); 6]);
        let view = MatrixViewMut::from_uninit(&mut memory, 2, 3, 3, 1).expect("a valid view");
        let mut arrays = [Output::from(&mut right), view.into()];
        arrays.rotate_left(1 - wrong);
        assert_eq!(update_with(adam, arrays, 2), Err(Error::Uninitialised { operand }));

        let (mut right, mut memory) = ([0.0; 6], [0.0; 6]);
        let view = MatrixViewMut::new(&mut memory, 3, 2, 2, 1).expect("a valid view");
        let mut arrays = [Output::from(&mut right), view.into()];
        arrays.rotate_left(1 - wrong);
        let expected = Error::Shape { operand, expected: (2, 3), found: (3, 2) };
        assert_eq!(update_with(adam, arrays, 2), Err(expected));
    }
    let mut memory = [0.0; 6];
    let strides = MatrixViewMut::new(&mut memory, 2, 3, 1, 1);
    assert!(matches!(strides, Err(Error::Overlapping { .. })));

    let (mut w, mut v) = ([1.0; 6], [0.0; 6]);
    let result = Optimizer::from(0.5).apply(1, &mut w, &[1.0; 5], &mut []);
    assert_eq!(result, Err(Error::Length { operand: Operand::DW, expected: 6, found: 5 }));
    let momentum = Optimizer::from(Sgd::new(0.5).momentum(0.5));
    let result = momentum.apply(1, &mut w, &[1.0; 6], &mut [&mut v[..5]]);
    assert_eq!(result, Err(Error::Length { operand: Operand::VW, expected: 6, found: 5 }));
    assert_eq!(w, [1.0; 6]);
}
