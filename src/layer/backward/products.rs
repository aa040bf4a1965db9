//! The pass that makes `dz`, and the two products behind it, of some rows of the batch.

use super::Call;
use super::check::Destination;
use crate::activation::Activation;
use crate::gemm::dz::{ColumnSums, DzPass};
use crate::gemm::packed::WeightsSource;
use crate::gemm::{Gemm, Updated};
use crate::kernel::{Finish, Sink, Source, Start};
use crate::layer::Dense;
use crate::plan::{self, UpdateBy};
use crate::summation::Summation;

impl Call<'_> {
    /// `dA_prev` of rows `start..start + rows`.
    #[inline(always)]
    pub(super) fn a_prev_product(
        &self,
        start: usize,
        rows: usize,
        dz: Source,
        to: Destination,
    ) -> (Gemm<'static>, Summation) {
        let c = Sink { ptr: to.sink.at(start, 0), ..to.sink };
        self.layer.a_prev_product(self.batch, rows, dz, self.w, c, to.add)
    }

    /// The product that rows `start..start + rows` add to `dw`, if it is wanted; or, behind the last row, the weights' update.
    #[inline(always)]
    pub(super) fn w_product(&self, start: usize, rows: usize, dz: Source) -> Option<(Gemm<'_>, Summation)> {
        let step = self.step.filter(|_| start + rows == self.batch);
        let a_prev = Source { ptr: self.a_prev.at(start, 0), ..self.a_prev };
        if let (Some(step), UpdateBy::Product) = (step, self.update_by) {
            let finish = Finish::descend(step.w.rule.rate, self.scale);
            return Some((self.layer.w_product(rows, dz, a_prev, step.w.sink, finish), Summation::Chain));
        }
        let parameter = step.filter(|_| self.update_by == UpdateBy::Tiles).map(|step| &step.w);
        // An update by a single chunk has nothing to add to.
        let unused = Sink { ptr: core::ptr::null_mut(), row_stride: 0, col_stride: 0 };
        let to = self.d_w.or(parameter.map(|_| Destination { sink: unused, add: false }))?;
        let finish = if to.add || start > 0 { Finish::add(self.scale) } else { Finish::overwrite(self.scale) };
        let gemm = self.layer.w_product(rows, dz, a_prev, to.sink, finish);
        let update = parameter.map(|parameter| Updated { parameter, is_transposed: false });
        Some((Gemm { update, ..gemm }, Summation::Chain))
    }

    /// The pass that makes `dz` of rows `start..start + rows` and its column sums, if anything is left to do; and where `dz`
    /// stands.
    #[inline(always)]
    pub(super) fn dz_pass(
        &self,
        start: usize,
        rows: usize,
        scratch: Sink,
        db: Option<ColumnSums>,
    ) -> (Option<DzPass>, Source) {
        let upstream = Source { ptr: self.upstream.at(start, 0), ..self.upstream };
        let saved = Source { ptr: self.saved.at(start, 0), ..self.saved };
        let kept = self.d_z.map(|d_z| Sink { ptr: d_z.at(start, 0), ..d_z });
        let is_given = self.dz_kernel.is_none();
        if is_given && kept.is_none() && db.is_none() {
            return (None, upstream);
        }
        let pass = DzPass {
            kernel: self.dz_kernel.unwrap_or(self.target.kernels.dz_given),
            rows,
            upstream,
            saved: if is_given { upstream } else { saved },
            dz: kept.unwrap_or(scratch),
            parameter: self.layer.activation.parameter(),
            db,
            joins_rows: plan::dz_joins_rows(self.target, rows, self.layer.outputs),
        };
        (Some(pass), if is_given { upstream } else { pass.dz.as_source() })
    }
}

impl Dense {
    /// `dA_prev = dz · w` for `rows` samples of the batch, and its order of summation.
    #[inline(always)]
    pub(in crate::layer) fn a_prev_product(
        &self,
        batch: usize,
        rows: usize,
        dz: Source,
        w: &WeightsSource,
        d_a_prev: Sink,
        add: bool,
    ) -> (Gemm<'static>, Summation) {
        let summation = self.summation.resolve(batch.max(self.whole_batch), self.inputs, self.outputs, !w.along_inputs);
        let (b, is_prepacked) = w.for_a_prev(summation);
        let gemm = Gemm {
            m: rows,
            n: self.inputs,
            k: self.outputs,
            a: dz,
            b,
            is_prepacked,
            c: d_a_prev,
            z: None,
            start: Start::Zero,
            finish: if add { Finish::add(1.0) } else { Finish::overwrite(1.0) },
            activation: Activation::Identity,
            update: None,
        };
        (gemm, summation)
    }

    /// `dzᵀ · a_prev` for `rows` samples of the batch, finished into `dw` or the weights, always in the chain order.
    #[inline(always)]
    pub(in crate::layer) fn w_product(
        &self,
        rows: usize,
        dz: Source,
        a_prev: Source,
        d_w: Sink,
        finish: Finish,
    ) -> Gemm<'static> {
        Gemm {
            m: self.outputs,
            n: self.inputs,
            k: rows,
            a: dz.transposed(),
            b: a_prev,
            is_prepacked: false,
            c: d_w,
            z: None,
            start: Start::Zero,
            finish,
            activation: Activation::Identity,
            update: None,
        }
    }
}
