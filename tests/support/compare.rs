//! Comparison to the bit.

use core::fmt::Display;

/// Whether two values are the same result: the same bits, any NaN standing for any other.
pub(crate) fn same_bits(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// Asserts equality to the bit; the message names the first difference.
#[track_caller]
pub(crate) fn assert_bits(what: impl Display, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let differs = |i: &usize| !same_bits(found[*i], expected[*i]);
    let mut differences = (0..found.len()).filter(differs);
    if let Some(i) = differences.next() {
        let (f, e) = (found[i], expected[i]);
        panic!(
            "{what}: element {i} of {}: found {f:e} ({:#010x}), expected {e:e} ({:#010x}); {} more differ",
            found.len(),
            f.to_bits(),
            e.to_bits(),
            differences.count(),
        );
    }
}
