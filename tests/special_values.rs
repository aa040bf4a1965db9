//! NaN, infinities, subnormals and signed zeros: as IEEE 754 says, wherever in a row they stand.

#![cfg(not(miri))]

mod support;

use fused_dense::{Activation, Dense, Isa, Saved, Summation};
use support::compare::{assert_bits, same_bits};
use support::isas::{self, SUMMATIONS};
use support::options::{Above, BackwardOptions, ForwardOptions, Kept, Want};
use support::problem::Problem;
use support::stored::Placement;
use support::values;

const SMALLEST: f32 = f32::from_bits(1);

/// Each once more with its sign flipped.
const SPECIAL: [f32; 23] = [
    f32::NAN,
    f32::INFINITY,
    0.0,
    SMALLEST,
    f32::from_bits(0x007f_ffff), // largest subnormal
    f32::MIN_POSITIVE,
    1e-30,
    1e-20,
    1e-8,
    6e-4,
    0.5,
    1.0,
    9.010_913,  // tanh rounds to 1 from here on
    16.635_532, // sigmoid of -x is near 2⁻²⁴
    17.33,
    44.0,
    87.336_54,  // e⁻ˣ leaves the normal range
    88.722_84,  // eˣ overflows
    103.972_08, // e⁻ˣ rounds to 0
    104.0,
    1e10,
    3e38,
    f32::MAX,
];

fn specials() -> impl Iterator<Item = f32> + Clone {
    SPECIAL.into_iter().flat_map(|x| [x, -x])
}

/// Which way a value goes through an activation.
#[derive(Clone, Copy, Debug)]
enum Way {
    Value,
    DerivativeFromA,
    DerivativeFromZ,
}

impl Way {
    const ALL: [Self; 3] = [Self::Value, Self::DerivativeFromA, Self::DerivativeFromZ];

    /// Those that there are.
    fn of(g: Activation) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |way| !matches!(way, Self::DerivativeFromA) || !g.needs_z())
    }

    fn kernel(self, g: Activation, isa: Isa, x: &[f32]) -> Vec<f32> {
        let (mut y, ones) = (vec![0.0; x.len()], vec![1.0; x.len()]);
        match self {
            Self::Value => g.forward_with_isa(isa, x, &mut y),
            Self::DerivativeFromA => g.backward_with_isa(isa, x, &ones, &mut y),
            Self::DerivativeFromZ => g.backward_with_isa(isa, Saved::z(x), &ones, &mut y),
        }
        .expect("a valid call");
        y
    }

    fn reference(self, g: Activation, x: f32) -> f32 {
        match self {
            Self::Value => g.value(x),
            Self::DerivativeFromA => g.derivative_from_a(x),
            Self::DerivativeFromZ => g.derivative_from_z(x),
        }
    }
}

/// Vector body, groups of vectors and tail agree: a value's image is the same at every position of every length.
#[test]
fn an_image_does_not_depend_on_the_position() {
    for isa in isas::all() {
        for (&g, way) in Activation::all().iter().flat_map(|g| Way::of(*g).map(move |way| (g, way))) {
            for x in specials() {
                let alone = way.kernel(g, isa, &[x])[0];
                if isa.is_bit_exact() {
                    let expected = way.reference(g, x);
                    assert_bits(format_args!("{g} {way:?} of {x:e} on {isa}"), &[alone], &[expected]);
                }
                let other = way.kernel(g, isa, &[0.75])[0];
                for len in (1..=20).chain([31, 33, 63, 64, 65, 79]) {
                    for position in positions(len) {
                        let mut row = vec![0.75; len];
                        row[position] = x;
                        let mut expected = vec![other; len];
                        expected[position] = alone;
                        let what = format_args!("{g} {way:?} of {x:e} at {position} of {len} on {isa}");
                        assert_bits(what, &way.kernel(g, isa, &row), &expected);
                    }
                }
            }
        }
    }
}

#[test]
fn limits_of_the_activations() {
    use Activation::{Elu, Gelu, GeluTanh, Identity, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
    const INF: f32 = f32::INFINITY;
    let value = [
        (Identity, -0.0, -0.0),
        (Identity, INF, INF),
        (Sigmoid, INF, 1.0),
        (Sigmoid, -INF, 0.0),
        (Sigmoid, f32::MAX, 1.0),
        (Sigmoid, f32::MIN, 0.0),
        (Sigmoid, 0.0, 0.5),
        (Sigmoid, -0.0, 0.5),
        (Sigmoid, SMALLEST, 0.5),
        (Tanh, INF, 1.0),
        (Tanh, -INF, -1.0),
        (Tanh, f32::MAX, 1.0),
        (Tanh, 0.0, 0.0),
        (Tanh, -0.0, -0.0),
        (Relu, INF, INF),
        (Relu, -INF, 0.0),
        (Relu, SMALLEST, SMALLEST),
        (Relu, -SMALLEST, 0.0),
        (LeakyRelu { slope: 0.5 }, -0.0, -0.0),
        (LeakyRelu { slope: 0.5 }, -INF, -INF),
        (LeakyRelu { slope: 0.5 }, INF, INF),
        (LeakyRelu { slope: 0.5 }, -2.0 * SMALLEST, -SMALLEST),
        (LeakyRelu { slope: 0.0 }, -INF, -0.0),
        (Silu, -0.0, -0.0),
        (Silu, -INF, -0.0),
        (Silu, INF, INF),
        (Gelu, -0.0, -0.0),
        (Gelu, -INF, -0.0),
        (Gelu, INF, INF),
        (GeluTanh, -0.0, -0.0),
        (GeluTanh, -INF, -0.0),
        (GeluTanh, INF, INF),
        (Softplus, -INF, 0.0),
        (Softplus, INF, INF),
        (Elu { alpha: 1.0 }, -INF, -1.0),
        (Elu { alpha: 1.0 }, -0.0, -0.0),
        (Elu { alpha: 1.0 }, INF, INF),
    ];
    let derivative_from_z = [
        (Sigmoid, 0.0, 0.25),
        (Sigmoid, INF, 0.0),
        (Sigmoid, -INF, 0.0),
        (Tanh, 0.0, 1.0),
        (Tanh, -0.0, 1.0),
        (Tanh, INF, 0.0),
        (Tanh, -INF, 0.0),
        (Relu, 0.0, 0.0),
        (Relu, SMALLEST, 1.0),
        (Relu, INF, 1.0),
        (Relu, -INF, 0.0),
        (Identity, INF, 1.0),
        (LeakyRelu { slope: 0.5 }, 0.0, 0.5),
        (LeakyRelu { slope: 0.5 }, -INF, 0.5),
        (LeakyRelu { slope: 0.5 }, SMALLEST, 1.0),
        (Silu, INF, 1.0),
        (Silu, -0.0, 0.5),
        (Gelu, INF, 1.0),
        (Gelu, -0.0, 0.5),
        (GeluTanh, INF, 1.0),
        (GeluTanh, -0.0, 0.5),
        (Softplus, -INF, 0.0),
        (Softplus, INF, 1.0),
        (Elu { alpha: 1.0 }, -INF, 0.0),
        (Elu { alpha: 1.0 }, INF, 1.0),
    ];
    let derivative_from_a = [
        (Sigmoid, 0.0, 0.0),
        (Sigmoid, 0.5, 0.25),
        (Sigmoid, 1.0, 0.0),
        (Tanh, -1.0, 0.0),
        (Tanh, 1.0, 0.0),
        (Tanh, 0.0, 1.0),
        (Relu, 0.0, 0.0),
        (Relu, SMALLEST, 1.0),
        (LeakyRelu { slope: 0.5 }, -SMALLEST, 0.5),
        (LeakyRelu { slope: 0.5 }, SMALLEST, 1.0),
        (Softplus, 0.0, 0.0),
        (Softplus, SMALLEST, SMALLEST),
        (Softplus, INF, 1.0),
        (Elu { alpha: 1.5 }, -1.5, 0.0),
        (Elu { alpha: 1.5 }, 0.0, 1.5),
        (Elu { alpha: 1.5 }, SMALLEST, 1.0),
    ];
    for isa in isas::all() {
        for (way, cases) in Way::ALL.into_iter().zip([&value[..], &derivative_from_a, &derivative_from_z]) {
            for &(g, x, expected) in cases {
                let found = way.kernel(g, isa, &[x])[0];
                assert_eq!(found.to_bits(), expected.to_bits(), "{g} {way:?} of {x:e} on {isa}: {found:e}");
            }
        }
    }
}

#[test]
fn nan_in_nan_out() {
    for isa in isas::all() {
        for &g in Activation::all() {
            for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)] {
                assert!(Way::Value.kernel(g, isa, &[nan])[0].is_nan(), "{g} on {isa}");
                if matches!(g, Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. }) {
                    continue;
                }
                for way in Way::of(g) {
                    assert!(way.kernel(g, isa, &[nan])[0].is_nan(), "{g} {way:?} on {isa}");
                }
            }
        }
    }
}

/// Where a tail ends, where vectors meet, and in the middle.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    [0, 1, 7, 8, 15, 16, 17, 31, 32].into_iter().filter(move |&at| at < len).chain([len - 1])
}

/// A special value among the inputs reaches exactly the outputs that it belongs to, in every order and position.
#[test]
fn one_special_input_reaches_its_sample_alone() {
    let (batch, inputs, outputs) = (6, 35, 21);
    for isa in isas::all() {
        for summation in SUMMATIONS {
            let layer = isas::layer(isa, summation, inputs, outputs, Activation::Sigmoid);
            let plain = Problem::new(layer, batch);
            let options = ForwardOptions { bias: true, keep_z: true };
            let z_of = |problem: &Problem| problem.forward(&options, &Placement::PLAIN)[1].1.clone();
            let before = z_of(&plain);
            for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for (sample, input) in [0, 3, 5].into_iter().flat_map(|i| positions(inputs).map(move |p| (i, p))) {
                    let mut problem = plain.clone();
                    problem.a_prev[sample * inputs + input] = special;
                    let expected: Vec<f32> = (0..batch * outputs)
                        .map(|at| match at / outputs == sample {
                            true => special * problem.w[at % outputs * inputs + input],
                            false => before[at],
                        })
                        .collect();
                    assert_bits(format_args!("{problem}: {special} at {input}"), &z_of(&problem), &expected);
                }
            }
        }
    }
}

/// Special values anywhere in any operand give the reference's bits, forward and back.
#[test]
fn special_operands_match_the_reference() {
    let (batch, inputs, outputs) = (18, 19, 33);
    let strew = |values: &mut [f32], stride: usize| {
        for (at, special) in (0..values.len()).step_by(stride).zip(specials().cycle()) {
            values[at] = special;
        }
    };
    for isa in isas::all().into_iter().filter(|isa| isa.is_bit_exact()) {
        for (summation, &g) in SUMMATIONS.into_iter().flat_map(|s| Activation::all().iter().map(move |g| (s, g))) {
            let plain = Problem::new(isas::layer(isa, summation, inputs, outputs, g), batch);
            for (index, stride) in (0..8).flat_map(|index| [(index, 97), (index, 11), (index, 1)]) {
                let mut problem = plain.clone();
                let operands = [
                    &mut problem.a_prev,
                    &mut problem.w,
                    &mut problem.b,
                    &mut problem.z,
                    &mut problem.d_a,
                    &mut problem.d_z,
                    &mut problem.old_w,
                    &mut problem.old_a_prev,
                ];
                strew(operands.into_iter().nth(index).expect("an operand"), stride);
                for (from, kept) in
                    [(Above::Activation, Kept::A), (Above::Activation, Kept::Z), (Above::PreActivation, Kept::A)]
                {
                    let add = BackwardOptions { w: Want::Add, a_prev: Want::Add, from, kept, ..BackwardOptions::PLAIN };
                    problem.check(&ForwardOptions { bias: true, keep_z: true }, &add, &Placement::PLAIN);
                }
            }
        }
    }
}

/// Products that underflow leave a sum of `-0`, which the order's own zeros turn into `+0` in defined places.
#[test]
fn signs_of_vanishing_sums() {
    for isa in isas::all() {
        for (summation, inputs) in SUMMATIONS.into_iter().flat_map(|s| (0..=35).map(move |inputs| (s, inputs))) {
            for outputs in [1, 5, 17] {
                let mut problem = Problem::new(isas::layer(isa, summation, inputs, outputs, Activation::Identity), 3);
                problem.a_prev.fill(-1e-30);
                problem.w.fill(1e-30);
                problem.b.fill(-0.0);
                for options in &ForwardOptions::ALL {
                    problem.check(options, &BackwardOptions::PLAIN, &Placement::PLAIN);
                }
            }
        }
    }
}

/// Subnormal inputs, products and results are kept, not flushed.
#[test]
fn subnormals_are_kept() {
    for isa in isas::all() {
        for summation in SUMMATIONS {
            let mut layer: Dense = isas::layer(isa, summation, 2, 1, Activation::Identity);
            let mut z = [0.0];
            layer.forward(&[SMALLEST, 1e-30], &[3.0, 1e-10], &[SMALLEST], &mut z).expect("a valid call");
            let expected = f64::from(SMALLEST) * 4.0 + 1e-40;
            assert_eq!(z[0], expected as f32, "{summation:?} on {isa}");
            assert!(z[0] > 0.0 && z[0].is_subnormal());
        }
    }
}

/// With `β = 0` an output's old value plays no part, whatever it is; with `β = 1` it does.
#[test]
fn old_values_count_only_where_they_are_added_to() {
    let old = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for isa in isas::all() {
        let mut problem = Problem::new(isas::layer(isa, Summation::Auto, 9, 6, Activation::Tanh), 4);
        for values in [&mut problem.old_w, &mut problem.old_b, &mut problem.old_a_prev] {
            for (at, value) in values.iter_mut().enumerate() {
                *value = old[at % 3];
            }
        }
        let overwrite = problem.backward(&BackwardOptions::PLAIN, &Placement::PLAIN);
        assert!(overwrite.iter().all(|(_, values)| values.iter().all(|x| x.is_finite())));
        let add = BackwardOptions { w: Want::Add, b: Want::Add, a_prev: Want::Add, ..BackwardOptions::PLAIN };
        for (operand, values) in &problem.backward(&add, &Placement::PLAIN)[..3] {
            let is_old = values.iter().enumerate().all(|(at, &x)| same_bits(x, old[at % 3]));
            assert!(is_old, "{operand} on {isa}");
        }
    }
}

/// Values that overflow in between become infinite, and cancel to NaN, as the order says.
#[test]
fn overflow_is_ieee_overflow() {
    for isa in isas::all() {
        for summation in SUMMATIONS {
            let mut problem = Problem::new(isas::layer(isa, summation, 40, 3, Activation::Identity), 2);
            problem.a_prev.fill(3e38);
            problem.w = values(120, 1).iter().map(|w| if *w < 0.0 { -2.0 } else { 2.0 }).collect();
            let z = &problem.forward(&ForwardOptions { bias: false, keep_z: false }, &Placement::PLAIN)[0].1;
            assert!(z.iter().all(|z| !z.is_finite()), "{problem}: {z:?}");
            if isa.is_bit_exact() {
                problem.check(&ForwardOptions::ALL[0], &BackwardOptions::PLAIN, &Placement::PLAIN);
            }
        }
    }
}
