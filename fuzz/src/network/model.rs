//! A network's parameters before a call, and by the reference what the call must make of them.

use super::Call;
use crate::support::compare::{assert_bits, same_bits};
use fused_dense::{Activation, Cost, Dense, Network, loss, reference};

/// Layers with their parameters.
pub(super) struct Model {
    layers: Vec<(Dense, Vec<f32>, Vec<f32>)>,
    cost: Cost,
}

/// Every layer's `z` and, behind the input, every layer's `a`.
struct Pass {
    z: Vec<Vec<f32>>,
    a: Vec<Vec<f32>>,
}

impl Model {
    pub(super) fn of(network: &Network) -> Self {
        let layers = network.layers().iter();
        let layers = layers.map(|layer| (layer.dense().clone(), layer.w().to_vec(), layer.b().to_vec())).collect();
        Self { layers, cost: network.cost() }
    }

    pub(super) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |(dense, ..)| dense.inputs())
    }

    pub(super) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |(dense, ..)| dense.outputs())
    }

    /// Whether the network still has these parameters.
    pub(super) fn has_parameters_of(&self, network: &Network) -> bool {
        let same = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same_bits(a, b));
        self.layers.iter().zip(network.layers()).all(|((_, w, b), layer)| same(w, layer.w()) && same(b, layer.b()))
    }

    /// Compares what a call has returned and left behind with the reference, where that has the kernels' bits.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn check(
        &self,
        network: &Network,
        x: &[f32],
        y: &[f32],
        batch: usize,
        call: Call,
        cost: Option<f64>,
        a: Option<Vec<f32>>,
    ) {
        if !self.layers.iter().all(|(dense, ..)| dense.isa().is_ok_and(|isa| isa.is_bit_exact())) {
            return;
        }
        let pass = self.forward(x, batch);
        if let Some(a) = a {
            assert_bits(format_args!("{call:?}: a"), &a, pass.a.last().expect("the input at least"));
            assert!(self.has_parameters_of(network), "{call:?} has changed parameters");
            return;
        }
        if let Some(found) = cost {
            let expected = self.cost(&pass, y);
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{call:?} of {batch} samples: cost {found}, expected {expected}");
        }
        let gradients = self.backward(&pass, y, batch);
        for (index, layer) in network.layers().iter().enumerate() {
            let ((_, w, b), (d_w, d_b)) = (&self.layers[index], &gradients[index]);
            let stepped = |old: &[f32], gradient: &[f32]| -> Vec<f32> {
                let Call::Step(rate) = call else { return old.to_vec() };
                let pairs = old.iter().zip(gradient);
                pairs.map(|(&old, &gradient)| reference::update(rate.into(), 1, true, old, gradient, &mut [])).collect()
            };
            if !matches!(call, Call::Step(_)) {
                assert_bits(format_args!("{call:?}: layer {index}, d_w"), layer.d_w(), d_w);
                assert_bits(format_args!("{call:?}: layer {index}, d_b"), layer.d_b(), d_b);
            }
            assert_bits(format_args!("{call:?}: layer {index}, w"), layer.w(), &stepped(w, d_w));
            assert_bits(format_args!("{call:?}: layer {index}, b"), layer.b(), &stepped(b, d_b));
        }
    }

    fn forward(&self, x: &[f32], batch: usize) -> Pass {
        let mut pass = Pass { z: Vec::new(), a: vec![x.to_vec()] };
        for (dense, w, b) in &self.layers {
            let a_prev = pass.a.last().expect("the input at least");
            let z = reference::forward_z(dense, batch, a_prev, w, Some(b), true);
            pass.a.push(z.iter().map(|&z| dense.activation().value(z)).collect());
            pass.z.push(z);
        }
        pass
    }

    fn cost(&self, pass: &Pass, y: &[f32]) -> f64 {
        let (z, a) = (pass.z.last().expect("a layer"), pass.a.last().expect("a layer"));
        let cost = match self.cost {
            Cost::BinaryCrossEntropy => loss::binary_cross_entropy_from_z(z, y, self.outputs()),
            _ => loss::quadratic(a, y, self.outputs()),
        };
        cost.expect("targets that fit")
    }

    /// `dw` and `db` of each layer.
    fn backward(&self, pass: &Pass, y: &[f32], batch: usize) -> Vec<(Vec<f32>, Vec<f32>)> {
        let a = pass.a.last().expect("the input at least");
        let mut above = vec![0.0; a.len()];
        loss::quadratic_gradient(a, y, &mut above).expect("targets that fit");
        // Of cross-entropy behind a sigmoid, the same difference is `dz` already.
        let mut is_dz = self.cost == Cost::BinaryCrossEntropy;
        let scale = 1.0 / batch.max(1) as f32;
        let mut gradients = Vec::new();
        for (index, (dense, w, _)) in self.layers.iter().enumerate().rev() {
            let g: Activation = dense.activation();
            let derivative = |(&a, &z): (&f32, &f32)| match g.needs_z() {
                true => g.derivative_from_z(z),
                false => g.derivative_from_a(a),
            };
            let derivatives = pass.a[index + 1].iter().zip(&pass.z[index]).map(derivative);
            let dz = |(&above, derivative): (&f32, f32)| if is_dz { above } else { above * derivative };
            let dz: Vec<f32> = above.iter().zip(derivatives).map(dz).collect();
            let d_w = reference::backward_w(dense, batch, &dz, &pass.a[index], scale, None);
            gradients.push((d_w, reference::backward_b(dense, batch, &dz, scale, None)));
            above = reference::backward_a_prev(dense, batch, &dz, w, None, true);
            is_dz = false;
        }
        gradients.reverse();
        gradients
    }
}
