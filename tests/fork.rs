//! A forked child has the memory of its parent's threads, and none of the threads. One test, so that nobody else is at
//! work when a fork comes.

#![cfg(target_os = "linux")]

#[path = "support/asleep.rs"]
mod asleep;
#[path = "support/patience.rs"]
mod patience;

use core::sync::atomic::{AtomicUsize, Ordering};
use fused_dense::{Activation, Bias, Dense, Team, Threads};
use patience::{PATIENCE, wait_until};
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "rayon")]
use std::sync::Arc;

const BATCH: usize = 64;

/// Runs `work` in a child, which must come to its end.
fn in_a_child(what: &str, work: impl FnOnce()) {
    // SAFETY: the child runs `work` alone and leaves without anything of the parent's. The C library makes the allocator
    // fit for use after a fork.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child");
    if child == 0 {
        // SAFETY: the signal ends a child that hangs.
        unsafe { libc::alarm(PATIENCE.as_secs() as u32) };
        let result = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: ends the child on the spot.
        unsafe { libc::_exit(i32::from(result.is_err())) };
    }
    let mut status = 0;
    // SAFETY: waits for the child, and writes its status where the pointer is valid.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "{what}: the child was ended by signal {}", libc::WTERMSIG(status));
    assert_eq!(libc::WEXITSTATUS(status), 0, "{what}: the child panicked");
}

fn count(team: &Team) -> usize {
    let count = AtomicUsize::new(0);
    team.for_each(100, |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    count.into_inner()
}

fn layer(threads: Threads) -> Dense {
    Dense::new(300, 333, Activation::Tanh).with_threads(threads)
}

fn bits(layer: &mut Dense) -> Vec<u32> {
    let (x, w) = (vec![0.25; BATCH * 300], (0..333 * 300).map(|i| (i % 17) as f32 - 8.0).collect::<Vec<f32>>());
    let mut a = vec![0.0_f32; BATCH * 333];
    layer.forward(&x, &w, Bias::None, &mut a).expect("a valid call");
    a.into_iter().map(f32::to_bits).collect()
}

fn all_sleep() {
    wait_until("all threads sleep", || asleep::others().into_iter().all(asleep::is_asleep));
}

#[test]
fn children_compute_by_themselves() {
    let expected = bits(&mut layer(Threads::Serial));

    for sleeps in [false, true, false, true] {
        let team = Team::new(3);
        let mut on_team = layer(Threads::from(&team));
        assert!(on_team.describe(BATCH).expect("a plan").forward.workers > 1, "nothing is shared");
        assert!(bits(&mut on_team) == expected);
        if sleeps {
            all_sleep();
        }
        in_a_child("a team that the parent goes on with", || {
            for _ in 0..20 {
                assert!(bits(&mut on_team) == expected);
                assert_eq!(team.hold(|| count(&team)), 100);
                assert_eq!(count(&team), 100);
            }
        });
        team.hold(|| in_a_child("a team that is held", || assert_eq!(count(&team), 100)));
        assert!(bits(&mut on_team) == expected);
        drop(on_team);
        if sleeps {
            all_sleep();
        }
        let mut team = Some(team);
        in_a_child("the end of a team", || {
            drop(team.take());
            let own = Team::new(3);
            assert!(bits(&mut layer(Threads::from(&own))) == expected);
            drop(own);
        });
        assert_eq!(team.as_ref().map(count), Some(100));
    }

    #[cfg(feature = "rayon")]
    check_pools(&expected);
}

#[cfg(feature = "rayon")]
fn check_pools(expected: &[u32]) {
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("a pool"));
    let mut in_pool = layer(Arc::clone(&pool).into());
    assert!(in_pool.describe(BATCH).expect("a plan").forward.workers > 1, "nothing is shared");
    for _ in 0..20 {
        assert!(bits(&mut in_pool) == expected);
        in_a_child("a pool that the parent goes on with", || assert!(bits(&mut in_pool) == expected));
    }
    all_sleep();
    in_a_child("the parent's pool for a layer of the child's", || {
        let mut in_pool = layer(Arc::clone(&pool).into());
        (0..20).for_each(|_| assert!(bits(&mut in_pool) == expected));
        let own = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("a pool"));
        let mut in_own = layer(own.into());
        (0..20).for_each(|_| assert!(bits(&mut in_own) == expected));
    });
    let mut around = layer(Threads::CurrentPool { max: 3 });
    pool.install(|| {
        assert!(bits(&mut around) == expected);
        in_a_child("a worker's child", || assert!(bits(&mut around) == expected));
    });
    assert!(bits(&mut in_pool) == expected);
}
