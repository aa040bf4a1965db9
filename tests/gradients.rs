//! The mathematics: gradients are those of the cost, by finite differences in `f64`; the four equations of
//! backpropagation; the ways back through a layer agree; and the error of the sums is within its bound.

#![cfg(not(miri))]

mod support;

use fused_dense::{Activation, Dense, Gradients, Operand, Outputs, Saved, Summation, Upstream, loss};
use support::compare::assert_bits;
use support::isas::{self, SUMMATIONS};
use support::options::{Above, BackwardOptions, ForwardOptions, Kept, Want};
use support::oracle::{self, Bounded, U};
use support::problem::Problem;
use support::stored::Placement;
use support::values;

const BATCH: usize = 5;
const INPUTS: usize = 7;
const OUTPUTS: usize = 3;

/// The textbook's factor of `dw` and `db`: means over the batch.
const MEAN: f32 = 1.0 / BATCH as f32;

/// A problem whose pre-activations are small enough to keep every activation's slope away from zero.
fn problem(activation: Activation) -> Problem {
    let mut problem = Problem::new(Dense::new(INPUTS, OUTPUTS, activation), BATCH);
    problem.w.iter_mut().for_each(|w| *w *= 0.25);
    problem
}

/// The arguments that a backward pass may get.
fn all_kept(activation: Activation) -> &'static [Kept] {
    if activation.needs_z() { &[Kept::Z] } else { &[Kept::A, Kept::Z] }
}

/// The cost as a function of everything that a gradient is taken by, in `f64`.
#[derive(Clone)]
struct Model {
    activation: Activation,
    x: Vec<f64>,
    w: Vec<f64>,
    b: Vec<f64>,
    y: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cost {
    CrossEntropy,
    Quadratic,
}

impl Model {
    fn new(problem: &Problem) -> Self {
        let exact = |values: &[f32]| values.iter().map(|&x| x.into()).collect();
        Self {
            activation: problem.layer.activation(),
            x: exact(&problem.a_prev),
            w: exact(&problem.w),
            b: exact(&problem.b),
            y: exact(&problem.targets),
        }
    }

    /// `Σ L` over the batch.
    fn sum_of_losses(&self, cost: Cost) -> f64 {
        let mut sum = 0.0;
        for (i, j) in (0..BATCH).flat_map(|i| (0..OUTPUTS).map(move |j| (i, j))) {
            let products = (0..INPUTS).map(|p| self.x[i * INPUTS + p] * self.w[j * INPUTS + p]);
            let z = self.b[j] + products.sum::<f64>();
            let a = oracle::activate(self.activation, z).0;
            let y = self.y[i * OUTPUTS + j];
            sum += match cost {
                Cost::CrossEntropy => -y * a.ln() - (1.0 - y) * (1.0 - a).ln(),
                Cost::Quadratic => 0.5 * (a - y) * (a - y),
            };
        }
        sum
    }

    /// The derivative of `Σ L` by one value, by central differences: with `h = 1e-5` the truncation `h²/6 · |J'''|`
    /// and the rounding `2⁻⁵³ · |J| / h` are both below [`DIFFERENCE_ERROR`].
    fn derivative(&self, cost: Cost, value: impl Fn(&mut Self) -> &mut f64) -> f64 {
        let at = |h: f64| {
            let mut moved = self.clone();
            *value(&mut moved) += h;
            moved.sum_of_losses(cost)
        };
        const H: f64 = 1e-5;
        (at(H) - at(-H)) / (2.0 * H)
    }
}

const DIFFERENCE_ERROR: f64 = 1e-8;

/// Fails where a gradient is further from the cost's derivative than single precision and differences explain.
#[track_caller]
fn assert_derivative(what: &str, found: f32, error: f64, derivative: f64) {
    let difference = (f64::from(found) - derivative).abs();
    assert!(difference <= error + DIFFERENCE_ERROR, "{what}: {found}, but {derivative} by differences, ± {error:e}");
    assert!(error < 3e-5, "{what}: a bound of {error:e} says nothing");
}

/// A whole layer, forward and back, against finite differences of the cost; every value that a gradient is taken by.
fn check_gradients(activation: Activation, cost: Cost, kept: Kept) {
    let problem = problem(activation);
    let (z, a) = oracle::layer(&problem, &oracle::bounded(&problem.a_prev), true);

    let mut layer = problem.layer.clone();
    let (mut found_a, mut found_z) = (vec![0.0; BATCH * OUTPUTS], vec![0.0; BATCH * OUTPUTS]);
    let outputs = Outputs::new(&mut found_a).z(&mut found_z);
    layer.forward(&problem.a_prev, &problem.w, &problem.b, outputs).expect("a valid call");

    // dA of the quadratic cost, with its error; cross-entropy goes the short way, from the targets.
    let mut d_a = vec![0.0; BATCH * OUTPUTS];
    loss::quadratic_gradient(&found_a, &problem.targets, &mut d_a).expect("a valid call");
    let bounded_d_a: Vec<Bounded> = a
        .iter()
        .zip(&problem.targets)
        .map(|(a, &y)| Bounded { exact: a.exact - f64::from(y), error: a.error + U * (a.exact.abs() + 3.0) })
        .collect();

    let (mut d_w, mut d_b, mut d_x) = (vec![0.0; OUTPUTS * INPUTS], vec![0.0; OUTPUTS], vec![0.0; BATCH * INPUTS]);
    let gradients = Gradients::new().w(&mut d_w).b(&mut d_b).a_prev(&mut d_x).scale(MEAN);
    let (saved, upstream) = match (kept, cost) {
        (Kept::A, Cost::Quadratic) => (Saved::A((&found_a).into()), Upstream::Activation(&d_a)),
        (Kept::Z, Cost::Quadratic) => (Saved::z(&found_z), Upstream::Activation(&d_a)),
        (Kept::A, Cost::CrossEntropy) => (Saved::A((&found_a).into()), Upstream::Targets(&problem.targets)),
        (Kept::Z, Cost::CrossEntropy) => (Saved::z(&found_z), Upstream::Targets(&problem.targets)),
    };
    layer.backward(&problem.a_prev, &problem.w, saved, upstream, gradients).expect("a valid call");

    let options = BackwardOptions { kept, scale: MEAN, keep_dz: false, ..BackwardOptions::PLAIN };
    let bounds = match cost {
        Cost::Quadratic => (Above::Activation, bounded_d_a),
        Cost::CrossEntropy => (Above::Targets, oracle::bounded(&problem.targets)),
    };
    let saved = if kept == Kept::A { &a } else { &z };
    let bounds = oracle::gradients(&problem, &options, bounds.0, &bounds.1, saved);

    let model = Model::new(&problem);
    let mean = 1.0 / BATCH as f64;
    for i in 0..OUTPUTS * INPUTS {
        let derivative = mean * model.derivative(cost, |model| &mut model.w[i]);
        assert_derivative(&format!("{activation} {cost:?} dw[{i}]"), d_w[i], bounds[0].1[i].error, derivative);
    }
    for j in 0..OUTPUTS {
        let derivative = mean * model.derivative(cost, |model| &mut model.b[j]);
        assert_derivative(&format!("{activation} {cost:?} db[{j}]"), d_b[j], bounds[1].1[j].error, derivative);
    }
    for i in 0..BATCH * INPUTS {
        let derivative = model.derivative(cost, |model| &mut model.x[i]);
        assert_derivative(&format!("{activation} {cost:?} dx[{i}]"), d_x[i], bounds[2].1[i].error, derivative);
    }
}

#[test]
fn gradients_of_cross_entropy() {
    for kept in [Kept::A, Kept::Z] {
        check_gradients(Activation::Sigmoid, Cost::CrossEntropy, kept);
    }
}

#[test]
fn gradients_of_the_quadratic_cost() {
    for &activation in Activation::all() {
        for &kept in all_kept(activation) {
            check_gradients(activation, Cost::Quadratic, kept);
        }
    }
}

/// The four equations of backpropagation, for a network of two sigmoid layers.
///
/// Every equation is stated in `f64` from the layer's own single-precision operands, so that what is left is the
/// roundings of that one equation: at most `n + 8` of them for sums of `n` terms, none of which exceeds 4.
mod backpropagation {
    use super::*;

    const HIDDEN: usize = 4;

    /// `rows × cols` values with an element-wise reading.
    struct Matrix {
        values: Vec<f32>,
        cols: usize,
    }

    impl Matrix {
        fn new(rows: usize, cols: usize, seed: u64) -> Self {
            Self { values: values(rows * cols, seed), cols }
        }

        fn at(&self, row: usize, col: usize) -> f64 {
            self.values[row * self.cols + col].into()
        }
    }

    fn sigma_prime(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp()) / (1.0 + z.exp())
    }

    #[track_caller]
    fn assert_matrix(found: &Matrix, terms: usize, expected: impl Fn(usize, usize) -> f64) {
        let bound = 4.0 * (terms * (terms + 8)) as f64 * U + 64.0 * U;
        for at in 0..found.values.len() {
            let (i, j) = (at / found.cols, at % found.cols);
            let difference = (found.at(i, j) - expected(i, j)).abs();
            assert!(difference <= bound, "({i}, {j}): {}, expected {}", found.at(i, j), expected(i, j));
        }
    }

    /// The quantities of the equations, in one layer: given `dA` and `z`, the layer's `dz`, `dw`, `db` and `dA_prev`.
    struct Layer {
        a_prev: Matrix,
        w: Matrix,
        z: Matrix,
        d_a: Matrix,
        d_z: Matrix,
        d_w: Matrix,
        d_b: Matrix,
        d_a_prev: Matrix,
    }

    fn layer(inputs: usize, outputs: usize, d_a: Matrix) -> Layer {
        let (a_prev, w) = (Matrix::new(BATCH, inputs, 1), Matrix::new(outputs, inputs, 2));
        let z = Matrix::new(BATCH, outputs, 3);
        let [mut d_z, mut d_w] = [Matrix::new(BATCH, outputs, 0), Matrix::new(outputs, inputs, 0)];
        let [mut d_b, mut d_a_prev] = [Matrix::new(1, outputs, 0), Matrix::new(BATCH, inputs, 0)];
        let gradients = Gradients::new().w(&mut d_w.values).b(&mut d_b.values).a_prev(&mut d_a_prev.values);
        Dense::new(inputs, outputs, Activation::Sigmoid)
            .backward(
                &a_prev.values,
                &w.values,
                Saved::z(&z.values),
                Upstream::Activation(&d_a.values),
                gradients.z(&mut d_z.values).scale(MEAN),
            )
            .expect("a valid call");
        Layer { a_prev, w, z, d_a, d_z, d_w, d_b, d_a_prev }
    }

    /// The output layer, with `∇_a L` from above.
    fn output_layer() -> Layer {
        layer(HIDDEN, OUTPUTS, Matrix::new(BATCH, OUTPUTS, 4))
    }

    #[test]
    fn bp1_error_of_the_output_layer() {
        // δᴸ = ∇_a L ⊙ σ'(zᴸ)
        let l = output_layer();
        assert_matrix(&l.d_z, 1, |i, j| l.d_a.at(i, j) * sigma_prime(l.z.at(i, j)));
    }

    #[test]
    fn bp2_error_of_the_layer_before() {
        // δˡ = ((wˡ⁺¹)ᵀ δˡ⁺¹) ⊙ σ'(zˡ)
        let above = output_layer();
        let propagated = Matrix { values: above.d_a_prev.values.clone(), cols: HIDDEN };
        let l = layer(INPUTS, HIDDEN, propagated);
        assert_matrix(&l.d_z, OUTPUTS, |i, j| {
            let propagated: f64 = (0..OUTPUTS).map(|p| above.w.at(p, j) * above.d_z.at(i, p)).sum();
            propagated * sigma_prime(l.z.at(i, j))
        });
    }

    #[test]
    fn bp3_gradient_by_the_bias() {
        // ∂J/∂bⱼ = (1/m) Σ_samples δⱼ
        let l = output_layer();
        assert_matrix(&l.d_b, BATCH, |_, j| (0..BATCH).map(|i| l.d_z.at(i, j)).sum::<f64>() / BATCH as f64);
    }

    #[test]
    fn bp4_gradient_by_the_weights() {
        // ∂J/∂wⱼₖ = (1/m) Σ_samples a_prevₖ δⱼ
        let l = output_layer();
        assert_matrix(&l.d_w, BATCH, |j, k| {
            (0..BATCH).map(|i| l.a_prev.at(i, k) * l.d_z.at(i, j)).sum::<f64>() / BATCH as f64
        });
    }
}

/// `dz` that a layer computes from what comes from above.
fn dz(problem: &Problem, saved: &[f32], upstream: Upstream<&[f32]>) -> Vec<f32> {
    let mut d_z = vec![0.0; saved.len()];
    let gradients = Gradients::new().z(&mut d_z);
    problem.layer.clone().backward(&problem.a_prev, &problem.w, saved, upstream, gradients).expect("a valid call");
    d_z
}

/// Through `dA = (a-y) / (a(1-a))` and through the targets: both start from the same rounded `N = a - y`. The quotient
/// by the rounded `D = a(1-a)` and the product with it round once each, so the two differ by at most
/// `2u + u²` of `N` where the kernel's `D` is the caller's.
#[test]
fn through_d_a_and_through_targets() {
    let problem = Problem::new(Dense::new(INPUTS, OUTPUTS, Activation::Sigmoid), 300);
    let a = problem.activated(&problem.z);
    let d_a: Vec<f32> = a.iter().zip(&problem.targets).map(|(a, y)| (a - y) / (a * (1.0 - a))).collect();
    let from_d_a = dz(&problem, &a, Upstream::Activation(&d_a));
    let from_targets = dz(&problem, &a, Upstream::Targets(&problem.targets));
    for (d_a, targets) in from_d_a.iter().zip(&from_targets) {
        let (d_a, targets) = (f64::from(*d_a), f64::from(*targets));
        assert!((d_a - targets).abs() <= (2.0 * U + U * U) * targets.abs(), "{d_a} and {targets}");
    }
}

/// `dz` given is `dz` used: with the `dz` of another way, every gradient has the bits of that way.
#[test]
fn through_d_z_and_through_the_other_ways() {
    for isa in isas::all() {
        for summation in SUMMATIONS {
            let mut problem = Problem::new(isas::layer(isa, summation, 19, 21, Activation::Sigmoid), 260);
            for above in [Above::Activation, Above::Targets] {
                for kept in [Kept::A, Kept::Z] {
                    let long = BackwardOptions { from: above, kept, ..BackwardOptions::PLAIN };
                    let expected = problem.backward(&long, &Placement::PLAIN);
                    problem.d_z = expected[3].1.clone();
                    let short = BackwardOptions { from: Above::PreActivation, ..long };
                    let found = problem.backward(&short, &Placement::PLAIN);
                    problem.assert_equal(&found, &expected, &long);
                }
            }
        }
    }
}

/// A layer is its linear part and its activation, which also stand alone.
#[test]
fn the_parts_make_the_whole() {
    for isa in isas::all() {
        for &g in Activation::all() {
            let whole = Problem::new(isas::layer(isa, Summation::Auto, 9, 21, g), 18);
            let mut linear = whole.clone();
            linear.layer = isas::layer(isa, Summation::Auto, 9, 21, Activation::Identity);
            let both = ForwardOptions { bias: true, keep_z: true };
            let expected = whole.forward(&both, &Placement::PLAIN);
            let z = &linear.forward(&both, &Placement::PLAIN)[0].1;
            assert_bits(format_args!("{whole}: z"), z, &expected[1].1);
            let mut a = vec![0.0; z.len()];
            g.forward_with_isa(isa, z, &mut a).expect("a valid call");
            assert_bits(format_args!("{whole}: a"), &a, &expected[0].1);

            for &kept in all_kept(g) {
                let options = BackwardOptions { kept, ..BackwardOptions::PLAIN };
                let expected = whole.backward(&options, &Placement::PLAIN);
                let saved = if kept == Kept::A { whole.activated(&whole.z) } else { whole.z.clone() };
                let saved = match kept {
                    Kept::A => Saved::A((&saved).into()),
                    Kept::Z => Saved::z(&saved),
                };
                linear.d_z = vec![0.0; whole.d_a.len()];
                g.backward_with_isa(isa, saved, &whole.d_a, &mut linear.d_z).expect("a valid call");
                let short = BackwardOptions { from: Above::PreActivation, ..BackwardOptions::PLAIN };
                linear.assert_equal(&linear.backward(&short, &Placement::PLAIN), &expected, &options);
            }
        }
    }
}

/// Long sums stay within the bound that `oracle` derives, in both orders; and the blocks of the chain order and the
/// lanes keep the error of positive terms, which cannot cancel, far below the `n·u` of one long chain.
///
/// A sum of `n` terms in blocks of 256 puts a term through at most `256 + n/256 + 1` roundings, in lanes through at
/// most `n/16 + 5`: the relative error of a sum of positive terms is at most `γ` of that.
#[test]
fn error_of_long_sums() {
    let inputs = 10_000_usize;
    for isa in isas::all() {
        for (summation, roundings) in
            [(Summation::Chain, 256 + inputs.div_ceil(256) + 1), (Summation::Lanes, inputs.div_ceil(16) + 5)]
        {
            let mut problem = Problem::new(isas::layer(isa, summation, inputs, 3, Activation::Identity), 2);
            let forward = ForwardOptions { bias: false, keep_z: false };
            let any_sign = problem.forward(&forward, &Placement::PLAIN);
            problem.assert_within(&any_sign, &oracle::forward(&problem, &forward), &forward);

            for values in [&mut problem.a_prev, &mut problem.w] {
                values.iter_mut().for_each(|x| *x = x.abs());
            }
            let roundings = (roundings + usize::from(!isa.is_bit_exact())) as f64;
            let bound = roundings * U / (1.0 - roundings * U);
            let exact = oracle::forward(&problem, &forward);
            for (found, exact) in problem.forward(&forward, &Placement::PLAIN)[0].1.iter().zip(&exact[0].1) {
                let error = (f64::from(*found) - exact.exact).abs() / exact.exact;
                assert!(error <= bound, "{problem}: relative error {error:e} above {bound:e}");
            }
        }
    }
}

/// The sums of backward: `dw` and `db` over a long batch, `dA_prev` over many outputs.
#[test]
fn error_of_the_backward_sums() {
    for isa in isas::all() {
        for summation in SUMMATIONS {
            for (batch, inputs, outputs) in [(1500, 3, 4), (3, 5, 1500)] {
                let problem = Problem::new(isas::layer(isa, summation, inputs, outputs, Activation::Sigmoid), batch);
                for want in [Want::Overwrite, Want::Add] {
                    let options = BackwardOptions { w: want, b: want, a_prev: want, ..BackwardOptions::PLAIN };
                    let found = problem.backward(&options, &Placement::PLAIN);
                    assert_eq!(found[0].0, Operand::DW);
                    problem.assert_within(&found, &oracle::backward(&problem, &options), &options);
                }
            }
        }
    }
}
