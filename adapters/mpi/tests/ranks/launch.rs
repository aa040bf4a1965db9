//! Starting ranks, and judging how they ended.

use crate::{DETAIL, DONE, PART};
use libtest_mimic::Failed;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// When a job that still runs counts as one that never ends. Nothing else depends on it.
const FOREVER: Duration = Duration::from_secs(900);

/// How a job has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Each rank did all it had to.
    Success,
    /// The job ended with an error.
    Failure,
}

/// All that a job wrote to the terminal.
pub(crate) struct Output(String);

impl Output {
    /// Fails where these words are not in it.
    pub(crate) fn says(&self, words: &str) -> Result<(), Failed> {
        if self.0.contains(words) { Ok(()) } else { Err(format!("expected {words:?} in\n{}", self.0).into()) }
    }
}

/// Runs this program as so many ranks that play a part.
pub(crate) fn launch(part: &str, ranks: usize, detail: &str, expect: Expect) -> Result<Output, Failed> {
    let output = run(&std::env::current_exe()?, ranks, &[(PART, part), (DETAIL, detail)], expect)?;
    let done = output.0.matches(DONE).count();
    if expect == Expect::Success && done != ranks {
        return Err(format!("expected {ranks} ranks that say {DONE:?}, found {done} in\n{}", output.0).into());
    }
    Ok(output)
}

/// Runs a program as so many ranks.
pub(crate) fn run(program: &Path, ranks: usize, variables: &[(&str, &str)], expect: Expect) -> Result<Output, Failed> {
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", &ranks.to_string()]).arg(program);
    // Messages through shared memory need no permission to read another process, which containers refuse.
    command.env("OMPI_MCA_btl_vader_single_copy_mechanism", "none").envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("mpirun: {error}"))?;
    let texts = [read(child.stdout.take()), read(child.stderr.take())];
    let status = wait(&mut child)?;
    let text = texts.map(|text| text.join().unwrap_or_default()).concat();
    match (expect, status) {
        (_, None) => Err(format!("expected an end, found none for {} s:\n{text}", FOREVER.as_secs()).into()),
        (Expect::Success, Some(true)) | (Expect::Failure, Some(false)) => Ok(Output(text)),
        (_, Some(is_success)) => Err(format!("expected {expect:?}, found success: {is_success}\n{text}").into()),
    }
}

/// Reads to the end, while the job runs.
fn read(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // An error leaves the part that could be read.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into()
    })
}

/// Whether the job succeeded; nothing where it never ends.
fn wait(child: &mut Child) -> Result<Option<bool>, Failed> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if start.elapsed() > FOREVER {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
