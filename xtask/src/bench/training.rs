//! A whole network with data and first parameters, and what its first training steps make of them, in `f64`.

use super::buffer::Buffer;
use super::exact::{self, Layer};
use super::random::Random;
use super::recipe::{Cost, Hidden, Recipe, Rule};
use super::shape::{Network, Shape};
use super::workload::{Expected, Point, UNIT};
use fused_dense::Targets;
use std::ops::Range;
use std::sync::OnceLock;

/// A network in the middle of its training.
///
/// The optimiser's state is that of some steps before, of the size that gradients have. From a state of zero Adam's first
/// step would be its rate along the gradient's sign, whatever the gradient; from this one each parameter behind a step
/// tells whether gradient, state and the count of steps were used, and none hangs on rounding.
pub struct Training {
    pub network: Network,
    pub recipe: Recipe,
    /// The recipe's, at a rate that may be another.
    pub rule: Rule,
    pub samples: usize,
    /// `samples × inputs`
    pub x: Buffer,
    /// A value for each output, or one class for each sample.
    pub y: Answers,
    pub layers: Vec<Parameters>,
    /// Steps that the optimiser has taken already.
    pub steps_before: u64,
    /// Steps, on a batch each and in order, whose outcome is checked.
    pub checked: usize,
    expected: OnceLock<Vec<Expected>>,
}

/// The targets of all samples.
pub enum Answers {
    /// `samples × outputs`
    Values(Buffer),
    Classes(Vec<usize>),
}

/// The parameters of one layer at the beginning.
pub struct Parameters {
    /// `[outputs, inputs]`
    pub w: Buffer,
    pub b: Buffer,
    /// The optimiser's arrays beside both.
    pub state: Vec<[Buffer; 2]>,
}

/// How far a gradient may be off, as a share of its layer's largest: rounding errors are below a hundredth of this, a
/// forgotten factor or a missing part far above.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// Terms of a gradient's sums that libraries add to the parameter at a time, at least: each piece is rounded to its size.
const TERMS_OF_PIECE: usize = 8;

/// The size of the gradients that the optimiser's state tells of.
const GRADIENT: f32 = 0.01;

/// Steps that the optimiser has taken, where it keeps a state.
const STEPS_BEFORE: u64 = 10;

/// Least distance of a unit from the kink of ReLU: where rounding decides on which side it stands, one contender's
/// gradient has a term that another's lacks.
const KINK: f64 = 3e-6;

/// Steps of an epoch that are checked.
const CHECKED: usize = 8;

impl Training {
    /// One batch, on which all steps are made.
    pub fn of_steps(network: Network, recipe: Recipe) -> Self {
        let batch = network.batch;
        Self::new(network, recipe, batch, 1)
    }

    /// A data set of whole batches, at most so many samples.
    pub fn of_epochs(network: Network, recipe: Recipe, samples: usize) -> Self {
        let batches = (samples / network.batch).max(1);
        let samples = batches * network.batch;
        Self::new(network, recipe, samples, batches.min(CHECKED))
    }

    fn new(network: Network, recipe: Recipe, samples: usize, checked: usize) -> Self {
        let mut random = Random::new(network.widths.iter().sum::<usize>() as u64);
        let layers: Vec<Parameters> =
            network.layers().map(|shape| Parameters::new(shape, recipe, &mut random)).collect();
        let rule = recipe.rule();
        let mut training = Self {
            recipe,
            rule,
            samples,
            x: Buffer::filled(0.0, samples * network.widths[0]),
            y: Answers::new(recipe.cost(), samples, network.widths[network.widths.len() - 1], &mut random),
            layers,
            steps_before: if rule.state_arrays() > 0 { STEPS_BEFORE } else { 0 },
            checked,
            expected: OnceLock::new(),
            network,
        };
        training.fill(&mut random);
        training
    }

    /// Draws the inputs, those that are checked at no kink. Before ReLU they have both signs: of inputs from 0 to 1 many a
    /// unit is dead for a whole batch, and what an optimiser keeps of gradients that are zero decays to subnormal numbers,
    /// which take processors many times as long.
    fn fill(&mut self, random: &mut Random) {
        let inputs = self.network.widths[0];
        let (hidden, layers) = (self.recipe.hidden(), self.exact());
        let checked = self.checked * self.network.batch;
        let low = if hidden == Hidden::Relu { -1.0 } else { 0.0 };
        for (sample, x) in self.x.chunks_mut(inputs).enumerate() {
            loop {
                x.fill_with(|| random.between(low, 1.0));
                if hidden != Hidden::Relu || sample >= checked {
                    break;
                }
                let z = exact::pre_activations(&layers, hidden, &wide(x));
                if z[..z.len() - 1].iter().flatten().all(|z| z.abs() > KINK) {
                    break;
                }
            }
        }
    }

    /// The same from the very first step on, at a rate for learning: all of the optimiser's state is zero.
    pub fn with_new_optimizer(mut self, rate: f32) -> Self {
        self.rule = self.rule.with_rate(rate);
        self.layers.iter_mut().flat_map(|layer| &mut layer.state).flatten().for_each(|state| state.fill(0.0));
        self.steps_before = 0;
        self
    }

    /// Inputs of some samples.
    pub fn x_of(&self, samples: Range<usize>) -> &[f32] {
        let inputs = self.network.widths[0];
        &self.x[samples.start * inputs..samples.end * inputs]
    }

    /// Targets of some samples.
    pub fn targets_of(&self, samples: Range<usize>) -> Targets<'_> {
        match &self.y {
            Answers::Values(y) => {
                let outputs = y.len() / self.samples;
                Targets::values(&y[samples.start * outputs..samples.end * outputs])
            }
            Answers::Classes(labels) => Targets::classes(&labels[samples]),
        }
    }

    /// Targets as values; none where they are classes.
    pub fn values(&self) -> &[f32] {
        match &self.y {
            Answers::Values(y) => y,
            Answers::Classes(_) => &[],
        }
    }

    /// The samples of the batch at an index.
    pub fn batch(&self, index: usize) -> Range<usize> {
        let batch = self.network.batch;
        index * batch..(index + 1) * batch
    }

    /// All operands one behind the other: inputs, targets (a class as a number), then layer by layer weights, biases and the
    /// optimiser's arrays beside both.
    pub fn operands(&self) -> Vec<Vec<f32>> {
        let y = match &self.y {
            Answers::Values(y) => y.to_vec(),
            Answers::Classes(labels) => labels.iter().map(|&label| label as f32).collect(),
        };
        let of_layer = |layer: &Parameters| -> Vec<Vec<f32>> {
            let state = layer.state.iter().flatten();
            [&layer.w, &layer.b].into_iter().chain(state).map(|array| array.to_vec()).collect()
        };
        [self.x.to_vec(), y].into_iter().chain(self.layers.iter().flat_map(of_layer)).collect()
    }

    /// Names and lengths of what comes out of steps: each layer's parameters and the optimiser's arrays beside them.
    pub fn outcome(&self) -> Vec<(&'static str, usize)> {
        let of_layer = |layer: &Parameters| -> Vec<(&'static str, usize)> {
            let (w, b) = (layer.w.len(), layer.b.len());
            let state = layer.state.iter().flat_map(|_| [("state_w", w), ("state_b", b)]);
            [("w", w), ("b", b)].into_iter().chain(state).collect()
        };
        self.layers.iter().flat_map(of_layer).collect()
    }

    /// The values of parameters and state behind the steps that are checked; computed once.
    pub fn expected(&self) -> &[Expected] {
        self.expected.get_or_init(|| self.trained())
    }

    fn exact(&self) -> Vec<Layer> {
        let pairs = self.network.layers().zip(&self.layers);
        pairs.map(|(shape, layer)| Layer { shape, w: wide(&layer.w), b: wide(&layer.b) }).collect()
    }

    fn trained(&self) -> Vec<Expected> {
        let mut layers = self.exact();
        let mut tracks: Vec<[Track; 2]> = self.layers.iter().map(Track::both).collect();
        let roundings = 2.0 + (self.network.batch / TERMS_OF_PIECE) as f64;
        for step in 0..self.checked {
            let samples = self.batch(step);
            let (x, y) = (wide(self.x_of(samples.clone())), self.wide_y(samples));
            let gradients = exact::gradients(&layers, self.recipe, &x, &y);
            for ((layer, tracks), gradients) in layers.iter_mut().zip(&mut tracks).zip(gradients) {
                for ((values, track), gradient) in [&mut layer.w, &mut layer.b].into_iter().zip(tracks).zip(gradients) {
                    track.step(self.rule, roundings, (self.steps_before, step as u64 + 1), values, &gradient);
                }
            }
        }
        let mut expected = Vec::new();
        for (Layer { w, b, .. }, [of_w, of_b]) in layers.iter().zip(&tracks) {
            expected.push(points("w", w, &of_w.tolerance));
            expected.push(points("b", b, &of_b.tolerance));
            for (of_w, of_b) in of_w.state.iter().zip(&of_b.state) {
                expected.push(points("state_w", &of_w.0, &of_w.1));
                expected.push(points("state_b", &of_b.0, &of_b.1));
            }
        }
        expected
    }

    /// A value for each output.
    fn wide_y(&self, samples: Range<usize>) -> Vec<f64> {
        let outputs = self.network.widths[self.network.widths.len() - 1];
        match &self.y {
            Answers::Values(y) => wide(&y[samples.start * outputs..samples.end * outputs]),
            Answers::Classes(labels) => {
                let row = |&label: &usize| (0..outputs).map(move |class| f64::from(u8::from(class == label)));
                labels[samples].iter().flat_map(row).collect()
            }
        }
    }
}

impl Parameters {
    fn new(Shape { inputs, outputs, .. }: Shape, recipe: Recipe, random: &mut Random) -> Self {
        let mut fill =
            |len: usize, low: f32, high: f32| -> Buffer { (0..len).map(|_| random.between(low, high)).collect() };
        let spread = 1.0 / (inputs as f32).sqrt();
        let (w, b) = (fill(inputs * outputs, -spread, spread), fill(outputs, -spread, spread));
        // A mean of gradients may have either sign, one of squares may not.
        let ranges = [(-GRADIENT, GRADIENT), (0.5 * GRADIENT * GRADIENT, 1.5 * GRADIENT * GRADIENT)];
        let state = ranges.into_iter().take(recipe.rule().state_arrays());
        let state = state.map(|(low, high)| [fill(inputs * outputs, low, high), fill(outputs, low, high)]).collect();
        Self { w, b, state }
    }
}

impl Answers {
    fn new(cost: Cost, samples: usize, outputs: usize, random: &mut Random) -> Self {
        match cost {
            Cost::BinaryCrossEntropy | Cost::Quadratic => {
                Self::Values((0..samples * outputs).map(|_| random.between(0.0, 1.0).round()).collect())
            }
            // Every class occurs wherever there are as many samples.
            Cost::SoftmaxCrossEntropy => Self::Classes((0..samples).map(|sample| sample % outputs).collect()),
        }
    }
}

/// The tolerance and the state of one parameter after a step.
struct Track {
    tolerance: Vec<f64>,
    /// Each array's values with their tolerance.
    state: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Track {
    /// Of weights and bias.
    fn both(layer: &Parameters) -> [Self; 2] {
        let of = |which: usize, len: usize| {
            let state = layer.state.iter().map(|arrays| (wide(&arrays[which]), vec![0.0; len])).collect();
            Self { tolerance: vec![0.0; len], state }
        };
        [of(0, layer.w.len()), of(1, layer.b.len())]
    }

    /// One step, of which a parameter is rounded so many times. A gradient may be off by its tolerance; errors of the steps
    /// before are carried on.
    fn step(&mut self, rule: Rule, roundings: f64, steps: (u64, u64), values: &mut [f64], gradient: &[f64]) {
        let (before, step) = steps;
        let off = GRADIENT_TOLERANCE * gradient.iter().fold(0.0, |largest: f64, gradient| largest.max(gradient.abs()));
        let mut state = vec![0.0; self.state.len()];
        for (at, (value, &gradient)) in values.iter_mut().zip(gradient).enumerate() {
            let mut updated = |gradient: f64| {
                state.iter_mut().zip(&self.state).for_each(|(state, (values, _))| *state = values[at]);
                let value = rule.updated(before + step, *value, gradient, &mut state);
                (value, state.clone())
            };
            let around = [updated(gradient - off), updated(gradient + off)];
            let (next, next_state) = updated(gradient);
            let carried = step as f64;
            let farthest = around.iter().fold(0.0, |far: f64, (value, _)| far.max((value - next).abs()));
            // Libraries place Adam's ε differently, which counts for far less than a gradient's tolerance.
            let change = GRADIENT_TOLERANCE * (next - *value).abs();
            self.tolerance[at] += carried * (farthest + change) + roundings * UNIT * next.abs();
            for (index, (values, tolerance)) in self.state.iter_mut().enumerate() {
                let farthest = around.iter().map(|(_, state)| (state[index] - next_state[index]).abs());
                let farthest = farthest.fold(0.0, f64::max);
                tolerance[at] += carried * farthest + 4.0 * UNIT * (next_state[index].abs() + values[at].abs());
                values[at] = next_state[index];
            }
            *value = next;
        }
    }
}

fn points(name: &'static str, values: &[f64], tolerances: &[f64]) -> Expected {
    let point = |(at, (&value, &tolerance))| Point { at, value, tolerance };
    Expected { name, points: values.iter().zip(tolerances).enumerate().map(point).collect() }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn a_step_of_descent_follows_the_gradient() {
        let training = Training::of_steps(Network::new(5, &[4, 3]), Recipe::Sigmoid);
        let (layers, samples) = (training.exact(), training.batch(0));
        let y = training.wide_y(samples);
        let [d_w, _] = &exact::gradients(&layers, Recipe::Sigmoid, &wide(&training.x), &y)[0];
        for (point, (w, d_w)) in training.expected()[0].points.iter().zip(layers[0].w.iter().zip(d_w)) {
            assert!((point.value - (w - f64::from(0.01_f32) * d_w)).abs() < 1e-15);
        }
    }

    /// A gradient that lacks a tenth is found out, by the state if not by the parameter.
    #[test]
    fn a_wrong_gradient_is_beyond_every_tolerance() {
        for &recipe in Recipe::value_variants() {
            let training = Training::of_steps(Network::new(8, &[6, 5, 3]), recipe);
            let layers = training.exact();
            let y = training.wide_y(training.batch(0));
            let mut gradients = exact::gradients(&layers, recipe, &wide(&training.x), &y);
            let [d_w, _] = &mut gradients[0];
            let (at, largest) = d_w.iter().copied().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
            let mut state: Vec<f64> = training.layers[0].state.iter().map(|[w, _]| f64::from(w[at])).collect();
            let step = training.steps_before + 1;
            let w = training.rule.updated(step, layers[0].w[at], 0.9 * largest, &mut state);
            let expected = &training.expected()[0].points[at];
            assert!((w - expected.value).abs() > expected.tolerance, "{recipe}");
        }
    }

    #[test]
    fn operands_and_outcome_follow_the_widths() {
        let lengths = |recipe| -> Vec<usize> {
            let training = Training::of_steps(Network::new(5, &[4, 3, 2]), recipe);
            let points = training.expected().iter().map(|expected| (expected.name, expected.points.len()));
            assert_eq!(points.collect::<Vec<_>>(), training.outcome());
            training.operands().iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(Recipe::Sigmoid), [20, 10, 12, 3, 6, 2]);
        assert_eq!(lengths(Recipe::ReluSoftmaxAdam), [20, 5, 12, 3, 12, 3, 12, 3, 6, 2, 6, 2, 6, 2]);
        let Answers::Values(y) = Training::of_steps(Network::new(5, &[4, 3]), Recipe::Sigmoid).y else { panic!() };
        assert!(y.iter().all(|y| [0.0, 1.0].contains(y)));
    }

    #[test]
    fn epochs_are_of_whole_batches_and_checked_in_part() {
        let training = Training::of_epochs(Network::new(3, &[4, 3, 2]), Recipe::ReluSoftmaxAdam, 100);
        assert_eq!((training.samples, training.checked), (99, CHECKED));
        let few = Training::of_epochs(Network::new(3, &[4, 2]), Recipe::Sigmoid, 1);
        assert_eq!((few.samples, few.checked), (3, 1));
    }
}
