//! Initial values: the distributions that are promised, and the same bits everywhere.

use fused_dense::{Activation, Error, Init, Operand};

const DISTRIBUTIONS: [Init; 8] = [
    Init::GlorotUniform,
    Init::GlorotNormal,
    Init::HeUniform,
    Init::HeNormal,
    Init::LecunUniform,
    Init::LecunNormal,
    Init::Uniform { limit: 0.3 },
    Init::Normal { deviation: 0.02 },
];

fn filled(init: Init, inputs: usize, outputs: usize, seed: u64, stream: u64) -> Vec<f32> {
    let mut w = vec![f32::NAN; inputs * outputs];
    init.fill(inputs, outputs, seed, stream, &mut w).expect("a slice of the right length");
    w
}

fn bits(w: &[f32]) -> Vec<u32> {
    w.iter().map(|w| w.to_bits()).collect()
}

/// The variance that the papers ask for, and whether the values are uniform.
fn variance(init: Init, inputs: usize, outputs: usize) -> (f64, bool) {
    let (inputs, outputs) = (inputs as f64, outputs as f64);
    match init {
        Init::GlorotUniform => (2.0 / (inputs + outputs), true),
        Init::GlorotNormal => (2.0 / (inputs + outputs), false),
        Init::HeUniform => (2.0 / inputs, true),
        Init::HeNormal => (2.0 / inputs, false),
        Init::LecunUniform => (1.0 / inputs, true),
        Init::LecunNormal => (1.0 / inputs, false),
        Init::Uniform { limit } => (f64::from(limit).powi(2) / 3.0, true),
        Init::Normal { deviation } => (f64::from(deviation).powi(2), false),
        _ => unreachable!("{init} is not tested"),
    }
}

#[test]
fn values_are_the_same_everywhere() {
    assert_eq!(
        bits(&filled(Init::Uniform { limit: 1.0 }, 4, 1, 0, 0)),
        [0xbe7d_be6c, 0x3f57_d687, 0x3f46_e01b, 0xbf39_f077]
    );
    assert_eq!(
        bits(&filled(Init::GlorotUniform, 3, 2, 7, 1)),
        [0x3f08_e0b8, 0xbf1e_cda7, 0xbf22_b1d5, 0x3ea9_3a73, 0xbf6c_b6bd, 0xbf7a_d3c1]
    );
    assert_eq!(
        bits(&filled(Init::Normal { deviation: 1.0 }, 4, 1, 0, 0)),
        [0x3f9d_b3d5, 0xbf29_64fc, 0x3ea2_878f, 0x3ebc_b366]
    );
    assert_eq!(
        bits(&filled(Init::HeNormal, 5, 1, u64::MAX, u64::MAX)),
        [0xbf86_bf29, 0x3f25_c23a, 0x3f01_75cd, 0x3f51_bd14, 0x3ee7_1f0e]
    );
}

/// So that a change in the last bit of a logarithm or a cosine would be seen wherever it changes a value.
#[test]
fn many_values_are_the_same_everywhere() {
    let mixed = |init| {
        let w = filled(init, 200, if cfg!(miri) { 10 } else { 500 }, 3, 2);
        w.iter().fold(0_u64, |hash, w| hash.wrapping_mul(1_000_003).wrapping_add(u64::from(w.to_bits())))
    };
    let few = [0x1f8b_87f0_5ff5_ccf2, 0x08f3_29d3_66d8_78d3];
    let many = [0xea0e_e751_2661_b679, 0x15eb_8f76_fd84_0d7a];
    let expected = if cfg!(miri) { few } else { many };
    assert_eq!([mixed(Init::LecunUniform), mixed(Init::LecunNormal)], expected);
}

/// Mean, variance and kurtosis, each within five standard errors.
#[cfg(not(miri))]
#[test]
fn moments_are_those_of_the_distribution() {
    for init in DISTRIBUTIONS {
        for (inputs, outputs) in [(784, 100), (100, 784)] {
            let w = filled(init, inputs, outputs, 1, 0);
            let (variance, is_uniform) = variance(init, inputs, outputs);
            let count = w.len() as f64;
            let moment = |power| w.iter().map(|w| f64::from(*w).powi(power)).sum::<f64>() / count;
            let mean = moment(1) / variance.sqrt();
            assert!(mean.abs() < 5.0 / count.sqrt(), "{init}: mean {mean} deviations");
            // Of values with deviation 1, the moments 4 and 8 say how far estimates of the moments 2 and 4 may be off.
            let (fourth, eighth) = if is_uniform { (9.0 / 5.0, 81.0 / 9.0) } else { (3.0, 105.0) };
            let second = moment(2) / variance;
            assert!((second - 1.0).abs() < 5.0 * ((fourth - 1.0) / count).sqrt(), "{init}: variance times {second}");
            let found = moment(4) / (variance * variance);
            let error = ((eighth - fourth * fourth) / count).sqrt();
            assert!((found - fourth).abs() < 5.0 * error, "{init}: fourth moment {found}, expected {fourth}");
        }
    }
}

/// The distribution function at several places, which moments alone would not show.
#[cfg(not(miri))]
#[test]
fn normal_values_have_the_normal_distribution() {
    let w = filled(Init::Normal { deviation: 1.0 }, 500, 400, 5, 0);
    let count = w.len() as f64;
    // From tables of the normal distribution: how much of it lies below.
    for (place, below) in
        [(-3.0, 0.00135), (-2.0, 0.02275), (-1.0, 0.15866), (0.0, 0.5), (1.0, 0.84134), (2.0, 0.97725)]
    {
        let found = w.iter().filter(|w| **w < place).count() as f64 / count;
        let error = (below * (1.0 - below) / count).sqrt();
        assert!((found - below).abs() < 5.0 * error, "below {place}: {found}, expected {below}");
    }
    // Neighbours come from one pair.
    let product = w.chunks_exact(2).map(|pair| f64::from(pair[0]) * f64::from(pair[1])).sum::<f64>() / (count / 2.0);
    assert!(product.abs() < 5.0 / (count / 2.0).sqrt(), "{product}");
}

#[test]
fn uniform_values_reach_for_their_limit_and_keep_within() {
    for init in [Init::GlorotUniform, Init::HeUniform, Init::LecunUniform, Init::Uniform { limit: 0.3 }] {
        let (inputs, outputs) = (100, 40);
        let limit = (3.0 * variance(init, inputs, outputs).0).sqrt() as f32;
        let w = filled(init, inputs, outputs, 9, 3);
        let most = w.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
        assert!(most <= limit && most > 0.99 * limit, "{init}: {most}, limit {limit}");
    }
    assert_eq!(bits(&filled(Init::Zeros, 3, 4, 1, 1)), [0; 12]);
    assert!(filled(Init::Uniform { limit: 0.0 }, 3, 4, 1, 1).iter().all(|w| *w == 0.0));
    let largest = filled(Init::Uniform { limit: f32::MAX }, 30, 30, 1, 1);
    assert!(largest.iter().all(|w| w.is_finite()));
}

#[test]
fn seeds_and_streams_have_values_of_their_own() {
    for init in [Init::HeUniform, Init::HeNormal] {
        let all = [(0, 0), (0, 1), (1, 0), (1, 1), (0, u64::MAX), (u64::MAX, 0)];
        let all = all.map(|(seed, stream)| bits(&filled(init, 8, 4, seed, stream)));
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                let equal = one.iter().zip(other).filter(|(one, other)| one == other).count();
                assert!(equal < 2, "{equal} of 32 values are equal");
            }
        }
    }
}

/// A value depends on its place alone: a slice of odd length ends in the middle of a pair.
#[test]
fn a_shorter_slice_has_the_first_values() {
    for init in [Init::Uniform { limit: 1.0 }, Init::Normal { deviation: 1.0 }] {
        let long = bits(&filled(init, 17, 1, 4, 4));
        for len in 0..17 {
            assert_eq!(bits(&filled(init, 1, len, 4, 4)), long[..len]);
        }
    }
}

#[test]
fn bad_input_is_a_typed_error_and_writes_nothing() {
    let check = |init: Init, inputs, outputs, expected: Error| {
        let mut w = [7.0; 6];
        let found = init.fill(inputs, outputs, 0, 0, &mut w).unwrap_err();
        assert_eq!((found.to_string(), w), (expected.to_string(), [7.0; 6]));
    };
    let operand = Operand::W;
    check(Init::Zeros, 2, 4, Error::Length { operand, expected: 8, found: 6 });
    check(Init::HeNormal, 0, 4, Error::Length { operand, expected: 0, found: 6 });
    check(Init::HeNormal, usize::MAX, 2, Error::TooLarge { operand });
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.1] {
        check(Init::Uniform { limit: wrong }, 2, 3, Error::Distribution { parameter: "limit", found: wrong });
        check(Init::Normal { deviation: wrong }, 2, 3, Error::Distribution { parameter: "deviation", found: wrong });
    }
    let error = Error::Distribution { parameter: "limit", found: -0.5 };
    assert_eq!(error.to_string(), "initial values: expected a finite limit of 0 or more, found -0.5");
}

#[test]
fn layers_without_weights_are_valid() {
    for init in DISTRIBUTIONS {
        for (inputs, outputs) in [(0, 0), (0, 3), (3, 0), (usize::MAX, 0)] {
            assert_eq!(init.fill(inputs, outputs, 0, 0, &mut []), Ok(()));
        }
    }
}

#[test]
fn names_are_read_back() {
    for init in DISTRIBUTIONS.into_iter().chain([Init::Zeros, Init::Uniform { limit: 1e-30 }]) {
        assert_eq!(init.to_string().parse(), Ok(init));
        assert_eq!(format!(" {init} ").to_uppercase().parse(), Ok(init));
    }
    for wrong in ["", "he", "uniform", "uniform()", "uniform(x)", "normal(1", "zeros(1)", "uniform(1)2"] {
        let error = wrong.parse::<Init>().unwrap_err();
        assert_eq!(error.found, wrong);
        assert!(error.to_string().contains(&format!("found {wrong:?}")), "{error}");
    }
    assert_eq!(format!("{:>14}", Init::HeNormal), "     he-normal");
}

#[test]
fn every_activation_has_values_to_start_from() {
    for activation in Activation::all() {
        let init = Init::for_activation(*activation);
        assert!(matches!(init, Init::GlorotUniform | Init::HeNormal), "{activation}: {init}");
    }
    assert_eq!(Init::for_activation(Activation::Relu), Init::HeNormal);
    assert_eq!(Init::for_activation(Activation::Sigmoid), Init::GlorotUniform);
}
