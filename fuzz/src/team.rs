//! The thread protocol through handles of teams: jobs of arbitrary many parts, jobs within jobs and of several callers,
//! panics, handles that come and go. Each part is done once, and a panic reaches the caller behind all of them.

mod job;

use crate::Shared;
use arbitrary::{Arbitrary, Result, Unstructured};
use fused_dense::Team;
use job::Job;
use std::sync::Once;
use std::thread;

/// Handles that a case has at a time.
const HANDLES: usize = 3;

/// The next event.
#[derive(Arbitrary, Debug)]
enum Event {
    Start { handle: u8, threads: u8 },
    Clone { from: u8, to: u8 },
    Drop { handle: u8 },
    Job { handle: u8, job: Job },
    Hold { handle: u8, jobs: [Job; 2] },
    Callers { handle: u8, jobs: [Job; 3] },
    Pause { microseconds: u8 },
}

/// Checks a case.
///
/// # Errors
/// Where the bytes make none.
pub fn check(u: &mut Unstructured<'_>) -> Result<Shared> {
    static QUIET: Once = Once::new();
    QUIET.call_once(job::let_meant_panics_pass);

    let mut teams: [Option<Team>; HANDLES] = [Some(Team::new(usize::from(u.int_in_range(1..=5_u8)?))), None, None];
    let mut shared = false;
    for _ in 0..u.int_in_range(1..=12)? {
        shared |= happen(&mut teams, u.arbitrary()?);
    }
    Ok(shared)
}

/// Whether another thread than the caller's did a part.
fn happen(teams: &mut [Option<Team>; HANDLES], event: Event) -> Shared {
    let place = |handle: u8| usize::from(handle) % HANDLES;
    match event {
        Event::Start { handle, threads } => {
            teams[place(handle)] = Some(Team::new(1 + usize::from(threads) % 6));
            false
        }
        Event::Clone { from, to } => {
            teams[place(to)].clone_from(&teams[place(from)].clone());
            false
        }
        Event::Drop { handle } => {
            teams[place(handle)] = None;
            false
        }
        Event::Job { handle, job } => teams[place(handle)].as_ref().is_some_and(|team| job.run(team)),
        Event::Hold { handle, jobs } => teams[place(handle)]
            .as_ref()
            .is_some_and(|team| team.hold(|| jobs.iter().fold(false, |shared, job| shared | job.run(team)))),
        Event::Callers { handle, jobs } => teams[place(handle)].as_ref().is_some_and(|team| at_once(team, &jobs)),
        Event::Pause { microseconds } => {
            thread::sleep(core::time::Duration::from_micros(4 * u64::from(microseconds)));
            false
        }
    }
}

/// A caller for each job, with a handle of its own.
fn at_once(team: &Team, jobs: &[Job]) -> Shared {
    thread::scope(|scope| {
        let callers = jobs.iter().map(|job| {
            let team = team.clone();
            scope.spawn(move || job.run(&team))
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().fold(false, |shared, caller| shared | caller.join().expect("callers do not panic"))
    })
}
