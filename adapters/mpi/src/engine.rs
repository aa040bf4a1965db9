//! A step of all ranks: agreement, the passes with the reduction behind them, and the update.

use crate::call::{Batch, Call, Side, agree};
use crate::error::Error;
use crate::handshake;
use crate::layout::Layout;
use crate::links::{Adding, Links};
use crate::measure::measure;
use crate::model::LogGp;
use crate::options::{Options, State};
use crate::plan::{self, Blocks, Plan};
use crate::reduce::Reduce;
use crate::tags;
use core::ops::Range;
use fused_dense::{Isa, Network, Operand, Part};

/// All that ranks work together with, beside the network.
pub(crate) struct Engine<'u> {
    pub(crate) links: Links<'u>,
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) gp: LogGp,
    pub(crate) state: State,
    /// The layers that are reduced together.
    pub(crate) buckets: Vec<Range<usize>>,
    isa: Isa,
    /// The fewest ranks with work that rank 0 has told of.
    told: usize,
}

/// The answer of a distributed step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The cost of the whole batch, before the step: on every rank the same.
    pub cost: f64,
    /// Samples of the whole batch.
    pub samples: usize,
    /// Ranks that had samples. Where a batch has fewer blocks than there are ranks, it is fewer than all.
    pub ranks: usize,
}

/// The use of the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// They stay in the layers of every rank.
    Gradients,
    /// The optimiser takes a step along them.
    Step,
}

/// The work of all ranks together.
struct Reduced {
    /// Where the totals stand.
    totals: Range<usize>,
    /// Of this rank's blocks.
    costs: Vec<f64>,
}

impl<'u> Engine<'u> {
    /// Compares the ranks, and measures what the plan wants to know.
    pub(crate) fn new(mut links: Links<'u>, network: &Network, options: Options) -> Result<Self, Error> {
        handshake::compare(&mut links, network, &options)?;
        let isa = network.layers().first().ok_or(fused_dense::Error::NoLayers)?.dense().isa()?;
        let layout = Layout::of(network);
        let is_forced = options.way.is_some() && options.state.is_some() && options.bucket.is_some();
        let gp = if is_forced { LogGp::TEN_GIGABIT } else { measure(&mut links, network, Adding { isa, scale: 1.0 })? };
        let ranks = links.size();
        let state = plan::state(&layout, &gp, &options, ranks, network.optimizer().state_arrays());
        let buckets = plan::buckets(&layout, &gp, &options, ranks);
        Ok(Self { links, options, layout, gp, state, buckets, isa, told: ranks })
    }

    /// The instruction set by which sums are added.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn plan(&self, blocks: &Blocks) -> Plan {
        plan::plan(&self.layout, &self.gp, &self.options, (self.state, &self.buckets), blocks)
    }

    /// Ends the job where the ranks can no longer work together, unless the caller wants to know.
    pub(crate) fn judge<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Err(error) if self.links.is_broken() && self.options.aborts && !matches!(error, Error::Broken) => {
                self.links.abort(&error.to_string())
            }
            other => other,
        }
    }

    /// One pass of all ranks over their parts of a batch. `same` is a number that has to be the same on all.
    pub(crate) fn run(
        &mut self,
        network: &mut Network,
        part: Result<Part<'_>, Error>,
        aim: Aim,
        same: u64,
    ) -> Result<Step, Error> {
        let side =
            |part: &Part<'_>| Side { samples: part.samples() as u64, is_weighted: part.is_weighted(), note: 0, same };
        let call = if aim == Aim::Step { Call::Step } else { Call::Gradients };
        let (part, side) = match part {
            Ok(part) => (Some(part), Ok(side(&part))),
            Err(error) => (None, Err(error)),
        };
        let sides = agree(&mut self.links, network, call, side)?;
        let Some(part) = part else { return Err(Error::Broken) };
        let batch = Batch::of(&mut self.links, &sides, &part)?;
        let plan = self.plan(&batch.blocks);
        let step = |cost| Step { cost, samples: batch.whole.samples(), ranks: plan.workers };
        if plan.workers == 0 {
            if aim == Aim::Gradients {
                network.gradients_mut().flatten().for_each(|gradient| gradient.fill(0.0));
            }
            return Ok(step(0.0));
        }
        self.tell(&plan, batch.whole.samples());
        let result = match (aim, self.state) {
            (Aim::Step, State::Shared) => self.shared_step(network, &part, &batch, &plan),
            _ => self.replicated(network, &part, &batch, &plan, aim),
        };
        result.map(step)
    }

    /// All ranks get all gradients, and each updates all parameters.
    fn replicated(
        &mut self,
        network: &mut Network,
        part: &Part<'_>,
        batch: &Batch,
        plan: &Plan,
        aim: Aim,
    ) -> Result<f64, Error> {
        let Reduced { totals, costs } = self.reduce(network, part, batch, plan, true)?;
        let (cost, _) = self.costs(costs, batch, None)?;
        if aim == Aim::Step {
            check_cost(network, cost)?;
        }
        self.copy_gradients(network, totals.start);
        if aim == Aim::Step {
            let applied = network.apply_gradients();
            if applied.is_err() {
                network.forget_gradients();
            }
            applied?;
        }
        Ok(cost)
    }

    /// Each rank gets the gradients of its slices, updates their parameters, and sends them to all others.
    fn shared_step(
        &mut self,
        network: &mut Network,
        part: &Part<'_>,
        batch: &Batch,
        plan: &Plan,
    ) -> Result<f64, Error> {
        let Reduced { totals, costs } = self.reduce(network, part, batch, plan, false)?;
        let not_finite = if network.is_guarded() { self.first_not_finite(totals.start) } else { None };
        let (cost, not_finite) = self.costs(costs, batch, not_finite)?;
        check_cost(network, cost)?;
        check_gradient(not_finite)?;
        self.update_slices(network, totals.start)?;
        Ok(cost)
    }

    /// The passes and the reduction: from here on every rank waits for the others, so that no error is one rank's alone.
    fn reduce(
        &mut self,
        network: &mut Network,
        part: &Part<'_>,
        batch: &Batch,
        plan: &Plan,
        gathers: bool,
    ) -> Result<Reduced, Error> {
        let Self { links, layout, .. } = self;
        let adding = Adding { isa: self.isa, scale: batch.whole.scale() };
        let mut costs = vec![0.0; part.blocks()];
        let totals = links.keep_together(|links| {
            let mut reduce = Reduce::start(links, layout, plan, &batch.blocks, adding, gathers)?;
            network.sums_by_block(part, batch.whole, |sums| {
                costs[sums.block] = sums.cost;
                reduce.take(links, &sums)
            })?;
            let totals = reduce.wait(links)?;
            links.finish()?;
            Ok(totals)
        })?;
        Ok(Reduced { totals, costs })
    }

    /// The cost of the whole batch, its blocks added in their order; and the first gradient that a rank found not finite.
    fn costs(
        &mut self,
        costs: Vec<f64>,
        batch: &Batch,
        not_finite: Option<(usize, Operand)>,
    ) -> Result<(f64, Option<(usize, Operand)>), Error> {
        let (sum, not_finite) = self.report(costs, |rank| batch.blocks.0[rank], not_finite)?;
        Ok((sum / batch.whole.divisor(), not_finite))
    }

    /// Whether all ranks found their gradients finite.
    ///
    /// # Errors
    /// [`Error::Network`] on all ranks, of the first gradient that is not, and those of waiting.
    pub(crate) fn check_finite(&mut self, not_finite: Option<(usize, Operand)>) -> Result<(), Error> {
        let (_, not_finite) = self.report(Vec::new(), |_| 0, not_finite)?;
        check_gradient(not_finite)
    }

    /// Tells all ranks of costs, and of a gradient that is not finite: the sum of all costs, and the first such gradient.
    fn report(
        &mut self,
        costs: Vec<f64>,
        lens: impl Fn(usize) -> usize,
        not_finite: Option<(usize, Operand)>,
    ) -> Result<(f64, Option<(usize, Operand)>), Error> {
        let code = |(layer, operand)| (1 + 2 * layer) as f64 + if operand == Operand::DB { 1.0 } else { 0.0 };
        let letter = core::iter::once(not_finite.map_or(0.0, code)).chain(costs).collect();
        let letters = self.links.exchange(letter, |rank| 1 + lens(rank), tags::COSTS)?;
        let sum = letters.iter().flat_map(|letter| &letter[1..]).fold(0.0, |sum, cost| sum + cost);
        let codes = letters.iter().map(|letter| letter[0] as usize).filter(|code| *code > 0);
        let of = |code: usize| ((code - 1) / 2, if code % 2 == 1 { Operand::DW } else { Operand::DB });
        Ok((sum, codes.min().map(of)))
    }

    /// Copies totals to the layers of this rank.
    fn copy_gradients(&mut self, network: &mut Network, totals: usize) {
        let layout = &self.layout;
        for (layer, gradients) in network.gradients_mut().enumerate() {
            for (range, gradient) in layout.layer(layer).into_iter().zip(gradients) {
                // SAFETY: no request is under way.
                let values = unsafe { self.links.memory().values(totals + range.start..totals + range.end) };
                gradient.copy_from_slice(values);
            }
        }
    }

    /// Says where a batch leaves ranks without work: once for each number of ranks.
    fn tell(&mut self, plan: &Plan, samples: usize) {
        let Plan { ranks, workers, .. } = *plan;
        if workers < self.told {
            self.told = workers;
            if self.links.rank() == 0 && self.options.notes {
                eprintln!("fused-dense-mpi: {workers} of {ranks} ranks have work: a batch has {samples} samples");
            }
        }
    }
}

/// # Errors
/// [`Error::Network`] where there is a gradient that is not finite.
fn check_gradient(not_finite: Option<(usize, Operand)>) -> Result<(), Error> {
    match not_finite {
        None => Ok(()),
        Some((layer, operand)) => Err(fused_dense::Error::NotFinite { layer: Some(layer), operand }.into()),
    }
}

/// # Errors
/// [`Error::Network`] where a guarded network's cost is not finite.
fn check_cost(network: &Network, cost: f64) -> Result<(), Error> {
    if network.is_guarded() && !cost.is_finite() {
        return Err(fused_dense::Error::NotFinite { layer: None, operand: Operand::Cost }.into());
    }
    Ok(())
}
