//! Decides how a call is computed: pure functions of shape, strides, tuning and workers, and the only place that decides.
//!
//! A product is cut into rectangles. Each has one [`Route`]: the kernels that compute it, where its operands stand, in which order
//! its tiles go. The rules in `rules` choose it, first match wins; `dots` has those of sums in the lanes order. `gemm` walks the plan and decides nothing; `keep` holds plans
//! from one call to the next, so that a call like the last one plans nothing.

mod cost;
mod dots;
mod keep;
mod rules;
mod schedule;
mod share;

pub(crate) use cost::{activation_cycles, dz_cycles, product_cycles};
pub(crate) use keep::{Asked, Plans, Slot};
pub(crate) use schedule::{
    BatchOrder, BatchShape, ChunkJobs, Schedule, UpdateBy, add_up_workers, backward_cycles, chunk_jobs, dz_joins_rows,
    schedule, update_workers,
};
pub(crate) use share::{Grid, Part, below_parallel_min, share, step_pays, workers};

use crate::isa::{ColumnsKernel, Target, TilesKernel};
use crate::kernel::narrow::Narrow;
use crate::kernel::outer::Pairs;
use crate::summation::Summation;
use rules::{RULES, Rule, Verdict};

/// One product, as far as its plan depends on it: `c` is `m × n`, its sums have `k` terms; strides are `(row, column)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProductShape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a_strides: (usize, usize),
    pub(crate) b_strides: (usize, usize),
    pub(crate) c_strides: (usize, usize),
    pub(crate) z_strides: Option<(usize, usize)>,
    /// Whether the right operand stands in panels, each as wide as its row stride.
    pub(crate) is_prepacked: bool,
    /// Whether the product is a gradient by which parameters are updated, whose strides `c_strides` are then.
    pub(crate) is_updated: bool,
    /// Whether sums begin with a bias.
    pub(crate) has_bias: bool,
    /// Whether an activation comes behind the sums, or they are kept.
    pub(crate) has_epilogue: bool,
}

impl ProductShape {
    /// The shape of the transposed product `cᵀ = bᵀ · aᵀ`.
    pub(crate) fn transposed(&self) -> Self {
        let flip = |(row, col): (usize, usize)| (col, row);
        Self {
            m: self.n,
            n: self.m,
            a_strides: flip(self.b_strides),
            b_strides: flip(self.a_strides),
            c_strides: flip(self.c_strides),
            z_strides: self.z_strides.map(flip),
            ..*self
        }
    }

    /// Elements of the left operand.
    fn left_len(&self) -> usize {
        self.m.saturating_mul(self.k)
    }

    /// Elements of the right operand.
    fn right_len(&self) -> usize {
        self.k.saturating_mul(self.n)
    }

    fn has_contiguous_rows(&self) -> bool {
        self.c_strides.1 == 1 && self.z_strides.is_none_or(|z| z.1 == 1)
    }

    /// Whether the product is all: no bias before, nothing behind.
    fn has_no_epilogue(&self) -> bool {
        !self.has_bias && !self.has_epilogue
    }
}

/// All that a product's plan depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) target: Target,
    pub(crate) shape: ProductShape,
    /// `Chain` or `Lanes`: the order of sums is settled before.
    pub(crate) summation: Summation,
    /// Workers that share the product.
    pub(crate) workers: usize,
    /// Elements of scratch memory of each.
    pub(crate) scratch_len: usize,
}

impl Question {
    fn transposed(&self) -> Self {
        Self { shape: self.shape.transposed(), ..*self }
    }

    /// The same for columns of the product, from the first or from a later one on.
    fn of_cols(&self, n: usize) -> Self {
        Self { shape: ProductShape { n, ..self.shape }, ..*self }
    }
}

/// How one product is computed.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    first: Rectangle,
    /// Columns behind those of the first rectangle.
    second: Option<Rectangle>,
    parts: usize,
}

/// Some columns of a product, all of its rows, and the one way in which they are computed.
#[derive(Clone, Copy)]
pub(crate) struct Rectangle {
    /// The first column, and how many.
    pub(crate) col: usize,
    pub(crate) cols: usize,
    /// Whether the transposed product is computed.
    pub(crate) transposed: bool,
    pub(crate) route: Route,
    /// How workers share the product, transposed if it is.
    pub(crate) grid: Grid,
    rule: &'static Rule,
}

/// The kernels that compute a rectangle, and how.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    /// There is no output.
    Nothing,
    /// A call or two of a chain micro-kernel.
    SingleCall(SingleCall),
    /// Vectors hold several rows of few columns.
    FewColumns(unsafe fn(&Narrow)),
    /// Sums of one term, or few.
    OuterProduct(OuterProduct),
    /// An output of one row, by fused axpys.
    SingleRow(SingleRow),
    /// Tiles in the chain order.
    Tiles(TileLoops),
    /// An output of a few rows in the lanes order, over columns from the second-level cache.
    DotsByParts {
        /// Whether vectors begin on the columns' cache lines.
        aligned: bool,
    },
    /// An output of one or two rows in the lanes order, over short columns.
    ShortDots(ColumnsKernel),
    /// Other dot products, in the lanes order.
    DotProducts(DotProducts),
}

/// A run of tiles, or one tile in each of several panels, and perhaps a narrower tile behind them.
#[derive(Clone, Copy)]
pub(crate) struct SingleCall {
    pub(crate) kernel: TilesKernel,
    pub(crate) panels: usize,
    pub(crate) tiles: usize,
    pub(crate) height: usize,
    /// Columns of a panel, in whole vectors.
    pub(crate) width: usize,
    /// Columns in the last vector of a panel.
    pub(crate) tail: usize,
    /// Whether half of the last vector is computed where half is enough.
    pub(crate) half_last: bool,
    /// The kernel of the columns behind the panels, and those in its last vector.
    pub(crate) rest: Option<(TilesKernel, usize)>,
    /// Whether the right operand is transposed into a panel first.
    pub(crate) packs_right: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OuterProduct {
    /// Whether rows are cut so that whole vectors stand on cache lines.
    pub(crate) aligned: bool,
    /// Which rows sums of one term go to at a time where they are written, and where they are added.
    pub(crate) written_pairs: Pairs,
    pub(crate) added_pairs: Pairs,
    /// Whether vectors are half as wide where the product is added.
    pub(crate) adds_by_halves: bool,
    /// Rows and columns by which parameters are updated at a time.
    pub(crate) update_rows: usize,
    pub(crate) update_cols: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SingleRow {
    /// Terms of all sums before the next ones.
    pub(crate) terms: usize,
    /// Columns at a time.
    pub(crate) cols: usize,
    /// Whether strips begin on the cache lines of the right operand's rows.
    pub(crate) aligned: bool,
    /// Most blocks of the sums side by side: a power of two.
    pub(crate) blocks: usize,
}

impl SingleRow {
    /// Blocks side by side where so many whole ones are left: at least one, which may be cut.
    pub(crate) fn blocks_of(&self, left: usize) -> usize {
        self.blocks.min(1 << left.max(1).ilog2())
    }
}

/// Where the right operand of tiles stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RightOperand {
    /// Read in place: the columns are contiguous.
    InPlace,
    /// Copied into a panel, row by row.
    Copied,
    /// Gathered into a panel, element by element.
    Gathered,
    /// Transposed into a panel: the operand is contiguous along the sum.
    Transposed,
    /// Panels already.
    Prepacked,
}

/// Where the totals of tiles stand until they are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Totals {
    /// In the output, or where the pre-activation is kept.
    InPlace,
    /// In scratch memory, from and to the output panel by panel.
    Staged,
    /// In scratch memory, from and to the output by runs of tiles, which prefetch its rows.
    StagedByRuns,
}

/// In which order tiles go that are one call each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileOrder {
    /// Panel by panel, block by block of the sum.
    Blocks,
    /// One block with nothing behind: tiles of one height over all panels.
    ByHeights,
    /// The same, where the right operand would not stay: panel by panel.
    ByPanels,
    /// The same along the rows: all panels of a few rows before the next rows.
    AlongRows,
}

/// Tiles in the chain order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TileLoops {
    pub(crate) right: RightOperand,
    /// Terms of the left operand that are packed at a time, where it is packed.
    pub(crate) pack_left_terms: Option<usize>,
    pub(crate) totals: Totals,
    pub(crate) order: TileOrder,
    pub(crate) panel_vectors: usize,
    /// Whether all panels but the first begin on the right operand's cache lines.
    pub(crate) is_aligned: bool,
    /// Most vectors of a tile of several rows.
    pub(crate) tile_vectors: usize,
    /// Whether half of a tile's last vector is computed where half is enough.
    pub(crate) half_last: bool,
    /// Rows of the output at a time.
    pub(crate) rows: usize,
    /// Whether tiles prefetch the left operand's next one, and besides it the block to come.
    pub(crate) prefetches: bool,
    /// Elements of the output that a run of tiles may have where an epilogue goes over them next.
    pub(crate) epilogue_len: usize,
}

/// Dot-product tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DotProducts {
    /// Whether the right operand comes from the outer caches.
    pub(crate) is_far: bool,
    /// Most rows and columns of a tile.
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Most rows of a tile that reads its operands by whole cache lines where it can.
    pub(crate) aligned_rows: usize,
    /// Whether a tile's rows go over all columns before the next rows do.
    pub(crate) rows_first: bool,
    /// Whether an operand is gathered, because it is not contiguous along the sum.
    pub(crate) gathers_left: bool,
    pub(crate) gathers_right: bool,
}

/// Decides for one product.
pub(crate) fn plan(question: &Question) -> Plan {
    let target = question.target;
    let whole = |rectangle: Rectangle| Plan { target, first: rectangle, second: None, parts: rectangle.grid.parts() };
    let (mut asked, mut transposed) = (*question, false);
    for rule in RULES {
        match (rule.verdict)(&asked) {
            Verdict::Pass => {}
            Verdict::Transpose => (asked, transposed) = (asked.transposed(), true),
            Verdict::Split { behind } => {
                let (cols, all) = (asked.shape.n - behind, asked.shape.n);
                let [first, second] = [plan(&asked.of_cols(cols)).first, plan(&asked.of_cols(all - cols)).first];
                let second = Rectangle { col: cols, ..second };
                let parts = first.grid.parts().max(second.grid.parts());
                return Plan { target, first, second: Some(second), parts };
            }
            Verdict::Take(route) => {
                let grid = share::grid(&asked, &route);
                let route = if grid == Grid::WHOLE { route } else { route.for_part(&asked, grid) };
                return whole(Rectangle { col: 0, cols: question.shape.n, transposed, route, grid, rule });
            }
        }
    }
    unreachable!("the last rule takes every product")
}

impl Plan {
    /// The rectangles, in the order of their columns.
    pub(crate) fn rectangles(&self) -> impl Iterator<Item = &Rectangle> {
        core::iter::once(&self.first).chain(self.second.as_ref())
    }

    /// The route of all of the product as it stands, where there is but one.
    #[inline(always)]
    pub(crate) fn single_route(&self) -> Option<&Route> {
        (self.second.is_none() && !self.first.transposed).then_some(&self.first.route)
    }

    /// Parts that workers claim.
    pub(crate) fn parts(&self) -> usize {
        self.parts
    }
}

impl Rectangle {
    /// The rule that chose the route.
    pub(crate) fn rule(&self) -> &'static Rule {
        self.rule
    }
}

// Figures without memory, many times over: nothing for Miri.
#[cfg(all(test, not(miri), not(fused_dense_force_sharing)))]
mod tests;
