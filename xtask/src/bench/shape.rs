//! Layer shapes and passes: what one row of the comparison is about.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A layer of `inputs → outputs` at a batch size, written `batch x inputs : outputs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
}

impl Shape {
    pub const fn new(batch: usize, inputs: usize, outputs: usize) -> Self {
        Self { batch, inputs, outputs }
    }

    /// Multiply-adds of one product.
    pub fn multiply_adds(&self) -> usize {
        self.batch * self.inputs * self.outputs
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}×{}→{}", self.batch, self.inputs, self.outputs))
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    /// Reads `32x784:100`, and `32×784→100` as tables print it.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let part = |part: &str| match part.trim().parse() {
            Ok(0) => bail!("a size of 0 in '{text}'"),
            Ok(size) => Ok(size),
            Err(_) => bail!("'{part}' is no size in '{text}'"),
        };
        let (batch, layer) = text.split_once(['x', '×']).context("a shape is written BATCHxINPUTS:OUTPUTS")?;
        let (inputs, outputs) = layer.split_once([':', '→']).context("a shape is written BATCHxINPUTS:OUTPUTS")?;
        Ok(Self { batch: part(batch)?, inputs: part(inputs)?, outputs: part(outputs)? })
    }
}

/// One call of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// `a = σ(a_prev · wᵀ + b)`
    Forward,
    /// `dz`, `dw`, `db` and `dA_prev`
    Backward,
}

impl Pass {
    /// Floating-point operations of its matrix products; the element-wise work counts nothing.
    pub fn flops(self, shape: &Shape) -> f64 {
        let product = 2.0 * shape.multiply_adds() as f64;
        match self {
            Self::Forward => product,
            Self::Backward => 2.0 * product,
        }
    }

    /// Bytes of the operands that it reads and writes, each counted once.
    pub fn bytes(self, shape: &Shape) -> f64 {
        let (x, w, a) = (shape.batch * shape.inputs, shape.inputs * shape.outputs, shape.batch * shape.outputs);
        let elements = match self {
            Self::Forward => x + w + shape.outputs + a,
            Self::Backward => 2 * x + 2 * w + shape.outputs + 2 * a,
        };
        (elements * size_of::<f32>()) as f64
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_they_are_typed_and_as_they_are_printed() {
        let shape = Shape::new(32, 784, 100);
        assert_eq!("32x784:100".parse::<Shape>().unwrap(), shape);
        assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for text in ["", "32", "32x784", "32:784x100", "0x784:100", "32x-1:100", "ax2:3"] {
            assert!(text.parse::<Shape>().is_err(), "{text}");
        }
    }

    #[test]
    fn backward_is_two_products() {
        let shape = Shape::new(2, 3, 5);
        assert_eq!(Pass::Forward.flops(&shape), 60.0);
        assert_eq!(Pass::Backward.flops(&shape), 120.0);
        assert_eq!(Pass::Forward.bytes(&shape), 4.0 * (6.0 + 15.0 + 5.0 + 10.0));
    }
}
