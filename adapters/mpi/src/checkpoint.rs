//! Checkpoints, written by rank 0.

use crate::call::{Call, Side, agree};
use crate::engine::Engine;
use crate::error::Error;
use crate::options::State;
use fused_dense::Network;
use std::path::Path;

impl Engine<'_> {
    /// Writes a checkpoint where one is due after the steps taken.
    pub(crate) fn checkpoint_if_due(&mut self, network: &mut Network) -> Result<(), Error> {
        match self.options.checkpoint.clone() {
            Some((path, every)) if network.steps().is_multiple_of(every) => self.checkpoint(network, &path),
            _ => Ok(()),
        }
    }

    /// Has rank 0 write a checkpoint; all ranks know in the end whether it is there.
    pub(crate) fn checkpoint(&mut self, network: &mut Network, path: &Path) -> Result<(), Error> {
        const WRITER: usize = 0;
        agree(&mut self.links, network, Call::Checkpoint, Ok(Side::default()))?;
        if self.state == State::Shared {
            self.gather_state(network, Some(WRITER))?;
        }
        let is_writer = self.links.rank() == WRITER;
        let written = if is_writer { network.save_checkpoint(path).map_err(Error::from) } else { Ok(()) };
        agree(&mut self.links, network, Call::Checkpoint, written.map(|()| Side::default()))?;
        Ok(())
    }
}
