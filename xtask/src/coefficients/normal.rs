//! The constants of GELU and its approximation.

use super::remez::Problem;
use super::{Derived, Two, committed, exp};
use std::f64::consts::PI;

/// The largest argument, negated: there `Φ` has rounded to zero.
const END: f64 = 14.75;

pub(super) fn derive() -> [Derived; 4] {
    let density = 1.0 / (2.0 * PI).sqrt();
    let linear = 4.0 * density;
    let cubic = linear * 0.044_715;
    let [d, l, c, c3] = [density, linear, cubic, 3.0 * cubic].map(|x| Two { high: x, low: 0.0 }.split(24));
    [
        mills(),
        Derived::new("DENSITY", "1 / √(2π), and the rest", &[d.0, d.1], &committed::DENSITY),
        Derived::new("CUBIC", "2√(2/π) and 0.044715 of it, with rests", &[l.0, l.1, c.0, c.1], &committed::CUBIC),
        Derived::new("CUBIC_SLOPE", "the same, of z · y'", &[l.0, l.1, c3.0, c3.1], &committed::CUBIC_SLOPE),
    ]
}

/// `P(t)` for `Φ(-x) · e^(x²/2) · (x + 5/4) = 1/2 + P(t)`, `t = (4 - 3/2·x) / (x + 4)`.
fn mills() -> Derived {
    let ratio = |t: f64| {
        let x = (10.0 / (t + 1.5) - 4.0).max(0.0);
        mills_ratio(x) * (x + 1.25)
    };
    let (target, weight) = (|t: f64| ratio(t) - 0.5, |t: f64| 1.0 / ratio(t));
    let (least, most) = ((4.0 - 1.5 * END) / (END + 4.0), 1.0);
    let (center, half_width) = ((most + least) / 2.0, (most - least) / 2.0);
    let problem = Problem { target: &target, weight: &weight, center, half_width, degree: 10 };
    let fit = problem.minimax_f32(&[]);
    let note = format!("relative error of Φ(-x): 2^{:.2}", problem.max_error(&fit).log2());
    Derived::new("MILLS", note, &fit, &committed::MILLS)
}

/// `Φ(-x) · e^(x²/2)` for `x ≥ 0`: near zero by Marsaglia's series of `Φ(x) - 1/2`, all of whose terms are positive, from
/// there on by Laplace's continued fraction.
fn mills_ratio(x: f64) -> f64 {
    let density = 1.0 / (2.0 * PI).sqrt();
    if x < 2.0 {
        let (mut sum, mut term) = (0.0, x);
        for odd in (3..100).step_by(2) {
            sum += term;
            term *= x * x / f64::from(odd);
        }
        let sixteenth = exp(x * x / 32.0);
        0.5 * sixteenth.powi(16) - sum * density
    } else {
        density / (1..=200).rev().fold(x, |below, k| x + f64::from(k) / below)
    }
}
