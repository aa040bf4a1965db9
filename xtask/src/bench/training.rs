//! A whole network with data and first parameters, and what one training step makes of them, in `f64`.

use super::buffer::Buffer;
use super::random::Random;
use super::shape::{Network, Shape};
use super::workload::{Expected, Point, UNIT};
use std::sync::OnceLock;

/// A network of sigmoids to be trained on binary targets by cross-entropy and plain gradient descent.
pub struct Training {
    pub network: Network,
    pub x: Buffer,
    pub y: Buffer,
    /// Weights `[outputs, inputs]` and biases of each layer at the beginning.
    pub parameters: Vec<(Buffer, Buffer)>,
    expected: OnceLock<Vec<Expected>>,
}

/// Rate of descent: small enough that a network stays in training as long as it is timed.
pub const RATE: f32 = 0.01;

/// How far a gradient may be off, as a share of its layer's largest: rounding errors are below a hundredth of this, a
/// forgotten factor or a missing part far above.
const GRADIENT_TOLERANCE: f64 = 1e-3;

impl Training {
    pub fn new(network: Network) -> Self {
        let mut random = Random::new(network.widths.iter().sum::<usize>() as u64);
        let mut fill =
            |len: usize, low: f32, high: f32| -> Buffer { (0..len).map(|_| random.between(low, high)).collect() };
        let Network { batch, widths } = &network;
        let x = fill(batch * widths[0], 0.0, 1.0);
        let y = fill(batch * widths[widths.len() - 1], 0.0, 1.0).iter().map(|y| y.round()).collect();
        let parameters = network
            .layers()
            .map(|Shape { inputs, outputs, .. }| {
                let spread = 1.0 / (inputs as f32).sqrt();
                (fill(inputs * outputs, -spread, spread), fill(outputs, -spread, spread))
            })
            .collect();
        Self { network, x, y, parameters, expected: OnceLock::new() }
    }

    /// All operands one behind the other: data, targets, parameters layer by layer.
    pub fn operands(&self) -> impl Iterator<Item = &[f32]> {
        let parameters = self.parameters.iter().flat_map(|(w, b)| [&**w, &**b]);
        [&*self.x, &*self.y].into_iter().chain(parameters)
    }

    /// The parameters after one step, weights and biases layer by layer; computed once.
    pub fn expected(&self) -> &[Expected] {
        self.expected.get_or_init(|| self.step())
    }

    fn step(&self) -> Vec<Expected> {
        let batch = self.network.batch;
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
        let mut activations = vec![wide(&self.x)];
        for (Shape { inputs, outputs, .. }, (w, b)) in self.network.layers().zip(&self.parameters) {
            let w_transposed = transposed(&wide(w), outputs, inputs);
            let mut a: Vec<f64> = wide(b).repeat(batch);
            add_product(&mut a, &activations[activations.len() - 1], &w_transposed, outputs);
            a.iter_mut().for_each(|z| *z = 1.0 / (1.0 + (-*z).exp()));
            activations.push(a);
        }
        let mut dz: Vec<f64> = activations
            .pop()
            .expect("a network has a layer")
            .iter()
            .zip(&*self.y)
            .map(|(a, &y)| a - f64::from(y))
            .collect();
        let mut expected = Vec::new();
        let layers: Vec<Shape> = self.network.layers().collect();
        for (Shape { inputs, outputs, .. }, (w, b)) in layers.into_iter().zip(&self.parameters).rev() {
            let a_prev = activations.pop().expect("each layer has an input");
            let (mut d_w, mut d_b) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
            add_product(&mut d_w, &transposed(&dz, batch, outputs), &a_prev, inputs);
            add_product(&mut d_b, &vec![1.0; batch], &dz, outputs);
            expected.push(descended("b", b, &d_b, batch));
            expected.push(descended("w", w, &d_w, batch));
            if !activations.is_empty() {
                let mut d_a = vec![0.0; batch * inputs];
                add_product(&mut d_a, &dz, &wide(w), inputs);
                dz = d_a.iter().zip(&a_prev).map(|(d_a, a)| d_a * a * (1.0 - a)).collect();
            }
        }
        expected.reverse();
        expected
    }
}

/// Parameters after a step along the mean of a gradient's sum over the batch.
fn descended(name: &'static str, before: &[f32], gradient: &[f64], batch: usize) -> Expected {
    let rate = f64::from(RATE) / batch as f64;
    let largest = gradient.iter().fold(0.0, |largest: f64, gradient| largest.max(gradient.abs()));
    let point = |(at, (&before, gradient)): (usize, (&f32, &f64))| {
        let value = f64::from(before) - rate * gradient;
        Point { at, value, tolerance: GRADIENT_TOLERANCE * rate * largest + 2.0 * UNIT * value.abs() }
    };
    Expected { name, points: before.iter().zip(gradient).enumerate().map(point).collect() }
}

fn transposed(matrix: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    (0..cols).flat_map(|j| (0..rows).map(move |i| matrix[i * cols + j])).collect()
}

/// `c += a · b` for row-major matrices whose `b` and `c` have rows of `cols` elements.
fn add_product(c: &mut [f64], a: &[f64], b: &[f64], cols: usize) {
    let terms = b.len() / cols;
    for (c, a) in c.chunks_exact_mut(cols).zip(a.chunks_exact(terms)) {
        for (&a, b) in a.iter().zip(b.chunks_exact(cols)) {
            for (c, &b) in c.iter_mut().zip(b) {
                *c += a * b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean cross-entropy of a network of one sigmoid layer.
    fn cost(training: &Training, w: &[f64], b: &[f64]) -> f64 {
        let (inputs, outputs) = (training.network.widths[0], training.network.widths[1]);
        let mut cost = 0.0;
        for (x, y) in training.x.chunks(inputs).zip(training.y.chunks(outputs)) {
            for j in 0..outputs {
                let z: f64 = b[j] + (0..inputs).map(|p| f64::from(x[p]) * w[j * inputs + p]).sum::<f64>();
                cost += z.max(0.0) - z * f64::from(y[j]) + (-z.abs()).exp().ln_1p();
            }
        }
        cost / training.network.batch as f64
    }

    #[test]
    fn a_step_follows_the_costs_slope() {
        let training = Training::new(Network::new(5, &[4, 3]));
        let (w, b) = &training.parameters[0];
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
        let (w, b) = (wide(w), wide(b));
        let after = &training.expected()[0].points;
        for at in 0..w.len() {
            let shifted = |by: f64| {
                let mut w = w.clone();
                w[at] += by;
                cost(&training, &w, &b)
            };
            let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            assert!((after[at].value - (w[at] - f64::from(RATE) * slope)).abs() < 1e-9);
        }
    }

    #[test]
    fn operands_follow_the_widths() {
        let training = Training::new(Network::new(5, &[4, 3, 2]));
        let lengths: Vec<usize> = training.operands().map(<[f32]>::len).collect();
        assert_eq!(lengths, [20, 10, 12, 3, 6, 2]);
        assert_eq!(training.expected().iter().map(|expected| expected.points.len()).collect::<Vec<_>>(), [12, 3, 6, 2]);
        assert!(training.y.iter().all(|y| [0.0, 1.0].contains(y)));
    }
}
