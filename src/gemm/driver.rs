//! The loops around the micro-kernels.
//!
//! ```text
//! chain:  1  for each panel of nr columns
//!         2    for each block of SUM_BLOCK terms
//!                pack the right operand's panel, if the strategy says so
//!         3      for each tile of mr rows
//!                  micro-kernel; behind the last block the activation, while the tile is in the first-level cache
//!
//! lanes:  1  for each group of columns
//!         2    for each group of rows
//!                dot-product kernel over the whole sum
//!            the activation over all rows
//! ```

use super::Gemm;
use crate::activation::Activation;
use crate::isa::Kernels;
use crate::kernel::chain::{Start, Tile};
use crate::kernel::dot::DotTile;
use crate::kernel::elementwise::Rows;
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source};
use crate::plan::{Packing, Part, Strategy};
use crate::summation::{SUM_BLOCK, Summation};
use core::ops::Range;

/// Elements of scratch that one worker needs for any product whose sums have at most `k` terms.
///
/// `None` where the number overflows.
pub(crate) fn scratch_len(kernels: &Kernels, k: usize) -> Option<usize> {
    let chain = SUM_BLOCK * kernels.nr() + tile_len(kernels);
    let dot_rows = kernels.dot_tiles.len() + kernels.dot_tiles[0].len();
    Some(chain.max(dot_rows.checked_mul(k)?))
}

/// Elements of the largest tile.
fn tile_len(kernels: &Kernels) -> usize {
    (1..=kernels.tiles.len()).map(|vectors| vectors * kernels.lanes * kernels.mr(vectors)).max().unwrap_or(0)
}

/// `0..len` cut into the fewest ranges of at most `most`, as equal as can be.
fn balanced(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let (start, len) = (range.start, range.len());
    let count = len.div_ceil(most);
    (0..count).map(move |i| start + len * i / count..start + len * (i + 1) / count)
}

/// Computes one worker's part of a product.
///
/// # Safety
/// - `kernels` is a row that `isa::select` returned;
/// - the operands are readable, the outputs writable (with `add` readable) at all their elements inside the part, and
///   no output overlaps an input or another worker's part;
/// - `strategy` was made for this problem, and `part` lies inside it (of the transposed problem, where the strategy
///   says so);
/// - `scratch` has at least [`scratch_len`] elements.
pub(crate) unsafe fn run(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    if part.rows.is_empty() || part.cols.is_empty() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        match strategy.summation {
            Summation::Lanes => lanes(kernels, gemm, part, scratch),
            Summation::Auto | Summation::Chain => chain(kernels, gemm, strategy, part, scratch),
        }
    }
}

/// # Safety
/// As [`run`].
unsafe fn chain(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    let (panel, tile_scratch) = scratch.split_at_mut(SUM_BLOCK * kernels.nr());
    let totals = gemm.totals();
    let blocks = gemm.k.div_ceil(SUM_BLOCK).max(1);
    // SAFETY: every tile lies inside the part and every block inside the sum, where the caller vouches for all
    // operands; a panel has at most SUM_BLOCK rows of at most nr columns.
    unsafe {
        for cols in balanced(part.cols.clone(), kernels.nr()) {
            let vectors = cols.len().div_ceil(kernels.lanes);
            let tail = cols.len() - (vectors - 1) * kernels.lanes;
            for block in 0..blocks {
                let terms = block * SUM_BLOCK..gemm.k.min((block + 1) * SUM_BLOCK);
                let right = Source { ptr: gemm.b.at(terms.start, cols.start), ..gemm.b };
                let (tiles, b, b_depth_stride) = match strategy.packing {
                    Packing::InPlace => (kernels.tiles, right.ptr, right.row_stride),
                    packing => {
                        let row_len = vectors * kernels.lanes;
                        let dst = panel.as_mut_ptr();
                        let panel = Panel { source: right, depth: terms.len(), width: cols.len(), dst, row_len };
                        match packing {
                            Packing::Transpose => (kernels.transpose_pack)(&panel),
                            _ => gather(&panel),
                        }
                        (kernels.padded_tiles, dst.cast_const(), row_len)
                    }
                };
                let last = block + 1 == blocks;
                for rows in balanced(part.rows.clone(), kernels.mr(vectors)) {
                    let c = Sink { ptr: totals.at(rows.start, cols.start), ..totals };
                    let mut tile = Tile {
                        depth: terms.len(),
                        a: gemm.a.at(rows.start, terms.start),
                        a_row_stride: gemm.a.row_stride,
                        a_depth_stride: gemm.a.col_stride,
                        b,
                        b_depth_stride,
                        c: c.ptr,
                        c_row_stride: c.row_stride,
                        tail,
                        start: if block == 0 { gemm.start.at(rows.start, cols.start) } else { Start::Zero },
                        scale: gemm.scale,
                        add: gemm.add || block > 0,
                    };
                    let kernel = tiles[vectors - 1][rows.len() - 1];
                    if strategy.scattered {
                        tile.c = tile_scratch.as_mut_ptr();
                        tile.c_row_stride = cols.len();
                        let shape = (rows.len(), cols.len());
                        if tile.add {
                            collect(c, shape, tile.c);
                        }
                        kernel(&tile);
                        scatter(tile.c, shape, c);
                    } else {
                        kernel(&tile);
                    }
                    if last {
                        activate(kernels, gemm, &Part { rows, cols: cols.clone() }, tile_scratch);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`run`].
unsafe fn lanes(kernels: &Kernels, gemm: &Gemm, part: &Part, scratch: &mut [f32]) {
    let totals = gemm.totals();
    let (most_rows, most_cols) = (kernels.dot_tiles.len(), kernels.dot_tiles[0].len());
    let (a_scratch, b_scratch) = scratch.split_at_mut(most_rows * gemm.k);
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands; gathered operands have at
    // most as many rows of k as the scratch has room for.
    unsafe {
        for cols in balanced(part.cols.clone(), most_cols) {
            let right = Source { ptr: gemm.b.at(0, cols.start), ..gemm.b }.transposed();
            let (b, b_col_stride) = contiguous_rows(right, cols.len(), gemm.k, b_scratch);
            for rows in balanced(part.rows.clone(), most_rows) {
                let left = Source { ptr: gemm.a.at(rows.start, 0), ..gemm.a };
                let (a, a_row_stride) = contiguous_rows(left, rows.len(), gemm.k, a_scratch);
                let kernel = kernels.dot_tiles[rows.len() - 1][cols.len() - 1];
                kernel(&DotTile {
                    depth: gemm.k,
                    a,
                    a_row_stride,
                    b,
                    b_col_stride,
                    c: totals.at(rows.start, cols.start),
                    c_row_stride: totals.row_stride,
                    c_col_stride: totals.col_stride,
                    start: gemm.start.at(rows.start, cols.start),
                    scale: gemm.scale,
                    add: gemm.add,
                });
            }
        }
        activate(kernels, gemm, part, scratch);
    }
}

/// `rows × len` elements with contiguous rows: in place where they are, else gathered. Returns pointer and row stride.
///
/// # Safety
/// The source must be readable at all these places.
unsafe fn contiguous_rows(source: Source, rows: usize, len: usize, scratch: &mut [f32]) -> (*const f32, usize) {
    if source.col_stride == 1 {
        return (source.ptr, source.row_stride);
    }
    let dst = &mut scratch[..rows * len];
    // SAFETY: the caller vouches for the source; the slice just taken has room for the panel.
    unsafe { gather(&Panel { source, depth: rows, width: len, dst: dst.as_mut_ptr(), row_len: len }) };
    (dst.as_ptr(), len)
}

/// The activation over a part of the output, from where the totals stand.
///
/// # Safety
/// As [`run`], where the totals of the part have been computed.
unsafe fn activate(kernels: &Kernels, gemm: &Gemm, part: &Part, scratch: &mut [f32]) {
    if gemm.activation == Activation::Identity && gemm.z.is_none() {
        return;
    }
    let kernel = kernels.activate[gemm.activation.index()];
    let (totals, c) = (gemm.totals(), gemm.c);
    // SAFETY: the part lies inside both matrices; the strided path copies at most a scratch's worth at a time.
    unsafe {
        let (src, dst) = (totals.at(part.rows.start, part.cols.start), c.at(part.rows.start, part.cols.start));
        if totals.col_stride == 1 && c.col_stride == 1 {
            let rows = Rows {
                rows: part.rows.len(),
                cols: part.cols.len(),
                src,
                src_row_stride: totals.row_stride,
                dst,
                dst_row_stride: c.row_stride,
            };
            kernel(&rows.flattened());
            return;
        }
        for i in part.rows.clone() {
            for cols in balanced(part.cols.clone(), scratch.len()) {
                let (shape, row) = ((1, cols.len()), scratch.as_mut_ptr());
                collect(Sink { ptr: totals.at(i, cols.start), ..totals }, shape, row);
                let cols_len = cols.len();
                kernel(&Rows { rows: 1, cols: cols_len, src: row, src_row_stride: 0, dst: row, dst_row_stride: 0 });
                scatter(row, shape, Sink { ptr: c.at(i, cols.start), ..c });
            }
        }
    }
}

/// Copies a strided block into contiguous rows.
///
/// # Safety
/// `from` must be readable at the whole shape, `to` writable at as many contiguous elements.
unsafe fn collect(from: Sink, (rows, cols): (usize, usize), to: *mut f32) {
    for i in 0..rows {
        for j in 0..cols {
            // SAFETY: i < rows and j < cols, inside both.
            unsafe { *to.add(i * cols + j) = *from.at(i, j) };
        }
    }
}

/// Copies contiguous rows into a strided block.
///
/// # Safety
/// `to` must be writable at the whole shape, `from` readable at as many contiguous elements.
unsafe fn scatter(from: *const f32, (rows, cols): (usize, usize), to: Sink) {
    for i in 0..rows {
        for j in 0..cols {
            // SAFETY: i < rows and j < cols, inside both.
            unsafe { *to.at(i, j) = *from.add(i * cols + j) };
        }
    }
}
