//! AVX-512F: sixteen lanes, masked memory access at no extra cost.

use super::{Arithmetic, Halves, MAX_LANES, Quads, Simd, independent};
use core::arch::x86_64::*;

/// Proof that the CPU has AVX-512F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// Calls intrinsics on values alone.
macro_rules! safe {
    ($intrinsic:expr) => {{
        // SAFETY: the token proves that the CPU has AVX-512F, which these intrinsics ask for; those of 256 bits ask for FMA, which
        // AVX-512F includes.
        unsafe { $intrinsic }
    }};
}

/// The same vector, in a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn in_one_register(mut v: __m512) -> __m512 {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("/* {v} */", v = inout(zmm_reg) v, options(pure, nomem, nostack, preserves_flags)) };
    v
}

impl Avx512 {
    /// The upper half of `x` added to its lower one, then the same of `y`.
    #[inline(always)]
    fn add_halves(self, x: __m512, y: __m512) -> __m512 {
        safe!(_mm512_add_ps(_mm512_shuffle_f32x4::<0b01_00_01_00>(x, y), _mm512_shuffle_f32x4::<0b11_10_11_10>(x, y),))
    }

    /// The odd quarters of `x` added to its even ones, then the same of `y`.
    #[inline(always)]
    fn add_quarters(self, x: __m512, y: __m512) -> __m512 {
        safe!(_mm512_add_ps(_mm512_shuffle_f32x4::<0b10_00_10_00>(x, y), _mm512_shuffle_f32x4::<0b11_01_11_01>(x, y),))
    }

    #[inline(always)]
    fn sign_bit(self) -> __m512i {
        safe!(_mm512_set1_epi32(i32::MIN))
    }
}

impl Arithmetic for Avx512 {
    type V = __m512;
    type Mask = __mmask16;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        safe!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        safe!(_mm512_sqrt_ps(a))
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        safe!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        safe!(_mm512_fnmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn neg_abs(self, a: __m512) -> __m512 {
        safe!(_mm512_castsi512_ps(_mm512_or_si512(self.sign_bit(), _mm512_castps_si512(a))))
    }

    #[inline(always)]
    fn copysign(self, magnitude: __m512, sign: __m512) -> __m512 {
        // Ternary logic 0xCA: where the first operand has a one, the second's bit, else the third's.
        safe!(_mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xCA>(
            self.sign_bit(),
            _mm512_castps_si512(sign),
            _mm512_castps_si512(magnitude),
        )))
    }

    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        safe!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b))
    }

    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_mask_blend_ps(mask, b, a))
    }

    #[inline(always)]
    fn shift_bits_left<const BITS: u32>(self, a: __m512) -> __m512 {
        safe!(_mm512_castsi512_ps(_mm512_slli_epi32::<BITS>(_mm512_castps_si512(a))))
    }

    #[inline(always)]
    fn add_bits(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b))))
    }

    #[inline(always)]
    fn lookup(self, table: &[f32; 8], index: __m512) -> __m512 {
        // SAFETY: the table is half a readable vector; the token proves the CPU.
        unsafe {
            // Twice the table, since the permutation looks at four bits of the index.
            let half = _mm256_castps_pd(_mm256_loadu_ps(table.as_ptr()));
            let table = _mm512_castpd_ps(_mm512_broadcast_f64x4(half));
            _mm512_permutexvar_ps(_mm512_castps_si512(index), table)
        }
    }
}

impl Simd for Avx512 {
    type Tail = __mmask16;

    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn assume() -> Self {
        Self(())
    }

    #[inline(always)]
    fn tail(self, n: usize) -> __mmask16 {
        u16::MAX >> (Self::LANES - n)
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_tail(self, p: *const f32, tail: __mmask16) -> __m512 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm512_maskz_loadu_ps(tail, p) }
    }

    #[inline(always)]
    unsafe fn load_head(self, p: *const f32, n: usize) -> __m512 {
        let before = Self::LANES - n;
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm512_maskz_loadu_ps(u16::MAX << before, p.wrapping_sub(before)) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { _mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn store_tail(self, p: *mut f32, v: __m512, tail: __mmask16) {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm512_mask_storeu_ps(p, tail, v) }
    }

    #[inline(always)]
    fn max_bits(self, a: __m512, b: __m512) -> __m512 {
        safe!(_mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b))))
    }

    #[inline(always)]
    fn transpose(self, rows: [__m512; MAX_LANES]) -> [__m512; MAX_LANES] {
        // 4×4 transposes inside the quarters of four rows each, then one of the quarters.
        let mut quarters = rows;
        for four in quarters.as_chunks_mut::<4>().0 {
            safe!({
                let lo01 = _mm512_castps_pd(_mm512_unpacklo_ps(four[0], four[1]));
                let hi01 = _mm512_castps_pd(_mm512_unpackhi_ps(four[0], four[1]));
                let lo23 = _mm512_castps_pd(_mm512_unpacklo_ps(four[2], four[3]));
                let hi23 = _mm512_castps_pd(_mm512_unpackhi_ps(four[2], four[3]));
                *four = [
                    _mm512_castpd_ps(_mm512_unpacklo_pd(lo01, lo23)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(lo01, lo23)),
                    _mm512_castpd_ps(_mm512_unpacklo_pd(hi01, hi23)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(hi01, hi23)),
                ];
            });
        }
        let mut columns = rows;
        for j in 0..4 {
            safe!({
                let even01 = _mm512_shuffle_f32x4::<0x88>(quarters[j], quarters[j + 4]);
                let odd01 = _mm512_shuffle_f32x4::<0xDD>(quarters[j], quarters[j + 4]);
                let even23 = _mm512_shuffle_f32x4::<0x88>(quarters[j + 8], quarters[j + 12]);
                let odd23 = _mm512_shuffle_f32x4::<0xDD>(quarters[j + 8], quarters[j + 12]);
                columns[j] = _mm512_shuffle_f32x4::<0x88>(even01, even23);
                columns[j + 4] = _mm512_shuffle_f32x4::<0x88>(odd01, odd23);
                columns[j + 8] = _mm512_shuffle_f32x4::<0xDD>(even01, even23);
                columns[j + 12] = _mm512_shuffle_f32x4::<0xDD>(odd01, odd23);
            });
        }
        columns
    }

    #[inline(always)]
    fn join<const H: usize>(self, sum: [__m512; H]) -> __m512 {
        const { assert!(H == 1) };
        sum[0]
    }

    #[inline(always)]
    fn fold_joined<const N: usize>(self, sums: [__m512; N]) -> __m512 {
        const { assert!(N == Self::FOLDED) };
        let abcd = self.add_quarters(self.add_halves(sums[0], sums[1]), self.add_halves(sums[2], sums[3]));
        let efgh = self.add_quarters(self.add_halves(sums[4], sums[5]), self.add_halves(sums[6], sums[7]));
        safe!({
            let (abcd, efgh) = (_mm512_castps_pd(abcd), _mm512_castps_pd(efgh));
            let (low, high) = (_mm512_unpacklo_pd(abcd, efgh), _mm512_unpackhi_pd(abcd, efgh));
            let pairs = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
            let ones = _mm512_add_ps(pairs, _mm512_movehdup_ps(pairs));
            let in_order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
            _mm512_permutexvar_ps(in_order, ones)
        })
    }

    #[inline(always)]
    fn folded_from(self, first: __m512, second: __m512, from: usize) -> __m512 {
        // The second vector's lanes count from 16 on.
        let index =
            |lane: usize| if from + lane < Self::FOLDED { from + lane } else { from + lane + 16 - Self::FOLDED } as i32;
        safe!({
            let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(index);
            _mm512_permutex2var_ps(first, _mm512_setr_epi32(a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0), second)
        })
    }
}

impl Halves for Avx512 {
    #[inline(always)]
    fn in_one_register(self, v: __m512) -> __m512 {
        safe!(in_one_register(v))
    }

    #[inline(always)]
    fn mul_add_half(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        let [a, b, c] = [a, b, c].map(|v| safe!(_mm512_castps512_ps256(v)));
        safe!(_mm512_castps256_ps512(_mm256_fmadd_ps(a, b, c)))
    }

    #[inline(always)]
    unsafe fn load_half(self, p: *const f32, tail: __mmask16) -> __m512 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm512_castps256_ps512(_mm256_maskz_loadu_ps(tail as u8, p)) }
    }

    #[inline(always)]
    unsafe fn store_half(self, p: *mut f32, v: __m512, tail: __mmask16) {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm256_mask_storeu_ps(p, tail as u8, _mm512_castps512_ps256(v)) }
    }
}

impl Quads for Avx512 {
    type Places = [__mmask16; 3];

    #[inline(always)]
    fn places(self) -> [__mmask16; 3] {
        [0x00F0, 0x0F00, 0xF000].map(|lanes: usize| independent(lanes as *const f32) as usize as __mmask16)
    }

    #[inline(always)]
    unsafe fn load_quads(self, places: [__mmask16; 3], [p, q, r, s]: [*const f32; 4]) -> __m512 {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe {
            let v = _mm512_castps128_ps512(_mm_loadu_ps(p));
            let v = _mm512_mask_broadcast_f32x4(v, places[0], _mm_loadu_ps(q));
            let v = _mm512_mask_broadcast_f32x4(v, places[1], _mm_loadu_ps(r));
            _mm512_mask_broadcast_f32x4(v, places[2], _mm_loadu_ps(s))
        }
    }

    #[inline(always)]
    unsafe fn load_quads_tail(self, quads: [*const f32; 4], tail: __mmask16) -> __m512 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe {
            let [p, q, r, s] = quads.map(|quad| _mm_maskz_loadu_ps(tail as u8, quad));
            let v = _mm512_castps128_ps512(p);
            let v = _mm512_mask_broadcast_f32x4(v, 0x00F0, q);
            let v = _mm512_mask_broadcast_f32x4(v, 0x0F00, r);
            _mm512_mask_broadcast_f32x4(v, 0xF000, s)
        }
    }

    #[inline(always)]
    unsafe fn repeat_quad(self, p: *const f32, tail: __mmask16) -> __m512 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm512_broadcast_f32x4(_mm_maskz_loadu_ps(tail as u8, p)) }
    }

    #[inline(always)]
    unsafe fn store_quads(self, [p, q, r, s]: [*mut f32; 4], v: __m512, tail: __mmask16) {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe {
            _mm_mask_storeu_ps(p, tail as u8, _mm512_castps512_ps128(v));
            _mm_mask_storeu_ps(q, tail as u8, _mm512_extractf32x4_ps::<1>(v));
            _mm_mask_storeu_ps(r, tail as u8, _mm512_extractf32x4_ps::<2>(v));
            _mm_mask_storeu_ps(s, tail as u8, _mm512_extractf32x4_ps::<3>(v));
        }
    }

    #[inline(always)]
    fn spread(self, v: __m512, t: usize) -> __m512 {
        match t {
            0 => safe!(_mm512_permute_ps::<0b00_00_00_00>(v)),
            1 => safe!(_mm512_permute_ps::<0b01_01_01_01>(v)),
            2 => safe!(_mm512_permute_ps::<0b10_10_10_10>(v)),
            _ => safe!(_mm512_permute_ps::<0b11_11_11_11>(v)),
        }
    }
}
