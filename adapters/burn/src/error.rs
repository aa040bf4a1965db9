//! The typed errors of a fused call.

use burn::tensor::DType;
use core::fmt;

/// The tensor of a call that an [`Error`] speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// The input, `[.., d_input]`.
    Input,
    /// The weights, `[d_input, d_output]`.
    Weight,
    /// The bias, `[d_output]`.
    Bias,
    /// The gradient of the output, `[.., d_output]`.
    OutputGradient,
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::OutputGradient => "gradient of the output",
        })
    }
}

/// The fault of a call: the tensor, what was expected, and what was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A tensor is on a backend without fused layers, or on one whose feature of this crate is off.
    Backend {
        /// Which tensor.
        operand: Operand,
        /// Its device.
        found: String,
    },
    /// A tensor is on another backend than the input.
    OtherBackend {
        /// Which tensor.
        operand: Operand,
        /// The input's device.
        expected: String,
        /// The tensor's device.
        found: String,
    },
    /// A tensor is recorded for the backward pass by another checkpointing strategy than the input.
    Checkpointing {
        /// Which tensor.
        operand: Operand,
    },
    /// A tensor's elements are no `f32`.
    DType {
        /// Which tensor.
        operand: Operand,
        /// The type of its elements.
        found: DType,
    },
    /// A tensor has the wrong shape.
    Shape {
        /// Which tensor.
        operand: Operand,
        /// The last axes of the shape that the layer asks for; all axes, but for an input.
        expected: Vec<usize>,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// There is no memory for so many elements.
    Memory {
        /// Elements that were asked for; `None` where `usize` cannot count them.
        elements: Option<usize>,
    },
    /// The kernels refuse the call: an invalid parameter of the activation, an instruction set that cannot be had, or
    /// no memory to work in.
    Kernel(fused_dense::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend { operand, found } => {
                write!(f, "{operand}: expected a tensor on {}, found one on {found}", HOSTS.join(" or "))
            }
            Self::OtherBackend { operand, expected, found } => {
                write!(f, "{operand}: expected a tensor on {expected}, as the input is, found one on {found}")
            }
            Self::Checkpointing { operand } => {
                write!(f, "{operand}: expected the input's strategy of gradient checkpointing, found another")
            }
            Self::DType { operand, found } => {
                write!(f, "{operand}: expected elements of type F32, found {found:?}; `cast` converts a tensor")
            }
            Self::Shape { operand, expected, found } => {
                let free = if *operand == Operand::Input { ".., " } else { "" };
                let expected = expected.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "{operand}: expected shape [{free}{expected}], found {found:?}")
            }
            Self::Memory { elements: Some(elements) } => {
                write!(f, "expected memory for {elements} elements, found none")
            }
            Self::Memory { elements: None } => {
                f.write_str("expected a number of elements that usize counts, found more")
            }
            Self::Kernel(error) => error.fmt(f),
        }
    }
}

/// The backends that this build has fused layers for.
const HOSTS: &[&str] = &[
    #[cfg(feature = "flex")]
    "Flex",
    #[cfg(feature = "ndarray")]
    "NdArray",
];

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Kernel(error) => Some(error),
            _ => None,
        }
    }
}

impl From<fused_dense::Error> for Error {
    fn from(error: fused_dense::Error) -> Self {
        Self::Kernel(error)
    }
}
