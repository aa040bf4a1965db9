//! A running program: a line is asked, a line is answered.

use anyhow::{Context, bail};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a program may take for an answer; compiling a network is the longest that it does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running program.
pub struct Session {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
    has_ended: Cell<bool>,
}

impl Session {
    /// Starts Python on a program, with as many threads for its libraries.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(python: &Path, arguments: &[&OsStr], threads: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .args(arguments)
            // Nothing is left beside the programs.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("MKL_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("no Python")?;
        let questions = child.stdin.take().context("no way to ask")?;
        let output = BufReader::new(child.stdout.take().context("no way to listen")?);
        let mut complaints = child.stderr.take().context("no way to listen")?;
        let (sender, answers) = channel();
        // One thread reads what it complains about, so that it never waits for us; the last line tells why it ended.
        let complaint = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = complaints.read_to_string(&mut text);
            text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_string()
        });
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
            let _ = sender.send(format!("{ENDED}{}", complaint.join().unwrap_or_default()));
        });
        Ok(Self { child, questions, answers, has_ended: Cell::new(false) })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Where the program has ended or takes too long.
    pub fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        // Where it has ended already, the answer says why.
        let _ = writeln!(self.questions, "{question}");
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => match answer.strip_prefix(ENDED) {
                None => Ok(answer),
                Some(why) => {
                    self.has_ended.set(true);
                    bail!("its program has ended: {why}")
                }
            },
            Err(RecvTimeoutError::Timeout) => {
                self.has_ended.set(true);
                bail!("no answer in {} s", PATIENCE.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.has_ended.set(true);
                bail!("its program has ended")
            }
        }
    }

    /// Whether there will be no more answers.
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}

/// Begins the last line, which no program writes.
const ENDED: &str = "\u{4}";

impl Drop for Session {
    fn drop(&mut self) {
        // Nothing is lost if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::library::python;

    fn start(program: &str) -> Session {
        Session::start(&python(), &["-c", program, "argument"].map(OsStr::new), 2).unwrap()
    }

    #[test]
    fn lines_are_answered_by_lines() {
        let mut session = start("import sys\nfor line in sys.stdin: print(sys.argv[1:], line.strip(), flush=True)");
        assert_eq!(session.ask("one").unwrap(), "['argument'] one");
        assert_eq!(session.ask("two").unwrap(), "['argument'] two");
        assert!(!session.has_ended());
    }

    #[test]
    fn the_last_complaint_tells_why_a_program_ended() {
        let mut session = start("raise ValueError('no such thing')");
        assert!(session.ask("one").unwrap_err().to_string().contains("no such thing"));
        assert!(session.has_ended());
    }
}
