//! How a layer is made and set up.

use super::{Dense, WorkspaceLayout};
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::isa::{self, Isa};
use crate::summation::Summation;
use crate::threads::Threads;
use crate::workspace::Workspace;

impl Dense {
    /// Plans a layer: serial, on the best instruction set that the CPU has and the environment variable
    /// [`ISA_VARIABLE`](crate::ISA_VARIABLE) allows.
    ///
    /// This is where scratch memory is allocated ([`workspace_len`](Self::workspace_len)); no call allocates. What is
    /// wrong with the instruction set (an unknown name in the variable, a cap below what the build holds) is reported
    /// by every call.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, activation: Activation) -> Self {
        let layer = Self {
            inputs,
            outputs,
            activation,
            summation: Summation::Auto,
            threads: Threads::Serial,
            kernels: isa::select_default(),
            layout: Ok(WorkspaceLayout::default()),
            workspace: Workspace::default(),
        };
        layer.with_fresh_workspace()
    }

    /// Uses no instruction set above `cap`, whatever the environment says.
    #[must_use]
    pub fn with_isa(self, cap: Isa) -> Self {
        Self { kernels: isa::select(cap), ..self }.with_fresh_workspace()
    }

    /// Where the work may run: a choice of [`Threads`], or a [`Team`](crate::Team).
    #[must_use]
    pub fn with_threads(self, threads: impl Into<Threads>) -> Self {
        Self { threads: threads.into(), ..self }.with_fresh_workspace()
    }

    /// The order in which the terms of a sum are added.
    #[must_use]
    pub fn with_summation(self, summation: Summation) -> Self {
        Self { summation, ..self }
    }

    fn with_fresh_workspace(self) -> Self {
        let too_large = Error::TooLarge { operand: Operand::W };
        let layout = self.kernels().and_then(|kernels| WorkspaceLayout::new(&self, kernels).ok_or(too_large));
        let workspace = layout.as_ref().map(|layout| Workspace::new(layout.total)).unwrap_or_default();
        Self { layout, workspace, ..self }
    }
}
