//! A product's output as the gradient of parameters, which are updated by it instead.

use crate::isa::Kernels;
use crate::kernel::update::{Rule, Update};
use crate::kernel::{Sink, Source};
use crate::plan::Part;

/// Parameters with what an update of theirs needs.
#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) sink: Sink,
    pub(crate) velocity: Option<Sink>,
    pub(crate) rule: Rule,
}

impl Parameter {
    pub(crate) fn transposed(self) -> Self {
        Self { sink: self.sink.transposed(), velocity: self.velocity.map(Sink::transposed), ..self }
    }

    /// Updates the part by its gradient.
    ///
    /// # Safety
    /// The parameters and velocities must be readable and writable inside the part, the gradient readable at as many
    /// rows and columns; none overlaps another. `kernels` is a row that `isa::select` returned.
    pub(crate) unsafe fn update(&self, kernels: &Kernels, part: &Part, gradient: Source) {
        let (rows, cols, rule) = (part.rows.len(), part.cols.len(), self.rule);
        let at = |sink: Sink, i: usize| sink.at(part.rows.start + i, part.cols.start);
        let (velocity_row_stride, velocity_col_stride) =
            self.velocity.map_or((0, 1), |velocity| (velocity.row_stride, velocity.col_stride));
        // SAFETY: the part lies inside the parameters and velocities, for which the caller vouches; a strided row is
        // one column of as many rows.
        unsafe {
            if gradient.col_stride == 1 && self.sink.col_stride == 1 && velocity_col_stride == 1 {
                (kernels.update)(&Update {
                    rows,
                    cols,
                    gradient: gradient.ptr,
                    gradient_row_stride: gradient.row_stride,
                    parameter: at(self.sink, 0),
                    parameter_row_stride: self.sink.row_stride,
                    velocity: self.velocity.map(|velocity| at(velocity, 0)),
                    velocity_row_stride,
                    rule,
                });
                return;
            }
            for i in 0..rows {
                (kernels.update)(&Update {
                    rows: cols,
                    cols: 1,
                    gradient: gradient.at(i, 0),
                    gradient_row_stride: gradient.col_stride,
                    parameter: at(self.sink, i),
                    parameter_row_stride: self.sink.col_stride,
                    velocity: self.velocity.map(|velocity| at(velocity, i)),
                    velocity_row_stride: velocity_col_stride,
                    rule,
                });
            }
        }
    }
}
