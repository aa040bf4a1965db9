//! Peak of fused multiply-adds: as many independent chains as hide the instruction's latency, all in registers.

use fused_dense::Isa;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Steps of one timed stretch; about 0.1 ms.
const STEPS: usize = 20_000;

/// How long to look for the best stretch.
const DURATION: Duration = Duration::from_millis(60);

/// The highest rate of multiply-adds, counted as two operations each, in 10⁹ a second.
pub fn gflops(isa: Isa) -> f64 {
    let (run, flops_per_step): (unsafe fn(usize) -> f32, usize) = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (x86::avx512, 2 * 16 * x86::CHAINS_512),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (x86::avx2, 2 * 8 * x86::CHAINS_256),
        _ => (portable, 2 * PORTABLE_LANES),
    };
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < DURATION {
        let stretch = Instant::now();
        // SAFETY: the instruction set comes from the library, which detected it.
        black_box(unsafe { run(black_box(STEPS)) });
        best = best.min(stretch.elapsed());
    }
    (STEPS * flops_per_step) as f64 / best.as_nanos() as f64
}

/// Ten vectors of four lanes.
const PORTABLE_LANES: usize = 40;

/// Multiply-adds of the build's own target, fused where it has such an instruction.
fn portable(steps: usize) -> f32 {
    let factor = black_box(1.000_001_f32);
    let mut chains = [1.0_f32; PORTABLE_LANES];
    for _ in 0..steps {
        for chain in &mut chains {
            *chain = if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                chain.mul_add(factor, -1e-6)
            } else {
                *chain * factor - 1e-6
            };
        }
    }
    chains.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_add_ps, _mm512_cvtss_f32,
        _mm512_fmadd_ps, _mm512_set1_ps,
    };

    /// More than latency × throughput of any core so far, and within the 32 registers.
    pub const CHAINS_512: usize = 20;
    /// Within the 16 registers.
    pub const CHAINS_256: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub fn avx512(steps: usize) -> f32 {
        let (factor, term) = (_mm512_set1_ps(1.000_001), _mm512_set1_ps(-1e-6));
        let mut chains = [_mm512_set1_ps(1.0); CHAINS_512];
        for _ in 0..steps {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, factor, term);
            }
        }
        _mm512_cvtss_f32(chains.into_iter().reduce(|a, b| _mm512_add_ps(a, b)).unwrap_or(term))
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(steps: usize) -> f32 {
        let (factor, term) = (_mm256_set1_ps(1.000_001), _mm256_set1_ps(-1e-6));
        let mut chains = [_mm256_set1_ps(1.0); CHAINS_256];
        for _ in 0..steps {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, factor, term);
            }
        }
        _mm256_cvtss_f32(chains.into_iter().reduce(|a, b| _mm256_add_ps(a, b)).unwrap_or(term))
    }
}
