//! The rules that choose a product's route: one table, first match wins.

use super::dots::{aligned_dot_rows, are_columns_of_dots, dot_products, goes_by_parts, reads_by_parts, short_dots};
use super::{OuterProduct, Question, RightOperand, Route, SingleCall, SingleRow, TileLoops, TileOrder, Totals, cost};
use crate::isa::{Target, TilesKernel};
use crate::kernel::outer::Pairs;
use crate::kernel::{axpyf, narrow, outer};
use crate::plan::Grid;
use crate::summation::{SUM_BLOCK, Summation};
use crate::tuning::LINE;

/// A rule of the table.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// When it is taken, and why.
    pub(crate) because: &'static str,
    /// The file under `docs/decisions` that holds the measurement.
    pub(crate) decision: &'static str,
    pub(super) verdict: fn(&Question) -> Verdict,
}

/// A rule's answer to a question.
pub(super) enum Verdict {
    /// The rules behind it are asked.
    Pass,
    /// The rules behind it are asked about the transposed product.
    Transpose,
    /// The last columns are a product of their own.
    Split {
        behind: usize,
    },
    Take(Route),
}

impl Verdict {
    fn take(route: Option<Route>) -> Self {
        route.map_or(Self::Pass, Self::Take)
    }
}

/// Every rule, in the order in which they are asked.
pub(super) static RULES: &[Rule] = &[
    Rule {
        name: "nothing",
        because: "an output without elements is done",
        decision: "041-one-plan.md",
        verdict: |q| Verdict::take((q.shape.m == 0 || q.shape.n == 0).then_some(Route::Nothing)),
    },
    Rule {
        name: "dots-as-rows",
        because: "a few long columns of dot products are rows of the transposed product, whose kernels read the right operand best",
        decision: "065-a-few-outputs-are-rows.md",
        verdict: |q| if are_columns_of_dots(q) { Verdict::Transpose } else { Verdict::Pass },
    },
    Rule {
        name: "short-dots",
        because: "a row or two of a few vectors stay in registers, and all columns need no loop along the sum",
        decision: "064-short-dot-products.md",
        verdict: |q| Verdict::take(short_dots(q).map(Route::ShortDots)),
    },
    Rule {
        name: "dots-by-parts",
        because: "the columns of a few rows come fastest from the second-level cache where each load goes through a part of them end to end",
        decision: "060-dot-products-by-parts.md",
        verdict: |q| Verdict::take(goes_by_parts(q).then(|| Route::DotsByParts { aligned: aligned_dot_rows(q) >= 1 })),
    },
    Rule {
        name: "dots",
        because: "sums in the lanes order are dot products of rows that lie along the sum",
        decision: "007-when-sums-are-in-the-lanes-order.md",
        verdict: |q| {
            Verdict::take((q.summation == Summation::Lanes).then(|| Route::DotProducts(dot_products(q, q.shape.m))))
        },
    },
    Rule {
        name: "single-call",
        because: "a product of a few tiles is a call or two of a micro-kernel: loops around it would take as long",
        decision: "004-cost-of-a-call.md",
        verdict: |q| Verdict::take(single_call(q).map(Route::SingleCall)),
    },
    Rule {
        name: "split-columns",
        because: "a few columns behind whole vectors cost a tile of one vector, which waits for its factors",
        decision: "016-few-columns-behind-whole-vectors.md",
        verdict: |q| match columns_behind(q) {
            0 => Verdict::Pass,
            behind => Verdict::Split { behind },
        },
    },
    Rule {
        name: "few-columns",
        because: "where the output has up to four columns, a vector holds several of its rows",
        decision: "015-several-rows-in-a-vector.md",
        verdict: |q| Verdict::take(q.target.kernels.narrow.filter(|_| has_few_columns(q)).map(Route::FewColumns)),
    },
    Rule {
        name: "transpose",
        because: "the transposed product packs or scatters less",
        decision: "006-larger-operand-is-not-transposed.md",
        verdict: |q| if is_better_transposed(q) { Verdict::Transpose } else { Verdict::Pass },
    },
    Rule {
        name: "outer",
        because: "sums of one term, or of few into rows that are pages long, are bound by writing the output, row by row",
        decision: "012-outer-product-kernel.md",
        verdict: |q| Verdict::take(is_outer(q).then(|| Route::OuterProduct(outer_product(q, q.shape.n)))),
    },
    Rule {
        name: "single-row",
        because: "one row is fused axpys, which read long stretches of the right operand",
        decision: "014-one-row-by-fused-axpys.md",
        verdict: |q| Verdict::take(is_single_row(q).then(|| Route::SingleRow(single_row(q, q.shape.n)))),
    },
    Rule {
        name: "prepacked",
        because: "the right operand stands in panels already",
        decision: "008-packed-weights-keep-both-forms.md",
        verdict: |q| tiles_where(q, q.shape.is_prepacked, RightOperand::Prepacked),
    },
    Rule {
        name: "along-rows",
        because: "short sums hardly do anything but write, and go along rows that share cache sets or go to a slow cache",
        decision: "013-short-sums-go-along-the-rows.md",
        verdict: |q| tiles_where(q, goes_along_rows(q), RightOperand::InPlace),
    },
    Rule {
        name: "copied-panels",
        because: "rows pages apart, or of broken vectors, are slow to read in place",
        decision: "010-when-the-right-operand-is-copied.md",
        verdict: |q| tiles_where(q, copies_rows(q), RightOperand::Copied),
    },
    Rule {
        name: "in-place",
        because: "the right operand's columns are contiguous, and copying them gains nothing",
        decision: "010-when-the-right-operand-is-copied.md",
        verdict: |q| tiles_where(q, q.shape.b_strides.1 == 1, RightOperand::InPlace),
    },
    Rule {
        name: "transposed-panels",
        because: "the right operand lies along the sum, and vectors run along its columns",
        decision: "006-larger-operand-is-not-transposed.md",
        verdict: |q| tiles_where(q, q.shape.b_strides.0 == 1, RightOperand::Transposed),
    },
    Rule {
        name: "gathered-panels",
        because: "the right operand is contiguous along neither axis",
        decision: "010-when-the-right-operand-is-copied.md",
        verdict: |q| tiles_where(q, true, RightOperand::Gathered),
    },
];

/// The name of the first rule that chooses tiles.
const FIRST_TILES: &str = "prepacked";

/// Where tiles would find the right operand of this product.
fn right_operand(q: &Question) -> RightOperand {
    let rules = RULES.iter().skip_while(|rule| rule.name != FIRST_TILES);
    let mut routes = rules.map(|rule| (rule.verdict)(q));
    routes
        .find_map(|verdict| match verdict {
            Verdict::Take(Route::Tiles(tiles)) => Some(tiles.right),
            _ => None,
        })
        .unwrap_or(RightOperand::Gathered)
}

/// The call, where a product in the chain order is one or two calls of a micro-kernel. A long column is better off as a row,
/// which fills its vectors.
fn single_call(q: &Question) -> Option<SingleCall> {
    let (shape, kernels) = (&q.shape, q.target.kernels);
    let (m, n, vectors) = (shape.m, shape.n, kernels.vectors(shape.n));
    let is_in_place = shape.b_strides.1 == 1;
    let len = m.saturating_mul(vectors).saturating_mul(shape.k);
    let can_be = q.workers == 1
        && shape.k <= SUM_BLOCK
        && len <= q.target.tuning.single_call_max_len
        && (n > 1 || m <= LINE)
        && !has_few_columns(q)
        && (is_in_place || shape.b_strides.0 == 1)
        && shape.has_contiguous_rows()
        && !shape.is_prepacked
        && !shape.is_updated;
    if !can_be {
        return None;
    }
    if is_in_place && m > 1 && shape.k > 1 && kernels.tiles.get(vectors - 1).is_none_or(|rung| rung.len() < m) {
        // The widest panel with room for all rows.
        let widest = (2..=kernels.widest_vectors(m)).rev().find(|vectors| kernels.tiles[*vectors - 1].len() >= m);
        if let Some(vectors) = widest {
            return Some(call_of_tiles(q.target, (m, n), vectors, m, !is_in_place));
        }
    }
    // A packed panel is no wider than the scratch's.
    let has_room = is_in_place || vectors <= kernels.panel_vectors;
    let most = if has_room { kernels.tiles.get(vectors - 1)?.len() } else { 0 };
    match m {
        m if m <= most => Some(call_of_tiles(q.target, (m, n), vectors, m, !is_in_place)),
        // Tiles of one row would read the right operand anew for each.
        m if most > 1 && m % m.div_ceil(most) == 0 => {
            Some(call_of_tiles(q.target, (m, n), vectors, m / m.div_ceil(most), !is_in_place))
        }
        _ => None,
    }
}

/// One run of tiles of this height in a panel of so many vectors; or one tile in each of several, and what is left.
fn call_of_tiles(
    Target { kernels, tuning }: Target,
    (m, n): (usize, usize),
    vectors: usize,
    height: usize,
    packs_right: bool,
) -> SingleCall {
    let lanes = kernels.lanes;
    // The kernel for a last vector of so many columns.
    let kernel = |vectors: usize, tail: usize, is_masked: bool| -> TilesKernel {
        kernels.tiles_for(lanes - tail, is_masked, tuning.half_last_vectors)[vectors - 1][height - 1]
    };
    let width = vectors * lanes;
    let panels = (n / width).max(1);
    let behind = n.saturating_sub(panels * width);
    let rest = (behind > 0).then(|| {
        let vectors = kernels.vectors(behind);
        let tail = behind + lanes - vectors * lanes;
        (kernel(vectors, tail, tail < lanes), tail)
    });
    let tail = lanes - width.saturating_sub(n);
    SingleCall {
        // Packed panels are read by whole vectors; in place, only those of whole vectors need no mask.
        kernel: kernel(vectors, tail, tail < lanes && !packs_right),
        panels,
        tiles: m / height,
        height,
        width,
        tail,
        half_last: tuning.half_last_vectors,
        rest,
        packs_right,
    }
}

/// Columns behind whole vectors that had better be a product of their own, or 0: of rows along the sum several share a
/// vector, and a single column of rows that lie across it is computed as a row.
fn columns_behind(q: &Question) -> usize {
    let (shape, kernels, tuning) = (&q.shape, q.target.kernels, q.target.tuning);
    let cols = shape.n & (kernels.lanes - 1);
    let has_tail = (1..=narrow::MAX_COLS).contains(&cols) && shape.n > tuning.split_min_vectors * kernels.lanes;
    if !has_tail || shape.m.saturating_mul(shape.k) < tuning.split_min_len {
        return 0;
    }
    let is_across = shape.a_strides.0 == 1 && shape.has_no_epilogue() && !shape.is_updated && !shape.is_prepacked;
    let is_row = is_across && cols == 1 && shape.b_strides.1 == 1 && shape.has_contiguous_rows();
    if is_row || has_few_columns(&q.of_cols(cols)) { cols } else { 0 }
}

/// Whether a product has so few columns that vectors hold several rows of them, and its rows along the sum.
fn has_few_columns(q: &Question) -> bool {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    shape.n <= narrow::MAX_COLS
        && shape.a_strides.1 == 1
        && q.target.kernels.narrow.is_some()
        && shape.m >= tuning.few_columns_min_rows
        && shape.m.saturating_mul(shape.k) >= tuning.few_columns_min_len
        && shape.has_no_epilogue()
        && !shape.is_updated
        && !shape.is_prepacked
        && shape.has_contiguous_rows()
        && shape.b_strides.1 == 1
}

/// Whether the transposed product is expected to take less time.
fn is_better_transposed(q: &Question) -> bool {
    let shape = &q.shape;
    if shape.is_prepacked {
        return false;
    }
    let vectors = |cols: usize| cost::vectors(q.target, cols);
    let right = right_operand(q);
    let is_free = shape.has_contiguous_rows() && right == RightOperand::InPlace;
    // A product that neither packs nor scatters is only transposed to fill its vectors.
    let may_gain = !is_free || shape.n as f64 * vectors(shape.m) < shape.m as f64 * vectors(shape.n);
    let transposed = q.transposed();
    may_gain && cost::tiles(&transposed, right_operand(&transposed)) < cost::tiles(q, right)
}

fn is_outer(q: &Question) -> bool {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    // More terms than one only where all rows stand to the cache lines as the first does.
    let has_whole_vectors = (shape.b_strides.0 | shape.c_strides.0) & (q.target.kernels.lanes - 1) == 0;
    let takes_terms = shape.n >= tuning.outer_terms_min_cols && has_whole_vectors;
    shape.has_no_epilogue()
        && !shape.is_prepacked
        && shape.has_contiguous_rows()
        && shape.b_strides.1 == 1
        && (1..=if takes_terms { outer::MAX_TERMS } else { 1 }).contains(&shape.k)
}

/// An outer product, of which a worker has at most this many columns.
fn outer_product(q: &Question, cols: usize) -> OuterProduct {
    let Target { kernels, tuning } = q.target;
    let update_rows = tuning.outer_update_rows;
    let aligned = cols >= tuning.outer_aligned_min_cols;
    let stride = q.shape.c_strides.0;
    // Two rows are cut in one place, and rows pages apart share the sets of a cache.
    let cuts_alike = !aligned || stride.is_multiple_of(kernels.lanes);
    let may_pair = cuts_alike && (tuning.outer_pairs_pages_apart || !tuning.is_pages(stride));
    let pairs = |is_wanted: bool| if is_wanted && may_pair { Pairs::Neighbours } else { Pairs::None };
    let added_pairs = match pairs(tuning.outer_adds_in_pairs) {
        // The forward pass of a step has left the last rows of both halves in the caches.
        Pairs::Neighbours
            if kernels.dot_parts[0] == 2 && reads_by_parts(tuning, 1, cols, q.shape.m.saturating_mul(cols)) =>
        {
            Pairs::OfHalves
        }
        pairs => pairs,
    };
    OuterProduct {
        aligned,
        written_pairs: pairs(tuning.outer_writes_in_pairs),
        added_pairs,
        adds_by_halves: tuning.outer_adds_by_halves && q.shape.k == 1,
        update_rows,
        // The scratch holds at least SUM_BLOCK terms of a panel.
        update_cols: SUM_BLOCK * kernels.nr() / update_rows,
    }
}

fn is_single_row(q: &Question) -> bool {
    let shape = &q.shape;
    shape.m == 1
        && shape.k > 1
        && !shape.is_updated
        && shape.has_contiguous_rows()
        && right_operand(q) == RightOperand::InPlace
}

/// A single row, of which a worker has at most this many columns.
fn single_row(q: &Question, cols: usize) -> SingleRow {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    let exceeds_l1 = shape.right_len() > tuning.first_level_len;
    let has_whole_vectors = shape.b_strides.0 & (q.target.kernels.lanes - 1) == 0;
    let vectors = q.target.kernels.vectors(cols);
    SingleRow {
        terms: if exceeds_l1 { axpyf::TERMS } else { SUM_BLOCK },
        cols: q.scratch_len.min(tuning.row_max_cols),
        aligned: has_whole_vectors && cols >= tuning.row_aligned_min_cols,
        blocks: axpyf::side_by_side(vectors, q.target.kernels.registers),
    }
}

/// Whether sums are so short that tiles hardly do anything but write, into rows that had better be written end to end: as they lie
/// so far apart that a panel's part of many shares a few cache sets, or as they go to a slow cache.
fn goes_along_rows(q: &Question) -> bool {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    shape.k <= tuning.along_rows_max_terms
        && shape.m >= tuning.along_rows_min_rows
        && shape.right_len() <= tuning.along_rows_max_len
        && shape.has_no_epilogue()
        && !shape.is_updated
        && shape.b_strides.1 == 1
        && shape.has_contiguous_rows()
        && (shape.c_strides.0.is_multiple_of(tuning.along_rows_stride)
            || shape.m.saturating_mul(shape.n) >= tuning.along_rows_far_min_len)
}

fn copies_rows(q: &Question) -> bool {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    let stride = shape.b_strides.0;
    let is_long = shape.right_len() >= tuning.copy_broken_min_len;
    let is_broken = is_long && stride & (q.target.kernels.lanes - 1) != 0;
    let is_tall = shape.m >= tuning.copy_all_min_rows && stride >= tuning.copy_all_min_stride;
    let is_far = tuning.is_pages(stride) && shape.right_len() >= tuning.copy_far_pages_min_len;
    let min_rows = if is_far { tuning.copy_far_pages_min_rows.min(tuning.copy_min_rows) } else { tuning.copy_min_rows };
    shape.b_strides.1 == 1
        && shape.m >= min_rows
        && shape.k >= tuning.copy_min_terms
        && (stride >= tuning.page_stride || is_broken || is_tall)
}

fn tiles_where(q: &Question, applies: bool, right: RightOperand) -> Verdict {
    if applies { Verdict::Take(Route::Tiles(tiles(q, right))) } else { Verdict::Pass }
}

/// Tiles over a right operand that stands there.
fn tiles(q: &Question, right: RightOperand) -> TileLoops {
    let (shape, kernels, tuning) = (&q.shape, q.target.kernels, q.target.tuning);
    let scatters = !shape.has_contiguous_rows();
    let is_long = shape.has_epilogue || shape.k >= tuning.staging_plain_min_terms;
    let spans_blocks = is_long
        && shape.k > SUM_BLOCK
        && shape.m >= tuning.staging_min_rows
        && shape.c_strides.0 >= tuning.staging_min_stride;
    let totals = match scatters || spans_blocks || shape.is_updated {
        false => Totals::InPlace,
        true if !scatters && spans_blocks && shape.c_strides.0 >= tuning.page_stride => Totals::StagedByRuns,
        true => Totals::Staged,
    };
    let shares_sets = tuning.is_pages(shape.a_strides.1);
    let (min_panels, min_terms) = match shares_sets {
        true => (tuning.pack_left_pages_min_panels, 2),
        false => (tuning.pack_left_min_panels, tuning.pack_left_min_terms),
    };
    let packs_left = shape.k >= min_terms
        && shape.a_strides.0 == 1
        && shape.a_strides.1 > kernels.lanes
        && shape.n > min_panels.saturating_mul(kernels.nr());
    let is_direct =
        right == RightOperand::InPlace && totals == Totals::InPlace && shape.k <= SUM_BLOCK && !shape.has_epilogue;
    let tiles = TileLoops {
        right,
        pack_left_terms: packs_left.then_some(if shares_sets { tuning.pack_left_terms } else { shape.k }),
        totals,
        order: match is_direct {
            false => TileOrder::Blocks,
            true if goes_along_rows(q) => TileOrder::AlongRows,
            true => TileOrder::ByHeights,
        },
        panel_vectors: match right {
            RightOperand::Prepacked => shape.b_strides.0 / kernels.lanes,
            RightOperand::InPlace if has_narrow_panels(q) => kernels.panel_vectors - 1,
            RightOperand::InPlace if !scatters && !shape.is_updated => kernels.widest_vectors(shape.m),
            _ => kernels.panel_vectors,
        },
        is_aligned: false,
        tile_vectors: if is_direct { tuning.direct_tile_vectors } else { usize::MAX },
        half_last: tuning.half_last_vectors,
        rows: rows_at_a_time(q, right, totals, packs_left),
        prefetches: false,
        epilogue_len: tuning.epilogue_max_len,
    };
    for_extent(q, tiles, shape.m, shape.n)
}

/// Whether panels in place are a vector narrower than others: loads that begin off the cache lines touch two of them, and the higher
/// tiles are, the fewer of the right operand come with their multiply-adds.
fn has_narrow_panels(q: &Question) -> bool {
    let (shape, kernels, tuning) = (&q.shape, q.target.kernels, q.target.tuning);
    let tiles = |vectors: usize| shape.m.div_ceil(kernels.mr(vectors));
    shape.m >= tuning.narrow_panels_min_rows
        && shape.k >= tuning.narrow_panels_min_terms
        && shape.n > kernels.nr()
        && kernels.panel_vectors > 1
        && tiles(kernels.panel_vectors - 1) < tiles(kernels.panel_vectors)
}

/// As many rows as the scratch holds of what they need there, and as stay in the caches.
fn rows_at_a_time(q: &Question, right: RightOperand, totals: Totals, packs_left: bool) -> usize {
    let (kernels, tuning) = (q.target.kernels, q.target.tuning);
    let staged = if totals == Totals::InPlace { 0 } else { kernels.nr() };
    let left = if packs_left { q.shape.k } else { 0 };
    let room = q.scratch_len.saturating_sub(SUM_BLOCK * kernels.nr() + kernels.lanes);
    let mut rows = room.checked_div(staged + left).unwrap_or(usize::MAX).max(1);
    if totals != Totals::InPlace {
        rows = rows.min(tuning.staging_max_rows);
    }
    if right == RightOperand::Prepacked {
        rows = rows.min((tuning.left_max_len / q.shape.k.max(1)).max(kernels.mr(1)));
    }
    rows
}

/// The same tiles for a worker that has so many rows and columns.
fn for_extent(q: &Question, tiles: TileLoops, rows: usize, cols: usize) -> TileLoops {
    let (k, tuning) = (q.shape.k, q.target.tuning);
    let leaves_caches = k.saturating_mul(cols) > tuning.right_max_len;
    TileLoops {
        is_aligned: begins_on_lines(q, &tiles) && cols >= tuning.panel_aligned_min_cols,
        prefetches: rows.min(tiles.rows).saturating_mul(k) > tuning.left_prefetch_min_len,
        order: match tiles.order {
            TileOrder::ByHeights | TileOrder::ByPanels if leaves_caches => TileOrder::ByPanels,
            TileOrder::ByHeights | TileOrder::ByPanels => TileOrder::ByHeights,
            order => order,
        },
        ..tiles
    }
}

/// Whether all rows of a panel in place, and of the output, begin on cache lines where the first does. Panels for few rows are as wide as all columns, or
/// half of them, and one more vector would make them others than those that are described.
fn begins_on_lines(q: &Question, tiles: &TileLoops) -> bool {
    let kernels = q.target.kernels;
    tiles.right == RightOperand::InPlace
        && (q.shape.b_strides.0 | q.shape.c_strides.0) & (kernels.lanes - 1) == 0
        && tiles.panel_vectors <= kernels.panel_vectors
}

impl Route {
    /// The same route where workers share it by this grid.
    pub(super) fn for_part(self, q: &Question, grid: Grid) -> Self {
        let (rows, cols) = grid.longest(q.shape.m, q.shape.n);
        match self {
            Self::OuterProduct(_) => Self::OuterProduct(outer_product(q, cols)),
            Self::SingleRow(_) => Self::SingleRow(single_row(q, cols)),
            Self::DotProducts(_) => Self::DotProducts(dot_products(q, rows)),
            Self::Tiles(tiles) => Self::Tiles(for_extent(q, tiles, rows, cols)),
            Self::Nothing
            | Self::SingleCall(_)
            | Self::FewColumns(_)
            | Self::DotsByParts { .. }
            | Self::ShortDots(_) => self,
        }
    }
}
