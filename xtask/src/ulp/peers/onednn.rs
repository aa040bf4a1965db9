//! oneDNN's sigmoid, behind the inner product of a layer as the bench calls it.

use super::{Peer, Peers};
use crate::bench::shape::{Shape, Weights};
use crate::bench::workload::{Task, Workload};
use crate::peers::{self, Contender, Found, Plan};
use anyhow::{Context, bail};
use fused_dense::Activation;

/// Outputs of the layer.
const LEN: usize = 1 << 16;

struct OneDnn {
    layer: Box<dyn Contender>,
    /// One sample of one input, which is 0: what the sigmoid gets is the bias.
    work: Workload,
}

/// Every version.
///
/// # Errors
/// Where the look-up itself fails.
pub fn find() -> anyhow::Result<Peers> {
    let Found { contenders, mut absent } = peers::find(&[])?;
    absent.retain(|(name, _)| name.starts_with("onednn"));
    // With its weights packed it has the same sigmoid.
    let is_wanted = |layer: &dyn Contender| layer.name().starts_with("onednn") && layer.weights() == Weights::Plain;
    let layers = contenders.into_iter().filter(|layer| is_wanted(&**layer));
    let found = layers.map(|layer| Box::new(OneDnn::new(layer)) as Box<dyn Peer>).collect();
    Ok(Peers { found, absent })
}

impl OneDnn {
    fn new(layer: Box<dyn Contender>) -> Self {
        let mut work = Workload::new(Shape::new(1, 1, LEN));
        work.x.fill(0.0);
        Self { layer, work }
    }
}

impl Peer for OneDnn {
    fn library(&self) -> &str {
        "oneDNN"
    }

    fn version(&self) -> &str {
        self.layer.version()
    }

    fn functions(&self) -> &[Activation] {
        &[Activation::Sigmoid]
    }

    fn run(&mut self, _: Activation, x: &[f32], results: &mut [f32]) -> anyhow::Result<()> {
        for (x, results) in x.chunks(LEN).zip(results.chunks_mut(LEN)) {
            self.work.b[..x.len()].copy_from_slice(x);
            let mut routine = match self.layer.plan(Task::Forward(&self.work), 1)? {
                Plan::Ready(routine) => routine,
                Plan::Absent(reason) => bail!("{reason}"),
            };
            routine.run()?;
            let a = routine.results()?.pop().context("a layer without result")?;
            results.copy_from_slice(&a.values[..x.len()]);
        }
        Ok(())
    }
}
