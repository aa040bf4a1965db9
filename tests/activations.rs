//! Activations on their own: special values, ranges and symmetries, and the scalar reference to the bit.
//!
//! `cargo xtask ulp` measures accuracy, over all floats.

#![cfg(not(miri))]

use fused_dense::{Activation, Bias, Dense, Error, Gradients, Isa, MatrixViewMut, Outputs, Saved, Upstream};
use std::collections::{BTreeSet, HashSet};

/// Every activation, those that have a parameter with several.
fn functions() -> Vec<Activation> {
    let leaky = [0.0, 0.3, 1.0, 2.5].map(|slope| Activation::LeakyRelu { slope });
    let elu = [0.0, 1e-40, 1e-20, 1.7, 3e10, f32::MAX].map(|alpha| Activation::Elu { alpha });
    Activation::all().iter().copied().chain(leaky).chain(elu).collect()
}

/// Value and derivatives, by the kernels of one instruction set: from `z`, and from `z` taken as `a`, unless `a` is not
/// enough.
fn kernels(isa: Isa, activation: Activation, z: &[f32]) -> [Vec<f32>; 3] {
    let ones = vec![1.0; z.len()];
    let mut out = [(); 3].map(|()| vec![f32::NAN; z.len()]);
    activation.forward_with_isa(isa, z, &mut out[0]).expect("equal lengths");
    activation.backward_with_isa(isa, Saved::z(z), &ones, &mut out[1]).expect("equal lengths");
    if !activation.needs_z() {
        activation.backward_with_isa(isa, z, &ones, &mut out[2]).expect("equal lengths");
    }
    out
}

/// The same by the scalar reference.
fn reference(activation: Activation, z: f32) -> [f32; 3] {
    let from_a = if activation.needs_z() { f32::NAN } else { activation.derivative_from_a(z) };
    [activation.value(z), activation.derivative_from_z(z), from_a]
}

/// Units in the last place between two finite values of one sign.
fn distance(a: f32, b: f32) -> u32 {
    a.to_bits().abs_diff(b.to_bits())
}

#[track_caller]
fn check(isa: Isa, z: &[f32]) {
    for activation in functions() {
        let results = kernels(isa, activation, z);
        for (i, &z) in z.iter().enumerate() {
            for (result, expected) in results.iter().map(|result| result[i]).zip(reference(activation, z)) {
                let equal = if isa.is_bit_exact() || !expected.is_finite() {
                    result.to_bits() == expected.to_bits()
                } else {
                    // Rounding errors that fused multiply-adds show are lost there, and with them digits of what needs them.
                    let is_close = || (result - expected).abs() <= 2.0 * f32::EPSILON;
                    distance(result, expected) <= 8 || result == expected || activation.needs_z() && is_close()
                };
                let both_nan = result.is_nan() && expected.is_nan();
                assert!(equal || both_nan, "{activation} on {isa} at {z:e}: {result:e}, reference {expected:e}");
            }
        }
    }
}

/// The 65 floats around `x`, and around `-x`.
fn neighbourhood(x: f32) -> impl Iterator<Item = f32> {
    let bits = x.abs().to_bits();
    (bits.saturating_sub(32)..=bits + 32).map(f32::from_bits).flat_map(|x| [x, -x])
}

/// Where the algorithms change what they do: ends of steps of the table, of octaves and of ranges, and every exponent.
fn boundaries() -> Vec<f32> {
    let steps = (1..2 * 1250).map(|i| i as f32 * (core::f32::consts::LN_2 / 16.0));
    let ends = [
        f32::MAX,
        9.03,
        9.010_914,
        17.328_68,
        20.0,
        53.0,
        87.336_55,
        88.722_84,
        103.972_08,
        104.0,
        106.0,
        0.751_791_5,
        1.25,
        1.278_464_6,
        6.0,
        8.0,
        10.6,
        11.0,
        14.4,
        14.75,
        18.06,
        108.6,
        110.0,
        131.0,
    ];
    let exponents = (0..=255_u32).map(|exponent| f32::from_bits(exponent << 23));
    steps.chain(ends).chain(exponents).flat_map(neighbourhood).collect()
}

#[test]
fn bits_equal_the_reference_at_all_boundaries() {
    for isa in Isa::available() {
        check(isa, &boundaries());
    }
}

#[test]
fn bits_equal_the_reference_at_samples_of_all_floats() {
    // A prime stride: every exponent, and all sorts of significands.
    let all: Vec<f32> = (0..u32::MAX).step_by(4099).map(f32::from_bits).collect();
    // Most floats are of no interest; the second sample lies where the functions are neither straight nor constant.
    let curved: Vec<f32> =
        (0x3B00_0000..0x42D4_0000).step_by(257).flat_map(|b| [b, b | 1 << 31]).map(f32::from_bits).collect();
    for isa in Isa::available() {
        check(isa, &all);
        check(isa, &curved);
    }
}

#[test]
fn an_element_does_not_depend_on_its_position() {
    let z: Vec<f32> = (0..230).map(|i| (i as f32 - 115.0) * 0.17).collect();
    for isa in Isa::available() {
        for activation in functions() {
            let whole = kernels(isa, activation, &z);
            for len in 0..z.len() {
                for (part, whole) in kernels(isa, activation, &z[230 - len..]).iter().zip(&whole) {
                    let same = part.iter().zip(&whole[230 - len..]).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{activation} on {isa}: the last {len} elements");
                }
            }
        }
    }
}

/// One value of an activation and its derivative from `z`, on every instruction set with fused multiply-add, which
/// must agree.
fn at(activation: Activation, z: f32) -> (f32, f32) {
    let mut results = Isa::available().into_iter().filter(|isa| isa.is_bit_exact()).map(|isa| {
        let [value, from_z, _] = kernels(isa, activation, &[z]);
        (value[0], from_z[0])
    });
    let first = results.next().expect("a CPU with fused multiply-add");
    for (value, derivative) in results {
        let agree = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
        assert!(agree(value, first.0) && agree(derivative, first.1), "{activation} at {z:e}");
    }
    first
}

#[test]
fn special_values() {
    let least = f32::from_bits(1);
    assert_eq!(at(Activation::Sigmoid, 0.0), (0.5, 0.25));
    assert_eq!(at(Activation::Sigmoid, -0.0), (0.5, 0.25));
    assert_eq!(at(Activation::Sigmoid, least), (0.5, 0.25));
    assert_eq!(at(Activation::Sigmoid, f32::INFINITY), (1.0, 0.0));
    assert_eq!(at(Activation::Sigmoid, f32::NEG_INFINITY), (0.0, 0.0));
    assert_eq!(at(Activation::Sigmoid, f32::MAX), (1.0, 0.0));
    assert_eq!(at(Activation::Sigmoid, f32::MIN), (0.0, 0.0));
    assert_eq!(at(Activation::Sigmoid, 17.5).0, 1.0);
    assert_eq!(at(Activation::Sigmoid, -103.5), (least, least));

    assert_eq!(at(Activation::Tanh, 0.0), (0.0, 1.0));
    assert!(at(Activation::Tanh, -0.0).0.is_sign_negative());
    assert_eq!(at(Activation::Tanh, least), (least, 1.0));
    assert_eq!(at(Activation::Tanh, f32::MIN_POSITIVE), (f32::MIN_POSITIVE, 1.0));
    assert_eq!(at(Activation::Tanh, f32::INFINITY), (1.0, 0.0));
    assert_eq!(at(Activation::Tanh, f32::NEG_INFINITY), (-1.0, 0.0));
    assert_eq!(at(Activation::Tanh, f32::MAX), (1.0, 0.0));
    assert_eq!(at(Activation::Tanh, 9.1).0, 1.0);

    assert_eq!(at(Activation::Relu, -0.0).0.to_bits(), (-0.0_f32).to_bits());
    assert_eq!(at(Activation::Relu, f32::NEG_INFINITY), (0.0, 0.0));
    assert_eq!(at(Activation::Relu, f32::INFINITY), (f32::INFINITY, 1.0));

    for activation in functions() {
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001), f32::from_bits(0xFFFF_FFFF)] {
            assert!(at(activation, nan).0.is_nan(), "{activation} of NaN");
        }
    }
    for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001)] {
        assert!(at(Activation::Sigmoid, nan).1.is_nan() && at(Activation::Tanh, nan).1.is_nan());
    }
}

#[test]
fn special_values_of_the_smooth_units() {
    let least = f32::from_bits(1);
    for g in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
        assert_eq!(at(g, 0.0), (0.0, 0.5), "{g}");
        assert_eq!(at(g, -0.0).0.to_bits(), (-0.0_f32).to_bits(), "{g}");
        assert_eq!(at(g, f32::INFINITY), (f32::INFINITY, 1.0), "{g}");
        assert_eq!(at(g, f32::MAX), (f32::MAX, 1.0), "{g}");
        assert_eq!(at(g, f32::NEG_INFINITY), (0.0, 0.0), "{g}");
        assert_eq!(at(g, f32::MIN), (0.0, 0.0), "{g}");
        assert_eq!(at(g, 2.0 * least), (least, 0.5), "{g}");
        assert_eq!(at(g, -2.0 * least), (-least, 0.5), "{g}");
    }
    // The last numbers before nothing is left.
    assert_eq!(at(Activation::Silu, -108.6), (-least, -least));
    assert_eq!(at(Activation::Gelu, -14.35), (-least, -8.0 * least));
    assert!(at(Activation::GeluTanh, -10.6).0.is_subnormal());

    assert_eq!(at(Activation::Softplus, f32::INFINITY), (f32::INFINITY, 1.0));
    assert_eq!(at(Activation::Softplus, f32::NEG_INFINITY), (0.0, 0.0));
    assert!(at(Activation::Softplus, f32::NEG_INFINITY).0.is_sign_positive());
    assert_eq!(at(Activation::Softplus, 0.0), (core::f32::consts::LN_2, 0.5));
    assert_eq!(at(Activation::Softplus, -103.5), (least, least));

    let elu = |alpha, z| at(Activation::Elu { alpha }, z);
    assert_eq!(elu(1.0, f32::INFINITY), (f32::INFINITY, 1.0));
    assert_eq!(elu(1.5, f32::NEG_INFINITY), (-1.5, 0.0));
    assert_eq!(elu(f32::MAX, f32::NEG_INFINITY), (f32::MIN, 0.0));
    assert_eq!(elu(f32::MAX, -0.0), (0.0, f32::MAX));
    assert_eq!(elu(1.5, 0.0), (0.0, 1.5));
    assert_eq!(elu(0.0, f32::NEG_INFINITY), (0.0, 0.0));
    assert_eq!(elu(1.0, -least), (-least, 1.0));
    assert_eq!(elu(1.0, -103.5), (-1.0, least));
    for g in functions() {
        let is_straight = matches!(g, Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. });
        assert!(is_straight || at(g, f32::NAN).1.is_nan(), "{g}' of NaN");
    }
}

#[test]
fn ranges_and_symmetries() {
    let samples = (0..=0x7F80_0000_u32).step_by(2053).map(f32::from_bits);
    let z: Vec<f32> = samples.chain(boundaries()).filter(|z| !z.is_nan()).map(f32::abs).collect();
    let minus: Vec<f32> = z.iter().map(|z| -z).collect();
    for isa in Isa::available() {
        let [sigmoid, sigmoid_from_z, _] = kernels(isa, Activation::Sigmoid, &z);
        let [sigmoid_minus, sigmoid_from_minus, _] = kernels(isa, Activation::Sigmoid, &minus);
        let [tanh, tanh_from_z, _] = kernels(isa, Activation::Tanh, &z);
        let [tanh_minus, tanh_from_minus, _] = kernels(isa, Activation::Tanh, &minus);
        for (i, &z) in z.iter().enumerate() {
            let about = format!("{z:e} on {isa}");
            assert!((0.5..=1.0).contains(&sigmoid[i]) && (0.0..=0.5).contains(&sigmoid_minus[i]), "sigmoid at {about}");
            assert!((sigmoid[i] + sigmoid_minus[i] - 1.0).abs() <= f32::EPSILON, "σ(z) + σ(-z) at {about}");
            assert!((0.0..=0.25).contains(&sigmoid_from_z[i]), "derivative of the sigmoid at {about}");
            assert_eq!(sigmoid_from_z[i].to_bits(), sigmoid_from_minus[i].to_bits(), "even derivative at {about}");
            assert!((0.0..=1.0).contains(&tanh[i]), "tanh at {about}");
            assert_eq!(tanh[i].to_bits(), (-tanh_minus[i]).to_bits(), "odd tanh at {about}");
            assert!((0.0..=1.0).contains(&tanh_from_z[i]), "derivative of tanh at {about}");
            assert_eq!(tanh_from_z[i].to_bits(), tanh_from_minus[i].to_bits(), "even derivative at {about}");
        }
    }
}

/// An activation's name, as `Display` writes it and as people do, is read back.
#[test]
fn names_are_read_back() {
    for activation in functions() {
        let name = activation.to_string();
        for text in
            [name.clone(), name.to_uppercase(), name.replace(' ', "_"), format!(" {}\t", name.replace(' ', "-"))]
        {
            assert_eq!(text.parse(), Ok(activation), "{text:?}");
        }
        assert_eq!(format!("{activation:>20}").trim_start(), name);
    }
    let leaky = |slope| Ok(Activation::LeakyRelu { slope });
    assert_eq!("leaky relu".parse(), leaky(0.01));
    assert_eq!("ELU(1.5)".parse(), Ok(Activation::Elu { alpha: 1.5 }));
    assert_eq!("SiLU".parse(), Ok(Activation::Silu));
    assert_eq!("gelu_tanh".parse(), Ok(Activation::GeluTanh));
    assert_eq!("LeakyReLU ( 2e-2 ) ".parse(), leaky(0.02));
    assert_eq!(Activation::LeakyRelu { slope: 0.02 }.to_string(), "leaky relu(0.02)");
    for slope in [0.0, f32::from_bits(1), 1.0e-30, 0.1, 16_777_217.0, f32::MAX] {
        assert_eq!(Activation::LeakyRelu { slope }.to_string().parse(), leaky(slope));
    }
    for text in [
        "",
        "(",
        "()",
        "relu()",
        "relu(1)",
        "leaky",
        "leaky relu(",
        "leaky relu()",
        "leaky relu(0.1",
        "leaky relu(0.1))",
        "leaky relu(-0.1)",
        "leaky relu(-0)",
        "leaky relu(inf)",
        "leaky relu(nan)",
        "elu(-1)",
        "gelu(1)",
        "leaky relu(x)",
        "softmax",
    ] {
        let error = text.parse::<Activation>().expect_err("no activation");
        assert_eq!(error.found, text);
        let message = error.to_string();
        assert!(Activation::all().iter().all(|activation| message.contains(&activation.to_string())), "{message}");
        assert!(message.ends_with(&format!("found {text:?}")), "{message}");
    }
}

/// Equality, order and hash agree, parameters and NaN included.
#[test]
fn activations_are_keys() {
    let leaky = |slope| Activation::LeakyRelu { slope };
    let mut all: Vec<Activation> = functions();
    all.extend([leaky(f32::NAN), leaky(f32::INFINITY), leaky(-1.0)]);
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(a == b, i == j, "{a} and {b}");
            assert_eq!(a.cmp(b).is_eq(), i == j, "{a} and {b}");
            assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a} and {b}");
            assert_eq!(a.partial_cmp(b), Some(a.cmp(b)));
        }
    }
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(Activation::all().is_sorted());
    assert!(leaky(0.01) < leaky(0.02));
}

/// Every call refuses a parameter that is negative, infinite or NaN, and touches nothing.
#[test]
fn invalid_parameters_are_refused() {
    const CANARY: f32 = 7.0;
    for bad in [-0.01, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        for found in [Activation::LeakyRelu { slope: bad }, Activation::Elu { alpha: bad }] {
            let error = || Err(Error::ActivationParameter { found });
            let mut out = [CANARY; 2];
            assert_eq!(found.forward(&[1.0, -1.0], &mut out), error());
            assert_eq!(found.backward(Saved::z(&[1.0, -1.0]), &[1.0; 2], &mut out), error());
            for &isa in Isa::ALL {
                assert_eq!(found.forward_with_isa(isa, &[1.0, -1.0], &mut out), error());
                assert_eq!(found.backward_with_isa(isa, Saved::z(&[1.0, -1.0]), &[1.0; 2], &mut out), error());
            }
            let layers = Isa::ALL.iter().map(|&isa| Dense::new(1, 2, found).with_isa(isa));
            for mut layer in layers.chain([Dense::new(1, 2, found)]) {
                let (x, w, z) = ([1.0], [1.0, -1.0], [1.0, -1.0]);
                assert_eq!(layer.forward(&x, &w, Bias::None, &mut out), error());
                let gradients = Gradients::new().w(&mut out);
                assert_eq!(layer.backward(&x, &w, Saved::z(&z), Upstream::Activation(&z), gradients), error());
                assert_eq!(layer.workspace_len(), Err(Error::ActivationParameter { found }));
                assert_eq!(layer.isa(), Err(Error::ActivationParameter { found }));
                assert_eq!(layer.describe(1).err(), error().err());
            }
            assert_eq!(out, [CANARY; 2]);
        }
    }
    let error = Error::ActivationParameter { found: Activation::LeakyRelu { slope: -1.0 } };
    assert_eq!(error.to_string(), "activation: expected a finite parameter of 0 or more, found leaky relu(-1)");
}

/// Where the derivative follows from `z` alone, the saved `a` is refused before anything is touched; where nothing is to be
/// derived, it is not looked at.
#[test]
fn some_activations_need_z() {
    const CANARY: f32 = 7.0;
    for &g in Activation::all() {
        let (x, w, d_a) = ([1.0], [0.5], [1.0]);
        let (mut a, mut z) = ([0.0], [0.0]);
        let mut layer = Dense::new(1, 1, g);
        layer.forward(&x, &w, Bias::None, Outputs::new(&mut a).z(&mut z)).expect("a valid call");
        let mut backward = |saved: Saved<'_>, upstream: Upstream<&[f32]>| {
            let mut d_w = [CANARY];
            let result = layer.backward(&x, &w, saved, upstream, Gradients::new().w(&mut d_w));
            assert_eq!(result.is_err(), d_w == [CANARY], "{g}");
            result
        };
        let refused = if g.needs_z() { Err(Error::NeedsZ { found: g }) } else { Ok(()) };
        assert_eq!(backward(Saved::A((&a).into()), Upstream::Activation(&d_a)), refused);
        assert_eq!(backward(Saved::z(&z), Upstream::Activation(&d_a)), Ok(()));
        assert_eq!(backward(Saved::A((&a).into()), Upstream::PreActivation(&d_a)), Ok(()));
        let mut d_z = [CANARY];
        assert_eq!(g.backward(&a, &d_a, &mut d_z), refused);
        assert_eq!(d_z == [CANARY], g.needs_z());
    }
    let error = Error::NeedsZ { found: Activation::Relu };
    let text = "saved: expected z, from which alone the derivative of relu follows, found a";
    assert_eq!(error.to_string(), text);
}

/// Rows of every width, with gaps between them and as few or many as a group of vectors takes: each element as alone, and nothing in
/// the gaps.
#[test]
fn rows_with_gaps_of_every_width() {
    const GAP: usize = 3;
    let x: Vec<f32> = (0..9).map(|i| i as f32 / 2.0 - 2.1).collect();
    for isa in Isa::available() {
        for cols in 1..=150 {
            let (w, b): (Vec<f32>, Vec<f32>) = (0..cols).map(|j| (j as f32 / 16.0 - 3.0, (j % 7) as f32 / 4.0)).unzip();
            for rows in [1, 2, 3, 4, 5, 8, 9] {
                let forward = |activation: Activation| {
                    let mut a = vec![f32::NAN; rows * (cols + GAP)];
                    let view = MatrixViewMut::new(&mut a, rows, cols, cols + GAP, 1).expect("a view with gaps");
                    let mut layer = Dense::new(1, cols, activation).with_isa(isa);
                    layer.forward(&x[..rows], &w, &b, view).expect("a valid call");
                    a
                };
                let (z, a) = (forward(Activation::Identity), forward(Activation::Sigmoid));
                for (z, a) in z.chunks(cols + GAP).zip(a.chunks(cols + GAP)) {
                    let mut alone = vec![0.0; cols];
                    Activation::Sigmoid.forward_with_isa(isa, &z[..cols], &mut alone).expect("equal lengths");
                    assert!(
                        a[..cols].iter().zip(&alone).all(|(a, alone)| a.to_bits() == alone.to_bits()),
                        "{rows}×{cols} on {isa}"
                    );
                    assert!(a[cols..].iter().all(|gap| gap.is_nan()), "{rows}×{cols} on {isa}: a gap is written");
                }
            }
        }
    }
}
