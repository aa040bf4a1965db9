//! The work behind the sums: the activation, from where the totals stand to where the output does.

use super::Gemm;
use super::chunks::Chunks;
use crate::isa::Kernels;
use crate::kernel::Sink;
use crate::kernel::elementwise::Rows;
use crate::kernel::pack::Panel;
use crate::plan::Part;
use core::ops::Range;

/// The activation over a staging of totals in scratch, and its way to the output.
///
/// # Safety
/// As [`super::driver::run`], where the staging holds the part's totals.
pub(super) unsafe fn finish_staged(kernels: &Kernels, gemm: &Gemm, part: &Part, staging: Sink) {
    let (rows, cols) = (part.rows.len(), part.cols.len());
    // SAFETY: the part lies inside the outputs, for which the caller vouches, as for the staging.
    unsafe {
        let scatter = |to: Sink| {
            let dst = to.at(part.rows.start, part.cols.start);
            // The staging's columns are the panel's rows: contiguous wherever the output's columns are.
            let source = staging.as_source().transposed();
            let panel = Panel { source, depth: cols, width: rows, dst: Sink::rows(dst, to.col_stride), padding: 0 };
            if to.row_stride == 1 && rows == 1 {
                for j in 0..cols {
                    *dst.add(j * to.col_stride) = *staging.at(0, j);
                }
            } else if to.row_stride == 1 {
                (kernels.transpose_pack)(&panel);
            } else if to.col_stride == 1 {
                for i in 0..rows {
                    core::ptr::copy_nonoverlapping(staging.at(i, 0), dst.add(i * to.row_stride), cols);
                }
            } else {
                for i in 0..rows {
                    for j in 0..cols {
                        *dst.add(i * to.row_stride + j * to.col_stride) = *staging.at(i, j);
                    }
                }
            }
        };
        if let Some(z) = gemm.z {
            scatter(z);
        }
        // Straight to the output where its rows are contiguous, else in place and then there.
        let is_direct = gemm.c.col_stride == 1;
        let to = if is_direct { gemm.c.starting_at(part.rows.start, part.cols.start) } else { staging };
        if is_direct || !gemm.activation.is_identity() {
            (kernels.activate[gemm.activation.index()])(&Rows {
                rows,
                cols,
                src: staging.ptr,
                src_row_stride: staging.row_stride,
                dst: to.ptr,
                dst_row_stride: to.row_stride,
                parameter: gemm.activation.parameter(),
            });
        }
        if !is_direct {
            scatter(gemm.c);
        }
    }
}

/// The activation over a part of the output, from where the totals stand: inlined, for products that end with it.
///
/// # Safety
/// As [`super::driver::run`], where the totals of the part have been computed.
#[inline(always)]
pub(super) unsafe fn activate(kernels: &Kernels, gemm: &Gemm, part: &Part, scratch: &mut [f32]) {
    if !gemm.has_epilogue() {
        return;
    }
    let (mut totals, mut c) = (gemm.totals(), gemm.c);
    // SAFETY: the caller's promise; the part lies inside both matrices.
    unsafe {
        let (mut rows, mut cols) = (part.rows.clone(), part.cols.clone());
        if totals.col_stride != 1 || c.col_stride != 1 {
            if totals.row_stride != 1 || c.row_stride != 1 {
                activate_strided(kernels, *gemm, part, scratch);
                return;
            }
            // The rows of a transposed output are its columns.
            (rows, cols) = (cols, rows);
            (totals, c) = (totals.transposed(), c.transposed());
        }
        let rows = Rows {
            rows: rows.len(),
            cols: cols.len(),
            src: totals.at(rows.start, cols.start),
            src_row_stride: totals.row_stride,
            dst: c.at(rows.start, cols.start),
            dst_row_stride: c.row_stride,
            parameter: gemm.activation.parameter(),
        };
        (kernels.activate[gemm.activation.index()])(&rows.flattened());
    }
}

/// [`activate`] within loops, which would have its frame if it were inlined.
///
/// # Safety
/// As [`activate`].
#[inline(never)]
pub(super) unsafe fn activate_part(kernels: &Kernels, gemm: &Gemm, part: &Part, scratch: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { activate(kernels, gemm, part, scratch) };
}

/// [`activate`] for columns that are not contiguous: row by row through scratch memory.
///
/// # Safety
/// As [`activate`].
#[inline(never)]
unsafe fn activate_strided(kernels: &Kernels, gemm: Gemm<'_>, part: &Part, scratch: &mut [f32]) {
    let (kernel, parameter) = (kernels.activate[gemm.activation.index()], gemm.activation.parameter());
    let (totals, c) = (gemm.totals(), gemm.c);
    for i in part.rows.clone() {
        for cols in Chunks::new(part.cols.clone(), scratch.len(), 1) {
            let row = Sink::rows(scratch.as_mut_ptr(), 0);
            // SAFETY: the part lies inside both matrices; no more than a scratch's worth is copied at a time.
            unsafe {
                collect(totals, i..i + 1, cols.clone(), row);
                let (src, dst, cols_len) = (row.ptr, row.ptr, cols.len());
                kernel(&Rows { rows: 1, cols: cols_len, src, src_row_stride: 0, dst, dst_row_stride: 0, parameter });
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
pub(super) unsafe fn collect(from: Sink, rows: Range<usize>, cols: Range<usize>, to: Sink) {
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
