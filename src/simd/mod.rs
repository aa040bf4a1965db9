//! Vectors: one trait, one file per instruction set. The only place with `core::arch` or `wide`.
//!
//! A [`Simd`] value is a zero-sized token. It can only be had from `detect` (or, inside a shim that the detection
//! guards, from `assume`), so that holding one proves that the CPU has the instructions; the arithmetic is therefore
//! safe, and only memory access is not.

// `build.rs` names the instruction sets that the build holds kernels for. Those of AVX-512 need AVX2's vectors, too: some of
// its kernels take vectors half as wide.
#[cfg(any(fused_dense_isa = "avx2", fused_dense_isa = "avx512"))]
mod avx2;
#[cfg(fused_dense_isa = "avx512")]
mod avx512;
pub(crate) mod cpu;
mod element;
mod float_mode;
mod group;
#[cfg(fused_dense_isa = "neon")]
mod neon;
#[cfg(fused_dense_isa = "portable")]
mod portable;

#[cfg(any(fused_dense_isa = "avx2", fused_dense_isa = "avx512"))]
pub(crate) use avx2::Avx2;
#[cfg(fused_dense_isa = "avx512")]
pub(crate) use avx512::Avx512;
pub(crate) use element::Element;
pub(crate) use float_mode::FloatMode;
pub(crate) use group::Group;
#[cfg(fused_dense_isa = "neon")]
pub(crate) use neon::Neon;
#[cfg(fused_dense_isa = "portable")]
pub(crate) use portable::Portable;

/// Whether the portable `mul_add` rounds once on this target. Where it rounds twice, portable results agree with the
/// scalar reference only to an error bound.
pub(crate) const PORTABLE_IS_FUSED: bool = cfg!(any(
    all(any(target_arch = "x86_64", target_arch = "x86"), target_feature = "fma"),
    all(target_arch = "aarch64", target_feature = "neon"),
));

// Miri runs neither prefetches nor assembly: under `cfg(miri)` the two functions below are plain code.

/// Asks for the cache line at `p` to be brought into the second-level cache; no access, so any address will do.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: part of every x86-64; a prefetch never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T1 }>(p.cast());
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = p;
}

/// The same pointer, in a register of its own: the compiler forgets that it was computed from another and so cannot
/// turn independent addresses into a chain of additions, one waiting for the other.
#[inline(always)]
pub(crate) fn independent(p: *const f32) -> *const f32 {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    {
        let mut p = p;
        // SAFETY: no instruction at all.
        unsafe { core::arch::asm!("/* {p} */", p = inout(reg) p, options(pure, readonly, nostack, preserves_flags)) };
        p
    }
    #[cfg(any(not(any(target_arch = "x86_64", target_arch = "aarch64")), miri))]
    p
}

/// Operations on a vector of `f32`, lane by lane.
///
/// Every one is exact or rounds once, as IEEE 754 says, so that equal sequences of operations give equal bits on all
/// implementations (see [`PORTABLE_IS_FUSED`] for the one exception).
pub(crate) trait Arithmetic: Copy {
    /// The vector.
    type V: Copy;
    /// One truth value per lane.
    type Mask: Copy;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `√a`
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a · b + c`, rounded once.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a · b`, rounded once.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of a number other than zero and `b`; NaN where `b` is.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller of a number other than zero and `b`; NaN where `b` is.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `-|a|`
    fn neg_abs(self, a: Self::V) -> Self::V;
    /// `|magnitude|` with the sign of `sign`.
    fn copysign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `a < b`, false where either is NaN.
    fn lt(self, a: Self::V, b: Self::V) -> Self::Mask;
    /// `mask ? a : b`
    fn select(self, mask: Self::Mask, a: Self::V, b: Self::V) -> Self::V;
    /// The bit patterns, shifted left as integers: brings an integer in the low bits into the exponent.
    fn shift_bits_left<const BITS: u32>(self, a: Self::V) -> Self::V;
    /// The bit patterns, added as integers modulo 2³².
    fn add_bits(self, a: Self::V, b: Self::V) -> Self::V;
    /// Entries of the table, chosen by the lowest three bits of each lane's bit pattern.
    fn lookup(self, table: &[f32; 8], index: Self::V) -> Self::V;
}

/// Most lanes of an instruction set.
pub(crate) const MAX_LANES: usize = 16;

/// An instruction set: vectors of `LANES` lanes, and their way from and to memory.
pub(crate) trait Simd: Arithmetic + Send + Sync + 'static {
    /// Chooses the first lanes for memory access.
    type Tail: Copy;

    /// Number of lanes.
    const LANES: usize;

    /// Factors that a vector holds for [`mul_add_factor`](Simd::mul_add_factor): `LANES`, or 1 where a multiply-add
    /// cannot choose among lanes.
    const FACTORS: usize = 1;

    /// Whether instructions mask memory access; without, a tail takes several of them.
    const HAS_MASKS: bool = true;

    /// Sums that [`fold`](Simd::fold) takes.
    const FOLDED: usize = 8;

    /// The token, without detection.
    ///
    /// # Safety
    /// The CPU must have the instruction set, and the caller's code must be compiled for it (inside a
    /// `#[target_feature]` shim), or else the vectors pass through memory between calls.
    unsafe fn assume() -> Self;

    /// The first `n` lanes, `1 ≤ n ≤ LANES`.
    fn tail(self, n: usize) -> Self::Tail;

    /// # Safety
    /// `LANES` elements from `p` must be readable.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Lanes outside the tail become zero; their memory is not touched.
    ///
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be readable.
    unsafe fn load_tail(self, p: *const f32, tail: Self::Tail) -> Self::V;
    /// The first `n` elements from `p`, `n < LANES`, in the last lanes, behind zeros; other memory is not touched.
    ///
    /// # Safety
    /// As many elements from `p` must be readable.
    unsafe fn load_head(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// `LANES` elements from `p` must be writable.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Memory outside the tail is not touched.
    ///
    /// # Safety
    /// As many elements from `p` as `tail` chooses must be writable.
    unsafe fn store_tail(self, p: *mut f32, v: Self::V, tail: Self::Tail);
    /// `f · b + c`, rounded once, where `f` is lane `index` of the factors. With `FACTORS = 1`, all lanes hold the one
    /// factor.
    #[inline(always)]
    fn mul_add_factor(self, factors: Self::V, index: usize, b: Self::V, c: Self::V) -> Self::V {
        debug_assert!(index < Self::FACTORS);
        self.mul_add(factors, b, c)
    }
    /// The larger of the bit patterns as signed integers: of two negative numbers the one of larger magnitude, behind which
    /// stand infinity and then every NaN.
    fn max_bits(self, a: Self::V, b: Self::V) -> Self::V;

    /// The first `LANES` rows' transpose: lane `j` of row `i` becomes lane `i` of row `j`.
    fn transpose(self, rows: [Self::V; MAX_LANES]) -> [Self::V; MAX_LANES];

    /// `FOLDED` sums of sixteen lanes, each held in `SUM_LANES / LANES` vectors, by the tree of the *lanes* order: lane
    /// `l` takes lane `l + 8`, then `l + 4`, `l + 2`, `l + 1`. The sums stand in the first lanes of the result.
    #[inline(always)]
    fn fold<const H: usize, const N: usize>(self, sums: [[Self::V; H]; N]) -> Self::V {
        let mut joined = [self.splat(0.0); N];
        for s in 0..N {
            joined[s] = self.join(sums[s]);
        }
        self.fold_joined(joined)
    }
    /// The first steps of [`fold`](Self::fold), which bring a sum's sixteen lanes into one vector.
    fn join<const H: usize>(self, sum: [Self::V; H]) -> Self::V;
    /// The further steps, of joined sums.
    fn fold_joined<const N: usize>(self, sums: [Self::V; N]) -> Self::V;
    /// Of two vectors' first `FOLDED` lanes, one behind the other, as many from lane `from < FOLDED` on. A constant after inlining.
    fn folded_from(self, first: Self::V, second: Self::V, from: usize) -> Self::V;
}

/// An instruction set that has operations on the first half of a vector's lanes alone, which some CPUs take half the time for.
/// The other half of their results may hold anything.
#[cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]
pub(crate) trait Halves: Simd {
    /// The same vector, of which the compiler forgets how it came about: left alone, it makes a vector of equal lanes and the half
    /// of it by an instruction each.
    fn in_one_register(self, v: Self::V) -> Self::V;
    /// `a · b + c`, rounded once.
    fn mul_add_half(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// [`load_tail`](Simd::load_tail), where the tail is no longer than half a vector.
    ///
    /// # Safety
    /// As there.
    unsafe fn load_half(self, p: *const f32, tail: Self::Tail) -> Self::V;
    /// [`store_tail`](Simd::store_tail), where the tail is no longer than half a vector.
    ///
    /// # Safety
    /// As there.
    unsafe fn store_half(self, p: *mut f32, v: Self::V, tail: Self::Tail);
}

/// An instruction set whose vectors hold several quads of lanes, for a row each.
#[cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]
pub(crate) trait Quads: Simd {
    /// Quads of a vector, at most four.
    const ROWS: usize = Self::LANES / 4;

    /// Masks that loads of quads take.
    type Places: Copy;

    /// The masks, in registers: the compiler takes a load by a mask that it knows for a shuffle, and merges it with others
    /// into dearer ones.
    fn places(self) -> Self::Places;

    /// Four elements from each of the first `ROWS` pointers.
    ///
    /// # Safety
    /// As many must be readable.
    unsafe fn load_quads(self, places: Self::Places, quads: [*const f32; 4]) -> Self::V;
    /// The same of as many elements as `tail` chooses, at most four; lanes outside it become zero.
    ///
    /// # Safety
    /// As many must be readable.
    unsafe fn load_quads_tail(self, quads: [*const f32; 4], tail: Self::Tail) -> Self::V;
    /// As many elements from `p` as `tail` chooses, at most four, the same in every quad.
    ///
    /// # Safety
    /// As many must be readable.
    unsafe fn repeat_quad(self, p: *const f32, tail: Self::Tail) -> Self::V;
    /// As many elements of each quad as `tail` chooses, at most four, in ascending order of the pointers.
    ///
    /// # Safety
    /// As many must be writable at each of the first `ROWS` pointers.
    unsafe fn store_quads(self, quads: [*mut f32; 4], v: Self::V, tail: Self::Tail);
    /// Lane `t` of each quad in all its lanes, `t < 4`.
    fn spread(self, v: Self::V, t: usize) -> Self::V;
}
