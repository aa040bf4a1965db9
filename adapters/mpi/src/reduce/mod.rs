//! Sums of all ranks' blocks, added in the order of the blocks.
//!
//! The memory of messages holds, one behind the other:
//!
//! ```text
//! sums      of each block of this rank, all parameters
//! totals    all parameters
//! arrivals  sums of other ranks' blocks, or partial totals
//! ```
//!
//! Each bucket is a machine that is told which sums are made, and goes on as far as it can whenever it is asked to.

mod chain;
mod exchange;

use crate::error::Error;
use crate::layout::Layout;
use crate::links::{Adding, Links};
use crate::options::Way;
use crate::plan::{Blocks, Plan};
use chain::Chain;
use core::ops::Range;
use exchange::Exchange;
use fused_dense::BlockSums;

/// The parts of a reduction that all its buckets know.
#[derive(Clone, Copy, Debug)]
struct Common<'r> {
    rank: usize,
    blocks: &'r Blocks,
    /// All parameters.
    len: usize,
    adding: Adding,
    /// Whether all ranks get all totals, rather than each its slice.
    gathers: bool,
}

impl Common<'_> {
    /// Where the sums of one of this rank's blocks stand.
    fn sums(&self, block: usize, range: &Range<usize>) -> Range<usize> {
        let start = block * self.len;
        start + range.start..start + range.end
    }

    /// Where totals stand.
    fn totals(&self, range: &Range<usize>) -> Range<usize> {
        self.sums(self.blocks.0[self.rank], range)
    }

    /// Where arrivals begin.
    fn arrivals(&self) -> usize {
        (self.blocks.0[self.rank] + 1) * self.len
    }
}

/// The reduction of one bucket.
trait Bucket {
    /// This rank's sums of a block are made; blocks come in ascending order.
    fn made(&mut self, links: &mut Links<'_>, block: usize) -> Result<(), Error>;

    /// Goes on as far as it can without waiting.
    fn advance(&mut self, links: &mut Links<'_>) -> Result<(), Error>;

    /// Whether this rank has added, and been sent, all that it has to.
    fn is_done(&self) -> bool;
}

/// A reduction of all parameters.
pub(crate) struct Reduce<'r> {
    common: Common<'r>,
    layout: &'r Layout,
    plan: &'r Plan,
    buckets: Vec<Box<dyn Bucket + 'r>>,
    /// The bucket of each layer.
    bucket_of: Vec<usize>,
}

impl<'r> Reduce<'r> {
    /// Makes room, and posts all that this rank gets from others.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Mpi`].
    pub(crate) fn start(
        links: &mut Links<'_>,
        layout: &'r Layout,
        plan: &'r Plan,
        blocks: &'r Blocks,
        adding: Adding,
        gathers: bool,
    ) -> Result<Self, Error> {
        let common = Common { rank: links.rank(), blocks, len: layout.len(), adding, gathers };
        let mut buckets: Vec<Box<dyn Bucket + 'r>> = Vec::new();
        let mut bucket_of = vec![0; layout.layers()];
        links.make_room(room(&common, plan, layout))?;
        let mut arrivals = common.arrivals();
        for (bucket, layers) in plan.buckets.iter().enumerate() {
            let range = layout.range(layers);
            layers.clone().for_each(|layer| bucket_of[layer] = bucket);
            buckets.push(match plan.way {
                Way::Exchange => Box::new(Exchange::start(links, common, bucket, range, &mut arrivals)?),
                Way::Chain => Box::new(Chain::start(links, common, bucket, range, plan.pieces[bucket])?),
            });
        }
        Ok(Self { common, layout, plan, buckets, bucket_of })
    }

    /// Takes a layer's sums of a block, hands them on, and lets everything go on that can.
    ///
    /// # Errors
    /// [`Error::Mpi`]
    pub(crate) fn take(&mut self, links: &mut Links<'_>, sums: &BlockSums<'_>) -> Result<(), Error> {
        for (range, values) in self.layout.layer(sums.layer).into_iter().zip([sums.d_w, sums.d_b]) {
            let place = self.common.sums(sums.block, &range);
            // SAFETY: the sums of a block and layer are taken once, and sent only behind `made` below.
            unsafe { links.memory().values_mut(place) }.copy_from_slice(values);
        }
        let bucket = self.bucket_of[sums.layer];
        if sums.layer == self.plan.buckets[bucket].start {
            self.buckets[bucket].made(links, sums.block)?;
        }
        links.poll()?;
        self.advance(links)
    }

    /// Takes the sums of a block for all parameters at a time.
    ///
    /// # Errors
    /// [`Error::Mpi`]
    pub(crate) fn take_block(&mut self, links: &mut Links<'_>, block: usize, sums: &[f32]) -> Result<(), Error> {
        let place = self.common.sums(block, &(0..self.common.len));
        // SAFETY: the sums of a block are taken once, and sent only behind `made` below.
        unsafe { links.memory().values_mut(place) }.copy_from_slice(sums);
        self.buckets.iter_mut().try_for_each(|bucket| bucket.made(links, block))
    }

    fn advance(&mut self, links: &mut Links<'_>) -> Result<(), Error> {
        self.buckets.iter_mut().try_for_each(|bucket| bucket.advance(links))
    }

    /// Waits for all buckets: where the totals stand. Messages to other ranks may still be under way.
    ///
    /// # Errors
    /// As [`Links::wait`].
    pub(crate) fn wait(mut self, links: &mut Links<'_>) -> Result<Range<usize>, Error> {
        links.wait(|links| {
            self.advance(links)?;
            Ok(self.buckets.iter().all(|bucket| bucket.is_done()))
        })?;
        Ok(self.common.totals(&(0..self.common.len)))
    }
}

/// Values that the reduction needs.
fn room(common: &Common<'_>, plan: &Plan, layout: &Layout) -> usize {
    let arrivals = match plan.way {
        Way::Exchange => plan.buckets.iter().map(|layers| exchange::arrivals(common, &layout.range(layers))).sum(),
        Way::Chain => common.len,
    };
    common.arrivals() + arrivals
}
