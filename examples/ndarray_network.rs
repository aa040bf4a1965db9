//! Two layers on arrays of `ndarray`, which learn the parity of three bits by gradient descent.
//!
//! ```sh
//! cargo run --release --example ndarray_network --features ndarray
//! ```

mod support;

use fused_dense::{Activation, Dense, Error, Init, Update, Upstream};
use ndarray::{Array1, Array2, Axis};
use std::process::ExitCode;

fn main() -> ExitCode {
    support::end(run())
}

fn run() -> Result<ExitCode, Error> {
    let x = Array2::from_shape_fn((8, 3), |(number, bit)| (number >> bit & 1) as f32);
    let y = x.sum_axis(Axis(1)).mapv(|ones| ones % 2.0).insert_axis(Axis(1));
    let mut hidden = Dense::new(3, 12, Activation::Tanh);
    let mut output = Dense::new(12, 1, Activation::Sigmoid);
    let (mut w1, mut b1) = (Array2::zeros((12, 3)), Array1::zeros(12));
    let (mut w2, mut b2) = (Array2::zeros((1, 12)), Array1::zeros(1));
    Init::GlorotUniform.fill(3, 12, 1, 0, w1.as_slice_mut().expect("rows in order"))?;
    Init::GlorotUniform.fill(12, 1, 1, 1, w2.as_slice_mut().expect("rows in order"))?;

    let (mut a1, mut a2, mut d_a1) = (Array2::zeros((8, 12)), Array2::zeros((8, 1)), Array2::zeros((8, 12)));
    for _ in 0..2000 {
        hidden.forward(&x, &w1, &b1, &mut a1)?;
        output.forward(&a1, &w2, &b2, &mut a2)?;
        let update = Update::new(1.0).scale(1.0 / 8.0).b(&mut b2).a_prev(&mut d_a1);
        output.backward_update(&a1, &mut w2, &a2, Upstream::Targets(&y), update)?;
        let update = Update::new(1.0).scale(1.0 / 8.0).b(&mut b1);
        hidden.backward_update(&x, &mut w1, &a1, Upstream::Activation(&d_a1), update)?;
    }
    for (bits, probability) in x.rows().into_iter().zip(&a2) {
        println!("{bits}: odd with a probability of {probability:.3}");
    }
    let is_learnt = a2.iter().zip(&y).all(|(a, y)| (a - y).abs() < 0.1);
    Ok(if is_learnt { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
