//! Softmax, forward and backward.

use super::activation::pow2;
use super::lanes;
use crate::activation::coefficients::{EXP, EXPONENT_SHIFT, POWERS, ROUND, STEP_HIGH, STEP_LOW, STEPS_LOG2_E};
use crate::activation::softmax::MOST;

/// `p = e^(z - max) / Σ e^(z - max)` over each row of `outputs` values.
///
/// ```text
/// max = the largest of the row
/// e_c = e^-(max - z_c), in units of about 2^64.6;  0 where max - z_c > 104
/// sum = Σ e_c in the lanes order
/// p_c = e_c / sum, as q = e_c · (1/sum), then fma(fma(-q, sum, e_c), 1/sum, q)
/// ```
pub fn softmax(z: &[f32], outputs: usize) -> Vec<f32> {
    let rows = z.chunks_exact(outputs.max(1));
    rows.flat_map(|row| {
        let (max, sum) = softmax_max_and_sum(row);
        row.iter().map(move |&z| quotient(exp_of_difference(max - z), sum))
    })
    .collect()
}

/// The largest of one row `z`, and `Σ e^(z - max)` in the kernels' units: the sum of a row of one value.
pub fn softmax_max_and_sum(z: &[f32]) -> (f32, f32) {
    let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max { z } else { max });
    (max, lanes(None, None, 1.0, z.len(), |c| (exp_of_difference(max - z[c]), 1.0)))
}

/// `d_z = p ⊙ (d_p - Σ p·d_p)` over each row of `outputs` values, the sum in the lanes order.
pub fn softmax_backward(p: &[f32], d_p: &[f32], outputs: usize) -> Vec<f32> {
    let rows = p.chunks_exact(outputs.max(1)).zip(d_p.chunks_exact(outputs.max(1)));
    rows.flat_map(|(p, d_p)| {
        let sum = lanes(None, None, 1.0, p.len(), |c| (p[c], d_p[c]));
        p.iter().zip(d_p).map(move |(&p, &d_p)| p * (d_p - sum))
    })
    .collect()
}

/// `e / sum`, corrected by what is left of the dividend.
fn quotient(e: f32, sum: f32) -> f32 {
    let reciprocal = 1.0 / sum;
    let q = e * reciprocal;
    (-q).mul_add(sum, e).mul_add(reciprocal, q)
}

/// `e^-d` for `d ≥ 0`, in units of 2¹²⁸ times the sigmoid's.
fn exp_of_difference(d: f32) -> f32 {
    if d > MOST {
        return 0.0;
    }
    // Rounded to an integer by the addition.
    let steps = (-d).mul_add(STEPS_LOG2_E, ROUND) - ROUND;
    let t = steps.mul_add(STEP_LOW, steps.mul_add(STEP_HIGH, d));
    let [c0, c1, c2, c3] = EXP;
    let q = c3.mul_add(t, c2).mul_add(t, c1).mul_add(t, c0);

    let (octave, step) = (steps as i32 >> 3, steps as i32 & 7);
    let fraction = f32::from_bits(POWERS[step as usize].to_bits() + ((step as u32) << EXPONENT_SHIFT));
    // Exact, in two factors that both have room for their exponent.
    let power = fraction * pow2(64) * pow2(64 + octave);
    (power * t).mul_add(q, power)
}
