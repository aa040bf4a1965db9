//! A framework's side: a Python program that keeps its network and answers how long some steps took.

use super::Problem;
use crate::bench::random::Random;
use crate::peers::library::python;
use crate::workspace;
use anyhow::{Context, bail};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A framework that can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    PyTorch,
    Jax,
}

impl Framework {
    pub const ALL: [Self; 2] = [Self::PyTorch, Self::Jax];

    fn script(self) -> PathBuf {
        let name = match self {
            Self::PyTorch => "pytorch_step.py",
            Self::Jax => "jax_step.py",
        };
        workspace::root().join("xtask/python").join(name)
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PyTorch => "PyTorch",
            Self::Jax => "JAX",
        })
    }
}

/// Data and first parameters, the same for both sides.
pub struct Operands {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
    /// Weights `[outputs, inputs]` and biases, layer by layer.
    pub parameters: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Operands {
    pub fn new(widths: &[usize], batch: usize) -> Self {
        let mut random = Random::new(1);
        let mut fill =
            |len: usize, low: f32, high: f32| -> Vec<f32> { (0..len).map(|_| random.between(low, high)).collect() };
        let x = fill(batch * widths[0], 0.0, 1.0);
        let y = fill(batch * widths[widths.len() - 1], 0.0, 1.0).into_iter().map(f32::round).collect();
        let parameters = widths
            .windows(2)
            .map(|layer| {
                let spread = 1.0 / (layer[0] as f32).sqrt();
                (fill(layer[0] * layer[1], -spread, spread), fill(layer[1], -spread, spread))
            })
            .collect();
        Self { x, y, parameters }
    }

    /// All of them one behind the other, in the machine's byte order.
    fn bytes(&self) -> Vec<u8> {
        let layers = self.parameters.iter().flat_map(|(w, b)| w.iter().chain(b));
        self.x.iter().chain(&self.y).chain(layers).flat_map(|value| value.to_ne_bytes()).collect()
    }
}

/// A running program.
pub struct Session {
    framework: Framework,
    version: String,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    operands_file: PathBuf,
}

impl Session {
    /// Starts the program on these operands.
    ///
    /// # Errors
    /// Where Python or the framework is not installed.
    pub fn start(
        framework: Framework,
        problem: &Problem,
        operands: &Operands,
        threads: usize,
        rate: f32,
    ) -> anyhow::Result<Self> {
        let operands_file = std::env::temp_dir().join(format!("fused-dense-{}-{framework}.f32", std::process::id()));
        std::fs::write(&operands_file, operands.bytes())?;
        let mut child = Command::new(python())
            .arg(framework.script())
            .arg(&operands_file)
            .args([threads.to_string(), problem.batch.to_string(), rate.to_string()])
            .args(problem.widths.iter().map(usize::to_string))
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("JAX_PLATFORMS", "cpu")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("no Python")?;
        let questions = child.stdin.take().context("no way to ask")?;
        let answers = BufReader::new(child.stdout.take().context("no way to listen")?);
        let mut session = Self { framework, version: String::new(), child, questions, answers, operands_file };
        session.version = session.line().context("not installed")?;
        Ok(session)
    }

    /// The framework and its version.
    pub fn name(&self) -> String {
        format!("{} {}", self.framework, self.version)
    }

    /// Nanoseconds of some steps, as the program measured them, and the cost at the last one.
    ///
    /// # Errors
    /// Where the program has ended.
    pub fn steps(&mut self, count: u32) -> anyhow::Result<(f64, f64)> {
        writeln!(self.questions, "{count}")?;
        let answer = self.line()?;
        let (time, cost) = answer.split_once(' ').with_context(|| format!("'{answer}' is no answer"))?;
        Ok((time.parse()?, cost.parse()?))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the program has ended");
        }
        Ok(line.trim().to_string())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nothing is lost if it has ended already, or if the file is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.operands_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_follow_the_widths() {
        let operands = Operands::new(&[4, 3, 2], 5);
        assert_eq!((operands.x.len(), operands.y.len()), (20, 10));
        assert_eq!(operands.parameters.iter().map(|(w, b)| (w.len(), b.len())).collect::<Vec<_>>(), [(12, 3), (6, 2)]);
        assert_eq!(operands.bytes().len(), 4 * (20 + 10 + 12 + 3 + 6 + 2));
        assert!(operands.y.iter().all(|y| [0.0, 1.0].contains(y)));
    }
}
