//! All-to-all of slices, ordered addition, all-gather.

use super::{Common, Machine};
use crate::error::Error;
use crate::layout::slice;
use crate::links::{Id, Links};
use crate::tags;
use core::ops::Range;

/// Where the sums of one block of the batch come from.
#[derive(Clone, Debug)]
enum Sums {
    /// This rank's block of this number.
    Own(usize),
    /// Another rank's, once the message is there.
    Arrives { id: Id, at: Range<usize> },
}

/// The exchange of one stretch.
pub(super) struct Exchange<'r> {
    common: Common<'r>,
    range: Range<usize>,
    tags: usize,
    /// The sums of this rank's slice, in the order in which they are added.
    sums: Vec<Sums>,
    /// How many are added.
    added: usize,
    /// Own blocks whose sums are made.
    made: usize,
    /// Other ranks' slices.
    totals: Vec<Id>,
    is_sent: bool,
}

/// Values that arrive for a stretch.
pub(super) fn arrivals(common: &Common<'_>, range: &Range<usize>) -> usize {
    let blocks = &common.blocks.0;
    let others: usize = (0..blocks.len()).filter(|&rank| rank != common.rank).map(|rank| blocks[rank]).sum();
    others * slice(range, common.rank, blocks.len()).len()
}

impl<'r> Exchange<'r> {
    /// Posts what comes from other ranks, its sums from `arrivals` on, which moves behind them.
    pub(super) fn start(
        links: &mut Links<'_>,
        common: Common<'r>,
        tags: usize,
        range: Range<usize>,
        arrivals: &mut usize,
    ) -> Result<Self, Error> {
        let mut exchange =
            Self { common, range, tags, sums: Vec::new(), added: 0, made: 0, totals: Vec::new(), is_sent: false };
        let own = exchange.slice(common.rank);
        for rank in 0..common.blocks.0.len() {
            for block in 0..common.blocks.0[rank] {
                if rank == common.rank {
                    exchange.sums.push(Sums::Own(block));
                } else if !own.is_empty() {
                    let at = *arrivals..*arrivals + own.len();
                    *arrivals = at.end;
                    // SAFETY: the place is this message's alone, and is read once it is there.
                    let id = unsafe { links.receive(at.clone(), rank, tags::sums(tags))? };
                    exchange.sums.push(Sums::Arrives { id, at });
                }
            }
        }
        if common.gathers {
            for rank in links.others() {
                let slice = exchange.slice(rank);
                if !slice.is_empty() {
                    // SAFETY: other ranks' slices of the totals are read when the reduction is finished.
                    let id = unsafe { links.receive(common.totals(&slice), rank, tags::totals(tags))? };
                    exchange.totals.push(id);
                }
            }
        }
        Ok(exchange)
    }

    fn slice(&self, rank: usize) -> Range<usize> {
        slice(&self.range, rank, self.common.blocks.0.len())
    }

    /// Sends this rank's slice of the totals to all others.
    fn send_totals(&mut self, links: &mut Links<'_>) -> Result<(), Error> {
        let own = self.slice(self.common.rank);
        self.is_sent = true;
        if !own.is_empty() {
            for rank in links.others() {
                // SAFETY: all sums are added, and nobody changes the totals before the reduction is finished.
                unsafe { links.send(self.common.totals(&own), rank, tags::totals(self.tags))? };
            }
        }
        Ok(())
    }
}

impl Machine for Exchange<'_> {
    fn made(&mut self, links: &mut Links<'_>, block: usize) -> Result<(), Error> {
        self.made = block + 1;
        for rank in links.others() {
            let slice = self.slice(rank);
            if !slice.is_empty() {
                // SAFETY: the sums of a block are not changed once they are made.
                unsafe { links.send(self.common.sums(block, &slice), rank, tags::sums(self.tags))? };
            }
        }
        Ok(())
    }

    fn advance(&mut self, links: &mut Links<'_>) -> Result<(), Error> {
        let own = self.slice(self.common.rank);
        let to = self.common.totals(&own).start;
        while let Some(sums) = self.sums.get(self.added) {
            let from = match sums {
                Sums::Own(block) if *block < self.made => self.common.sums(*block, &own),
                Sums::Arrives { id, at } if links.is_done(*id) => at.clone(),
                _ => return Ok(()),
            };
            // SAFETY: the sums are made or there, and nobody writes to them again; this rank's slice of the totals is in
            // no message before all sums are added.
            unsafe { links.memory().add(self.common.adding, from, self.added == 0, to)? };
            self.added += 1;
        }
        if self.common.gathers && !self.is_sent {
            self.send_totals(links)?;
        }
        self.totals.retain(|id| !links.is_done(*id));
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.added == self.sums.len() && self.totals.is_empty() && (self.is_sent || !self.common.gathers)
    }
}
