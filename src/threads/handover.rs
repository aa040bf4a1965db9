//! The cost of handing a job over, measured on the jobs themselves: the cores of one machine lie near each other or
//! far apart, and those of a virtual machine move.

use super::clock::Moment;
use super::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::tuning::HANDOVER;
use core::time::Duration;

pub(super) struct HandoverCost {
    jobs: AtomicUsize,
    cost: AtomicUsize,
}

impl HandoverCost {
    pub(super) fn new() -> Self {
        Self { jobs: AtomicUsize::new(0), cost: AtomicUsize::new(HANDOVER.first_cost) }
    }

    /// Cycles that sharing out a job costs.
    pub(super) fn cost(&self) -> f64 {
        // Relaxed, here and below: an estimate stands for itself.
        self.cost.load(Ordering::Relaxed) as f64
    }

    /// Cycles to read an element that another worker has written, one of many.
    pub(super) fn move_cost(&self) -> f64 {
        (self.cost() - HANDOVER.least_cost as f64) / HANDOVER.cycles_per_move
    }

    /// Passes `work` on to `lead`, and now and then times the first helper's way to it.
    pub(super) fn time(&self, work: &(dyn Fn(usize, usize) + Sync), lead: impl FnOnce(&(dyn Fn(usize, usize) + Sync))) {
        let jobs = self.jobs.load(Ordering::Relaxed);
        self.jobs.store(jobs.wrapping_add(1), Ordering::Relaxed);
        if !jobs.is_multiple_of(HANDOVER.timed_every) {
            return lead(work);
        }
        let (opened, is_first) = (Moment::now(), AtomicBool::new(true));
        lead(&|member, part| {
            if member > 0 && is_first.swap(false, Ordering::Relaxed) {
                self.record(opened.elapsed());
            }
            work(member, part);
        });
    }

    /// Takes in that the first helper began after this time. One that was asleep, or kept from running, says little of
    /// those to come: upwards the estimate goes in small steps.
    fn record(&self, late: Duration) {
        let found =
            late.as_nanos().saturating_mul(HANDOVER.cycles_per_nanosecond.into()).min(HANDOVER.most_cost as u128)
                as usize;
        let cost = self.cost.load(Ordering::Relaxed);
        let next = if found < cost { cost - (cost - found) / 2 } else { cost + (found - cost).min(cost / 16) };
        self.cost.store(next.clamp(HANDOVER.least_cost, HANDOVER.most_cost), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom), not(fused_dense_force_sharing)))]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_jobs_and_stays_within_its_limits() {
        let handover = HandoverCost::new();
        let after = |nanoseconds: u64, jobs: usize| {
            (0..jobs).for_each(|_| handover.record(Duration::from_nanos(nanoseconds)));
            handover.cost()
        };
        let far = after(480, 100);
        assert_eq!(far, 4800.0);
        assert!(after(1_000_000_000, 1) <= far * 17.0 / 16.0, "one that comes late says little");
        assert_eq!(after(u64::MAX, 100), HANDOVER.most_cost as f64);
        assert!(after(130, 8) < 1400.0, "near");
        assert_eq!(after(0, 100), HANDOVER.least_cost as f64);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri's clock counts its own steps")]
    fn every_part_is_passed_on() {
        let (handover, done) = (HandoverCost::new(), AtomicUsize::new(0));
        let work = |member, part| {
            done.fetch_add(member + part, Ordering::Relaxed);
        };
        let late = Duration::from_millis(1);
        let lead = |work: &(dyn Fn(usize, usize) + Sync)| {
            std::thread::sleep(late);
            work(1, 10);
        };
        (0..2 * HANDOVER.timed_every).for_each(|_| handover.time(&work, lead));
        assert_eq!(done.into_inner(), 2 * HANDOVER.timed_every * 11);
        assert!(handover.cost() > HANDOVER.first_cost as f64, "helpers that begin late make sharing dear");
    }
}
