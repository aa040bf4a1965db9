//! Which cores the program, and whatever it starts from now on, may run on.

/// Restricts the calling thread, and threads and programs that it starts, to as many cores as there are threads: the
/// last of those that it was allowed at first, because systems like to handle interrupts on the first ones.
///
/// Where the system does not let itself be told, nothing changes.
pub fn use_cores(threads: usize) {
    keep_to(&cores(threads));
}

/// Keeps the calling thread to one of these cores.
pub fn keep_to_core(index: usize) {
    let cores = cores(index + 1);
    // Where there are fewer cores than threads, the last ones share one.
    keep_to(&cores[cores.len().saturating_sub(1)..]);
}

/// The cores that as many threads are restricted to, the first one first; none where the system does not tell.
pub fn cores(threads: usize) -> Vec<usize> {
    allowed().iter().rev().take(threads).copied().collect()
}

/// The cores that the program was allowed at first.
#[cfg(target_os = "linux")]
fn allowed() -> &'static [usize] {
    use std::sync::OnceLock;

    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        // SAFETY: the set is plain memory of the size that is passed with it, and the macros stay inside it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
            (0..libc::CPU_SETSIZE as usize).filter(|&core| libc::CPU_ISSET(core, &set)).collect()
        }
    })
}

/// Restricts the calling thread to these cores.
#[cfg(target_os = "linux")]
fn keep_to(cores: &[usize]) {
    // SAFETY: the set is plain memory of the size that is passed with it, and the macros stay inside it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &core in cores {
            libc::CPU_SET(core, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> &'static [usize] {
    &[]
}

#[cfg(not(target_os = "linux"))]
fn keep_to(_cores: &[usize]) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn cores_can_be_given_up_and_had_back() {
        // In a thread of its own: the others keep theirs.
        std::thread::spawn(|| {
            let cores = || std::thread::available_parallelism().unwrap().get();
            let all = cores();
            use_cores(1);
            assert_eq!(cores(), 1);
            keep_to_core(all - 1);
            assert_eq!(cores(), 1);
            use_cores(all);
            assert_eq!(cores(), all);
        })
        .join()
        .unwrap();
    }
}
