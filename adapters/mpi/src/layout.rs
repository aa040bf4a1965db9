//! All parameters in one row, and how the row is cut into buckets and slices.

use crate::model::groups;
use core::ops::Range;
use fused_dense::Network;

/// The most values of a slice, so that they stay in the second-level cache from the message to the sum.
const SLICE: usize = 1 << 16;

/// The most stretches of a network's parameters, roughly: each has tags of its own.
const MOST_STRETCHES: usize = 8000;

/// Where each layer's weights and bias stand in the row: layer by layer, the weights first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where a layer's weights begin, where its bias begins, and where it ends.
    layers: Vec<[usize; 3]>,
}

/// A layer's weights or its bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Array {
    Weights,
    Bias,
}

/// A range of a layer's array, and where it stands in the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) layer: usize,
    pub(crate) array: Array,
    pub(crate) range: Range<usize>,
    pub(crate) at: usize,
}

impl Layout {
    pub(crate) fn of(network: &Network) -> Self {
        Self::new(network.layers().iter().map(|layer| [layer.w().len(), layer.b().len()]))
    }

    /// Of layers with so many weights and biases.
    pub(crate) fn new(lens: impl Iterator<Item = [usize; 2]>) -> Self {
        let mut end = 0;
        let layers = lens.map(|[weights, biases]| {
            let start = end;
            end += weights + biases;
            [start, start + weights, end]
        });
        Self { layers: layers.collect() }
    }

    /// All parameters.
    pub(crate) fn len(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer[2])
    }

    /// Number of layers.
    pub(crate) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Where a layer's weights and its bias stand.
    pub(crate) fn layer(&self, layer: usize) -> [Range<usize>; 2] {
        let [weights, bias, end] = self.layers[layer];
        [weights..bias, bias..end]
    }

    /// The parameters of some layers.
    pub(crate) fn range(&self, layers: &Range<usize>) -> Range<usize> {
        if layers.is_empty() {
            return 0..0;
        }
        self.layers[layers.start][0]..self.layers[layers.end - 1][2]
    }

    /// The layers that are reduced together where groups of so many parameters are wanted.
    pub(crate) fn buckets(&self, parameters: usize) -> Vec<Range<usize>> {
        let lens: Vec<usize> = self.layers.iter().map(|layer| layer[2] - layer[0]).collect();
        groups(&lens, parameters)
    }

    /// The ranges in which the parameters of some layers are exchanged, one behind the other, so that sums are added, and
    /// totals sent, while others arrive. Each has a slice for each rank.
    pub(crate) fn stretches(&self, layers: &Range<usize>, ranks: usize) -> Vec<Range<usize>> {
        let range = self.range(layers);
        let most = (ranks * SLICE).max(self.len() / MOST_STRETCHES);
        let count = range.len().div_ceil(most).max(1);
        (0..count).map(|stretch| slice(&range, stretch, count)).collect()
    }

    /// The pieces of arrays that a range of the row is made of.
    pub(crate) fn pieces(&self, range: &Range<usize>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for layer in 0..self.layers() {
            for (array, whole) in [Array::Weights, Array::Bias].into_iter().zip(self.layer(layer)) {
                let (start, end) = (range.start.max(whole.start), range.end.min(whole.end));
                if start < end {
                    let range = start - whole.start..end - whole.start;
                    pieces.push(Piece { layer, array, range, at: start });
                }
            }
        }
        pieces
    }
}

/// The slice of a range that belongs to one of so many ranks: equal but for one element, in the order of the ranks.
pub(crate) fn slice(range: &Range<usize>, rank: usize, ranks: usize) -> Range<usize> {
    let (share, rest) = (range.len() / ranks, range.len() % ranks);
    let start = |rank: usize| range.start + rank * share + rank.min(rest);
    start(rank)..start(rank + 1)
}

/// The samples of a batch that belong to one of so many ranks: whole blocks, as many on each but for one, the first ranks
/// first.
pub(crate) fn share(samples: usize, block: usize, rank: usize, ranks: usize) -> Range<usize> {
    let blocks = slice(&(0..samples.div_ceil(block)), rank, ranks);
    let sample = |place: usize| place.saturating_mul(block).min(samples);
    sample(blocks.start)..sample(blocks.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_shares_cover_everything_once() {
        for ranks in 1..9 {
            for len in [0, 1, 7, 255, 256, 257, 5000] {
                let mut end = 3;
                for rank in 0..ranks {
                    let slice = slice(&(3..3 + len), rank, ranks);
                    assert_eq!(slice.start, end);
                    end = slice.end;
                }
                assert_eq!(end, 3 + len);
                let shares: Vec<_> = (0..ranks).map(|rank| share(len, 256, rank, ranks)).collect();
                assert_eq!((shares[0].start, shares[ranks - 1].end), (0, len));
                assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
                // Whole blocks, but for the last rank that has any.
                let with_work = len.div_ceil(256).min(ranks);
                assert!(
                    shares[..with_work.saturating_sub(1)]
                        .iter()
                        .all(|share| share.len() % 256 == 0 && !share.is_empty())
                );
                assert!(shares[with_work..].iter().all(Range::is_empty));
            }
        }
    }

    #[test]
    fn buckets_are_groups_of_layers_from_the_last_on() {
        let layout = Layout::new([[10, 1], [20, 2], [3, 1], [4, 1]].into_iter());
        assert_eq!(layout.buckets(0), [3..4, 2..3, 1..2, 0..1]);
        assert_eq!(layout.buckets(9), [2..4, 1..2, 0..1]);
        assert_eq!(layout.buckets(10), [1..4, 0..1]);
        assert_eq!(layout.buckets(23), [0..4]);
        assert_eq!(layout.buckets(30), [0..4]);
        assert_eq!(layout.buckets(1000), [0..4]);
        assert_eq!(layout.range(&(1..3)), 11..37);
    }

    #[test]
    fn stretches_cover_their_layers() {
        let layout = Layout::new([[10, 1], [3_000_000, 2]].into_iter());
        assert_eq!(layout.stretches(&(0..1), 2), [0..11]);
        let stretches = layout.stretches(&(0..2), 2);
        assert_eq!((stretches[0].start, stretches.last().map(|last| last.end)), (0, Some(layout.len())));
        assert!(stretches.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(stretches.len() > 20 && stretches.iter().all(|stretch| stretch.len() <= 2 * SLICE));
    }

    #[test]
    fn pieces_name_arrays() {
        let layout = Layout::new([[10, 1], [20, 2]].into_iter());
        let pieces = layout.pieces(&(9..13));
        let expected = [
            Piece { layer: 0, array: Array::Weights, range: 9..10, at: 9 },
            Piece { layer: 0, array: Array::Bias, range: 0..1, at: 10 },
            Piece { layer: 1, array: Array::Weights, range: 0..2, at: 11 },
        ];
        assert_eq!(pieces, expected);
    }
}
