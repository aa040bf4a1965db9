//! Frameworks: programs in Python, each in a process of its own because it brings thread pools along.
//!
//! A program prepares a task, does it once and leaves the results in a file; from then on it is asked for some calls at
//! a time and answers how long they took by its own clock, so that the messages themselves do not count.

mod session;

use super::library::python;
use super::{Contender, Plan, Routine};
use crate::bench::shape::Shape;
use crate::bench::training::{RATE, Training};
use crate::bench::workload::{Quantity, Task, Workload};
use anyhow::{Context, ensure};
use fused_dense::Isa;
use session::Session;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way to use one framework.
struct Known {
    name: &'static str,
    package: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    what: &'static str,
}

const PYTORCH: &str = include_str!("pytorch_peer.py");

const KNOWN: [Known; 3] = [
    Known { name: "pytorch", package: "torch", program: PYTORCH, arguments: &["eager"], what: "eager" },
    Known {
        name: "pytorch-compiled",
        package: "torch",
        program: PYTORCH,
        arguments: &["compiled"],
        what: "torch.compile",
    },
    Known { name: "jax", package: "jax", program: include_str!("jax_peer.py"), arguments: &[], what: "jit" },
];

/// A framework that is installed.
pub struct Framework {
    known: &'static Known,
    version: String,
    /// The program that runs for a number of threads.
    running: Mutex<Option<(usize, Session)>>,
    /// Where operands and results are handed over.
    files: Files,
}

/// The frameworks that are installed, and those that are not, with the reason.
pub fn known() -> Vec<Result<Framework, (String, anyhow::Error)>> {
    KNOWN.iter().map(|known| Framework::find(known).map_err(|error| (known.name.to_string(), error))).collect()
}

impl Framework {
    fn find(known: &'static Known) -> anyhow::Result<Self> {
        const VERSION: &str = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))";
        let answer = Command::new(python()).args(["-c", VERSION, known.package]).output().context("no Python")?;
        ensure!(answer.status.success(), "Python's package {} is not installed", known.package);
        let number = String::from_utf8_lossy(&answer.stdout).trim().to_string();
        let version = format!("{number} ({}, own process)", known.what);
        Ok(Self { known, version, running: Mutex::new(None), files: Files::new(known.name) })
    }

    /// The program, started anew for another number of threads.
    fn session(&self, threads: usize) -> anyhow::Result<MutexGuard<'_, Option<(usize, Session)>>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_none_or(|(of, session)| *of != threads || session.has_ended()) {
            // The former one goes first.
            *running = None;
            let Known { program, arguments, .. } = self.known;
            *running = Some((threads, Session::start(&python(), program, arguments, threads)?));
        }
        Ok(running)
    }

    /// Has the program prepare a task; what it says against it.
    fn prepare(&self, task: Task<'_>, threads: usize) -> anyhow::Result<()> {
        let files = format!("{} {}", self.files.operands.display(), self.files.results.display());
        let request = match task {
            Task::Forward(work) | Task::Backward(work) => {
                let Workload { shape: Shape { batch, inputs, outputs }, x, w, b, a, d_a, scale } = work;
                self.files.write(&[&**x, &**w, &**b, &**a, &**d_a])?;
                format!("{} {files} {scale} {batch} {inputs} {outputs}", task.pass())
            }
            Task::Step(training) => {
                let Training { network, .. } = training;
                self.files.write(&training.operands().collect::<Vec<_>>())?;
                let widths: Vec<String> = network.widths.iter().map(usize::to_string).collect();
                format!("{} {files} {RATE} {} {}", task.pass(), network.batch, widths.join(" "))
            }
        };
        let mut session = self.session(threads)?;
        let (_, session) = session.as_mut().context("no program runs")?;
        let answer = session.ask(&request)?;
        ensure!(answer == "ready", "{answer}");
        Ok(())
    }
}

impl Contender for Framework {
    fn name(&self) -> &str {
        self.known.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn has_own_threads(&self) -> bool {
        true
    }

    fn is_held_to(&self, _isa: Isa) -> bool {
        // Variables of the environment tell it.
        true
    }

    fn is_slow_to_prepare(&self) -> bool {
        true
    }

    fn plan<'a>(&'a self, task: Task<'a>, threads: usize) -> anyhow::Result<Plan<'a>> {
        Ok(match self.prepare(task, threads) {
            Ok(()) => Plan::Ready(Box::new(Remote { framework: self, task, threads })),
            Err(reason) => Plan::Absent(format!("{reason:#}")),
        })
    }
}

/// A task that the program has prepared.
struct Remote<'a> {
    framework: &'a Framework,
    task: Task<'a>,
    threads: usize,
}

impl Routine for Remote<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        self.time(1).map(drop)
    }

    fn time(&mut self, calls: u32) -> anyhow::Result<Duration> {
        let mut session = self.framework.session(self.threads)?;
        let (_, session) = session.as_mut().context("no program runs")?;
        let answer = session.ask(&format!("time {calls}"))?;
        let nanoseconds = answer.parse().with_context(|| answer.clone())?;
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        let layers = || self.task.network().layers().collect::<Vec<Shape>>();
        let lengths = match self.task {
            Task::Forward(work) => vec![("a", work.shape.batch * work.shape.outputs)],
            Task::Backward(Workload { shape: Shape { batch, inputs, outputs }, .. }) => {
                vec![("d_w", outputs * inputs), ("d_b", *outputs), ("d_a_prev", batch * inputs)]
            }
            Task::Step(_) => {
                let of_layer = |layer: Shape| [("w", layer.outputs * layer.inputs), ("b", layer.outputs)];
                layers().into_iter().flat_map(of_layer).collect()
            }
        };
        self.framework.files.read(&lengths)
    }
}

/// Files of raw `f32` in the machine's byte order, gone with their owner.
struct Files {
    operands: PathBuf,
    results: PathBuf,
}

impl Files {
    fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = |what: &str| std::env::temp_dir().join(format!("fused-dense-{unique}-{name}.{what}"));
        Self { operands: file("operands"), results: file("results") }
    }

    fn write(&self, operands: &[&[f32]]) -> anyhow::Result<()> {
        let bytes: Vec<u8> = operands.iter().copied().flatten().flat_map(|value| value.to_ne_bytes()).collect();
        write(&self.operands, &bytes)
    }

    fn read(&self, lengths: &[(&'static str, usize)]) -> anyhow::Result<Vec<Quantity>> {
        let bytes = std::fs::read(&self.results).context("no results")?;
        let (chunks, _) = bytes.as_chunks();
        let values: Vec<f32> = chunks.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
        let mut rest = &values[..];
        let mut quantities = Vec::new();
        for &(name, len) in lengths {
            let (taken, behind) = rest.split_at_checked(len).with_context(|| format!("{name} is too short"))?;
            quantities.push(Quantity::new(name, taken));
            rest = behind;
        }
        ensure!(rest.is_empty(), "{} results too many", rest.len());
        Ok(quantities)
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

impl Drop for Files {
    fn drop(&mut self) {
        // They may never have been written.
        let _ = std::fs::remove_file(&self.operands);
        let _ = std::fs::remove_file(&self.results);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_cut_to_their_lengths() {
        let files = Files::new("test-of-files");
        let bytes: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|value| value.to_ne_bytes()).collect();
        write(&files.results, &bytes).unwrap();
        let quantities = files.read(&[("d_w", 2), ("d_b", 1)]).unwrap();
        assert_eq!((&quantities[0].values[..], &quantities[1].values[..]), (&[1.0, 2.0][..], &[3.0][..]));
        assert!(files.read(&[("d_w", 2)]).is_err());
        assert!(files.read(&[("d_w", 4)]).is_err());
    }
}
