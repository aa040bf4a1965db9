//! Targets as callers give them: every type of labels, weights, and all that is refused.

use fused_dense::{Classes, Cost, Error, Operand, Targets, loss};

const Z: [f32; 9] = [2.0, 0.0, -1.0, 0.5, 0.25, 0.0, -3.0, 1.0, 1.5];
const ROWS: [f32; 9] = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];

fn cost<'t>(targets: impl Into<Targets<'t>>) -> f64 {
    loss::softmax_cross_entropy(&Z, targets, 3).expect("a valid call")
}

/// The same labels in a type of their own, as array, slice, vector and classes.
macro_rules! assert_labels {
    ($($number:ty),*) => {$({
        let labels: [$number; 3] = [0, 2, 1];
        let expected = cost(&ROWS);
        assert_eq!(cost(&labels), expected, "array of {}", stringify!($number));
        assert_eq!(cost(&labels[..]), expected, "slice of {}", stringify!($number));
        assert_eq!(cost(&labels.to_vec()), expected, "vector of {}", stringify!($number));
        assert_eq!(cost(Targets::classes(&labels)), expected, "classes of {}", stringify!($number));
        let classes = [Classes::from(&labels), Classes::from(&labels[..]), Classes::from(&labels[..2])];
        assert_eq!(classes.map(|classes| classes.len()), [3, 3, 2]);
        assert_eq!(cost(classes[0]), expected);
    })*};
}

#[test]
fn labels_of_every_type_are_classes() {
    assert_labels!(u8, u16, u32, u64, usize, i32, i64);
    assert!(Classes::from(&[0_u8; 0]).is_empty() && !Classes::from(&[0_u8]).is_empty());
}

#[test]
fn values_of_every_form_are_rows() {
    let expected = cost(&ROWS);
    assert_eq!([cost(&ROWS[..]), cost(&ROWS.to_vec()), cost(Targets::values(&ROWS))], [expected; 3]);
}

/// The cost of a definition in `f64`.
fn exact(rows: &[f32], weights: &[f32]) -> f64 {
    let samples = Z.chunks_exact(3).zip(rows.chunks_exact(3)).zip(weights);
    let losses = samples.map(|((z, y), &weight)| {
        let sum: f64 = z.iter().map(|&z| f64::from(z).exp()).sum();
        let loss: f64 = z.iter().zip(y).map(|(&z, &y)| f64::from(y) * (sum.ln() - f64::from(z))).sum();
        f64::from(weight) * loss
    });
    losses.sum::<f64>() / weights.iter().map(|&weight| f64::from(weight)).sum::<f64>()
}

#[test]
fn costs_are_the_defined_ones() {
    let soft = [0.5, 0.25, 0.25, 0.0, 0.125, 0.875, 0.1, 0.2, 0.7];
    // (ln 3 + 3/16 + 8) · 2⁻²⁴, as documented.
    let bound = 9.3 / (1 << 24) as f64;
    for rows in [ROWS, soft] {
        for weights in [[1.0; 3], [0.5, 2.0, 0.0]] {
            let found = cost(Targets::values(&rows).sample_weights(&weights));
            assert!((found - exact(&rows, &weights)).abs() < bound, "{found}");
        }
        assert_eq!(cost(&rows), cost(Targets::values(&rows).sample_weights(&[1.0; 3])));
    }
}

#[test]
fn empty_batches_cost_nothing() {
    for outputs in [0, 3] {
        assert_eq!(loss::softmax_cross_entropy(&[], &[0.0_f32; 0], outputs), Ok(0.0));
        assert_eq!(loss::softmax_cross_entropy(&[], &[0_u8; 0], outputs), Ok(0.0));
        assert_eq!(loss::softmax_cross_entropy_gradient(&[], &[0_u8; 0], &mut [], outputs), Ok(()));
        assert_eq!(loss::softmax(&[], &mut [], outputs), Ok(()));
        assert_eq!(loss::softmax_backward(&[], &[], &mut [], outputs), Ok(()));
    }
}

#[test]
fn refused_calls_write_nothing() {
    const CANARY: f32 = 7.0;
    let length = |operand, expected, found| Err(Error::Length { operand, expected, found });
    let not_whole = |operand| Err(Error::NotWholeRows { operand, row_len: 4, found: 9 });
    let mut out = [CANARY; 9];

    assert_eq!(loss::softmax(&Z, &mut out, 4), not_whole(Operand::Z));
    assert_eq!(loss::softmax(&Z, &mut out[..8], 3), length(Operand::A, 9, 8));
    assert_eq!(loss::softmax(&Z, &mut out, 0), length(Operand::Z, 0, 9));
    assert_eq!(loss::softmax_backward(&Z, &Z, &mut out, 4), not_whole(Operand::A));
    assert_eq!(loss::softmax_backward(&Z, &Z[..8], &mut out, 3), length(Operand::DA, 9, 8));
    assert_eq!(loss::softmax_backward(&Z, &Z, &mut out[..8], 3), length(Operand::DZ, 9, 8));

    let mut gradient = |z: &[f32], targets: Targets<'_>, len: usize, outputs| {
        let found = loss::softmax_cross_entropy_gradient(z, targets, &mut out[..len], outputs);
        if len == 9 {
            assert_eq!(loss::softmax_cross_entropy(z, targets, outputs).map(|_| ()), found);
        }
        found
    };
    let labels = Targets::classes(&[0_u8, 2, 1]);
    assert_eq!(gradient(&Z, labels, 9, 4), not_whole(Operand::Z));
    assert_eq!(gradient(&Z, labels, 8, 3), length(Operand::DZ, 9, 8));
    assert_eq!(gradient(&Z[..6], labels, 9, 3), length(Operand::Targets, 2, 3));
    assert_eq!(gradient(&Z, Targets::values(&ROWS[..8]), 9, 3), length(Operand::Targets, 9, 8));
    assert_eq!(gradient(&Z, labels.sample_weights(&[1.0; 4]), 9, 3), length(Operand::SampleWeights, 3, 4));
    let outside = Targets::classes(&[0_i32, 1, 3]);
    assert_eq!(gradient(&Z, outside, 9, 3), Err(Error::Class { sample: 2, classes: 3, found: 3 }));
    let no_sum = Targets::values(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(gradient(&Z, no_sum, 9, 3), Err(Error::RowSum { sample: 1, found: 0.0 }));
    let no_weights = labels.sample_weights(&[0.0; 3]);
    let error = Error::WeightSum { operand: Operand::SampleWeights, found: 0.0 };
    assert_eq!(gradient(&Z, no_weights, 9, 3), Err(error));
    assert_eq!(out, [CANARY; 9]);
}

#[test]
fn messages() {
    let operand = Operand::SampleWeights;
    for (error, text) in [
        (
            Error::Value { operand, index: 3, expected: "a finite value of at least 0", found: -1.5 },
            "sample_weights: expected a finite value of at least 0 at index 3, found -1.5",
        ),
        (
            Error::Class { sample: 2, classes: 10, found: -1 },
            "targets: expected a class from 0 and below 10 for sample 2, found -1",
        ),
        (
            Error::RowSum { sample: 2, found: 0.5 },
            "targets: expected probabilities with a sum of 1 for sample 2, found a sum of 0.5",
        ),
        (
            Error::WeightSum { operand, found: 0.0 },
            "sample_weights: expected a sum above 0 with a reciprocal in single precision, found 0",
        ),
        (
            Error::PositiveWeightNeedsBinary { found: Cost::SoftmaxCrossEntropy },
            "positive_weight: expected binary cross-entropy cost, found softmax cross-entropy",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(Operand::ClassWeights.to_string(), "class_weights");
}
