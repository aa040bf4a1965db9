//! Weights prepacked: where the two forms of a packed matrix stand, and how they are filled.
//!
//! ```text
//! rows     the matrix itself, each row on cache lines of its own, zeros behind it
//! panels   the matrix transposed and cut into panels of whole vectors, one behind the other: of each panel the first
//!          row, then the second, padding of any value where the matrix fills no vector
//! ```
//!
//! Sums along the rows read the rows (lanes) or the panels (chain); sums across them read the rows.

use crate::isa::Kernels;
use crate::kernel::pack::{Panel, gather};
use crate::kernel::{Sink, Source};
use crate::summation::Summation;
use crate::workspace::{padded, padded_row_stride};

/// The two forms of a matrix of `rows` rows with `terms` elements each, and where in the memory they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackedLayout {
    rows: usize,
    terms: usize,
    row_stride: usize,
    panel_width: usize,
    /// Where the panels start.
    panels: usize,
    /// Elements of both.
    total: usize,
}

impl PackedLayout {
    /// `None` where a size overflows.
    pub(crate) fn new(kernels: &Kernels, rows: usize, terms: usize) -> Option<Self> {
        let vectors = rows.div_ceil(kernels.lanes);
        // Spread over as few panels as there have to be: two of three vectors rather than one of four and one of two.
        let panel_vectors = vectors.div_ceil(vectors.div_ceil(kernels.panel_vectors).max(1)).max(1);
        let row_stride = padded_row_stride(padded(terms)?)?;
        let panels = rows.checked_mul(row_stride)?;
        let transposed = padded(vectors.checked_mul(kernels.lanes)?.checked_mul(terms)?)?;
        let total = panels.checked_add(transposed)?;
        Some(Self { rows, terms, row_stride, panel_width: panel_vectors * kernels.lanes, panels, total })
    }

    /// Elements that the memory must have.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The matrix in this memory.
    pub(crate) fn matrix(&self, memory: &[f32]) -> Source {
        Source::rows(memory.as_ptr(), self.row_stride)
    }

    /// The panels in this memory: panel by panel `row_stride` columns, the first of column `j` at `j · col_stride`.
    pub(crate) fn panels(&self, memory: &[f32]) -> Source {
        Source { ptr: memory[self.panels..].as_ptr(), row_stride: self.panel_width, col_stride: self.terms }
    }

    /// Fills both forms.
    ///
    /// # Safety
    /// - `source` must be readable at all `rows × terms` places and overlap nothing of `memory`;
    /// - `kernels` is the row that the layout was made for, and one that `isa::select` returned.
    pub(crate) unsafe fn fill(&self, kernels: &Kernels, source: Source, memory: &mut [f32]) {
        let (rows, panels) = memory[..self.total].split_at_mut(self.panels);
        // SAFETY: the caller vouches for the source and the kernels. The rows are `row_stride ≥ terms` apart in their part of
        // the memory; the panels before column `start` hold `start · terms` elements, as all but the last are full, and
        // all together `terms` rows of whole vectors, for which the layout has room.
        unsafe {
            gather(&Panel {
                source,
                depth: self.rows,
                width: self.terms,
                dst: Sink::rows(rows.as_mut_ptr(), self.row_stride),
                padding: self.row_stride - self.terms,
            });
            // The copy just made is contiguous along its rows, whatever the source is.
            let copy = self.matrix(rows).transposed();
            for start in (0..self.rows).step_by(self.panel_width) {
                let width = self.panel_width.min(self.rows - start);
                let dst_stride = width.next_multiple_of(kernels.lanes);
                (kernels.transpose_pack)(&Panel {
                    source: copy.starting_at(0, start),
                    depth: self.terms,
                    width,
                    dst: Sink::rows(panels.as_mut_ptr().add(start * self.terms), dst_stride),
                    padding: dst_stride - width,
                });
            }
        }
    }
}

/// The weights of a layer as its products read them.
#[derive(Clone, Copy)]
pub(crate) struct WeightsSource {
    /// `outputs × inputs`.
    pub(crate) matrix: Source,
    /// Whether the caller's weights lie contiguous along the inputs, the sums of the forward pass, or along the outputs,
    /// those of `dA_prev`: what the order of the sums depends on.
    pub(crate) along_inputs: bool,
    /// The panels for chains along these sums, where the weights are packed.
    pub(crate) panels: Option<Source>,
}

impl WeightsSource {
    /// Weights as they lie in the caller's memory.
    pub(crate) fn plain(matrix: Source) -> Self {
        Self { matrix, along_inputs: matrix.col_stride <= matrix.row_stride, panels: None }
    }

    /// The right operand `wᵀ` of the forward pass, and whether it is prepacked.
    pub(crate) fn for_forward(&self, summation: Summation) -> (Source, bool) {
        self.right(self.matrix.transposed(), self.along_inputs, summation)
    }

    /// The right operand `w` of `dA_prev`, and whether it is prepacked.
    pub(crate) fn for_a_prev(&self, summation: Summation) -> (Source, bool) {
        self.right(self.matrix, !self.along_inputs, summation)
    }

    fn right(&self, matrix: Source, is_along: bool, summation: Summation) -> (Source, bool) {
        match self.panels {
            Some(panels) if is_along && summation != Summation::Lanes => (panels, true),
            _ => (matrix, false),
        }
    }
}
