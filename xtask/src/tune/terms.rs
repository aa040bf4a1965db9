//! Terms of the cost model that can be measured on their own, in cycles.

use crate::bench::buffer::Buffer;
use crate::machine::Ceilings;
use crate::ulp::speed::clock_ns;
use fused_dense::{Activation, Adam, Dense, Gradients, Isa, Parameter, Summation, Tuning, Update, Upstream};
use std::time::{Duration, Instant};

/// A term with its present value.
pub struct Term {
    pub number: &'static str,
    pub present: String,
    pub cycles: f64,
}

/// Measures the terms; how long to look for the fastest stretch of each.
///
/// # Errors
/// Where the library refuses.
pub fn measure(row: &'static Tuning, ceilings: &Ceilings, duration: Duration) -> anyhow::Result<Vec<Term>> {
    let lab = Lab { row, duration };
    let cycle = clock_ns();
    let present = |number: &str| row.numbers().into_iter().find(|(name, _)| *name == number).map(|(_, value)| value);
    let term = |number: &'static str, nanoseconds: f64| Term {
        number,
        present: present(number).unwrap_or_default(),
        cycles: nanoseconds / cycle,
    };
    let mut terms = vec![
        term("multiply_add_cost", lab.multiply_add()?),
        term("transpose_cost", lab.transposition()?),
        term("activation_cost", lab.activation()?),
        term("dz_cost", lab.dz()?),
        term("update_cost", lab.update()?),
    ];
    // The third level, where there is one before memory.
    if let [.., outer, _] = ceilings.levels.as_slice() {
        terms.push(term("traffic_cost", size_of::<f32>() as f64 / outer.gbytes_per_second));
    }
    Ok(terms)
}

struct Lab {
    row: &'static Tuning,
    duration: Duration,
}

impl Lab {
    fn layer(&self, inputs: usize, outputs: usize, activation: Activation) -> Dense {
        let layer = Dense::new(inputs, outputs, activation).with_isa(self.row.isa()).with_tuning(self.row);
        layer.with_summation(Summation::Chain)
    }

    /// Nanoseconds of a forward call, by packed weights or plain ones.
    fn forward(
        &self,
        (batch, inputs, outputs): (usize, usize, usize),
        activation: Activation,
        packed: bool,
    ) -> anyhow::Result<f64> {
        let mut layer = self.layer(inputs, outputs, activation);
        let values = |len: usize| Buffer::filled(0.01, len);
        let (x, w, b, mut a) =
            (values(batch * inputs), values(inputs * outputs), values(outputs), values(batch * outputs));
        let in_panels = layer.pack(&*w)?;
        fastest(self.duration, || {
            match packed {
                true => layer.forward(&*x, &in_panels, &*b, &mut *a)?,
                false => layer.forward(&*x, &*w, &*b, &mut *a)?,
            }
            Ok(())
        })
    }

    /// One vector multiply-add of whole tiles over packed weights.
    fn multiply_add(&self) -> anyhow::Result<f64> {
        let lanes = match self.row.isa() {
            Isa::Avx512 => 16,
            Isa::Neon => 4,
            _ => 8,
        };
        let (batch, inputs, outputs) = (168, 256, 192);
        let nanoseconds = self.forward((batch, inputs, outputs), Activation::Identity, true)?;
        Ok(nanoseconds / (batch * inputs * outputs / lanes) as f64)
    }

    /// One element transposed into a panel: plain weights against packed ones.
    fn transposition(&self) -> anyhow::Result<f64> {
        let sizes = (64, 256, 64);
        let plain = self.forward(sizes, Activation::Identity, false)?;
        let packed = self.forward(sizes, Activation::Identity, true)?;
        Ok((plain - packed).max(0.0) / (sizes.1 * sizes.2) as f64)
    }

    /// The sigmoid of one output behind its sum.
    fn activation(&self) -> anyhow::Result<f64> {
        let sizes = (128, 16, 192);
        let with = self.forward(sizes, Activation::Sigmoid, true)?;
        let without = self.forward(sizes, Activation::Identity, true)?;
        Ok((with - without).max(0.0) / (sizes.0 * sizes.2) as f64)
    }

    /// One element of `dz` and its column's sum.
    fn dz(&self) -> anyhow::Result<f64> {
        let (batch, outputs) = (128, 192);
        let mut layer = self.layer(1, outputs, Activation::Sigmoid);
        let values = |len: usize| Buffer::filled(0.4, len);
        let (x, w, a, d_a) = (values(batch), values(outputs), values(batch * outputs), values(batch * outputs));
        let mut d_b = values(outputs);
        let nanoseconds = fastest(self.duration, || {
            let gradients = Gradients::new().b(&mut *d_b);
            Ok(layer.backward(&*x, &*w, &*a, Upstream::Activation(&*d_a), gradients)?)
        })?;
        Ok(nanoseconds / (batch * outputs) as f64)
    }

    /// One weight updated by Adam behind its gradient.
    fn update(&self) -> anyhow::Result<f64> {
        let (batch, inputs, outputs) = (2, 256, 64);
        let mut layer = self.layer(inputs, outputs, Activation::Sigmoid);
        let values = |len: usize| Buffer::filled(0.4, len);
        let (x, a, d_a) = (values(batch * inputs), values(batch * outputs), values(batch * outputs));
        let [mut w, mut first, mut second, mut d_w] = [(); 4].map(|()| values(inputs * outputs));
        let without = fastest(self.duration, || {
            let gradients = Gradients::new().w(&mut *d_w);
            Ok(layer.backward(&*x, &*w, &*a, Upstream::Activation(&*d_a), gradients)?)
        })?;
        let with = fastest(self.duration, || {
            let parameter = Parameter::new(&mut *w).state(&mut *first).state(&mut *second);
            let update = Update::new(Adam::new(1e-7)).partial_sums(&mut *d_w);
            Ok(layer.backward_update(&*x, parameter, &*a, Upstream::Activation(&*d_a), update)?)
        })?;
        Ok((with - without).max(0.0) / (inputs * outputs) as f64)
    }
}

/// Calls of one timed stretch.
const CALLS: u32 = 32;

/// Nanoseconds of a call in the fastest stretch.
fn fastest(duration: Duration, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let (start, mut best) = (Instant::now(), Duration::MAX);
    // The first stretch only fills the caches.
    for stretch in 0.. {
        let began = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        if stretch > 0 {
            best = best.min(began.elapsed());
        }
        if stretch > 2 && start.elapsed() >= duration {
            break;
        }
    }
    Ok(best.as_nanos() as f64 / f64::from(CALLS))
}
