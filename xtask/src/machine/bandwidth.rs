//! Read bandwidth: vector loads through a buffer of a given size, again and again.

use fused_dense::Isa;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long to look for the best stretch.
const DURATION: Duration = Duration::from_millis(60);

/// Bytes of one timed stretch, so that the clock does not count.
const MIN_STRETCH: usize = 4 << 20;

/// Elements in sixteen 512-bit vectors: what the kernels add in one step.
const STEP: usize = 256;

/// The highest rate at which `bytes` bytes are read, in 10⁹ bytes a second.
pub fn gbytes_per_second(isa: Isa, bytes: usize) -> f64 {
    let len = (bytes / size_of::<f32>()).next_multiple_of(STEP);
    let data = crate::bench::buffer::Buffer::filled(1.0, len);
    let read: unsafe fn(&[f32]) -> f32 = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::avx512,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::avx2,
        _ => portable,
    };
    let repeats = MIN_STRETCH.div_ceil(len * size_of::<f32>());
    let start = Instant::now();
    let mut best = Duration::MAX;
    // The first stretch only fills the caches.
    let mut stretches = 0;
    while stretches < 3 || start.elapsed() < DURATION {
        let stretch = Instant::now();
        for _ in 0..repeats {
            // SAFETY: the instruction set comes from the library, which detected it.
            black_box(unsafe { read(black_box(&data)) });
        }
        if stretches > 0 {
            best = best.min(stretch.elapsed());
        }
        stretches += 1;
    }
    (repeats * len * size_of::<f32>()) as f64 / best.as_nanos() as f64
}

/// Adds with 64 running sums, which vectorises on every target.
#[inline(always)]
fn portable(data: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 64];
    for chunk in data.chunks_exact(64) {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::STEP;
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_cvtss_f32, _mm256_loadu_ps, _mm256_setzero_ps, _mm512_add_ps, _mm512_cvtss_f32,
        _mm512_loadu_ps, _mm512_setzero_ps,
    };

    /// Sums of its own for each of the loads in flight.
    const SUMS: usize = 8;

    #[target_feature(enable = "avx512f")]
    pub fn avx512(data: &[f32]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for chunk in data.chunks_exact(STEP) {
            for (index, vector) in chunk.chunks_exact(16).enumerate() {
                // SAFETY: the chunk holds one vector.
                let vector = unsafe { _mm512_loadu_ps(vector.as_ptr()) };
                sums[index % SUMS] = _mm512_add_ps(sums[index % SUMS], vector);
            }
        }
        _mm512_cvtss_f32(sums.into_iter().reduce(|a, b| _mm512_add_ps(a, b)).unwrap_or(sums[0]))
    }

    #[target_feature(enable = "avx2")]
    pub fn avx2(data: &[f32]) -> f32 {
        let mut sums = [_mm256_setzero_ps(); SUMS];
        for chunk in data.chunks_exact(STEP) {
            for (index, vector) in chunk.chunks_exact(8).enumerate() {
                // SAFETY: the chunk holds one vector.
                let vector = unsafe { _mm256_loadu_ps(vector.as_ptr()) };
                sums[index % SUMS] = _mm256_add_ps(sums[index % SUMS], vector);
            }
        }
        _mm256_cvtss_f32(sums.into_iter().reduce(|a, b| _mm256_add_ps(a, b)).unwrap_or(sums[0]))
    }
}
