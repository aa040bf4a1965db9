use super::*;
use crate::isa::{self, Isa};
use crate::targets::Classes;
use crate::{Activation, reference};

const COSTS: [Cost; 3] = [Cost::BinaryCrossEntropy, Cost::Quadratic, Cost::SoftmaxCrossEntropy];

/// `(batch, outputs)`: one of everything, nothing, less and more than a vector, more than a chunk.
const SHAPES: [(usize, usize); 9] = [(0, 3), (1, 1), (1, 5), (3, 2), (5, 10), (70, 16), (65, 17), (33, 40), (4, 300)];

/// `2⁻²⁴`, the unit roundoff of single precision.
const U: f64 = 1.0 / (1 << 24) as f64;

/// Deterministic values in `0..1`, of 24 bits.
fn unit_values(len: usize, mut state: u64) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len).map(|_| next()).collect()
}

/// The parts of targets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Soft,
    Hard,
    Class,
}

/// One objective with a batch for it.
struct Case {
    cost: Cost,
    batch: usize,
    outputs: usize,
    kind: Kind,
    y: Vec<f32>,
    labels: Vec<u16>,
    class_weights: Option<Vec<f32>>,
    positive_weight: Option<f32>,
    sample_weights: Option<Vec<f32>>,
    z: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    fn new(cost: Cost, (batch, outputs): (usize, usize), kind: Kind, weights: [bool; 3]) -> Self {
        let len = batch * outputs;
        let classes = if outputs == 1 && cost != Cost::SoftmaxCrossEntropy { 2 } else { outputs };
        let labels: Vec<u16> = unit_values(batch, 1).iter().map(|u| (u * classes as f32) as u16).collect();
        let mut y = unit_values(len, 2);
        for (row, &label) in y.chunks_exact_mut(outputs).zip(&labels) {
            if kind != Kind::Soft {
                row.fill(0.0);
                row[usize::from(label) % outputs] = if classes > outputs { f32::from(label) } else { 1.0 };
            } else if cost == Cost::SoftmaxCrossEntropy {
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|y| *y /= sum);
            }
        }
        let z: Vec<f32> = unit_values(len, 3).iter().map(|u| 12.0 * (u - 0.5)).collect();
        let mut a = z.clone();
        if cost == Cost::BinaryCrossEntropy {
            Activation::Sigmoid.forward(&z, &mut a).unwrap();
        }
        let [class, positive, sample] = weights;
        Self {
            class_weights: class.then(|| unit_values(outputs, 4).iter().map(|u| 3.0 * u).collect()),
            positive_weight: (positive && cost == Cost::BinaryCrossEntropy).then_some(2.7),
            sample_weights: sample
                .then(|| (0..batch).map(|i| if i % 3 == 1 { 0.0 } else { 0.5 + i as f32 / 7.0 }).collect()),
            ..Self {
                cost,
                batch,
                outputs,
                kind,
                y,
                labels,
                class_weights: None,
                positive_weight: None,
                sample_weights: None,
                z,
                a,
            }
        }
    }

    fn objective(&self) -> Objective {
        Objective::new(self.cost, self.outputs, self.class_weights.as_deref(), self.positive_weight).unwrap()
    }

    fn targets(&self) -> Targets<'_> {
        let targets = match self.kind {
            Kind::Class => Targets::classes(&self.labels),
            Kind::Hard | Kind::Soft => Targets::values(&self.y),
        };
        match &self.sample_weights {
            None => targets,
            Some(weights) => targets.sample_weights(weights),
        }
    }

    fn run(&self, kernels: &Kernels, z: &[f32], a: &[f32]) -> (f64, Vec<f32>) {
        let objective = self.objective();
        let targets = objective.check(self.targets(), self.batch, self.outputs).unwrap();
        let mut d = vec![f32::NAN; z.len()];
        let cost = objective.run(kernels, &targets, z, a, &mut d);
        if let Some(y) = objective.short_cut(&targets) {
            assert!(d.iter().all(|d| d.is_nan()), "the short cut writes nothing");
            d = a.iter().zip(y).map(|(a, y)| a - y).collect();
        }
        (cost, d)
    }

    fn class_weight(&self, output: usize) -> f64 {
        self.class_weights.as_ref().map_or(1.0, |weights| weights[output].into())
    }

    fn sample_weight(&self, sample: usize) -> f64 {
        self.sample_weights.as_ref().map_or(1.0, |weights| weights[sample].into())
    }

    /// `Σ s·L`, its gradient, and `Σ s`, from the definitions.
    fn exact(&self) -> (f64, Vec<f64>, f64) {
        let (mut sum, mut gradient, mut divisor) = (0.0, Vec::new(), 0.0);
        for sample in 0..self.batch {
            let s = self.sample_weight(sample);
            divisor += s;
            let elements = sample * self.outputs..(sample + 1) * self.outputs;
            let row = |values: &[f32]| -> Vec<f64> { values[elements.clone()].iter().map(|&v| v.into()).collect() };
            let (y, z, a) = (row(&self.y), row(&self.z), row(&self.a));
            let c = |output: usize| self.class_weight(output);
            match self.cost {
                Cost::BinaryCrossEntropy => {
                    let w = f64::from(self.positive_weight.unwrap_or(1.0));
                    for (j, (y, z)) in y.iter().zip(&z).enumerate() {
                        let sigmoid = 1.0 / (1.0 + (-z).exp());
                        sum += s * c(j) * (w * y * (-z).exp().ln_1p() + (1.0 - y) * z.exp().ln_1p());
                        gradient.push(s * c(j) * (sigmoid * (1.0 + (w - 1.0) * y) - w * y));
                    }
                }
                Cost::Quadratic => {
                    for (j, (y, a)) in y.iter().zip(&a).enumerate() {
                        sum += s * c(j) * 0.5 * (a - y).powi(2);
                        gradient.push(s * c(j) * (a - y));
                    }
                }
                Cost::SoftmaxCrossEntropy => {
                    let e: f64 = z.iter().map(|z| z.exp()).sum();
                    let all: f64 = y.iter().enumerate().map(|(j, y)| c(j) * y).sum();
                    for (j, (y, z)) in y.iter().zip(&z).enumerate() {
                        sum += s * c(j) * y * (e.ln() - z);
                        gradient.push(s * (z.exp() / e * all - c(j) * y));
                    }
                }
            }
        }
        (sum, gradient, if self.batch == 0 { 1.0 } else { divisor })
    }

    /// The largest weight of an output's loss.
    fn largest_weight(&self) -> f64 {
        let largest =
            |weights: &Option<Vec<f32>>| weights.as_ref().map_or(1.0, |all| all.iter().copied().fold(0.0, f32::max));
        f64::from(largest(&self.class_weights))
            * f64::from(largest(&self.sample_weights))
            * f64::from(self.positive_weight.unwrap_or(1.0))
    }

    fn name(&self) -> String {
        let weights = (self.class_weights.is_some(), self.positive_weight, self.sample_weights.is_some());
        format!("{}, {}×{}, {:?}, {weights:?}", self.cost, self.batch, self.outputs, self.kind)
    }
}

/// Every cost with every kind of targets and weights, at every shape.
fn cases() -> impl Iterator<Item = Case> {
    let weights = (0..8).map(|bits| [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0]);
    let kinds = [Kind::Soft, Kind::Hard, Kind::Class];
    COSTS.into_iter().flat_map(move |cost| {
        let weights = weights.clone().filter(move |[_, positive, _]| !positive || cost == Cost::BinaryCrossEntropy);
        weights.flat_map(move |weights| {
            kinds
                .into_iter()
                .flat_map(move |kind| SHAPES.into_iter().map(move |shape| Case::new(cost, shape, kind, weights)))
        })
    })
}

fn all_kernels() -> impl Iterator<Item = &'static Kernels> {
    Isa::available().into_iter().map(|isa| isa::select(isa).unwrap().kernels)
}

#[test]
fn costs_and_gradients_are_the_defined_ones() {
    for case in cases() {
        let (sum, gradient, divisor) = case.exact();
        for kernels in all_kernels() {
            let name = format!("{}, {}", case.name(), kernels.isa);
            let (cost, d) = case.run(kernels, &case.z, &case.a);
            let n = case.outputs as f64;
            // Of each sample's loss, whose sum of exponentials is in single precision; else the oracle's own error.
            let of_a_row = if case.cost == Cost::SoftmaxCrossEntropy { (n.ln() + n / 16.0 + 8.0) * U } else { 0.0 };
            let bound = case.largest_weight() * case.batch as f64 * of_a_row + 1e-12 * sum.abs();
            assert!((cost * divisor - sum).abs() <= 1.5 * bound, "{name}: {} against {sum}", cost * divisor);
            for (at, (&d, exact)) in d.iter().zip(&gradient).enumerate() {
                // Roundings of p, its distance from the largest z, weights, their products and the difference.
                let bound = case.largest_weight() * (12.0 + n.ln() + n / 16.0) * U;
                assert!((f64::from(d) - exact).abs() <= bound, "{name}: element {at}: {d} against {exact}");
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_costs() {
    // Exact in f32.
    let step = 1.0 / 64.0_f32;
    let kernels = isa::select_default().unwrap().kernels;
    for case in cases().filter(|case| case.batch <= 5 && case.outputs <= 10) {
        let objective = case.objective();
        let (_, gradient) = case.run(kernels, &case.z, &case.a);
        let (_, _, divisor) = case.exact();
        for at in 0..case.z.len() {
            let moved = |by: f32| {
                let (mut z, mut a) = (case.z.clone(), case.a.clone());
                let by_what = if objective.wants_z() { &mut z } else { &mut a };
                by_what[at] += by;
                (f64::from(by_what[at]), divisor * case.run(kernels, &z, &a).0)
            };
            let ((high, above), (low, below)) = (moved(step), moved(-step));
            let slope = (above - below) / (high - low);
            // A third derivative of at most 1/2, and a cost in single precision.
            let bound = case.largest_weight() * (f64::from(step).powi(2) / 12.0 + 40.0 * U / f64::from(step));
            assert!(
                (slope - f64::from(gradient[at])).abs() <= bound,
                "{}: {slope} against {}",
                case.name(),
                gradient[at]
            );
        }
    }
}

#[test]
fn gradients_have_the_bits_of_the_reference() {
    for case in cases() {
        if case.cost != Cost::SoftmaxCrossEntropy {
            continue;
        }
        let p = reference::softmax(&case.z, case.outputs);
        let expected: Vec<u32> = (0..p.len())
            .map(|at| {
                let (sample, class) = (at / case.outputs, at % case.outputs);
                let s = case.sample_weight(sample) as f32;
                let y = &case.y[sample * case.outputs..][..case.outputs];
                let weighted = y.iter().enumerate().map(|(class, &y)| case.class_weight(class) * f64::from(y));
                let factor = (f64::from(s) * weighted.sum::<f64>()) as f32;
                (p[at] * factor - s * case.class_weight(class) as f32 * y[class]).to_bits()
            })
            .collect();
        for kernels in all_kernels().filter(|kernels| kernels.isa.is_bit_exact()) {
            let (_, d) = case.run(kernels, &case.z, &case.a);
            let found: Vec<u32> = d.iter().map(|d| d.to_bits()).collect();
            assert_eq!(found, expected, "{}, {}", case.name(), kernels.isa);
        }
    }
}

#[test]
fn classes_are_rows_with_a_one() {
    for weights in [[false; 3], [true; 3]] {
        for cost in COSTS {
            for shape in SHAPES {
                let [class, hard] = [Kind::Class, Kind::Hard].map(|kind| Case::new(cost, shape, kind, weights));
                for kernels in all_kernels() {
                    let (by_class, by_row) =
                        (class.run(kernels, &class.z, &class.a), hard.run(kernels, &hard.z, &hard.a));
                    assert_eq!(by_class, by_row, "{}", class.name());
                }
            }
        }
    }
}

/// The kernel has the bits of outputs that are added one by one, as those with weights are, at every length of a group and beyond
/// what is summed before a logarithm is taken.
#[test]
fn weights_of_one_change_no_bit() {
    for kernels in all_kernels() {
        for shape in (1..=40).map(|outputs| (1, outputs)).chain([(70, 16), (3, 171), (257, 2), (300, 7)]) {
            for kind in [Kind::Soft, Kind::Hard] {
                let mut case = Case::new(Cost::BinaryCrossEntropy, shape, kind, [false; 3]);
                let cost = |case: &Case| case.run(kernels, &case.z, &case.a).0.to_bits();
                let expected = cost(&case);
                case.sample_weights = Some(vec![1.0; shape.0]);
                assert_eq!(cost(&case), expected, "samples: {kind:?}, {shape:?} on {}", kernels.isa);
                (case.sample_weights, case.class_weights) = (None, Some(vec![1.0; shape.1]));
                assert_eq!(cost(&case), expected, "outputs: {kind:?}, {shape:?} on {}", kernels.isa);
            }
        }
    }
}

#[test]
fn a_sample_weight_counts_samples() {
    let kernels = isa::select_default().unwrap().kernels;
    for cost in COSTS {
        let once = Case::new(cost, (2, 3), Kind::Class, [true, true, false]);
        let mut weighted = Case::new(cost, (3, 3), Kind::Class, [true, true, false]);
        weighted.sample_weights = Some(vec![2.0, 0.0, 2.0]);
        // The first and the third sample are those of `once`.
        weighted.z[6..].copy_from_slice(&once.z[3..]);
        weighted.a[6..].copy_from_slice(&once.a[3..]);
        weighted.labels = vec![once.labels[0], 2, once.labels[1]];
        let (cost_once, d_once) = once.run(kernels, &once.z, &once.a);
        let (cost_weighted, d_weighted) = weighted.run(kernels, &weighted.z, &weighted.a);
        assert!((cost_once - cost_weighted).abs() <= 1e-15 * cost_once, "{cost}: {cost_once} against {cost_weighted}");
        let doubled: Vec<f32> = d_once.iter().map(|d| 2.0 * d).collect();
        assert_eq!((&d_weighted[..3], &d_weighted[6..]), (&doubled[..3], &doubled[3..]), "{cost}");
        assert_eq!(d_weighted[3..6], [0.0; 3], "{cost}");
    }
}

#[test]
fn no_outputs_cost_nothing() {
    let kernels = isa::select_default().unwrap().kernels;
    for cost in COSTS {
        let objective = Objective::new(cost, 0, Some(&[]), None).unwrap();
        let targets = objective.check(Targets::values(&[]), 3, 0).unwrap();
        assert_eq!((objective.run(kernels, &targets, &[], &[], &mut []), objective.scale(&targets)), (0.0, 1.0 / 3.0));
        let error = objective.check(Targets::classes(&[0_u8]), 1, 0).err();
        assert_eq!(error, Some(Error::Class { sample: 0, classes: 0, found: 0 }));
    }
}

#[test]
fn scales_divide_by_the_weights() {
    let scale = |targets: Targets<'_>, batch| {
        let objective = Objective::new(Cost::Quadratic, 2, None, None).unwrap();
        objective.scale(&objective.check(targets, batch, 2).unwrap())
    };
    assert_eq!(scale(Targets::values(&[]), 0), 1.0);
    assert_eq!(scale(Targets::values(&[]).sample_weights(&[]), 0), 1.0);
    assert_eq!(scale(Targets::classes(&[0_u8, 1, 1]), 3), 1.0 / 3.0);
    assert_eq!(scale(Targets::classes(&[0_u8, 1, 1]).sample_weights(&[0.5, 0.0, 0.75]), 3), 0.8);
}

#[test]
fn only_plain_binary_cross_entropy_has_a_short_cut() {
    let y = [0.0, 1.0];
    let short_cut = |cost, weights: Option<&[f32]>, positive, targets: Targets<'static>| {
        let objective = Objective::new(cost, 2, weights, positive).unwrap();
        objective.short_cut(&objective.check(targets, 1, 2).unwrap()).is_some()
    };
    let (values, binary) = (Targets::values(&[0.0, 1.0]), Cost::BinaryCrossEntropy);
    assert!(short_cut(binary, None, None, values));
    assert!(short_cut(binary, None, Some(1.0), values));
    assert!(!short_cut(binary, None, Some(2.0), values));
    assert!(!short_cut(binary, Some(&y), None, values));
    assert!(!short_cut(binary, None, None, values.sample_weights(&[1.0])));
    assert!(!short_cut(binary, None, None, Targets::classes(&[1_u8])));
    assert!(!short_cut(Cost::Quadratic, None, None, values));
    assert!(!short_cut(Cost::SoftmaxCrossEntropy, None, None, values));
}

#[test]
fn weights_that_are_none_are_refused() {
    let new = |cost, weights: Option<&[f32]>, positive| Objective::new(cost, 2, weights, positive).err();
    for cost in COSTS {
        for weights in [&[1.0][..], &[1.0; 3]] {
            let error = Error::Length { operand: Operand::ClassWeights, expected: 2, found: weights.len() };
            assert_eq!(new(cost, Some(weights), None), Some(error));
        }
        for bad in [-1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = new(cost, Some(&[0.0, bad]), None);
            assert!(matches!(error, Some(Error::Value { operand: Operand::ClassWeights, index: 1, .. })), "{error:?}");
            let error = new(cost, None, Some(bad));
            if cost == Cost::BinaryCrossEntropy {
                assert!(matches!(error, Some(Error::Value { operand: Operand::PositiveWeight, .. })), "{error:?}");
            }
        }
        let error = (cost != Cost::BinaryCrossEntropy).then_some(Error::PositiveWeightNeedsBinary { found: cost });
        assert_eq!(new(cost, None, Some(2.0)), error);
        assert_eq!(new(cost, Some(&[0.0, 3.0]), None), None);
    }
}

#[test]
fn targets_that_are_none_are_refused() {
    let check = |cost, targets: Targets<'_>, batch, outputs| {
        Objective::new(cost, outputs, None, None).unwrap().check(targets, batch, outputs).err()
    };
    let operand = Operand::Targets;
    for cost in COSTS {
        let error = Error::Length { operand, expected: 4, found: 3 };
        assert_eq!(check(cost, Targets::values(&[0.0; 3]), 2, 2), Some(error));
        let error = Error::Length { operand, expected: 2, found: 3 };
        assert_eq!(check(cost, Targets::classes(&[0_u8; 3]), 2, 2), Some(error));

        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5, 1.5] {
            let error = check(cost, Targets::values(&[1.0, 0.0, bad, 1.0 - bad]), 2, 2);
            let is_value = matches!(error, Some(Error::Value { operand: Operand::Targets, index: 2, .. }));
            assert_eq!(is_value, cost != Cost::Quadratic || !bad.is_finite(), "{cost}: {error:?}");
        }
        let of_classes = |labels: Classes<'_>, outputs| check(cost, labels.into(), labels.len(), outputs);
        let error = |classes, found| Some(Error::Class { sample: 1, classes, found });
        assert_eq!(of_classes((&[1_u8, 2]).into(), 2), error(2, 2));
        assert_eq!(of_classes((&[1_i32, -1]).into(), 2), error(2, -1));
        assert_eq!(of_classes((&[1_u64, u64::MAX]).into(), 2), error(2, u64::MAX.into()));
        assert_eq!(of_classes((&[1_i64, i64::MIN]).into(), 2), error(2, i64::MIN.into()));
        // With one output, targets are 0 and 1, of which softmax has only the first.
        let of_one_output = of_classes((&[0_u8, 1]).into(), 1);
        assert_eq!(of_one_output, if cost == Cost::SoftmaxCrossEntropy { error(1, 1) } else { None });

        let weighted = |weights: &[f32]| check(cost, Targets::classes(&[0_u8; 2]).sample_weights(weights), 2, 2);
        let error = Error::Length { operand: Operand::SampleWeights, expected: 2, found: 1 };
        assert_eq!(weighted(&[1.0]), Some(error));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5] {
            let error = weighted(&[1.0, bad]);
            assert!(matches!(error, Some(Error::Value { operand: Operand::SampleWeights, index: 1, .. })), "{error:?}");
        }
        for (bad, found) in
            [([0.0; 2], 0.0), ([f32::MAX; 2], 2.0 * f64::from(f32::MAX)), ([1e-40, 0.0], 1e-40_f32.into())]
        {
            assert_eq!(weighted(&bad), Some(Error::WeightSum { operand: Operand::SampleWeights, found }));
        }
        assert_eq!(weighted(&[0.0, 1e-30]), None);
        assert_eq!(check(cost, Targets::values(&[]).sample_weights(&[]), 0, 2), None);
    }
    let softmax = |y: &[f32]| check(Cost::SoftmaxCrossEntropy, Targets::values(y), y.len() / 2, 2);
    assert_eq!(softmax(&[0.5, 0.5, 0.5, 0.25]), Some(Error::RowSum { sample: 1, found: 0.75 }));
    assert_eq!(softmax(&[0.0, 0.0]), Some(Error::RowSum { sample: 0, found: 0.0 }));
    assert_eq!(softmax(&[0.5, 0.4995]), None);
}

#[test]
fn saturated_outputs_keep_their_cost_and_gradient() {
    let kernels = isa::select_default().unwrap().kernels;
    let (z, mut a) = ([1e4, -1e4, 40.0, -40.0], [0.0; 4]);
    Activation::Sigmoid.forward(&z, &mut a).unwrap();
    let run = |cost, outputs, targets: Targets<'_>| {
        let objective = Objective::new(cost, outputs, None, (cost == Cost::BinaryCrossEntropy).then_some(3.0)).unwrap();
        let targets = objective.check(targets, 4 / outputs, outputs).unwrap();
        let mut d = [f32::NAN; 4];
        (objective.run(kernels, &targets, &z, &a, &mut d), d)
    };
    let (cost, d) = run(Cost::BinaryCrossEntropy, 4, Targets::values(&[0.0, 1.0, 1.0, 0.0]));
    assert_eq!(cost, 1e4 + 3e4 + 4.0 * (-40.0_f64).exp());
    // Where σ(z) is rounded to 1, nothing is left of 1 - σ(z).
    assert_eq!(d, [1.0, -3.0, 0.0, a[3]]);
    let (cost, d) = run(Cost::SoftmaxCrossEntropy, 2, Targets::classes(&[1_u8, 0]));
    assert_eq!((cost, d[..2].to_vec()), (1e4, vec![1.0, -1.0]));
    assert!(d[2] == 0.0 && d[3] > 0.0 && d[3] < 2e-35, "{d:?}");
}
