//! The training loop of all ranks.

use crate::call::{Call, Side, agree, fingerprint};
use crate::distributed::Distributed;
use crate::engine::{Aim, Engine};
use crate::error::Error;
use crate::layout::share;
use fused_dense::{Fit, FitSteps, History, Network, SUM_BLOCK, Samples, Targets};

impl Distributed<'_> {
    /// Trains on samples that every rank has, or maps into its memory: [`Network::fit`], to the bit. Each rank works on its
    /// [share](Self::share) of each batch. Without [`Fit::batch`] a batch has one block for each rank.
    ///
    /// Every rank gets the same history. Where [`Fit::on_epoch`] of one rank wants to end the training, it ends on all.
    /// Checkpoints are written as [`Options::checkpoint`](crate::Options::checkpoint) says; training that was stopped goes on
    /// with [`Fit::first_epoch`] and [`Fit::first_batch`], as [`Network::next_epoch`] and [`Network::next_batch`] of the
    /// checkpoint have them.
    ///
    /// # Errors
    /// As [`step`](Self::step) and [`Network::fit`]; [`Error::OutOfStep`] where ranks go through their samples in different
    /// orders.
    pub fn fit<'t>(&mut self, x: &[f32], targets: impl Into<Targets<'t>>, fit: Fit<'_>) -> Result<History, Error> {
        let fit = fit.batch_or(self.size().saturating_mul(SUM_BLOCK));
        let (network, engine) = self.parts();
        let history = network.fit_by(x, targets, fit, usize::MAX, &mut Together { engine });
        self.parts().1.judge(history)
    }
}

/// The steps of all ranks.
struct Together<'e, 'u> {
    engine: &'e mut Engine<'u>,
}

impl FitSteps for Together<'_, '_> {
    type Error = Error;

    fn step(&mut self, network: &mut Network, samples: &mut Samples<'_>, rows: &[usize]) -> Result<f64, Error> {
        let order = fingerprint(rows.iter().map(|&row| row as u64));
        let own = share(rows.len(), SUM_BLOCK, self.engine.links.rank(), self.engine.links.size());
        let part = samples.gather(&rows[own]).and_then(|(x, targets)| network.part(x, targets));
        Ok(self.engine.run(network, part.map_err(Error::from), Aim::Step, order)?.cost)
    }

    fn after_step(&mut self, network: &mut Network) -> Result<(), Error> {
        self.engine.checkpoint_if_due(network)
    }

    fn ends(&mut self, network: &Network, wants_to: bool) -> Result<bool, Error> {
        let side = Side { note: u64::from(wants_to), ..Side::default() };
        let sides = agree(&mut self.engine.links, network, Call::Epoch, Ok(side))?;
        Ok(sides.iter().any(|side| side.note > 0))
    }
}
