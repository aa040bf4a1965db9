//! The types in which the right operand of a product can stand in memory.

use super::{Halves, Quads, Simd};

/// An element in memory. Products compute in `f32`: a load widens elements, and a store, by which operands are packed,
/// rounds them. A type whose conversion an instruction set has instructions for brings them into [`Simd`].
pub(crate) trait Element: Copy {
    /// The element nearest to a value.
    fn from_f32(value: f32) -> Self;

    /// Converts elements that lie side by side.
    ///
    /// # Safety
    /// `len` elements from `source` must be readable, as many from `to` writable; they do not overlap.
    #[inline(always)]
    unsafe fn convert(source: *const f32, to: *mut Self, len: usize) {
        for i in 0..len {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = Self::from_f32(*source.add(i)) };
        }
    }

    /// # Safety
    /// `LANES` elements from `p` must be readable.
    unsafe fn load<S: Simd>(simd: S, p: *const Self) -> S::V;
    /// Lanes outside the tail become zero; their memory is not touched.
    ///
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be readable.
    unsafe fn load_tail<S: Simd>(simd: S, p: *const Self, tail: S::Tail) -> S::V;
    /// The same, where the tail is no longer than half a vector; the other half may hold anything.
    ///
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be readable.
    #[cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]
    unsafe fn load_half<S: Halves>(simd: S, p: *const Self, tail: S::Tail) -> S::V;
    /// The first `n` elements from `p`, `n < LANES`, in the last lanes, behind zeros; other memory is not touched.
    ///
    /// # Safety
    /// As many elements from `p` must be readable.
    unsafe fn load_head<S: Simd>(simd: S, p: *const Self, n: usize) -> S::V;
    /// As many elements from `p` as `tail` chooses, at most four, the same in every quad.
    ///
    /// # Safety
    /// As many must be readable.
    unsafe fn repeat_quad<S: Quads>(simd: S, p: *const Self, tail: S::Tail) -> S::V;
    /// # Safety
    /// `LANES` elements from `p` must be writable.
    unsafe fn store<S: Simd>(simd: S, p: *mut Self, v: S::V);
    /// Memory outside the tail is not touched.
    ///
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be writable.
    unsafe fn store_tail<S: Simd>(simd: S, p: *mut Self, v: S::V, tail: S::Tail);
}

impl Element for f32 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn convert(source: *const f32, to: *mut Self, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { core::ptr::copy_nonoverlapping(source, to, len) };
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, p: *const Self) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load(p) }
    }

    #[inline(always)]
    unsafe fn load_tail<S: Simd>(simd: S, p: *const Self, tail: S::Tail) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_tail(p, tail) }
    }

    #[inline(always)]
    unsafe fn load_half<S: Halves>(simd: S, p: *const Self, tail: S::Tail) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_half(p, tail) }
    }

    #[inline(always)]
    unsafe fn load_head<S: Simd>(simd: S, p: *const Self, n: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_head(p, n) }
    }

    #[inline(always)]
    unsafe fn repeat_quad<S: Quads>(simd: S, p: *const Self, tail: S::Tail) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.repeat_quad(p, tail) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(simd: S, p: *mut Self, v: S::V) {
        // SAFETY: the caller's promise.
        unsafe { simd.store(p, v) }
    }

    #[inline(always)]
    unsafe fn store_tail<S: Simd>(simd: S, p: *mut Self, v: S::V, tail: S::Tail) {
        // SAFETY: the caller's promise.
        unsafe { simd.store_tail(p, v, tail) }
    }
}
