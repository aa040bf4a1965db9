//! The time that reductions and steps take, by the model LogGP.
//!
//! A message of `n` bytes takes `o + n·G + L + o`: the sender's overhead, the bytes on the wire, the latency, the receiver's
//! overhead. A rank sends one message after the other, each `o + n·G` behind the last. Source: A. Alexandrov, M. Ionescu,
//! K. Schauser, C. Scheiman, *LogGP: Incorporating Long Messages into the LogP Model* (1995); the model's `g`, the least time
//! between short messages, is taken to be `o`. To it comes `A`, the time to add a byte of sums to a total.

use crate::options::Way;
use core::ops::Range;

/// The numbers of a machine, in seconds.
///
/// ```
/// use fused_dense_mpi::LogGp;
///
/// // Ten gigabits a second: a mebibyte takes most of a millisecond.
/// let seconds = LogGp::TEN_GIGABIT.message(1 << 20);
/// assert!(seconds > 8e-4 && seconds < 9e-4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogGp {
    /// `L`, the time of a byte from one rank to another.
    pub latency: f64,
    /// `o`, the time that a rank spends on a message, however short.
    pub overhead: f64,
    /// `G`, the time of a further byte of a message.
    pub per_byte: f64,
    /// `A`, the time to add a byte of sums to a total.
    pub add_per_byte: f64,
    /// The time that the optimiser takes for a parameter.
    pub update: f64,
}

/// A reduction to be foretold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reduction {
    /// Bytes of all parameters that are reduced together.
    pub bytes: f64,
    /// Ranks that get the result.
    pub ranks: usize,
    /// Ranks that have blocks.
    pub workers: usize,
    /// The most blocks of one rank.
    pub blocks: usize,
}

impl Reduction {
    /// Of so many bytes on so many ranks, each with so many blocks.
    #[must_use]
    pub fn new(bytes: f64, ranks: usize, blocks: usize) -> Self {
        Self { bytes, ranks, workers: ranks, blocks }
    }
}

/// The least bytes of a piece of a chain: below that, messages are all overhead.
const LEAST_PIECE: f64 = 4096.0;

/// The most pieces of a chain.
const MOST_PIECES: f64 = 1024.0;

impl LogGp {
    /// Ethernet of 10 gigabits a second through the system's TCP.
    pub const TEN_GIGABIT: Self =
        Self { latency: 20e-6, overhead: 5e-6, per_byte: 0.8e-9, add_per_byte: 0.1e-9, update: 1e-9 };

    /// InfiniBand of 100 gigabits a second.
    pub const INFINIBAND: Self =
        Self { latency: 1.2e-6, overhead: 0.4e-6, per_byte: 0.085e-9, add_per_byte: 0.1e-9, update: 1e-9 };

    /// These numbers; none may be negative.
    #[must_use]
    pub fn new(latency: f64, overhead: f64, per_byte: f64) -> Self {
        Self { latency, overhead, per_byte, ..Self::TEN_GIGABIT }
    }

    /// A message of so many bytes.
    #[must_use]
    pub fn message(&self, bytes: usize) -> f64 {
        2.0 * self.overhead + self.latency + bytes as f64 * self.per_byte
    }

    /// A short message from each rank to each other.
    #[must_use]
    pub fn mail(&self, ranks: usize) -> f64 {
        if ranks < 2 { 0.0 } else { self.latency + 2.0 * self.overhead * (ranks - 1) as f64 }
    }

    /// The first half of an exchange, by which each rank gets all sums of its slice and adds them.
    #[must_use]
    pub fn scatter(&self, of: Reduction) -> f64 {
        let Reduction { bytes, ranks, workers, blocks } = of;
        let (slice, others, blocks) = (bytes / ranks.max(1) as f64, ranks.saturating_sub(1) as f64, blocks as f64);
        let wire = if ranks < 2 {
            0.0
        } else {
            self.latency + blocks * others * (2.0 * self.overhead + slice * self.per_byte)
        };
        wire + blocks * workers as f64 * slice * self.add_per_byte
    }

    /// The second half, by which each rank sends its slice to all others.
    #[must_use]
    pub fn gather(&self, bytes: f64, ranks: usize) -> f64 {
        if ranks < 2 {
            return 0.0;
        }
        self.latency + (ranks - 1) as f64 * (2.0 * self.overhead + bytes / ranks as f64 * self.per_byte)
    }

    /// A whole exchange.
    #[must_use]
    pub fn exchange(&self, of: Reduction) -> f64 {
        self.scatter(of) + self.gather(of.bytes, of.ranks)
    }

    /// The pieces that a chain is best cut into.
    #[must_use]
    pub fn pieces(&self, of: Reduction) -> usize {
        let hops = (of.workers + of.ranks).saturating_sub(2) as f64;
        let byte = self.per_byte + of.blocks as f64 * self.add_per_byte;
        let best = (hops * of.bytes * byte / (4.0 * self.overhead)).sqrt();
        best.min(of.bytes / LEAST_PIECE).clamp(1.0, MOST_PIECES) as usize
    }

    /// A chain in so many pieces, and back.
    #[must_use]
    pub fn chain(&self, of: Reduction, pieces: usize) -> f64 {
        let Reduction { bytes, ranks, workers, blocks } = of;
        let piece = bytes / pieces.max(1) as f64;
        let adding = blocks as f64 * piece * self.add_per_byte;
        let hops = (workers + ranks).saturating_sub(2) as f64;
        // A rank in the middle sends each piece twice: onwards and back.
        let flows = if ranks > 2 { 2.0 } else { 1.0 };
        let first = hops * (2.0 * self.overhead + self.latency + piece * self.per_byte) + workers as f64 * adding;
        let wire = if ranks < 2 { 0.0 } else { flows * (2.0 * self.overhead + piece * self.per_byte) };
        first + pieces.saturating_sub(1) as f64 * (wire + adding)
    }

    /// The reduction by the one or the other way.
    #[must_use]
    pub fn reduction(&self, way: Way, of: Reduction) -> f64 {
        match way {
            Way::Exchange => self.exchange(of),
            Way::Chain => self.chain(of, self.pieces(of)),
        }
    }

    /// The cheaper way for reductions one behind the other.
    #[must_use]
    pub fn cheaper(&self, reductions: impl Iterator<Item = Reduction> + Clone) -> Way {
        let cost = |way| reductions.clone().map(|of| self.reduction(way, of)).sum::<f64>();
        if cost(Way::Chain) < cost(Way::Exchange) { Way::Chain } else { Way::Exchange }
    }

    /// The bytes of a reduction from which on its bytes take longer than its messages: fewer are better reduced together with
    /// others.
    #[must_use]
    pub fn least_bytes(&self, ranks: usize, blocks: usize) -> f64 {
        let of = |bytes| Reduction::new(bytes, ranks, blocks);
        let fixed = self.exchange(of(0.0));
        let byte = self.exchange(of(1.0)) - fixed;
        if byte > 0.0 { fixed / byte } else { 0.0 }
    }
}

/// Layers from the last to the first in groups of at least so many parameters, as plans reduce them together: what is left at
/// the end goes to the last group.
///
/// ```
/// assert_eq!(fused_dense_mpi::groups(&[100, 20, 5], 20), [1..3, 0..1]);
/// ```
#[must_use]
pub fn groups(parameters: &[usize], least: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut end = parameters.len();
    for start in (0..end).rev() {
        if parameters[start..end].iter().sum::<usize>() >= least.max(1) {
            groups.push(start..end);
            end = start;
        }
    }
    match groups.last_mut() {
        Some(last) => last.start = 0,
        None => groups.push(0..end),
    }
    groups
}

/// A step to be foretold: layers from the first to the last.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// Parameters of each layer.
    pub parameters: Vec<usize>,
    /// Seconds that one block takes forward through all layers.
    pub forward: f64,
    /// Seconds that one block takes back through each layer.
    pub backward: Vec<f64>,
}

impl Job {
    /// Of dense layers with so many inputs and outputs each, on a rank that makes so many multiply-adds a second: three for
    /// each weight and sample, of which one is forward, and one in the first layer less, whose input has no gradient.
    #[must_use]
    pub fn dense(layers: &[(usize, usize)], per_second: f64) -> Self {
        let product =
            |&(inputs, outputs): &(usize, usize)| (inputs * outputs * fused_dense::SUM_BLOCK) as f64 / per_second;
        let backward = |(index, layer)| if index == 0 { product(layer) } else { 2.0 * product(layer) };
        Self {
            parameters: layers.iter().map(|(inputs, outputs)| (inputs + 1) * outputs).collect(),
            forward: layers.iter().map(product).sum(),
            backward: layers.iter().enumerate().map(backward).collect(),
        }
    }

    /// Seconds of a step of so many ranks with so many blocks each, with the reductions of these groups of layers, the last
    /// first, by one way. A reduction begins when its layers' sums are there and the reduction before it is done.
    #[must_use]
    pub fn step(&self, on: &LogGp, ranks: usize, blocks: usize, way: Way, buckets: &[Range<usize>]) -> f64 {
        let pass = self.forward + self.backward.iter().sum::<f64>();
        let mut now = on.mail(ranks) + pass * (blocks - 1) as f64 + self.forward;
        let mut wire: f64 = 0.0;
        for bucket in buckets {
            now += self.backward[bucket.clone()].iter().sum::<f64>();
            let bytes = 4.0 * self.parameters[bucket.clone()].iter().sum::<usize>() as f64;
            wire = wire.max(now) + on.reduction(way, Reduction::new(bytes, ranks, blocks));
        }
        wire + on.mail(ranks) + on.update * self.parameters.iter().sum::<usize>() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ranks_with_a_block_each_send_half_and_get_half() {
        let gp = LogGp { add_per_byte: 0.0, ..LogGp::new(1.0, 0.5, 0.25) };
        let of = Reduction::new(8.0, 2, 1);
        assert_eq!(gp.scatter(of), 1.0 + 1.0 + 4.0 * 0.25);
        assert_eq!(gp.exchange(of), 2.0 * gp.scatter(of));
        // One piece there and one back.
        assert_eq!(gp.chain(of, 1), 2.0 * gp.message(8));
    }

    #[test]
    fn one_rank_sends_nothing() {
        let gp = LogGp { add_per_byte: 0.0, ..LogGp::TEN_GIGABIT };
        let of = Reduction::new(1e6, 1, 3);
        assert_eq!((gp.exchange(of), gp.chain(of, 1), gp.mail(1)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_number_of_pieces_is_near_the_best() {
        for ranks in [2, 4, 16, 256] {
            for bytes in [4e4, 4e6, 4e8] {
                let of = Reduction::new(bytes, ranks, 1);
                for gp in [LogGp::TEN_GIGABIT, LogGp::INFINIBAND] {
                    let best = (1..=1024).map(|pieces| gp.chain(of, pieces)).fold(f64::INFINITY, f64::min);
                    assert!(gp.chain(of, gp.pieces(of)) < 1.2 * best, "{ranks} {bytes}");
                }
            }
        }
    }

    #[test]
    fn many_blocks_go_by_the_chain_and_many_ranks_by_exchange() {
        let way = |ranks, blocks| LogGp::TEN_GIGABIT.cheaper([Reduction::new(4e6, ranks, blocks)].into_iter());
        assert_eq!([way(4, 1), way(4, 16), way(512, 1)], [Way::Exchange, Way::Chain, Way::Exchange]);
    }

    #[test]
    fn a_step_takes_at_least_its_passes_and_at_most_everything_in_turn() {
        let job = Job::dense(&[(784, 512), (512, 512), (512, 10)], 1e10);
        let gp = LogGp::TEN_GIGABIT;
        let passes = job.forward + job.backward.iter().sum::<f64>();
        for ranks in [1, 2, 16, 1024] {
            let together = job.step(&gp, ranks, 1, Way::Exchange, &[0..3]);
            let apart = job.step(&gp, ranks, 1, Way::Exchange, &[1..3, 0..1]);
            let update = gp.update * job.parameters.iter().sum::<usize>() as f64;
            let bytes = 4.0 * job.parameters.iter().sum::<usize>() as f64;
            let all = passes + gp.exchange(Reduction::new(bytes, ranks, 1)) + 2.0 * gp.mail(ranks) + update;
            assert!((together / all - 1.0).abs() < 1e-9);
            assert!(apart >= passes + update);
        }
    }
}
