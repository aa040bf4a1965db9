//! The numbers of this machine, measured when the ranks meet.

use crate::error::Error;
use crate::links::{Adding, Links};
use crate::model::LogGp;
use crate::tags;
use fused_dense::Network;
use std::time::Instant;

/// Values of a long message: a mebibyte.
const LONG: usize = 1 << 18;

/// Short messages at a time, to tell their overhead from their latency.
const SEVERAL: usize = 16;

/// Repetitions, of which the fastest counts.
const REPETITIONS: usize = 8;

/// Measures messages between neighbours, all at a time, and this rank's arithmetic; of all ranks the slowest counts.
///
/// # Errors
/// As [`Links::wait`], and [`Error::TooLarge`].
pub(crate) fn measure(links: &mut Links<'_>, network: &Network, adding: Adding) -> Result<LogGp, Error> {
    links.make_room(2 * LONG)?;
    let mut own = LogGp { update: update(network)?, add_per_byte: add(links, adding)?, ..LogGp::TEN_GIGABIT };
    if links.size() > 1 {
        let short = messages(links, 1, 1)?;
        let several = messages(links, 1, SEVERAL)?;
        let long = messages(links, LONG, 1)?;
        // Each of them was sent and received.
        own.overhead = ((several - short) / (SEVERAL - 1) as f64 / 2.0).max(f64::EPSILON);
        own.latency = (short - 2.0 * own.overhead).max(0.0);
        own.per_byte = ((long - short) / size_of::<[f32; LONG]>() as f64).max(0.0);
    }
    let numbers = |gp: &LogGp| [gp.latency, gp.overhead, gp.per_byte, gp.add_per_byte, gp.update];
    let all = links.exchange(numbers(&own).to_vec(), |_| numbers(&own).len(), tags::MEASURE)?;
    let slowest = |number: usize| all.iter().map(|numbers| numbers[number]).fold(0.0, f64::max);
    let [latency, overhead, per_byte, add_per_byte, update] = [0, 1, 2, 3, 4].map(slowest);
    Ok(LogGp { latency, overhead, per_byte, add_per_byte, update })
}

/// Seconds of so many messages of so many values, to the next rank and from the last.
fn messages(links: &mut Links<'_>, len: usize, count: usize) -> Result<f64, Error> {
    let (rank, size) = (links.rank(), links.size());
    let (next, last) = ((rank + 1) % size, (rank + size - 1) % size);
    fastest(|| {
        let start = Instant::now();
        for message in 0..count {
            let at = LONG + message * len;
            // SAFETY: the places are apart, and nobody looks at them.
            unsafe { links.receive(at..at + len, last, tags::MEASURE)? };
        }
        for _ in 0..count {
            // SAFETY: nobody writes there.
            unsafe { links.send(0..len, next, tags::MEASURE)? };
        }
        links.finish()?;
        Ok(start.elapsed().as_secs_f64())
    })
}

/// Seconds to add a byte of sums.
fn add(links: &mut Links<'_>, adding: Adding) -> Result<f64, Error> {
    fastest(|| {
        let start = Instant::now();
        // SAFETY: no request is under way.
        unsafe { links.memory().add(adding, 0..LONG, false, LONG)? };
        Ok(start.elapsed().as_secs_f64() / size_of::<[f32; LONG]>() as f64)
    })
}

/// Seconds to update a parameter.
fn update(network: &Network) -> Result<f64, Error> {
    let optimizer = network.optimizer();
    let (mut parameters, gradients) = (vec![0.0; LONG], vec![0.0; LONG]);
    let mut state = vec![vec![0.0; LONG]; optimizer.state_arrays()];
    fastest(|| {
        let mut state: Vec<&mut [f32]> = state.iter_mut().map(|array| &mut array[..]).collect();
        let start = Instant::now();
        optimizer.apply(1, &mut parameters, &gradients, &mut state)?;
        Ok(start.elapsed().as_secs_f64() / LONG as f64)
    })
}

fn fastest(mut time: impl FnMut() -> Result<f64, Error>) -> Result<f64, Error> {
    (0..REPETITIONS).try_fold(f64::INFINITY, |fastest, _| Ok(fastest.min(time()?)))
}
