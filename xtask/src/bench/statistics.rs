//! Medians, their spread and confidence, and geometric means.

use serde::{Deserialize, Serialize};

/// The middle of a sample, its spread, and how far the middle is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
    /// Bounds of the median with 95 % confidence, whatever the distribution: order statistics.
    pub low: f64,
    pub high: f64,
    pub count: usize,
}

impl Spread {
    /// # Panics
    /// If there is nothing to describe.
    pub fn of(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "no sample to describe");
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        // The number of values below the true median is binomial, with a standard deviation of √n/2.
        let outside = ((count as f64 - 1.96 * (count as f64).sqrt()) / 2.0).floor().max(0.0) as usize;
        Self {
            lower_quartile: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper_quartile: quantile(&sorted, 0.75),
            low: sorted[outside],
            high: sorted[count - 1 - outside],
            count,
        }
    }

    /// Half the width of the confidence interval, as a share of the median.
    pub fn error(&self) -> f64 {
        (self.high - self.low) / (2.0 * self.median)
    }
}

/// The middle value.
///
/// # Panics
/// If there is none.
pub fn median(values: &[f64]) -> f64 {
    Spread::of(values).median
}

/// Linear interpolation between the neighbours in a sorted sample.
pub fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let place = fraction * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The geometric mean, which treats twice as fast and half as fast alike; `None` of nothing.
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut logarithms, mut count) = (0.0, 0_u32);
    for value in values {
        logarithms += value.ln();
        count += 1;
    }
    (count > 0).then(|| (logarithms / f64::from(count)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_interpolate() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.lower_quartile, spread.median, spread.upper_quartile), (1.75, 2.5, 3.25));
        assert_eq!(Spread::of(&[7.0]).median, 7.0);
        assert_eq!(Spread::of(&[1.0, 1.0, 1.0, 100.0, 1.0]).upper_quartile, 1.0);
    }

    #[test]
    fn the_median_is_known_the_better_the_more_values_there_are() {
        let few: Vec<f64> = (1..=5).map(f64::from).collect();
        assert_eq!((Spread::of(&few).low, Spread::of(&few).high), (1.0, 5.0));
        // Of 100 values, the 41st and the 60th: 1.96 standard deviations of 5 on both sides of 50.
        let many: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((Spread::of(&many).low, Spread::of(&many).high), (41.0, 60.0));
        assert!(Spread::of(&many).error() < Spread::of(&few).error());
        assert_eq!(Spread::of(&[3.0; 9]).error(), 0.0);
    }

    #[test]
    fn outliers_do_not_move_the_interval() {
        let mut values = vec![1.0; 30];
        values.extend([50.0; 5]);
        assert_eq!(Spread::of(&values).error(), 0.0);
    }

    #[test]
    fn geometric_mean_balances_ratios() {
        assert!((geometric_mean([2.0, 0.5]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean([]), None);
    }
}
