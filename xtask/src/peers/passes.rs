//! The element-wise passes around a peer's matrix products: bias and activation, `dz` with its column sums, optimisers.
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
    /// `z ← max(z + bias, 0)`, in place, for rows as long as the bias.
    pub fn bias_relu(z: &mut [f32], bias: &[f32]) = bias_relu_body
}

multiversion! {
    /// `z ← max(z, 0)`, in place.
    pub fn relu(z: &mut [f32]) = relu_body
}

multiversion! {
    /// `dz = dA` where `a > 0`, else 0.
    pub fn relu_backward(d_a: &[f32], a: &[f32], dz: &mut [f32]) = relu_backward_body
}

multiversion! {
    /// `dz = dA` where `a > 0`, else 0, and `db = s · Σ_batch dz` in one pass.
    pub fn relu_backward_sums(d_a: &[f32], a: &[f32], scale: f32, dz: &mut [f32], d_b: &mut [f32]) =
        relu_backward_sums_body
}

multiversion! {
    /// `v ← momentum · v + g`, then `p ← p - rate · v`.
    pub fn momentum(p: &mut [f32], g: &[f32], v: &mut [f32], rate: f32, momentum: f32) = momentum_body
}

/// The numbers of one of Adam's steps.
pub struct AdamStep {
    pub betas: (f32, f32),
    pub epsilon: f32,
    /// The rate, corrected for the first moment's start at zero.
    pub rate: f32,
    /// The factor that corrects the second moment's root.
    pub root: f32,
}

multiversion! {
    /// `m ← β₁m + (1-β₁)g` and `v ← β₂v + (1-β₂)g²`, then `p ← p - rate · m / (root · √v + ε)`.
    pub fn adam(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamStep) = adam_body
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
fn bias_relu_body<const FMA: bool>(z: &mut [f32], bias: &[f32]) {
    with_wide_bias(z, bias, |z, bias| *z = (*z + bias).max(0.0));
}

#[inline(always)]
fn relu_body<const FMA: bool>(z: &mut [f32]) {
    for z in z {
        *z = z.max(0.0);
    }
}

#[inline(always)]
fn momentum_body<const FMA: bool>(p: &mut [f32], g: &[f32], v: &mut [f32], rate: f32, momentum: f32) {
    for ((p, &g), v) in p.iter_mut().zip(g).zip(v) {
        *v = momentum * *v + g;
        *p -= rate * *v;
    }
}

#[inline(always)]
fn adam_body<const FMA: bool>(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamStep) {
    let &AdamStep { betas: (beta1, beta2), epsilon, rate, root } = step;
    for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * (g * g);
        *p -= rate * *m / (root * v.sqrt() + epsilon);
    }
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

/// The sigmoid's `dz`, from the gradient by `a` and `a`.
#[inline(always)]
fn sigmoid_derived(d_a: f32, a: f32) -> f32 {
    d_a * (a * (1.0 - a))
}

/// ReLU's.
#[inline(always)]
fn relu_derived(d_a: f32, a: f32) -> f32 {
    if a > 0.0 { d_a } else { 0.0 }
}

#[inline(always)]
fn sigmoid_backward_body<const FMA: bool>(d_a: &[f32], a: &[f32], dz: &mut [f32]) {
    derive(d_a, a, dz, sigmoid_derived);
}

#[inline(always)]
fn relu_backward_body<const FMA: bool>(d_a: &[f32], a: &[f32], dz: &mut [f32]) {
    derive(d_a, a, dz, relu_derived);
}

#[inline(always)]
fn derive(d_a: &[f32], a: &[f32], dz: &mut [f32], derived: impl Fn(f32, f32) -> f32) {
    for ((dz, &d_a), &a) in dz.iter_mut().zip(d_a).zip(a) {
        *dz = derived(d_a, a);
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
    derive_sums(d_a, a, scale, dz, d_b, sigmoid_derived);
}

#[inline(always)]
fn relu_backward_sums_body<const FMA: bool>(d_a: &[f32], a: &[f32], scale: f32, dz: &mut [f32], d_b: &mut [f32]) {
    derive_sums(d_a, a, scale, dz, d_b, relu_derived);
}

#[inline(always)]
fn derive_sums(d_a: &[f32], a: &[f32], scale: f32, dz: &mut [f32], d_b: &mut [f32], derived: impl Fn(f32, f32) -> f32) {
    with_wide_sums(d_b, scale, |width, sums| {
        for ((dz, d_a), a) in dz.chunks_mut(width).zip(d_a.chunks(width)).zip(a.chunks(width)) {
            for (((dz, &d_a), &a), sum) in dz.iter_mut().zip(d_a).zip(a).zip(sums.iter_mut()) {
                *dz = derived(d_a, a);
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
            let (mut relu_dz, mut relu_d_b) = (vec![f32::NAN; rows * columns], vec![f32::NAN; columns]);
            relu_backward_sums(&d_a, &a, 0.5, &mut relu_dz, &mut relu_d_b);
            assert!((0..rows * columns).all(|i| relu_dz[i] == if a[i] > 0.0 { d_a[i] } else { 0.0 }));
            let (mut relu_dz_apart, mut relu_d_b_apart) = (relu_dz.clone(), vec![f32::NAN; columns]);
            relu_backward(&d_a, &a, &mut relu_dz_apart);
            column_sums(&relu_dz_apart, 0.5, &mut relu_d_b_apart);
            assert_eq!((relu_dz, relu_d_b), (relu_dz_apart, relu_d_b_apart));
            let (mut fused, mut apart) = (d_a.clone(), d_a.clone());
            bias_relu(&mut fused, &bias);
            add_bias(&mut apart, &bias);
            relu(&mut apart);
            assert!(fused == apart && fused.iter().all(|a| *a >= 0.0));

            let (mut dz_apart, mut d_b_apart) = (vec![f32::NAN; rows * columns], vec![f32::NAN; columns]);
            sigmoid_backward(&d_a, &a, &mut dz_apart);
            column_sums(&dz_apart, 0.5, &mut d_b_apart);
            assert_eq!((dz, d_b), (dz_apart, d_b_apart));
        }
    }
}
