//! A team of threads: every part once, whoever comes late, calls at once, panics, or ends.

#![cfg(not(miri))]

#[cfg(target_os = "linux")]
#[path = "support/asleep.rs"]
mod asleep;
#[path = "support/patience.rs"]
mod patience;
#[path = "support/random.rs"]
mod random;

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use fused_dense::Team;
use patience::{PATIENCE, wait_until};
use random::Random;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Hands in a job of plain memory, each part's own, and checks that each part was done once, before the call returned.
fn check_job(team: &Team, parts: usize, delay: impl Fn(usize) + Sync) {
    let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
    team.for_each(parts, |part| {
        delay(part);
        // Relaxed: the team itself must bring what was written to the caller.
        done[part].store(done[part].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    });
    assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{parts} parts on {team:?}");
}

#[test]
fn every_part_is_done_once() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for threads in [1, 2, 3, 5, 16, 17, 40] {
        let team = Team::new(threads);
        assert_eq!(team.threads(), threads);
        for parts in [0, 1, 2, 63, 64, 65, 200, 700] {
            check_job(&team, parts, |_| ());
        }
        for _ in 0..300 {
            check_job(&team, random.below(80), |_| ());
        }
    }
}

/// Delays before and within jobs, so that workers are met spinning, on their way to sleep, asleep and at work.
#[test]
fn workers_may_come_at_any_moment() {
    let mut random = Random(88_172_645_463_325_252);
    let team = Team::new(3);
    for _ in 0..400 {
        let (gap, late) = (random.below(260), random.below(4));
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(gap as u64) {
            core::hint::spin_loop();
        }
        check_job(&team, 1 + random.below(6), |part| match (part == late, gap % 4) {
            (true, 0) => thread::sleep(Duration::from_micros(150)),
            (true, 1) => thread::yield_now(),
            _ => {}
        });
    }
}

/// The caller takes over what no worker has begun, and sleeps where one is long at work.
#[test]
fn a_worker_that_is_kept_from_running_is_not_waited_for() {
    let (stopped, team_is_up) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let team = Team::with_start(2, {
        let (stopped, team_is_up) = (Arc::clone(&stopped), Arc::clone(&team_is_up));
        move |worker| {
            assert_eq!(worker, 1);
            team_is_up.store(true, Ordering::Release);
            while stopped.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
    });
    let here = thread::current().id();
    for _ in 0..100 {
        team.for_each(8, |_| assert_eq!(thread::current().id(), here));
    }
    stopped.store(false, Ordering::Release);

    let ids = Mutex::new(HashSet::new());
    let both = AtomicUsize::new(0);
    team.for_each(2, |_| {
        ids.lock().expect("no panic").insert(thread::current().id());
        both.fetch_add(1, Ordering::Relaxed);
        wait_until("both parts are begun", || both.load(Ordering::Relaxed) == 2);
        if thread::current().id() != here {
            thread::sleep(Duration::from_millis(3));
        }
    });
    assert!(team_is_up.load(Ordering::Acquire));
    assert_eq!(ids.into_inner().expect("no panic").len(), 2, "the parts wait for each other");
}

/// Of calls at once one is shared out, and the others run where they are.
#[test]
fn callers_do_not_wait_for_each_other() {
    let team = Team::new(2);
    let sum = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for parts in 0..200 {
                    team.for_each(parts % 7, |part| {
                        sum.fetch_add(part as u64, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    let expected: usize = (0..200).flat_map(|parts| 0..parts % 7).sum();
    assert_eq!(sum.into_inner(), 4 * expected as u64);

    // A caller that comes while a job is on finishes before it.
    let (is_on, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            team.for_each(1, |_| {
                is_on.store(true, Ordering::Release);
                while !is_over.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
        });
        while !is_on.load(Ordering::Acquire) {
            thread::yield_now();
        }
        check_job(&team, 5, |_| ());
        is_over.store(true, Ordering::Release);
    });
}

/// Hands in a part for each member, which wait for each other: they take place on as many threads, whoever is asleep.
fn check_shared(team: &Team, why: &str) {
    let (begun, ids) = (AtomicUsize::new(0), Mutex::new(HashSet::new()));
    team.for_each(team.threads(), |_| {
        ids.lock().expect("no panic").insert(thread::current().id());
        begun.fetch_add(1, Ordering::Relaxed);
        wait_until(why, || begun.load(Ordering::Relaxed) == team.threads());
    });
    assert_eq!(ids.into_inner().expect("no panic").len(), team.threads(), "{why}");
}

/// A team that is kept for a thread serves its calls, and nobody else's, until that is over.
#[test]
fn a_team_is_held_for_one_thread() {
    let team = Team::new(2);
    let here = thread::current().id();
    let result = team.hold(|| {
        for _ in 0..20 {
            check_shared(&team, "a call of the holder's is shared");
            thread::sleep(Duration::from_micros(200));
            thread::scope(|scope| {
                scope.spawn(|| {
                    let there = thread::current().id();
                    team.for_each(4, |_| assert_eq!(thread::current().id(), there));
                    team.hold(|| team.for_each(4, |_| assert_eq!(thread::current().id(), there)));
                });
            });
        }
        team.hold(|| check_shared(&team, "a team held twice is shared"));
        check_shared(&team, "a team still held is shared");
        team.for_each(1, |_| team.hold(|| team.for_each(4, |_| assert_eq!(thread::current().id(), here))));
        7
    });
    assert_eq!(result, 7);
    thread::scope(|scope| {
        scope.spawn(|| check_shared(&team, "another thread's call afterwards is shared"));
    });

    let panic = catch_unwind(AssertUnwindSafe(|| team.hold(|| panic!("while it is held"))));
    assert!(panic.is_err());
    thread::scope(|scope| {
        scope.spawn(|| check_shared(&team, "another thread's call after a panic is shared"));
    });
}

#[test]
fn jobs_nest() {
    let team = Team::new(3);
    let count = AtomicUsize::new(0);
    team.for_each(4, |_| {
        let outer = thread::current().id();
        team.for_each(4, |_| {
            assert_eq!(thread::current().id(), outer);
            count.fetch_add(1, Ordering::Relaxed);
        });
    });
    assert_eq!(count.into_inner(), 16);
}

/// Whichever part panics, the caller does, after all others are done; and the team lives on.
#[test]
fn panics_reach_the_caller() {
    let team = Team::new(3);
    std::panic::set_hook(Box::new(|_| ()));
    for round in 0..300 {
        let parts = 1 + round % 9;
        let alive = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            team.for_each(parts, |part| {
                alive.fetch_add(1, Ordering::Relaxed);
                let panics = part == round % parts;
                alive.fetch_sub(1, Ordering::Relaxed);
                assert!(!panics, "part {part}");
            });
        }));
        assert_eq!(alive.into_inner(), 0, "somebody was still at work");
        let panic = result.expect_err("a panic");
        assert_eq!(*panic.downcast_ref::<String>().expect("its message"), format!("part {}", round % parts));
        check_job(&team, parts, |_| ());
    }
    let all = catch_unwind(AssertUnwindSafe(|| team.for_each(9, |_| panic!("all"))));
    assert!(all.is_err());
    check_job(&team, 9, |_| ());
    let _ = std::panic::take_hook();
}

/// A job that is not over takes the unpark of a stranger for nothing.
#[test]
fn spurious_wakeups_are_slept_through() {
    let threads = Arc::new(Mutex::new(vec![thread::current()]));
    let team = Team::with_start(3, {
        let threads = Arc::clone(&threads);
        move |_| threads.lock().expect("no panic").push(thread::current())
    });
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                threads.lock().expect("no panic").iter().for_each(thread::Thread::unpark);
                thread::sleep(Duration::from_micros(20));
            }
        });
        for round in 0..100 {
            check_job(&team, 6, |part| {
                if part == 5 && round % 5 == 0 {
                    thread::sleep(Duration::from_micros(400));
                }
            });
            thread::sleep(Duration::from_micros(round));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Threads end with the last handle, from whatever they were at.
#[test]
fn the_last_handle_ends_the_threads() {
    struct Ended(Arc<AtomicUsize>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Release);
        }
    }
    thread_local!(static AT_END: core::cell::RefCell<Option<Ended>> = const { core::cell::RefCell::new(None) });

    for pause in [0, 0, 20, 99, 300, 1000, 5000] {
        let ended = Arc::new(AtomicUsize::new(0));
        let team = Team::with_start(4, {
            let ended = Arc::clone(&ended);
            move |_| AT_END.set(Some(Ended(Arc::clone(&ended))))
        });
        let other = team.clone();
        assert_eq!(team, other);
        drop(team);
        check_job(&other, 4, |_| ());
        thread::sleep(Duration::from_micros(pause));
        assert_eq!(ended.load(Ordering::Acquire), 0);
        drop(other);
        assert_eq!(ended.load(Ordering::Acquire), 3, "after a pause of {pause} µs");
    }
}

/// A worker stays where its start has pinned it, awake, asleep and at work.
#[cfg(target_os = "linux")]
#[test]
fn workers_are_pinned_by_their_start() {
    // SAFETY: a set of cores is plain bits; the calls read and write the one they are given.
    let allowed = unsafe {
        let mut cores: libc::cpu_set_t = core::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&cores), &mut cores), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|core| libc::CPU_ISSET(*core, &cores)).collect::<Vec<_>>()
    };
    let last = *allowed.last().expect("a core");
    let team = Team::with_start(2, move |_| {
        // SAFETY: as above.
        unsafe {
            let mut cores: libc::cpu_set_t = core::mem::zeroed();
            libc::CPU_SET(last, &mut cores);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&cores), &cores), 0);
        }
    });
    let here = thread::current().id();
    for pause in [0, 0, 2] {
        thread::sleep(Duration::from_millis(pause));
        check_shared(&team, "the pinned worker helps");
        team.for_each(8, |_| {
            // SAFETY: the call has no requirements.
            let core = unsafe { libc::sched_getcpu() };
            assert!(thread::current().id() == here || core == last as i32, "on core {core}");
        });
    }
}

/// Parts that wait for each other, one for each member, find all of a sleeping team.
#[test]
fn everybody_is_woken() {
    for threads in [2, 3, 4, 7, 16, 33] {
        let team = Team::new(threads);
        for pause in [0, 1, 3] {
            thread::sleep(Duration::from_millis(pause));
            check_shared(&team, "everybody is awake");
        }
    }
}

#[test]
fn a_team_has_at_least_one_thread_and_at_most_its_limit() {
    assert_eq!(Team::new(0).threads(), 1);
    let most = Team::new(usize::MAX);
    assert_eq!(most.threads(), Team::MAX_THREADS);
    for parts in [200, 1024, 2000] {
        check_job(&most, parts, |_| ());
    }
    assert_ne!(most, Team::new(1));
}

/// By the time that the scheduler counts for its threads.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_team_uses_no_processor_time() {
    let workers = Arc::new(Mutex::new(Vec::new()));
    let team = Team::with_start(3, {
        let workers = Arc::clone(&workers);
        move |_| workers.lock().expect("no panic").push(asleep::this_thread())
    });
    let check_idle = |when: &str| {
        check_shared(&team, "all workers have begun");
        let workers = workers.lock().expect("no panic").clone();
        let used = || -> u64 {
            let nanoseconds = |tid: &i32| std::fs::read_to_string(format!("/proc/self/task/{tid}/schedstat"));
            let first = |stat: String| stat.split(' ').next().and_then(|first| first.parse().ok());
            workers.iter().map(|tid| nanoseconds(tid).ok().and_then(first).unwrap_or(0)).sum::<u64>()
        };
        wait_until("the workers sleep", || workers.iter().all(|worker| asleep::is_asleep(*worker)));
        let before = used();
        thread::sleep(Duration::from_millis(200));
        let spent = used() - before;
        assert!(spent < 1_000_000, "{spent} ns in 200 ms, {when}");
    };
    check_idle("free");
    team.hold(|| check_idle("held by a thread that asks for nothing"));
}

/// A payload that panics when it is dropped, with another of its kind.
struct Relentless;

impl Drop for Relentless {
    fn drop(&mut self) {
        std::panic::panic_any(Relentless);
    }
}

/// Any part may panic, and any payload may be lost but one: the caller gets that one, and the team lives on.
#[test]
fn payloads_that_panic_when_dropped_hold_up_nobody() {
    let (done, is_done) = mpsc::channel();
    let check = move || {
        let team = Team::new(3);
        for round in 0..50 {
            // Each on a thread of its own: two or three panics, those of the helpers with or without the caller's.
            let (begun, here) = (AtomicUsize::new(0), thread::current().id());
            let result = catch_unwind(AssertUnwindSafe(|| {
                team.for_each(3, |_| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    wait_until("all are at work", || begun.load(Ordering::Relaxed) == 3);
                    if round % 2 == 0 || thread::current().id() != here {
                        std::panic::panic_any(Relentless);
                    }
                });
            }));
            let payload = result.expect_err("a panic");
            assert!(payload.is::<Relentless>());
            core::mem::forget(payload);
            check_job(&team, 9, |_| ());
        }
        drop(team);
        // A start that panics leaves a payload for whoever ends the team.
        drop(Team::with_start(2, |_| std::panic::panic_any(Relentless)));
        done.send(()).expect("somebody listens");
    };
    thread::spawn(check);
    is_done.recv_timeout(PATIENCE).expect("neither a hang nor a panic");
}

/// The last handle may be a worker's own, which then ends by itself.
#[test]
fn a_worker_may_drop_the_last_handle() {
    for threads in [2, 3, 5] {
        let (hand_over, handles) = mpsc::channel::<Team>();
        let (tell, drops) = mpsc::channel();
        let handles = Mutex::new(handles);
        let team = Team::with_start(threads, move |worker| {
            if worker == 1 {
                let team = handles.lock().expect("no panic").recv().expect("a team");
                tell.send(catch_unwind(AssertUnwindSafe(|| drop(team))).is_ok()).expect("somebody listens");
            }
        });
        hand_over.send(team).expect("a worker listens");
        assert_eq!(drops.recv_timeout(PATIENCE), Ok(true), "{threads} threads");
    }
}
