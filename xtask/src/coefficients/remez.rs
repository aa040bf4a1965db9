//! Minimax polynomials with coefficients that are exact in `f32`: the Remez exchange algorithm.
//!
//! ```text
//! repeat
//!     solve for the polynomial whose weighted error at the reference points is ±level, of alternating sign
//!     move the reference points to where the error is largest between its changes of sign
//! until the largest and the least of these errors agree
//! ```
//!
//! Coefficients are rounded one at a time, lowest power first, each followed by a new fit of those that are still free:
//! the later ones make good what the earlier ones lost.
//!
//! All arithmetic is `f64` `+ - * /` on values that depend on nothing outside these files, so that the outcome is the
//! same on every machine.

/// Find `p` of `degree` on `[center - half_width, center + half_width]` with the least `max weight(r) · |target(r) - p(r)|`.
pub struct Problem<'a> {
    pub target: &'a dyn Fn(f64) -> f64,
    pub weight: &'a dyn Fn(f64) -> f64,
    pub center: f64,
    pub half_width: f64,
    pub degree: usize,
}

/// Intervals of the grid on which the error is looked at.
const GRID: usize = 8192;

/// How far the Chebyshev-like start is bent. From an unlucky start the exchange loses the alternation (a fixed
/// coefficient leaves a small extra wave near zero), so that several are tried and the best outcome is kept.
const BENDS: [f64; 8] = [0.2, -0.2, 0.1, -0.1, 0.3, -0.3, 0.05, -0.05];

/// Exchanges after which an attempt is given up.
const ROUNDS: usize = 100;

impl Problem<'_> {
    /// Coefficients, lowest power first, all exact in `f32`; the first are given.
    pub fn minimax_f32(&self, given: &[f32]) -> Vec<f32> {
        let mut fixed: Vec<f64> = given.iter().map(|&c| f64::from(c)).collect();
        for power in given.len()..=self.degree {
            let free = self.minimax(&fixed)[power];
            fixed.push(f64::from(free as f32));
        }
        fixed.into_iter().map(|c| c as f32).collect()
    }

    /// The largest weighted error on the grid.
    pub fn max_error(&self, coefficients: &[f32]) -> f64 {
        let coefficients: Vec<f64> = coefficients.iter().map(|&c| f64::from(c)).collect();
        self.max_error_of(&coefficients)
    }

    fn max_error_of(&self, coefficients: &[f64]) -> f64 {
        (0..GRID).map(|i| self.error(self.point(i), coefficients).abs()).fold(0.0, f64::max)
    }

    /// Midpoints, so that zero, where some weights vanish, is never sampled.
    fn point(&self, i: usize) -> f64 {
        self.center + self.half_width * ((2 * i + 1) as f64 / GRID as f64 - 1.0)
    }

    fn error(&self, r: f64, coefficients: &[f64]) -> f64 {
        (self.weight)(r) * ((self.target)(r) - horner(coefficients, r))
    }

    /// The best fit with the first coefficients fixed.
    fn minimax(&self, fixed: &[f64]) -> Vec<f64> {
        let attempts = BENDS.iter().map(|&bend| self.exchange(fixed, bend));
        let by_error = |a: &Vec<f64>, b: &Vec<f64>| self.max_error_of(a).total_cmp(&self.max_error_of(b));
        attempts.min_by(by_error).expect("there are several starts")
    }

    /// With `k` coefficients fixed, the error is `weight · r^k · ((target - fixed part) / r^k - rest)`: up to the sign of
    /// `r^k`, a Chebyshev problem for `rest`.
    fn exchange(&self, fixed: &[f64], bend: f64) -> Vec<f64> {
        let k = fixed.len();
        let points = self.degree + 2 - k;
        let parity = |r: f64| if k % 2 == 1 && r < 0.0 { -1.0 } else { 1.0 };
        let mut reference = self.start(points, bend);
        let mut coefficients = Vec::new();
        for _ in 0..ROUNDS {
            coefficients = self.level(fixed, &reference, parity);
            let extrema = self.extrema(&coefficients, points, parity);
            if extrema.len() < points {
                break;
            }
            reference = extrema.iter().map(|&(r, _)| r).collect();
            let largest = extrema.iter().map(|(_, error)| error.abs()).fold(0.0, f64::max);
            let least = extrema.iter().map(|(_, error)| error.abs()).fold(f64::MAX, f64::min);
            if largest <= least * (1.0 + 1e-6) {
                break;
            }
        }
        coefficients
    }

    /// Points spread like Chebyshev's, bent so that none is zero.
    fn start(&self, points: usize, bend: f64) -> Vec<f64> {
        let spread = |i: usize| {
            let s = 2.0 * i as f64 / (points - 1) as f64 - 1.0;
            let s = s + bend * (1.0 - s * s);
            self.center + self.half_width * 0.9999 * (1.5 * s - 0.5 * s * s * s)
        };
        (0..points).map(spread).collect()
    }

    /// Solves `rest(r) · r^k · weight ± parity · level = (target - fixed part) · weight` at the reference points.
    fn level(&self, fixed: &[f64], reference: &[f64], parity: impl Fn(f64) -> f64) -> Vec<f64> {
        let powers = fixed.len()..=self.degree;
        let row = |(i, &r): (usize, &f64)| {
            let weight = (self.weight)(r);
            let power = |j: usize| weight * (r / self.half_width).powi(j as i32);
            let mut row: Vec<f64> = powers.clone().map(power).collect();
            row.push(if i % 2 == 0 { parity(r) } else { -parity(r) });
            row.push(weight * ((self.target)(r) - horner(fixed, r)));
            row
        };
        let solution = solve(reference.iter().enumerate().map(row).collect());
        let free = powers.clone().zip(solution).map(|(j, c)| c / self.half_width.powi(j as i32));
        fixed.iter().copied().chain(free).collect()
    }

    /// Where the error is largest in each stretch of one sign, `(point, error)`; at most `points` of them.
    fn extrema(&self, coefficients: &[f64], points: usize, parity: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let mut extrema: Vec<(f64, f64)> = Vec::new();
        for r in (0..GRID).map(|i| self.point(i)) {
            let error = parity(r) * self.error(r, coefficients);
            match extrema.last_mut() {
                Some(last) if (last.1 > 0.0) == (error > 0.0) => {
                    if error.abs() > last.1.abs() {
                        *last = (r, error);
                    }
                }
                _ => extrema.push((r, error)),
            }
        }
        // Too many stretches come of rounding noise near zero. The least goes: at an end alone, inside together with its
        // smaller neighbour, which keeps the signs alternating.
        while extrema.len() > points {
            let size = |i: usize| extrema[i].1.abs();
            let last = extrema.len() - 1;
            let least = (0..=last).min_by(|&a, &b| size(a).total_cmp(&size(b))).expect("there are extrema");
            if least == 0 || least == last {
                extrema.remove(least);
            } else if extrema.len() == points + 1 {
                extrema.remove(if size(0) < size(last) { 0 } else { last });
            } else {
                let neighbour = if size(least - 1) < size(least + 1) { least - 1 } else { least + 1 };
                extrema.remove(least.max(neighbour));
                extrema.remove(least.min(neighbour));
            }
        }
        extrema
    }
}

fn horner(coefficients: &[f64], r: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, &c| sum * r + c)
}

/// Gaussian elimination with partial pivoting on an augmented matrix.
fn solve(mut matrix: Vec<Vec<f64>>) -> Vec<f64> {
    let n = matrix.len();
    for column in 0..n {
        let size = |row: usize| matrix[row][column].abs();
        let pivot = (column..n).max_by(|&a, &b| size(a).total_cmp(&size(b))).expect("a row is left");
        matrix.swap(column, pivot);
        let (above, below) = matrix.split_at_mut(column + 1);
        let pivot = &above[column];
        for row in below {
            let factor = row[column] / pivot[column];
            for (value, pivot) in row.iter_mut().zip(pivot).skip(column) {
                *value -= factor * pivot;
            }
        }
    }
    let mut x = vec![0.0; n];
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|j| matrix[row][j] * x[j]).sum();
        x[row] = (matrix[row][n] - known) / matrix[row][row];
    }
    x
}
