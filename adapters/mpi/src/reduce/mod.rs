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
//! Each bucket has machines: one for each stretch of an exchange, or one chain. They are told which sums are made, and go on as
//! far as they can whenever they are asked to.

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

/// The parts of a reduction that all its machines know.
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

/// The reduction of a bucket, or of a stretch of one.
trait Machine {
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
    machines: Vec<Box<dyn Machine + 'r>>,
    /// The machines of each bucket.
    of_bucket: Vec<Range<usize>>,
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
        let mut machines: Vec<Box<dyn Machine + 'r>> = Vec::new();
        let (mut of_bucket, mut bucket_of) = (Vec::new(), vec![0; layout.layers()]);
        links.make_room(room(&common, plan, layout))?;
        let mut arrivals = common.arrivals();
        for (bucket, layers) in plan.buckets.iter().enumerate() {
            layers.clone().for_each(|layer| bucket_of[layer] = bucket);
            let first = machines.len();
            match plan.way {
                Way::Exchange => {
                    for stretch in layout.stretches(layers, plan.ranks) {
                        let tags = machines.len();
                        machines.push(Box::new(Exchange::start(links, common, tags, stretch, &mut arrivals)?));
                    }
                }
                Way::Chain => {
                    let (range, pieces) = (layout.range(layers), plan.pieces[bucket]);
                    machines.push(Box::new(Chain::start(links, common, first, range, pieces)?));
                }
            }
            of_bucket.push(first..machines.len());
        }
        Ok(Self { common, layout, plan, machines, of_bucket, bucket_of })
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
            let machines = &mut self.machines[self.of_bucket[bucket].clone()];
            machines.iter_mut().try_for_each(|machine| machine.made(links, sums.block))?;
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
        self.machines.iter_mut().try_for_each(|machine| machine.made(links, block))
    }

    fn advance(&mut self, links: &mut Links<'_>) -> Result<(), Error> {
        self.machines.iter_mut().filter(|machine| !machine.is_done()).try_for_each(|machine| machine.advance(links))
    }

    /// Waits for all machines: where the totals stand. Messages to other ranks may still be under way.
    ///
    /// # Errors
    /// As [`Links::wait`].
    pub(crate) fn wait(mut self, links: &mut Links<'_>) -> Result<Range<usize>, Error> {
        links.wait(|links| {
            self.advance(links)?;
            Ok(self.machines.iter().all(|machine| machine.is_done()))
        })?;
        Ok(self.common.totals(&(0..self.common.len)))
    }
}

/// Values that the reduction needs.
fn room(common: &Common<'_>, plan: &Plan, layout: &Layout) -> usize {
    let arrivals = match plan.way {
        Way::Exchange => {
            let stretches = plan.buckets.iter().flat_map(|layers| layout.stretches(layers, plan.ranks));
            stretches.map(|stretch| exchange::arrivals(common, &stretch)).sum()
        }
        Way::Chain => common.len,
    };
    common.arrivals() + arrivals
}
