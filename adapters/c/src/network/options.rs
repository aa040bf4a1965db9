//! How a network is made.

use crate::activation::{AskedActivation, fd_activation_code};
use crate::boundary::handle;
use crate::codes::{self, fd_cost_code, fd_isa_code, fd_summation_code};
use crate::dense::fd_dense;
use crate::optimizer::{fd_adam, fd_sgd, optimizer};
use crate::pointer::{self, Versioned};
use crate::status::{Failure, fd_status::*};
use crate::team::{self, fd_team};
use core::ffi::c_char;
use core::ptr::null;
use fused_dense::{Init, Network, NetworkBuilder, ParseInitError};

/// A layer of a network to be made. What is zero or null has its usual value: `{ .outputs = 10 }` is a linear layer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_layer {
    /// Values in a row of the output. The inputs are the outputs of the layer before.
    pub outputs: usize,
    /// FD_ACTIVATION_IDENTITY by default.
    pub activation: fd_activation_code,
    /// The activation's parameter; null for the usual one.
    pub parameter: *const f32,
    /// The activation by name, in the place of activation and parameter; else null.
    pub activation_name: *const c_char,
    /// A layer with options of its own, which is copied, in the place of all fields above; else null.
    pub dense: *const fd_dense,
}

/// How a network is to be made. Begin with FD_NETWORK_OPTIONS_DEFAULTS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fd_network_options {
    /// sizeof(fd_network_options)
    pub size: usize,
    /// Inputs of the first layer.
    pub inputs: usize,
    /// The layers, from the input's to the output's.
    pub layers: *const fd_layer,
    pub layer_count: usize,
    /// sizeof(fd_layer)
    pub layer_size: usize,
    /// FD_COST_QUADRATIC by default.
    pub cost: fd_cost_code,
    /// FD_ISA_BEST by default.
    pub isa: fd_isa_code,
    /// FD_SUMMATION_AUTO by default.
    pub summation: fd_summation_code,
    /// Not 0: steps go on where the cost or a gradient is infinite or NaN, and are a little faster.
    pub is_unguarded: i32,
    /// The threads that share the layers' work; null for the calling thread alone.
    pub team: *const fd_team,
    /// The optimiser: one of the two, or none for Adam with a learning rate of 0.001.
    pub sgd: *const fd_sgd,
    /// As sgd.
    pub adam: *const fd_adam,
    /// A factor of the loss for each output or class; null for none.
    pub class_weights: *const f32,
    pub class_weight_count: usize,
    /// A factor of the part of targets of 1 in binary cross-entropy; null for none.
    pub positive_weight: *const f32,
    /// The initial weights: "zeros", "glorot-uniform", "glorot-normal", "he-uniform", "he-normal", "lecun-uniform",
    /// "lecun-normal", "uniform(limit)" or "normal(deviation)"; null for what suits each activation.
    pub init: *const c_char,
    /// The seed of the initial weights, which are the same on every platform.
    pub seed: u64,
    /// The most samples of a batch that trains; 0 for 256.
    pub max_batch: usize,
}

// SAFETY: numbers and pointers, the first of them the size.
unsafe impl Versioned for fd_network_options {
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            inputs: 0,
            layers: null(),
            layer_count: 0,
            layer_size: size_of::<fd_layer>(),
            cost: 0,
            isa: 0,
            summation: 0,
            is_unguarded: 0,
            team: null(),
            sgd: null(),
            adam: null(),
            class_weights: null(),
            class_weight_count: 0,
            positive_weight: null(),
            init: null(),
            seed: 0,
            max_batch: 0,
        }
    }
}

/// # Safety
/// The pointer is null or valid, and so are those within.
pub(super) unsafe fn build(options: *const fd_network_options) -> Result<Network, Failure> {
    // SAFETY: the caller vouches for it.
    let options = unsafe { pointer::options(options, "options")? };
    // SAFETY: as above.
    let builder = unsafe { with_layers(&options, with_settings(&options)?)? };
    Ok(builder.build()?)
}

/// # Safety
/// Pointers are null or valid.
unsafe fn with_settings(options: &fd_network_options) -> Result<NetworkBuilder, Failure> {
    // SAFETY: the caller vouches for all of them.
    let (threads, weights, positive_weight) = unsafe {
        (
            team::threads(options.team)?,
            pointer::array(options.class_weights, options.class_weight_count, "class_weights")?,
            pointer::value(options.positive_weight, "positive_weight")?,
        )
    };
    let mut builder = Network::builder(options.inputs)
        .cost(codes::cost(options.cost)?)
        .summation(codes::summation(options.summation)?)
        .threads(threads)
        .seed(options.seed);
    if let Some(cap) = codes::isa(options.isa)? {
        builder = builder.isa(cap);
    }
    if options.max_batch > 0 {
        builder = builder.max_batch(options.max_batch);
    }
    if options.is_unguarded != 0 {
        builder = builder.unguarded();
    }
    if !options.class_weights.is_null() {
        builder = builder.class_weights(weights);
    }
    if let Some(weight) = positive_weight {
        builder = builder.positive_weight(weight);
    }
    if !options.init.is_null() {
        // SAFETY: the caller vouches for it.
        builder = builder.init(init(unsafe { pointer::text(options.init, "init")? })?);
    }
    if options.sgd.is_null() && options.adam.is_null() {
        return Ok(builder);
    }
    // SAFETY: the caller vouches for both.
    Ok(builder.optimizer(unsafe { optimizer(options.sgd, options.adam)? }))
}

fn init(name: &str) -> Result<Init, Failure> {
    name.parse().map_err(|error: ParseInitError| Failure::new(FD_ERROR_TEXT, error.to_string()))
}

/// # Safety
/// Pointers are null or valid, and so are those within the layers.
unsafe fn with_layers(options: &fd_network_options, builder: NetworkBuilder) -> Result<NetworkBuilder, Failure> {
    let (expected, found) = (size_of::<fd_layer>(), options.layer_size);
    if found != expected {
        return Err(Failure::of("layer_size", FD_ERROR_STRUCT_SIZE, format!("expected {expected}, found {found}")));
    }
    // SAFETY: the caller vouches for it.
    let layers = unsafe { pointer::array(options.layers, options.layer_count, "layers")? };
    let mut builder = builder;
    for (index, layer) in layers.iter().enumerate() {
        // SAFETY: as above.
        builder = unsafe { with_layer(builder, layer) }
            .map_err(|failure| failure.in_argument(format_args!("layers[{index}]")))?;
    }
    Ok(builder)
}

/// # Safety
/// Pointers are null or valid.
unsafe fn with_layer(builder: NetworkBuilder, layer: &fd_layer) -> Result<NetworkBuilder, Failure> {
    let fd_layer { outputs, activation: code, parameter, activation_name: name, dense } = *layer;
    let asked = AskedActivation { code, parameter, name };
    if dense.is_null() {
        // SAFETY: the caller vouches for both pointers.
        return Ok(builder.layer(outputs, unsafe { asked.resolve()? }));
    }
    if outputs != 0 || !asked.is_default() {
        let text = "expected the other fields to be left out beside it, found one of them";
        return Err(Failure::of("dense", FD_ERROR_ARGUMENT, text));
    }
    // SAFETY: as above.
    let dense = unsafe { handle(dense, "dense")? }.0.shared("dense", |layer| Ok(layer.dense.clone()))?;
    Ok(builder.dense(dense))
}
