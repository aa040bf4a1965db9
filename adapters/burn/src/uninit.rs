//! Memory for a result, which a kernel writes as a whole.

use crate::error::Error;
use core::mem::MaybeUninit;

/// Room for a number of elements.
pub(crate) struct Uninit {
    values: Vec<f32>,
    len: usize,
}

impl Uninit {
    /// # Errors
    /// [`Error::Memory`]
    pub(crate) fn new(rows: usize, cols: usize) -> Result<Self, Error> {
        let len = rows.checked_mul(cols).ok_or(Error::Memory { elements: None })?;
        let mut values = Vec::new();
        values.try_reserve_exact(len).map_err(|_| Error::Memory { elements: Some(len) })?;
        Ok(Self { values, len })
    }

    /// The places of the elements.
    pub(crate) fn room(&mut self) -> &mut [MaybeUninit<f32>] {
        &mut self.values.spare_capacity_mut()[..self.len]
    }

    /// The elements.
    ///
    /// # Safety
    /// All of [`room`](Self::room) must have been written.
    pub(crate) unsafe fn written(mut self) -> Vec<f32> {
        // SAFETY: `new` reserved so many, and the caller promises that they are written.
        unsafe { self.values.set_len(self.len) };
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        let error = |rows, cols| Uninit::new(rows, cols).map(drop).expect_err("no memory");
        assert_eq!(error(usize::MAX, 2), Error::Memory { elements: None });
        assert_eq!(error(usize::MAX, 1), Error::Memory { elements: Some(usize::MAX) });
        assert_eq!(Uninit::new(3, 4).expect("memory").room().len(), 12);
        assert_eq!(Uninit::new(usize::MAX, 0).expect("memory").room().len(), 0);
    }
}
