//! The sweep: every chosen argument, with both signs, through every function on every instruction set.

use super::subject::{Oracle, Subject};
use super::tally::Tally;
use fused_dense::Isa;
use indicatif::ProgressBar;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bit patterns of the arguments without their signs, in ascending order.
pub enum Magnitudes {
    /// Every Nth.
    Every(u32),
    Listed(Vec<u32>),
}

impl Magnitudes {
    /// Every 4097th float, and the neighbours of every place where an algorithm changes what it does.
    pub fn sample() -> Self {
        let steps = (1..2 * 1250).map(|i| (f64::from(i) * std::f64::consts::LN_2 / 16.0) as f32);
        let ends = [
            0.751_791_5,
            1.25,
            1.278_464_5,
            6.0,
            8.0,
            9.03,
            11.0,
            14.75,
            17.328_68,
            18.06,
            20.0,
            53.0,
            87.336_55,
            88.722_84,
            103.972_08,
            104.0,
            106.0,
            110.0,
            131.0,
        ];
        let exponents = (0..=255_u32).map(|exponent| f32::from_bits(exponent << 23));
        let places = steps.chain(ends).chain(exponents).map(f32::to_bits);
        let near = places.flat_map(|bits| bits.saturating_sub(64)..bits + 64);
        let mut listed: Vec<u32> = (0..1 << 31).step_by(4097).chain(near).collect();
        listed.sort_unstable();
        listed.dedup();
        Self::Listed(listed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Every(step) => (1_usize << 31).div_ceil(*step as usize),
            Self::Listed(listed) => listed.len(),
        }
    }

    fn get(&self, i: usize) -> u32 {
        match self {
            Self::Every(step) => i as u32 * step,
            Self::Listed(listed) => listed[i],
        }
    }
}

/// The sweep's findings on one function.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Errors on the first instruction set with fused multiply-add, for which all such stand.
    pub fused: Option<(Isa, Tally)>,
    /// Errors where multiply-add rounds twice.
    pub unfused: Option<(Isa, Tally)>,
    /// Results on further instruction sets with fused multiply-add whose bits differ.
    pub disagreements: Vec<(Isa, u64)>,
}

impl Report {
    fn new() -> Self {
        let mut report = Self::default();
        for isa in Isa::available() {
            let tally = || (isa, Tally::default());
            match (isa.is_bit_exact(), &report.fused) {
                (false, _) => report.unfused = Some(tally()),
                (true, None) => report.fused = Some(tally()),
                (true, Some(_)) => report.disagreements.push((isa, 0)),
            }
        }
        report
    }

    fn merge(&mut self, other: &Self) {
        let pairs = [(&mut self.fused, &other.fused), (&mut self.unfused, &other.unfused)];
        for (ours, theirs) in pairs {
            if let (Some((_, ours)), Some((_, theirs))) = (ours, theirs) {
                ours.merge(theirs);
            }
        }
        for (ours, theirs) in self.disagreements.iter_mut().zip(&other.disagreements) {
            ours.1 += theirs.1;
        }
    }
}

/// Magnitudes that one thread takes at a time.
const BLOCK: usize = 1 << 16;
/// Magnitudes that stay in the first-level cache.
const CHUNK: usize = 1 << 10;

/// Sweeps all subjects on all cores.
///
/// # Errors
/// Where the library refuses.
pub fn sweep(subjects: &[Subject], magnitudes: &Magnitudes, progress: &ProgressBar) -> anyhow::Result<Vec<Report>> {
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<Report>> {
        let mut worker = Worker::new(subjects, magnitudes);
        loop {
            let start = next.fetch_add(BLOCK, Ordering::Relaxed);
            if start >= magnitudes.len() {
                return Ok(worker.reports);
            }
            let end = magnitudes.len().min(start + BLOCK);
            for start in (start..end).step_by(CHUNK) {
                worker.chunk(start..end.min(start + CHUNK))?;
            }
            progress.inc((end - start) as u64);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|handle| handle.join().expect("a worker does not panic")).collect()
    });
    let mut total: Option<Vec<Report>> = None;
    for reports in workers {
        let reports = reports?;
        match &mut total {
            None => total = Some(reports),
            Some(total) => total.iter_mut().zip(&reports).for_each(|(ours, theirs)| ours.merge(theirs)),
        }
    }
    Ok(total.unwrap_or_default())
}

/// One thread's buffers and counts.
struct Worker<'a> {
    subjects: &'a [Subject],
    magnitudes: &'a Magnitudes,
    reports: Vec<Report>,
    x: Vec<f32>,
    oracles: Vec<Oracle>,
    ones: Vec<f32>,
    results: Vec<f32>,
    others: Vec<f32>,
}

impl<'a> Worker<'a> {
    fn new(subjects: &'a [Subject], magnitudes: &'a Magnitudes) -> Self {
        let reports = subjects.iter().map(|_| Report::new()).collect();
        let buffer = || vec![1.0; CHUNK + 1];
        let (x, ones, results, others) = (buffer(), buffer(), buffer(), buffer());
        Self { subjects, magnitudes, reports, x, oracles: Vec::with_capacity(CHUNK + 1), ones, results, others }
    }

    /// Both signs of a range of magnitudes. The one before the range comes along as a neighbour.
    fn chunk(&mut self, range: Range<usize>) -> anyhow::Result<()> {
        let lead = usize::from(range.start > 0);
        let bits = (range.start - lead..range.end).map(|i| self.magnitudes.get(i));
        self.oracles.clear();
        self.oracles.extend(bits.clone().map(|bits| Oracle::new(f32::from_bits(bits))));
        let len = self.oracles.len();
        for negative in [false, true] {
            for (x, bits) in self.x.iter_mut().zip(bits.clone()) {
                *x = f32::from_bits(bits | u32::from(negative) << 31);
            }
            for (&subject, report) in self.subjects.iter().zip(&mut self.reports) {
                let x = &self.x[..len];
                for (isa, tally) in [&mut report.unfused, &mut report.fused].into_iter().flatten() {
                    subject.run(*isa, x, &self.ones[..len], &mut self.results[..len])?;
                    compare(tally, subject, negative, x, &self.results[..len], &self.oracles, lead);
                }
                for (isa, count) in &mut report.disagreements {
                    subject.run(*isa, x, &self.ones[..len], &mut self.others[..len])?;
                    let differ = |a: &f32, b: &f32| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
                    let pairs = self.results[lead..len].iter().zip(&self.others[lead..len]);
                    *count += pairs.filter(|(a, b)| differ(a, b)).count() as u64;
                }
            }
        }
        Ok(())
    }
}

/// Counts results from `lead` on.
fn compare(
    tally: &mut Tally,
    subject: Subject,
    negative: bool,
    x: &[f32],
    results: &[f32],
    oracles: &[Oracle],
    lead: usize,
) {
    for i in lead..x.len() {
        if x[i].is_nan() {
            tally.wrong_nan += u64::from(!results[i].is_nan());
            continue;
        }
        tally.add(x[i], results[i], subject.exact(oracles[i], negative), subject.least_unit(x[i]));
        if i > 0 && subject.is_monotone() {
            let (before, here) = (results[i - 1], results[i]);
            if subject.falls(negative) { tally.add_step(here, before) } else { tally.add_step(before, here) }
        }
    }
}
