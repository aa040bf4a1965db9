//! The costs against independent `f64` oracles, at their exact limits, and against their own gradients.

#![cfg(not(miri))]

use fused_dense::{Activation, Dense, Error, Gradients, Isa, Operand, Upstream, loss};

/// Deterministic values in `0..1`, of 24 bits.
fn unit_values(len: usize, mut state: u64) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len).map(|_| next()).collect()
}

/// A sum with its rounding errors carried along (Neumaier).
fn exact_sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    sum + lost
}

#[track_caller]
fn assert_within_bound(cost: f64, oracle: f64, values: usize) {
    // Twice the documented bound: the oracle's own terms have the same error.
    let bound = 2.0 * (values + 8) as f64 * 2.0_f64.powi(-53) * oracle;
    assert!((cost - oracle).abs() <= bound, "{cost} against {oracle}, bound {bound:e}");
}

#[test]
fn binary_cross_entropy_of_a_keeps_its_bound() {
    let (samples, outputs) = (300, 7);
    let (a, soft) = (unit_values(samples * outputs, 1), unit_values(samples * outputs, 2));
    let hard: Vec<f32> = soft.iter().map(|y| y.round()).collect();
    for y in [soft, hard] {
        let terms = a.iter().zip(&y).map(|(&a, &y)| {
            // 24-bit values in 0..1: `1 - a` is exact in f64.
            let (a, y) = (f64::from(a), f64::from(y));
            -y * a.ln() - (1.0 - y) * (1.0 - a).ln()
        });
        let oracle = exact_sum(terms) / samples as f64;
        assert_within_bound(loss::binary_cross_entropy(&a, &y, outputs).unwrap(), oracle, a.len());
    }
}

#[test]
fn binary_cross_entropy_from_z_keeps_its_bound() {
    let (samples, outputs) = (300, 7);
    let z: Vec<f32> = unit_values(samples * outputs, 3).iter().map(|u| 60.0 * (u - 0.5)).collect();
    let y = unit_values(samples * outputs, 4);
    let terms = z.iter().zip(&y).map(|(&z, &y)| {
        let (z, y) = (f64::from(z), f64::from(y));
        // -y ln σ(z) - (1-y) ln σ(-z), with -ln σ(z) = ln(1 + e^{-z}).
        y * (-z).exp().ln_1p() + (1.0 - y) * z.exp().ln_1p()
    });
    let oracle = exact_sum(terms) / samples as f64;
    // The oracle's `e^{|z|}` is exact to `2⁻⁵³` of itself, its logarithm to that much absolutely: no more in relation.
    assert_within_bound(loss::binary_cross_entropy_from_z(&z, &y, outputs).unwrap(), oracle, z.len());
}

#[test]
fn quadratic_keeps_its_bound() {
    let (a, y) = (unit_values(1000, 5), unit_values(1000, 6));
    let oracle = exact_sum(a.iter().zip(&y).map(|(&a, &y)| (f64::from(a) - f64::from(y)).powi(2))) / 2.0 / 100.0;
    assert_within_bound(loss::quadratic(&a, &y, 10).unwrap(), oracle, a.len());
}

#[test]
fn certain_predictions() {
    let cost = |a: f32, y: f32| loss::binary_cross_entropy(&[a], &[y], 1).unwrap();
    assert_eq!(cost(0.0, 0.0).to_bits(), 0.0_f64.to_bits());
    assert_eq!(cost(1.0, 1.0).to_bits(), 0.0_f64.to_bits());
    for y in [1.0, 0.5, 1e-45] {
        assert_eq!(cost(0.0, y), f64::INFINITY);
        assert_eq!(cost(1.0, 1.0 - y.max(1e-7)), f64::INFINITY);
    }
    let least = f32::from_bits(1);
    assert_eq!(cost(least, 0.0), f64::from(least));
    assert!((cost(least, 1.0) - 149.0 * 2.0_f64.ln()).abs() < 1e-13);
}

#[test]
fn saturated_pre_activations() {
    let cost = |z: f32, y: f32| loss::binary_cross_entropy_from_z(&[z], &[y], 1).unwrap();
    assert_eq!(cost(0.0, 0.0), 2.0_f64.ln());
    assert_eq!(cost(1000.0, 0.0), 1000.0);
    assert_eq!(cost(-1000.0, 1.0), 1000.0);
    assert_eq!(cost(f32::MAX, 0.25), 0.75 * f64::from(f32::MAX));
    assert_eq!(cost(50.0, 1.0), (-50.0_f64).exp());
    for (z, right, wrong) in [(f32::INFINITY, 1.0, 0.0), (f32::NEG_INFINITY, 0.0, 1.0)] {
        assert_eq!(cost(z, right).to_bits(), 0.0_f64.to_bits());
        assert_eq!(cost(z, wrong), f64::INFINITY);
        assert_eq!(cost(z, 0.5), f64::INFINITY);
    }
}

#[test]
fn gradient_by_a_is_finite_at_the_ends() {
    let gradient = |a: f32, y: f32| {
        let mut d_a = [f32::NAN];
        loss::binary_cross_entropy_gradient(&[a], &[y], &mut d_a).unwrap();
        d_a[0]
    };
    assert_eq!(gradient(0.0, 0.0), 1.0);
    assert_eq!(gradient(1.0, 1.0), -1.0);
    assert_eq!(gradient(0.0, 1.0), -1.0 / f32::MIN_POSITIVE);
    assert_eq!(gradient(1.0, 0.0), 2.0 / f32::EPSILON);
    for a in [0.0, f32::from_bits(1), 1.0 - f32::EPSILON / 2.0, 1.0] {
        for y in [0.0, f32::from_bits(1), 0.5, 1.0] {
            let d_a = gradient(a, y);
            assert!(d_a.is_finite() && (d_a * (a * (1.0 - a))).is_finite(), "a = {a}, y = {y}: {d_a}");
        }
    }
}

#[test]
fn gradients_by_a_and_by_z_meet() {
    let z: Vec<f32> = unit_values(500, 7).iter().map(|u| 16.0 * (u - 0.5)).collect();
    let (mut a, mut d_a, mut through_a, mut d_z) = (vec![0.0; 500], vec![0.0; 500], vec![0.0; 500], vec![0.0; 500]);
    Activation::Sigmoid.forward(&z, &mut a).unwrap();
    for y in [vec![0.0; 500], vec![1.0; 500], unit_values(500, 8)] {
        loss::binary_cross_entropy_gradient(&a, &y, &mut d_a).unwrap();
        Activation::Sigmoid.backward(&a, &d_a, &mut through_a).unwrap();
        loss::binary_cross_entropy_gradient_from_z(&z, &y, &mut d_z).unwrap();
        for (through_a, d_z) in through_a.iter().zip(&d_z) {
            // Roundings of `dA`, `1 - a`, its product with `a`, and theirs: half a unit each.
            assert!((through_a - d_z).abs() <= 2.0 * f32::EPSILON * d_z.abs(), "{through_a} against {d_z}");
        }
    }
}

#[test]
fn gradient_by_z_has_the_bits_of_targets() {
    let z: Vec<f32> = unit_values(101, 9).iter().map(|u| 40.0 * (u - 0.5)).collect();
    let y = unit_values(101, 10);
    let (mut a, mut d_z, mut fused) = (vec![0.0; 101], vec![0.0; 101], vec![0.0; 101]);
    let mut layer = Dense::new(1, 1, Activation::Sigmoid);
    layer.forward(&z, &[1.0], &[0.0], &mut a).unwrap();
    layer.backward(&z, &[1.0], &a, Upstream::Targets(&y), Gradients::new().z(&mut fused)).unwrap();
    loss::binary_cross_entropy_gradient_from_z(&z, &y, &mut d_z).unwrap();
    assert_eq!(d_z, fused);
}

#[test]
fn gradients_are_the_slopes_of_the_costs() {
    type Cost = fn(&[f32], &[f32], usize) -> Result<f64, Error>;
    type Gradient = fn(&[f32], &[f32], &mut [f32]) -> Result<(), Error>;
    let pairs: [(Cost, Gradient); 3] = [
        (loss::binary_cross_entropy, loss::binary_cross_entropy_gradient),
        (loss::binary_cross_entropy_from_z, loss::binary_cross_entropy_gradient_from_z),
        (loss::quadratic, loss::quadratic_gradient),
    ];
    // Inside 1/8..7/8, where the third derivatives are small; the steps are exact in f32.
    let at: Vec<f32> = unit_values(40, 11).iter().map(|u| (u * 768.0).round() / 1024.0 + 0.125).collect();
    let y = unit_values(40, 12);
    let (outputs, samples, step) = (4, 10.0, 1.0 / 1024.0_f32);
    for (cost, gradient) in pairs {
        let mut expected = vec![0.0; 40];
        gradient(&at, &y, &mut expected).unwrap();
        for i in 0..at.len() {
            let moved = |by: f32| {
                let mut at = at.clone();
                at[i] += by;
                cost(&at, &y, outputs).unwrap()
            };
            let slope = samples * (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let expected = f64::from(expected[i]);
            // step²/6 of a third derivative that is at most 2·8³.
            assert!((slope - expected).abs() < 2e-4, "{slope} against {expected} at {}", at[i]);
        }
    }
}

#[test]
fn nan_propagates() {
    type Cost = fn(&[f32], &[f32], usize) -> Result<f64, Error>;
    let costs: [Cost; 3] = [loss::binary_cross_entropy, loss::binary_cross_entropy_from_z, loss::quadratic];
    for cost in costs {
        for other in [0.0, 0.5, 1.0] {
            assert!(cost(&[0.5, f32::NAN], &[1.0, other], 2).unwrap().is_nan());
            assert!(cost(&[0.5, other], &[1.0, f32::NAN], 2).unwrap().is_nan());
        }
    }
    let mut gradient = [0.0; 3];
    loss::binary_cross_entropy_gradient(&[f32::NAN, 0.5, 0.5], &[1.0, f32::NAN, 0.0], &mut gradient).unwrap();
    assert!(gradient[0].is_nan() && gradient[1].is_nan() && gradient[2] == 2.0);
}

#[test]
fn empty_batches_cost_nothing() {
    for outputs in [0, 3] {
        assert_eq!(loss::binary_cross_entropy(&[], &[], outputs), Ok(0.0));
        assert_eq!(loss::binary_cross_entropy_from_z(&[], &[], outputs), Ok(0.0));
        assert_eq!(loss::quadratic(&[], &[], outputs), Ok(0.0));
    }
}

#[test]
fn wrong_lengths_are_named() {
    let (two, three) = ([0.5; 2], [0.5; 3]);
    let not_whole = |operand| Error::NotWholeRows { operand, row_len: 2, found: 3 };
    let length = |operand, expected, found| Error::Length { operand, expected, found };
    assert_eq!(loss::quadratic(&three, &three, 2), Err(not_whole(Operand::A)));
    assert_eq!(loss::binary_cross_entropy_from_z(&three, &three, 2), Err(not_whole(Operand::Z)));
    assert_eq!(loss::binary_cross_entropy(&two, &three, 2), Err(length(Operand::Targets, 2, 3)));
    assert_eq!(loss::binary_cross_entropy(&two, &two, 0), Err(length(Operand::A, 0, 2)));

    let mut gradient = [7.0; 2];
    let wrong_targets = loss::binary_cross_entropy_gradient_from_z(&two, &three, &mut gradient);
    assert_eq!(wrong_targets, Err(length(Operand::Targets, 2, 3)));
    let wrong_gradient = loss::quadratic_gradient(&three, &three, &mut gradient);
    assert_eq!(wrong_gradient, Err(length(Operand::DA, 3, 2)));
    assert_eq!(gradient, [7.0; 2]);
}

/// A cost has the same bits on every instruction set, whatever the length, and where the range of numbers ends.
#[test]
fn instruction_sets_agree_on_cross_entropy() {
    let ends = [0.0, -0.0, f32::from_bits(1), 708.0, -708.5, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for len in 1..=70 {
        let z: Vec<f32> = unit_values(len, 13).iter().map(|u| 200.0 * (u - 0.5).powi(3)).collect();
        let y = unit_values(len, 14);
        for end in std::iter::once(None).chain(ends.map(Some)) {
            let mut z = z.clone();
            z[len / 2] = end.unwrap_or(z[len / 2]);
            let costs = Isa::available().into_iter().map(|isa| {
                let cost = loss::binary_cross_entropy_from_z_with_isa(isa, &z, &y, 1).unwrap();
                if cost.is_nan() { None } else { Some(cost.to_bits()) }
            });
            let costs: Vec<_> = costs.collect();
            assert_eq!(costs[0].is_none(), end.is_some_and(f32::is_nan), "{len} values, {end:?}");
            assert!(costs.iter().all(|cost| *cost == costs[0]), "{len} values, {end:?}: {costs:?}");
        }
    }
}

/// One logarithm is taken of many terms: of products beyond the range of numbers, and of factors that are hardly above 1.
#[test]
fn many_terms_keep_the_bound() {
    let n = 5000;
    for z in [0.0_f32, -0.5, 3.0, 40.0, -90.0] {
        // Each on the side of its target, so that the logarithm is all.
        let y = if z < 0.0 { 0.0 } else { 1.0 };
        let cost = loss::binary_cross_entropy_from_z(&vec![z; n], &vec![y; n], n).unwrap();
        let term = (-f64::from(z.abs())).exp().ln_1p();
        assert_within_bound(cost, n as f64 * term, n);
    }
    let mixed: Vec<f32> = (0..n).map(|i| (i % 7) as f32 * 10.0).collect();
    let terms = mixed.iter().map(|&z| (-f64::from(z)).exp().ln_1p());
    assert_within_bound(loss::binary_cross_entropy_from_z(&mixed, &vec![1.0; n], n).unwrap(), exact_sum(terms), n);
}
