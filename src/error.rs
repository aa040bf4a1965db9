//! The typed errors of every fallible call.

use crate::{Activation, Cost, ISA_VARIABLE, Isa, Tuning};
use core::fmt;

/// The names of [`Isa::ALL`], as a sentence lists them.
const ISA_NAMES: &str = "portable, neon, avx2 or avx512";

/// The operand of a call that an [`Error`] speaks of, named as in the formulas of the crate's documentation.
///
/// ```
/// use fused_dense::{Activation, Dense, Error, Operand};
///
/// let mut layer = Dense::new(2, 1, Activation::Identity);
/// let error = layer.forward(&[1.0, 2.0], &[1.0, 1.0], &[0.0, 0.0], &mut [0.0]).unwrap_err();
/// assert!(matches!(error, Error::Length { operand: Operand::B, .. }));
/// assert_eq!(Operand::B.to_string(), "b");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // each name is the operand's own symbol
pub enum Operand {
    APrev,
    W,
    B,
    Z,
    A,
    Targets,
    DA,
    DZ,
    DW,
    DB,
    DAPrev,
    VW,
    VB,
    PartialSums,
    X,
    MW,
    MB,
    SampleWeights,
    ClassWeights,
    PositiveWeight,
    Classes,
    Cost,
    Columns,
    RowStarts,
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::APrev => "a_prev",
            Self::W => "w",
            Self::B => "b",
            Self::Z => "z",
            Self::A => "a",
            Self::Targets => "targets",
            Self::DA => "d_a",
            Self::DZ => "d_z",
            Self::DW => "d_w",
            Self::DB => "d_b",
            Self::DAPrev => "d_a_prev",
            Self::VW => "v_w",
            Self::VB => "v_b",
            Self::PartialSums => "partial_sums",
            Self::X => "x",
            Self::MW => "m_w",
            Self::MB => "m_b",
            Self::SampleWeights => "sample_weights",
            Self::ClassWeights => "class_weights",
            Self::PositiveWeight => "positive_weight",
            Self::Classes => "classes",
            Self::Cost => "cost",
            Self::Columns => "columns",
            Self::RowStarts => "row starts",
        })
    }
}

/// The fault of a call: the operand, the expected value and the found one.
///
/// A call that returns an error has written to none of its outputs.
///
/// ```
/// use fused_dense::{Activation, Dense, Error, Operand};
///
/// let mut layer = Dense::new(2, 1, Activation::Identity);
/// let mut a = [7.0];
/// let error = layer.forward(&[1.0, 2.0], &[1.0, 1.0, 1.0], &[0.0], &mut a).unwrap_err();
/// assert_eq!(error, Error::Length { operand: Operand::W, expected: 2, found: 3 });
/// assert_eq!(a, [7.0], "nothing is written");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A plain slice has the wrong number of elements.
    Length {
        /// Which operand.
        operand: Operand,
        /// The elements that the layer's shape and the batch ask for.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// A plain slice, from which the batch size is derived, does not hold whole rows.
    NotWholeRows {
        /// Which operand.
        operand: Operand,
        /// Elements in one row.
        row_len: usize,
        /// The slice's length.
        found: usize,
    },
    /// A matrix view has the wrong shape.
    Shape {
        /// Which operand.
        operand: Operand,
        /// `(rows, cols)` that the call asks for.
        expected: (usize, usize),
        /// `(rows, cols)` of the view.
        found: (usize, usize),
    },
    /// A matrix view's last element lies outside its slice.
    OutOfBounds {
        /// The slice length that the shape and strides ask for; `None` where it overflows `usize`.
        expected: Option<usize>,
        /// The slice's length.
        found: usize,
    },
    /// A matrix view from raw parts spans more memory than an allocation can have.
    ViewTooLarge {
        /// `(rows, cols)` of the view.
        shape: (usize, usize),
        /// `(row_stride, col_stride)` of the view.
        strides: (usize, usize),
    },
    /// A matrix view from raw parts begins at no address that an `f32` can have.
    Address {
        /// The address.
        found: usize,
    },
    /// An array has no dimension, or another number of strides than of dimensions.
    Dimensions {
        /// Dimensions of the array.
        dims: usize,
        /// Strides that were given.
        strides: usize,
    },
    /// Two leading dimensions of an array do not join: its rows have no common stride.
    NotJoined {
        /// The dimension in front, counted from 0.
        outer: usize,
        /// The dimension behind it, but for those of one element.
        inner: usize,
        /// The stride of the one in front that would join them.
        expected: usize,
        /// Its stride.
        found: usize,
    },
    /// Two elements of a mutable matrix view would share one place in memory.
    Overlapping {
        /// `(rows, cols)` of the view.
        shape: (usize, usize),
        /// `(row_stride, col_stride)` of the view.
        strides: (usize, usize),
    },
    /// An array view runs backwards along an axis; matrix views only run forwards.
    NegativeStride {
        /// The axis, counted from 0.
        axis: usize,
        /// Its stride.
        found: isize,
    },
    /// An output that the call adds to, or room for partial sums, was given as uninitialised memory.
    Uninitialised {
        /// Which operand.
        operand: Operand,
    },
    /// [`Upstream::Targets`](crate::Upstream::Targets) is the gradient of cross-entropy through a sigmoid; the layer
    /// has another activation.
    TargetsNeedSigmoid {
        /// The layer's activation.
        found: Activation,
    },
    /// The saved `a` was given to an activation whose derivative follows from `z` alone
    /// ([`Activation::needs_z`](crate::Activation::needs_z)).
    NeedsZ {
        /// The activation.
        found: Activation,
    },
    /// The parameter of an activation is negative, infinite or NaN.
    ActivationParameter {
        /// The activation with its parameter.
        found: Activation,
    },
    /// A call that takes plain slices, or views of contiguous rows, was given a view of another layout.
    NotASlice {
        /// Which operand.
        operand: Operand,
    },
    /// Weights were packed for another instruction set than the layer's.
    PackedForIsa {
        /// The layer's instruction set.
        expected: Isa,
        /// The instruction set that the weights are packed for.
        found: Isa,
    },
    /// A batch of several slabs was to update weights without room for partial sums of their gradient.
    NoPartialSums {
        /// The most samples that need none.
        max: usize,
        /// Samples in the batch.
        found: usize,
    },
    /// A setting is no number that it can be.
    Setting {
        /// The setting, named as the method or argument that takes it.
        name: &'static str,
        /// The numbers that it may be.
        expected: &'static str,
        /// Its value.
        found: f32,
    },
    /// An optimiser's steps are counted from 1, and step 0 was to be made, which is also the one behind step 2⁶⁴ - 1.
    StepZero,
    /// A parameter came with another number of state arrays than the optimiser keeps.
    StateArrays {
        /// Which parameter.
        operand: Operand,
        /// The arrays that the optimiser keeps.
        expected: usize,
        /// The arrays that were given.
        found: usize,
    },
    /// The workspace is smaller than the layer asks for.
    WorkspaceTooSmall {
        /// Elements (`f32`) that the layer asks for.
        expected: usize,
        /// Elements that the workspace holds.
        found: usize,
    },
    /// The distribution of initial values has a limit or a deviation that is negative, infinite or NaN.
    Distribution {
        /// `limit` or `deviation`.
        parameter: &'static str,
        /// Its value.
        found: f32,
    },
    /// A size that the call needs overflows `usize`, or is more memory than can be had.
    TooLarge {
        /// Which operand.
        operand: Operand,
    },
    /// A network was made of no layers.
    NoLayers,
    /// A network's layer does not take what the layer before it gives.
    Chain {
        /// Which layer, counted from 0.
        layer: usize,
        /// The outputs of the layer before.
        expected: usize,
        /// The layer's inputs.
        found: usize,
    },
    /// The activation of a network's layer has a parameter that it cannot have.
    LayerActivation {
        /// Which layer, counted from 0.
        layer: usize,
        /// The activation.
        found: Activation,
    },
    /// A network's layer was exchanged for one that does not fit its place.
    Exchanged {
        /// Which layer, counted from 0.
        layer: usize,
        /// `(inputs, outputs)` and the most samples that the network was made with.
        expected: (usize, usize, usize),
        /// Those of the layer that was found.
        found: (usize, usize, usize),
    },
    /// A network's layer was exchanged for one with another optimiser's state.
    ExchangedState {
        /// Which layer, counted from 0.
        layer: usize,
        /// Arrays beside each parameter that the network's optimiser keeps.
        expected: usize,
        /// Those of the layer that was found.
        found: usize,
    },
    /// A step's cost or gradient, or an operand that a gradient is made of, is infinite or NaN.
    NotFinite {
        /// Which layer, counted from 0; none for the cost and the network's input.
        layer: Option<usize>,
        /// The cost, or the first operand that is not finite.
        operand: Operand,
    },
    /// The layers hold no gradients to work on: none were made since the last step.
    NoGradients,
    /// A network's cost does not fit its last layer.
    CostNeedsActivation {
        /// The cost.
        cost: Cost,
        /// The activation that the cost asks for.
        expected: Activation,
        /// The last layer's activation.
        found: Activation,
    },
    /// A value is not one that the call is defined for.
    Value {
        /// Which operand.
        operand: Operand,
        /// Its place, counted from 0.
        index: usize,
        /// The values that are allowed.
        expected: &'static str,
        /// The value.
        found: f32,
    },
    /// A sample's target is no class.
    Class {
        /// Which sample, counted from 0.
        sample: usize,
        /// The number of classes, of which 0 is the first.
        classes: usize,
        /// The target.
        found: i128,
    },
    /// A number is no place that it can stand for.
    Place {
        /// Which operand.
        operand: Operand,
        /// Which of its numbers, counted from 0.
        place: usize,
        /// The numbers that are allowed.
        expected: &'static str,
        /// The number.
        found: i128,
    },
    /// A batch asks for a sample that is not there.
    NoSuchSample {
        /// Its place in the batch, counted from 0.
        place: usize,
        /// The number of samples, of which 0 is the first.
        samples: usize,
        /// The sample.
        found: usize,
    },
    /// A sample's row of probabilities does not sum to 1.
    RowSum {
        /// Which sample, counted from 0.
        sample: usize,
        /// The sum.
        found: f64,
    },
    /// Weights have a sum that nothing can be divided by in single precision: it is 0, or its reciprocal out of range.
    WeightSum {
        /// Which operand.
        operand: Operand,
        /// The sum.
        found: f64,
    },
    /// A weight of the positive class was given for a cost that has none.
    PositiveWeightNeedsBinary {
        /// The cost.
        found: Cost,
    },
    /// A network's memory cannot be had.
    NetworkTooLarge {
        /// The layer, counted from 0, whose parameters or activations there is no memory for.
        layer: usize,
        /// The most samples that it was to be made for.
        max_batch: usize,
    },
    /// A network was given more samples than it has room for.
    BatchTooLarge {
        /// The most samples that it was made for.
        max: usize,
        /// Samples in the batch.
        found: usize,
    },
    /// The environment variable [`ISA_VARIABLE`] names no instruction set.
    UnknownIsa {
        /// Its value.
        found: &'static str,
    },
    /// The environment variable `FUSED_DENSE_TUNING` names no tuning row.
    UnknownTuning {
        /// Its value.
        found: &'static str,
    },
    /// The environment variable `FUSED_DENSE_TUNING` gives a row a number that it does not have, or a value that the number
    /// cannot have.
    TuningNumber {
        /// The number, its range and the value found, in words.
        problem: &'static str,
    },
    /// A tuning row is for another instruction set than the layer's.
    TuningForIsa {
        /// The layer's instruction set.
        expected: Isa,
        /// The row's name.
        found: &'static str,
    },
    /// No kernel at or below the wanted cap is in this build (builds for a newer CPU leave the lesser kernels out).
    IsaNotBuilt {
        /// The cap.
        cap: Isa,
        /// The lowest instruction set that the build holds kernels for.
        lowest: Isa,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LayerActivation { layer, found } => {
                write!(f, "network: layer {layer}: {}", Self::ActivationParameter { found })
            }
            Self::Length { operand, expected, found } => {
                write!(f, "{operand}: expected {expected} elements, found {found}")
            }
            Self::NotWholeRows { operand, row_len, found } => {
                write!(f, "{operand}: expected a multiple of {row_len} elements (whole rows), found {found}")
            }
            Self::Shape { operand, expected: (er, ec), found: (fr, fc) } => {
                write!(f, "{operand}: expected a {er}×{ec} matrix, found {fr}×{fc}")
            }
            Self::OutOfBounds { expected: Some(expected), found } => {
                write!(f, "matrix view: its shape and strides need a slice of {expected} elements, found {found}")
            }
            Self::OutOfBounds { expected: None, found } => {
                write!(f, "matrix view: its shape and strides need more elements than usize counts, found {found}")
            }
            Self::ViewTooLarge { shape: (r, c), strides: (rs, cs) } => write!(
                f,
                "matrix view: expected a span of at most isize::MAX bytes, found {r}×{c} elements with row stride {rs} and \
                 column stride {cs}"
            ),
            Self::Address { found } => write!(
                f,
                "matrix view: expected an address that is not null and a multiple of {}, found {found:#x}",
                align_of::<f32>()
            ),
            Self::Dimensions { dims, strides } => write!(
                f,
                "array: expected at least one dimension and a stride for each, found {dims} dimensions and {strides} strides"
            ),
            Self::NotJoined { outer, inner, expected, found } => write!(
                f,
                "array: expected a stride of {expected} along dimension {outer}, with which it joins dimension {inner} to \
                 rows, found {found}"
            ),
            Self::Overlapping { shape: (r, c), strides: (rs, cs) } => write!(
                f,
                "mutable matrix view: expected strides that keep the elements of {r}×{c} apart, found \
                 row stride {rs} and column stride {cs}"
            ),
            Self::NegativeStride { axis, found } => {
                write!(f, "array view: expected a stride of 0 or more along axis {axis}, found {found}")
            }
            Self::Uninitialised { operand } => {
                write!(f, "{operand}: expected initialised memory to add to, found an uninitialised view")
            }
            Self::TargetsNeedSigmoid { found } => {
                write!(f, "targets: expected a layer with sigmoid activation, found {found}")
            }
            Self::NeedsZ { found } => {
                write!(f, "saved: expected z, from which alone the derivative of {found} follows, found a")
            }
            Self::ActivationParameter { found } => {
                write!(f, "activation: expected a finite parameter of 0 or more, found {found}")
            }
            Self::NotASlice { operand } => {
                write!(f, "{operand}: expected a plain slice or contiguous rows, found another layout")
            }
            Self::PackedForIsa { expected, found } => {
                write!(f, "packed weights: expected weights packed for {expected}, found {found}")
            }
            Self::NoPartialSums { max, found } => write!(
                f,
                "update: expected room for partial sums, or a batch of at most {max} samples, found {found} samples"
            ),
            Self::Setting { name, expected, found } => {
                write!(f, "expected {name} to be {expected}, found {found}")
            }
            Self::StepZero => f.write_str("optimiser: expected a step from 1 on, found 0"),
            Self::StateArrays { operand, expected, found } => {
                write!(f, "{operand}: expected {expected} state arrays for the optimiser, found {found}")
            }
            Self::WorkspaceTooSmall { expected, found } => {
                write!(f, "workspace: expected at least {expected} elements, found {found}")
            }
            Self::Distribution { parameter, found } => {
                write!(f, "initial values: expected a finite {parameter} of 0 or more, found {found}")
            }
            Self::TooLarge { operand } => {
                write!(f, "{operand}: expected a size that fits memory, found one that does not")
            }
            Self::NoLayers => f.write_str("network: expected at least one layer, found none"),
            Self::Chain { layer, expected, found } => write!(
                f,
                "network: expected layer {layer} to take the {expected} outputs of the layer before, found {found} inputs"
            ),
            Self::Exchanged { layer, expected: (inputs, outputs, max), found: (fi, fo, fm) } => write!(
                f,
                "network: expected layer {layer} to be {inputs}→{outputs} with room for {max} samples, found \
                 {fi}→{fo} with room for {fm}"
            ),
            Self::ExchangedState { layer, expected, found } => write!(
                f,
                "network: expected layer {layer} to have {expected} arrays of optimiser state beside each parameter, \
                 found {found}"
            ),
            Self::NotFinite { layer: None, operand } => {
                write!(f, "network: expected a finite {operand}, found infinity or NaN")
            }
            Self::NotFinite { layer: Some(layer), operand } => {
                write!(f, "network: expected a finite {operand} in layer {layer}, found infinity or NaN")
            }
            Self::NoGradients => f.write_str("network: expected gradients made since the last step, found none"),
            Self::CostNeedsActivation { cost, expected, found } => {
                write!(f, "network: expected {expected} activation in the last layer for {cost} cost, found {found}")
            }
            Self::Value { operand, index, expected, found } => {
                write!(f, "{operand}: expected {expected} at index {index}, found {found}")
            }
            Self::Class { sample, classes, found } => {
                write!(f, "targets: expected a class from 0 and below {classes} for sample {sample}, found {found}")
            }
            Self::Place { operand, place, expected, found } => {
                write!(f, "{operand}: expected {expected} at index {place}, found {found}")
            }
            Self::NoSuchSample { place, samples, found } => {
                write!(f, "batch: expected a sample from 0 and below {samples} at index {place}, found {found}")
            }
            Self::RowSum { sample, found } => {
                write!(f, "targets: expected probabilities with a sum of 1 for sample {sample}, found a sum of {found}")
            }
            Self::WeightSum { operand, found } => {
                write!(f, "{operand}: expected a sum above 0 with a reciprocal in single precision, found {found}")
            }
            Self::PositiveWeightNeedsBinary { found } => {
                write!(f, "positive_weight: expected {} cost, found {found}", Cost::BinaryCrossEntropy)
            }
            Self::NetworkTooLarge { layer, max_batch } => write!(
                f,
                "network: expected a layer {layer} that fits memory with batches of {max_batch} samples, found one that \
                 does not"
            ),
            Self::BatchTooLarge { max, found } => {
                write!(f, "network: expected a batch of at most {max} samples, found {found}")
            }
            Self::UnknownIsa { found } => write!(f, "{ISA_VARIABLE}: expected {ISA_NAMES}, found {found:?}"),
            Self::UnknownTuning { found } => {
                let names: Vec<&str> = Tuning::all().iter().map(Tuning::name).collect();
                write!(f, "FUSED_DENSE_TUNING: expected one of {}, found {found:?}", names.join(", "))
            }
            Self::TuningNumber { problem } => write!(f, "FUSED_DENSE_TUNING: {problem}"),
            Self::TuningForIsa { expected, found } => {
                write!(f, "tuning: expected a row for {expected}, found {found}")
            }
            Self::IsaNotBuilt { cap, lowest } => write!(
                f,
                "instruction set cap: expected {lowest} or higher (this build holds no lesser kernels), found {cap}"
            ),
        }
    }
}

impl core::error::Error for Error {}

/// A text that names no [`Isa`].
///
/// ```
/// let error = "sse".parse::<fused_dense::Isa>().unwrap_err();
/// assert_eq!(error.found, "sse");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseIsaError {
    /// The text.
    pub found: String,
}

impl fmt::Display for ParseIsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction set: expected {ISA_NAMES}, found {:?}", self.found)
    }
}

impl core::error::Error for ParseIsaError {}
