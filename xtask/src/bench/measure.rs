//! Timing in rounds that everybody takes part in: there and back (A B C … C B A), so that a slow drift of the machine
//! cancels in the ratios of each round.

use super::buffer::Buffer;
use super::statistics::{Spread, median};
use crate::machine::affinity::{keep_to_core, use_cores};
use crate::machine::interference::{Interference, Watch};
use crate::peers::Routine;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Time after which a row ends even where its ratios are not yet known well.
    pub per_row: Duration,
    /// Rounds that even the slowest row gets.
    pub min_rounds: usize,
    /// Rounds after which no peer goes on.
    pub max_rounds: usize,
    pub caches: Caches,
}

/// The content of the caches when a timed stretch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caches {
    /// The operands, as far as they fit: the same call ran just before.
    Warm,
    /// Nothing of use: other memory was written before each call.
    Cold,
}

/// Elements that are written to make caches cold: more than any last level holds for one core.
const FLUSHED: usize = 16 << 20;

/// Shortest timed stretch: four thousand times what reading the clock takes. Faster calls are repeated within it.
const MIN_SAMPLE: Duration = Duration::from_micros(200);

/// Calls that bring a routine's own memory back into the caches: after one, a last level that others use too does not hold
/// all of it yet.
const WARM_UP_CALLS: u32 = 2;

/// Calls that run longer than this find the caches as their own last part left them, whoever ran before.
const LONG: Duration = Duration::from_millis(2);

/// Pause before a sample with several threads: the other library's workers stop spinning, so that they take no time
/// from those that are measured. It is spent awake: where a thread has just woken up itself, systems put those that it
/// wakes on its own core, where they wait for each other.
const SETTLE: Duration = Duration::from_millis(2);

/// Times that a sample is taken anew because something else ran meanwhile.
const RETRIES: usize = 2;

/// Half width of the confidence interval at which a ratio is settled: near the best peer's, and farther away.
const SETTLED_NEAR: f64 = 0.007;
const SETTLED_FAR: f64 = 0.02;

/// Ratios up to this many times the best peer's are near.
const NEAR: f64 = 1.25;

/// Where the thread that calls a routine runs.
///
/// A system that wakes a helper likes to put it on its caller's core, and may leave both there for as long as a
/// measurement lasts. Helpers that are ours, a rayon pool's or OpenMP's are kept to cores of their own, and so is their
/// caller; other libraries with threads of their own see to that themselves, by spinning.
#[derive(Clone, Copy)]
pub enum Place {
    /// On as many cores as there are threads.
    Anywhere { threads: usize },
    /// On the first of them.
    FirstCore,
}

impl Place {
    /// Takes the calling thread there.
    pub fn take(self) {
        match self {
            Self::Anywhere { threads } => use_cores(threads),
            Self::FirstCore => keep_to_core(0),
        }
    }
}

/// A routine with what its timing needs to know.
pub struct Timed<'a> {
    routine: Box<dyn Routine + 'a>,
    /// Calls in one sample.
    calls: u32,
    /// Whether a call needs no warming up.
    is_long: bool,
    settle: Duration,
    /// Where its caller runs.
    place: Place,
    watch: Watch,
    /// Written before each sample, for cold caches.
    flushed: Option<Buffer>,
}

impl<'a> Timed<'a> {
    /// Finds how many calls make a sample: one where caches are to be cold.
    ///
    /// # Errors
    /// Where the routine fails.
    pub fn calibrate(
        mut routine: Box<dyn Routine + 'a>,
        threads: usize,
        place: Place,
        caches: Caches,
    ) -> anyhow::Result<Self> {
        let flushed = (caches == Caches::Cold).then(|| Buffer::filled(0.0, FLUSHED));
        let mut calls = 1;
        let mut elapsed = Duration::ZERO;
        while flushed.is_none() {
            // The better of two, in case something else ran in between.
            elapsed = routine.time(calls)?.min(routine.time(calls)?);
            if elapsed >= MIN_SAMPLE {
                break;
            }
            // Cold caches make the first calls look slower than they are; growing step by step sees to that.
            calls = (calls * 2).max((MIN_SAMPLE.as_nanos() / elapsed.as_nanos().max(50)) as u32).min(calls * 8);
        }
        let settle = if threads == 1 { Duration::ZERO } else { SETTLE };
        let is_long = calls == 1 && elapsed > LONG;
        Ok(Self { routine, calls, is_long, settle, place, watch: Watch::new(threads), flushed })
    }

    /// Nanoseconds of one call, taken anew up to so many times where something else ran on the processor meanwhile.
    fn sample(&mut self, retries: usize) -> anyhow::Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..=retries {
            let (nanoseconds, disturbed) = self.attempt()?;
            best = best.min(nanoseconds);
            if !disturbed {
                return Ok(nanoseconds);
            }
        }
        Ok(best)
    }

    /// Nanoseconds of one call, and whether something else ran meanwhile.
    fn attempt(&mut self) -> anyhow::Result<(f64, bool)> {
        self.place.take();
        let start = Instant::now();
        while start.elapsed() < self.settle {
            std::hint::spin_loop();
        }
        if !self.is_long {
            // Where there was a pause, workers have to be woken up, and to find their cores.
            let start = Instant::now();
            let warm_up = if self.settle.is_zero() { WARM_UP_CALLS } else { self.calls.max(WARM_UP_CALLS) };
            self.routine.time(warm_up)?;
            while start.elapsed() < self.settle {
                self.routine.time(self.calls)?;
            }
        }
        if let Some(flushed) = &mut self.flushed {
            flushed.iter_mut().for_each(|value| *value += 1.0);
            black_box(&mut **flushed);
        }
        let before = self.watch.look();
        let elapsed = self.routine.time(self.calls)?;
        Ok((elapsed.as_nanos() as f64 / f64::from(self.calls), self.disturbed_since(before)))
    }

    fn disturbed_since(&self, before: Interference) -> bool {
        self.watch.look() != before
    }
}

/// One of those who are measured together.
pub struct Subject<'a> {
    /// The same routine on memory of its own each: rounds take them in turn, so that a row does not hang on where one
    /// buffer happens to lie.
    copies: Vec<Timed<'a>>,
    /// Placements of their memory, which the copies have by turns.
    placements: usize,
    /// Whom its ratio is to; nobody for one of ours.
    against: Option<usize>,
    /// Nanoseconds of a call, round by round; a peer whose ratio is settled has fewer.
    rounds: Vec<f64>,
    goes_on: bool,
}

impl<'a> Subject<'a> {
    /// One of ours, who stays to the end.
    pub fn ours(copies: Vec<Timed<'a>>) -> Self {
        Self { copies, placements: 1, against: None, rounds: Vec::new(), goes_on: true }
    }

    /// The same, with copies that begin at so many places by turns.
    pub fn at_placements(self, placements: usize) -> Self {
        Self { placements, ..self }
    }

    /// A peer, compared with the subject at an index.
    pub fn peer(copies: Vec<Timed<'a>>, against: usize) -> Self {
        Self { against: Some(against), ..Self::ours(copies) }
    }

    /// Nanoseconds of a call, round by round.
    pub fn into_rounds(self) -> Vec<f64> {
        self.rounds
    }

    /// Median time of a call, in nanoseconds: where the memory lies worse.
    pub fn nanoseconds(&self) -> f64 {
        by_turns(&self.rounds, self.placements).map(|rounds| median(&rounds)).fold(0.0, f64::max)
    }
}

/// Measures subjects together: in each round everybody's time is the mean of two samples, one on the way there and one
/// on the way back.
///
/// # Errors
/// Where a routine fails.
pub fn measure(subjects: &mut [Subject<'_>], effort: &Effort) -> anyhow::Result<()> {
    let start = Instant::now();
    for round in 1_usize.. {
        let there = 0..subjects.len();
        let mut sums = vec![0.0; subjects.len()];
        let retries = if start.elapsed() < effort.per_row { RETRIES } else { 0 };
        for index in there.clone().chain(there.rev()) {
            if subjects[index].goes_on {
                let copies = &mut subjects[index].copies;
                let turn = round % copies.len();
                sums[index] += copies[turn].sample(retries)?;
            }
        }
        for (subject, sum) in subjects.iter_mut().zip(sums) {
            if subject.goes_on {
                subject.rounds.push(sum / 2.0);
            }
        }
        let is_late = start.elapsed() >= effort.per_row;
        if round >= effort.min_rounds && (is_late || round >= effort.max_rounds || settle(subjects)) {
            break;
        }
    }
    Ok(())
}

/// Lets those go whose ratios are known well enough; whether all are.
fn settle(subjects: &mut [Subject<'_>]) -> bool {
    let ratios: Vec<Option<Spread>> =
        subjects.iter().enumerate().map(|(index, subject)| Some(ratio(subjects, index, subject.against?))).collect();
    let best = |ours: Option<usize>| {
        let peers = subjects.iter().zip(&ratios).filter(|(subject, _)| subject.against == ours);
        peers.filter_map(|(_, ratio)| ratio.map(|ratio| ratio.median)).fold(f64::INFINITY, f64::min)
    };
    let settled: Vec<bool> = subjects
        .iter()
        .zip(&ratios)
        .map(|(subject, ratio)| {
            ratio.is_some_and(|ratio| {
                let is_near = ratio.median <= NEAR * best(subject.against);
                ratio.error() <= if is_near { SETTLED_NEAR } else { SETTLED_FAR }
            })
        })
        .collect();
    for (subject, settled) in subjects.iter_mut().zip(settled) {
        subject.goes_on &= !settled;
    }
    let has_peers = subjects.iter().any(|subject| subject.against.is_some());
    has_peers && subjects.iter().all(|subject| subject.against.is_none() || !subject.goes_on)
}

/// A subject's time by that of ours at `place`, over the rounds that both took part in: at the placement where it is less.
pub fn ratio(subjects: &[Subject<'_>], index: usize, place: usize) -> Spread {
    let rounds = subjects[index].rounds.iter().zip(&subjects[place].rounds);
    let ratios: Vec<f64> = rounds.map(|(peer, ours)| peer / ours).collect();
    let spreads = by_turns(&ratios, subjects[place].placements).map(|ratios| Spread::of(&ratios));
    spreads.min_by(|a, b| a.median.total_cmp(&b.median)).unwrap_or_else(|| Spread::of(&ratios))
}

/// The rounds of each placement that has some.
fn by_turns(rounds: &[f64], placements: usize) -> impl Iterator<Item = Vec<f64>> {
    let of_turn = move |turn: usize| rounds.iter().skip(turn).step_by(placements).copied().collect::<Vec<f64>>();
    (0..placements).map(of_turn).filter(|rounds| !rounds.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload::Quantity;

    /// Takes exactly so long by a clock of its own, however busy the machine is.
    struct Takes(Duration);

    impl Routine for Takes {
        fn run(&mut self) -> anyhow::Result<()> {
            Ok(())
        }

        fn time(&mut self, calls: u32) -> anyhow::Result<Duration> {
            Ok(self.0 * calls)
        }

        fn results(&self) -> anyhow::Result<Vec<Quantity>> {
            Ok(Vec::new())
        }
    }

    fn takes(micros: u64, caches: Caches) -> Timed<'static> {
        Timed::calibrate(Box::new(Takes(Duration::from_micros(micros))), 1, Place::Anywhere { threads: 1 }, caches)
            .unwrap()
    }

    #[test]
    fn short_calls_are_batched_and_long_ones_are_not() {
        assert!(takes(1, Caches::Warm).calls >= 100);
        assert_eq!(takes(300, Caches::Warm).calls, 1);
    }

    #[test]
    fn cold_calls_are_timed_one_by_one() {
        let mut timed = takes(1, Caches::Cold);
        assert_eq!(timed.calls, 1);
        assert_eq!(timed.sample(0).unwrap(), 1e3);
    }

    fn three() -> [Subject<'static>; 3] {
        let ours = Subject::ours(vec![takes(20, Caches::Warm), takes(20, Caches::Warm)]);
        let [near, far] = [21, 60].map(|micros| Subject::peer(vec![takes(micros, Caches::Warm)], 0));
        [ours, near, far]
    }

    #[test]
    fn ratios_are_the_peers_time_by_ours() {
        let mut subjects = three();
        let effort = Effort { per_row: Duration::from_secs(1), min_rounds: 7, max_rounds: 50, caches: Caches::Warm };
        measure(&mut subjects, &effort).unwrap();
        assert_eq!(ratio(&subjects, 0, 0).median, 1.0);
        let (near, far) = (ratio(&subjects, 1, 0), ratio(&subjects, 2, 0));
        assert_eq!((near.median, far.median), (1.05, 3.0));
    }

    #[test]
    fn whose_ratio_is_settled_goes_and_the_row_ends_when_all_have_gone() {
        let mut subjects = three();
        subjects[0].rounds = vec![1.0; 30];
        subjects[1].rounds = (0..30).map(|round| 1.0 + 0.05 * f64::from(round % 7)).collect();
        subjects[2].rounds = vec![3.0; 30];
        assert!(!settle(&mut subjects));
        assert_eq!(subjects.each_ref().map(|subject| subject.goes_on), [true, true, false]);
        subjects[1].rounds = vec![1.1; 30];
        assert!(settle(&mut subjects));
    }

    #[test]
    fn a_row_tells_the_placement_that_is_worse_for_ours() {
        let mut subjects = three();
        subjects[0].placements = 2;
        subjects[0].rounds = [10.0, 20.0].repeat(15);
        subjects[1].rounds = [15.0, 22.0].repeat(10);
        assert_eq!(subjects[0].nanoseconds(), 20.0);
        assert_eq!(ratio(&subjects, 1, 0).median, 1.1);
        subjects[1].rounds.truncate(1);
        assert_eq!(ratio(&subjects, 1, 0).median, 1.5);
    }
}
