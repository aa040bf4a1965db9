//! oneDNN through its C interface: inner product with a sigmoid behind it, and the primitives of its backward pass.

mod api;

use super::library::{self, function};
use super::{Contender, Plan, Routine, passes};
use crate::bench::buffer::Buffer;
use crate::bench::shape::{Shape, Weights};
use crate::bench::workload::{Quantity, Task, Workload};
use api::{Api, Layout, Memory, Query, Step, arg};
use fused_dense::Isa;
use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;

/// oneDNN's libraries, newest first.
const FILES: [&str; 2] = ["libdnnl.so.3", "libdnnl.so.2"];

/// One loaded library with one way to hand over weights.
pub struct OneDnn {
    name: String,
    version: String,
    library: Arc<Loaded>,
    weights: Weights,
}

struct Loaded {
    api: Api,
    /// Of the OpenMP runtime that the library uses, for the calling thread.
    set_threads: Option<unsafe extern "C" fn(c_int)>,
}

/// Both ways of each version that is found; what is not found, with the reason.
pub fn known() -> Vec<(String, anyhow::Result<[OneDnn; 2]>)> {
    FILES
        .iter()
        .map(|file| {
            let found = library::first(&library::candidates(&[file]), at);
            (format!("onednn {}", file.trim_start_matches("libdnnl.so.")), found)
        })
        .collect()
}

/// Loads the library at a path.
///
/// # Errors
/// Where there is none, or none that is oneDNN.
pub fn at(path: &Path) -> anyhow::Result<[OneDnn; 2]> {
    let library = library::open(path)?;
    // SAFETY: this is the function's type in OpenMP's header.
    let set_threads = unsafe { function(library, "omp_set_num_threads") }.ok();
    let library = Arc::new(Loaded { api: Api::load(library)?, set_threads });
    let number = library.api.version();
    let short: Vec<&str> = number.split('.').take(2).collect();
    let name = format!("onednn{}", short.join("."));
    let version = format!("{number} ({} kernels)", library.api.isa());
    let of = |suffix: &str, weights| OneDnn {
        name: format!("{name}{suffix}"),
        version: version.clone(),
        library: Arc::clone(&library),
        weights,
    };
    Ok([of("", Weights::Plain), of("-packed", Weights::Packed)])
}

impl Contender for OneDnn {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn is_held_to(&self, _isa: Isa) -> bool {
        // A variable of the environment tells it.
        true
    }

    fn weights(&self) -> Weights {
        self.weights
    }

    fn plan<'a>(&'a self, task: Task<'a>, threads: usize) -> anyhow::Result<Plan<'a>> {
        if let Some(set_threads) = self.library.set_threads {
            // SAFETY: it takes any positive number.
            unsafe { set_threads(threads as c_int) };
        }
        Ok(match task {
            Task::Forward(work) => Plan::Ready(Box::new(self.forward(work)?)),
            Task::Backward(work) => Plan::Ready(Box::new(self.backward(work)?)),
            Task::Step(_) | Task::Epoch(_) => {
                Plan::Absent("it has primitives for layers, not for training steps".into())
            }
        })
    }
}

/// Descriptors of a layer's operands.
struct Operands {
    x: Memory,
    plain_w: Memory,
    /// The layout that primitives are asked to take.
    w: Memory,
    b: Memory,
    a: Memory,
}

impl OneDnn {
    fn operands(&self, Shape { batch, inputs, outputs }: Shape) -> anyhow::Result<Operands> {
        let api = &self.library.api;
        let asked = match self.weights {
            Weights::Plain => Layout::RowMajor,
            Weights::Packed => Layout::Any,
        };
        Ok(Operands {
            x: api.memory(&[batch, inputs], Layout::RowMajor)?,
            plain_w: api.memory(&[outputs, inputs], Layout::RowMajor)?,
            w: api.memory(&[outputs, inputs], asked)?,
            b: api.memory(&[outputs], Layout::Vector)?,
            a: api.memory(&[batch, outputs], Layout::RowMajor)?,
        })
    }

    /// The weights in a layout that a primitive chose.
    fn packed(&self, work: &Workload, plain: &Memory, chosen: &Memory) -> anyhow::Result<Buffer> {
        let api = &self.library.api;
        let packed = Buffer::filled(0.0, api.len(chosen));
        let description = api.reorder(plain, chosen)?;
        // SAFETY: both buffers are as long as their descriptors say, and outlive the step, which ends here.
        unsafe {
            api.step(description, &[(arg::SRC, plain, work.w.as_ptr()), (arg::DST, chosen, packed.as_ptr())])?.run();
        }
        Ok(packed)
    }

    fn forward<'a>(&'a self, work: &'a Workload) -> anyhow::Result<Forward<'a>> {
        let api = &self.library.api;
        let Operands { x, plain_w, w, b, a } = self.operands(work.shape)?;
        let description = api.forward([&x, &w, &b, &a], true)?;
        let chosen = api.chosen(description, Query::Weights);
        let weights = self.packed(work, &plain_w, &chosen)?;
        let output = Buffer::unwritten(work.shape.batch * work.shape.outputs);
        // The plain row reads the same memory as everybody else.
        let w_data = if self.weights == Weights::Plain { work.w.as_ptr() } else { weights.as_ptr() };
        let arguments = [
            (arg::SRC, &x, work.x.as_ptr()),
            (arg::WEIGHTS, &chosen, w_data),
            (arg::BIAS, &b, work.b.as_ptr()),
            (arg::DST, &a, output.as_ptr()),
        ];
        // SAFETY: all buffers are as long as their descriptors say; the routine owns them or borrows their owner.
        let step = unsafe { api.step(description, &arguments)? };
        Ok(Forward { step, _weights: weights, a: output })
    }

    fn backward<'a>(&'a self, work: &'a Workload) -> anyhow::Result<Backward<'a>> {
        let api = &self.library.api;
        let Shape { batch, inputs, outputs } = work.shape;
        let Operands { x, plain_w, w, b, a } = self.operands(work.shape)?;
        let hint = api.forward([&x, &w, &b, &a], false)?;
        let dz_step = api.sigmoid_backward(&a)?;
        let d_a_prev_step = api.backward_data([&x, &w, &a], hint)?;
        let d_w_step = api.backward_weights([&x, &w, &b, &a], hint)?;
        let chosen_w = api.chosen(d_a_prev_step, Query::Weights);
        let chosen_d_w = api.chosen(d_w_step, Query::DiffWeights);

        let weights = self.packed(work, &plain_w, &chosen_w)?;
        let w_data = if self.weights == Weights::Plain { work.w.as_ptr() } else { weights.as_ptr() };
        // The library has no factor on `dw` and `db`: it goes into the smaller of `dz`, of which a second copy is
        // then kept, and `dw`.
        let scaled = match () {
            () if work.scale == 1.0 => Scaled::Nothing,
            () if batch * outputs < outputs * inputs => Scaled::Dz(Buffer::unwritten(batch * outputs)),
            () => Scaled::Gradients,
        };
        let dz = Buffer::unwritten(batch * outputs);
        let dz_of_weights = if let Scaled::Dz(copy) = &scaled { copy.as_ptr() } else { dz.as_ptr() };
        let (d_w, d_b) = (Buffer::unwritten(api.len(&chosen_d_w)), Buffer::unwritten(outputs));
        let (d_a_prev, plain_d_w) = (Buffer::unwritten(batch * inputs), Buffer::unwritten(outputs * inputs));
        // SAFETY: all buffers are as long as their descriptors say; the routine owns them or borrows their owner.
        unsafe {
            Ok(Backward {
                dz_step: api.step(
                    dz_step,
                    &[
                        (arg::DST, &a, work.a.as_ptr()),
                        (arg::DIFF_DST, &a, work.d_a.as_ptr()),
                        (arg::DIFF_SRC, &a, dz.as_ptr()),
                    ],
                )?,
                d_a_prev_step: api.step(
                    d_a_prev_step,
                    &[
                        (arg::DIFF_DST, &a, dz.as_ptr()),
                        (arg::WEIGHTS, &chosen_w, w_data),
                        (arg::DIFF_SRC, &x, d_a_prev.as_ptr()),
                    ],
                )?,
                d_w_step: api.step(
                    d_w_step,
                    &[
                        (arg::SRC, &x, work.x.as_ptr()),
                        (arg::DIFF_DST, &a, dz_of_weights),
                        (arg::DIFF_WEIGHTS, &chosen_d_w, d_w.as_ptr()),
                        (arg::DIFF_BIAS, &b, d_b.as_ptr()),
                    ],
                )?,
                unpack_step: api.step(
                    api.reorder(&chosen_d_w, &plain_w)?,
                    &[(arg::SRC, &chosen_d_w, d_w.as_ptr()), (arg::DST, &plain_w, plain_d_w.as_ptr())],
                )?,
                scale: work.scale,
                scaled,
                _weights: weights,
                dz,
                d_w,
                d_b,
                d_a_prev,
                plain_d_w,
            })
        }
    }
}

struct Forward<'a> {
    step: Step<'a>,
    _weights: Buffer,
    a: Buffer,
}

impl Routine for Forward<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        self.step.run();
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        Ok(vec![Quantity::new("a", &self.a)])
    }
}

/// Where the factor of `dw` and `db` is applied.
enum Scaled {
    Nothing,
    Dz(Buffer),
    Gradients,
}

struct Backward<'a> {
    dz_step: Step<'a>,
    d_a_prev_step: Step<'a>,
    d_w_step: Step<'a>,
    /// Brings `dw` into the layout in which it is checked; never timed.
    unpack_step: Step<'a>,
    scale: f32,
    scaled: Scaled,
    _weights: Buffer,
    dz: Buffer,
    d_w: Buffer,
    d_b: Buffer,
    d_a_prev: Buffer,
    plain_d_w: Buffer,
}

impl Routine for Backward<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        self.dz_step.run();
        self.d_a_prev_step.run();
        if let Scaled::Dz(copy) = &mut self.scaled {
            copy.copy_from_slice(&self.dz);
            passes::scale_by(copy, self.scale);
        }
        self.d_w_step.run();
        if let Scaled::Gradients = self.scaled {
            passes::scale_by(&mut self.d_w, self.scale);
            passes::scale_by(&mut self.d_b, self.scale);
        }
        Ok(())
    }

    fn results(&self) -> anyhow::Result<Vec<Quantity>> {
        self.unpack_step.run();
        Ok(vec![
            Quantity::new("d_w", &self.plain_d_w),
            Quantity::new("d_b", &self.d_b),
            Quantity::new("d_a_prev", &self.d_a_prev),
        ])
    }
}
