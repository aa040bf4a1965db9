//! Faults that a caller can mend, and how candle reports them.

use candle_core::{DType, Device, Error as CandleError};
use core::fmt;
use fused_dense::Error as KernelError;

/// The name by which candle's own messages call the operation.
pub(crate) const NAME: &str = "fused-linear";

/// The adapter's own checks.
pub(crate) type Checked<T> = core::result::Result<T, Fault>;

/// A fault of a layer or of a call.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A tensor has the wrong shape.
    Shape { operand: &'static str, expected: String, found: Vec<usize> },
    /// A tensor is of another type than the kernels'.
    Type { operand: &'static str, found: DType },
    /// A tensor lies where the kernels cannot reach it.
    Place { operand: &'static str, found: &'static str },
    /// candle's activation has no fused form.
    Activation { found: candle_nn::Activation },
    /// A layer does not take what the layer before it gives.
    Chain { layer: usize, expected: usize, found: usize },
    /// A chain has no layers.
    NoLayers,
    /// An output is more memory than can be had.
    Memory { rows: usize, cols: usize },
    /// The kernels refuse the call.
    Kernel(KernelError),
}

impl Fault {
    /// The fault of a tensor that lies on this device; none where that is the CPU.
    pub(crate) fn of_device(operand: &'static str, device: &Device) -> Option<Self> {
        let found = match device {
            Device::Cpu => return None,
            Device::Cuda(_) => "on a CUDA device",
            Device::Metal(_) => "on a Metal device",
        };
        Some(Self::Place { operand, found })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}: ")?;
        match self {
            Self::Shape { operand, expected, found } => {
                write!(f, "{operand}: expected the shape {expected}, found {found:?}")
            }
            Self::Type { operand, found } => {
                write!(f, "{operand}: expected f32, found {} (`to_dtype` converts it)", found.as_str())
            }
            Self::Place { operand, found } => {
                write!(f, "{operand}: expected a tensor on the CPU, found one {found} (`to_device` moves it)")
            }
            Self::Activation { found } => write!(f, "expected an activation that has a fused form, found {found:?}"),
            Self::Chain { layer, expected, found } => write!(
                f,
                "expected layer {layer} to take the {expected} outputs of the layer before, found {found} inputs"
            ),
            Self::NoLayers => f.write_str("expected at least one layer, found none"),
            Self::Memory { rows, cols } => {
                write!(f, "expected an output that fits memory, found one of {rows}×{cols} elements")
            }
            Self::Kernel(error) => error.fmt(f),
        }
    }
}

impl From<KernelError> for Fault {
    fn from(error: KernelError) -> Self {
        Self::Kernel(error)
    }
}

impl From<Fault> for CandleError {
    fn from(fault: Fault) -> Self {
        CandleError::wrap(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_other_than_the_cpu_are_named() {
        assert!(Fault::of_device("x", &Device::Cpu).is_none());
        let fault = Fault::of_device("x", &Device::Cuda(candle_core::CudaDevice)).map(CandleError::from);
        let text = fault.expect("a fault").to_string();
        assert!(
            text.starts_with("fused-linear: x: expected a tensor on the CPU, found one on a CUDA device"),
            "{text}"
        );
        let fault = Fault::of_device("weight", &Device::Metal(candle_core::MetalDevice)).map(CandleError::from);
        let text = fault.expect("a fault").to_string();
        assert!(text.contains("weight: expected a tensor on the CPU, found one on a Metal device"), "{text}");
    }
}
