//! The part of oneDNN's C interface that a dense layer needs, in the dialects of versions 2 and 3.
//!
//! They differ in how descriptors are made: version 2 fills structures of the caller's, version 3 returns handles.

use crate::peers::library::function;
use anyhow::{bail, ensure};
use libloading::Library;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

pub type Pointer = *mut c_void;
type Status = c_int;
type Dims = [i64; 12];

const CPU: c_int = 1;
const IN_ORDER: u32 = 1;
const F32: c_int = 3;
const FORWARD_INFERENCE: c_int = 96;
const FORWARD_TRAINING: c_int = 64;
const LOGISTIC_USE_DST: c_int = 0x104;

/// Layouts of a matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Layout {
    /// The layout that the library likes best.
    Any = 1,
    Vector = 2,
    RowMajor = 3,
}

/// The questions that a descriptor answers.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Query {
    Weights = 131,
    DiffWeights = 132,
}

/// Names of a primitive's arguments.
pub mod arg {
    use std::ffi::c_int;
    pub const SRC: c_int = 1;
    pub const DST: c_int = 17;
    pub const WEIGHTS: c_int = 33;
    pub const BIAS: c_int = 41;
    pub const DIFF_SRC: c_int = 129;
    pub const DIFF_DST: c_int = 145;
    pub const DIFF_WEIGHTS: c_int = 161;
    pub const DIFF_BIAS: c_int = 169;
}

/// One argument of an execution.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Argument {
    pub name: c_int,
    pub memory: Pointer,
}

#[repr(C)]
struct VersionNumbers {
    major: c_int,
    minor: c_int,
    patch: c_int,
}

/// Declares a struct of functions and its loader.
macro_rules! functions {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $symbol:literal: fn($($argument:ty),*) -> $result:ty,)* }) => {
        $(#[$doc])*
        struct $name {
            $($field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl $name {
            fn load(library: &'static Library) -> anyhow::Result<Self> {
                // SAFETY: these are the functions' types in the library's headers.
                unsafe { Ok(Self { $($field: function(library, $symbol)?,)* }) }
            }
        }
    };
}

functions! {
    /// Shared by both versions.
    Common {
        version = "dnnl_version": fn() -> *const VersionNumbers,
        effective_isa = "dnnl_get_effective_cpu_isa": fn() -> c_int,
        engine_create = "dnnl_engine_create": fn(*mut Pointer, c_int, usize) -> Status,
        stream_create = "dnnl_stream_create": fn(*mut Pointer, Pointer, u32) -> Status,
        stream_wait = "dnnl_stream_wait": fn(Pointer) -> Status,
        memory_create = "dnnl_memory_create": fn(*mut Pointer, *const c_void, Pointer, Pointer) -> Status,
        memory_destroy = "dnnl_memory_destroy": fn(Pointer) -> Status,
        memory_size = "dnnl_memory_desc_get_size": fn(*const c_void) -> usize,
        query = "dnnl_primitive_desc_query_md": fn(Pointer, c_int, c_int) -> *const c_void,
        primitive_create = "dnnl_primitive_create": fn(*mut Pointer, Pointer) -> Status,
        primitive_execute = "dnnl_primitive_execute": fn(Pointer, Pointer, c_int, *const Argument) -> Status,
        primitive_destroy = "dnnl_primitive_destroy": fn(Pointer) -> Status,
        reorder = "dnnl_reorder_primitive_desc_create":
            fn(*mut Pointer, *const c_void, Pointer, *const c_void, Pointer, Pointer) -> Status,
        attr_create = "dnnl_primitive_attr_create": fn(*mut Pointer) -> Status,
        attr_set_post_ops = "dnnl_primitive_attr_set_post_ops": fn(Pointer, Pointer) -> Status,
        post_ops_create = "dnnl_post_ops_create": fn(*mut Pointer) -> Status,
    }
}

functions! {
    /// Version 2: descriptors of operations, filled in place, and one function that makes primitives of them.
    Version2 {
        memory = "dnnl_memory_desc_init_by_tag": fn(Pointer, c_int, *const Dims, c_int, c_int) -> Status,
        append_eltwise = "dnnl_post_ops_append_eltwise": fn(Pointer, f32, c_int, f32, f32) -> Status,
        forward = "dnnl_inner_product_forward_desc_init":
            fn(Pointer, c_int, *const c_void, *const c_void, *const c_void, *const c_void) -> Status,
        backward_data = "dnnl_inner_product_backward_data_desc_init":
            fn(Pointer, *const c_void, *const c_void, *const c_void) -> Status,
        backward_weights = "dnnl_inner_product_backward_weights_desc_init":
            fn(Pointer, *const c_void, *const c_void, *const c_void, *const c_void) -> Status,
        eltwise_forward = "dnnl_eltwise_forward_desc_init":
            fn(Pointer, c_int, c_int, *const c_void, f32, f32) -> Status,
        eltwise_backward = "dnnl_eltwise_backward_desc_init":
            fn(Pointer, c_int, *const c_void, *const c_void, f32, f32) -> Status,
        create = "dnnl_primitive_desc_create": fn(*mut Pointer, *const c_void, Pointer, Pointer, Pointer) -> Status,
    }
}

functions! {
    /// Version 3: one function for each kind of primitive.
    Version3 {
        memory = "dnnl_memory_desc_create_with_tag": fn(*mut Pointer, c_int, *const Dims, c_int, c_int) -> Status,
        append_eltwise = "dnnl_post_ops_append_eltwise": fn(Pointer, c_int, f32, f32) -> Status,
        forward = "dnnl_inner_product_forward_primitive_desc_create": fn(
            *mut Pointer, Pointer, c_int, *const c_void, *const c_void, *const c_void, *const c_void, Pointer
        ) -> Status,
        backward_data = "dnnl_inner_product_backward_data_primitive_desc_create":
            fn(*mut Pointer, Pointer, *const c_void, *const c_void, *const c_void, Pointer, Pointer) -> Status,
        backward_weights = "dnnl_inner_product_backward_weights_primitive_desc_create": fn(
            *mut Pointer, Pointer, *const c_void, *const c_void, *const c_void, *const c_void, Pointer, Pointer
        ) -> Status,
        eltwise_forward = "dnnl_eltwise_forward_primitive_desc_create":
            fn(*mut Pointer, Pointer, c_int, c_int, *const c_void, *const c_void, f32, f32, Pointer) -> Status,
        eltwise_backward = "dnnl_eltwise_backward_primitive_desc_create": fn(
            *mut Pointer, Pointer, c_int, *const c_void, *const c_void, *const c_void, f32, f32, Pointer, Pointer
        ) -> Status,
    }
}

enum Dialect {
    Version2(Version2),
    Version3(Version3),
}

/// Room for the largest structure that version 2 fills, the inner product's of 5584 bytes.
type Structure = [u64; 1024];

/// A memory descriptor: shape and layout of one operand.
pub struct Memory {
    pointer: *const c_void,
    /// Where version 2 keeps what the pointer leads to.
    _structure: Option<Box<Structure>>,
}

impl Memory {
    pub fn pointer(&self) -> *const c_void {
        self.pointer
    }
}

/// The loaded library with an engine and a stream.
///
/// Descriptors, attributes and the engine live as long as the program: a run makes a few hundred of them.
pub struct Api {
    common: Common,
    dialect: Dialect,
    engine: Pointer,
    stream: Pointer,
}

// SAFETY: engines and streams may be used from any thread; this tool uses them from one at a time.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

/// A primitive descriptor.
#[derive(Clone, Copy)]
pub struct Description(Pointer);

fn check(what: &str, status: Status) -> anyhow::Result<()> {
    ensure!(status == 0, "oneDNN cannot {what} (status {status})");
    Ok(())
}

fn make(what: &str, create: impl FnOnce(*mut Pointer) -> Status) -> anyhow::Result<Pointer> {
    let mut made = null_mut();
    check(what, create(&raw mut made))?;
    Ok(made)
}

// SAFETY of all calls below: they hand over pointers that came from the library itself, or descriptors and structures
// that outlive the call, with the types of the library's headers.
impl Api {
    pub fn load(library: &'static Library) -> anyhow::Result<Self> {
        let common = Common::load(library)?;
        let dialect = match unsafe { (*(common.version)()).major } {
            2 => Dialect::Version2(Version2::load(library)?),
            3 => Dialect::Version3(Version3::load(library)?),
            other => bail!("version {other} is not known here"),
        };
        let engine = make("start its CPU engine", |made| unsafe { (common.engine_create)(made, CPU, 0) })?;
        let stream = make("make a stream", |made| unsafe { (common.stream_create)(made, engine, IN_ORDER) })?;
        Ok(Self { common, dialect, engine, stream })
    }

    /// `3.2.1`.
    pub fn version(&self) -> String {
        let VersionNumbers { major, minor, patch } = unsafe { (self.common.version)().read() };
        format!("{major}.{minor}.{patch}")
    }

    /// The instruction set that it uses.
    pub fn isa(&self) -> &'static str {
        // Each instruction set has its own bit besides those of the sets below it.
        match unsafe { (self.common.effective_isa)() } {
            isa if isa & 0x20 != 0 => "avx512",
            isa if isa & 0x4 != 0 => "avx2",
            _ => "below avx2",
        }
    }

    /// Describes an operand.
    pub fn memory(&self, shape: &[usize], layout: Layout) -> anyhow::Result<Memory> {
        let mut dims: Dims = [0; 12];
        for (dim, &size) in dims.iter_mut().zip(shape) {
            *dim = size as i64;
        }
        let (rank, tag) = (shape.len() as c_int, layout as c_int);
        match &self.dialect {
            Dialect::Version2(api) => {
                let mut structure = Box::new([0; 1024]);
                let pointer = structure.as_mut_ptr().cast();
                check("describe memory", unsafe { (api.memory)(pointer, rank, &raw const dims, F32, tag) })?;
                Ok(Memory { pointer, _structure: Some(structure) })
            }
            Dialect::Version3(api) => {
                let create = |made| unsafe { (api.memory)(made, rank, &raw const dims, F32, tag) };
                Ok(Memory { pointer: make("describe memory", create)?, _structure: None })
            }
        }
    }

    /// The layout that a primitive chose for an operand.
    pub fn chosen(&self, description: Description, what: Query) -> Memory {
        Memory { pointer: unsafe { (self.common.query)(description.0, what as c_int, 0) }, _structure: None }
    }

    /// Elements that an operand fills, padding included.
    pub fn len(&self, memory: &Memory) -> usize {
        unsafe { (self.common.memory_size)(memory.pointer) }.div_ceil(size_of::<f32>())
    }

    /// `dst = σ(src · wᵀ + b)`, or without the sigmoid.
    pub fn forward(&self, [src, weights, bias, dst]: [&Memory; 4], with_sigmoid: bool) -> anyhow::Result<Description> {
        let logistic = match &self.dialect {
            Dialect::Version2(_) => 0xaf,
            Dialect::Version3(_) => 0x29,
        };
        let attributes = if with_sigmoid {
            let post_ops = make("make post-ops", |made| unsafe { (self.common.post_ops_create)(made) })?;
            check(
                "append a sigmoid",
                match &self.dialect {
                    Dialect::Version2(api) => unsafe { (api.append_eltwise)(post_ops, 1.0, logistic, 0.0, 0.0) },
                    Dialect::Version3(api) => unsafe { (api.append_eltwise)(post_ops, logistic, 0.0, 0.0) },
                },
            )?;
            let attributes = make("make attributes", |made| unsafe { (self.common.attr_create)(made) })?;
            check("set post-ops", unsafe { (self.common.attr_set_post_ops)(attributes, post_ops) })?;
            attributes
        } else {
            null_mut()
        };
        let kind = if with_sigmoid { FORWARD_INFERENCE } else { FORWARD_TRAINING };
        let [src, weights, bias, dst] = [src, weights, bias, dst].map(Memory::pointer);
        match &self.dialect {
            Dialect::Version2(api) => self.describe(api, attributes, null_mut(), |operation| unsafe {
                (api.forward)(operation, kind, src, weights, bias, dst)
            }),
            Dialect::Version3(api) => make("do an inner product", |made| unsafe {
                (api.forward)(made, self.engine, kind, src, weights, bias, dst, attributes)
            })
            .map(Description),
        }
    }

    /// `diff_src = diff_dst · w`.
    pub fn backward_data(
        &self,
        [diff_src, weights, diff_dst]: [&Memory; 3],
        hint: Description,
    ) -> anyhow::Result<Description> {
        let [diff_src, weights, diff_dst] = [diff_src, weights, diff_dst].map(Memory::pointer);
        match &self.dialect {
            Dialect::Version2(api) => self.describe(api, null_mut(), hint.0, |operation| unsafe {
                (api.backward_data)(operation, diff_src, weights, diff_dst)
            }),
            Dialect::Version3(api) => make("do an inner product's backward data", |made| unsafe {
                (api.backward_data)(made, self.engine, diff_src, weights, diff_dst, hint.0, null_mut())
            })
            .map(Description),
        }
    }

    /// `diff_w = diff_dstᵀ · src`, `diff_b = Σ diff_dst`.
    pub fn backward_weights(
        &self,
        [src, diff_weights, diff_bias, diff_dst]: [&Memory; 4],
        hint: Description,
    ) -> anyhow::Result<Description> {
        let [src, diff_weights, diff_bias, diff_dst] = [src, diff_weights, diff_bias, diff_dst].map(Memory::pointer);
        match &self.dialect {
            Dialect::Version2(api) => self.describe(api, null_mut(), hint.0, |operation| unsafe {
                (api.backward_weights)(operation, src, diff_weights, diff_bias, diff_dst)
            }),
            Dialect::Version3(api) => make("do an inner product's backward weights", |made| unsafe {
                let (engine, hint) = (self.engine, hint.0);
                (api.backward_weights)(made, engine, src, diff_weights, diff_bias, diff_dst, hint, null_mut())
            })
            .map(Description),
        }
    }

    /// `diff_src = diff_dst ⊙ dst ⊙ (1 - dst)`, all of one layout.
    pub fn sigmoid_backward(&self, memory: &Memory) -> anyhow::Result<Description> {
        let (data, kind) = (memory.pointer, LOGISTIC_USE_DST);
        match &self.dialect {
            Dialect::Version2(api) => {
                let hint = self.describe(api, null_mut(), null_mut(), |operation| unsafe {
                    (api.eltwise_forward)(operation, FORWARD_TRAINING, kind, data, 0.0, 0.0)
                })?;
                self.describe(api, null_mut(), hint.0, |operation| unsafe {
                    (api.eltwise_backward)(operation, kind, data, data, 0.0, 0.0)
                })
            }
            Dialect::Version3(api) => {
                let hint = make("do a sigmoid", |made| unsafe {
                    let engine = self.engine;
                    (api.eltwise_forward)(made, engine, FORWARD_TRAINING, kind, data, data, 0.0, 0.0, null_mut())
                })?;
                make("do a sigmoid backward", |made| unsafe {
                    let engine = self.engine;
                    (api.eltwise_backward)(made, engine, kind, data, data, data, 0.0, 0.0, hint, null_mut())
                })
                .map(Description)
            }
        }
    }

    /// Copies from one layout into another.
    pub fn reorder(&self, from: &Memory, to: &Memory) -> anyhow::Result<Description> {
        let create = |made| unsafe {
            (self.common.reorder)(made, from.pointer, self.engine, to.pointer, self.engine, null_mut())
        };
        make("reorder", create).map(Description)
    }

    /// Version 2's way to a primitive: fill an operation's structure, then describe the primitive.
    fn describe(
        &self,
        api: &Version2,
        attributes: Pointer,
        hint: Pointer,
        fill: impl FnOnce(Pointer) -> Status,
    ) -> anyhow::Result<Description> {
        let mut operation: Box<Structure> = Box::new([0; 1024]);
        let pointer: Pointer = operation.as_mut_ptr().cast();
        check("describe an operation", fill(pointer))?;
        let create = |made| unsafe { (api.create)(made, pointer, attributes, self.engine, hint) };
        make("do an operation", create).map(Description)
    }

    /// Makes a primitive with its arguments bound.
    ///
    /// # Safety
    /// The arguments' memory must be as long as their descriptors say, and outlive the step.
    pub unsafe fn step(
        &self,
        description: Description,
        arguments: &[(c_int, &Memory, *const f32)],
    ) -> anyhow::Result<Step<'_>> {
        let create = |made| unsafe { (self.common.primitive_create)(made, description.0) };
        let mut step = Step { api: self, primitive: make("create a primitive", create)?, arguments: Vec::new() };
        for &(name, memory, data) in arguments {
            let data = data.cast_mut().cast();
            let create = |made| unsafe { (self.common.memory_create)(made, memory.pointer, self.engine, data) };
            step.arguments.push(Argument { name, memory: make("bind memory", create)? });
        }
        Ok(step)
    }
}

/// A primitive with its arguments.
pub struct Step<'a> {
    api: &'a Api,
    primitive: Pointer,
    arguments: Vec<Argument>,
}

impl Step<'_> {
    /// Computes it, to its end.
    pub fn run(&self) {
        let Common { primitive_execute, stream_wait, .. } = self.api.common;
        let (count, arguments) = (self.arguments.len() as c_int, self.arguments.as_ptr());
        // SAFETY: the primitive and its memory live as long as the step, for which its maker vouched.
        let status = unsafe {
            primitive_execute(self.primitive, self.api.stream, count, arguments) | stream_wait(self.api.stream)
        };
        assert_eq!(status, 0, "oneDNN failed while it computed");
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        // SAFETY: the step made them, and nobody else has them.
        unsafe {
            for argument in &self.arguments {
                (self.api.common.memory_destroy)(argument.memory);
            }
            (self.api.common.primitive_destroy)(self.primitive);
        }
    }
}
