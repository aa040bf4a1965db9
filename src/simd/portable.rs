//! Eight lanes of `wide`, for every target: the only instruction set of wasm, and the least of x86-64.
//!
//! `wide` chooses its instructions when the crate is compiled, so these functions never run inside a
//! `#[target_feature]` shim.

use super::{Arithmetic, MAX_LANES, Simd};
use wide::{f32x8, i32x8};

/// The token of the portable vectors, which every CPU of the build's target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Number of lanes, as the array lengths below need it.
const L: usize = Portable::LANES;

impl Arithmetic for Portable {
    type V = f32x8;
    type Mask = f32x8;

    #[inline(always)]
    fn splat(self, x: f32) -> f32x8 {
        f32x8::splat(x)
    }

    #[inline(always)]
    fn add(self, a: f32x8, b: f32x8) -> f32x8 {
        a + b
    }

    #[inline(always)]
    fn sub(self, a: f32x8, b: f32x8) -> f32x8 {
        a - b
    }

    #[inline(always)]
    fn mul(self, a: f32x8, b: f32x8) -> f32x8 {
        a * b
    }

    #[inline(always)]
    fn div(self, a: f32x8, b: f32x8) -> f32x8 {
        a / b
    }

    #[inline(always)]
    fn sqrt(self, a: f32x8) -> f32x8 {
        a.sqrt()
    }

    #[inline(always)]
    fn mul_add(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a.mul_neg_add(b, c)
    }

    #[inline(always)]
    fn max(self, a: f32x8, b: f32x8) -> f32x8 {
        // The maximum of `wide` prefers numbers to NaN.
        b.simd_lt(a).bitselect(a, b)
    }

    #[inline(always)]
    fn min(self, a: f32x8, b: f32x8) -> f32x8 {
        a.simd_lt(b).bitselect(a, b)
    }

    #[inline(always)]
    fn neg_abs(self, a: f32x8) -> f32x8 {
        a | f32x8::splat(-0.0)
    }

    #[inline(always)]
    fn copysign(self, magnitude: f32x8, sign: f32x8) -> f32x8 {
        f32x8::splat(-0.0).bitselect(sign, magnitude)
    }

    #[inline(always)]
    fn lt(self, a: f32x8, b: f32x8) -> f32x8 {
        a.simd_lt(b)
    }

    #[inline(always)]
    fn select(self, mask: f32x8, a: f32x8, b: f32x8) -> f32x8 {
        mask.bitselect(a, b)
    }

    #[inline(always)]
    fn shift_bits_left<const BITS: u32>(self, a: f32x8) -> f32x8 {
        bytemuck::cast(bytemuck::cast::<_, i32x8>(a) << BITS)
    }

    #[inline(always)]
    fn add_bits(self, a: f32x8, b: f32x8) -> f32x8 {
        bytemuck::cast(bytemuck::cast::<_, i32x8>(a) + bytemuck::cast::<_, i32x8>(b))
    }

    #[inline(always)]
    fn lookup(self, table: &[f32; 8], index: f32x8) -> f32x8 {
        f32x8::new(index.to_array().map(|index| table[index.to_bits() as usize % 8]))
    }
}

impl Simd for Portable {
    type Tail = usize;

    const LANES: usize = 8;
    const HAS_MASKS: bool = false;

    #[inline(always)]
    unsafe fn assume() -> Self {
        Self
    }

    #[inline(always)]
    fn tail(self, n: usize) -> usize {
        n
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> f32x8 {
        // SAFETY: the caller vouches for eight readable elements; an array of `f32` asks for no more than their
        // alignment.
        f32x8::new(unsafe { p.cast::<[f32; L]>().read() })
    }

    #[inline(always)]
    unsafe fn load_tail(self, p: *const f32, tail: usize) -> f32x8 {
        let mut lanes = [0.0; L];
        // SAFETY: the caller vouches for `tail ≤ L` readable elements.
        unsafe { core::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), tail) };
        f32x8::new(lanes)
    }

    #[inline(always)]
    unsafe fn load_head(self, p: *const f32, n: usize) -> f32x8 {
        let mut lanes = [0.0; L];
        // SAFETY: the caller vouches for `n < L` readable elements.
        unsafe { core::ptr::copy_nonoverlapping(p, lanes[L - n..].as_mut_ptr(), n) };
        f32x8::new(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: f32x8) {
        // SAFETY: the caller vouches for eight writable elements.
        unsafe { p.cast::<[f32; L]>().write(v.to_array()) }
    }

    #[inline(always)]
    unsafe fn store_tail(self, p: *mut f32, v: f32x8, tail: usize) {
        // SAFETY: the caller vouches for `tail ≤ L` writable elements.
        unsafe { core::ptr::copy_nonoverlapping(v.as_array().as_ptr(), p, tail) }
    }

    #[inline(always)]
    fn max_bits(self, a: f32x8, b: f32x8) -> f32x8 {
        bytemuck::cast(bytemuck::cast::<_, i32x8>(a).max(bytemuck::cast::<_, i32x8>(b)))
    }

    #[inline(always)]
    fn transpose(self, rows: [f32x8; MAX_LANES]) -> [f32x8; MAX_LANES] {
        let mut columns = rows;
        columns[..L].copy_from_slice(&f32x8::transpose(core::array::from_fn(|i| rows[i])));
        columns
    }

    #[inline(always)]
    fn join<const H: usize>(self, sum: [f32x8; H]) -> f32x8 {
        const { assert!(H == 2) };
        sum[0] + sum[1]
    }

    #[inline(always)]
    fn fold_joined<const N: usize>(self, sums: [f32x8; N]) -> f32x8 {
        const { assert!(N == Self::FOLDED) };
        // Transposed, each step of the tree is an addition of whole vectors.
        let mut lanes = f32x8::transpose(core::array::from_fn(|s| sums[s]));
        for half in [4, 2, 1] {
            for l in 0..half {
                lanes[l] += lanes[l + half];
            }
        }
        lanes[0]
    }

    #[inline(always)]
    fn folded_from(self, first: f32x8, second: f32x8, from: usize) -> f32x8 {
        let (first, second) = (first.to_array(), second.to_array());
        f32x8::from(core::array::from_fn::<f32, 8, _>(|lane| match from + lane {
            at if at < Self::FOLDED => first[at],
            at => second[at - Self::FOLDED],
        }))
    }
}
