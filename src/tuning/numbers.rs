//! The numbers of a row by name, so that a single one can be tried: which there are, and which values are safe.

use super::Tuning;
use core::fmt;
use core::ops::RangeInclusive;

/// A number of a [`Tuning`] row that does not exist or a value that it cannot have.
///
/// ```
/// use fused_dense::Tuning;
///
/// let error = Tuning::all()[0].with_number("page_stride", "-1").unwrap_err();
/// assert_eq!(error.to_string(), r#"page_stride: expected a whole number from 16 on, or max, found "-1""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TuningNumberError {
    /// The name that was asked for.
    pub name: String,
    /// The values that it can have, in words; of an unknown name all names.
    pub expected: String,
    /// The value that was asked for.
    pub found: String,
}

impl fmt::Display for TuningNumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {:?}", self.name, self.expected, self.found)
    }
}

impl core::error::Error for TuningNumberError {}

/// A type that numbers of a row have.
trait Number: Copy + PartialOrd {
    fn text(self) -> String;
    fn read(text: &str) -> Option<Self>;
    fn expected(range: &RangeInclusive<Self>) -> String;
}

impl Number for f64 {
    fn text(self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn expected(range: &RangeInclusive<Self>) -> String {
        format!("a number from {} to {}", range.start(), range.end())
    }
}

/// The word for a threshold that nothing reaches.
const MOST: &str = "max";

impl Number for usize {
    fn text(self) -> String {
        if self == Self::MAX { MOST.to_string() } else { self.to_string() }
    }

    fn read(text: &str) -> Option<Self> {
        if text == MOST { Some(Self::MAX) } else { text.parse().ok() }
    }

    fn expected(range: &RangeInclusive<Self>) -> String {
        match (range.start(), range.end()) {
            (low, &Self::MAX) => format!("a whole number from {low} on, or {MOST}"),
            (low, high) => format!("a whole number from {low} to {high}"),
        }
    }
}

impl Number for bool {
    fn text(self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn expected(_: &RangeInclusive<Self>) -> String {
        "true or false".to_string()
    }
}

/// Writes the calls that go by name. Each number has a range: outside of it a plan would divide by nothing, need more memory
/// than there is, or count beyond its type.
macro_rules! numbers {
    ($($name:ident: $range:expr,)*) => {
        impl Tuning {
            /// The numbers of the row with their values, as [`with_number`](Self::with_number) takes them.
            ///
            /// ```
            /// let row = &fused_dense::Tuning::all()[0];
            /// assert!(row.numbers().iter().any(|(name, value)| *name == "page_stride" && value == "1024"));
            /// ```
            #[must_use]
            pub fn numbers(&self) -> Vec<(&'static str, String)> {
                // All fields are named here, so that none is left out.
                let Self { name: _, isa: _, cpu: _, caches: _, $($name),* } = self;
                vec![$((stringify!($name), $name.text())),*]
            }

            /// The range of a number; `None` where there is none of that name.
            fn expected(&self, name: &str) -> Option<String> {
                match name {
                    $(stringify!($name) => Some(expected($range, self.$name)),)*
                    _ => None,
                }
            }

            /// Sets a number; `None` where it cannot have the value.
            fn set(&mut self, name: &str, value: &str) -> Option<()> {
                match name {
                    $(stringify!($name) => self.$name = read_within($range, value)?,)*
                    _ => return None,
                }
                Some(())
            }

            /// For tests: every number with its lowest and highest value.
            #[cfg(test)]
            pub(crate) fn extremes(&self) -> Vec<(&'static str, [String; 2])> {
                vec![$((stringify!($name), ends($range, self.$name))),*]
            }
        }
    };
}

fn read_within<T: Number>(range: RangeInclusive<T>, text: &str) -> Option<T> {
    T::read(text).filter(|value| range.contains(value))
}

/// The value only tells the range's type, here and below.
fn expected<T: Number>(range: RangeInclusive<T>, _: T) -> String {
    T::expected(&range)
}

#[cfg(test)]
fn ends<T: Number>(range: RangeInclusive<T>, _: T) -> [String; 2] {
    [range.start().text(), range.end().text()]
}

/// Cycles.
const COST: RangeInclusive<f64> = 0.0..=1e9;
/// Sizes that are only compared.
const ANY: RangeInclusive<usize> = 0..=usize::MAX;
/// Counts that are multiplied.
const FEW: RangeInclusive<usize> = 1..=1 << 12;

numbers! {
    multiply_add_cost: COST,
    transpose_cost: COST,
    copy_cost: COST,
    left_across_pages_cost: COST,
    left_across_long_rows_cost: COST,
    traffic_cost: COST,
    far_traffic_cost: COST,
    far_traffic_min_len: ANY,
    left_per_panel_cost: COST,
    activation_cost: COST,
    dz_cost: COST,
    add_up_cost: COST,
    update_cost: COST,
    single_call_max_len: ANY,
    split_min_vectors: FEW,
    split_min_len: ANY,
    few_columns_min_rows: ANY,
    few_columns_min_len: ANY,
    outer_terms_min_cols: ANY,
    outer_aligned_min_cols: ANY,
    row_aligned_min_cols: ANY,
    outer_writes_in_pairs: false..=true,
    outer_adds_in_pairs: false..=true,
    outer_pairs_pages_apart: false..=true,
    outer_adds_by_halves: false..=true,
    half_last_vectors: false..=true,
    direct_tile_vectors: 1..=usize::MAX,
    row_max_cols: 256..=usize::MAX,
    outer_update_rows: 1..=64,
    first_level_len: ANY,
    page_stride: 16..=usize::MAX,
    copy_min_rows: ANY,
    copy_far_pages_min_rows: ANY,
    copy_far_pages_min_len: ANY,
    copy_broken_min_len: ANY,
    copy_all_min_rows: ANY,
    copy_all_min_stride: ANY,
    // A sum of one term reads the right operand once.
    copy_min_terms: 2..=usize::MAX,
    // A vector more makes no other panels of so many columns.
    panel_aligned_min_cols: 256..=usize::MAX,
    narrow_panels_min_rows: ANY,
    narrow_panels_min_terms: ANY,
    pack_left_min_panels: 0..=1 << 12,
    pack_left_min_terms: 2..=usize::MAX,
    pack_left_pages_min_panels: 0..=1 << 12,
    pack_left_terms: 1..=usize::MAX,
    staging_min_rows: ANY,
    staging_min_stride: ANY,
    staging_plain_min_terms: ANY,
    staging_max_rows: 1..=usize::MAX,
    left_max_len: ANY,
    left_prefetch_min_len: ANY,
    along_rows_max_terms: ANY,
    along_rows_stride: 16..=usize::MAX,
    along_rows_far_min_len: ANY,
    along_rows_min_rows: ANY,
    along_rows_max_len: ANY,
    right_max_len: ANY,
    epilogue_max_len: ANY,
    // Any vector has as many lanes.
    dz_joined_max_cols: 0..=4,
    dz_joined_min_rows: 1..=usize::MAX,
    few_dot_rows: ANY,
    dot_aligned_max_rows: ANY,
    dot_aligned_min_terms: ANY,
    dot_aligned_tall_min_terms: ANY,
    dot_aligned_narrow_max_cols: ANY,
    dot_aligned_narrow_terms: ANY,
    short_dots_min_outputs: ANY,
    dot_columns_as_rows_max: ANY,
    dot_columns_as_rows_min_len: ANY,
    dot_rows_first_max_rows: ANY,
    dot_rows_first_min_len: ANY,
    dot_rows_first_max_len: ANY,
    dot_rows_first_max_right_len: ANY,
    dot_parts_min_terms: ANY,
    dot_parts_max_terms: ANY,
    dot_parts_min_len: ANY,
    dot_parts_rows_min_terms: ANY,
    dot_parts_rows_max_terms: ANY,
    chunk_max_blocks: 1..=16,
    chunk_max_len: ANY,
    update_min_len: ANY,
    whole_gradient_max_len: ANY,
    update_pages_max_terms: ANY,
    block_max_weights: ANY,
    block_sums_len: 0..=1 << 24,
    block_max_count: 0..=1 << 10,
    own_dz_max_len: 0..=1 << 24,
    seam_cost: COST,
    piece_min_cycles: COST,
    max_pieces: 1..=64,
    piece_tolerance: COST,
    worker_cost: COST,
    parallel_min_cycles: 0..=1 << 12,
    step_parameter_reads: COST,
}

impl Tuning {
    /// The same row with another value of one number: to measure whether it is faster. Results do not change. `max` is a
    /// threshold that nothing reaches.
    ///
    /// The [name](Self::name) tells the change, and is kept as long as the program runs.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense};
    ///
    /// let layer = Dense::new(1024, 1024, Activation::Sigmoid);
    /// let row = layer.tuning()?.with_number("copy_min_rows", "max").expect("a number of each row");
    /// assert!(row.name().ends_with(",copy_min_rows=max"));
    /// let changed = Dense::new(1024, 1024, Activation::Sigmoid).with_tuning(Box::leak(Box::new(row)));
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where there is no number of that name, or it cannot have the value.
    pub fn with_number(&self, name: &str, value: &str) -> Result<Self, TuningNumberError> {
        let mut row = self.clone();
        if row.set(name, value).is_none() {
            let names = || self.numbers().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let expected = self.expected(name).unwrap_or_else(|| format!("a number of the row: {}", names()));
            return Err(TuningNumberError { name: name.to_string(), expected, found: value.to_string() });
        }
        row.name = format!("{},{name}={value}", self.name).leak();
        Ok(row)
    }
}

#[cfg(all(test, not(miri), not(fused_dense_force_sharing)))]
impl Tuning {
    /// For tests of plans: the row with these numbers in the place of its own.
    pub(crate) fn with_numbers(&self, numbers: &[(&str, &str)]) -> &'static Self {
        let change =
            |row: Self, (name, value): &(&str, &str)| row.with_number(name, value).expect("a number of each row");
        Box::leak(Box::new(numbers.iter().fold(self.clone(), change)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_they_are_taken() {
        for row in Tuning::all() {
            for (name, value) in row.numbers() {
                let same = row.with_number(name, &value).expect("its own value");
                assert_eq!(Tuning { name: row.name, ..same }, *row, "{name}={value}");
            }
        }
        let changed = Tuning::all()[0].with_number("page_stride", "2048").expect("a value");
        assert_eq!((changed.page_stride, changed.name()), (2048, "avx512-zen4,page_stride=2048"));
    }

    #[test]
    fn values_outside_a_range_are_refused() {
        let row = &Tuning::all()[0];
        let extremes = row.extremes();
        assert_eq!(extremes.len(), row.numbers().len());
        for (name, values) in extremes {
            for value in values {
                assert!(row.with_number(name, &value).is_ok(), "{name}={value}");
            }
            for value in ["", "-1", "NaN", "inf", "1e10", "two", " 1"] {
                let error = row.with_number(name, value).expect_err(name);
                assert_eq!((error.name.as_str(), error.found.as_str()), (name, value));
                assert!(error.expected.contains("number") || error.expected == "true or false");
            }
        }
        let unknown = row.with_number("pages", "1").expect_err("no such number");
        assert!(unknown.expected.contains("page_stride"));
    }
}
