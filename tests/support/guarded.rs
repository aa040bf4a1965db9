//! Memory between two inaccessible pages: a read or write beside it faults.

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// The end of the memory that lies flush against an inaccessible page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flush {
    First,
    Last,
}

/// `len` elements in a mapping of their own.
pub(crate) struct Guarded {
    mapping: NonNull<u8>,
    mapping_len: usize,
    first: NonNull<f32>,
    len: usize,
}

impl Guarded {
    pub(crate) fn new(len: usize, flush: Flush) -> Self {
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a page size");
        let bytes = len * size_of::<f32>();
        let inner_len = bytes.next_multiple_of(page);
        let mapping_len = inner_len + 2 * page;
        let (private, nowhere) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, core::ptr::null_mut());
        // SAFETY: a new anonymous mapping, which replaces none.
        let mapping = unsafe { libc::mmap(nowhere, mapping_len, libc::PROT_NONE, private, -1, 0) };
        assert_ne!(mapping, libc::MAP_FAILED, "mmap");
        let mapping = NonNull::new(mapping.cast::<u8>()).expect("mmap returns no null");
        // SAFETY: the page behind the first lies inside the mapping.
        let inner = unsafe { mapping.add(page) };
        if inner_len > 0 {
            // SAFETY: the pages between the first and the last of our own mapping.
            let failed =
                unsafe { libc::mprotect(inner.as_ptr().cast(), inner_len, libc::PROT_READ | libc::PROT_WRITE) };
            assert_eq!(failed, 0, "mprotect");
        }
        let skipped = match flush {
            Flush::First => 0,
            Flush::Last => inner_len - bytes,
        };
        // SAFETY: inside the accessible pages, or at their end where the memory is empty.
        let first = unsafe { inner.add(skipped) }.cast();
        Self { mapping, mapping_len, first, len }
    }

    /// Memory that holds these values.
    pub(crate) fn of(values: &[f32], flush: Flush) -> Self {
        let mut memory = Self::new(values.len(), flush);
        memory.copy_from_slice(values);
        memory
    }
}

impl Deref for Guarded {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `len` accessible elements, zero at first, borrowed with `self`.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: our own mapping, to which nothing points any more.
        let failed = unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapping_len) };
        debug_assert_eq!(failed, 0, "munmap");
    }
}
