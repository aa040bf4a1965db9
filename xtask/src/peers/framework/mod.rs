//! Frameworks: programs in Python, each in a process of its own because it brings thread pools along.
//!
//! A program prepares a task, does it once and leaves the results in a file; from then on it is asked for some calls at
//! a time and answers how long they took by its own clock, so that the messages themselves do not count.

mod session;

use super::library::python;
use super::{Contender, Plan, Routine};
use crate::bench::shape::Shape;
use crate::bench::training::Training;
use crate::bench::workload::{Quantity, Task, Workload};
use crate::workspace;
use anyhow::{Context, ensure};
use fused_dense::Isa;
use serde_json::{Value, json};
use session::Session;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way to use one framework.
struct Known {
    name: &'static str,
    package: &'static str,
    /// A file in [`FOLDER`].
    program: &'static str,
    /// Behind the number of threads.
    arguments: &'static [&'static str],
    what: &'static str,
}

/// The programs, from the workspace's folder.
const FOLDER: &str = "xtask/src/peers/framework";

const PYTORCH: Known =
    Known { name: "pytorch", package: "torch", program: "pytorch_peer.py", arguments: &["eager"], what: "eager" };

const KNOWN: [Known; 5] = [
    PYTORCH,
    Known { name: "pytorch-fused", arguments: &["fused"], what: "eager, its fused optimisers", ..PYTORCH },
    Known {
        name: "pytorch-compiled",
        arguments: &["compiled"],
        what: "torch.compile, its fused optimisers",
        ..PYTORCH
    },
    Known { name: "jax", package: "jax", program: "jax_peer.py", arguments: &[], what: "jit" },
    Known {
        name: "scikit-learn",
        package: "scikit-learn",
        program: "sklearn_peer.py",
        arguments: &[],
        what: "MLPClassifier, the loop inside fit by a clock in it",
    },
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
            let (program, count) = (workspace::root().join(FOLDER).join(program), threads.to_string());
            let mut command = vec![program.as_os_str(), OsStr::new(&count)];
            command.extend(arguments.iter().map(OsStr::new));
            *running = Some((threads, Session::start(&python(), &command, threads)?));
        }
        Ok(running)
    }

    /// Has the program prepare a task; what it says against it.
    fn prepare(&self, task: Task<'_>, threads: usize) -> anyhow::Result<()> {
        let request = match task {
            Task::Forward(work) | Task::Backward(work) => {
                let Workload { shape: Shape { batch, inputs, outputs }, x, w, b, a, d_a, scale } = work;
                self.files.write(&[&**x, &**w, &**b, &**a, &**d_a])?;
                json!({ "batch": batch, "widths": [inputs, outputs], "scale": scale })
            }
            Task::Step(training) | Task::Epoch(training) => self.hand_over(training)?,
        };
        self.ask_for(&task.pass().to_string(), request, threads)
    }

    /// Writes a training's operands; what a program has to know of them.
    fn hand_over(&self, training: &Training) -> anyhow::Result<Value> {
        self.files.write(&training.operands())?;
        let Training { network, recipe, rule, samples, steps_before, checked, .. } = training;
        Ok(json!({
            "batch": network.batch,
            "widths": network.widths,
            "samples": samples,
            "steps_before": steps_before,
            "checked": checked,
            "hidden": recipe.hidden(),
            "cost": recipe.cost(),
            "rule": rule,
            "state_arrays": rule.state_arrays(),
        }))
    }

    /// Has the program do something whose results it leaves in the file.
    fn ask_for(&self, task: &str, mut request: Value, threads: usize) -> anyhow::Result<()> {
        request["task"] = json!(task);
        request["operands"] = json!(self.files.operands);
        request["results"] = json!(self.files.results);
        let mut session = self.session(threads)?;
        let (_, session) = session.as_mut().context("no program runs")?;
        let answer = session.ask(&request.to_string())?;
        ensure!(answer == "ready", "{answer}");
        Ok(())
    }

    /// The cost of each step on a training's batches, gone through in their order again and again; PyTorch's program alone
    /// has that.
    ///
    /// # Errors
    /// Where the program fails.
    pub fn costs(&self, training: &Training, steps: usize) -> anyhow::Result<Vec<f32>> {
        let mut request = self.hand_over(training)?;
        request["steps"] = json!(steps);
        self.ask_for("costs", request, 1)?;
        let costs = self.files.read(&[("costs", steps)])?;
        Ok(costs.into_iter().flat_map(|costs| costs.values).collect())
    }
}

/// PyTorch as most people use it.
///
/// # Errors
/// Where it is not installed.
pub fn pytorch() -> anyhow::Result<Framework> {
    Framework::find(&KNOWN[0])
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

    /// Done when the task was prepared.
    fn rehearse(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn time(&mut self, calls: u32) -> anyhow::Result<Duration> {
        let mut session = self.framework.session(self.threads)?;
        let (_, session) = session.as_mut().context("no program runs")?;
        let answer = session.ask(&json!({ "task": "time", "calls": calls }).to_string())?;
        let nanoseconds = answer.parse().with_context(|| answer.clone())?;
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        let lengths = match self.task {
            Task::Forward(work) => vec![("a", work.shape.batch * work.shape.outputs)],
            Task::Backward(Workload { shape: Shape { batch, inputs, outputs }, .. }) => {
                vec![("d_w", outputs * inputs), ("d_b", *outputs), ("d_a_prev", batch * inputs)]
            }
            Task::Step(training) | Task::Epoch(training) => training.outcome(),
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

    fn write(&self, operands: &[impl AsRef<[f32]>]) -> anyhow::Result<()> {
        let values = operands.iter().flat_map(AsRef::as_ref);
        let bytes: Vec<u8> = values.flat_map(|value| value.to_ne_bytes()).collect();
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
