//! The element-wise passes around a peer's matrix products: bias and sigmoid, and `dz` with its column sums.
//!
//! Plain loops that vectorise by themselves, compiled for AVX-512, AVX2 and the build's own target, so that a library
//! that only multiplies matrices is not held back by what stands around it. The sigmoid is within [`SIGMOID_MAX_ULP`]
//! of the true value wherever that is above 2⁻¹²⁰; below, it returns a value near it. Built without the feature
//! `avx512`, nothing here uses those instructions.

/// The largest error of the sigmoid in units in the last place, as this file's test finds it.
pub const SIGMOID_MAX_ULP: f64 = 4.0;

/// Elements that the inner loops should at least have: rows that are shorter are taken several at a time.
const WIDE: usize = 64;

/// Declares a pass as a function that picks the widest instruction set at run time.
macro_rules! multiversion {
    ($(#[$doc:meta])* pub fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $body:ident) => {
        $(#[$doc])*
        pub fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[cfg(feature = "avx512")]
                #[target_feature(enable = "avx512f")]
                fn avx512($($argument: $type),*) {
                    $body::<true>($($argument),*);
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) {
                    $body::<true>($($argument),*);
                }

                #[cfg(feature = "avx512")]
                if std::arch::is_x86_feature_detected!("avx512f") {
                    // SAFETY: the CPU has the instruction set.
                    return unsafe { avx512($($argument),*) };
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has the instruction sets.
                    return unsafe { avx2($($argument),*) };
                }
            }
            $body::<{ cfg!(any(target_feature = "fma", target_arch = "aarch64")) }>($($argument),*);
        }
    };
}

multiversion! {
    /// `z ← σ(z + bias)`, in place, for rows as long as the bias.
    pub fn bias_sigmoid(z: &mut [f32], bias: &[f32]) = bias_sigmoid_body
}

multiversion! {
    /// `z ← z + bias`, in place, for rows as long as the bias.
    pub fn add_bias(z: &mut [f32], bias: &[f32]) = add_bias_body
}

multiversion! {
    /// `z ← σ(z)`, in place.
    pub fn sigmoid(z: &mut [f32]) = sigmoid_body
}

multiversion! {
    /// `dz = dA ⊙ a ⊙ (1 - a)`.
    pub fn sigmoid_backward(d_a: &[f32], a: &[f32], dz: &mut [f32]) = sigmoid_backward_body
}

multiversion! {
    /// `db = s · Σ_batch dz`, for rows as long as `db`.
    pub fn column_sums(dz: &[f32], scale: f32, d_b: &mut [f32]) = column_sums_body
}

multiversion! {
    /// `dz = dA ⊙ a ⊙ (1 - a)` and `db = s · Σ_batch dz` in one pass.
    pub fn sigmoid_backward_sums(d_a: &[f32], a: &[f32], scale: f32, dz: &mut [f32], d_b: &mut [f32]) =
        sigmoid_backward_sums_body
}

multiversion! {
    /// `dz = a - y`.
    pub fn difference(a: &[f32], y: &[f32], dz: &mut [f32]) = difference_body
}

multiversion! {
    /// `values ← s · values`.
    pub fn scale_by(values: &mut [f32], scale: f32) = scale_by_body
}

#[inline(always)]
fn bias_sigmoid_body<const FMA: bool>(z: &mut [f32], bias: &[f32]) {
    with_wide_bias(z, bias, |z, bias| *z = sigmoid_value::<FMA>(*z + bias));
}

#[inline(always)]
fn add_bias_body<const FMA: bool>(z: &mut [f32], bias: &[f32]) {
    with_wide_bias(z, bias, |z, bias| *z += bias);
}

#[inline(always)]
fn sigmoid_body<const FMA: bool>(z: &mut [f32]) {
    for z in z {
        *z = sigmoid_value::<FMA>(*z);
    }
}

#[inline(always)]
fn scale_by_body<const FMA: bool>(values: &mut [f32], scale: f32) {
    for value in values {
        *value *= scale;
    }
}

#[inline(always)]
fn difference_body<const FMA: bool>(a: &[f32], y: &[f32], dz: &mut [f32]) {
    for ((dz, &a), &y) in dz.iter_mut().zip(a).zip(y) {
        *dz = a - y;
    }
}

/// Applies `f` to each element and its column's bias. A short bias is repeated, so that several rows make one loop.
#[inline(always)]
fn with_wide_bias(z: &mut [f32], bias: &[f32], f: impl Fn(&mut f32, f32)) {
    let mut repeated = [0.0; 2 * WIDE];
    let bias = match wide_rows(bias.len()) {
        1 => bias,
        rows => {
            let repeated = &mut repeated[..rows * bias.len()];
            for row in repeated.chunks_exact_mut(bias.len()) {
                row.copy_from_slice(bias);
            }
            &*repeated
        }
    };
    for row in z.chunks_mut(bias.len().max(1)) {
        for (z, &bias) in row.iter_mut().zip(bias) {
            f(z, bias);
        }
    }
}

#[inline(always)]
fn sigmoid_backward_body<const FMA: bool>(d_a: &[f32], a: &[f32], dz: &mut [f32]) {
    for ((dz, &d_a), &a) in dz.iter_mut().zip(d_a).zip(a) {
        *dz = d_a * (a * (1.0 - a));
    }
}

#[inline(always)]
fn column_sums_body<const FMA: bool>(dz: &[f32], scale: f32, d_b: &mut [f32]) {
    with_wide_sums(d_b, scale, |width, sums| {
        for row in dz.chunks(width) {
            for (sum, &dz) in sums.iter_mut().zip(row) {
                *sum += dz;
            }
        }
    });
}

#[inline(always)]
fn sigmoid_backward_sums_body<const FMA: bool>(d_a: &[f32], a: &[f32], scale: f32, dz: &mut [f32], d_b: &mut [f32]) {
    with_wide_sums(d_b, scale, |width, sums| {
        for ((dz, d_a), a) in dz.chunks_mut(width).zip(d_a.chunks(width)).zip(a.chunks(width)) {
            for (((dz, &d_a), &a), sum) in dz.iter_mut().zip(d_a).zip(a).zip(sums.iter_mut()) {
                *dz = d_a * (a * (1.0 - a));
                *sum += *dz;
            }
        }
    });
}

/// Lets `add` sum rows of `width` elements, several of the matrix's where those are short, then folds and scales.
#[inline(always)]
fn with_wide_sums(d_b: &mut [f32], scale: f32, add: impl FnOnce(usize, &mut [f32])) {
    let columns = d_b.len();
    match wide_rows(columns) {
        1 => {
            d_b.fill(0.0);
            add(columns.max(1), d_b);
        }
        rows => {
            let mut wide = [0.0; 2 * WIDE];
            let wide = &mut wide[..rows * columns];
            add(wide.len(), wide);
            d_b.fill(0.0);
            for row in wide.chunks_exact(columns) {
                for (d_b, &sum) in d_b.iter_mut().zip(row) {
                    *d_b += sum;
                }
            }
        }
    }
    for d_b in d_b {
        *d_b *= scale;
    }
}

/// Rows of `columns` elements that are taken at a time.
#[inline(always)]
fn wide_rows(columns: usize) -> usize {
    if columns == 0 { 1 } else { WIDE.div_ceil(columns) }
}

/// `1 / (1 + e^-x)`, by `e^-|x|`: range reduction to `|r| ≤ ln 2 / 2` and the exponential's Taylor polynomial.
#[inline(always)]
fn sigmoid_value<const FMA: bool>(x: f32) -> f32 {
    /// Adding this rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let mul_add = |a: f32, b: f32, c: f32| if FMA { a.mul_add(b, c) } else { a * b + c };
    // e^-87.3 is the last that is not subnormal.
    let z = -x.abs().min(87.3);
    let rounded = mul_add(z, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = mul_add(n, -0.693_145_75, z);
    let r = mul_add(n, -1.428_606_8e-6, r);
    let mut p = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = mul_add(p, r, coefficient);
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let e = p * power;
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_keeps_its_stated_accuracy() {
        let mut worst = 0.0_f64;
        for step in -8_700..=1_800 {
            let x = step as f32 * 0.01;
            let mut found = [x; 1];
            sigmoid(&mut found);
            let expected = 1.0 / (1.0 + (-f64::from(x)).exp());
            let ulp = f64::from((expected as f32).next_up() - expected as f32);
            worst = worst.max((f64::from(found[0]) - expected).abs() / ulp);
        }
        assert!(worst <= SIGMOID_MAX_ULP, "{worst} ULP");
    }

    #[test]
    fn passes_agree_with_plain_loops_at_every_width() {
        for columns in [1, 2, 3, 10, 31, 63, 64, 65, 130] {
            let rows = 7;
            let d_a: Vec<f32> = (0..rows * columns).map(|i| (i % 13) as f32 - 6.0).collect();
            let a: Vec<f32> = (0..rows * columns).map(|i| (i % 7) as f32 / 8.0).collect();
            let bias: Vec<f32> = (0..columns).map(|j| j as f32 * 0.25).collect();

            let mut z = d_a.clone();
            add_bias(&mut z, &bias);
            assert!((0..rows * columns).all(|i| z[i] == d_a[i] + bias[i % columns]));

            let (mut fused, mut apart) = (d_a.clone(), d_a.clone());
            bias_sigmoid(&mut fused, &bias);
            add_bias(&mut apart, &bias);
            sigmoid(&mut apart);
            assert_eq!(fused, apart);

            let (mut dz, mut d_b) = (vec![f32::NAN; rows * columns], vec![f32::NAN; columns]);
            sigmoid_backward_sums(&d_a, &a, 0.5, &mut dz, &mut d_b);
            for i in 0..rows * columns {
                assert_eq!(dz[i], d_a[i] * (a[i] * (1.0 - a[i])));
            }
            for j in 0..columns {
                let sum: f32 = (0..rows).map(|i| dz[i * columns + j]).sum();
                assert!((d_b[j] - 0.5 * sum).abs() < 1e-5);
            }
            let (mut dz_apart, mut d_b_apart) = (vec![f32::NAN; rows * columns], vec![f32::NAN; columns]);
            sigmoid_backward(&d_a, &a, &mut dz_apart);
            column_sums(&dz_apart, 0.5, &mut d_b_apart);
            assert_eq!((dz, d_b), (dz_apart, d_b_apart));
        }
    }
}
