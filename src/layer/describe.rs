//! What a call will do, and why.

use super::{Dense, Weights};
use crate::error::Error;
use crate::gemm::Gemm;
use crate::gemm::packed::WeightsSource;
use crate::isa::{Isa, Kernels};
use crate::kernel::chain::Start;
use crate::kernel::{Sink, Source};
use crate::plan::{self, Packing};
use crate::summation::Summation;
use core::fmt;

/// How a layer computes its three products for one batch size, with plain slices.
///
/// ```
/// use fused_dense::{Activation, Dense};
///
/// let description = Dense::new(784, 30, Activation::Sigmoid).describe(32)?;
/// assert_eq!((description.threads, description.forward.workers), (1, 1));
/// println!("{description}");
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The instruction set.
    pub isa: Isa,
    /// Threads that a call can have, when made from where the description was asked for.
    pub threads: usize,
    /// Whose threads they are, or why there is but one.
    pub threads_source: &'static str,
    /// `z = a_prev · wᵀ + b`
    pub forward: ProductPlan,
    /// `dw = s · dzᵀ · a_prev`
    pub d_w: ProductPlan,
    /// `dA_prev = dz · w`
    pub d_a_prev: ProductPlan,
}

/// How one product is computed.
///
/// ```
/// use fused_dense::{Activation, Dense, Summation};
///
/// let layer = Dense::new(784, 30, Activation::Sigmoid).with_summation(Summation::Chain);
/// let plan = layer.describe(32)?.forward;
/// assert_eq!(plan.summation, Summation::Chain);
/// println!("tiles of {}×{}", plan.tile.0, plan.tile.1);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProductPlan {
    /// The order of the sums, `Chain` or `Lanes`.
    pub summation: Summation,
    /// Rows and columns of the micro-kernel's largest tile.
    pub tile: (usize, usize),
    /// How the right operand reaches the kernel.
    pub operand: &'static str,
    /// Threads that share the output: as many as finish it first, what it costs to call them included.
    pub workers: usize,
}

impl Dense {
    /// How calls with this batch size and plain slices will be computed, when made from this thread.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense};
    /// println!("{}", Dense::new(784, 30, Activation::Sigmoid).describe(32)?);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the instruction set.
    pub fn describe(&self, batch: usize) -> Result<Description, Error> {
        let w = Source { ptr: core::ptr::null(), row_stride: self.inputs, col_stride: 1 };
        self.describe_products(batch, &WeightsSource::plain(w))
    }

    /// How calls with this batch size and these weights, packed or in a layout of their own, will be computed, when made
    /// from this thread.
    ///
    /// # Errors
    /// Where the weights do not fit the layer, and what is wrong with the instruction set.
    pub fn describe_with<'a>(&self, batch: usize, w: impl Into<Weights<'a>>) -> Result<Description, Error> {
        let w = w.into().source(self, self.kernels()?)?;
        self.describe_products(batch, &w)
    }

    fn describe_products(&self, batch: usize, w: &WeightsSource) -> Result<Description, Error> {
        let kernels = self.kernels()?;
        let matrix = |cols: usize| Source { ptr: core::ptr::null(), row_stride: cols, col_stride: 1 };
        let output = |cols: usize| Sink { ptr: core::ptr::null_mut(), row_stride: cols, col_stride: 1 };
        let (inputs, outputs) = (self.inputs, self.outputs);
        let (forward, order) = self.forward_product(batch, matrix(inputs), w, Start::Zero, output(outputs), None);
        let forward = self.describe_product(kernels, &forward, order, self.forward_workers(kernels, batch).0);
        let workers = self.backward_plan(kernels, batch, true, true, true).workers;
        let (d_a_prev, order) = self.a_prev_product(batch, batch, matrix(outputs), w, output(inputs), false);
        let d_a_prev = self.describe_product(kernels, &d_a_prev, order, workers);
        let d_w = self.w_product(batch, matrix(outputs), matrix(inputs), output(inputs), 1.0, false);
        let d_w = self.describe_product(kernels, &d_w, Summation::Chain, workers);
        let supply = self.threads.here();
        let (threads, threads_source) = (supply.workers, supply.source);
        Ok(Description { isa: kernels.isa, threads, threads_source, forward, d_w, d_a_prev })
    }

    fn describe_product(&self, kernels: &Kernels, gemm: &Gemm, summation: Summation, workers: usize) -> ProductPlan {
        let strategy = plan::strategy(kernels, &gemm.shape(), summation);
        let tile = match summation {
            Summation::Lanes => {
                let rows = plan::dot_rows(kernels, gemm.m, strategy.is_far).min(gemm.m.max(1));
                (rows, plan::dot_cols(kernels, rows, strategy.is_far))
            }
            Summation::Auto | Summation::Chain => {
                let vectors = gemm.n.div_ceil(kernels.lanes).clamp(1, strategy.panel_vectors);
                (kernels.mr(vectors), vectors * kernels.lanes)
            }
        };
        let operand = match (summation, strategy.packing) {
            (Summation::Lanes, _) => "in place: dot products run along the weights",
            (_, Packing::InPlace) => "in place: its rows are contiguous",
            (_, Packing::Copy) => "packed: panels stay in the first-level cache whatever the stride",
            (_, Packing::Prepacked) => "packed before the call",
            (_, Packing::Transpose) => "transposed into panels: the weights are contiguous along the sum",
        };
        ProductPlan { summation, tile, operand, workers }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "instruction set  {}", self.isa)?;
        writeln!(f, "threads          up to {}: {}", self.threads, self.threads_source)?;
        writeln!(f, "forward          {}", self.forward)?;
        writeln!(f, "d_w              {}", self.d_w)?;
        write!(f, "d_a_prev         {}", self.d_a_prev)
    }
}

impl fmt::Display for ProductPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.summation {
            Summation::Lanes => "lanes",
            Summation::Auto | Summation::Chain => "chain",
        };
        let (rows, cols) = self.tile;
        write!(f, "{order} order, {rows}×{cols} tiles, {} thread(s); right operand {}", self.workers, self.operand)
    }
}
