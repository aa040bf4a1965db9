//! Passes of a whole network in double precision: what every contender's training is checked by.

use super::recipe::{Cost, Hidden, Recipe};
use super::shape::Shape;

/// Weights `[outputs, inputs]` and bias of one layer.
pub struct Layer {
    pub shape: Shape,
    pub w: Vec<f64>,
    pub b: Vec<f64>,
}

/// The pre-activations of each layer for rows of `x`.
pub fn pre_activations(layers: &[Layer], hidden: Hidden, x: &[f64]) -> Vec<Vec<f64>> {
    let mut all: Vec<Vec<f64>> = Vec::new();
    for Layer { shape: Shape { inputs, outputs, .. }, w, b } in layers {
        let a: Vec<f64> = match all.last() {
            None => x.to_vec(),
            Some(z) => z.iter().map(|&z| activated(hidden, z)).collect(),
        };
        let mut z = b.repeat(a.len() / inputs);
        add_product(&mut z, &a, &transposed(w, *outputs, *inputs), *outputs);
        all.push(z);
    }
    all
}

/// The gradients by `w` and `b` of each layer: those of the mean cost of the rows of `x` with targets `y`.
pub fn gradients(layers: &[Layer], recipe: Recipe, x: &[f64], y: &[f64]) -> Vec<[Vec<f64>; 2]> {
    let hidden = recipe.hidden();
    let z = pre_activations(layers, hidden, x);
    let rows = x.len() / layers[0].shape.inputs;
    let outputs = layers[layers.len() - 1].shape.outputs;
    let mut dz: Vec<f64> = z[z.len() - 1]
        .chunks(outputs)
        .zip(y.chunks(outputs))
        .flat_map(|(z, y)| row_gradient(recipe.cost(), z, y))
        .map(|dz| dz / rows as f64)
        .collect();
    let mut gradients = Vec::new();
    for (index, Layer { shape: Shape { inputs, outputs, .. }, w, .. }) in layers.iter().enumerate().rev() {
        let before = index.checked_sub(1).map(|before| &z[before]);
        let a_prev = before.map_or_else(|| x.to_vec(), |z| z.iter().map(|&z| activated(hidden, z)).collect());
        let (mut d_w, mut d_b) = (vec![0.0; outputs * inputs], vec![0.0; *outputs]);
        add_product(&mut d_w, &transposed(&dz, rows, *outputs), &a_prev, *inputs);
        add_product(&mut d_b, &vec![1.0; rows], &dz, *outputs);
        gradients.push([d_w, d_b]);
        if let Some(z) = before {
            let mut d_a = vec![0.0; rows * inputs];
            add_product(&mut d_a, &dz, w, *inputs);
            dz = d_a.iter().zip(z).map(|(d_a, &z)| d_a * slope(hidden, z)).collect();
        }
    }
    gradients.reverse();
    gradients
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn activated(hidden: Hidden, z: f64) -> f64 {
    match hidden {
        Hidden::Sigmoid => sigmoid(z),
        Hidden::Relu => z.max(0.0),
    }
}

fn slope(hidden: Hidden, z: f64) -> f64 {
    match hidden {
        Hidden::Sigmoid => sigmoid(z) * (1.0 - sigmoid(z)),
        Hidden::Relu => f64::from(u8::from(z > 0.0)),
    }
}

/// The cost's gradient by one sample's `z`.
fn row_gradient(cost: Cost, z: &[f64], y: &[f64]) -> Vec<f64> {
    let of_each = |gradient: &dyn Fn(f64, f64) -> f64| z.iter().zip(y).map(|(&z, &y)| gradient(z, y)).collect();
    match cost {
        Cost::BinaryCrossEntropy => of_each(&|z, y| sigmoid(z) - y),
        Cost::Quadratic => of_each(&|z, y| (sigmoid(z) - y) * sigmoid(z) * (1.0 - sigmoid(z))),
        Cost::SoftmaxCrossEntropy => {
            let largest = z.iter().fold(f64::NEG_INFINITY, |largest, &z| largest.max(z));
            let sum: f64 = z.iter().map(|z| (z - largest).exp()).sum();
            of_each(&|z, y| (z - largest).exp() / sum - y)
        }
    }
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
    use crate::bench::random::Random;
    use clap::ValueEnum;

    /// The mean cost, written down once more.
    fn cost(layers: &[Layer], recipe: Recipe, x: &[f64], y: &[f64]) -> f64 {
        let z = pre_activations(layers, recipe.hidden(), x);
        let (z, outputs) = (&z[z.len() - 1], layers[layers.len() - 1].shape.outputs);
        let of_row = |(z, y): (&[f64], &[f64])| -> f64 {
            let pairs = z.iter().zip(y);
            match recipe.cost() {
                Cost::BinaryCrossEntropy => pairs.map(|(&z, y)| z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()).sum(),
                Cost::Quadratic => pairs.map(|(&z, y)| 0.5 * (sigmoid(z) - y).powi(2)).sum(),
                Cost::SoftmaxCrossEntropy => {
                    let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                    pairs.map(|(z, y)| y * (log_sum - z)).sum()
                }
            }
        };
        z.chunks(outputs).zip(y.chunks(outputs)).map(of_row).sum::<f64>() * outputs as f64 / z.len() as f64
    }

    #[test]
    fn gradients_are_the_costs_slopes() {
        let mut random = Random::new(3);
        let mut fill = |len: usize| -> Vec<f64> { (0..len).map(|_| f64::from(random.between(-1.0, 1.0))).collect() };
        let x = fill(5 * 4);
        let mut layers: Vec<Layer> = [(4, 6), (6, 3)]
            .map(|(inputs, outputs)| Layer {
                shape: Shape::new(5, inputs, outputs),
                w: fill(inputs * outputs),
                b: fill(outputs),
            })
            .into();
        let y = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        for &recipe in Recipe::value_variants() {
            for (index, [d_w, _]) in gradients(&layers, recipe, &x, &y).into_iter().enumerate() {
                for (at, gradient) in d_w.into_iter().enumerate() {
                    let mut shifted = |by: f64| {
                        layers[index].w[at] += by;
                        let cost = cost(&layers, recipe, &x, &y);
                        layers[index].w[at] -= by;
                        cost
                    };
                    let slope = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
                    assert!((slope - gradient).abs() < 1e-7, "{recipe}, layer {index}: {gradient}, slope {slope}");
                }
            }
        }
    }
}
