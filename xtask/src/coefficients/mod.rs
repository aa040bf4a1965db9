//! `cargo xtask coefficients`: derives every constant of the activations anew and compares it with the source.

#[path = "../../../src/activation/coefficients.rs"]
mod committed;
mod normal;
mod remez;

use anstream::println;
use anyhow::ensure;
use owo_colors::OwoColorize;
use remez::Problem;

/// Derives, prints, compares.
///
/// # Errors
/// Where the source holds another value.
pub fn main() -> anyhow::Result<()> {
    let mut different = 0;
    for derived in derive() {
        println!("{} {}", derived.name.bold(), derived.note.dimmed());
        ensure!(derived.values.len() == derived.committed.len(), "{} has another length", derived.name);
        for (value, committed) in derived.values.iter().zip(derived.committed) {
            let bits = format!("f32::from_bits({:#06x}_{:04x})", value.to_bits() >> 16, value.to_bits() & 0xffff);
            if value.to_bits() == committed.to_bits() {
                println!("    {bits}  {value:e}");
            } else {
                different += 1;
                println!("    {bits}  {value:e}  {}", format!("the source has {committed:e}").red());
            }
        }
    }
    ensure!(different == 0, "{different} constants differ from src/activation/coefficients.rs");
    println!("all as in src/activation/coefficients.rs");
    Ok(())
}

/// One constant of the source, or one array.
struct Derived {
    name: &'static str,
    note: String,
    values: Vec<f32>,
    committed: Vec<f32>,
}

impl Derived {
    fn new(name: &'static str, note: impl Into<String>, values: &[f32], committed: &[f32]) -> Self {
        Self { name, note: note.into(), values: values.to_vec(), committed: committed.to_vec() }
    }
}

/// The reduced argument may exceed half a step by this factor: the error of the constant that finds the step, at the
/// largest argument.
const OVERLAP: f64 = 1.0001;

fn derive() -> Vec<Derived> {
    let ln2 = ln2();
    let step = Two { high: ln2.high / 8.0, low: ln2.low / 8.0 };
    let (step_high, step_low) = step.split(12);
    let (ln2_high, ln2_low) = ln2.split(16);

    // e^-t = 1 + t·Q(t): a fit of e^-t whose constant is given.
    let target = |t: f64| exp(-t);
    let weight = |t: f64| 1.0 / exp(-t);
    let half_width = step.high / 2.0 * OVERLAP;
    let exp_problem = Problem { target: &target, weight: &weight, center: 0.0, half_width, degree: 4 };
    let exp_fit = exp_problem.minimax_f32(&[1.0]);
    let exp_error = exp_problem.max_error(&exp_fit);

    let half_width = ln2.high / 2.0 * OVERLAP;
    let expm1_problem = Problem { target: &exp_tail, weight: &weight_of_tanh, center: 0.0, half_width, degree: 5 };
    let expm1_fit = expm1_problem.minimax_f32(&[]);
    let expm1_error = expm1_problem.max_error(&expm1_fit);

    let (significand, powers, error) = powers(step.high);
    let unit = significand * f32::from_bits((127 - 64) << 23);
    let shifted: Vec<f32> = (0_u32..)
        .zip(&powers)
        .map(|(j, power)| f32::from_bits(power.to_bits() - (64 << 23) - (j << committed::EXPONENT_SHIFT)))
        .collect();

    let of_e_to_minus_t = format!("relative error of e^-t: 2^{:.2}", exp_error.log2());
    let of_tanh = format!("relative error of tanh: 2^{:.2}", expm1_error.log2());
    let of_powers = format!("relative error of the powers: 2^{:.2}", error.log2());
    let mut all = vec![
        Derived::new("ROUND", "1.5 · 2^23", &[1.5 * 8_388_608.0], &[committed::ROUND]),
        Derived::new("STEPS_LOG2_E", "8 / ln 2", &[(1.0 / step.high) as f32], &[committed::STEPS_LOG2_E]),
        Derived::new("STEP_HIGH", "ln 2 / 8 to 12 bits", &[step_high], &[committed::STEP_HIGH]),
        Derived::new("STEP_LOW", "the rest of ln 2 / 8", &[step_low], &[committed::STEP_LOW]),
        Derived::new("EXP", of_e_to_minus_t, &exp_fit[1..], &committed::EXP),
        Derived::new("UNIT", of_powers, &[unit], &[committed::UNIT]),
        Derived::new("POWERS", "the eight powers", &shifted, &committed::POWERS),
        Derived::new("LOG2_E", "1 / ln 2", &[(1.0 / ln2.high) as f32], &[committed::LOG2_E]),
        Derived::new("LN2_HIGH", "ln 2 to 16 bits", &[ln2_high], &[committed::LN2_HIGH]),
        Derived::new("LN2_LOW", "the rest of ln 2", &[ln2_low], &[committed::LN2_LOW]),
        Derived::new("EXPM1", of_tanh, &expm1_fit, &committed::EXPM1),
        Derived::new("TAIL_SCALE", "2^24", &[16_777_216.0], &[committed::TAIL_SCALE]),
        log1p(),
    ];
    all.extend(normal::derive());
    all
}

/// `P(w)` for `artanh(s) / s = 1 + w · P(w)`, `w = s²`.
fn log1p() -> Derived {
    // Σ wᵏ / (2k+3), of which forty terms are left with nothing at w = 1/9.
    let target = |w: f64| (0..40).rev().fold(0.0, |sum, k| sum * w + 1.0 / f64::from(2 * k + 3));
    let weight = |w: f64| w / (1.0 + w * target(w));
    let (center, half_width) = (1.0 / 18.0, 1.0 / 18.0);
    let problem = Problem { target: &target, weight: &weight, center, half_width, degree: 4 };
    let fit = problem.minimax_f32(&[]);
    let note = format!("relative error of ln(1+u): 2^{:.2}", problem.max_error(&fit).log2());
    Derived::new("LOG1P", note, &fit, &committed::LOG1P)
}

/// The significand `s` of `f32` for which the eight numbers `s · e^(j · step)` lie nearest to floats, these floats, and
/// the largest relative distance.
fn powers(step: f64) -> (f32, Vec<f32>, f64) {
    let exact: Vec<f64> = (0..8).map(|j| exp(f64::from(j) * step)).collect();
    let distance = |significand: f32| {
        let of = |power: &f64| {
            let exact = f64::from(significand) * power;
            (f64::from(exact as f32) / exact - 1.0).abs()
        };
        exact.iter().map(of).fold(0.0, f64::max)
    };
    let significands = (0..1 << 23).map(|fraction: u32| f32::from_bits(1.0_f32.to_bits() + fraction));
    let (significand, error) = significands
        .map(|significand| (significand, distance(significand)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .expect("there are many significands");
    (significand, exact.iter().map(|power| (f64::from(significand) * power) as f32).collect(), error)
}

/// Relative error of `tanh = -m / (2 + m)`, `m = e^z - 1`, `z = n · ln 2 + r`, for each unit of error in `P(r)`. With
/// `n = 0` there is only `r ≤ 0`; positive `r` matter most with `n = -1`, and lower `n` are less sensitive.
fn weight_of_tanh(r: f64) -> f64 {
    let (m, factor) = if r <= 0.0 { (r + r * r * exp_tail(r), 1.0) } else { (0.5 * exp(r) - 1.0, 0.5) };
    let of_tanh = (factor * 2.0 * r * r / (m * (2.0 + m))).abs();
    of_tanh.max(r * r / exp(r))
}

/// `(e^r - 1 - r) / r²` by its Taylor series, nested from the last term: no cancellation.
fn exp_tail(r: f64) -> f64 {
    (1..=24).rev().fold(1.0, |sum, k| 1.0 + sum * r / f64::from(k + 2)) / 2.0
}

/// `e^r` by the same series.
fn exp(r: f64) -> f64 {
    1.0 + r + r * r * exp_tail(r)
}

/// A number as an unevaluated sum.
struct Two {
    high: f64,
    low: f64,
}

impl Two {
    /// The number cut to so many bits, and the rest.
    fn split(&self, bits: u32) -> (f32, f32) {
        let mask = !((1_u32 << (24 - bits)) - 1);
        let high = f32::from_bits((self.high as f32).to_bits() & mask);
        (high, (self.high - f64::from(high) + self.low) as f32)
    }
}

/// `ln 2 = 2 artanh(1/3) = 2/3 · Σ 1 / ((2k+1) · 9^k)`, summed in integers of 2⁻¹²⁰.
fn ln2() -> Two {
    const SHIFT: u32 = 120;
    let (mut power, mut sum, mut divisor) = ((2_u128 << SHIFT) / 3, 0, 1);
    while power > 0 {
        sum += power / divisor;
        power /= 9;
        divisor += 2;
    }
    let unit = 1.0 / (1_u128 << SHIFT) as f64;
    let high = sum >> (SHIFT - 53) << (SHIFT - 53);
    Two { high: high as f64 * unit, low: (sum - high) as f64 * unit }
}
