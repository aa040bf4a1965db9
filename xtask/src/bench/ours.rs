//! Our layers alone, without peers: checked, and ready to be timed.

use super::measure::{Caches, Place, Timed};
use super::shape::{Pass, Weights};
use super::verify::Judge;
use super::workload::{Task, Workload};
use crate::peers::{Contender, Fused, Plan, Sharing};
use anyhow::bail;
use fused_dense::{Activation, Dense, Isa};

impl Fused {
    /// Our layers with plain weights, on this instruction set or the best.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn plain(isa: Option<Isa>) -> anyhow::Result<Self> {
        let isa = isa.map_or_else(|| Dense::new(1, 1, Activation::Identity).isa(), Ok)?;
        Ok(Self { isa, sharing: Sharing::Team, weights: Weights::Plain, tuning: None })
    }

    /// A pass of one layer, whose results have been found to be right.
    ///
    /// # Errors
    /// Where they are wrong, and for passes of whole networks.
    pub fn timed<'w>(&'w self, work: &'w Workload, pass: Pass, threads: usize) -> anyhow::Result<Timed<'w>> {
        let task = match pass {
            Pass::Forward => Task::Forward(work),
            Pass::Backward => Task::Backward(work),
            Pass::Step | Pass::Epoch => bail!("only passes of one layer are measured here"),
        };
        let Plan::Ready(mut routine) = self.plan(task, threads)? else { bail!("no plan for {}", work.shape) };
        routine.run()?;
        Judge::new(task.expected(), routine.results()?)?;
        Timed::calibrate(routine, threads, Place::FirstCore, Caches::Warm)
    }
}
