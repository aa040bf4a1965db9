//! The libraries under comparison, each behind the same two traits.

pub mod install;
pub mod library;
pub mod passes;

mod cblas;
mod faer;
mod framework;
mod fused;
mod gemm;
mod matrixmultiply;
mod onednn;
mod unfused;

pub use framework::{Framework, pytorch};
pub use fused::{Fused, Sharing, network};

use crate::bench::shape::Weights;
use crate::bench::workload::{Quantity, Task};
use anyhow::bail;
use fused_dense::Isa;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unfused::Unfused;

/// A library that can compute a layer.
pub trait Contender: Send + Sync {
    /// The name in tables.
    fn name(&self) -> &str;

    /// Its version, with what the library says of the instruction set that it uses.
    fn version(&self) -> &str;

    /// Whether it uses nothing above this instruction set, as this program was built and started.
    fn is_held_to(&self, isa: Isa) -> bool;

    /// How it takes the weights of single layers.
    fn weights(&self) -> Weights {
        Weights::Plain
    }

    /// Whether it computes on threads of its own, which are not told where to run: its caller is not kept to one core
    /// then.
    fn has_own_threads(&self) -> bool {
        false
    }

    /// Whether preparing a task takes seconds.
    fn is_slow_to_prepare(&self) -> bool {
        false
    }

    /// Prepares a task: what is done once for many calls is done here, outside the timing.
    ///
    /// With more than one thread, both this and the calls are made inside a rayon pool of that size.
    ///
    /// # Errors
    /// Where the library fails.
    fn plan<'a>(&'a self, task: Task<'a>, threads: usize) -> anyhow::Result<Plan<'a>>;
}

/// A contender's way to do a task.
pub enum Plan<'a> {
    Ready(Box<dyn Routine + 'a>),
    /// It does not do that, for a reason to be told.
    Absent(String),
}

/// One prepared task.
pub trait Routine {
    /// Does it once: exactly the work that is timed.
    ///
    /// # Errors
    /// Where the library fails.
    fn run(&mut self) -> anyhow::Result<()>;

    /// Does what [`results`](Self::results) tell of: the first call, of an epoch its first few batches in their order.
    ///
    /// # Errors
    /// Where the library fails.
    fn rehearse(&mut self) -> anyhow::Result<()> {
        self.run()
    }

    /// Does it some times and tells how long that took.
    ///
    /// # Errors
    /// Where the library fails.
    fn time(&mut self, calls: u32) -> anyhow::Result<Duration> {
        let start = Instant::now();
        for _ in 0..calls {
            self.run()?;
        }
        Ok(start.elapsed())
    }

    /// The results behind the rehearsal: `a`; `d_w`, `d_b` and `d_a_prev`; or each layer's new `w` and `b` with the
    /// optimiser's arrays beside them.
    ///
    /// # Errors
    /// Where the library fails.
    fn results(&self) -> anyhow::Result<Vec<Quantity>>;
}

/// The unfused baseline: what a Rust user would write today.
pub const BASELINE: &str = "matrixmultiply";

/// The libraries that the tool is built with, the baseline first.
pub fn embedded() -> Vec<Box<dyn Contender>> {
    let found = Isa::available()[0];
    let built_in = if found == Isa::Avx512 && cfg!(not(feature = "avx512")) { Isa::Avx2 } else { found };
    let version = |name, isa| format!("{} ({isa} kernels)", crate::lockfile::version(name).unwrap_or_default());
    vec![
        Box::new(Unfused::baseline(BASELINE, version("matrixmultiply", built_in), matrixmultiply::Sgemm)),
        Box::new(Unfused::new("faer", version("faer", found), faer::Sgemm)),
        Box::new(Unfused::new("gemm", version("gemm", built_in), gemm::Sgemm)),
    ]
}

/// Whether an instruction set is the best that this machine has, so that nothing can be above it.
fn is_best(isa: Isa) -> bool {
    isa == Isa::available()[0]
}

/// The contenders that can be had now, and those that were looked for in vain.
pub struct Found {
    pub contenders: Vec<Box<dyn Contender>>,
    /// Names, with what kept them away.
    pub absent: Vec<(String, String)>,
}

impl Found {
    /// Checks that every name is a contender's.
    ///
    /// # Errors
    /// Where one is not: with the reason if it is known, and the names that can be had.
    pub fn ensure_has(&self, names: &[String]) -> anyhow::Result<()> {
        let is_here = |name: &str| self.contenders.iter().any(|contender| contender.name() == name);
        let Some(missing) = names.iter().find(|name| !is_here(name)) else { return Ok(()) };
        let known: Vec<&str> = self.contenders.iter().map(|contender| contender.name()).collect();
        let reason = self.absent.iter().find(|(name, _)| name == missing);
        let reason = reason.map_or(String::new(), |(_, reason)| format!(" ({reason})"));
        let advice = self.advice().map_or(String::new(), |advice| format!("; {advice}"));
        bail!("--peer {missing}: expected one of {}; found no such peer{reason}{advice}", known.join(", "))
    }

    /// The commands that bring what is absent and can be installed.
    pub fn advice(&self) -> Option<String> {
        let lacks =
            |names: &[&str]| self.absent.iter().any(|(absent, _)| names.iter().any(|name| absent.starts_with(name)));
        let with_frameworks = lacks(&["pytorch", "jax", "scikit-learn"]);
        match (lacks(&["openblas", "mkl", "onednn"]), with_frameworks) {
            (false, false) => None,
            (true, false) => Some("`cargo xtask peers install` brings OpenBLAS, MKL and oneDNN".into()),
            (_, true) => Some(
                "`cargo xtask peers install` brings OpenBLAS, MKL and oneDNN, with `--frameworks` PyTorch, JAX and \
                 scikit-learn too"
                    .into(),
            ),
        }
    }
}

/// The embedded contenders and those at the paths given: nothing is looked for.
///
/// # Errors
/// As [`find`].
pub fn built_in(paths: &[PathBuf]) -> anyhow::Result<Found> {
    let mut found = Found { contenders: embedded(), absent: Vec::new() };
    for path in paths {
        found.contenders.extend(at(path)?);
    }
    Ok(found)
}

/// All contenders: the embedded ones, known libraries, and those at the paths given.
///
/// # Errors
/// Where a path holds no library that can be used.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Found> {
    let mut found = built_in(&[])?;
    for (name, library) in cblas::known() {
        match library {
            Ok(library) => found.contenders.push(boxed(library)),
            Err(error) => found.absent.push((name, error.to_string())),
        }
    }
    for (name, library) in onednn::known() {
        match library {
            Ok(both) => found.contenders.extend(both.map(|one| Box::new(one) as Box<dyn Contender>)),
            Err(error) => found.absent.push((name, error.to_string())),
        }
    }
    for framework in framework::known() {
        match framework {
            Ok(framework) => found.contenders.push(Box::new(framework)),
            Err((name, error)) => found.absent.push((name, error.to_string())),
        }
    }
    for path in paths {
        found.contenders.extend(at(path)?);
    }
    Ok(found)
}

/// The contenders that one library makes, whatever it is.
fn at(path: &Path) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let as_blas = match cblas::at(path) {
        Ok(library) => return Ok(vec![boxed(library)]),
        Err(error) => error,
    };
    match onednn::at(path) {
        Ok(both) => Ok(both.into_iter().map(|one| Box::new(one) as Box<dyn Contender>).collect()),
        Err(error) => bail!("{}: as BLAS, {as_blas}; as oneDNN, {error}", path.display()),
    }
}

fn boxed(library: cblas::Cblas) -> Box<dyn Contender> {
    Box::new(Unfused::new(library.name, library.version, library.sgemm))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(absent: &[&str]) -> Found {
        let absent = absent.iter().map(|name| (name.to_string(), "not installed".to_string())).collect();
        Found { contenders: embedded(), absent }
    }

    fn refusal(found: &Found, name: &str) -> String {
        found.ensure_has(&["faer".into(), name.into()]).unwrap_err().to_string()
    }

    #[test]
    fn a_peer_that_is_not_here_is_refused_with_those_that_are() {
        found(&[]).ensure_has(&["faer".into(), "gemm".into()]).unwrap();
        let error = refusal(&built_in(&[]).unwrap(), "nosuch");
        assert_eq!(error, "--peer nosuch: expected one of matrixmultiply, faer, gemm; found no such peer");
    }

    #[test]
    fn who_misses_a_peer_is_told_how_to_install_it() {
        let error = refusal(&found(&["mkl", "blis"]), "mkl");
        assert!(
            error.ends_with("(not installed); `cargo xtask peers install` brings OpenBLAS, MKL and oneDNN"),
            "{error}"
        );
        assert!(found(&["jax"]).advice().unwrap().contains("--frameworks"));
        assert_eq!(found(&["blis"]).advice(), None, "nothing installs it");
    }
}
