//! Sums of a caller's own values over all ranks.

use crate::call::{Call, Side, agree};
use crate::distributed::Distributed;
use crate::engine::Engine;
use crate::error::Error;
use crate::layout::Layout;
use crate::links::Adding;
use crate::options::State;
use crate::plan::{self, Blocks, Plan};
use crate::reduce::Reduce;
use fused_dense::Network;

impl Distributed<'_> {
    /// Adds the values of all ranks, element by element, in the order of the ranks: every rank gets the totals, with the same
    /// bits whatever the library and the machine. Any number of values, the same on all ranks.
    ///
    /// ```text
    /// total = (v₀ + v₁) + v₂ + …
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfStep`] where ranks have other numbers of values, [`Error::TooLarge`], and those of ranks that do not work
    /// together; the values are not changed then.
    pub fn ordered_sum(&mut self, values: &mut [f32]) -> Result<(), Error> {
        let (network, engine) = self.parts();
        let result = engine.ordered_sum(network, values);
        self.parts().1.judge(result)
    }

    /// The plan of [`ordered_sum`](Self::ordered_sum) for so many values.
    #[must_use]
    pub fn plan_of_sum(&self, values: usize) -> Plan {
        self.engine().plan_of_sum(&layout(values), &Blocks(vec![1; self.size()]))
    }
}

impl Engine<'_> {
    fn plan_of_sum(&self, layout: &Layout, blocks: &Blocks) -> Plan {
        plan::plan(layout, &self.gp, &self.options, (State::Replicated, &[0..1]), blocks)
    }

    fn ordered_sum(&mut self, network: &Network, values: &mut [f32]) -> Result<(), Error> {
        let side = Side { same: values.len() as u64, ..Side::default() };
        agree(&mut self.links, network, Call::Sum, Ok(side))?;
        let (layout, blocks) = (layout(values.len()), Blocks(vec![1; self.links.size()]));
        let plan = self.plan_of_sum(&layout, &blocks);
        let adding = Adding { isa: self.isa(), scale: 1.0 };
        let result = self.links.keep_together(|links| {
            let mut reduce = Reduce::start(links, &layout, &plan, &blocks, adding, true)?;
            reduce.take_block(links, 0, values)?;
            let totals = reduce.wait(links)?;
            links.finish()?;
            Ok(totals)
        });
        // SAFETY: no request is under way.
        values.copy_from_slice(unsafe { self.links.memory().values(result?) });
        Ok(())
    }
}

/// Values as the weights of a single layer.
fn layout(values: usize) -> Layout {
    Layout::new(core::iter::once([values, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LogGp;
    use crate::options::{Options, Way};

    #[test]
    fn few_values_are_exchanged_and_the_plan_can_be_forced() {
        let (gp, blocks) = (LogGp::TEN_GIGABIT, Blocks(vec![1; 4]));
        let plan = |options| plan::plan(&layout(100), &gp, &options, (State::Replicated, &[0..1]), &blocks).way;
        assert_eq!(plan(Options::new()), Way::Exchange);
        assert_eq!(plan(Options::new().way(Way::Chain)), Way::Chain);
    }
}
