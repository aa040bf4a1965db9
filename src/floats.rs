//! Slices of floating-point numbers of either width, as samples come in.

use crate::simd::prefetch;
use crate::tuning::LINE;
use core::ops::Range;

/// A type of numbers that samples come in: `f32`, or `f64`, each rounded to the nearest `f32` where it is read.
///
/// ```
/// use fused_dense::{Float, SampleRows};
///
/// fn rows<F: Float>(values: &[F]) -> SampleRows<'_> {
///     SampleRows::dense(values)
/// }
/// let (single, double) = (rows(&[0.5_f32, 1.0]), rows(&[0.5_f64, 1.0]));
/// ```
pub trait Float: Copy + sealed::Kind {}

mod sealed {
    /// Says which of the types it is.
    pub trait Kind: Sized {
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn floats(floats: &[Self]) -> super::Floats<'_>;
    }
}

/// Doubles in one cache line.
const DOUBLES: usize = LINE * size_of::<f32>() / size_of::<f64>();

/// A slice of one of the types.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Floats<'a> {
    Single(&'a [f32]),
    Double(&'a [f64]),
}

impl Float for f32 {}

impl Float for f64 {}

impl sealed::Kind for f32 {
    #[allow(private_interfaces)]
    fn floats(floats: &[Self]) -> Floats<'_> {
        Floats::Single(floats)
    }
}

impl sealed::Kind for f64 {
    #[allow(private_interfaces)]
    fn floats(floats: &[Self]) -> Floats<'_> {
        Floats::Double(floats)
    }
}

impl Floats<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Single(floats) => floats.len(),
            Self::Double(floats) => floats.len(),
        }
    }

    #[inline]
    pub(crate) fn get(self, place: usize) -> f32 {
        match self {
            Self::Single(floats) => floats[place],
            Self::Double(floats) => floats[place] as f32,
        }
    }

    /// Copies a part that is as long as `to`.
    #[inline]
    pub(crate) fn copy(self, part: Range<usize>, to: &mut [f32]) {
        match self {
            Self::Single(floats) => to.copy_from_slice(&floats[part]),
            Self::Double(floats) => to.iter_mut().zip(&floats[part]).for_each(|(to, &float)| *to = float as f32),
        }
    }

    /// Asks for a part to be brought into the second-level cache.
    #[inline]
    pub(crate) fn prefetch(self, part: Range<usize>) {
        match self {
            Self::Single(floats) => floats[part].chunks(LINE).for_each(|line| prefetch(line.as_ptr())),
            Self::Double(floats) => floats[part].chunks(DOUBLES).for_each(|line| prefetch(line.as_ptr().cast())),
        }
    }
}

/// The largest magnitude, rounded to `f32`; not finite where a value is not.
pub(crate) fn largest_of_doubles(floats: &[f64]) -> f32 {
    let (mut largest, mut spoilt) = ([0.0_f64; DOUBLES], [0.0_f64; DOUBLES]);
    let (chunks, rest) = floats.as_chunks::<DOUBLES>();
    let mut take = |lane: usize, float: f64| {
        let magnitude = float.abs();
        // A comparison with NaN is false; the product with one, or with infinity, is NaN.
        largest[lane] = if magnitude > largest[lane] { magnitude } else { largest[lane] };
        spoilt[lane] += 0.0 * magnitude;
    };
    for chunk in chunks {
        for lane in 0..DOUBLES {
            take(lane, chunk[lane]);
        }
    }
    rest.iter().for_each(|&float| take(0, float));
    let largest = largest.into_iter().fold(0.0, f64::max);
    (largest + spoilt.iter().sum::<f64>()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_that_of_the_rounded_values() {
        for len in [0, 1, 7, 8, 9, 40] {
            let floats: Vec<f64> = (0..len).map(|i| f64::from(i) * if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
            let expected = floats.iter().map(|&float| (float as f32).abs()).fold(0.0, f32::max);
            assert_eq!(largest_of_doubles(&floats), expected);
            for place in 0..floats.len() {
                // The last rounds to infinity.
                for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.5e38] {
                    let mut spoilt = floats.clone();
                    spoilt[place] = bad;
                    assert!(!largest_of_doubles(&spoilt).is_finite(), "{bad} at {place} of {len}");
                }
            }
        }
    }
}
