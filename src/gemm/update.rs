//! A product's output as the gradient of parameters, which are updated by it instead.

use crate::isa::Kernels;
use crate::kernel::update::{MOST_STATE, Rule, Update};
use crate::kernel::{Sink, Source};
use crate::plan::Part;

/// Parameters with what an update of theirs needs.
#[derive(Clone, Copy)]
pub(crate) struct Parameter<'r> {
    pub(crate) sink: Sink,
    /// As many as the rule keeps; the others are [`Parameter::NO_STATE`].
    pub(crate) state: [Sink; MOST_STATE],
    pub(crate) rule: &'r Rule,
}

impl Parameter<'_> {
    /// In the place of state that a rule does not keep: no address, and contiguous either way.
    pub(crate) const NO_STATE: Sink = Sink { ptr: core::ptr::null_mut(), row_stride: 1, col_stride: 1 };

    pub(crate) fn transposed(self) -> Self {
        Self { sink: self.sink.transposed(), state: self.state.map(Sink::transposed), ..self }
    }

    /// Whether the parameters and the state are contiguous along the rows as a gradient that would stand there is.
    pub(crate) fn has_rows_like(&self, gradient: Sink) -> bool {
        [gradient, self.sink].iter().chain(&self.state).all(|sink| sink.col_stride == 1)
    }

    /// Updates the part by its gradient.
    ///
    /// # Safety
    /// The parameters and the state that the rule keeps must be readable and writable inside the part, the gradient
    /// readable at as many rows and columns; none overlaps another. `kernels` is a row that `isa::select` returned.
    #[inline(always)]
    pub(crate) unsafe fn update(&self, kernels: &Kernels, part: &Part, gradient: Source) {
        let Self { sink, state, rule } = self;
        let (rows, cols) = (part.rows.len(), part.cols.len());
        let kernel = kernels.update[rule.kind as usize][usize::from(rule.weight_decay != 0.0)];
        let at = |sink: &Sink, i: usize| sink.at(part.rows.start + i, part.cols.start);
        // SAFETY: the part lies inside the parameters and the state, for which the caller vouches; a strided row is one
        // column of as many rows.
        unsafe {
            if gradient.col_stride == 1 && sink.col_stride == 1 && state.iter().all(|state| state.col_stride == 1) {
                kernel(&Update {
                    rows,
                    cols,
                    gradient: gradient.ptr,
                    gradient_row_stride: gradient.row_stride,
                    parameter: at(sink, 0),
                    parameter_row_stride: sink.row_stride,
                    state: state.each_ref().map(|state| at(state, 0)),
                    state_row_strides: state.map(|state| state.row_stride),
                    rule,
                });
                return;
            }
            for i in 0..rows {
                kernel(&Update {
                    rows: cols,
                    cols: 1,
                    gradient: gradient.at(i, 0),
                    gradient_row_stride: gradient.col_stride,
                    parameter: at(sink, i),
                    parameter_row_stride: sink.col_stride,
                    state: state.each_ref().map(|state| at(state, i)),
                    state_row_strides: state.map(|state| state.col_stride),
                    rule,
                });
            }
        }
    }
}
