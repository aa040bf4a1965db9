//! The backward pass: slab by slab of the batch, `dz` and `db` in one pass, then `dA_prev` and `dW` from that slab while
//! it is in the caches.

pub(super) mod blocks;

use super::call::Gradient;
use super::forward::Product;
use super::update::Step;
use super::{Dense, Gradients, Saved, Scratch, Upstream, Weights, WorkspaceLayout};
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::gemm::packed::WeightsSource;
use crate::gemm::slab::{ColumnSums, DzPass};
use crate::gemm::{Gemm, Updated, driver};
use crate::isa::Kernels;
use crate::kernel::chain::Start;
use crate::kernel::elementwise::Slab;
use crate::kernel::{Sink, Source};
use crate::matrix::Input;
use crate::plan::{self, Part};
use crate::summation::{SUM_BLOCK, Summation};
use crate::threads::{Crew, Supply};
use crate::workspace::{Workspace, apart};

impl Dense {
    /// `dz` from upstream, then `dw = s · dzᵀ · a_prev`, `db = s · Σ_batch dz` and `dA_prev = dz · w`, each where
    /// [`Gradients`] asks for it.
    ///
    /// `a_prev: batch × inputs`, `w: outputs × inputs`, `saved` and `upstream`: `batch × outputs`; each gradient has
    /// its operand's shape. NaN and infinities propagate as IEEE 754 says.
    ///
    /// # Errors
    /// Where an operand has the wrong size or shape, a gradient to be added to is uninitialised, targets come to a
    /// layer without sigmoid, or the instruction set cannot be had; no gradient is touched then.
    pub fn backward<'a, T: Into<Input<'a>>>(
        &mut self,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Weights<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        gradients: Gradients<'a>,
    ) -> Result<(), Error> {
        let mut workspace = core::mem::take(&mut self.workspace);
        let result = self.backward_in(&mut workspace, a_prev, w, saved, upstream, gradients);
        self.workspace = workspace;
        result
    }

    /// [`backward`](Self::backward) with the caller's workspace, so that threads can share the layer.
    ///
    /// # Errors
    /// As [`backward`](Self::backward), and [`Error::WorkspaceTooSmall`].
    pub fn backward_in<'a, T: Into<Input<'a>>>(
        &self,
        workspace: &mut Workspace,
        a_prev: impl Into<Input<'a>>,
        w: impl Into<Weights<'a>>,
        saved: impl Into<Saved<'a>>,
        upstream: Upstream<T>,
        gradients: Gradients<'a>,
    ) -> Result<(), Error> {
        let w = w.into().source(self, self.kernels()?)?;
        self.backward_call(workspace, a_prev.into(), &w, saved.into(), upstream.into_input(), gradients, None)
    }

    /// The checked weights' gradient goes to `gradients` or, where there is a `step`, to the weights themselves, with
    /// partial sums in the place for the gradient.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward_call(
        &self,
        workspace: &mut Workspace,
        a_prev: Input<'_>,
        w: &WeightsSource,
        saved: Saved<'_>,
        upstream: Upstream<Input<'_>>,
        mut gradients: Gradients<'_>,
        step: Option<&Step>,
    ) -> Result<(), Error> {
        let kernels = self.kernels()?;
        let (dz_kernel, upstream, upstream_name) = match &upstream {
            Upstream::Activation(d_a) => (self.dz_kernel(kernels, &saved), d_a, Operand::DA),
            Upstream::PreActivation(d_z) => (None, d_z, Operand::DZ),
            Upstream::Targets(_) if self.activation != Activation::Sigmoid => {
                return Err(Error::TargetsNeedSigmoid { found: self.activation });
            }
            Upstream::Targets(y) => (Some(targets_kernel(kernels, &saved)), y, Operand::Targets),
        };
        let (saved, saved_name) = match &saved {
            Saved::A(a) => (a, Operand::A),
            Saved::Z(z) => (z, Operand::Z),
        };
        let batch = match a_prev.batch(Operand::APrev, self.inputs)? {
            Some(batch) => batch,
            None => upstream.batch(upstream_name, self.outputs)?.unwrap_or(0),
        };
        let (inputs, outputs) = (self.inputs, self.outputs);
        let d_w_name = if step.is_some() { Operand::PartialSums } else { Operand::DW };
        let mut call = Call {
            layer: self,
            kernels,
            batch,
            a_prev: a_prev.source(Operand::APrev, batch, inputs)?,
            w: *w,
            saved: saved.source(saved_name, batch, outputs)?,
            upstream: upstream.source(upstream_name, batch, outputs)?,
            dz_kernel,
            d_w: Target::new(&mut gradients.w, d_w_name, outputs, inputs)?,
            d_b: Target::new(&mut gradients.b, Operand::DB, 1, outputs)?,
            d_a_prev: Target::new(&mut gradients.a_prev, Operand::DAPrev, batch, inputs)?,
            d_z: match &mut gradients.z {
                None => None,
                Some(d_z) => Some(d_z.sink(Operand::DZ, batch, outputs, false)?),
            },
            scale: gradients.scale,
            step,
            updates_behind: false,
        };
        let mut scratch = self.scratch(workspace)?;
        if step.is_some() && call.d_w.is_none() && scratch.slab_rows < batch {
            return Err(Error::NoPartialSums { max: scratch.slab_rows, found: batch });
        }
        let wants_d_w = call.d_w.is_some() || step.is_some();
        let has_room = step.is_none() || call.d_w.is_some();
        let plan = self.backward_plan(kernels, batch, wants_d_w, call.d_a_prev.is_some(), has_room);
        let updates_behind = has_room && plan::updates_behind(batch, outputs, inputs, plan.workers);
        call.updates_behind = updates_behind || plan.by_blocks;
        // By reference: copying either costs a tiny layer as much as a kernel.
        let (call, scratch) = (&call, &mut scratch);
        // SAFETY: `select` returned the kernels; every operand was checked against the shape above, and the borrows
        // keep outputs apart from inputs and from each other.
        self.threads
            .with_crew(plan.workers, plan.cycles, move |crew| unsafe { call.run(crew, scratch, plan.by_blocks) });
        Ok(())
    }

    /// The kernel for `dz = dA ⊙ g'`; none where `g' = 1` and `dz` is `dA` itself.
    fn dz_kernel(&self, kernels: &Kernels, saved: &Saved<'_>) -> Option<unsafe fn(&Slab)> {
        let by_activation = match saved {
            Saved::A(_) => &kernels.dz_from_a,
            Saved::Z(_) => &kernels.dz_from_z,
        };
        (self.activation != Activation::Identity).then(|| by_activation[self.activation.index()])
    }
}

/// The kernel for `dz = a - y`.
fn targets_kernel(kernels: &Kernels, saved: &Saved<'_>) -> unsafe fn(&Slab) {
    match saved {
        Saved::A(_) => kernels.dz_from_targets_and_a,
        Saved::Z(_) => kernels.dz_from_targets_and_z,
    }
}

/// A gradient's memory, and whether to add to it.
#[derive(Clone, Copy)]
struct Target {
    sink: Sink,
    add: bool,
}

impl Target {
    #[inline(always)]
    fn new(
        gradient: &mut Option<Gradient<'_>>,
        operand: Operand,
        rows: usize,
        cols: usize,
    ) -> Result<Option<Self>, Error> {
        match gradient {
            None => Ok(None),
            Some(Gradient { output, add }) => {
                Ok(Some(Self { sink: output.sink(operand, rows, cols, *add)?, add: *add }))
            }
        }
    }
}

/// A checked backward call.
struct Call<'c> {
    layer: &'c Dense,
    kernels: &'static Kernels,
    batch: usize,
    a_prev: Source,
    w: WeightsSource,
    saved: Source,
    upstream: Source,
    /// How `dz` is computed; none where upstream is `dz` itself.
    dz_kernel: Option<unsafe fn(&Slab)>,
    d_w: Option<Target>,
    d_b: Option<Target>,
    d_a_prev: Option<Target>,
    d_z: Option<Sink>,
    scale: f32,
    /// The parameters to be updated behind everything else. `d_w` is room for partial sums then; `db`, of which only the
    /// step is told, stands in scratch memory.
    step: Option<&'c Step>,
    /// Whether the weights' whole gradient stands in that room before they are updated.
    updates_behind: bool,
}

// SAFETY: a call may go to a pool, where workers read its inputs and write disjoint parts of its outputs.
unsafe impl Send for Call<'_> {}
// SAFETY: as above.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    /// Slab by slab of the batch, or shared block by block.
    ///
    /// # Safety
    /// All operands must be valid for the layer's shape and the batch, outputs apart from everything else; only a
    /// layer with room for partial sums goes by blocks.
    unsafe fn run(&self, crew: &Crew<'_>, scratch: &mut Scratch<'_>, by_blocks: bool) {
        let outputs = self.layer.outputs;
        if outputs == 0 && (self.layer.inputs == 0 || self.d_a_prev.is_none()) {
            return;
        }
        // A strided `db` is worked on in contiguous scratch.
        let vector = scratch.vector.as_mut_ptr();
        let db = match self.step {
            Some(step) => step.b.map(|_| vector),
            None => self.d_b.map(|d_b| if d_b.sink.col_stride == 1 { d_b.sink.ptr } else { vector }),
        };
        let strided = self.d_b.filter(|d_b| d_b.sink.col_stride != 1);
        // SAFETY: the caller's promise; the vector scratch and `d_b` both hold one element for each output.
        unsafe {
            if let Some(d_b) = strided.filter(|d_b| d_b.add) {
                for j in 0..outputs {
                    *vector.add(j) = *d_b.sink.at(0, j);
                }
            }
            if by_blocks && crew.workers() > 1 {
                self.by_blocks(crew, scratch, db);
            } else if crew.workers() == 1 && self.batch <= scratch.slab_rows {
                // Small layers end here: nothing is set up that only a crew or several slabs need.
                self.slab(0, self.batch, scratch, db);
            } else {
                self.by_slabs(crew, scratch, db);
            }
            if let (true, Some(step), Some(sums)) = (self.updates_behind, self.step, self.d_w) {
                let whole = Part { rows: 0..outputs, cols: 0..self.layer.inputs };
                step.w.update(self.kernels, &whole, sums.sink.as_source());
            }
            if let (Some(b), Some(db)) = (self.step.and_then(|step| step.b), db) {
                let gradient = Source { ptr: db, row_stride: outputs, col_stride: 1 };
                b.update(self.kernels, &Part { rows: 0..1, cols: 0..outputs }, gradient);
            }
            if let Some(d_b) = strided {
                for j in 0..outputs {
                    *d_b.sink.at(0, j) = *vector.add(j);
                }
            }
        }
    }

    /// Slab by slab of the batch: `dz` and `db`, then `dA_prev` and `dW`.
    ///
    /// # Safety
    /// As [`Call::run`].
    #[inline(never)]
    unsafe fn by_slabs(&self, crew: &Crew<'_>, scratch: &mut Scratch<'_>, db: Option<*mut f32>) {
        // An empty batch is one empty slab, which sets the gradients to zero or leaves what they are added to.
        for start in (0..self.batch.max(1)).step_by(scratch.slab_rows) {
            let rows = scratch.slab_rows.min(self.batch - start);
            // SAFETY: rows start..start + rows lie inside the batch, for which the caller vouches.
            unsafe {
                if crew.workers() == 1 {
                    self.slab(start, rows, scratch, db);
                } else {
                    self.shared_slab(start, rows, crew, scratch, db);
                }
            }
        }
    }

    /// Rows `start..start + rows` on this thread.
    ///
    /// # Safety
    /// As [`Call::run`], for no more rows inside the batch than a slab has; `db` has room for one element for each output.
    #[inline(always)]
    unsafe fn slab(&self, start: usize, rows: usize, scratch: &mut Scratch<'_>, db: Option<*mut f32>) {
        let (pass, dz) = self.dz_pass(start, rows, self.slab_sink(scratch), self.column_sums(start, db));
        let scratch = &mut *scratch.workers;
        // SAFETY: the caller's promise; the scratch has the length that the driver asks.
        unsafe {
            if let Some(pass) = pass {
                pass.run(self.kernels, 0..self.layer.outputs, scratch);
            }
            if let Some(target) = self.d_a_prev {
                let (gemm, summation) = self.a_prev_gemm(start, rows, dz, target);
                driver::run_whole(self.kernels, &gemm, summation, scratch);
            }
            if let Some((gemm, summation)) = self.w_gemm(start, rows, dz) {
                driver::run_whole(self.kernels, &gemm, summation, scratch);
            }
        }
    }

    /// Where a slab's `dz` stands.
    #[inline(always)]
    fn slab_sink(&self, scratch: &mut Scratch<'_>) -> Sink {
        let row_stride = apart(self.layer.outputs).unwrap_or(self.layer.outputs);
        Sink { ptr: scratch.slab.as_mut_ptr(), row_stride, col_stride: 1 }
    }

    /// What the slab from row `start` on does to the column sums.
    #[inline(always)]
    fn column_sums(&self, start: usize, db: Option<*mut f32>) -> Option<ColumnSums> {
        let add = self.d_b.is_some_and(|d_b| d_b.add) || start > 0;
        db.map(|ptr| ColumnSums { ptr, scale: self.scale, add })
    }

    /// Rows `start..start + rows`, shared: each makes the `dz` it needs for itself where that is small, or all make it
    /// together and then read it.
    ///
    /// # Safety
    /// As [`Call::slab`].
    unsafe fn shared_slab(
        &self,
        start: usize,
        rows: usize,
        crew: &Crew<'_>,
        scratch: &mut Scratch<'_>,
        db: Option<*mut f32>,
    ) {
        let (kernels, outputs, members) = (self.kernels, self.layer.outputs, crew.workers());
        let (slab, db) = (self.slab_sink(scratch), self.column_sums(start, db));
        let (worker_len, own_len) = (scratch.worker_len, scratch.blocks.dz);
        let scratch = &mut *scratch.workers;
        let (pass, dz) = self.dz_pass(start, rows, slab, db);
        let gemms = |dz: Source| {
            [self.d_a_prev.map(|target| self.a_prev_gemm(start, rows, dz, target)), self.w_gemm(start, rows, dz)]
        };
        let products = gemms(dz).map(|problem| problem.map(|problem| Product::new(kernels, problem, members)));
        // Parts of the two go together: a member claims its share of both at once.
        let parts = products.iter().flatten().map(Product::parts).max().unwrap_or(0);
        let compute = |index: usize, product: &Product, scratch: &mut [f32]| {
            for part in plan::share(product.parts(), 1, index, parts) {
                // SAFETY: the caller's promise; the products write to different outputs, and each part is computed once.
                unsafe { product.run(kernels, part, scratch) };
            }
        };
        let row_stride = slab.row_stride;
        // Weights that are updated have to be read by all before.
        let is_one_job = self.step.is_none() || self.d_a_prev.is_none();
        let is_own = is_one_job && self.d_z.is_none() && rows * row_stride <= own_len;
        if is_own && (1..=members).contains(&parts) {
            crew.share(parts, scratch, worker_len, &|index, scratch| {
                let (own, scratch) = scratch.split_at_mut(own_len);
                let own = Sink { ptr: own.as_mut_ptr(), row_stride, col_stride: 1 };
                let (pass, dz) = self.dz_pass(start, rows, own, db.filter(|_| index == 0));
                if let Some(pass) = pass {
                    // SAFETY: the caller's promise; this `dz` is the worker's own, and one of them makes `db`.
                    unsafe { pass.run(kernels, 0..outputs, scratch) };
                }
                for (product, problem) in products.iter().zip(gemms(dz)) {
                    if let Some((product, (gemm, _))) = product.as_ref().zip(problem) {
                        compute(index, &product.with_operands(gemm), scratch);
                    }
                }
            });
            return;
        }
        if let Some(pass) = pass {
            let workers = plan::workers(plan::dz_cycles(rows, outputs), 0.0, &crew.supply());
            crew.share(workers, scratch, worker_len, &|index, scratch| {
                let cols = plan::share(outputs, kernels.lanes.max(plan::LINE), index, workers);
                // SAFETY: the caller's promise; the workers' columns are disjoint.
                unsafe { pass.run(kernels, cols, scratch) };
            });
        }
        if is_one_job {
            crew.share(parts, scratch, worker_len, &|index, scratch| {
                products.iter().flatten().for_each(|product| compute(index, product, scratch));
            });
            return;
        }
        for product in products.iter().flatten() {
            crew.share(parts, scratch, worker_len, &|index, scratch| compute(index, product, scratch));
        }
    }

    /// `dA_prev` of rows `start..start + rows`.
    #[inline(always)]
    fn a_prev_gemm(&self, start: usize, rows: usize, dz: Source, target: Target) -> (Gemm<'static>, Summation) {
        let c = Sink { ptr: target.sink.at(start, 0), ..target.sink };
        self.layer.a_prev_product(self.batch, rows, dz, &self.w, c, target.add)
    }

    /// What rows `start..start + rows` add to `dw`, if it is wanted; or, behind the last row, the weights' update.
    #[inline(always)]
    fn w_gemm(&self, start: usize, rows: usize, dz: Source) -> Option<(Gemm<'_>, Summation)> {
        let parameter = self.step.filter(|_| start + rows == self.batch && !self.updates_behind).map(|step| &step.w);
        // An update by a single slab has nothing to add to.
        let unused = Sink { ptr: core::ptr::null_mut(), row_stride: 0, col_stride: 0 };
        let target = self.d_w.or(parameter.map(|_| Target { sink: unused, add: false }))?;
        let a_prev = Source { ptr: self.a_prev.at(start, 0), ..self.a_prev };
        let gemm = self.layer.w_product(rows, dz, a_prev, target.sink, self.scale, target.add || start > 0);
        let update = parameter.map(|parameter| Updated { parameter, is_transposed: false });
        Some((Gemm { update, ..gemm }, Summation::Chain))
    }

    /// What makes `dz` of rows `start..start + rows` and its column sums, if anything is left to do; and where `dz`
    /// stands.
    #[inline(always)]
    fn dz_pass(&self, start: usize, rows: usize, slab: Sink, db: Option<ColumnSums>) -> (Option<DzPass>, Source) {
        let upstream = Source { ptr: self.upstream.at(start, 0), ..self.upstream };
        let saved = Source { ptr: self.saved.at(start, 0), ..self.saved };
        let kept = self.d_z.map(|d_z| Sink { ptr: d_z.at(start, 0), ..d_z });
        let is_given = self.dz_kernel.is_none();
        if is_given && kept.is_none() && db.is_none() {
            return (None, upstream);
        }
        let pass = DzPass {
            kernel: self.dz_kernel.unwrap_or(self.kernels.dz_given),
            rows,
            upstream,
            saved: if is_given { upstream } else { saved },
            dz: kept.unwrap_or(slab),
            db,
        };
        (Some(pass), if is_given { upstream } else { pass.dz.as_source() })
    }
}

/// How a backward call is shared.
pub(super) struct BackwardPlan {
    pub(super) workers: usize,
    /// What one worker alone would take for what is shared out at once.
    cycles: f64,
    by_blocks: bool,
}

impl BackwardPlan {
    const SERIAL: Self = Self { workers: 1, cycles: 0.0, by_blocks: false };
}

impl Dense {
    /// How a backward call with this batch is shared when it is made here and now; `has_room` says that sums over part of
    /// the batch may stand where `dw` goes.
    #[inline(always)]
    pub(super) fn backward_plan(
        &self,
        kernels: &Kernels,
        batch: usize,
        d_w: bool,
        d_a_prev: bool,
        has_room: bool,
    ) -> BackwardPlan {
        if plan::is_light(kernels, batch, self.outputs, self.inputs) {
            return BackwardPlan::SERIAL;
        }
        let supply = self.threads.here();
        match &self.layout {
            Ok(layout) if supply.workers > 1 => {
                self.shared_plan(kernels, layout, &supply, batch, [d_w, d_a_prev], has_room)
            }
            _ => BackwardPlan::SERIAL,
        }
    }

    /// Cycles that `dz` and so many of the two products behind it take one core.
    pub(super) fn backward_cycles(&self, kernels: &Kernels, rows: usize, products: usize) -> f64 {
        let product = plan::product_cycles(kernels, rows, self.inputs, self.outputs);
        plan::dz_cycles(rows, self.outputs) + products as f64 * product
    }

    fn shared_plan(
        &self,
        kernels: &Kernels,
        layout: &WorkspaceLayout,
        supply: &Supply,
        batch: usize,
        [d_w, d_a_prev]: [bool; 2],
        has_room: bool,
    ) -> BackwardPlan {
        let cycles = |rows: usize| self.backward_cycles(kernels, rows, usize::from(d_w) + usize::from(d_a_prev));
        let supply = &Supply { cost: supply.backward_cost, ..*supply };
        if cycles(batch) <= supply.cost {
            return BackwardPlan::SERIAL;
        }
        let rows = batch.min(layout.slab_rows);
        // Whoever makes part of `dA_prev` or `dw` reads rows or columns of `dz`, which others have made.
        let moved = 2.0 * rows as f64 * self.outputs as f64;
        let workers = plan::workers(cycles(rows), moved, supply);
        let slabs = batch as f64 / rows.max(1) as f64;
        let by_slabs = slabs * plan::shared_cycles(cycles(rows), moved, supply, workers);
        let blocks = plan::Blocks {
            count: batch.div_ceil(SUM_BLOCK),
            most: layout.blocks.most,
            cycles: cycles(batch.min(SUM_BLOCK)),
            sums: if d_w { self.inputs * self.outputs } else { 0 },
        };
        match plan::block_workers(&blocks, supply) {
            Some((workers, by_blocks)) if has_room && by_blocks < by_slabs => {
                BackwardPlan { workers, cycles: cycles(batch), by_blocks: true }
            }
            _ => BackwardPlan { workers, cycles: cycles(rows), by_blocks: false },
        }
    }

    /// `dA_prev = dz · w` for `rows` samples of the batch, and its order of summation.
    #[inline(always)]
    pub(super) fn a_prev_product(
        &self,
        batch: usize,
        rows: usize,
        dz: Source,
        w: &WeightsSource,
        d_a_prev: Sink,
        add: bool,
    ) -> (Gemm<'static>, Summation) {
        let summation = self.summation.resolve(batch, self.inputs, self.outputs, !w.along_inputs);
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
            scale: 1.0,
            add,
            activation: Activation::Identity,
            update: None,
        };
        (gemm, summation)
    }

    /// `dw = s · dzᵀ · a_prev` for `rows` samples of the batch, always in the chain order.
    #[inline(always)]
    pub(super) fn w_product(
        &self,
        rows: usize,
        dz: Source,
        a_prev: Source,
        d_w: Sink,
        scale: f32,
        add: bool,
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
            scale,
            add,
            activation: Activation::Identity,
            update: None,
        }
    }
}
