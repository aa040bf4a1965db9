//! The calls that rows are compared by.

use crate::bench::workload::{Task, Workload};
use crate::peers::{Contender, Fused, Plan, Routine};
use anyhow::bail;
use fused_dense::{Adam, Optimizer, Sgd};
use std::fmt;

/// A call of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Forward,
    Backward,
    /// Backward, and a step of plain gradient descent.
    Descent,
    /// Backward, and a step of Adam.
    Adam,
}

/// A learning rate by which weights keep their size, however often a call is timed.
const RATE: f32 = 1e-7;

impl Call {
    /// The optimiser of a call that updates.
    pub fn optimizer(self) -> Option<Optimizer> {
        match self {
            Self::Forward | Self::Backward => None,
            Self::Descent => Some(Sgd::new(RATE).into()),
            Self::Adam => Some(Adam::new(RATE).into()),
        }
    }

    /// The call by one of our layers, ready to be timed.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn routine<'a>(
        self,
        ours: &'a Fused,
        work: &'a Workload,
        threads: usize,
    ) -> anyhow::Result<Box<dyn Routine + 'a>> {
        if let Some(optimizer) = self.optimizer() {
            return Ok(Box::new(ours.update(work, threads, optimizer)?));
        }
        let task = if self == Self::Forward { Task::Forward(work) } else { Task::Backward(work) };
        let Plan::Ready(routine) = ours.plan(task, threads)? else { bail!("no plan for {}", work.shape) };
        Ok(routine)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Descent => "descent",
            Self::Adam => "Adam",
        })
    }
}
