//! Backpropagation with the textbook's names, both ways: `cargo run --release --example textbook`.
//!
//! A network with one hidden layer tells benign from malignant tumours by 30 measurements of their cells (569 biopsies,
//! Wisconsin). Its output layer can go back from the loss in two ways, which are the same in mathematics:
//!
//! ```text
//! dA = (a-y) / (a(1-a)),  dz = dA ⊙ a(1-a)      through the loss's gradient by the activation: any loss, any activation
//! dz = a - y                                    what is left when the factors cancel: cross-entropy behind a sigmoid
//! ```
//!
//! In arithmetic they differ by a few roundings, which this example bounds and measures on every step.

mod support;

use fused_dense::{Activation, Dense, Error, Gradients, Outputs, Upstream, loss};
use smartcore::dataset::breast_cancer;
use std::process::ExitCode;
use support::Random;

const FEATURES: usize = 30;
const HIDDEN: usize = 16;
const STEPS: usize = 300;
const LEARNING_RATE: f32 = 0.5;

/// Relative roundings between the two `dz`, each of at most 2⁻²⁴: `dA`, `1-a`, its product with `a`, and `dz` on the one
/// way, `a-y` on the other. (The one for `dA` is a little more than a half ULP: hence 6, not 5.)
const BOUND: f32 = 6.0 / (1 << 24) as f32;

fn main() -> ExitCode {
    support::end(run())
}

fn run() -> Result<ExitCode, Error> {
    let mut random = Random(569);
    let (training, held_out) = load(&mut random);
    let (x, y, m) = (&training.x, &training.y, training.y.len());

    let mut hidden = Dense::new(FEATURES, HIDDEN, Activation::Tanh);
    let mut output = Dense::new(HIDDEN, 1, Activation::Sigmoid);
    let (mut w1, mut b1) = (vec![0.0; HIDDEN * FEATURES], vec![0.0; HIDDEN]);
    let (mut w2, mut b2) = (vec![0.0; HIDDEN], vec![0.0; 1]);
    random.fill_weights(&mut w1, FEATURES);
    random.fill_weights(&mut w2, HIDDEN);

    let (mut a1, mut z2, mut a2) = (vec![0.0; m * HIDDEN], vec![0.0; m], vec![0.0; m]);
    let (mut d_a1, mut d_z2, mut d_a2) = (vec![0.0; m * HIDDEN], vec![0.0; m], vec![0.0; m]);
    let (mut d_w1, mut d_b1) = (w1.clone(), b1.clone());
    let (mut d_w2, mut d_b2) = (w2.clone(), b2.clone());
    let (mut d_z2_long, mut d_w2_long) = (d_z2.clone(), d_w2.clone());

    // The cost is a mean over the samples, and so are its gradients by the parameters.
    let mean = 1.0 / m as f32;
    let (mut apart_d_z, mut apart_d_w) = (0.0_f32, 0.0_f32);
    println!("step    cost");
    for step in 0..=STEPS {
        hidden.forward(x, &w1, &b1, &mut a1)?;
        output.forward(&a1, &w2, &b2, Outputs::new(&mut a2).z(&mut z2))?;
        if step % 50 == 0 {
            // From z2, not a2: a sigmoid that has rounded to 1 no longer knows how sure it was.
            println!("{step:4}  {:.4}", loss::binary_cross_entropy_from_z(&z2, y, 1)?);
        }

        // The long way: the loss's gradient by a2, then the sigmoid's derivative.
        loss::binary_cross_entropy_gradient(&a2, y, &mut d_a2)?;
        let long = Gradients::new().z(&mut d_z2_long).w(&mut d_w2_long).scale(mean);
        output.backward(&a1, &w2, &a2, Upstream::Activation(&d_a2), long)?;

        // The short cut, which goes on to the hidden layer.
        let short = Gradients::new().z(&mut d_z2).w(&mut d_w2).b(&mut d_b2).a_prev(&mut d_a1).scale(mean);
        output.backward(&a1, &w2, &a2, Upstream::Targets(y), short)?;
        hidden.backward(
            x,
            &w1,
            &a1,
            Upstream::Activation(&d_a1),
            Gradients::new().w(&mut d_w1).b(&mut d_b1).scale(mean),
        )?;

        for (long, short) in d_z2_long.iter().zip(&d_z2) {
            // Relative to dz; where dz is 0, so is the difference.
            apart_d_z = apart_d_z.max((long - short).abs() / short.abs().max(f32::MIN_POSITIVE));
        }
        for (long, short) in d_w2_long.iter().zip(&d_w2) {
            apart_d_w = apart_d_w.max((long - short).abs());
        }

        for (parameters, gradients) in [(&mut w1, &d_w1), (&mut b1, &d_b1), (&mut w2, &d_w2), (&mut b2, &d_b2)] {
            for (parameter, gradient) in parameters.iter_mut().zip(gradients) {
                *parameter -= LEARNING_RATE * gradient;
            }
        }
    }

    let tests = held_out.y.len();
    hidden.forward(&held_out.x, &w1, &b1, &mut a1[..tests * HIDDEN])?;
    output.forward(&a1[..tests * HIDDEN], &w2, &b2, &mut a2[..tests])?;
    let right = a2.iter().zip(&held_out.y).filter(|(a, y)| a.round() == **y).count();

    println!("\nlargest difference between the two ways, over all steps:");
    println!("  dz   {apart_d_z:.2e} of dz, bound {BOUND:.2e}");
    println!("  dw   {apart_d_w:.2e} absolute");
    println!("accuracy {:.1} % on {tests} held-out biopsies", 100.0 * right as f64 / tests as f64);
    Ok(if apart_d_z <= BOUND { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measurements `x: samples × FEATURES`, and `y = 1` where the tumour is benign.
struct Samples {
    x: Vec<f32>,
    y: Vec<f32>,
}

/// Four fifths to learn from, and one to measure what was learnt.
fn load(random: &mut Random) -> (Samples, Samples) {
    let data = breast_cancer::load_dataset();
    let mut order: Vec<usize> = (0..data.num_samples).collect();
    random.shuffle(&mut order);
    let (held_out, training) = order.split_at(order.len() / 5);

    // Areas in hundreds and smoothness in hundredths would make one learning rate impossible: bring every feature to
    // mean 0 and deviation 1, as measured on the training samples alone.
    let feature = |sample: usize, j: usize| data.data[sample * FEATURES + j];
    let mean_of =
        |value: &dyn Fn(usize) -> f32| training.iter().map(|&i| value(i)).sum::<f32>() / training.len() as f32;
    let scale: Vec<(f32, f32)> = (0..FEATURES)
        .map(|j| {
            let mean = mean_of(&|i| feature(i, j));
            (mean, mean_of(&|i| (feature(i, j) - mean).powi(2)).sqrt())
        })
        .collect();
    let samples = |indices: &[usize]| Samples {
        x: indices
            .iter()
            .flat_map(|&i| (0..FEATURES).map(move |j| (i, j)))
            .map(|(i, j)| (feature(i, j) - scale[j].0) / scale[j].1)
            .collect(),
        y: indices.iter().map(|&i| data.target[i] as f32).collect(),
    };
    (samples(training), samples(held_out))
}
