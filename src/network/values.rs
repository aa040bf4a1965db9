//! Memory of a network's own: values that begin on a cache line.

use crate::workspace::Lines;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// So many values, zero at first, from the start of a cache line on, wherever the allocator puts them.
#[derive(Clone, Default)]
pub(super) struct Values {
    lines: Lines,
}

impl Values {
    /// `rows · cols` zeros; `None` where memory cannot be had.
    pub(super) fn zeros(rows: usize, cols: usize) -> Option<Self> {
        let len = rows.checked_mul(cols)?;
        let lines = Lines::new(len);
        (lines.len() == len).then_some(Self { lines })
    }
}

impl Deref for Values {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        self.lines.as_slice()
    }
}

impl DerefMut for Values {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        self.lines.as_mut_slice()
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
