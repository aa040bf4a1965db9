//! The summary of a task of several steps: steps done, steps left out and the reasons, failures.

use anstream::println;
use anyhow::ensure;
use owo_colors::OwoColorize;
use std::time::Instant;

/// How a step ended, where it did not fail.
pub enum Outcome {
    /// The steps that ran.
    Ran(String),
    /// Why nothing did.
    Skipped(String),
}

/// The steps so far.
#[derive(Default)]
pub struct Summary {
    failed: Vec<String>,
    skipped: Vec<String>,
    lines: Vec<String>,
}

impl Summary {
    /// Takes a step, and goes on where it fails.
    pub fn step(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<Outcome>) {
        println!("{}", format!("== {name}").bold());
        let start = Instant::now();
        let (word, text) = match step() {
            Ok(Outcome::Ran(text)) => ("ran", text),
            Ok(Outcome::Skipped(why)) => {
                self.skipped.push(name.to_string());
                ("skipped", why)
            }
            Err(error) => {
                self.failed.push(name.to_string());
                ("FAILED", format!("{error:#}"))
            }
        };
        self.lines.push(format!("{word} {name} ({} s): {text}", start.elapsed().as_secs()));
    }

    /// Prints a line for each step.
    ///
    /// # Errors
    /// Where a step failed or, if all have to run, was skipped.
    pub fn finish(self, is_strict: bool) -> anyhow::Result<()> {
        self.lines.iter().for_each(|line| println!("{line}"));
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        ensure!(!is_strict || self.skipped.is_empty(), "skipped: {}", self.skipped.join(", "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_a_failure_where_all_have_to_run() {
        let skipped = || {
            let mut summary = Summary::default();
            summary.step("one", || Ok(Outcome::Ran("all of it".to_string())));
            summary.step("two", || Ok(Outcome::Skipped("nothing to run it with".to_string())));
            summary
        };
        assert!(skipped().finish(false).is_ok());
        assert_eq!(skipped().finish(true).unwrap_err().to_string(), "skipped: two");
        let mut failing = skipped();
        failing.step("three", || anyhow::bail!("a fault"));
        failing.step("four", || Ok(Outcome::Ran(String::new())));
        assert_eq!(failing.finish(false).unwrap_err().to_string(), "failed: three");
    }
}
