//! How a layer is made and set up.

use super::{Dense, WorkspaceLayout};
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::isa::{self, Isa};
use crate::summation::Summation;
use crate::threads::Threads;
use crate::tuning::Tuning;
use crate::workspace::Workspace;

impl Dense {
    /// Plans a layer: serial, on the best instruction set that the CPU has and the environment variable
    /// [`ISA_VARIABLE`](crate::ISA_VARIABLE) allows.
    ///
    /// This is where scratch memory is allocated ([`workspace_len`](Self::workspace_len)); no call allocates, but for the
    /// tasks of a rayon pool ([`Threads`]). An error of the instruction set or the tuning row (an unknown name in a
    /// variable, a cap below the build's kernels), or of the activation's parameter, is reported by every call.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, activation: Activation) -> Self {
        let layer = Self {
            inputs,
            outputs,
            activation,
            summation: Summation::Auto,
            whole_batch: 0,
            threads: Threads::Serial.into(),
            target: activation.checked().and_then(|_| isa::select_default()),
            layout: Ok(WorkspaceLayout::default()),
            workspace: Workspace::default(),
        };
        layer.with_fresh_workspace()
    }

    /// Uses no instruction set above `cap`, whatever the environment says.
    #[must_use]
    pub fn with_isa(self, cap: Isa) -> Self {
        Self { target: self.activation.checked().and_then(|_| isa::select(cap)), ..self }.with_fresh_workspace()
    }

    /// Plans by this tuning row, whatever the CPU is and the environment says. A row for another instruction set than the
    /// layer's is reported by every call.
    #[must_use]
    pub fn with_tuning(self, tuning: &'static Tuning) -> Self {
        let target = self.target.clone().and_then(|target| target.with_tuning(tuning));
        Self { target, ..self }.with_fresh_workspace()
    }

    /// Where the work may run: a choice of [`Threads`], or a [`Team`](crate::Team).
    #[must_use]
    pub fn with_threads(self, threads: impl Into<Threads>) -> Self {
        Self { threads: threads.into().into(), ..self }.with_fresh_workspace()
    }

    /// The order in which the terms of a sum are added. Pinned, results depend neither on the batch around a sample nor on the
    /// weights' layout, as by default they may ([`Summation::Auto`]).
    #[must_use]
    pub fn with_summation(self, summation: Summation) -> Self {
        Self { summation, ..self }
    }

    fn with_fresh_workspace(self) -> Self {
        let too_large = Error::TooLarge { operand: Operand::W };
        let layout = self.target().and_then(|target| WorkspaceLayout::new(&self, target).ok_or(too_large));
        let workspace = layout.as_ref().map(|layout| Workspace::new(layout.total)).unwrap_or_default();
        Self { layout, workspace, ..self }
    }
}
