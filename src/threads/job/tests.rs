//! The protocol under the model checker, which runs every order of events, and every value that a load may see, for a
//! few threads: `cargo xtask model`. Threads are interrupted a few times at most; waiting, they give way without limit.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Memory that the parts of a job write to: checked by loom for accesses that are not ordered.
struct Cells(Vec<UnsafeCell<usize>>);

// SAFETY: loom's cells report the race that this would be.
unsafe impl Sync for Cells {}

impl Cells {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| UnsafeCell::new(0)).collect())
    }

    fn add(&self, index: usize) {
        // SAFETY: one thread works on a part; loom would report another.
        self.0[index].with_mut(|cell| unsafe { *cell += 1 });
    }

    fn assert_all(&self, expected: usize) {
        for cell in &self.0 {
            // SAFETY: the job is over; loom would report a writer.
            assert_eq!(cell.with(|cell| unsafe { *cell }), expected);
        }
    }
}

/// Jobs one after the other on the same memory; helpers come and go at any moment.
fn check_jobs(helpers: usize, parts: usize, count: usize, preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let jobs = Arc::new(Jobs::new());
        let threads: Vec<_> = (1..=helpers)
            .map(|member| {
                let jobs = Arc::clone(&jobs);
                thread::spawn(move || {
                    for _ in 0..count {
                        if jobs.is_open_to(member) {
                            jobs.help(member);
                        }
                    }
                })
            })
            .collect();
        let cells = Cells::new(parts);
        for job in 1..=count {
            // SAFETY: this thread alone leads.
            unsafe { jobs.lead(helpers + 1, parts, || (), &|_, part| cells.add(part)) };
            cells.assert_all(job);
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
}

#[test]
fn one_helper() {
    check_jobs(1, 2, 2, 3);
    check_jobs(1, 3, 2, 2);
}

#[test]
fn two_helpers() {
    check_jobs(2, 3, 1, 2);
}

#[test]
fn a_second_phase_reads_what_the_first_wrote() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let jobs = Arc::new(Jobs::new());
        let helper = thread::spawn({
            let jobs = Arc::clone(&jobs);
            move || (0..3).for_each(|_| jobs.help(1))
        });
        let (first, second) = (Cells::new(2), Cells::new(2));
        // SAFETY: this thread alone leads.
        unsafe {
            jobs.lead(2, 2, || (), &|_, part| first.add(part));
            jobs.lead(2, 2, || (), &|_, part| {
                first.assert_all(1);
                second.add(part);
            });
        }
        second.assert_all(1);
        helper.join().expect("no panic");
    });
}
