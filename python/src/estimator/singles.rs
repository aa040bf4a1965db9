//! Samples of either floating-point type in single precision.

use crate::arrays::Strided;
use numpy::Element;
use std::ops::Range;

/// A type that samples come in.
pub(super) trait Sample: Element + Copy {
    fn to_single(self) -> f32;

    /// The same memory, where it is in single precision.
    fn singles(values: &[Self]) -> Option<&[f32]>;
}

impl Sample for f32 {
    fn to_single(self) -> f32 {
        self
    }

    fn singles(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }
}

impl Sample for f64 {
    fn to_single(self) -> f32 {
        self as f32
    }

    fn singles(_: &[Self]) -> Option<&[f32]> {
        None
    }
}

/// Some rows one behind the other: in their own memory where they stand like that, or copied.
pub(super) fn singles<'a, T: Sample>(x: Strided<'a, T>, rows: Range<usize>, copy: &'a mut Vec<f32>) -> &'a [f32] {
    let dense = x.dense(rows.clone());
    if let Some(values) = dense.and_then(T::singles) {
        return values;
    }
    copy.clear();
    match dense {
        Some(values) => copy.extend(values.iter().map(|value| value.to_single())),
        None => x.each(rows, |value| copy.push(value.to_single())),
    }
    copy
}
