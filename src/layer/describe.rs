//! The plan of a call, in words.

use super::{Dense, MOST_SAMPLES, Weights};
use crate::error::{Error, Operand};
use crate::gemm::driver::kernel_name;
use crate::gemm::packed::WeightsSource;
use crate::gemm::{Gemm, HowToCompute};
use crate::isa::{Isa, Target};
use crate::kernel::{Finish, Sink, Source, Start};
use crate::plan::{self, Asked, BatchShape, Question, Rectangle, RightOperand, Route, TileLoops, TileOrder, Totals};
use crate::summation::Summation;
use crate::tuning::Caches;
use core::fmt;
use core::ops::Range;

/// How a layer computes its three products for one batch size, with plain slices: the very plan that calls walk.
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
    /// The name of the tuning row.
    pub tuning: &'static str,
    /// The caches that the row was made for, where it is a general one.
    pub caches: Option<Caches>,
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
/// println!("computed by {}", plan.rectangles[0].kernel);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProductPlan {
    /// The order of the sums, `Chain` or `Lanes`.
    pub summation: Summation,
    /// Threads that share the output: as many as finish it first, with the cost of calling them.
    pub workers: usize,
    /// The rectangles of the output, one or two, each with a route of its own.
    pub rectangles: Vec<RectanglePlan>,
}

/// How some columns of a product are computed.
///
/// ```
/// use fused_dense::{Activation, Dense};
///
/// let description = Dense::new(784, 30, Activation::Sigmoid).describe(1)?;
/// let rectangle = &description.d_w.rectangles[0];
/// assert_eq!((rectangle.rule, rectangle.columns.clone()), ("outer", 0..784));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RectanglePlan {
    /// The columns of the output.
    pub columns: Range<usize>,
    /// The name of the rule that chose the route.
    pub rule: &'static str,
    /// When the rule is taken, and why.
    pub because: &'static str,
    /// The decision that holds the rule's measurement, a file under `docs/decisions` of the repository.
    pub decision: &'static str,
    /// The kernel: operation, largest tile as rows by columns, instruction set.
    pub kernel: String,
    /// Whether the transposed product is computed.
    pub transposed: bool,
    /// Where the left operand, the right one and the totals stand.
    pub left: &'static str,
    /// As `left`.
    pub right: &'static str,
    /// As `left`.
    pub totals: &'static str,
    /// The order of the tiles.
    pub order: &'static str,
    /// Parts into which workers cut rows and columns.
    pub parts: (usize, usize),
}

impl Dense {
    /// How calls with this batch size and plain slices will be computed, when made from this thread. For people, not for loops:
    /// it plans anew and allocates.
    ///
    /// ```
    /// use fused_dense::{Activation, Dense};
    /// println!("{}", Dense::new(784, 30, Activation::Sigmoid).describe(32)?);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooLarge`] where memory could not hold the batch, and what is wrong with the instruction set.
    pub fn describe(&self, batch: usize) -> Result<Description, Error> {
        let w = Source { ptr: core::ptr::null(), row_stride: self.inputs, col_stride: 1 };
        self.describe_products(batch, &WeightsSource::plain(w))
    }

    /// How calls with this batch size and these weights, packed or in a layout of their own, will be computed, when made
    /// from this thread.
    ///
    /// # Errors
    /// Where the weights do not fit the layer, and as [`describe`](Self::describe).
    pub fn describe_with<'a>(&self, batch: usize, w: impl Into<Weights<'a>>) -> Result<Description, Error> {
        let w = w.into().source(self, self.kernels()?)?;
        self.describe_products(batch, &w)
    }

    fn describe_products(&self, batch: usize, w: &WeightsSource) -> Result<Description, Error> {
        let target = self.target()?;
        let layout = self.layout.as_ref().map_err(Clone::clone)?;
        for (operand, cols) in [(Operand::APrev, self.inputs), (Operand::A, self.outputs)] {
            // A row without elements is a row to the plan.
            batch.checked_mul(cols.max(1)).filter(|len| *len <= MOST_SAMPLES).ok_or(Error::TooLarge { operand })?;
        }
        let matrix = |cols: usize| Source { ptr: core::ptr::null(), row_stride: cols, col_stride: 1 };
        let output = |cols: usize| Sink { ptr: core::ptr::null_mut(), row_stride: cols, col_stride: 1 };
        let (inputs, outputs) = (self.inputs, self.outputs);
        let budget = self.threads.here();
        let describe = |gemm: &Gemm, summation: Summation, workers: usize| {
            let scratch_len = layout.piece_len(workers);
            describe_product(&HowToCompute { target, gemm, summation, workers, scratch_len }.question())
        };
        // A bias changes some plans, whatever it is.
        let bias = Start::Columns(core::ptr::null());
        let (forward, order) = self.forward_product(batch, matrix(inputs), w, bias, output(outputs), None);
        let forward = describe(&forward, order, self.forward_workers(target, batch).0);
        let shape = BatchShape {
            batch,
            inputs,
            outputs,
            chunk_rows: layout.chunk_rows,
            most_blocks: layout.blocks.most,
            d_w: true,
            d_a_prev: true,
            has_room: true,
            has_contiguous_room: true,
            descends: false,
        };
        let workers = plan::schedule(target, &shape, self.budget(target, batch).as_ref()).workers;
        let rows = batch.min(layout.chunk_rows);
        let (d_a_prev, order) = self.a_prev_product(batch, rows, matrix(outputs), w, output(inputs), false);
        let d_a_prev = describe(&d_a_prev, order, workers);
        let d_w = self.w_product(rows, matrix(outputs), matrix(inputs), output(inputs), Finish::overwrite(1.0));
        let d_w = describe(&d_w, Summation::Chain, workers);
        let (isa, tuning, caches) = (target.kernels.isa, target.tuning.name(), target.tuning.caches());
        let (threads, threads_source) = (budget.workers, budget.source);
        Ok(Description { isa, tuning, caches, threads, threads_source, forward, d_w, d_a_prev })
    }
}

fn describe_product(question: &Question) -> ProductPlan {
    let plan = plan::plan(question);
    let rectangles = plan.rectangles().map(|rectangle| describe_rectangle(question, rectangle)).collect();
    ProductPlan { summation: question.summation, workers: question.workers, rectangles }
}

fn describe_rectangle(question: &Question, rectangle: &Rectangle) -> RectanglePlan {
    let (rule, Target { kernels, .. }) = (rectangle.rule(), question.target);
    let (rows, cols) = match rectangle.transposed {
        true => (rectangle.cols, question.shape.m),
        false => (question.shape.m, rectangle.cols),
    };
    let kernel =
        kernel_name(kernels, rectangle, rows, cols).map_or_else(|| "none".to_string(), |name| name.to_string());
    let places = places(&rectangle.route);
    RectanglePlan {
        columns: rectangle.col..rectangle.col + rectangle.cols,
        rule: rule.name,
        because: rule.because,
        decision: rule.decision,
        kernel,
        transposed: rectangle.transposed,
        left: places.0,
        right: places.1,
        totals: places.2,
        order: places.3,
        parts: rectangle.grid.shape(),
    }
}

/// Left operand, right operand, totals, and the order of tiles.
fn places(route: &Route) -> (&'static str, &'static str, &'static str, &'static str) {
    let in_place = "in place";
    match route {
        Route::Nothing => ("unused", "unused", "unused", "none"),
        Route::SingleCall(call) => {
            (in_place, if call.packs_right { "transposed into a panel" } else { in_place }, in_place, "one call")
        }
        Route::FewColumns(_) | Route::OuterProduct(_) => (in_place, in_place, in_place, "row by row"),
        Route::SingleRow(_) => (in_place, in_place, in_place, "along the row"),
        Route::DotsByParts { .. } => (in_place, in_place, in_place, "column by column of several parts"),
        Route::ShortDots(_) => (in_place, in_place, in_place, "columns of both halves, side by side"),
        Route::DotProducts(dots) => {
            let place = |gathers: bool| if gathers { "gathered" } else { in_place };
            let order = if dots.rows_first { "rows before columns" } else { "columns before rows" };
            (place(dots.gathers_left), place(dots.gathers_right), in_place, order)
        }
        Route::Tiles(TileLoops { pack_left_terms, right, totals, order, .. }) => (
            if pack_left_terms.is_some() { "packed by tiles" } else { in_place },
            match right {
                RightOperand::InPlace => in_place,
                RightOperand::Copied => "copied into panels",
                RightOperand::Gathered => "gathered into panels",
                RightOperand::Transposed => "transposed into panels",
                RightOperand::Prepacked => "packed before the call",
            },
            match totals {
                Totals::InPlace => in_place,
                Totals::Staged => "staged by panels",
                Totals::StagedByRuns => "staged by runs of tiles",
            },
            match order {
                TileOrder::Blocks => "panel by panel, block by block",
                TileOrder::ByHeights => "all panels for each height of tiles",
                TileOrder::ByPanels => "panel by panel",
                TileOrder::AlongRows => "along the rows",
            },
        ),
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction set  {}, tuned for {}", self.isa, self.tuning)?;
        if let Some(Caches { l1, l2 }) = self.caches {
            write!(f, " in general, with caches of {} and {} KiB", l1 >> 10, l2 >> 10)?;
        }
        writeln!(f)?;
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
        write!(f, "{order} order, {} thread(s)", self.workers)?;
        self.rectangles.iter().try_for_each(|rectangle| write!(f, "\n  {rectangle}"))
    }
}

impl fmt::Display for RectanglePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { columns, rule, because, kernel, transposed, left, right, totals, order, parts, .. } = self;
        let transposed = if *transposed { ", transposed" } else { "" };
        writeln!(
            f,
            "columns {}..{}: {kernel}{transposed}, {}×{} part(s)",
            columns.start, columns.end, parts.0, parts.1
        )?;
        writeln!(f, "    rule {rule}: {because}")?;
        write!(f, "    left operand {left}; right operand {right}; totals {totals}; tiles {order}")
    }
}

// Hundreds of layers: nothing for Miri.
#[cfg(all(test, not(miri), not(loom), not(fused_dense_force_sharing)))]
mod tests;
