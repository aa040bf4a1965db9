//! How a step is shared out and reduced: decided here, from measured numbers.

use crate::layout::Layout;
use crate::model::{LogGp, Reduction};
use crate::options::{Options, State, Way};
use core::fmt;
use core::ops::Range;

/// How a step is shared out and reduced.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// All ranks.
    pub ranks: usize,
    /// Those that have samples.
    pub workers: usize,
    /// The most blocks of one rank.
    pub blocks: usize,
    /// The way of the reduction.
    pub way: Way,
    /// Where the optimiser's arrays are kept.
    pub state: State,
    /// The layers that are reduced together, in the order in which they are.
    pub buckets: Vec<Range<usize>>,
    /// In how many pieces each of these goes through a chain.
    pub pieces: Vec<usize>,
    /// Seconds that the reduction takes by the model, where nothing overlaps.
    pub seconds: f64,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ranks, workers, blocks, way, state, buckets, seconds, .. } = self;
        write!(
            f,
            "{workers} of {ranks} ranks with up to {blocks} blocks, reduction by {way} in {} parts, about {:.0} µs, \
             optimiser state {state}",
            buckets.len(),
            1e6 * seconds
        )
    }
}

/// The most buckets: each has tags of its own.
const MOST_BUCKETS: usize = 1000;

/// The blocks of each rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks(pub(crate) Vec<usize>);

impl Blocks {
    /// The ranks that have blocks, in order.
    pub(crate) fn workers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len()).filter(|&rank| self.0[rank] > 0)
    }

    fn most(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }
}

/// The layers that are reduced together, the last first. They are the same for every batch: a rank's slices of them are its
/// part of a shared state.
pub(crate) fn buckets(layout: &Layout, gp: &LogGp, options: &Options, ranks: usize) -> Vec<Range<usize>> {
    let least = options.bucket.unwrap_or_else(|| (gp.least_bytes(ranks, 1) / size_of::<f32>() as f64) as usize);
    layout.buckets(least.max(layout.len() / MOST_BUCKETS))
}

/// The plan for a batch.
pub(crate) fn plan(
    layout: &Layout,
    gp: &LogGp,
    options: &Options,
    (state, buckets): (State, &[Range<usize>]),
    blocks: &Blocks,
) -> Plan {
    let (ranks, workers, most) = (blocks.0.len(), blocks.workers().count(), blocks.most().max(1));
    let buckets = buckets.to_vec();
    let reduction = |layers: &Range<usize>| Reduction {
        workers,
        ..Reduction::new((layout.range(layers).len() * size_of::<f32>()) as f64, ranks, most)
    };
    let way = options.way.unwrap_or_else(|| gp.cheaper(buckets.iter().map(reduction)));
    let pieces = buckets.iter().map(|layers| gp.pieces(reduction(layers))).collect();
    let seconds = buckets.iter().map(|layers| gp.reduction(way, reduction(layers))).sum();
    Plan { ranks, workers, blocks: blocks.most(), way, state, buckets, pieces, seconds }
}

/// Whether to share out the optimiser's state: that saves all ranks but one a part of the update, but the second half of the
/// reduction waits for the last gradient.
pub(crate) fn state(layout: &Layout, gp: &LogGp, options: &Options, ranks: usize, arrays: usize) -> State {
    let choose = || {
        let others = 1.0 - 1.0 / ranks as f64;
        let saved = gp.update * layout.len() as f64 * others;
        let lost = gp.mail(ranks) + gp.gather((layout.len() * size_of::<f32>()) as f64, ranks);
        if ranks > 1 && arrays > 0 && saved > lost { State::Shared } else { State::Replicated }
    };
    options.state.unwrap_or_else(choose)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new([[784 * 512, 512], [512 * 512, 512], [5120, 10]].into_iter())
    }

    #[test]
    fn the_plan_follows_what_is_forced() {
        for way in [Way::Exchange, Way::Chain] {
            let options = Options::new().way(way).bucket(0);
            let blocks = Blocks(vec![1, 0, 2, 1]);
            let (layout, gp) = (layout(), LogGp::TEN_GIGABIT);
            let buckets = buckets(&layout, &gp, &options, 4);
            let plan = plan(&layout, &gp, &options, (State::Shared, &buckets), &blocks);
            assert_eq!((plan.way, plan.state, plan.ranks, plan.workers, plan.blocks), (way, State::Shared, 4, 3, 2));
            assert_eq!(plan.buckets, [2..3, 1..2, 0..1]);
            assert_eq!(plan.pieces.len(), 3);
        }
    }

    #[test]
    fn small_layers_are_reduced_together() {
        let buckets = |gp| buckets(&layout(), gp, &Options::new(), 4);
        assert_eq!(buckets(&LogGp::TEN_GIGABIT), [1..3, 0..1]);
        let slow = LogGp { latency: 1.0, ..LogGp::TEN_GIGABIT };
        assert_eq!(buckets(&slow), [0..3]);
    }

    #[test]
    fn state_is_shared_where_the_update_takes_longer_than_the_wire() {
        let state = |gp: &LogGp, ranks, arrays| state(&layout(), gp, &Options::new(), ranks, arrays);
        let fast = LogGp { per_byte: 1e-12, latency: 1e-7, overhead: 1e-8, ..LogGp::INFINIBAND };
        assert_eq!(state(&fast, 4, 2), State::Shared);
        assert_eq!(state(&fast, 4, 0), State::Replicated);
        assert_eq!(state(&fast, 1, 2), State::Replicated);
        assert_eq!(state(&LogGp::TEN_GIGABIT, 4, 2), State::Replicated);
    }
}
