//! The memory that messages go from and to.

use crate::error::Error;
use core::ops::Range;
use core::ptr::NonNull;
use fused_dense::{Isa, add_block_sums};

/// Values that MPI reads and writes while requests are under way. Whoever looks at them names a range.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Owned; a pointer, because no reference to the whole may exist while MPI writes to a part.
    first: NonNull<f32>,
    len: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { first: NonNull::dangling(), len: 0 }
    }
}

impl Memory {
    /// At least so many values.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where memory cannot be had.
    pub(super) fn make_room(&mut self, len: usize) -> Result<(), Error> {
        if len <= self.len {
            return Ok(());
        }
        let mut values: Vec<f32> = Vec::new();
        values.try_reserve_exact(len).map_err(|_| Error::TooLarge { elements: len })?;
        values.resize(len, 0.0);
        let values = Box::leak(values.into_boxed_slice());
        *self = Self { len: values.len(), first: NonNull::from(values).cast() };
        Ok(())
    }

    /// Where a range begins.
    ///
    /// # Panics
    /// Where the range does not lie in the memory: an error of this crate.
    pub(super) fn at(&self, range: &Range<usize>) -> *mut f32 {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        self.first.as_ptr().wrapping_add(range.start)
    }

    /// The values of a range.
    ///
    /// # Safety
    /// No request under way writes to the range.
    pub(crate) unsafe fn values(&self, range: Range<usize>) -> &[f32] {
        // SAFETY: `at` checks that the range lies in the memory; nobody writes to it while `self` is borrowed: not MPI, as
        // the caller promises.
        unsafe { core::slice::from_raw_parts(self.at(&range), range.len()) }
    }

    /// The values of a range, to be changed.
    ///
    /// # Safety
    /// No request under way reads or writes the range.
    pub(crate) unsafe fn values_mut(&mut self, range: Range<usize>) -> &mut [f32] {
        // SAFETY: as above; nobody reads them either.
        unsafe { core::slice::from_raw_parts_mut(self.at(&range), range.len()) }
    }

    /// Adds the sums of a block to a total that begins at `to`, as [`add_block_sums`] does.
    ///
    /// # Safety
    /// No request under way writes to the sums, or reads or writes the total.
    ///
    /// # Errors
    /// As [`add_block_sums`].
    pub(crate) unsafe fn add(
        &mut self,
        rule: Adding,
        sums: Range<usize>,
        is_first: bool,
        to: usize,
    ) -> Result<(), Error> {
        let total = to..to + sums.len();
        assert!(sums.is_empty() || sums.end <= total.start || total.end <= sums.start, "{sums:?} overlaps {total:?}");
        // SAFETY: both ranges lie in the memory and are apart; MPI leaves them alone, as the caller promises.
        let (sums, total) = unsafe {
            let total = core::slice::from_raw_parts_mut(self.at(&total), total.len());
            (core::slice::from_raw_parts(self.at(&sums), sums.len()), total)
        };
        Ok(add_block_sums(rule.isa, rule.scale, sums, is_first, total)?)
    }

    /// Leaves the values allocated for ever.
    pub(super) fn leak(self) {
        core::mem::forget(self);
    }
}

/// How sums of blocks are added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adding {
    pub(crate) isa: Isa,
    /// By which sums become gradients.
    pub(crate) scale: f32,
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.len > 0 {
            let values = core::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.len);
            // SAFETY: `make_room` leaked this box; nobody else frees it, and `leak` is called where MPI still uses it.
            drop(unsafe { Box::from_raw(values) });
        }
    }
}
