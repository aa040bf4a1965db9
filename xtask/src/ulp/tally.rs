//! The counts of a sweep.

use super::subject::ORACLE_ERROR;

/// Upper ends of the histogram's classes, in ULP; the last class has none.
pub const CLASSES: [f64; 9] = [0.1, 0.25, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Errors of one function on one instruction set.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Results that were compared with a number: all but those of NaN.
    pub count: u64,
    /// The largest errors, in ULP, with their arguments; largest first.
    pub worst: [(f64, f32); 3],
    /// The largest relative error of a normal result, in 2⁻²⁴.
    pub worst_relative: f64,
    /// The largest error of a normal result, in ULP.
    pub worst_normal: f64,
    pub histogram: [u64; CLASSES.len() + 1],
    /// Results other than the float nearest to the true value.
    pub not_nearest: u64,
    /// Of these and the others, those about which the oracle cannot be sure.
    pub undecided: u64,
    /// Neighbours in the wrong order.
    pub inversions: u64,
    /// The largest such step, in floats.
    pub largest_inversion: u32,
    /// Results for NaN that are not NaN, or NaN for a number.
    pub wrong_nan: u64,
}

impl Tally {
    /// Counts one result, whose error is in units of the true value or in the least unit, whichever is larger.
    #[inline]
    pub fn add(&mut self, x: f32, result: f32, exact: f64, least_unit: f64) {
        self.count += 1;
        if result.is_nan() {
            self.wrong_nan += 1;
            return;
        }
        let exponent = ((exact.to_bits() >> 52) & 0x7FF) as i64 - 1023;
        let ulp_exponent = (exponent - 23).max(-149);
        let per_ulp = f64::from_bits(((1023 - ulp_exponent) as u64) << 52);
        // An infinity has no distance from itself.
        let difference = if f64::from(result) == exact { 0.0 } else { (f64::from(result) - exact).abs() };
        let error = if least_unit * per_ulp > 1.0 { difference / least_unit } else { difference * per_ulp };
        if error > self.worst[2].0 {
            self.rank(error, x);
        }
        if exponent >= -126 {
            self.worst_normal = self.worst_normal.max(error);
            if error > 0.25 && least_unit == 0.0 {
                self.worst_relative = self.worst_relative.max(difference / exact.abs() * 16_777_216.0);
            }
        }
        let class = CLASSES.iter().position(|&end| error <= end).unwrap_or(CLASSES.len());
        self.histogram[class] += 1;
        self.not_nearest += u64::from(result != exact as f32);
        self.undecided += u64::from((error - 0.5).abs() <= ORACLE_ERROR);
    }

    fn rank(&mut self, error: f64, x: f32) {
        self.worst[2] = (error, x);
        self.worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    }

    /// Counts two neighbouring results, of which the second must not be below the first.
    #[inline]
    pub fn add_step(&mut self, lower: f32, upper: f32) {
        if upper < lower {
            self.inversions += 1;
            self.largest_inversion = self.largest_inversion.max(lower.to_bits().abs_diff(upper.to_bits()));
        }
    }

    /// Takes in what another thread counted.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for &(error, x) in &other.worst {
            if error > self.worst[2].0 {
                self.rank(error, x);
            }
        }
        self.worst_relative = self.worst_relative.max(other.worst_relative);
        self.worst_normal = self.worst_normal.max(other.worst_normal);
        self.histogram.iter_mut().zip(other.histogram).for_each(|(class, count)| *class += count);
        self.not_nearest += other.not_nearest;
        self.undecided += other.undecided;
        self.inversions += other.inversions;
        self.largest_inversion = self.largest_inversion.max(other.largest_inversion);
        self.wrong_nan += other.wrong_nan;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_units_of_the_true_value() {
        let mut tally = Tally::default();
        tally.add(1.0, 1.0, 1.0 + 0.75 * f64::from(f32::EPSILON), 0.0);
        assert_eq!(tally.worst[0], (0.75, 1.0));
        assert_eq!((tally.not_nearest, tally.histogram[6]), (1, 1));
        // The least subnormal for nothing is off by one unit of it.
        tally.add(2.0, f32::from_bits(1), 0.0, 0.0);
        assert_eq!(tally.worst[0], (1.0, 2.0));
        assert_eq!(tally.worst_normal, 0.75);
        tally.add(3.0, f32::NAN, 0.5, 0.0);
        assert_eq!((tally.wrong_nan, tally.count), (1, 3));
        tally.add(4.0, f32::INFINITY, f64::INFINITY, 0.0);
        tally.add(5.0, 0.0, 1e-9, 2e-9);
        assert_eq!(tally.worst.map(|(_, x)| x), [2.0, 1.0, 5.0]);
    }

    #[test]
    fn wrong_steps_are_inversions() {
        let mut tally = Tally::default();
        tally.add_step(1.0, 1.0);
        tally.add_step(1.0, 1.0 + f32::EPSILON);
        tally.add_step(1.0 + 2.0 * f32::EPSILON, 1.0);
        assert_eq!((tally.inversions, tally.largest_inversion), (1, 2));
    }
}
