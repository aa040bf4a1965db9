//! The backward pass: slab by slab of the batch, `dz` and `db` in one pass, then `dA_prev` and `dW` from that slab while
//! it is in the caches.

use super::call::Gradient;
use super::forward::Product;
use super::{Dense, Gradients, Saved, Upstream, Weights};
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::gemm::Gemm;
use crate::gemm::packed::WeightsSource;
use crate::gemm::slab::DzPass;
use crate::isa::Kernels;
use crate::kernel::chain::Start;
use crate::kernel::elementwise::Slab;
use crate::kernel::{Sink, Source};
use crate::matrix::Input;
use crate::plan;
use crate::summation::Summation;
use crate::threads::Crew;
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
        let upstream = match upstream {
            Upstream::Activation(d_a) => Upstream::Activation(d_a.into()),
            Upstream::PreActivation(d_z) => Upstream::PreActivation(d_z.into()),
            Upstream::Targets(y) => Upstream::Targets(y.into()),
        };
        self.backward_call(workspace, a_prev.into(), w.into(), saved.into(), upstream, gradients)
    }

    fn backward_call(
        &self,
        workspace: &mut Workspace,
        a_prev: Input<'_>,
        w: Weights<'_>,
        saved: Saved<'_>,
        upstream: Upstream<Input<'_>>,
        mut gradients: Gradients<'_>,
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
        let call = Call {
            layer: self,
            kernels,
            batch,
            a_prev: a_prev.source(Operand::APrev, batch, inputs)?,
            w: w.source(self, kernels)?,
            saved: saved.source(saved_name, batch, outputs)?,
            upstream: upstream.source(upstream_name, batch, outputs)?,
            dz_kernel,
            d_w: Target::new(&mut gradients.w, Operand::DW, outputs, inputs)?,
            d_b: Target::new(&mut gradients.b, Operand::DB, 1, outputs)?,
            d_a_prev: Target::new(&mut gradients.a_prev, Operand::DAPrev, batch, inputs)?,
            d_z: match &mut gradients.z {
                None => None,
                Some(d_z) => Some(d_z.sink(Operand::DZ, batch, outputs, false)?),
            },
            scale: gradients.scale,
        };
        let scratch = self.scratch(workspace)?;
        let rows = batch.min(scratch.slab_rows);
        let (workers, cycles) = self.backward_workers(kernels, rows, call.d_w.is_some(), call.d_a_prev.is_some());
        let call = &call;
        // SAFETY: `select` returned the kernels; every operand was checked against the shape above, and the borrows
        // keep outputs apart from inputs and from each other.
        self.threads.with_crew(workers, cycles, move |crew| unsafe { call.run(crew, scratch) });
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
}

// SAFETY: a call may go to a pool, where workers read its inputs and write disjoint parts of its outputs.
unsafe impl Send for Call<'_> {}
// SAFETY: as above.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    /// Slab by slab of the batch: `dz` and `db`, then `dA_prev` and `dW`.
    ///
    /// # Safety
    /// All operands must be valid for the layer's shape and the batch, outputs apart from everything else.
    unsafe fn run(&self, crew: &Crew<'_>, scratch: super::Scratch<'_>) {
        let super::Scratch { vector, slab, slab_rows, workers, worker_len } = scratch;
        let outputs = self.layer.outputs;
        if outputs == 0 && (self.layer.inputs == 0 || self.d_a_prev.is_none()) {
            return;
        }
        // A strided `db` is worked on in contiguous scratch.
        let db = self.d_b.map(|d_b| if d_b.sink.col_stride == 1 { d_b.sink.ptr } else { vector.as_mut_ptr() });
        let slab_row = apart(outputs).unwrap_or(outputs);
        let slab = Sink { ptr: slab.as_mut_ptr(), row_stride: slab_row, col_stride: 1 };
        // An empty batch is one empty slab, which sets the gradients to zero or leaves what they are added to.
        for start in (0..self.batch.max(1)).step_by(slab_rows) {
            let rows = slab_rows.min(self.batch - start);
            // SAFETY: rows start..start + rows lie inside the batch, for which the caller vouches.
            unsafe {
                if let (Some(d_b), Some(db)) = (self.d_b, db)
                    && d_b.sink.ptr != db
                    && d_b.add
                    && start == 0
                {
                    for j in 0..outputs {
                        *db.add(j) = *d_b.sink.at(0, j);
                    }
                }
                let dz = self.dz(start, rows, slab, db, crew, workers, worker_len);
                self.products(start, rows, dz, crew, workers, worker_len);
            }
        }
        if let (Some(d_b), Some(db)) = (self.d_b, db)
            && d_b.sink.ptr != db
        {
            for j in 0..outputs {
                // SAFETY: the vector scratch and `d_b` both hold one element for each output.
                unsafe { *d_b.sink.at(0, j) = *db.add(j) };
            }
        }
    }

    /// `dA_prev` of rows `start..start + rows`, and what they add to `dw`.
    ///
    /// # Safety
    /// As [`Call::run`], for rows inside the batch.
    #[inline(always)]
    unsafe fn products(
        &self,
        start: usize,
        rows: usize,
        dz: Source,
        crew: &Crew<'_>,
        scratch: &mut [f32],
        worker_len: usize,
    ) {
        let members = crew.workers();
        if members == 1 {
            // Small layers end here: nothing is set up that only a crew needs.
            // SAFETY: the caller's promise; each product has one part.
            unsafe {
                if let Some(target) = self.d_a_prev {
                    self.a_prev_product(start, rows, dz, target, 1).run(self.kernels, 0, scratch);
                }
                if let Some(target) = self.d_w {
                    self.w_product(start, rows, dz, target, 1).run(self.kernels, 0, scratch);
                }
            }
            return;
        }
        let products = [
            self.d_a_prev.map(|target| self.a_prev_product(start, rows, dz, target, members)),
            self.d_w.map(|target| self.w_product(start, rows, dz, target, members)),
        ];
        let parts = products.each_ref().map(|product| product.as_ref().map_or(0, Product::parts));
        crew.share(parts[0] + parts[1], scratch, worker_len, &|index, scratch| {
            let (product, index) = interleaved(parts, index);
            if let Some(product) = &products[product] {
                // SAFETY: the caller's promise; the products write to different outputs, and each part is computed once.
                unsafe { product.run(self.kernels, index, scratch) };
            }
        });
    }

    #[inline(always)]
    fn a_prev_product(&self, start: usize, rows: usize, dz: Source, target: Target, members: usize) -> Product {
        let c = Sink { ptr: target.sink.at(start, 0), ..target.sink };
        let (gemm, summation) = self.layer.a_prev_product(self.batch, rows, dz, &self.w, c, target.add);
        Product::new(self.kernels, gemm, summation, members)
    }

    #[inline(always)]
    fn w_product(&self, start: usize, rows: usize, dz: Source, target: Target, members: usize) -> Product {
        let a_prev = Source { ptr: self.a_prev.at(start, 0), ..self.a_prev };
        let gemm = self.layer.w_product(rows, dz, a_prev, target.sink, self.scale, target.add || start > 0);
        Product::new(self.kernels, gemm, Summation::Chain, members)
    }

    /// `dz` of rows `start..start + rows`, where it stands; `db` on the way.
    ///
    /// # Safety
    /// As [`Call::run`], for rows inside the batch; `slab` has room for them, `db` for one element for each output.
    #[allow(clippy::too_many_arguments)]
    unsafe fn dz(
        &self,
        start: usize,
        rows: usize,
        slab: Sink,
        db: Option<*mut f32>,
        crew: &Crew<'_>,
        scratch: &mut [f32],
        worker_len: usize,
    ) -> Source {
        let upstream = Source { ptr: self.upstream.at(start, 0), ..self.upstream };
        let saved = Source { ptr: self.saved.at(start, 0), ..self.saved };
        let kept = self.d_z.map(|d_z| Sink { ptr: d_z.at(start, 0), ..d_z });
        let is_given = self.dz_kernel.is_none();
        if is_given && kept.is_none() && db.is_none() {
            return upstream;
        }
        let pass = DzPass {
            kernel: self.dz_kernel.unwrap_or(self.kernels.dz_given),
            rows,
            upstream,
            saved: if is_given { upstream } else { saved },
            dz: kept.unwrap_or(slab),
            db,
            scale: self.scale,
            add: self.d_b.is_some_and(|d_b| d_b.add) || start > 0,
        };
        if crew.workers() == 1 {
            // SAFETY: the caller's promise; the scratch has the driver's length.
            unsafe { pass.run(self.kernels, 0..self.layer.outputs, scratch) };
        } else {
            let workers = plan::workers(plan::dz_cycles(rows, self.layer.outputs), &crew.supply());
            crew.share(workers, scratch, worker_len, &|index, scratch| {
                let cols = plan::share(self.layer.outputs, self.kernels.lanes, index, workers);
                // SAFETY: the caller's promise; the workers' columns are disjoint and the scratch has the driver's length.
                unsafe { pass.run(self.kernels, cols, scratch) };
            });
        }
        if is_given { upstream } else { pass.dz.as_source() }
    }
}

/// Which of two lists of parts, and which part of it, comes at `index` where they take turns as long as both last: the
/// member who computes a share of one product then finds its share of the other next to it.
fn interleaved([first, second]: [usize; 2], index: usize) -> (usize, usize) {
    let paired = first.min(second);
    if index < 2 * paired { (index % 2, index / 2) } else { (usize::from(second > first), index - paired) }
}

impl Dense {
    /// Workers that share a backward call with this many rows in a slab, and the cycles that a slab takes one.
    #[inline(always)]
    pub(super) fn backward_workers(&self, kernels: &Kernels, rows: usize, d_w: bool, d_a_prev: bool) -> (usize, f64) {
        let supply = self.threads.here();
        if supply.workers == 1 {
            return (1, 0.0);
        }
        let product = |is_wanted: bool| match is_wanted {
            true => plan::product_cycles(kernels, rows, self.inputs, self.outputs),
            false => 0.0,
        };
        let cycles = plan::dz_cycles(rows, self.outputs) + product(d_w) + product(d_a_prev);
        (plan::workers(cycles, &supply), cycles)
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
    ) -> (Gemm, Summation) {
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
        };
        (gemm, summation)
    }

    /// `dw = s · dzᵀ · a_prev` for `rows` samples of the batch, always in the chain order.
    #[inline(always)]
    pub(super) fn w_product(&self, rows: usize, dz: Source, a_prev: Source, d_w: Sink, scale: f32, add: bool) -> Gemm {
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
        }
    }
}
