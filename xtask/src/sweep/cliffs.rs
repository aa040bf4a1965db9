//! Where a time as a function of a size is not smooth.

use crate::bench::statistics::{Spread, median};

/// One place where it is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cliff {
    /// It would be faster to pad up to a larger size.
    SlowerThanLarger { value: usize, larger: usize, ratio: f64 },
    /// One more takes more than work explains.
    Jump { value: usize, ratio: f64, explained: f64 },
}

/// The tolerance: noise that the rounds share, and a call's fixed cost.
const TOLERANCE: f64 = 1.1;

/// Larger sizes that padding is compared with.
const PADDING: usize = 16;

/// Elements that kernels may take at a time: the widest vector.
const QUANTUM: usize = 16;

/// Times at the values 1, 2, 3 … of a size.
pub struct Cliffs {
    /// Value by value, round by round.
    rounds: Vec<Vec<f64>>,
    times: Vec<f64>,
}

impl Cliffs {
    pub fn new(rounds: Vec<Vec<f64>>) -> Self {
        let times = rounds.iter().map(|rounds| median(rounds)).collect();
        Self { rounds, times }
    }

    /// The median time of each value.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// All that is beyond the tolerance and beyond doubt.
    pub fn find(&self) -> Vec<Cliff> {
        (1..=self.times.len()).filter_map(|value| self.slower_than_larger(value).or_else(|| self.jump(value))).collect()
    }

    /// Compares with the fastest larger value.
    fn slower_than_larger(&self, value: usize) -> Option<Cliff> {
        let last = (value + PADDING).min(self.times.len());
        let larger = (value + 1..=last).min_by(|&a, &b| self.time(a).total_cmp(&self.time(b)))?;
        let ratio = self.ratio(value, larger);
        (ratio.low > TOLERANCE).then_some(Cliff::SlowerThanLarger { value, larger, ratio: ratio.median })
    }

    /// Compares with the value before: work may grow by the elements themselves, or by a whole vector of them.
    fn jump(&self, value: usize) -> Option<Cliff> {
        let before = value.checked_sub(1).filter(|before| *before > 0)?;
        let growth = |unit: usize| value.next_multiple_of(unit) as f64 / before.next_multiple_of(unit) as f64;
        let explained = growth(1).max(growth(QUANTUM));
        let ratio = self.ratio(value, before);
        (ratio.low > explained * TOLERANCE).then_some(Cliff::Jump { value, ratio: ratio.median, explained })
    }

    fn time(&self, value: usize) -> f64 {
        self.times[value - 1]
    }

    /// One value's time by another's in the same round.
    fn ratio(&self, value: usize, other: usize) -> Spread {
        let pairs = self.rounds[value - 1].iter().zip(&self.rounds[other - 1]);
        Spread::of(&pairs.map(|(time, other)| time / other).collect::<Vec<f64>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every round of each value takes the same, but for a disturbance of all values in one of nine rounds.
    fn found(time: impl Fn(usize) -> f64) -> Vec<Cliff> {
        let rounds = |value: usize| (0..27).map(|round| time(value) * if round % 9 == 0 { 3.0 } else { 1.0 }).collect();
        Cliffs::new((1..=64).map(rounds).collect()).find()
    }

    #[test]
    fn straight_lines_and_steps_of_whole_vectors_are_smooth() {
        assert_eq!(found(|value| 50.0 + 10.0 * value as f64), []);
        assert_eq!(found(|value| 10.0 * value as f64), []);
        assert_eq!(found(|value| value.div_ceil(16) as f64), []);
        assert_eq!(found(|_| 7.0), []);
    }

    #[test]
    fn a_value_that_is_slower_than_a_larger_one_is_found() {
        let slow = |value| if value == 45 { 200.0 } else { 100.0 };
        assert_eq!(found(slow), [Cliff::SlowerThanLarger { value: 45, larger: 46, ratio: 2.0 }]);
        // One per cent is within the tolerance.
        assert_eq!(found(|value| if value == 45 { 101.0 } else { 100.0 }), []);
    }

    #[test]
    fn a_jump_that_stays_is_found_once() {
        let jump = |value| if value >= 46 { 200.0 } else { 100.0 };
        let explained = 46.0 / 45.0;
        assert_eq!(found(jump), [Cliff::Jump { value: 46, ratio: 2.0, explained }]);
    }

    #[test]
    fn what_only_some_rounds_show_is_in_doubt() {
        let rounds =
            |value: usize| (0..27).map(|round| if value == 45 && round % 2 == 0 { 200.0 } else { 100.0 }).collect();
        assert_eq!(Cliffs::new((1..=64).map(rounds).collect()).find(), []);
    }
}
