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
use crate::kernel::outer::Outer;
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source};
use crate::plan::{Packing, Part, Strategy};
use crate::simd::prefetch;
use crate::summation::{SUM_BLOCK, Summation};
use core::ops::Range;

/// Elements of scratch that one worker needs for any product with no dimension but the batch above `longest`.
///
/// `None` where the number overflows.
pub(crate) fn scratch_len(kernels: &Kernels, longest: usize) -> Option<usize> {
    let left = SUM_BLOCK.max(kernels.nr()).checked_mul(longest)?;
    let chain = left.checked_add(SUM_BLOCK * kernels.nr() + kernels.lanes)?;
    Some(chain.max((kernels.dot_rows() + kernels.dot_cols(1)).checked_mul(longest)?))
}

/// A range cut into the fewest pieces of at most `most` elements, as equal as multiples of `grain` allow.
fn balanced(range: Range<usize>, most: usize, grain: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    let grains = range.len().div_ceil(grain);
    let count = grains.div_ceil(most / grain);
    let at = move |i: usize| (range.start + grains * i / count * grain).min(range.end);
    (0..count).map(move |i| at(i)..at(i + 1))
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
            Summation::Auto | Summation::Chain if strategy.outer => (kernels.outer)(&Outer {
                rows: part.rows.len(),
                cols: part.cols.len(),
                a: gemm.a.at(part.rows.start, 0),
                a_stride: gemm.a.row_stride,
                b: gemm.b.at(0, part.cols.start),
                c: gemm.c.at(part.rows.start, part.cols.start),
                c_row_stride: gemm.c.row_stride,
                scale: gemm.scale,
                add: gemm.add,
            }),
            Summation::Auto | Summation::Chain => chain(kernels, gemm, strategy, part, scratch),
        }
    }
}

/// # Safety
/// As [`run`].
unsafe fn chain(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    let (right_scratch, rest) = scratch.split_at_mut(SUM_BLOCK * kernels.nr());
    let blocks = gemm.k.div_ceil(SUM_BLOCK).max(1);
    let block_terms = |block: usize| block * SUM_BLOCK..gemm.k.min((block + 1) * SUM_BLOCK);
    let panels = || balanced(part.cols.clone(), strategy.panel_vectors * kernels.lanes, kernels.lanes);
    // One cut of the rows for all panels, so that a packed left operand fits each.
    let widest = panels().map(|cols| cols.len().div_ceil(kernels.lanes)).max().unwrap_or(1);
    let tiles = || balanced(part.rows.clone(), kernels.mr(widest), 1);
    let packed_left_at = |row: usize| (row - part.rows.start) * SUM_BLOCK;
    // SAFETY: every tile lies inside the part and every block inside the sum, where the caller vouches for all
    // operands; a right panel has at most SUM_BLOCK rows of at most nr columns; the packed left operand has one block
    // of the part's rows, and the strip, which is never used together with it, nr columns of them.
    unsafe {
        if strategy.pack_left {
            for rows in tiles() {
                let source = Source { ptr: gemm.a.at(rows.start, 0), ..gemm.a }.transposed();
                let dst = rest.as_mut_ptr().add(packed_left_at(rows.start));
                let (depth, width) = (gemm.k, rows.len());
                (kernels.left_pack)(&Panel { source, depth, width, dst, dst_stride: width, padding: 0 });
            }
        }
        for (index, cols) in panels().enumerate() {
            let vectors = cols.len().div_ceil(kernels.lanes);
            let padding = vectors * kernels.lanes - cols.len();
            let totals = if strategy.scattered {
                let strip = Sink { ptr: rest.as_mut_ptr(), row_stride: cols.len() + padding, col_stride: 1 };
                if gemm.add {
                    collect(gemm.c, part.rows.clone(), cols.clone(), strip);
                }
                strip
            } else {
                let totals = gemm.totals();
                Sink { ptr: totals.at(part.rows.start, cols.start), ..totals }
            };
            for block in 0..blocks {
                let terms = block_terms(block);
                let right = Source { ptr: gemm.b.at(terms.start, cols.start), ..gemm.b };
                let (kernel_table, b, b_depth_stride) = match strategy.packing {
                    Packing::InPlace => (kernels.tiles, right.ptr, right.row_stride),
                    packing => {
                        let (dst, dst_stride) = (right_scratch.as_mut_ptr(), cols.len() + padding);
                        let (depth, width) = (terms.len(), cols.len());
                        let panel = Panel { source: right, depth, width, dst, dst_stride, padding };
                        match packing {
                            Packing::Transpose => (kernels.transpose_pack)(&panel),
                            _ => gather(&panel),
                        }
                        (kernels.padded_tiles, dst.cast_const(), dst_stride)
                    }
                };
                let mut ahead = if !strategy.prefetch {
                    Ahead::nothing()
                } else if block + 1 < blocks {
                    Ahead::new(gemm, block_terms(block + 1), cols.clone(), tiles().len())
                } else {
                    match panels().nth(index + 1) {
                        Some(next) => Ahead::new(gemm, block_terms(0), next, tiles().len()),
                        None => Ahead::nothing(),
                    }
                };
                for rows in tiles() {
                    let (a, a_row_stride, a_depth_stride) = if strategy.pack_left {
                        (rest.as_ptr().add(packed_left_at(rows.start)), 1, rows.len())
                    } else {
                        (gemm.a.at(rows.start, terms.start), gemm.a.row_stride, gemm.a.col_stride)
                    };
                    ahead.step();
                    kernel_table[vectors - 1][rows.len() - 1](&Tile {
                        depth: terms.len(),
                        a,
                        a_row_stride,
                        a_depth_stride,
                        b,
                        b_depth_stride,
                        c: totals.at(rows.start - part.rows.start, 0),
                        c_row_stride: totals.row_stride,
                        tail: kernels.lanes - padding,
                        start: if block == 0 { gemm.start.at(rows.start, cols.start) } else { Start::Zero },
                        scale: gemm.scale,
                        add: gemm.add || block > 0,
                    });
                    if block + 1 == blocks && !strategy.scattered {
                        activate(kernels, gemm, &Part { rows, cols: cols.clone() }, &mut []);
                    }
                }
            }
            if strategy.scattered {
                finish_strip(kernels, gemm, &Part { rows: part.rows.clone(), cols }, totals);
            }
        }
    }
}

/// The activation over a strip of totals in scratch, and its way to the output.
///
/// # Safety
/// As [`run`], where the strip holds the part's totals.
unsafe fn finish_strip(kernels: &Kernels, gemm: &Gemm, part: &Part, strip: Sink) {
    let (rows, cols) = (part.rows.len(), part.cols.len());
    // SAFETY: the part lies inside the outputs, for which the caller vouches, as for the strip.
    unsafe {
        let scatter = |to: Sink| {
            let dst = to.at(part.rows.start, part.cols.start);
            // The strip's columns are the panel's rows: contiguous wherever the output's columns are.
            let source = strip.as_source().transposed();
            let panel = Panel { source, depth: cols, width: rows, dst, dst_stride: to.col_stride, padding: 0 };
            if to.row_stride == 1 {
                (kernels.transpose_pack)(&panel);
            } else {
                for i in 0..rows {
                    for j in 0..cols {
                        *dst.add(i * to.row_stride + j * to.col_stride) = *strip.at(i, j);
                    }
                }
            }
        };
        if let Some(z) = gemm.z {
            scatter(z);
        }
        if gemm.activation != Activation::Identity {
            (kernels.activate[gemm.activation.index()])(&Rows {
                rows,
                cols,
                src: strip.ptr,
                src_row_stride: strip.row_stride,
                dst: strip.ptr,
                dst_row_stride: strip.row_stride,
            });
        }
        scatter(gemm.c);
    }
}

/// # Safety
/// As [`run`].
unsafe fn lanes(kernels: &Kernels, gemm: &Gemm, part: &Part, scratch: &mut [f32]) {
    let totals = gemm.totals();
    let most_rows = kernels.dot_rows().min(part.rows.len());
    let most_cols = kernels.dot_cols(most_rows);
    let (a_scratch, b_scratch) = scratch.split_at_mut(kernels.dot_rows() * gemm.k);
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands; gathered operands have at
    // most as many rows of k as the scratch has room for.
    unsafe {
        for cols in balanced(part.cols.clone(), most_cols, 1) {
            let right = Source { ptr: gemm.b.at(0, cols.start), ..gemm.b }.transposed();
            let (b, b_col_stride) = contiguous_rows(right, cols.len(), gemm.k, b_scratch);
            for rows in balanced(part.rows.clone(), most_rows, 1) {
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
    let panel = Panel { source, depth: rows, width: len, dst: dst.as_mut_ptr(), dst_stride: len, padding: 0 };
    // SAFETY: the caller vouches for the source; the slice just taken has room for the panel.
    unsafe { gather(&panel) };
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
            for cols in balanced(part.cols.clone(), scratch.len(), 1) {
                let row = Sink { ptr: scratch.as_mut_ptr(), row_stride: 0, col_stride: 1 };
                collect(totals, i..i + 1, cols.clone(), row);
                let (src, dst, cols_len) = (row.ptr, row.ptr, cols.len());
                kernel(&Rows { rows: 1, cols: cols_len, src, src_row_stride: 0, dst, dst_row_stride: 0 });
                for (offset, j) in cols.enumerate() {
                    *c.at(i, j) = *row.at(0, offset);
                }
            }
        }
    }
}

/// Copies a rectangle of a matrix to the corner of another.
///
/// # Safety
/// `from` must be readable at the rectangle, `to` writable at one of its size.
unsafe fn collect(from: Sink, rows: Range<usize>, cols: Range<usize>, to: Sink) {
    for (i, row) in rows.enumerate() {
        for (j, col) in cols.clone().enumerate() {
            // SAFETY: covered by the caller's promise.
            unsafe { *to.at(i, j) = *from.at(row, col) };
        }
    }
}

/// The right operand's next panel, brought into the second-level cache a few lines at each tile.
struct Ahead {
    next: *const f32,
    /// Contiguous stretches of the panel still to come, and how far apart they are.
    stretches: usize,
    stride: usize,
    /// Elements of one stretch, and how many of the present one are done.
    len: usize,
    done: usize,
    lines_per_step: usize,
}

impl Ahead {
    /// Elements in one cache line.
    const LINE: usize = 16;

    fn nothing() -> Self {
        Self { next: core::ptr::null(), stretches: 0, stride: 0, len: 0, done: 0, lines_per_step: 0 }
    }

    /// # Safety
    /// `terms` and `cols` must lie inside the right operand.
    unsafe fn new(gemm: &Gemm, terms: Range<usize>, cols: Range<usize>, steps: usize) -> Self {
        // SAFETY: the caller's promise.
        let next = unsafe { gemm.b.at(terms.start, cols.start) };
        let (stretches, stride, len) = if gemm.b.col_stride == 1 {
            (terms.len(), gemm.b.row_stride, cols.len())
        } else {
            (cols.len(), gemm.b.col_stride, terms.len())
        };
        let lines = stretches * len.div_ceil(Self::LINE);
        Self { next, stretches, stride, len, done: 0, lines_per_step: lines.div_ceil(steps.max(1)) }
    }

    fn step(&mut self) {
        for _ in 0..self.lines_per_step {
            if self.stretches == 0 {
                return;
            }
            prefetch(self.next.wrapping_add(self.done));
            self.done += Self::LINE;
            if self.done >= self.len {
                self.done = 0;
                self.stretches -= 1;
                self.next = self.next.wrapping_add(self.stride);
            }
        }
    }
}
