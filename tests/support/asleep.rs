//! Threads as Linux sees them.

#![allow(dead_code)] // every test binary uses a part of this

/// This thread's number.
pub(crate) fn this_thread() -> i32 {
    // SAFETY: the call has no requirements.
    unsafe { libc::gettid() }
}

/// Whether the thread of this number waits for something.
pub(crate) fn is_asleep(thread: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    // The state is the first letter behind the name in brackets, which may hold anything.
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')))
}

/// The numbers of all other threads.
pub(crate) fn others() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let numbers = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|number| *number != this_thread()).collect()
}
