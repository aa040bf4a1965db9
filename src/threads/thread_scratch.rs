//! Scratch memory cut into thread_scratch, one for each member of a crew.

use core::marker::PhantomData;

/// A slice cut every `piece_len` elements.
pub(super) struct ThreadScratch<'s> {
    start: *mut f32,
    piece_len: usize,
    count: usize,
    borrow: PhantomData<&'s mut [f32]>,
}

// SAFETY: a piece is handed to one thread at a time (`get`), and `f32` is `Send`.
unsafe impl Sync for ThreadScratch<'_> {}

impl<'s> ThreadScratch<'s> {
    pub(super) fn new(slice: &'s mut [f32], piece_len: usize) -> Self {
        let count = slice.len().checked_div(piece_len).unwrap_or(usize::MAX);
        Self { start: slice.as_mut_ptr(), piece_len, count, borrow: PhantomData }
    }

    /// Piece `index`.
    ///
    /// # Safety
    /// Nobody else holds this piece as long as it is held.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn get(&self, index: usize) -> &mut [f32] {
        assert!(index < self.count, "piece {index} of {}", self.count);
        // SAFETY: the piece lies inside the slice, which this borrows, and is apart from every other piece; the caller
        // vouches that it is not held twice.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(index * self.piece_len), self.piece_len) }
    }
}
