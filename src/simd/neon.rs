//! NEON: four lanes, and multiply-adds that take one factor from any lane of a register.

use super::{Arithmetic, MAX_LANES, Simd};
use core::arch::aarch64::*;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

/// Calls intrinsics on values alone.
macro_rules! safe {
    ($intrinsic:expr) => {{
        // SAFETY: the token proves that the CPU has NEON, the only feature that these intrinsics ask for.
        unsafe { $intrinsic }
    }};
}

impl Neon {
    /// The lower halves of both.
    #[inline(always)]
    fn low_halves(self, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        safe!(vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(x), vreinterpretq_f64_f32(y))))
    }

    /// The upper halves of both.
    #[inline(always)]
    fn high_halves(self, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        safe!(vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(x), vreinterpretq_f64_f32(y))))
    }

    /// Four lanes folded to two, of `x` in the lower half and of `y` in the upper.
    #[inline(always)]
    fn fold_to_pairs(self, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        self.add(self.low_halves(x, y), self.high_halves(x, y))
    }
}

impl Arithmetic for Neon {
    type V = float32x4_t;
    type Mask = uint32x4_t;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        safe!(vdupq_n_f32(x))
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vaddq_f32(a, b))
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vsubq_f32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vmulq_f32(a, b))
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vdivq_f32(a, b))
    }

    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        safe!(vsqrtq_f32(a))
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        safe!(vfmaq_f32(c, a, b))
    }

    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        safe!(vfmsq_f32(c, a, b))
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vmaxq_f32(a, b))
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vminq_f32(a, b))
    }

    #[inline(always)]
    fn neg_abs(self, a: float32x4_t) -> float32x4_t {
        safe!(vnegq_f32(vabsq_f32(a)))
    }

    #[inline(always)]
    fn copysign(self, magnitude: float32x4_t, sign: float32x4_t) -> float32x4_t {
        safe!(vbslq_f32(vdupq_n_u32(1 << 31), sign, magnitude))
    }

    #[inline(always)]
    fn lt(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        safe!(vcltq_f32(a, b))
    }

    #[inline(always)]
    fn select(self, mask: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vbslq_f32(mask, a, b))
    }

    #[inline(always)]
    fn shift_bits_left<const BITS: u32>(self, a: float32x4_t) -> float32x4_t {
        // A count known to the compiler becomes an immediate operand.
        safe!(vreinterpretq_f32_u32(vshlq_u32(vreinterpretq_u32_f32(a), vdupq_n_s32(BITS.cast_signed()))))
    }

    #[inline(always)]
    fn add_bits(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b))))
    }

    #[inline(always)]
    fn lookup(self, table: &[f32; 8], index: float32x4_t) -> float32x4_t {
        // SAFETY: the table is two readable vectors; the token proves the CPU.
        unsafe {
            let halves = [vld1q_f32(table.as_ptr()), vld1q_f32(table.as_ptr().add(4))];
            let table = uint8x16x2_t(vreinterpretq_u8_f32(halves[0]), vreinterpretq_u8_f32(halves[1]));
            // Entry j is bytes 4j, 4j + 1, 4j + 2, 4j + 3.
            let j = vandq_u32(vreinterpretq_u32_f32(index), vdupq_n_u32(7));
            let bytes = vmlaq_u32(vdupq_n_u32(0x0302_0100), j, vdupq_n_u32(0x0404_0404));
            vreinterpretq_f32_u8(vqtbl2q_u8(table, vreinterpretq_u8_u32(bytes)))
        }
    }
}

impl Simd for Neon {
    type Tail = usize;

    const LANES: usize = 4;
    const FACTORS: usize = 4;
    const HAS_MASKS: bool = false;
    const FOLDED: usize = 4;

    #[inline(always)]
    unsafe fn assume() -> Self {
        Self(())
    }

    #[inline(always)]
    fn tail(self, n: usize) -> usize {
        n
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { vld1q_f32(p) }
    }

    #[inline(always)]
    unsafe fn load_tail(self, p: *const f32, tail: usize) -> float32x4_t {
        let zero = self.splat(0.0);
        // SAFETY: the caller vouches for `tail` elements, the token for the CPU.
        unsafe {
            match tail {
                1 => vld1q_lane_f32::<0>(p, zero),
                2 => vcombine_f32(vld1_f32(p), vget_low_f32(zero)),
                3 => vld1q_lane_f32::<2>(p.add(2), vcombine_f32(vld1_f32(p), vget_low_f32(zero))),
                _ => vld1q_f32(p),
            }
        }
    }

    #[inline(always)]
    unsafe fn load_head(self, p: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0; Self::LANES];
        // SAFETY: the caller vouches for `n` elements, fewer than the lanes; the token for the CPU.
        unsafe {
            core::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr().add(Self::LANES - n), n);
            vld1q_f32(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: float32x4_t) {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { vst1q_f32(p, v) }
    }

    #[inline(always)]
    unsafe fn store_tail(self, p: *mut f32, v: float32x4_t, tail: usize) {
        // SAFETY: the caller vouches for `tail` elements, the token for the CPU.
        unsafe {
            match tail {
                1 => vst1q_lane_f32::<0>(p, v),
                2 => vst1_f32(p, vget_low_f32(v)),
                3 => {
                    vst1_f32(p, vget_low_f32(v));
                    vst1q_lane_f32::<2>(p.add(2), v);
                }
                _ => vst1q_f32(p, v),
            }
        }
    }

    #[inline(always)]
    fn mul_add_factor(self, factors: float32x4_t, index: usize, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        safe!(match index {
            0 => vfmaq_laneq_f32::<0>(c, b, factors),
            1 => vfmaq_laneq_f32::<1>(c, b, factors),
            2 => vfmaq_laneq_f32::<2>(c, b, factors),
            _ => vfmaq_laneq_f32::<3>(c, b, factors),
        })
    }

    #[inline(always)]
    fn max_bits(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        safe!(vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b))))
    }

    #[inline(always)]
    fn transpose(self, rows: [float32x4_t; MAX_LANES]) -> [float32x4_t; MAX_LANES] {
        let [r0, r1, r2, r3, ..] = rows;
        let (even01, odd01) = safe!((vtrn1q_f32(r0, r1), vtrn2q_f32(r0, r1)));
        let (even23, odd23) = safe!((vtrn1q_f32(r2, r3), vtrn2q_f32(r2, r3)));
        let mut columns = rows;
        columns[0] = self.low_halves(even01, even23);
        columns[1] = self.low_halves(odd01, odd23);
        columns[2] = self.high_halves(even01, even23);
        columns[3] = self.high_halves(odd01, odd23);
        columns
    }

    #[inline(always)]
    fn join<const H: usize>(self, sum: [float32x4_t; H]) -> float32x4_t {
        const { assert!(H == 4) };
        self.add(self.add(sum[0], sum[2]), self.add(sum[1], sum[3]))
    }

    #[inline(always)]
    fn fold_joined<const N: usize>(self, sums: [float32x4_t; N]) -> float32x4_t {
        const { assert!(N == Self::FOLDED) };
        let (ab, cd) = (self.fold_to_pairs(sums[0], sums[1]), self.fold_to_pairs(sums[2], sums[3]));
        safe!(vpaddq_f32(ab, cd))
    }

    #[inline(always)]
    fn folded_from(self, first: float32x4_t, second: float32x4_t, from: usize) -> float32x4_t {
        match from {
            0 => first,
            1 => safe!(vextq_f32::<1>(first, second)),
            2 => safe!(vextq_f32::<2>(first, second)),
            _ => safe!(vextq_f32::<3>(first, second)),
        }
    }
}
