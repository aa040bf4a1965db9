//! Layers, networks and passes: what one row of the comparison is about.

use super::recipe::Recipe;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A layer of `inputs → outputs` at a batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        Network::from(*self).fmt(f)
    }
}

/// Layers in a chain at a batch size, often a single one; typed `32x784:100`, printed `32×784→100`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    pub batch: usize,
    /// The width of the input, then that of each layer's output.
    pub widths: Vec<usize>,
}

impl Network {
    pub fn new(batch: usize, widths: &[usize]) -> Self {
        Self { batch, widths: widths.to_vec() }
    }

    /// Its layers, from the input's to the output's.
    pub fn layers(&self) -> impl Iterator<Item = Shape> {
        self.widths.windows(2).map(|widths| Shape::new(self.batch, widths[0], widths[1]))
    }
}

impl From<Shape> for Network {
    fn from(shape: Shape) -> Self {
        Self::new(shape.batch, &[shape.inputs, shape.outputs])
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        f.pad(&format!("{}×{}", self.batch, widths.join("→")))
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl FromStr for Network {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let form = || format!("'{text}' is not of the form BATCHxINPUTS:OUTPUTS or BATCHxINPUTS:WIDTH:…:OUTPUTS");
        let size = |part: &str| {
            let size: usize = part.trim().parse().ok().with_context(form)?;
            ensure!(size > 0, "a size of 0 in '{text}'");
            Ok(size)
        };
        let (batch, widths) = text.split_once(['x', '×']).with_context(form)?;
        let widths = widths.split([':', '→']).map(size).collect::<anyhow::Result<Vec<usize>>>()?;
        ensure!(widths.len() >= 2, form());
        Ok(Self { batch: size(batch)?, widths })
    }
}

/// The call that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// One layer: `a = σ(a_prev · wᵀ + b)`
    Forward,
    /// One layer: `dz`, `dw`, `db` and `dA_prev`
    Backward,
    /// A whole network: forward, cost, backward, optimiser
    Step,
    /// A whole network: a step on each batch of a data set, shuffled
    Epoch,
}

impl Pass {
    /// Whether it is about a whole network, which a recipe trains, and not about one layer.
    pub fn is_of_networks(self) -> bool {
        matches!(self, Self::Step | Self::Epoch)
    }

    /// Floating-point operations of its matrix products, of one step's in an epoch; the element-wise work counts nothing.
    pub fn flops(self, network: &Network) -> f64 {
        let product = |layer: Shape| 2.0 * layer.multiply_adds() as f64;
        let products: f64 = network.layers().map(product).sum();
        match self {
            Self::Forward => products,
            Self::Backward => 2.0 * products,
            // Nobody asks for the gradient by the network's input.
            Self::Step | Self::Epoch => 3.0 * products - network.layers().next().map_or(0.0, product),
        }
    }

    /// Bytes of the operands that it reads and writes, in one step of an epoch, each counted once; a step's parameters and
    /// its optimiser's state are read and written.
    pub fn bytes(self, network: &Network, recipe: Recipe) -> f64 {
        let arrays = 1 + recipe.rule().state_arrays();
        let of_layer = |Shape { batch, inputs, outputs }: Shape| {
            let (x, w, a) = (batch * inputs, inputs * outputs, batch * outputs);
            match self {
                Self::Forward => x + w + outputs + a,
                Self::Backward => 2 * x + 2 * w + outputs + 2 * a,
                Self::Step | Self::Epoch => x + 2 * arrays * (w + outputs) + a,
            }
        };
        (network.layers().map(of_layer).sum::<usize>() * size_of::<f32>()) as f64
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Step => "step",
            Self::Epoch => "epoch",
        })
    }
}

/// How weights come to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// `[outputs, inputs]`, row by row.
    Plain,
    /// Brought into the library's own layout before the timing starts.
    Packed,
}

impl Weights {
    /// The addition to the pass's name in tables.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Packed => ", packed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_typed_and_as_they_are_printed() {
        let layer = Network::from(Shape::new(32, 784, 100));
        assert_eq!("32x784:100".parse::<Network>().unwrap(), layer);
        assert_eq!(layer.to_string().parse::<Network>().unwrap(), layer);
        let network: Network = "10x784:30:10".parse().unwrap();
        assert_eq!(network, Network::new(10, &[784, 30, 10]));
        assert_eq!(network.layers().collect::<Vec<_>>(), [Shape::new(10, 784, 30), Shape::new(10, 30, 10)]);
        let stored = serde_json::to_string(&network).unwrap();
        assert_eq!(serde_json::from_str::<Network>(&stored).unwrap(), network);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "32", "32x784", "32:784x100", "0x784:100", "32x-1:100", "ax2:3", "1x2:3:", "1x2::3"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn backward_is_two_products_and_a_step_lacks_one() {
        let layer = Network::new(2, &[3, 5]);
        assert_eq!(Pass::Forward.flops(&layer), 60.0);
        assert_eq!(Pass::Backward.flops(&layer), 120.0);
        assert_eq!(Pass::Step.flops(&Network::new(2, &[3, 5, 1])), 3.0 * (60.0 + 20.0) - 60.0);
        assert_eq!(Pass::Forward.bytes(&layer, Recipe::Sigmoid), 4.0 * (6.0 + 15.0 + 5.0 + 10.0));
    }

    /// Adam reads and writes each parameter and two moments.
    #[test]
    fn a_step_moves_the_optimisers_state_too() {
        let layer = Network::new(2, &[3, 5]);
        let bytes = |recipe| Pass::Step.bytes(&layer, recipe) / 4.0;
        assert_eq!(bytes(Recipe::Sigmoid), 6.0 + 2.0 * 20.0 + 10.0);
        assert_eq!(bytes(Recipe::ReluSoftmaxAdam), 6.0 + 6.0 * 20.0 + 10.0);
    }
}
