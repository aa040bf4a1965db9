//! Frameworks: a Python program that answers arguments with results, in raw `f32`.

use super::Peer;
use crate::peers::library::python;
use anyhow::{Context, ensure};
use fused_dense::Activation;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Those that the program knows.
pub const FRAMEWORKS: [&str; 2] = ["PyTorch", "JAX"];

const PROGRAM: &str = include_str!("elementwise.py");

/// A running program.
pub struct Python {
    framework: &'static str,
    version: String,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    bytes: Vec<u8>,
}

impl Python {
    /// Starts it.
    ///
    /// # Errors
    /// Where Python or the framework is not installed.
    pub fn start(framework: &'static str) -> anyhow::Result<Self> {
        let mut child = Command::new(python())
            .args(["-c", PROGRAM, framework])
            .env("JAX_PLATFORMS", "cpu")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("no Python")?;
        let questions = child.stdin.take().context("no way to ask")?;
        let mut answers = BufReader::new(child.stdout.take().context("no way to listen")?);
        let mut version = String::new();
        ensure!(answers.read_line(&mut version)? > 0, "not installed");
        let version = version.trim().to_string();
        Ok(Self { framework, version, child, questions, answers, bytes: Vec::new() })
    }
}

impl Peer for Python {
    fn library(&self) -> &str {
        self.framework
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn functions(&self) -> &[Activation] {
        &[Activation::Sigmoid, Activation::Tanh]
    }

    fn run(&mut self, function: Activation, x: &[f32], results: &mut [f32]) -> anyhow::Result<()> {
        let name = if function == Activation::Tanh { "tanh" } else { "sigmoid" };
        self.bytes.clear();
        self.bytes.extend(x.iter().flat_map(|x| x.to_ne_bytes()));
        writeln!(self.questions, "{name} {}", x.len())?;
        self.questions.write_all(&self.bytes)?;
        self.questions.flush()?;
        self.answers.read_exact(&mut self.bytes).context("the program has ended")?;
        for (result, bytes) in results.iter_mut().zip(self.bytes.as_chunks().0) {
            *result = f32::from_ne_bytes(*bytes);
        }
        Ok(())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Nothing is lost if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
