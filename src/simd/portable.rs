//! Eight lanes of `wide`, for every target: the only instruction set of aarch64 and wasm, and the least of x86-64.
//!
//! `wide` chooses its instructions when the crate is compiled, so these functions never run inside a
//! `#[target_feature]` shim.

use super::Simd;
use wide::{f32x8, i32x8};

/// Whether the portable `mul_add` rounds once on this target. Where it rounds twice, portable results agree with the
/// scalar reference only to an error bound.
pub(crate) const PORTABLE_IS_FUSED: bool = cfg!(any(
    all(any(target_arch = "x86_64", target_arch = "x86"), target_feature = "fma"),
    all(target_arch = "aarch64", target_feature = "neon"),
));

/// The token of the portable vectors, which every CPU of the build's target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// `2ⁿ` for integers `-126 ≤ n ≤ 127`, by writing the exponent.
#[inline(always)]
fn pow2(n: i32x8) -> f32x8 {
    bytemuck::cast((n + i32x8::splat(127)) << 23)
}

/// Number of lanes, as the array lengths below need it.
const L: usize = Portable::LANES;

impl Simd for Portable {
    type V = f32x8;
    type Mask = f32x8;
    type Tail = usize;

    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn assume() -> Self {
        Self
    }

    #[inline(always)]
    fn splat(self, x: f32) -> f32x8 {
        f32x8::splat(x)
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
    unsafe fn transpose_block(self, src: *const f32, src_stride: usize, dst: *mut f32, dst_stride: usize) {
        // SAFETY: the caller vouches for eight readable rows of eight.
        let rows: [f32x8; L] = core::array::from_fn(|i| unsafe { self.load(src.add(i * src_stride)) });
        for (j, column) in f32x8::transpose(rows).into_iter().enumerate() {
            // SAFETY: the caller vouches for eight writable rows of eight.
            unsafe { self.store(dst.add(j * dst_stride), column) };
        }
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
    fn mul_add(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a.mul_neg_add(b, c)
    }

    #[inline(always)]
    fn abs(self, a: f32x8) -> f32x8 {
        a.abs()
    }

    #[inline(always)]
    fn copysign(self, magnitude: f32x8, sign: f32x8) -> f32x8 {
        f32x8::splat(-0.0).bitselect(sign, magnitude)
    }

    #[inline(always)]
    fn round(self, a: f32x8) -> f32x8 {
        a.round_ties_even()
    }

    #[inline(always)]
    fn scale_by_pow2(self, a: f32x8, n: f32x8) -> f32x8 {
        // Adding 1.5·2²³ leaves the integer in the low bits. Two factors reach into the subnormal range; the first
        // product is normal and exact, the second rounds.
        const SHIFT: f32 = 12_582_912.0;
        let bits: i32x8 = bytemuck::cast(n + f32x8::splat(SHIFT));
        let n = bits - i32x8::splat(SHIFT.to_bits().cast_signed());
        let half = n >> 1;
        a * pow2(half) * pow2(n - half)
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
    fn fold<const H: usize>(self, v: [f32x8; H]) -> f32 {
        const { assert!(H == 2) };
        let mut lanes = (v[0] + v[1]).to_array();
        for half in [4, 2, 1] {
            for l in 0..half {
                lanes[l] += lanes[l + half];
            }
        }
        lanes[0]
    }
}
