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

#[test]
fn softmax_backward_keeps_its_bound() {
    for isa in isas::all() {
        for cols in columns() {
            let (p, d_p) = (reference::softmax(&rows(20, cols), cols), values(20 * cols, 5));
            let mut d_z = vec![0.0; p.len()];
            loss::softmax_backward_with_isa(isa, &p, &d_p, &mut d_z, cols).unwrap();
            for ((p, d_p), d_z) in p.chunks_exact(cols).zip(d_p.chunks_exact(cols)).zip(d_z.chunks_exact(cols)) {
                let terms = || p.iter().zip(d_p).map(|(&p, &d_p)| f64::from(p) * f64::from(d_p));
                let (sum, magnitude) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                // Up to cols / 16 + 1 additions to a lane, products with two roundings, and four of the tree.
                let of_sum = (cols as f64 / 16.0 + 8.0) * U * magnitude;
                for ((&p, &d_p), &d_z) in p.iter().zip(d_p).zip(d_z) {
                    let (p, difference) = (f64::from(p), f64::from(d_p) - sum);
                    let bound = p * (of_sum + 3.0 * U * difference.abs()) + 1e-44;
                    assert!((f64::from(d_z) - p * difference).abs() <= bound, "{isa}, {cols} columns: {d_z}");
                }
            }
        }
    }
}

const SPECIAL: [f32; 16] = [
    0.0,
    -0.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    f32::from_bits(1),
    -1e-40,
    1e4,
    -1e4,
    87.5,
    -16.5, // 104 below 87.5, from where probabilities are 0
    -16.25,
    -16.75,
];

/// Rows of special values: each value once among others, then two of them.
fn special_rows(cols: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for (i, &special) in SPECIAL.iter().enumerate() {
        for (j, &other) in SPECIAL.iter().enumerate() {
            let at = all.len();
            all.extend((0..cols).map(|c| (c % 5) as f32 * -20.0));
            all[at + i % cols] = special;
            if j > 0 {
                all[at + (i + j) % cols] = other;
            }
        }
        all.extend((0..cols).map(|_| special));
    }
    all
}

#[test]
fn special_values_have_the_bits_of_the_reference() {
    for isa in exact_isas() {
        for cols in (1..=20).chain([31, 33, 64, 100]) {
            let z = special_rows(cols);
            let (mut p, mut d_z) = (vec![7.0; z.len()], vec![7.0; z.len()]);
            loss::softmax_with_isa(isa, &z, &mut p, cols).unwrap();
            assert_bits(format_args!("{isa}, {cols} columns"), &p, &reference::softmax(&z, cols));
            loss::softmax_backward_with_isa(isa, &p, &z, &mut d_z, cols).unwrap();
            assert_bits(format_args!("{isa}, {cols} columns"), &d_z, &reference::softmax_backward(&p, &z, cols));
        }
    }
}

#[test]
fn special_values_are_as_documented() {
    let infinity = f32::INFINITY;
    for isa in isas::all() {
        for cols in [2, 5, 16, 17, 40, 130] {
            let softmax = |first: &[f32], others: f32| {
                let mut z = vec![others; cols];
                z[cols - first.len()..].copy_from_slice(first);
                let mut p = vec![7.0; cols];
                loss::softmax_with_isa(isa, &z, &mut p, cols).unwrap();
                p
            };
            for z in [softmax(&[f32::NAN], 0.0), softmax(&[infinity], 0.0), softmax(&[-infinity], -infinity)] {
                assert!(z.iter().all(|p| p.is_nan()), "{isa}, {cols} columns: {z:?}");
            }
            for (z, others) in [(0.0, -infinity), (1e4, -1e4), (f32::MAX, f32::MIN), (-1e4, -infinity)] {
                let p = softmax(&[z], others);
                assert!(p[cols - 1] == 1.0 && p[..cols - 1].iter().all(|&p| p == 0.0), "{isa}: {p:?}");
            }
            // All equal, however large or small.
            for z in [1e4, f32::MIN, f32::MAX, 1e-45, -0.0] {
                let p = softmax(&[z], z);
                assert!(p.iter().all(|&each| each == p[0]) && (p[0] * cols as f32 - 1.0).abs() < 1e-6, "{isa}: {p:?}");
            }
        }
        // Down to the least subnormal.
        let mut p = [7.0; 4];
        loss::softmax_with_isa(isa, &[0.0, -103.0, -103.5, -104.5], &mut p, 4).unwrap();
        assert_eq!(p, [1.0, f32::from_bits(1), f32::from_bits(1), 0.0]);
    }
}

/// Each operand's last element, then its first, beside an inaccessible page.
#[cfg(unix)]
#[test]
fn softmax_stays_within_its_operands() {
    use support::guarded::{Flush, Guarded};

    for isa in isas::all() {
        for flush in [Flush::First, Flush::Last] {
            for cols in (1..=70).chain([300, 520]) {
                for m in [1, 2, 7, 17] {
                    let guarded = |values: &[f32]| Guarded::of(values, flush);
                    let z = guarded(&rows(m, cols));
                    let (mut p, mut d_z) = (guarded(&z), guarded(&z));
                    loss::softmax_with_isa(isa, &z, &mut p, cols).unwrap();
                    loss::softmax_backward_with_isa(isa, &p, &z, &mut d_z, cols).unwrap();
                }
            }
        }
    }
}
