//! Nothing is timed before its results have been checked.

use super::workload::{Expected, Quantity};
use anyhow::{bail, ensure};

/// Checks our results in `f64`, and keeps them as the measure for the peers.
pub struct Judge {
    expected: Vec<Expected>,
    ours: Vec<Quantity>,
}

impl Judge {
    /// # Errors
    /// Where our own results are wrong.
    pub fn new(expected: Vec<Expected>, ours: Vec<Quantity>) -> anyhow::Result<Self> {
        check_points(&expected, &ours)?;
        Ok(Self { expected, ours })
    }

    /// Checks a peer's results: in `f64` where that is known, and against ours at every place.
    ///
    /// # Errors
    /// Where they are wrong.
    pub fn check(&self, found: &[Quantity]) -> anyhow::Result<()> {
        check_points(&self.expected, found)?;
        for (expected, (ours, found)) in self.expected.iter().zip(self.ours.iter().zip(found)) {
            let (len, of_ours) = (found.values.len(), ours.values.len());
            ensure!(len == of_ours, "{} has {len} elements, ours has {of_ours}", expected.name);
            // Both may be off, and places that were not looked at may have larger sums than those that were.
            let largest = expected.points.iter().map(|point| point.tolerance).fold(0.0, f64::max);
            for (at, (&ours, &found)) in ours.values.iter().zip(&found.values).enumerate() {
                let off = (f64::from(ours) - f64::from(found)).abs();
                ensure!(off <= 4.0 * largest, "{}[{at}] is {found}, ours is {ours}", expected.name);
            }
        }
        Ok(())
    }
}

fn check_points(expected: &[Expected], found: &[Quantity]) -> anyhow::Result<()> {
    ensure!(expected.len() == found.len(), "{} results instead of {}", found.len(), expected.len());
    for (expected, found) in expected.iter().zip(found) {
        ensure!(expected.name == found.name, "{} instead of {}", found.name, expected.name);
        for point in &expected.points {
            let Some(&value) = found.values.get(point.at) else {
                bail!("{} has only {} elements", found.name, found.values.len());
            };
            // A NaN is within no tolerance.
            ensure!(
                (f64::from(value) - point.value).abs() <= point.tolerance,
                "{}[{}] is {value} instead of {}, of which it may be off by {:.1e}",
                found.name,
                point.at,
                point.value,
                point.tolerance,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload::Point;

    fn expected() -> Vec<Expected> {
        vec![Expected { name: "a", points: vec![Point { at: 0, value: 0.5, tolerance: 1e-6 }] }]
    }

    #[test]
    fn wrong_missing_and_unwritten_results_are_found() {
        let judge = Judge::new(expected(), vec![Quantity::new("a", &[0.5, 0.25])]).unwrap();
        assert!(judge.check(&[Quantity::new("a", &[0.5, 0.25])]).is_ok());
        for wrong in [[0.6, 0.25], [0.5, 0.3], [f32::NAN, 0.25], [0.5, f32::NAN]] {
            assert!(judge.check(&[Quantity::new("a", &wrong)]).is_err(), "{wrong:?}");
        }
        assert!(judge.check(&[Quantity::new("b", &[0.5, 0.25])]).is_err());
        assert!(judge.check(&[]).is_err());
        assert!(Judge::new(expected(), vec![Quantity::new("a", &[])]).is_err());
    }
}
