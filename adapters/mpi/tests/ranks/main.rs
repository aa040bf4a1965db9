//! Starts `mpirun` with this program itself as the ranks of each test. A test fails where `mpirun` cannot be had, where a rank
//! fails, and where the ranks do not say that they did all they had to.

mod data;
mod errors;
mod launch;
mod restart;
mod steps;

use launch::{Expect, launch};
use libtest_mimic::{Arguments, Failed, Trial};
use mpi::environment::Universe;
use mpi::{Threading, initialize_with_threading};
use std::path::PathBuf;
use std::process::ExitCode;

/// Names the part that a rank has to play.
const PART: &str = "FUSED_DENSE_MPI_PART";

/// Names anything else that ranks need to know, in words.
const DETAIL: &str = "FUSED_DENSE_MPI_DETAIL";

/// The last line of a rank that did all it had to.
const DONE: &str = "all done";

/// A rank's program.
type Part = fn(&Universe, &str);

const PARTS: &[(&str, Part)] = &[
    ("steps", steps::steps),
    ("large", steps::large),
    ("gradients", steps::gradients),
    ("fit", steps::fit),
    ("sums", steps::sums),
    ("idle", steps::idle),
    ("refused", errors::refused),
    ("disagree", errors::disagree),
    ("killed", errors::killed),
    ("silent", errors::silent),
    ("absent", errors::absent),
    ("panic", errors::panic),
    ("returned", errors::returned),
    ("run", restart::run),
];

fn main() -> ExitCode {
    match std::env::var(PART) {
        Ok(name) => play(&name),
        Err(_) => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

/// Plays a part as a rank.
fn play(name: &str) -> ExitCode {
    let part = PARTS.iter().find(|part| part.0 == name).expect("a known part").1;
    let (universe, _) = initialize_with_threading(Threading::Funneled).expect("MPI");
    part(&universe, &std::env::var(DETAIL).unwrap_or_default());
    println!("{DONE}");
    ExitCode::SUCCESS
}

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for ranks in [1, 2, 3, 4, 7] {
        let test = move || launch("steps", ranks, "", Expect::Success);
        trials.push(Trial::test(format!("steps_have_the_bits_of_one_machine_on_{ranks}"), move || test().map(drop)));
        let test = move || launch("gradients", ranks, "", Expect::Success);
        trials.push(Trial::test(format!("gradients_can_be_changed_on_{ranks}"), move || test().map(drop)));
    }
    for ranks in [2, 3] {
        let test = move || launch("large", ranks, "", Expect::Success);
        trials
            .push(Trial::test(format!("large_layers_are_exchanged_in_stretches_on_{ranks}"), move || test().map(drop)));
    }
    let mut add = |name: &str, test: fn() -> Result<(), Failed>| trials.push(Trial::test(name, test));
    add("fit_has_the_bits_of_one_machine", || launch("fit", 3, "", Expect::Success).map(drop));
    add("sums_of_ones_own_are_in_the_order_of_the_ranks", || launch("sums", 4, "", Expect::Success).map(drop));
    add("few_samples_leave_ranks_without_work_and_say_so", || {
        launch("idle", 4, "", Expect::Success)?.says("fused-dense-mpi: 1 of 4 ranks have work: a batch has 100 samples")
    });
    add("what_one_rank_refuses_all_refuse", || launch("refused", 3, "", Expect::Success).map(drop));
    add("ranks_that_differ_are_named", || launch("disagree", 4, "", Expect::Success).map(drop));
    add("a_killed_rank_ends_the_job", || launch("killed", 3, "", Expect::Failure)?.says("signal 9 (Killed)"));
    add("a_silent_rank_ends_the_job", || {
        launch("silent", 3, "", Expect::Failure)?.says("ends the job: expected a message from rank")
    });
    add("a_rank_that_never_comes_ends_the_job", || {
        launch("absent", 3, "", Expect::Failure)?.says("ends the job: expected a message from rank")
    });
    add("a_rank_that_panics_ends_the_job", || {
        let output = launch("panic", 3, "", Expect::Failure)?;
        output.says("rank 1 of 3 on ")?;
        output.says("ends the job: the program panicked")
    });
    add("failures_can_be_returned", || launch("returned", 2, "", Expect::Failure)?.says("ends the job: seen enough"));
    add("training_goes_on_with_another_number_of_ranks", restarts);
    add("the_example_learns", example);
    trials
}

/// A file of a test's own, which is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("fused-dense-mpi-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs that are killed and go on, each with another number of ranks; the last one compares.
fn restarts() -> Result<(), Failed> {
    for state in ["replicated", "shared"] {
        let file = Scratch::new(state);
        let path = file.0.display();
        // Steps at which a rank kills itself: checkpoints are written after each seventh.
        for (ranks, end) in [(3, 17), (2, 31), (4, 40)] {
            launch("run", ranks, &format!("{state} {end} {path}"), Expect::Failure)?.says("signal 9 (Killed)")?;
        }
        launch("run", 1, &format!("{state} 45 {path}"), Expect::Failure)?;
        launch("run", 7, &format!("{state} 0 {path}"), Expect::Success)?;
    }
    Ok(())
}

/// The example, which cargo builds with the tests.
fn example() -> Result<(), Failed> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).ok_or("a folder of builds")?;
    let example = folder.join("examples/mnist_mpi");
    launch::run(&example, 4, &[], Expect::Success)?.says("test digits read")
}
