//! Partial totals go from rank to rank in pieces, and the totals come back the same way.

use super::{Common, Machine};
use crate::error::Error;
use crate::layout::slice;
use crate::links::{Id, Links};
use crate::tags;
use core::ops::Range;

/// This rank's neighbours. Partial totals go up through the ranks that have blocks; totals come down from the last of them,
/// through all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Where partial totals come from.
    partial_from: Option<usize>,
    /// Where they go to; totals come from there.
    up: Option<usize>,
    /// Where totals go to.
    down: Option<usize>,
    has_blocks: bool,
}

impl Place {
    fn of(common: &Common<'_>) -> Self {
        let blocks = &common.blocks.0;
        let idle = (0..blocks.len()).filter(|&rank| blocks[rank] == 0);
        let order: Vec<usize> = idle.chain(common.blocks.workers()).collect();
        let at = order.iter().position(|&rank| rank == common.rank).unwrap_or(0);
        let has_blocks = blocks[common.rank] > 0;
        let down = at.checked_sub(1).map(|below| order[below]);
        let partial_from = down.filter(|&rank| has_blocks && blocks[rank] > 0);
        Self { partial_from, up: order.get(at + 1).copied(), down, has_blocks }
    }
}

/// The chain of one bucket.
pub(super) struct Chain<'r> {
    common: Common<'r>,
    place: Place,
    tags: usize,
    pieces: Vec<Range<usize>>,
    /// For each piece, the partial total on its way here, where one comes.
    partial: Vec<Id>,
    /// For each piece, the total on its way here, where one comes.
    totals: Vec<Id>,
    /// Whether all own sums are made.
    is_made: bool,
    /// Pieces whose partial total this rank has added to.
    added: usize,
    /// Pieces whose total is here.
    here: usize,
}

impl<'r> Chain<'r> {
    /// Posts what comes from other ranks.
    pub(super) fn start(
        links: &mut Links<'_>,
        common: Common<'r>,
        tags: usize,
        range: Range<usize>,
        pieces: usize,
    ) -> Result<Self, Error> {
        let place = Place::of(&common);
        let pieces: Vec<Range<usize>> =
            (0..pieces).map(|piece| slice(&range, piece, pieces)).filter(|piece| !piece.is_empty()).collect();
        let (mut partial, mut totals) = (Vec::new(), Vec::new());
        for piece in &pieces {
            if let Some(rank) = place.partial_from {
                let at = place_of_partial(&common, place, piece);
                // SAFETY: the place is this message's alone, and is read once it is there.
                partial.push(unsafe { links.receive(at, rank, tags::sums(tags))? });
            }
            if let Some(rank) = place.up {
                // SAFETY: as above; partial totals stand elsewhere where totals come from above.
                totals.push(unsafe { links.receive(common.totals(piece), rank, tags::totals(tags))? });
            }
        }
        // A rank without blocks has nothing to add.
        let added = if place.has_blocks { 0 } else { pieces.len() };
        Ok(Self { common, place, tags, pieces, partial, totals, is_made: false, added, here: 0 })
    }

    /// Adds this rank's blocks to the partial total of a piece, and hands it on.
    fn add(&mut self, links: &mut Links<'_>, piece: &Range<usize>) -> Result<(), Error> {
        let at = place_of_partial(&self.common, self.place, piece);
        for block in 0..self.common.blocks.0[self.common.rank] {
            let is_first = block == 0 && self.place.partial_from.is_none();
            let sums = self.common.sums(block, piece);
            // SAFETY: the partial total is here and not yet sent on; sums are not changed once they are made.
            unsafe { links.memory().add(self.common.adding, sums, is_first, at.start)? };
        }
        if let Some(rank) = self.place.up {
            // SAFETY: nobody changes the partial total again.
            unsafe { links.send(at, rank, tags::sums(self.tags))? };
        }
        Ok(())
    }
}

/// Where a partial total stands: the last rank's is the total itself.
fn place_of_partial(common: &Common<'_>, place: Place, piece: &Range<usize>) -> Range<usize> {
    if place.up.is_none() {
        return common.totals(piece);
    }
    common.arrivals() + piece.start..common.arrivals() + piece.end
}

impl Machine for Chain<'_> {
    fn made(&mut self, _: &mut Links<'_>, block: usize) -> Result<(), Error> {
        self.is_made = block + 1 == self.common.blocks.0[self.common.rank];
        Ok(())
    }

    fn advance(&mut self, links: &mut Links<'_>) -> Result<(), Error> {
        while self.is_made && self.added < self.pieces.len() {
            if self.partial.get(self.added).is_some_and(|id| !links.is_done(*id)) {
                break;
            }
            self.add(links, &self.pieces[self.added].clone())?;
            self.added += 1;
        }
        while self.here < self.pieces.len() {
            let is_here = match self.totals.get(self.here) {
                Some(id) => links.is_done(*id),
                None => self.here < self.added,
            };
            if !is_here {
                break;
            }
            if let Some(rank) = self.place.down {
                let totals = self.common.totals(&self.pieces[self.here]);
                // SAFETY: nobody changes totals before the reduction is finished.
                unsafe { links.send(totals, rank, tags::totals(self.tags))? };
            }
            self.here += 1;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.added == self.pieces.len() && self.here == self.pieces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Adding;
    use crate::plan::Blocks;
    use fused_dense::Isa;

    #[test]
    fn totals_pass_ranks_without_blocks_last() {
        let blocks = Blocks(vec![0, 2, 0, 1, 1]);
        let adding = Adding { isa: Isa::Portable, scale: 1.0 };
        let place = |rank| Place::of(&Common { rank, blocks: &blocks, len: 1, adding, gathers: true });
        let expected = [
            (None, Some(2), None, false),
            (None, Some(3), Some(2), true),
            (None, Some(1), Some(0), false),
            (Some(1), Some(4), Some(1), true),
            (Some(3), None, Some(3), true),
        ];
        for (rank, (partial_from, up, down, has_blocks)) in expected.into_iter().enumerate() {
            assert_eq!(place(rank), Place { partial_from, up, down, has_blocks }, "rank {rank}");
        }
    }
}
