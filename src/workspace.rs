//! Scratch memory: allocated once, aligned to cache lines, handed out in pieces.

use bytemuck::{Pod, Zeroable};

/// `f32`s in one cache line.
const LINE: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

// SAFETY: all zero bits are sixteen zeros.
unsafe impl Zeroable for Line {}
// SAFETY: sixteen `f32`s fill the 64 bytes, so there is no padding, and any bits are valid.
unsafe impl Pod for Line {}

/// Scratch memory for the calls of one thread at a time.
///
/// A [`Dense`](crate::Dense) owns one of the size it needs; a workspace of your own serves several layers in turn
/// ([`Dense::forward_in`](crate::Dense::forward_in)), as long as it is as large as the largest asks for
/// ([`Dense::workspace_len`](crate::Dense::workspace_len)).
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
#[derive(Clone, Default)]
pub struct Workspace {
    lines: Vec<Line>,
}

impl Workspace {
    /// A workspace of at least `len` elements (`f32`); empty where the memory cannot be had.
    #[must_use]
    pub fn new(len: usize) -> Self {
        // Memory that cannot be had leaves the workspace empty, which every call reports.
        Self { lines: bytemuck::allocation::try_zeroed_vec(len.div_ceil(LINE)).unwrap_or_default() }
    }

    /// Elements (`f32`) that it holds.
    pub fn len(&self) -> usize {
        self.lines.len() * LINE
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
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
pub(crate) fn apart(len: usize) -> Option<usize> {
    let len = if len > LINE { padded(len)? } else { len };
    if len > 0 && len.is_multiple_of(512) { len.checked_add(LINE) } else { Some(len) }
}
