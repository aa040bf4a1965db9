//! Buffers that begin where a run wants them to, on a cache line or not, and not where the allocator happens to place them.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// `f32`s in one cache line.
const LINE: usize = 16;

/// Where buffers begin: so many elements behind the start of a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement(usize);

impl Placement {
    /// On a cache line.
    pub const LINE: Self = Self(0);
    /// 16 bytes past one, as large allocations of most allocators do.
    pub const ALLOCATOR: Self = Self(4);
    /// Every multiple of 16 bytes, to which allocators align.
    pub const ALL: [Self; 4] = [Self::LINE, Self::ALLOCATOR, Self(8), Self(12)];

    /// Makes something whose buffers begin there.
    pub fn of<R>(self, make: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(self);
        let made = make();
        CURRENT.set(before);
        made
    }
}

thread_local! {
    static CURRENT: Cell<Placement> = const { Cell::new(Placement::LINE) };
}

/// A fixed number of `f32`s that begin at the current placement.
pub struct Buffer {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// A buffer full of one value.
    pub fn filled(value: f32, len: usize) -> Self {
        let Placement(margin) = CURRENT.get();
        let storage = vec![value; len + LINE + margin];
        // Memory is at least aligned to its `f32`s, so that a line begins within the first sixteen.
        let start = storage.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE) + margin;
        Self { storage, start, len }
    }

    /// An output that nobody has written: all NaN, which no check lets through.
    pub fn unwritten(len: usize) -> Self {
        Self::filled(f32::NAN, len)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

impl FromIterator<f32> for Buffer {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        let values: Vec<f32> = values.into_iter().collect();
        let mut buffer = Self::filled(0.0, values.len());
        buffer.copy_from_slice(&values);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_where_they_are_told_to() {
        for len in [0, 1, 1000] {
            let past_line = |buffer: &Buffer| buffer.as_ptr() as usize % 64;
            let placed = Placement::ALLOCATOR.of(|| Buffer::filled(2.0, len));
            assert_eq!((past_line(&placed), &placed[..]), (16, &vec![2.0; len][..]));
            assert_eq!(past_line(&Buffer::unwritten(len)), 0);
        }
    }
}
