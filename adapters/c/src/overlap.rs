//! Whether the operands of a call lie apart in memory.
//!
//! Rust's borrows keep a caller from writing where another operand is read; of a caller in C this has to be found out.

use crate::status::{Failure, fd_status::FD_ERROR_OVERLAP};
use core::fmt;

/// The most operands of a call: those of an update with Adam, and room to spare.
const MOST_OPERANDS: usize = 16;

/// How many parts are looked at before two matrices that no rule tells apart count as overlapping.
const MOST_PARTS: u32 = 1 << 16;

/// The places of a matrix: pieces of `len` bytes, at `count` steps along each of two axes. The first axis has the longer
/// steps. An axis of one element has step 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    start: usize,
    len: usize,
    axes: [Axis; 2],
}

#[derive(Clone, Copy, Debug)]
struct Axis {
    count: usize,
    step: usize,
}

impl Default for Axis {
    fn default() -> Self {
        Self { count: 1, step: 0 }
    }
}

impl Axis {
    /// From the first element to the last. No overflow: the matrix fits memory.
    fn extent(self) -> usize {
        (self.count - 1) * self.step
    }
}

impl Places {
    /// `len` elements one behind the other.
    pub(crate) fn array<T>(data: *const T, len: usize) -> Self {
        Self { start: data.addr(), len: len * size_of::<T>(), axes: Default::default() }
    }

    /// The elements of a matrix that fits memory.
    pub(crate) fn matrix(data: *const f32, shape: [usize; 2], strides: [usize; 2]) -> Self {
        let size = size_of::<f32>();
        if shape.contains(&0) {
            return Self::default();
        }
        let axis = |i: usize| match (shape[i], strides[i]) {
            (1, _) | (_, 0) => Axis::default(),
            (count, stride) => Axis { count, step: stride * size },
        };
        let (mut outer, mut inner) = (axis(0), axis(1));
        if outer.step < inner.step {
            (outer, inner) = (inner, outer);
        }
        // Elements without gaps are one piece, and so are rows of them.
        let mut len = size;
        for axis in [&mut inner, &mut outer] {
            if axis.step == len {
                len *= axis.count;
                *axis = Axis::default();
            }
        }
        Self { start: data.addr(), len, axes: [outer, inner] }
    }

    /// One behind the last byte.
    fn end(&self) -> usize {
        self.start + self.axes[0].extent() + self.axes[1].extent() + self.len
    }

    /// Whether any byte belongs to both.
    fn meets(&self, other: &Self) -> bool {
        self.ranges_meet(other) && !self.are_combs_apart(other) && self.parts_meet(other, &mut { MOST_PARTS })
    }

    fn ranges_meet(&self, other: &Self) -> bool {
        self.len > 0 && other.len > 0 && self.start < other.end() && other.start < self.end()
    }

    /// Whether the remainders of all addresses by a common divisor of all steps tell the two apart, as they do where columns
    /// of one matrix are shared out.
    fn are_combs_apart(&self, other: &Self) -> bool {
        let steps = self.axes.iter().chain(&other.axes).map(|axis| axis.step);
        let divisor = steps.fold(0, greatest_common_divisor);
        if divisor == 0 {
            return false;
        }
        // Both starts, and their distance going round from one to the other.
        let distance = (other.start % divisor + divisor - self.start % divisor) % divisor;
        distance >= self.len && divisor - distance >= other.len
    }

    /// Goes over the pieces that are near each other.
    fn parts_meet(&self, other: &Self, parts: &mut u32) -> bool {
        if !self.ranges_meet(other) {
            return false;
        }
        let (whole, divided) = match (self.axes[0].count, other.axes[0].count) {
            (1, 1) if self.axes[1].count == 1 && other.axes[1].count == 1 => return true,
            _ if self.extent() >= other.extent() => (other, self),
            _ => (self, other),
        };
        // The last axis may be the only one.
        let longest = usize::from(divided.axes[0].count == 1);
        let axis = divided.axes[longest];
        let mut part = *divided;
        part.axes[longest] = Axis::default();
        // The parts that end behind the other's start and begin before its end.
        let first = (whole.start + 1).saturating_sub(part.end()).div_ceil(axis.step.max(1));
        let last = (whole.end() - 1).saturating_sub(part.start) / axis.step.max(1);
        for i in first..=last.min(axis.count - 1) {
            match parts.checked_sub(1) {
                None => return true,
                Some(rest) => *parts = rest,
            }
            if (Self { start: divided.start + i * axis.step, ..part }).parts_meet(whole, parts) {
                return true;
            }
        }
        false
    }

    fn extent(&self) -> usize {
        self.axes[0].extent() + self.axes[1].extent()
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The operands of a call so far. Each that is added lies apart from all that the call writes to, and an output from all.
#[derive(Default)]
pub(crate) struct Operands {
    known: [Operand; MOST_OPERANDS],
    count: usize,
}

#[derive(Clone, Copy, Default)]
struct Operand {
    name: &'static str,
    places: Places,
    is_written: bool,
}

impl Operands {
    pub(crate) fn read(&mut self, name: &'static str, places: Places) -> Result<(), Failure> {
        self.add(Operand { name, places, is_written: false })
    }

    pub(crate) fn write(&mut self, name: &'static str, places: Places) -> Result<(), Failure> {
        self.add(Operand { name, places, is_written: true })
    }

    fn add(&mut self, operand: Operand) -> Result<(), Failure> {
        for other in &self.known[..self.count] {
            if (operand.is_written || other.is_written) && operand.places.meets(&other.places) {
                return Err(overlapping(&operand.name, &other.name));
            }
        }
        self.known[self.count] = operand;
        self.count += 1;
        Ok(())
    }
}

fn overlapping(name: &dyn fmt::Display, other: &dyn fmt::Display) -> Failure {
    Failure::of(name, FD_ERROR_OVERLAP, format!("expected memory apart from that of {other}, found an overlap"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn places(start: usize, shape: [usize; 2], strides: [usize; 2]) -> Places {
        Places::matrix(core::ptr::without_provenance(4 * start), shape, strides)
    }

    fn elements(start: usize, shape: [usize; 2], strides: [usize; 2]) -> BTreeSet<usize> {
        let row = |i: usize| (0..shape[1]).map(move |j| start + i * strides[0] + j * strides[1]);
        (0..shape[0]).flat_map(row).collect()
    }

    /// All small matrices in all places, against sets of their elements.
    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and much of it")]
    fn matrices_meet_where_their_elements_do() {
        let mut all = Vec::new();
        for shape in [[0, 2], [1, 1], [1, 3], [2, 2], [3, 2], [2, 3]] {
            for row_stride in 0..=5 {
                for col_stride in 0..=3 {
                    all.push((shape, [row_stride, col_stride]));
                }
            }
        }
        let (mut apart, mut together) = (0, 0);
        for &(shape, strides) in &all {
            for &(other_shape, other_strides) in &all {
                for start in [8, 9, 10, 13, 18] {
                    let found = places(10, shape, strides).meets(&places(start, other_shape, other_strides));
                    let (mine, other) = (elements(10, shape, strides), elements(start, other_shape, other_strides));
                    let expected = !mine.is_disjoint(&other);
                    assert_eq!(found, expected, "{shape:?} {strides:?}, {start}: {other_shape:?} {other_strides:?}");
                    if expected {
                        together += 1
                    } else {
                        apart += 1
                    };
                }
            }
        }
        assert!(apart > 1000 && together > 1000, "{apart} {together}");
    }

    #[test]
    fn columns_of_one_large_matrix_are_told_apart_at_once() {
        let (rows, wide) = (1 << 30, 1 << 10);
        let of = |column: usize, columns| places(4096 + column, [rows, columns], [wide, 1]);
        assert!(!of(0, 10).meets(&of(10, 1014)) && !of(10, 1014).meets(&of(0, 10)));
        assert!(of(0, 11).meets(&of(10, 1014)));
        // Across the end of a row.
        assert!(of(1000, 25).meets(&of(0, 10)));
        // Transposed: rows of one are columns of the other.
        assert!(!places(4096, [10, rows], [1, wide]).meets(&of(10, 5)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and much of it")]
    fn matrices_that_nothing_tells_apart_in_time_count_as_overlapping() {
        // Steps without a common divisor, over the same range.
        let (a, b) = (places(0, [1 << 20, 1 << 10], [1 << 12, 3]), places(1, [1 << 22, 1 << 9], [1021, 2]));
        assert!(a.meets(&b));
    }

    #[test]
    fn outputs_lie_apart_from_all_and_inputs_may_share() {
        let mut operands = Operands::default();
        let array = |start: usize| Places::array(core::ptr::without_provenance::<f32>(start), 4);
        operands.read("x", array(64)).expect("the first");
        operands.read("w", array(72)).expect("two inputs");
        operands.write("a", array(88)).expect("an output behind them");
        let failure = operands.write("z", array(60)).expect_err("over x");
        assert_eq!(failure.status, FD_ERROR_OVERLAP);
        assert_eq!(failure.text, "z: expected memory apart from that of x, found an overlap");
        assert!(operands.read("b", array(100)).is_err(), "over a");
        operands.write("none", Places::array(core::ptr::without_provenance::<f32>(64), 0)).expect("nothing");
    }
}
