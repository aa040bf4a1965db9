//! Matrix multiplication with what a layer wants around it: bias before, activation behind.
//!
//! This file states the problem; `driver` plans it and hands it to the loops over the output and the sum, `chain` and
//! `lanes`, down to one call per tile, or run of tiles, into an instruction set.

mod chain;
mod chunks;
pub(crate) mod driver;
pub(crate) mod dz;
mod epilogue;
mod lanes;
pub(crate) mod packed;
pub(crate) mod update;

use crate::activation::Activation;
use crate::isa::Target;
use crate::kernel::{Finish, Sink, Source, Start};
use crate::plan::{Asked, ProductShape, Question};
use crate::summation::Summation;
use core::ops::Range;
use update::Parameter;

/// `c = g(start + scale · a · b)`, or `c += scale · a · b`, or an update by one of them: `c` is `m × n`, the sums have `k` terms.
#[derive(Clone, Copy)]
pub(crate) struct Gemm<'g> {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: Source,
    pub(crate) b: Source,
    /// Whether `b` are the panels of [`packed`], each as wide as its `row_stride`.
    pub(crate) is_prepacked: bool,
    pub(crate) c: Sink,
    /// Where the pre-activation is kept, if it is.
    pub(crate) z: Option<Sink>,
    pub(crate) start: Start,
    /// Of the first block's sums.
    pub(crate) finish: Finish,
    pub(crate) activation: Activation,
    /// The parameters that the product is the gradient of, to be updated by it; it is not written to `c` then.
    pub(crate) update: Option<Updated<'g>>,
}

/// Parameters of the same shape as a product, or the transposed one.
#[derive(Clone, Copy)]
pub(crate) struct Updated<'g> {
    pub(crate) parameter: &'g Parameter<'g>,
    pub(crate) is_transposed: bool,
}

impl<'g> Updated<'g> {
    /// The parameters, seen as the product is.
    pub(crate) fn parameter(self) -> Parameter<'g> {
        if self.is_transposed { self.parameter.transposed() } else { *self.parameter }
    }
}

// SAFETY: workers share a problem to read the inputs and write disjoint rectangles of the outputs (`driver::run`).
unsafe impl Send for Gemm<'_> {}
// SAFETY: as above.
unsafe impl Sync for Gemm<'_> {}

impl Gemm<'_> {
    /// The same problem for the transposed output: `cᵀ = bᵀ · aᵀ`.
    pub(crate) fn transposed(self) -> Self {
        Self {
            m: self.n,
            n: self.m,
            a: self.b.transposed(),
            b: self.a.transposed(),
            c: self.c.transposed(),
            z: self.z.map(Sink::transposed),
            start: match self.start {
                Start::Zero => Start::Zero,
                Start::Columns(bias) => Start::Rows(bias),
                Start::Rows(bias) => Start::Columns(bias),
            },
            update: self.update.map(|update| Updated { is_transposed: !update.is_transposed, ..update }),
            ..self
        }
    }

    /// The same problem for some columns of the output.
    pub(crate) fn of_cols(&self, cols: Range<usize>) -> Self {
        Self {
            n: cols.len(),
            b: self.b.starting_at(0, cols.start),
            c: self.c.starting_at(0, cols.start),
            z: self.z.map(|z| z.starting_at(0, cols.start)),
            start: self.start.at(0, cols.start),
            ..*self
        }
    }

    /// The part of the problem that its plan depends on.
    #[inline(always)]
    pub(crate) fn shape(&self) -> ProductShape {
        let strides = |sink: Sink| (sink.row_stride, sink.col_stride);
        ProductShape {
            m: self.m,
            n: self.n,
            k: self.k,
            a_strides: (self.a.row_stride, self.a.col_stride),
            b_strides: (self.b.row_stride, self.b.col_stride),
            c_strides: strides(self.update.map_or(self.c, |update| update.parameter().sink)),
            z_strides: self.z.map(strides),
            is_prepacked: self.is_prepacked,
            is_updated: self.update.is_some(),
            has_bias: self.has_bias(),
            has_epilogue: self.has_epilogue(),
        }
    }

    /// Whether sums begin with a bias.
    #[inline(always)]
    fn has_bias(&self) -> bool {
        !matches!(self.start, Start::Zero)
    }

    /// Whether the totals are not yet the output.
    #[inline(always)]
    pub(crate) fn has_epilogue(&self) -> bool {
        !self.activation.is_identity() || self.z.is_some()
    }

    /// The start of the sums in the block from term `first` on, seen from element `(i, j)` of the output.
    #[inline(always)]
    fn start(&self, first: usize, i: usize, j: usize) -> Start {
        if first == 0 { self.start.at(i, j) } else { Start::Zero }
    }

    /// The finish of the sums of the block from term `first` on: each is added to those before.
    #[inline(always)]
    fn finish(&self, first: usize) -> Finish {
        if first == 0 { self.finish } else { self.finish.of_next_block() }
    }

    /// Where partial sums stand until the last block: the kept pre-activation, or else the output itself.
    #[inline(always)]
    pub(crate) fn totals(&self) -> Sink {
        self.z.unwrap_or(self.c)
    }
}

/// The question how a product is computed.
pub(crate) struct HowToCompute<'q> {
    pub(crate) target: Target,
    pub(crate) gemm: &'q Gemm<'q>,
    pub(crate) summation: Summation,
    /// Workers that share the product, and elements of scratch memory of each.
    pub(crate) workers: usize,
    pub(crate) scratch_len: usize,
}

impl Asked for HowToCompute<'_> {
    #[inline(always)]
    fn is(&self, question: &Question) -> bool {
        let (gemm, shape) = (self.gemm, &question.shape);
        let c = gemm.update.map_or(gemm.c, |update| update.parameter().sink);
        let z = match (gemm.z, shape.z_strides) {
            (None, None) => true,
            (Some(z), Some(strides)) => (z.row_stride, z.col_stride) == strides,
            _ => false,
        };
        gemm.m == shape.m
            && gemm.n == shape.n
            && gemm.k == shape.k
            && gemm.a.row_stride == shape.a_strides.0
            && gemm.a.col_stride == shape.a_strides.1
            && gemm.b.row_stride == shape.b_strides.0
            && gemm.b.col_stride == shape.b_strides.1
            && c.row_stride == shape.c_strides.0
            && c.col_stride == shape.c_strides.1
            && z
            && gemm.is_prepacked == shape.is_prepacked
            && gemm.update.is_some() == shape.is_updated
            && gemm.has_bias() == shape.has_bias
            && gemm.has_epilogue() == shape.has_epilogue
            && self.target == question.target
            && self.summation == question.summation
            && self.workers == question.workers
            && self.scratch_len == question.scratch_len
    }

    #[inline(always)]
    fn question(&self) -> Question {
        let Self { target, gemm, summation, workers, scratch_len } = *self;
        Question { target, shape: gemm.shape(), summation, workers, scratch_len }
    }
}
