//! Threads that share the work of layers.

use crate::boundary::{Handle, free, give, handle, status_of};
use crate::pointer::Place;
use crate::status::{Failure, fd_status};
use fused_dense::{Team, Threads};

/// Threads that share the work of the layers and networks that were made with them. Those keep the threads alive: the handle
/// may be freed first. A call that finds the team at work for another caller runs on its own thread alone.
pub struct fd_team(Handle<Team>);

/// Makes a team of so many threads, the caller's among them: 2 starts one. It has at least one, and fewer than asked for
/// where the system refuses more.
///
/// Threads: any number at once.
///
/// # Safety
/// `team` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_team_new(threads: usize, team: *mut *mut fd_team) -> fd_status {
    // SAFETY: the caller vouches for the place.
    status_of(|| unsafe { give(team, "team", || Ok(fd_team(Handle::new(Team::new(threads))))) })
}

/// How many threads the team has, the caller's among them.
///
/// Threads: any number at once.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_team_threads(team: *const fd_team, threads: *mut usize) -> fd_status {
    status_of(|| {
        // SAFETY: the caller vouches for both.
        let (team, threads) = unsafe { (handle(team, "team")?, Place::needed(threads, "threads")?) };
        threads.write(team.0.shared("team", |team| Ok(team.threads()))?);
        Ok(())
    })
}

/// Frees the handle. Null is none.
///
/// Threads: no other call may use the handle at the same time, or afterwards.
///
/// # Safety
/// `team` is null or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fd_team_free(team: *mut fd_team) {
    // SAFETY: the caller vouches for it.
    unsafe { free(team) }
}

/// Where the work of a layer may run: in this team or, where it is null, on the calling thread.
///
/// # Safety
/// The pointer is null or valid.
pub(crate) unsafe fn threads(team: *const fd_team) -> Result<Threads, Failure> {
    if team.is_null() {
        return Ok(Threads::Serial);
    }
    // SAFETY: the caller vouches for it.
    unsafe { handle(team, "team")? }.0.shared("team", |team| Ok(Threads::from(team)))
}
