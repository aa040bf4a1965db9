//! Which dot products compute sums in the lanes order: a column or a row, by which kernel, in which tiles.

use super::{DotProducts, Question};
use crate::isa::{ColumnsKernel, Kernels, Target};
use crate::kernel::dot;
use crate::summation::{SUM_LANES, Summation};
use crate::tuning::Tuning;

/// Whether the columns of an output of dot products had better be rows.
pub(super) fn are_columns_of_dots(q: &Question) -> bool {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    if q.summation != Summation::Lanes {
        return false;
    }
    let are_few = match shape.n {
        1 => shape.m > 1,
        2.. if short_dots(&q.transposed()).is_some() => true,
        2.. => shape.n <= tuning.dot_columns_as_rows_max && shape.m >= tuning.dot_columns_as_rows_min_len,
        0 => false,
    };
    let is_gapless = |(row, col): (usize, usize)| row == shape.n && (col == 1 || shape.n == 1);
    are_few && is_gapless(shape.c_strides) && shape.z_strides.is_none_or(is_gapless)
}

/// The kernel for a row or two over many short columns, where there is one.
pub(super) fn short_dots(q: &Question) -> Option<ColumnsKernel> {
    let (shape, Target { kernels, tuning }) = (&q.shape, q.target);
    let lies_along = (shape.a_strides.1, shape.b_strides.0) == (1, 1);
    let is_flat = |strides: (usize, usize)| if shape.m == 1 { strides.1 == 1 } else { strides == (1, shape.m) };
    let is_meant = q.summation == Summation::Lanes
        && lies_along
        && is_flat(shape.c_strides)
        && shape.z_strides.is_none_or(is_flat)
        && shape.m.saturating_mul(shape.n) >= tuning.short_dots_min_outputs;
    let by_rows = if shape.k.is_multiple_of(SUM_LANES) { kernels.short_dots } else { kernels.cut_short_dots };
    let by_sixteens = by_rows.get(shape.m.checked_sub(1)?).filter(|_| is_meant)?;
    by_sixteens.get(shape.k.div_ceil(SUM_LANES).checked_sub(1)?).copied()
}

/// Whether a few rows of dot products go over several parts of their columns side by side.
pub(super) fn goes_by_parts(q: &Question) -> bool {
    let (shape, Target { kernels, tuning }) = (&q.shape, q.target);
    q.summation == Summation::Lanes
        && (1..=kernels.dots_by_parts.len()).contains(&shape.m)
        && (shape.a_strides.1, shape.b_strides.0) == (1, 1)
        && reads_by_parts(tuning, shape.m, shape.k, shape.right_len())
}

/// Whether so many rows of dot products go through several parts of their right operand, which has so many elements, side by side.
pub(super) fn reads_by_parts(tuning: &Tuning, rows: usize, terms: usize, len: usize) -> bool {
    let where_it_pays = match rows {
        1 => tuning.dot_parts_min_terms..=tuning.dot_parts_max_terms,
        _ => tuning.dot_parts_rows_min_terms..=tuning.dot_parts_rows_max_terms,
    };
    where_it_pays.contains(&terms) && len >= tuning.dot_parts_min_len
}

/// Dot products, of which a worker has at most this many rows.
pub(super) fn dot_products(q: &Question, rows: usize) -> DotProducts {
    let (shape, kernels, tuning) = (&q.shape, q.target.kernels, q.target.tuning);
    let exceeds_l1 = shape.right_len() > tuning.first_level_len;
    let leaves_some = rows & (kernels.tall_dot_rows - 1) != 0;
    let rows_first = exceeds_l1 && goes_by_rows(q, rows);
    let most = if rows_first || rows <= tuning.few_dot_rows && (exceeds_l1 || leaves_some) {
        // An operand from afar comes once or twice, and few rows leave none over.
        kernels.dot_rows()
    } else if exceeds_l1 {
        kernels.tall_dot_rows
    } else {
        rows_of_dot_tiles(kernels, rows, shape.n, shape.k)
    };
    DotProducts {
        is_far: exceeds_l1,
        rows: most,
        cols: if exceeds_l1 { dot::FAR_MAX_COLS } else { usize::MAX },
        aligned_rows: aligned_dot_rows(q),
        rows_first,
        gathers_left: shape.a_strides.1 != 1,
        gathers_right: shape.b_strides.0 != 1,
    }
}

/// Whether so many rows are few tiles that had better go over all columns one after the other: where one of them stays in the
/// first-level cache beside the right operand's columns, and all of them do not.
fn goes_by_rows(q: &Question, rows: usize) -> bool {
    let (k, kernels, tuning) = (q.shape.k, q.target.kernels, q.target.tuning);
    let tiles = rows.div_ceil(kernels.dot_rows()).max(1);
    let height = rows.div_ceil(tiles);
    let cols = kernels.dot_cols(height.max(1)).min(dot::FAR_MAX_COLS);
    let len = |rows: usize| (rows + cols).saturating_mul(k);
    // All columns come again for each tile's rows: not if they are gathered each time.
    let is_near = q.shape.right_len() <= tuning.dot_rows_first_max_right_len && q.shape.b_strides.0 == 1;
    is_near
        && (kernels.dot_rows() + 1..=tuning.dot_rows_first_max_rows).contains(&rows)
        && len(height) <= tuning.dot_rows_first_max_len
        && len(rows) >= tuning.dot_rows_first_min_len
}

/// Most rows of dot-product tiles whose vectors begin on cache lines. Tiles of more rows gain by that where their operands do not stay
/// in the first-level cache, or where they have so few columns that they load more than they multiply.
pub(super) fn aligned_dot_rows(q: &Question) -> usize {
    let (shape, tuning) = (&q.shape, q.target.tuning);
    let longer = shape.right_len().max(shape.left_len());
    let is_far = shape.k >= tuning.dot_aligned_tall_min_terms && longer > tuning.first_level_len;
    let few = shape.m.min(shape.n);
    let is_narrow =
        few <= tuning.dot_aligned_narrow_max_cols && shape.k >= tuning.dot_aligned_narrow_terms.saturating_mul(few);
    if is_far || is_narrow {
        usize::MAX
    } else if shape.k >= tuning.dot_aligned_min_terms {
        tuning.dot_aligned_max_rows
    } else {
        0
    }
}

/// Rows of the dot-product tiles that take the fewest operations beside the multiply-adds, which all take alike: loads, which
/// the sums of a tile share, and folds, which may be left with less than they hold.
fn rows_of_dot_tiles(kernels: &Kernels, rows: usize, cols: usize, terms: usize) -> usize {
    let vectors = terms.div_ceil(kernels.lanes);
    let operations = |most: usize| {
        let down = rows.div_ceil(most).max(1);
        let height = rows.div_ceil(down).max(1);
        let across = cols.div_ceil(kernels.dot_cols(height)).max(1);
        let width = cols.div_ceil(across);
        // Three operations for each sum that a fold holds.
        let folds = 3 * kernels.folded * (height * width).div_ceil(kernels.folded);
        down.saturating_mul(across).saturating_mul(vectors.saturating_mul(height + width).saturating_add(folds))
    };
    (1..=kernels.dot_rows()).min_by_key(|most| operations(*most)).unwrap_or(1)
}
