//! Long work in stretches, between which signals are looked for.

use super::{Core, Network};
use crate::errors::raise;
use fused_dense::Error;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long work goes on before somebody looks for signals.
const STRETCH: Duration = Duration::from_millis(50);

impl Network {
    /// Works on the network part by part, until a part says that it was the last.
    ///
    /// Between stretches nobody has the network, so that a handler of a signal may use it. What the handler raises ends the
    /// work behind a whole part.
    pub(crate) fn in_stretches(
        &self,
        py: Python<'_>,
        mut part: impl FnMut(&mut Core) -> Result<bool, Error> + Send,
    ) -> PyResult<()> {
        loop {
            let is_over = self.core.write(py, |core| {
                let start = Instant::now();
                loop {
                    if part(core)? {
                        return Ok(true);
                    }
                    if start.elapsed() >= STRETCH {
                        return Ok(false);
                    }
                }
            })?;
            if is_over.map_err(raise)? {
                return Ok(());
            }
            py.check_signals()?;
        }
    }
}
