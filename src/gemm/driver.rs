//! The loops around the micro-kernels.
//!
//! ```text
//! chain:  1  for each panel of nr columns
//!         2    for each block of SUM_BLOCK terms
//!                pack the right operand's panel, if the strategy says so
//!         3      for each run of tiles of mr rows
//!                  micro-kernel; behind the last block the activation, or the update of parameters by their gradient,
//!                  while they are in the first-level cache
//!
//! lanes:  1  for each group of columns
//!         2    for each group of rows
//!                dot-product kernel over the whole sum
//!            the activation over all rows
//! ```

use super::update::Parameter;
use super::{Gemm, Updated};
use crate::activation::Activation;
use crate::isa::Kernels;
use crate::kernel::axpyf::{self, Axpyf};
use crate::kernel::chain::{LINE, Start, Tiles};
use crate::kernel::dot::{DotTile, FAR_MAX_COLS};
use crate::kernel::elementwise::Rows;
use crate::kernel::outer::Outer;
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source};
use crate::plan::{Packing, Part, Strategy};
use crate::summation::{SUM_BLOCK, Summation};
use core::ops::Range;

/// Elements of scratch that one worker needs for any product with no dimension but the batch above `longest`, and
/// samples taken `slab_rows` at a time.
///
/// `None` where the number overflows.
pub(crate) fn scratch_len(kernels: &Kernels, longest: usize, slab_rows: usize) -> Option<usize> {
    let rows = longest.checked_mul(slab_rows + kernels.nr())?;
    let chain = rows.checked_add(SUM_BLOCK * kernels.nr() + kernels.lanes)?;
    let dot = longest.checked_mul(kernels.dot_rows() + kernels.dot_cols(1))?;
    Some(chain.max(dot))
}

/// Rows of a strip of totals that leave the second-level cache room for the panel beside it.
const STRIP_MAX_ROWS: usize = 1024;

/// Elements of the left operand that stay in the second-level cache while all prepacked panels pass by. Panels that are
/// packed on the way would be packed again for each such piece.
const LEFT_MAX_LEN: usize = 96 << 10;

/// Rows of an outer product by which parameters are updated at a time.
const OUTER_ROWS: usize = 8;

/// A range cut into the fewest pieces of at most `most` elements, as equal as multiples of `grain` allow.
#[derive(Clone)]
struct Pieces {
    next: usize,
    end: usize,
    count: usize,
    /// Length of a piece, and how many pieces are one grain longer.
    len: usize,
    longer: usize,
    grain: usize,
}

impl Pieces {
    /// `grain` is a power of two.
    #[inline(always)]
    fn new(range: Range<usize>, most: usize, grain: usize) -> Self {
        // A tile or less is the common case of small layers, to which a division is worth as much as a tile.
        let shift = grain.trailing_zeros();
        let grains = (range.len() + grain - 1) >> shift;
        let most = most >> shift;
        let (count, each) = if grains <= most { (usize::from(grains > 0), grains) } else { Self::shares(grains, most) };
        Self { next: range.start, end: range.end, count, len: each * grain, longer: grains - each * count, grain }
    }

    /// Pieces of `len` elements, the last of what is left.
    fn of_len(range: Range<usize>, len: usize) -> Self {
        let count = range.len().div_ceil(len);
        Self { next: range.start, end: range.end, count, len, longer: 0, grain: len }
    }

    fn shares(grains: usize, most: usize) -> (usize, usize) {
        let count = grains.div_ceil(most);
        (count, grains / count)
    }

    /// Length of the longest piece.
    fn longest(&self) -> usize {
        (self.len + if self.longer > 0 { self.grain } else { 0 }).min(self.end - self.next)
    }
}

impl Iterator for Pieces {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let extra = if self.longer > 0 { self.grain } else { 0 };
        self.longer = self.longer.saturating_sub(1);
        let start = self.next;
        self.next = (start + self.len + extra).min(self.end);
        Some(start..self.next)
    }
}

/// Elements of the output that a run of tiles may have where the activation goes over them next.
const ACTIVATED_MAX_LEN: usize = 2048;

/// Rows cut into tiles, in runs of tiles of one height.
struct Runs {
    next: usize,
    tiles: [usize; 2],
    heights: [usize; 2],
    width: usize,
}

/// Tiles of one height, one below the other.
struct Run {
    start: usize,
    tiles: usize,
    height: usize,
}

impl Run {
    fn rows(&self) -> Range<usize> {
        self.start..self.start + self.tiles * self.height
    }
}

impl Runs {
    /// The pieces, of which each is a tile, in runs of at most [`ACTIVATED_MAX_LEN`] elements `width` columns wide, or of
    /// one tile.
    #[inline(always)]
    fn new(pieces: Pieces, width: usize) -> Self {
        let tiles = [pieces.longer, pieces.count - pieces.longer];
        Self { next: pieces.next, tiles, heights: [pieces.len + 1, pieces.len], width }
    }
}

impl Iterator for Runs {
    type Item = Run;

    #[inline(always)]
    fn next(&mut self) -> Option<Run> {
        let kind = usize::from(self.tiles[0] == 0);
        let (height, left) = (self.heights[kind], self.tiles[kind]);
        if left == 0 {
            return None;
        }
        // The division only where it decides.
        let tile_len = height * self.width;
        let tiles = match left * tile_len <= ACTIVATED_MAX_LEN {
            true => left,
            false => (ACTIVATED_MAX_LEN / tile_len).clamp(1, left),
        };
        let start = self.next;
        self.tiles[kind] -= tiles;
        self.next += tiles * height;
        Some(Run { start, tiles, height })
    }
}

/// Computes one worker's part of a product.
///
/// # Safety
/// - `kernels` is a row that `isa::select` returned;
/// - the operands are readable, the outputs writable (with `add` readable) at all their elements inside the part, and
///   no output overlaps an input or another worker's part; where parameters are updated, they and their velocities are
///   the outputs, and `c` is an input (with `add`) or not used;
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
            Summation::Lanes => lanes(kernels, gemm, strategy, part, scratch),
            Summation::Auto | Summation::Chain if strategy.outer => match gemm.update {
                None => outer(kernels, gemm, part, Sink { ptr: gemm.c.at(part.rows.start, part.cols.start), ..gemm.c }),
                Some(update) => outer_update(kernels, gemm, &update.parameter(), part, scratch),
            },
            Summation::Auto | Summation::Chain => {
                if strategy.axpyf {
                    return row(kernels, gemm, strategy, part, scratch);
                }
                // As many rows at a time as the scratch holds of what they need there.
                let room = scratch.len() - SUM_BLOCK * kernels.nr() - kernels.lanes;
                let strip = if strategy.strip { kernels.nr() } else { 0 };
                let left = if strategy.pack_left { gemm.k } else { 0 };
                let most = room.checked_div(strip + left).unwrap_or(usize::MAX);
                let most = if strategy.strip { most.min(STRIP_MAX_ROWS) } else { most };
                let most = match strategy.packing {
                    Packing::Prepacked => most.min((LEFT_MAX_LEN / gemm.k.max(1)).max(kernels.mr(1))),
                    _ => most,
                };
                let is_direct = strategy.packing == Packing::InPlace
                    && !strategy.strip
                    && gemm.k <= SUM_BLOCK
                    && !gemm.has_pass_behind();
                for rows in Pieces::new(part.rows.clone(), most.clamp(1, part.rows.len()), 1) {
                    let part = Part { rows, cols: part.cols.clone() };
                    match is_direct {
                        true => chain::<true>(kernels, gemm, strategy, &part, scratch),
                        false => chain::<false>(kernels, gemm, strategy, &part, scratch),
                    }
                }
            }
        }
    }
}

/// Columns of a row whose sums stay in the first-level cache.
const ROW_MAX_COLS: usize = 4096;

/// The chain order for one row, by fused axpys.
///
/// # Safety
/// As [`run`]; the part has one row, and the columns of output and right operand are contiguous.
unsafe fn row(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    let i = part.rows.start;
    let totals = gemm.totals();
    for cols in Pieces::new(part.cols.clone(), scratch.len().min(ROW_MAX_COLS), 1) {
        for start in (0..gemm.k).step_by(SUM_BLOCK) {
            // SAFETY: the terms lie inside the sum and the columns inside the part, where the caller vouches for all
            // operands; the scratch has room for one element a column.
            unsafe {
                (kernels.axpyf)(&Axpyf {
                    depth: SUM_BLOCK.min(gemm.k - start),
                    group: if strategy.is_far { axpyf::TERMS } else { SUM_BLOCK },
                    cols: cols.len(),
                    a: gemm.a.at(i, start),
                    a_stride: gemm.a.col_stride,
                    b: gemm.b.at(start, cols.start),
                    b_row_stride: gemm.b.row_stride,
                    sums: scratch.as_mut_ptr(),
                    c: totals.at(i, cols.start),
                    start: if start == 0 { gemm.start.at(i, cols.start) } else { Start::Zero },
                    scale: gemm.scale,
                    add: gemm.add || start > 0,
                });
            }
        }
        // SAFETY: as above; these columns' totals are complete.
        unsafe { activate(kernels, gemm, &Part { rows: i..i + 1, cols }, &mut []) };
    }
}

/// The outer product of a part's rows and columns, in the corner of `to`.
///
/// # Safety
/// As [`run`], where `to` is writable at as many rows and columns, which are contiguous.
#[inline(always)]
unsafe fn outer(kernels: &Kernels, gemm: &Gemm, part: &Part, to: Sink) {
    // SAFETY: the caller's promise.
    unsafe {
        (kernels.outer)(&Outer {
            rows: part.rows.len(),
            cols: part.cols.len(),
            a: gemm.a.at(part.rows.start, 0),
            a_stride: gemm.a.row_stride,
            b: gemm.b.at(0, part.cols.start),
            c: to.ptr,
            c_row_stride: to.row_stride,
            scale: gemm.scale,
            add: gemm.add,
        });
    }
}

/// Updates parameters by an outer product, piece by piece in long stretches of few rows.
///
/// # Safety
/// As [`run`].
unsafe fn outer_update(kernels: &Kernels, gemm: &Gemm, parameter: &Parameter, part: &Part, scratch: &mut [f32]) {
    // The scratch holds at least SUM_BLOCK terms of a panel.
    let most_cols = SUM_BLOCK * kernels.nr() / OUTER_ROWS;
    for rows in Pieces::new(part.rows.clone(), OUTER_ROWS, 1) {
        for cols in Pieces::new(part.cols.clone(), most_cols, LINE) {
            let piece = Part { rows: rows.clone(), cols };
            let to = Sink { ptr: scratch.as_mut_ptr(), row_stride: piece.cols.len(), col_stride: 1 };
            // SAFETY: the piece lies inside the part, for which the caller vouches, and has room in the scratch.
            unsafe {
                if gemm.add {
                    collect(gemm.c, piece.rows.clone(), piece.cols.clone(), to);
                }
                outer(kernels, gemm, &piece, to);
                parameter.update(kernels, &piece, to.as_source());
            }
        }
    }
}

/// The loops of the chain order.
///
/// `DIRECT` says that panels are read in place, that the sums are one block, and that nothing comes behind: the gradients
/// of a small batch, whose tiles take hardly longer than asking all that anew for each of them.
///
/// # Safety
/// As [`run`]; `DIRECT` only where it is true.
unsafe fn chain<const DIRECT: bool>(
    kernels: &Kernels,
    gemm: &Gemm,
    strategy: &Strategy,
    part: &Part,
    scratch: &mut [f32],
) {
    let (packing, has_strip) = if DIRECT { (Packing::InPlace, false) } else { (strategy.packing, strategy.strip) };
    let (right_scratch, rest) = scratch.split_at_mut(SUM_BLOCK * kernels.nr());
    let (strip_scratch, left_scratch) = rest.split_at_mut(if has_strip { part.rows.len() * kernels.nr() } else { 0 });
    let blocks = if DIRECT { 1 } else { gemm.k.div_ceil(SUM_BLOCK).max(1) };
    let panel_width = strategy.panel_vectors * kernels.lanes;
    let panels = || match packing {
        Packing::Prepacked => Pieces::of_len(part.cols.clone(), panel_width),
        _ => Pieces::new(part.cols.clone(), panel_width, kernels.lanes),
    };
    // One cut of the rows for all panels, so that a packed left operand fits each.
    let widest = kernels.vectors(panels().longest());
    let is_masked = packing == Packing::InPlace && kernels.vectors(part.cols.len()) * kernels.lanes != part.cols.len();
    let most_rows = if is_masked { kernels.tiles[widest - 1].len() } else { kernels.mr(widest) };
    let tiles = || Pieces::new(part.rows.clone(), most_rows, 1);
    // A tile's rows stand one tile behind the other, all terms of one before the next.
    let packed_left_at = |row: usize, term: usize, rows: usize| (row - part.rows.start) * gemm.k + term * rows;
    // SAFETY: every tile lies inside the part and every block inside the sum, where the caller vouches for all
    // operands; a right panel has at most SUM_BLOCK rows of at most nr columns, and `run` has chosen the part so that
    // the strip and the packed left operand fit the scratch.
    unsafe {
        if strategy.pack_left {
            for rows in tiles() {
                let source = Source { ptr: gemm.a.at(rows.start, 0), ..gemm.a }.transposed();
                let dst = left_scratch.as_mut_ptr().add(packed_left_at(rows.start, 0, rows.len()));
                let (depth, width) = (gemm.k, rows.len());
                (kernels.left_pack)(&Panel { source, depth, width, dst, dst_stride: width, padding: 0 });
            }
        }
        let updated = if DIRECT { None } else { gemm.update.map(Updated::parameter) };
        for cols in panels() {
            let vectors = kernels.vectors(cols.len());
            let padding = vectors * kernels.lanes - cols.len();
            let totals = if has_strip {
                let strip = Sink { ptr: strip_scratch.as_mut_ptr(), row_stride: cols.len() + padding, col_stride: 1 };
                if gemm.add {
                    collect(gemm.c, part.rows.clone(), cols.clone(), strip);
                }
                strip
            } else {
                let totals = gemm.totals();
                Sink { ptr: totals.at(part.rows.start, cols.start), ..totals }
            };
            // Tiles that are complete after one block, and by which parameters are updated at once, make room for the next.
            let is_passing = updated.is_some() && blocks == 1 && !gemm.add;
            for block in 0..blocks {
                let terms = block * SUM_BLOCK..gemm.k.min((block + 1) * SUM_BLOCK);
                let right = Source { ptr: gemm.b.at(terms.start, cols.start), ..gemm.b };
                let (kernel_table, b, b_depth_stride) = match packing {
                    // A panel of whole vectors needs no mask.
                    Packing::InPlace if padding == 0 => (kernels.padded_tiles, right.ptr, right.row_stride),
                    Packing::InPlace => (kernels.tiles, right.ptr, right.row_stride),
                    Packing::Prepacked => {
                        let width = cols.len() + padding;
                        (kernels.padded_tiles, gemm.b.at(0, cols.start).add(terms.start * width), width)
                    }
                    Packing::Copy | Packing::Transpose => {
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
                let is_last = block + 1 == blocks;
                let is_activated = !DIRECT && is_last && !has_strip && gemm.has_pass_behind();
                let updated = updated.as_ref().filter(|_| is_last);
                // What the activation is about to visit had better be in the first-level cache still.
                let width = if is_activated || updated.is_some() { cols.len() } else { 0 };
                for run in Runs::new(tiles(), width) {
                    let (height, rows) = (run.height, run.rows());
                    let (a, a_row_stride, a_depth_stride, a_tile_stride, a_line_stride) = if strategy.pack_left {
                        let at = left_scratch.as_ptr().add(packed_left_at(rows.start, terms.start, height));
                        (at, 1, height, height * gemm.k, LINE)
                    } else {
                        let stride = gemm.a.row_stride;
                        (gemm.a.at(rows.start, terms.start), stride, gemm.a.col_stride, height * stride, stride)
                    };
                    let totals =
                        Sink { ptr: totals.at(if is_passing { 0 } else { rows.start - part.rows.start }, 0), ..totals };
                    kernel_table[vectors - 1][height - 1](&Tiles {
                        tiles: run.tiles,
                        depth: terms.len(),
                        a,
                        a_row_stride,
                        a_depth_stride,
                        a_tile_stride,
                        a_line_stride,
                        b,
                        b_depth_stride,
                        c: totals.ptr,
                        c_row_stride: totals.row_stride,
                        tail: kernels.lanes - padding,
                        start: if block == 0 { gemm.start.at(rows.start, cols.start) } else { Start::Zero },
                        scale: gemm.scale,
                        add: gemm.add || block > 0,
                    });
                    if is_activated {
                        activate(kernels, gemm, &Part { rows, cols: cols.clone() }, &mut []);
                    } else if let Some(parameter) = updated {
                        parameter.update(kernels, &Part { rows, cols: cols.clone() }, totals.as_source());
                    }
                }
            }
            if has_strip && updated.is_none() {
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
            } else if to.col_stride == 1 {
                for i in 0..rows {
                    core::ptr::copy_nonoverlapping(strip.at(i, 0), dst.add(i * to.row_stride), cols);
                }
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
        // Straight to the output where its rows are contiguous, else in place and then there.
        let is_direct = gemm.c.col_stride == 1;
        let to = if is_direct { Sink { ptr: gemm.c.at(part.rows.start, part.cols.start), ..gemm.c } } else { strip };
        if is_direct || gemm.activation != Activation::Identity {
            (kernels.activate[gemm.activation.index()])(&Rows {
                rows,
                cols,
                src: strip.ptr,
                src_row_stride: strip.row_stride,
                dst: to.ptr,
                dst_row_stride: to.row_stride,
            });
        }
        if !is_direct {
            scatter(gemm.c);
        }
    }
}

/// # Safety
/// As [`run`].
unsafe fn lanes(kernels: &Kernels, gemm: &Gemm, strategy: &Strategy, part: &Part, scratch: &mut [f32]) {
    let totals = gemm.totals();
    let most_rows = kernels.dot_rows().min(part.rows.len());
    let most_cols = kernels.dot_cols(most_rows);
    let most_cols = if strategy.is_far { most_cols.min(FAR_MAX_COLS) } else { most_cols };
    let (a_scratch, b_scratch) = scratch.split_at_mut(kernels.dot_rows() * gemm.k);
    // SAFETY: every tile lies inside the part, where the caller vouches for all operands; gathered operands have at
    // most as many rows of k as the scratch has room for.
    unsafe {
        for cols in Pieces::new(part.cols.clone(), most_cols, 1) {
            let right = Source { ptr: gemm.b.at(0, cols.start), ..gemm.b }.transposed();
            let (b, b_col_stride) = contiguous_rows(right, cols.len(), gemm.k, b_scratch);
            for rows in Pieces::new(part.rows.clone(), most_rows, 1) {
                let left = Source { ptr: gemm.a.at(rows.start, 0), ..gemm.a };
                let (a, a_row_stride) = contiguous_rows(left, rows.len(), gemm.k, a_scratch);
                let kernel = kernels.dot_tiles[rows.len() - 1][cols.len() - 1];
                kernel(&DotTile {
                    depth: gemm.k,
                    a,
                    a_row_stride,
                    b,
                    b_col_stride,
                    is_far: strategy.is_far,
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
    if !gemm.has_pass_behind() {
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
            for cols in Pieces::new(part.cols.clone(), scratch.len(), 1) {
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
        // SAFETY: covered by the caller's promise.
        unsafe {
            if from.col_stride == 1 && to.col_stride == 1 {
                core::ptr::copy_nonoverlapping(from.at(row, cols.start), to.at(i, 0), cols.len());
            } else {
                for (j, col) in cols.clone().enumerate() {
                    *to.at(i, j) = *from.at(row, col);
                }
            }
        }
    }
}
