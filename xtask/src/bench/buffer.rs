//! Buffers that begin on a cache line, so that a run does not depend on where the allocator happens to place them.

use std::ops::{Deref, DerefMut};

/// `f32`s in one cache line.
const LINE: usize = 16;

/// A fixed number of `f32`s that begin on a cache line.
pub struct Buffer {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// A buffer full of one value.
    pub fn filled(value: f32, len: usize) -> Self {
        let storage = vec![value; len + LINE];
        // Memory is at least aligned to its `f32`s, so that a line begins within the first sixteen.
        let start = storage.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
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
