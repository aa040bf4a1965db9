//! Which value of a number is the best, by times of layers: pure arithmetic.

use crate::bench::statistics::geometric_mean;

/// Values whose means differ by no more than this are alike: the one nearest to the present one is taken.
const ALIKE: f64 = 1.003;

/// The value that a number had better have.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its index among the values.
    pub value: usize,
    /// Time by the present value by time by this one, over the layers that it affects: geometric mean.
    pub worth: f64,
    /// The layers whose time it changes, by index.
    pub affected: Vec<usize>,
}

/// Chooses by the times of each layer, one for each value in ascending order; where two values give a layer the same route, it has
/// the same time by both.
///
/// A layer whose fastest route begins at a size, and another's that ends there, cross where the sum of what both lose is
/// least.
pub fn choose(layers: &[Vec<f64>], present: usize) -> Choice {
    let values = layers.first().map_or(0, Vec::len);
    // Time by a value by the layer's best time.
    let loss = |value: usize| {
        let of_layer = |times: &Vec<f64>| times[value] / times.iter().copied().fold(f64::INFINITY, f64::min);
        geometric_mean(layers.iter().map(of_layer)).unwrap_or(1.0)
    };
    let losses: Vec<f64> = (0..values).map(loss).collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let alike = (0..values).filter(|&value| losses[value] <= least * ALIKE);
    let value = alike.min_by_key(|&value| value.abs_diff(present)).unwrap_or(present);
    let affected: Vec<usize> = (0..layers.len()).filter(|&at| layers[at][value] != layers[at][present]).collect();
    let ratios = affected.iter().map(|&at| layers[at][present] / layers[at][value]);
    Choice { value, worth: geometric_mean(ratios).unwrap_or(1.0), affected }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layers of these sizes, by a route up to the threshold and by another one from it on.
    fn by_threshold(sizes: &[f64], thresholds: &[f64], below: fn(f64) -> f64, above: fn(f64) -> f64) -> Vec<Vec<f64>> {
        let time = |size: f64, threshold: f64| if size < threshold { below(size) } else { above(size) };
        sizes.iter().map(|&size| thresholds.iter().map(|&threshold| time(size, threshold)).collect()).collect()
    }

    const SIZES: [f64; 7] = [8.0, 16.0, 24.0, 40.0, 64.0, 100.0, 128.0];
    const THRESHOLDS: [f64; 6] = [8.0, 16.0, 32.0, 64.0, 128.0, f64::INFINITY];

    #[test]
    fn two_routes_cross_between_the_sizes_where_each_is_faster() {
        // In place a row costs 2, copied it costs 1 and 32 once: they cross at 32 rows.
        let times = by_threshold(&SIZES, &THRESHOLDS, |rows| 2.0 * rows, |rows| 32.0 + rows);
        for present in 0..THRESHOLDS.len() {
            let choice = choose(&times, present);
            assert_eq!(THRESHOLDS[choice.value], 32.0);
            assert_eq!(choice.affected.is_empty(), present == choice.value);
            assert!(choice.worth > 1.02 || present == choice.value);
        }
        let from_64 = choose(&times, 3);
        assert_eq!(from_64.affected, [3]);
        assert!((from_64.worth - 80.0 / 72.0).abs() < 1e-12);
    }

    #[test]
    fn a_route_that_is_always_slower_is_never_taken() {
        let times = by_threshold(&SIZES, &THRESHOLDS, |size| size, |size| 1.5 * size);
        assert_eq!(THRESHOLDS[choose(&times, 0).value], f64::INFINITY);
    }

    #[test]
    fn values_that_are_alike_leave_the_present_one() {
        let times = by_threshold(&SIZES, &THRESHOLDS, |size| size, |size| 1.001 * size);
        for present in 0..THRESHOLDS.len() {
            assert_eq!(choose(&times, present), Choice { value: present, worth: 1.0, affected: vec![] });
        }
    }

    #[test]
    fn layers_that_disagree_are_weighed_by_ratios() {
        // The second value makes one layer twice as fast and another a tenth slower, however long they take.
        let choice = choose(&[vec![2.0, 1.0], vec![1000.0, 1100.0], vec![5.0, 5.0]], 0);
        assert_eq!((choice.value, choice.affected), (1, vec![0, 1]));
        assert!((choice.worth - (2.0_f64 / 1.1).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn without_layers_nothing_changes() {
        assert_eq!(choose(&[], 3), Choice { value: 3, worth: 1.0, affected: vec![] });
    }
}
