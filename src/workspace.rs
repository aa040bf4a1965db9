//! Scratch memory: allocated once, aligned to cache lines, handed out in pieces.

use crate::plan::Plans;
use crate::tuning::{LINE, SHARED_SETS_STRIDE};

/// Elements from the start of a cache line on, zero at first.
///
/// An allocation aligned to lines would be zeroed by hand, and all of it touched; one of plain elements may come from the
/// system as pages that cost nothing until they are used.
#[derive(Default)]
pub(crate) struct Lines {
    /// As many as are asked for and, where there are any, enough more to begin on a line.
    elements: Box<[f32]>,
    /// Where the first line begins: `start + len ≤ elements.len()`.
    start: usize,
    len: usize,
}

impl Lines {
    /// `len` elements; none where the memory cannot be had.
    pub(crate) fn new(len: usize) -> Self {
        let room = len.checked_add(LINE - 1).filter(|_| len > 0);
        let elements = room.and_then(|room| bytemuck::allocation::try_zeroed_slice_box(room).ok());
        Self::on(elements.unwrap_or_default())
    }

    fn on(elements: Box<[f32]>) -> Self {
        let len = elements.len().saturating_sub(LINE - 1);
        let first = elements.as_ptr() as usize / size_of::<f32>();
        let start = if len == 0 { 0 } else { first.wrapping_neg() % LINE };
        Self { elements, start, len }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    // A step asks for a dozen slices a layer, and a small layer would wait for the checks of each.

    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: `start + len ≤ elements.len()`, as `on` has made them and nobody changes them.
        unsafe { self.elements.get_unchecked(self.start..self.start + self.len) }
    }

    #[inline(always)]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { self.elements.get_unchecked_mut(self.start..self.start + self.len) }
    }
}

impl Clone for Lines {
    fn clone(&self) -> Self {
        let mut copy = Self::on(self.elements.clone());
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

/// Scratch memory for the calls of one thread at a time.
///
/// A [`Dense`](crate::Dense) owns one of the size it needs; a workspace of your own serves several layers in turn
/// ([`Dense::forward_in`](crate::Dense::forward_in)), as long as it is as large as the largest asks for
/// ([`Dense::workspace_len`](crate::Dense::workspace_len)). Pages of it that no call has used take no memory, where the
/// system gives memory page by page. A clone is as large, and has nothing of the contents.
///
/// ```
/// use fused_dense::{Activation, Dense, Workspace};
///
/// let layer = Dense::new(1, 1, Activation::Identity); // may be shared by threads
/// let mut workspace = Workspace::new(layer.workspace_len()?);
/// let mut a = [0.0];
/// layer.forward_in(&mut workspace, &[2.0], &[3.0], &[1.0], &mut a)?;
/// assert_eq!(a, [7.0]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Default)]
pub struct Workspace {
    /// None where there is no memory. Apart, so that a layer takes its workspace out and puts it back by moving an address.
    memory: Option<Box<Memory>>,
}

struct Memory {
    lines: Lines,
    /// The plans of the last calls.
    plans: Plans,
}

impl Clone for Workspace {
    fn clone(&self) -> Self {
        Self::new(self.len())
    }
}

impl Workspace {
    /// A workspace of at least `len` elements (`f32`); empty where the memory cannot be had.
    #[must_use]
    pub fn new(len: usize) -> Self {
        // Memory that cannot be had leaves the workspace empty, which every call reports.
        let lines = padded(len).map(Lines::new).unwrap_or_default();
        Self { memory: Some(Box::new(Memory { lines, plans: Plans::default() })) }
    }

    /// Elements (`f32`) that it holds.
    pub fn len(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.lines.len())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory, and the plans; `None` where there is neither.
    #[inline(always)]
    pub(crate) fn parts_mut(&mut self) -> Option<(&mut [f32], &mut Plans)> {
        let Memory { lines, plans } = self.memory.as_deref_mut()?;
        Some((lines.as_mut_slice(), plans))
    }
}

impl core::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Workspace").field("len", &self.len()).finish()
    }
}

/// `len` rounded up so that a piece behind it begins on a cache line of its own; `None` on overflow.
pub(crate) fn padded(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(LINE)
}

/// A row stride for `len` elements: rows longer than a cache line begin on lines, and no multiple of 2 KiB apart, where they
/// would share a few sets of the caches and drive each other out. `None` on overflow.
pub(crate) fn padded_row_stride(len: usize) -> Option<usize> {
    let len = if len > LINE { padded(len)? } else { len };
    if len > 0 && len.is_multiple_of(SHARED_SETS_STRIDE) { len.checked_add(LINE) } else { Some(len) }
}
