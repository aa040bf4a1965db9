//! The libraries under comparison, each behind the same two traits.

pub mod passes;

mod faer;
mod fused;
mod gemm;
mod matrixmultiply;
mod unfused;

pub use fused::Fused;

use crate::bench::run::PeerInfo;
use crate::bench::shape::Pass;
use crate::bench::workload::{Quantity, Workload};
use unfused::Unfused;

/// A library that can compute a layer.
pub trait Contender: Send + Sync {
    /// The name in tables.
    fn name(&self) -> &str;

    /// Its version, with what the library says of the instruction set that it uses.
    fn version(&self) -> &str;

    /// What a report says of it.
    fn info(&self) -> PeerInfo {
        PeerInfo { name: self.name().into(), version: self.version().into() }
    }

    /// Prepares one pass over these operands: what is done once for many calls is done here, outside the timing.
    ///
    /// With more than one thread, both this and the calls are made inside a rayon pool of that size.
    ///
    /// # Errors
    /// Where the library cannot do it.
    fn plan<'a>(&'a self, work: &'a Workload, pass: Pass, threads: usize) -> anyhow::Result<Box<dyn Routine + 'a>>;
}

/// One prepared pass.
pub trait Routine {
    /// Computes the pass: exactly the work that is timed.
    fn run(&mut self);

    /// The results of the last call: `a`, or `d_w`, `d_b` and `d_a_prev`.
    fn results(&self) -> anyhow::Result<Vec<Quantity>>;
}

/// The unfused baseline: what a Rust user would write today.
pub const BASELINE: &str = "matrixmultiply";

/// The libraries that the tool is built with, the baseline first.
pub fn embedded() -> Vec<Box<dyn Contender>> {
    let version = |name| crate::lockfile::version(name).unwrap_or_default();
    vec![
        Box::new(Unfused::baseline(BASELINE, version("matrixmultiply"), matrixmultiply::Sgemm)),
        Box::new(Unfused::new("faer", version("faer"), faer::Sgemm)),
        Box::new(Unfused::new("gemm", version("gemm"), gemm::Sgemm)),
    ]
}
