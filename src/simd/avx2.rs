//! AVX2 with FMA: eight lanes.

use super::{Arithmetic, MAX_LANES, Quads, Simd};
use core::arch::x86_64::*;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// The first lanes of a vector.
#[derive(Clone, Copy)]
pub(crate) struct Tail {
    mask: __m256i,
    count: usize,
}

/// Calls intrinsics on values alone.
macro_rules! safe {
    ($intrinsic:expr) => {{
        // SAFETY: the token proves that the CPU has AVX2 and FMA, the only features that these intrinsics ask for.
        unsafe { $intrinsic }
    }};
}

impl Avx2 {
    /// Stores the first `n` of four lanes, `n ≤ 4`.
    ///
    /// By pieces: a masked store takes 12 cycles on Zen 4, and these take 3 to 5.
    ///
    /// # Safety
    /// `n` elements from `p` must be writable.
    #[inline(always)]
    unsafe fn store_first(self, mut p: *mut f32, mut v: __m128, n: usize) {
        // SAFETY: the caller vouches for the memory, which may begin anywhere; every x86-64 has SSE2.
        unsafe {
            if n == 4 {
                return _mm_storeu_ps(p, v);
            }
            if n & 2 != 0 {
                _mm_storel_pd(p.cast(), _mm_castps_pd(v));
                (p, v) = (p.add(2), _mm_movehl_ps(v, v));
            }
            if n & 1 != 0 {
                _mm_store_ss(p, v);
            }
        }
    }

    /// Eight lanes folded to four, of `x` in the lower half and of `y` in the upper.
    #[inline(always)]
    fn add_halves(self, x: __m256, y: __m256) -> __m256 {
        safe!(_mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x, y), _mm256_permute2f128_ps::<0x31>(x, y)))
    }

    /// In each half, the upper two lanes added to the lower two, of `x` and then of `y`.
    #[inline(always)]
    fn add_pairs(self, x: __m256, y: __m256) -> __m256 {
        safe!({
            let (x, y) = (_mm256_castps_pd(x), _mm256_castps_pd(y));
            let (low, high) = (_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
            _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high))
        })
    }

    #[inline(always)]
    fn sign_bit(self) -> __m256 {
        self.splat(-0.0)
    }
}

impl Arithmetic for Avx2 {
    type V = __m256;
    type Mask = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        safe!(_mm256_set1_ps(x))
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_div_ps(a, b))
    }

    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        safe!(_mm256_sqrt_ps(a))
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        safe!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        safe!(_mm256_fnmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_min_ps(a, b))
    }

    #[inline(always)]
    fn neg_abs(self, a: __m256) -> __m256 {
        safe!(_mm256_or_ps(self.sign_bit(), a))
    }

    #[inline(always)]
    fn copysign(self, magnitude: __m256, sign: __m256) -> __m256 {
        let sign_bit = self.sign_bit();
        safe!(_mm256_or_ps(_mm256_and_ps(sign_bit, sign), _mm256_andnot_ps(sign_bit, magnitude)))
    }

    #[inline(always)]
    fn lt(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
    }

    #[inline(always)]
    fn select(self, mask: __m256, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_blendv_ps(b, a, mask))
    }

    #[inline(always)]
    fn shift_bits_left<const BITS: u32>(self, a: __m256) -> __m256 {
        // A count known to the compiler becomes an immediate operand.
        safe!(_mm256_castsi256_ps(_mm256_sll_epi32(_mm256_castps_si256(a), _mm_cvtsi32_si128(BITS.cast_signed()))))
    }

    #[inline(always)]
    fn add_bits(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))))
    }

    #[inline(always)]
    fn lookup(self, table: &[f32; 8], index: __m256) -> __m256 {
        // SAFETY: the table is one readable vector; the token proves the CPU.
        unsafe { _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr()), _mm256_castps_si256(index)) }
    }
}

impl Simd for Avx2 {
    type Tail = Tail;

    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn assume() -> Self {
        Self(())
    }

    #[inline(always)]
    fn tail(self, n: usize) -> Tail {
        let mask = safe!({
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
        });
        Tail { mask, count: n }
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_tail(self, p: *const f32, tail: Tail) -> __m256 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe { _mm256_maskload_ps(p, tail.mask) }
    }

    #[inline(always)]
    unsafe fn load_head(self, p: *const f32, n: usize) -> __m256 {
        let before = Self::LANES - n;
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(before as i32 - 1));
            _mm256_maskload_ps(p.wrapping_sub(before), mask)
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { _mm256_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn store_tail(self, p: *mut f32, v: __m256, tail: Tail) {
        let (low, high) = safe!((_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)));
        // SAFETY: the caller vouches for as many elements as the tail chooses.
        unsafe {
            match tail.count {
                Self::LANES => self.store(p, v),
                0..=4 => self.store_first(p, low, tail.count),
                _ => {
                    _mm_storeu_ps(p, low);
                    self.store_first(p.add(4), high, tail.count - 4);
                }
            }
        }
    }

    #[inline(always)]
    fn max_bits(self, a: __m256, b: __m256) -> __m256 {
        safe!(_mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))))
    }

    #[inline(always)]
    fn transpose(self, rows: [__m256; MAX_LANES]) -> [__m256; MAX_LANES] {
        // 4×4 transposes inside the halves of four rows each, then one of the halves.
        let mut halves = rows;
        for four in halves[..8].as_chunks_mut::<4>().0 {
            safe!({
                let (lo01, hi01) = (_mm256_unpacklo_ps(four[0], four[1]), _mm256_unpackhi_ps(four[0], four[1]));
                let (lo23, hi23) = (_mm256_unpacklo_ps(four[2], four[3]), _mm256_unpackhi_ps(four[2], four[3]));
                *four = [
                    _mm256_shuffle_ps::<0b01_00_01_00>(lo01, lo23),
                    _mm256_shuffle_ps::<0b11_10_11_10>(lo01, lo23),
                    _mm256_shuffle_ps::<0b01_00_01_00>(hi01, hi23),
                    _mm256_shuffle_ps::<0b11_10_11_10>(hi01, hi23),
                ];
            });
        }
        let mut columns = rows;
        for j in 0..4 {
            columns[j] = safe!(_mm256_permute2f128_ps::<0x20>(halves[j], halves[j + 4]));
            columns[j + 4] = safe!(_mm256_permute2f128_ps::<0x31>(halves[j], halves[j + 4]));
        }
        columns
    }

    #[inline(always)]
    fn join<const H: usize>(self, sum: [__m256; H]) -> __m256 {
        const { assert!(H == 2) };
        self.add(sum[0], sum[1])
    }

    #[inline(always)]
    fn fold_joined<const N: usize>(self, sums: [__m256; N]) -> __m256 {
        const { assert!(N == Self::FOLDED) };
        let abcd = self.add_pairs(self.add_halves(sums[0], sums[1]), self.add_halves(sums[2], sums[3]));
        let efgh = self.add_pairs(self.add_halves(sums[4], sums[5]), self.add_halves(sums[6], sums[7]));
        safe!({
            let odd = _mm256_shuffle_ps::<0b11_01_11_01>(abcd, efgh);
            let ones = _mm256_add_ps(_mm256_shuffle_ps::<0b10_00_10_00>(abcd, efgh), odd);
            let in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            _mm256_permutevar8x32_ps(ones, in_order)
        })
    }

    #[inline(always)]
    fn folded_from(self, first: __m256, second: __m256, from: usize) -> __m256 {
        let index = |lane: usize| ((from + lane) % Self::FOLDED) as i32;
        let is_second = |lane: usize| if from + lane < Self::FOLDED { 0 } else { -1 };
        safe!({
            let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(index);
            let places = _mm256_setr_epi32(a, b, c, d, e, f, g, h);
            let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(is_second);
            let seconds = _mm256_castsi256_ps(_mm256_setr_epi32(a, b, c, d, e, f, g, h));
            _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, places), _mm256_permutevar8x32_ps(second, places), seconds)
        })
    }
}

impl Quads for Avx2 {
    type Places = ();

    #[inline(always)]
    fn places(self) {}

    #[inline(always)]
    unsafe fn load_quads(self, (): (), [p, q, ..]: [*const f32; 4]) -> __m256 {
        // SAFETY: the caller vouches for the memory, the token for the CPU.
        unsafe { _mm256_set_m128(_mm_loadu_ps(q), _mm_loadu_ps(p)) }
    }

    #[inline(always)]
    unsafe fn load_quads_tail(self, [p, q, ..]: [*const f32; 4], tail: Tail) -> __m256 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe {
            let tail = _mm256_castsi256_si128(tail.mask);
            _mm256_set_m128(_mm_maskload_ps(q, tail), _mm_maskload_ps(p, tail))
        }
    }

    #[inline(always)]
    unsafe fn repeat_quad(self, p: *const f32, tail: Tail) -> __m256 {
        // SAFETY: the caller vouches for the masked memory, the token for the CPU.
        unsafe {
            let quad = _mm_maskload_ps(p, _mm256_castsi256_si128(tail.mask));
            _mm256_set_m128(quad, quad)
        }
    }

    #[inline(always)]
    unsafe fn store_quads(self, [p, q, ..]: [*mut f32; 4], v: __m256, tail: Tail) {
        let (low, high) = safe!((_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)));
        // SAFETY: the caller vouches for as many elements as the tail chooses, at most four.
        unsafe {
            self.store_first(p, low, tail.count);
            self.store_first(q, high, tail.count);
        }
    }

    #[inline(always)]
    fn spread(self, v: __m256, t: usize) -> __m256 {
        match t {
            0 => safe!(_mm256_permute_ps::<0b00_00_00_00>(v)),
            1 => safe!(_mm256_permute_ps::<0b01_01_01_01>(v)),
            2 => safe!(_mm256_permute_ps::<0b10_10_10_10>(v)),
            _ => safe!(_mm256_permute_ps::<0b11_11_11_11>(v)),
        }
    }
}
