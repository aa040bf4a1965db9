//! A network that all ranks train together.

use crate::call::{Call, Side, agree};
use crate::engine::{Aim, Engine, Step};
use crate::error::Error;
use crate::layout::share;
use crate::links::Links;
use crate::model::LogGp;
use crate::options::{Options, State};
use crate::plan::{Blocks, Plan};
use core::fmt;
use core::ops::Range;
use fused_dense::{Input, Network, SUM_BLOCK, Targets};
use mpi::environment::Universe;
use mpi::traits::Communicator;
use std::path::Path;

/// A [`Network`] that all ranks of a communicator train together: parameters have the bits that one machine would give them,
/// on any number of ranks.
///
/// Every rank makes the same calls. A batch is the parts of all ranks in the order of their numbers; each part is whole blocks
/// of [`SUM_BLOCK`] samples, but for the last, and may be empty. [`share`](Self::share) cuts a batch so.
///
/// A rank that panics ends the job, since the others would wait for it: where this is dropped by a panic, all ranks are aborted.
///
/// ```no_run
/// use fused_dense::{Activation, Network};
/// use fused_dense_mpi::{Distributed, Options};
/// use mpi::Threading;
///
/// let (universe, _) = mpi::initialize_with_threading(Threading::Funneled).expect("MPI is initialised once");
/// let network = Network::builder(1).layer(1, Activation::Tanh).seed(1).build()?;
/// let mut distributed = Distributed::new(&universe, &universe.world(), network, Options::new())?;
///
/// let x: Vec<f32> = (0..1024).map(|i| i as f32 / 1024.0).collect();
/// let y: Vec<f32> = x.iter().map(|x| x * x).collect();
/// let own = distributed.share(x.len());
/// for _ in 0..100 {
///     let step = distributed.step(&x[own.clone()], &y[own.clone()])?;
///     if distributed.rank() == 0 {
///         println!("{}", step.cost);
///     }
/// }
/// # Ok::<(), fused_dense_mpi::Error>(())
/// ```
pub struct Distributed<'u> {
    network: Network,
    engine: Engine<'u>,
}

impl fmt::Debug for Distributed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rank, size) = (self.rank(), self.size());
        f.debug_struct("Distributed").field("rank", &rank).field("size", &size).finish_non_exhaustive()
    }
}

impl<'u> Distributed<'u> {
    /// Brings the ranks together: compares how they are set up, and measures how fast messages are, which takes some
    /// milliseconds and is left out where the options leave the plan no choice.
    ///
    /// # Errors
    /// On all ranks [`Error::Disagree`], which says how each rank differs from rank 0; [`Error::Thread`];
    /// [`Error::Silent`] and [`Error::Mpi`], which end the job unless [the options](Options::return_failures) say otherwise.
    pub fn new(
        universe: &'u Universe,
        communicator: &impl Communicator,
        network: Network,
        options: Options,
    ) -> Result<Self, Error> {
        let aborts = options.aborts;
        let end = |error: Error| {
            // Nothing that could be aborted exists yet.
            if aborts && matches!(error, Error::Silent { .. } | Error::Mpi { .. }) {
                eprintln!("fused-dense-mpi: rank {} ends the job: {error}", communicator.rank());
                communicator.abort(1);
            }
            error
        };
        let links = Links::new(universe, communicator.as_raw(), options.patience).map_err(end)?;
        let engine = Engine::new(links, &network, options).map_err(end)?;
        Ok(Self { network, engine })
    }

    /// This rank's number.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.engine.links.rank()
    }

    /// Number of ranks.
    #[must_use]
    pub fn size(&self) -> usize {
        self.engine.links.size()
    }

    /// The network, to predict and to evaluate with, on any rank at any time.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network, to be changed in the same way on all ranks: its learning rate, say. The next call notices other settings of
    /// the optimiser and other numbers of steps, but no other parameters.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The network alone, complete on each rank: a shared state is gathered first.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn into_network(mut self) -> Result<Network, Error> {
        if self.engine.state == State::Shared {
            let gathered = self.engine.gather_state(&mut self.network, None);
            self.engine.judge(gathered)?;
        }
        Ok(self.network)
    }

    /// The samples of a batch that are this rank's share.
    #[must_use]
    pub fn share(&self, samples: usize) -> Range<usize> {
        share(samples, SUM_BLOCK, self.rank(), self.size())
    }

    /// The plan for a batch of so many samples that is [shared](Self::share) out.
    #[must_use]
    pub fn plan(&self, samples: usize) -> Plan {
        let blocks =
            (0..self.size()).map(|rank| share(samples, SUM_BLOCK, rank, self.size()).len().div_ceil(SUM_BLOCK));
        self.engine.plan(&Blocks(blocks.collect()))
    }

    /// The numbers that plans are made from: measured, or [`LogGp::TEN_GIGABIT`] where the options leave no choice.
    #[must_use]
    pub fn machine(&self) -> LogGp {
        self.engine.gp
    }

    /// One step of the optimiser along the gradients of the cost of all ranks' samples: [`Network::step`] on the whole batch, to
    /// the bit. `x` and the targets are this rank's part.
    ///
    /// A batch without samples has cost 0, and is no step.
    ///
    /// # Errors
    /// [`Error::Network`] where this rank's part is refused, or the cost or a gradient is not finite (then on all ranks);
    /// [`Error::OtherRank`], [`Error::Part`], [`Error::Weights`], [`Error::OutOfStep`]: nothing is touched on any rank then.
    /// [`Error::Silent`] and [`Error::Mpi`], which end the job unless the options say otherwise. [`Error::File`] where a
    /// checkpoint was due: the step is done then.
    pub fn step<'a>(&mut self, x: impl Into<Input<'a>>, targets: impl Into<Targets<'a>>) -> Result<Step, Error> {
        let step = self.pass(x.into(), targets.into(), Aim::Step)?;
        if step.ranks > 0 {
            let written = self.engine.checkpoint_if_due(&mut self.network);
            self.engine.judge(written)?;
        }
        Ok(step)
    }

    /// The gradients of the cost of all ranks' samples, in the layers of each rank: those of [`Network::gradients`] on the whole
    /// batch, to the bit.
    ///
    /// # Errors
    /// As [`step`](Self::step), but that gradients may be infinite or NaN.
    pub fn gradients<'a>(&mut self, x: impl Into<Input<'a>>, targets: impl Into<Targets<'a>>) -> Result<Step, Error> {
        self.pass(x.into(), targets.into(), Aim::Gradients)
    }

    fn pass(&mut self, x: Input<'_>, targets: Targets<'_>, aim: Aim) -> Result<Step, Error> {
        let part = self.network.part(x, targets).map_err(Error::from);
        let result = self.engine.run(&mut self.network, part, aim, 0);
        self.engine.judge(result)
    }

    /// A step along the gradients in the layers, as [`Network::apply_gradients`]: between it and
    /// [`gradients`](Self::gradients) they may be changed in the same way on all ranks
    /// ([`Network::clip_gradients`]).
    ///
    /// # Errors
    /// As [`Network::apply_gradients`], and those of ranks that do not work together.
    pub fn apply_gradients(&mut self) -> Result<(), Error> {
        let result = self.engine.apply(&mut self.network);
        self.engine.judge(result)
    }

    /// Has rank 0 write a checkpoint ([`Network::save_checkpoint`]): all that training goes on from, on any number of ranks.
    ///
    /// The file takes the place of an old one as a whole or not at all. To go on, each rank loads it into its network
    /// ([`Network::load_checkpoint`]) before the ranks are brought together.
    ///
    /// # Errors
    /// [`Error::File`] on rank 0 and [`Error::OtherRank`] on the others where it cannot be written, and those of ranks that do
    /// not work together.
    pub fn checkpoint(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let result = self.engine.checkpoint(&mut self.network, path.as_ref());
        self.engine.judge(result)
    }

    /// Ends all ranks at once, with a message on the terminal: for a rank that cannot go on, whose end the others would not
    /// notice before their patience is over.
    pub fn abort(&self, message: &str) -> ! {
        self.engine.links.abort(message)
    }

    /// The engine alone.
    pub(crate) fn engine(&self) -> &Engine<'u> {
        &self.engine
    }

    /// Network and engine.
    pub(crate) fn parts(&mut self) -> (&mut Network, &mut Engine<'u>) {
        (&mut self.network, &mut self.engine)
    }
}

impl Engine<'_> {
    /// A step along the gradients in the layers.
    fn apply(&mut self, network: &mut Network) -> Result<(), Error> {
        let missing = Err(fused_dense::Error::NoGradients.into());
        let side = if network.has_gradients() { Ok(Side::default()) } else { missing };
        agree(&mut self.links, network, Call::Apply, side)?;
        if self.state == State::Replicated {
            return Ok(network.apply_gradients()?);
        }
        self.links.make_room(self.layout.len())?;
        for (layer, of_layer) in network.layers().iter().enumerate() {
            for (range, gradient) in self.layout.layer(layer).into_iter().zip([of_layer.d_w(), of_layer.d_b()]) {
                // SAFETY: no request is under way.
                unsafe { self.links.memory().values_mut(range) }.copy_from_slice(gradient);
            }
        }
        let not_finite = if network.is_guarded() { self.first_not_finite(0) } else { None };
        self.check_finite(not_finite)?;
        self.update_slices(network, 0)
    }
}
