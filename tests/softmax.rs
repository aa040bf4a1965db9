//! Softmax and its cross-entropy: bits of the reference on every instruction set, errors against `f64`.

#![cfg(not(miri))]

mod support;

use fused_dense::{Isa, loss, reference};
use support::compare::assert_bits;
use support::{isas, values};

/// `2⁻²⁴`, half the distance of floats below 2.
const U: f64 = 1.0 / (1 << 24) as f64;

fn columns() -> impl Iterator<Item = usize> {
    (1..=70).chain([127, 128, 129, 255, 300, 1000, 1023])
}

const ROWS: [usize; 5] = [0, 1, 3, 17, 257];

/// Rows of values from -40 to 40, some of them equal.
fn rows(rows: usize, cols: usize) -> Vec<f32> {
    let mut z = values(rows * cols, (rows * 1000 + cols) as u64);
    for (i, z) in z.iter_mut().enumerate() {
        *z = if i % 7 == 0 { 0.0 } else { *z * 20.0 };
    }
    z
}

/// Instruction sets whose bits are those of the reference.
fn exact_isas() -> impl Iterator<Item = Isa> {
    isas::all().into_iter().filter(|isa| isa.is_bit_exact())
}

/// The exact softmax of a row.
fn exact(z: &[f32]) -> Vec<f64> {
    let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z));
    let e: Vec<f64> = z.iter().map(|&z| (f64::from(z) - f64::from(max)).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

#[test]
fn softmax_has_the_bits_of_the_reference() {
    for isa in exact_isas() {
        for cols in columns() {
            for m in ROWS {
                let z = rows(m, cols);
                let mut p = vec![f32::NAN; z.len()];
                loss::softmax_with_isa(isa, &z, &mut p, cols).unwrap();
                assert_bits(format_args!("{isa}, {m}×{cols}"), &p, &reference::softmax(&z, cols));
            }
        }
    }
}

#[test]
fn softmax_backward_has_the_bits_of_the_reference() {
    for isa in exact_isas() {
        for cols in columns() {
            for m in ROWS {
                let (p, d_p) = (reference::softmax(&rows(m, cols), cols), values(m * cols, 5));
                let mut d_z = vec![f32::NAN; p.len()];
                loss::softmax_backward_with_isa(isa, &p, &d_p, &mut d_z, cols).unwrap();
                assert_bits(format_args!("{isa}, {m}×{cols}"), &d_z, &reference::softmax_backward(&p, &d_p, cols));
            }
        }
    }
}

#[test]
fn softmax_keeps_its_bound() {
    // Without fused multiply-add, one rounding more here and there.
    for isa in isas::all() {
        let slack = if isa.is_bit_exact() { 1.0 } else { 1.5 };
        let mut worst = 0.0_f64;
        for cols in columns() {
            let z = rows(40, cols);
            let mut p = vec![0.0; z.len()];
            loss::softmax_with_isa(isa, &z, &mut p, cols).unwrap();
            for (z, p) in z.chunks_exact(cols).zip(p.chunks_exact(cols)) {
                let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z));
                let n = cols as f64;
                for ((&z, &p), exact) in z.iter().zip(p).zip(exact(z)) {
                    let d = f64::from(max) - f64::from(z);
                    let bound = slack * (d + n.ln() + n / 16.0 + 8.0) * U * exact + f64::from(f32::from_bits(1)) / 2.0;
                    let error = (f64::from(p) - exact).abs();
                    assert!(error <= bound, "{isa}, {cols} columns: {p} against {exact}, bound {bound:e}");
                    worst = worst.max(error / bound);
                }
            }
        }
        println!("{isa}: {worst:.3} of the bound");
    }
}
