//! The operands of one row, the same for every contender, and what must come out.

use super::buffer::Buffer;
use super::random::Random;
use super::shape::{Pass, Shape};
use super::training::Training;

/// The task that one row sets every contender.
#[derive(Clone, Copy)]
pub enum Task<'a> {
    Forward(&'a Workload),
    Backward(&'a Workload),
    Step(&'a Training),
    Epoch(&'a Training),
}

impl Task<'_> {
    pub fn pass(self) -> Pass {
        match self {
            Self::Forward(_) => Pass::Forward,
            Self::Backward(_) => Pass::Backward,
            Self::Step(_) => Pass::Step,
            Self::Epoch(_) => Pass::Epoch,
        }
    }

    /// The results that must stand behind [`Routine::rehearse`](crate::peers::Routine::rehearse).
    pub fn expected(self) -> Vec<Expected> {
        match self {
            Self::Forward(work) => vec![work.expected_a()],
            Self::Backward(work) => work.expected_gradients(),
            Self::Step(training) | Self::Epoch(training) => training.expected().to_vec(),
        }
    }
}

/// The operands of one layer, batch-major and contiguous.
pub struct Workload {
    pub shape: Shape,
    /// `batch × inputs`
    pub x: Buffer,
    /// `outputs × inputs`
    pub w: Buffer,
    /// `outputs`
    pub b: Buffer,
    /// The saved activation of the backward pass: `batch × outputs`.
    pub a: Buffer,
    /// The gradient by the activation: `batch × outputs`.
    pub d_a: Buffer,
    /// Factor of `dw` and `db`: the mean over the batch.
    pub scale: f32,
}

/// One result of a pass, by its name.
pub struct Quantity {
    pub name: &'static str,
    pub values: Vec<f32>,
}

impl Quantity {
    pub fn new(name: &'static str, values: &[f32]) -> Self {
        Self { name, values: values.to_vec() }
    }
}

/// The exact values of one result, in `f64`, at some of its places.
#[derive(Clone)]
pub struct Expected {
    pub name: &'static str,
    pub points: Vec<Point>,
}

/// One place of a result.
#[derive(Clone)]
pub struct Point {
    pub at: usize,
    pub value: f64,
    /// How far an honest `f32` computation may be from it.
    pub tolerance: f64,
}

/// Multiply-adds in `f64` that checking one result may take.
const CHECK_BUDGET: usize = 4_000_000;

impl Workload {
    /// Values as a network in training has them: inputs in `[0, 1)`, weights that keep `z` of order one.
    pub fn new(shape: Shape) -> Self {
        let Shape { batch, inputs, outputs } = shape;
        let mut random = Random::new(shape.multiply_adds() as u64);
        let mut fill =
            |len: usize, low: f32, high: f32| -> Buffer { (0..len).map(|_| random.between(low, high)).collect() };
        let spread = 2.0 / (inputs as f32).sqrt();
        Self {
            shape,
            x: fill(batch * inputs, 0.0, 1.0),
            w: fill(outputs * inputs, -spread, spread),
            b: fill(outputs, -0.5, 0.5),
            a: fill(batch * outputs, 0.02, 0.98),
            d_a: fill(batch * outputs, -1.0, 1.0),
            scale: 1.0 / batch as f32,
        }
    }

    fn expected_a(&self) -> Expected {
        let Shape { batch, inputs, outputs } = self.shape;
        let points = spread_out(batch * outputs, inputs).map(|at| {
            let (x, w) = (row(&self.x, at / outputs, inputs), row(&self.w, at % outputs, inputs));
            let z = sum(x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)), inputs);
            let value = 1.0 / (1.0 + (-(z.value + f64::from(self.b[at % outputs]))).exp());
            // The sigmoid's slope is at most 1/4; what it adds itself is a few units in the last place.
            Point { at, value, tolerance: 0.25 * z.tolerance + 8.0 * UNIT }
        });
        Expected { name: "a", points: points.collect() }
    }

    fn expected_gradients(&self) -> Vec<Expected> {
        let Shape { batch, inputs, outputs } = self.shape;
        let dz = |i: usize, j: usize| {
            let (a, d_a) = (f64::from(self.a[i * outputs + j]), f64::from(self.d_a[i * outputs + j]));
            d_a * a * (1.0 - a)
        };
        let scale = f64::from(self.scale);
        let d_w = spread_out(outputs * inputs, batch).map(|at| {
            let (j, p) = (at / inputs, at % inputs);
            sum((0..batch).map(|i| dz(i, j) * f64::from(self.x[i * inputs + p])), batch).scaled(scale).at(at)
        });
        let d_b = spread_out(outputs, batch).map(|j| sum((0..batch).map(|i| dz(i, j)), batch).scaled(scale).at(j));
        let d_a_prev = spread_out(batch * inputs, outputs).map(|at| {
            let (i, p) = (at / inputs, at % inputs);
            sum((0..outputs).map(|j| dz(i, j) * f64::from(self.w[j * inputs + p])), outputs).at(at)
        });
        vec![
            Expected { name: "d_w", points: d_w.collect() },
            Expected { name: "d_b", points: d_b.collect() },
            Expected { name: "d_a_prev", points: d_a_prev.collect() },
        ]
    }
}

/// Rounding unit of `f32`.
pub const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// A sum of products with the error that any order of `f32` additions may make of it.
struct Sum {
    value: f64,
    tolerance: f64,
}

impl Sum {
    fn scaled(self, scale: f64) -> Self {
        Self { value: self.value * scale, tolerance: self.tolerance * scale }
    }

    fn at(self, at: usize) -> Point {
        Point { at, value: self.value, tolerance: self.tolerance }
    }
}

fn sum(terms: impl Iterator<Item = f64>, len: usize) -> Sum {
    let (mut value, mut magnitude) = (0.0, 0.0);
    for term in terms {
        value += term;
        magnitude += term.abs();
    }
    // Rounding errors are independent enough to grow with the root of their number; eight is the margin.
    Sum { value, tolerance: 8.0 * UNIT * (len as f64 + 16.0).sqrt() * (magnitude + 1.0) }
}

fn row(matrix: &[f32], index: usize, cols: usize) -> &[f32] {
    &matrix[index * cols..(index + 1) * cols]
}

/// Places of a result whose sums have `terms` terms: all, or as many as the budget allows, first and last among them.
fn spread_out(len: usize, terms: usize) -> impl Iterator<Item = usize> {
    let count = (CHECK_BUDGET / terms.max(1)).clamp(2, len.max(2));
    (0..count).map(move |index| index * (len - 1) / (count - 1)).take(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_results_are_checked_everywhere() {
        for len in [1, 2, 3, 17] {
            assert_eq!(spread_out(len, 10).collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn large_results_are_checked_from_first_to_last() {
        let places: Vec<usize> = spread_out(1 << 20, 1 << 10).collect();
        assert_eq!((places[0], places[places.len() - 1]), (0, (1 << 20) - 1));
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(places.len() << 10 <= CHECK_BUDGET);
    }
}
