//! The lanes order: dot-product tiles over operands as they lie.

use super::{FIRST_LEVEL_LEN, ProductShape};
use crate::isa::Kernels;
use crate::kernel::dot::FAR_MAX_COLS;

/// How a product is computed in the lanes order.
pub(crate) struct LanesPlan {
    pub(crate) transposed: bool,
    pub(crate) is_far: bool,
}

/// Decides for one product in the lanes order; what a [`Strategy`] says besides is for the chain order.
#[inline(always)]
pub(crate) fn lanes(shape: &ProductShape) -> LanesPlan {
    // A single column is many rows for one: the kernels for one row read the right operand best.
    let transposed = shape.n == 1 && shape.m > 1 && shape.transposed().has_contiguous_rows();
    let right_len = (if transposed { shape.m } else { shape.n }).saturating_mul(shape.k);
    LanesPlan { transposed, is_far: right_len > FIRST_LEVEL_LEN }
}

/// Rows up to which dot-product tiles are as high as they come: the right operand then comes again but once or twice.
const FEW_DOT_ROWS: usize = 12;

/// Most rows of a dot-product tile where there are so many.
#[inline(always)]
pub(crate) fn dot_rows(kernels: &Kernels, rows: usize, is_far: bool) -> usize {
    // Tiles high and narrow fold fewer sums at a time: they are for what comes from afar, and to leave no row over.
    let leaves_some = rows & (kernels.tall_dot_rows - 1) != 0;
    if rows <= FEW_DOT_ROWS && (is_far || leaves_some) { kernels.dot_rows() } else { kernels.tall_dot_rows }
}

/// Most columns of a tile of this many rows.
#[inline(always)]
pub(crate) fn dot_cols(kernels: &Kernels, rows: usize, is_far: bool) -> usize {
    let most = kernels.dot_cols(rows);
    if is_far { most.min(FAR_MAX_COLS) } else { most }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::isa::{self, Isa};

    #[test]
    fn few_rows_are_few_high_tiles_and_many_are_tall_ones() {
        for kernels in Isa::available().into_iter().map(|isa| isa::select(isa).expect("an available instruction set")) {
            let (high, tall) = (kernels.dot_rows(), kernels.tall_dot_rows);
            for rows in 1..=3 * FEW_DOT_ROWS {
                let [near, far] = [false, true].map(|is_far| dot_rows(kernels, rows, is_far));
                assert_eq!(far, if rows <= FEW_DOT_ROWS { high } else { tall }, "{rows} rows on {:?}", kernels.isa);
                // A row more than tall tiles hold goes to high ones; what tall tiles hold exactly stays with them.
                assert_eq!(
                    near,
                    if rows.is_multiple_of(tall) { tall } else { far },
                    "{rows} rows on {:?}",
                    kernels.isa
                );
                // There is a kernel for every tile of such rows, and one for far columns as for near ones.
                let height = near.min(rows);
                let [near, far] = [false, true].map(|is_far| dot_cols(kernels, height, is_far));
                assert!(
                    (1..=kernels.dot_cols(height)).contains(&far) && far <= near && near == kernels.dot_cols(height)
                );
            }
        }
    }

    #[test]
    fn a_single_column_is_computed_as_a_row_where_its_output_can_be() {
        let of = |m: usize, n: usize, c_strides: (usize, usize)| {
            lanes(&ProductShape {
                m,
                n,
                k: 300,
                a_strides: (300, 1),
                b_strides: (1, 300),
                c_strides,
                z_strides: None,
                is_prepacked: false,
                is_updated: false,
                is_plain: true,
            })
        };
        let column = of(40, 1, (1, 1));
        assert!(column.transposed && column.is_far, "the rows of the left operand are what is read");
        assert!(!of(40, 1, (2, 1)).transposed, "the row would have gaps");
        assert!(!of(1, 1, (1, 1)).transposed && !of(40, 2, (2, 1)).transposed);
        assert!(!of(4, 30, (30, 1)).is_far && of(4, 31, (31, 1)).is_far);
    }
}
