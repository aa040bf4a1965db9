//! Cycles for an element, with the clock measured in the same run.

use super::subject::Subject;
use anstream::println;
use fused_dense::Isa;
use std::hint::black_box;
use std::time::Instant;

/// Elements of a call: 15 KB, so that arguments and results stay in the first-level cache.
const LEN: usize = 3840;
/// Calls of one timed stretch.
const CALLS: usize = 60;
/// Stretches, of which the fastest counts.
const STRETCHES: usize = 60;

/// Measures and prints every function on every instruction set.
///
/// # Errors
/// Where the library refuses.
pub fn main(subjects: &[Subject]) -> anyhow::Result<()> {
    let unit = if cfg!(target_arch = "x86_64") { "cycles" } else { "ns" };
    println!("{unit} an element, {LEN} elements in L1, one core; the clock at {:.2} GHz", 1.0 / clock_ns());
    for isa in Isa::available() {
        for &subject in subjects {
            println!("{isa:<10} {subject:<18} {:.3}", measure(subject, isa)?);
        }
    }
    Ok(())
}

fn measure(subject: Subject, isa: Isa) -> anyhow::Result<f64> {
    // A low-discrepancy sequence over the range where the functions are curved.
    let x: Vec<f32> = (0..LEN).map(|i| (i as f64 * 0.618_033_988_749_895).fract() as f32 * 16.0 - 8.0).collect();
    let x = Aligned::new(&x);
    let ones = Aligned::new(&[1.0; LEN]);
    let mut results = Aligned::new(&[0.0; LEN]);
    let before = clock_ns();
    let mut best = f64::MAX;
    for _ in 0..STRETCHES {
        let start = Instant::now();
        for _ in 0..CALLS {
            subject.run(isa, black_box(&x.0), &ones.0, &mut results.0)?;
        }
        black_box(&results.0);
        best = best.min(start.elapsed().as_nanos() as f64 / (CALLS * LEN) as f64);
    }
    Ok(best / before.min(clock_ns()))
}

/// Whole vectors in whole cache lines, as a layer's panels are.
#[repr(align(64))]
struct Aligned([f32; LEN]);

impl Aligned {
    fn new(values: &[f32]) -> Box<Self> {
        let mut aligned = Box::new(Self([0.0; LEN]));
        aligned.0.copy_from_slice(values);
        aligned
    }
}

/// Nanoseconds of one cycle: a chain of additions, each of which waits for the one before.
#[cfg(target_arch = "x86_64")]
pub fn clock_ns() -> f64 {
    const ADDITIONS: usize = 8;
    const ROUNDS: usize = 50_000;
    let mut best = f64::MAX;
    for _ in 0..8 {
        let start = Instant::now();
        let mut sum = 0_u64;
        for _ in 0..ROUNDS {
            // SAFETY: arithmetic in registers.
            unsafe {
                std::arch::asm!(
                    "add {0}, {1}", "add {0}, {1}", "add {0}, {1}", "add {0}, {1}",
                    "add {0}, {1}", "add {0}, {1}", "add {0}, {1}", "add {0}, {1}",
                    inout(reg) sum, in(reg) 3_u64, options(pure, nomem, nostack)
                );
            }
        }
        black_box(sum);
        best = best.min(start.elapsed().as_nanos() as f64 / (ROUNDS * ADDITIONS) as f64);
    }
    best
}

/// Elsewhere the figures are nanoseconds.
#[cfg(not(target_arch = "x86_64"))]
pub fn clock_ns() -> f64 {
    1.0
}
