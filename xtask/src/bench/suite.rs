//! Named sets of shapes.

use super::shape::Shape;

/// A named set of shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Ten layers from tiny to large
    Quick,
    /// Digits: 784-30-10, 784-100-10 and 784-512-512-10 at batches of 1, 10, 32 and 128
    Mnist,
    /// Recommendation: 13-512-256-128 and 479-1024-1024-512-256-1 at batches of 128, 256 and 2048
    Dlrm,
    /// Collaborative filtering: 128-256-128-64-1 at batches of 256 and 1024
    Ncf,
    /// A transformer block's layers: 768 and 3072 wide, at 128 and 512 tokens
    Bert,
    /// The same width in and out, from 16 to 1024
    Square,
    /// Sizes around the edges of tiles and vectors
    Edge,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Mnist => "mnist",
            Self::Dlrm => "dlrm",
            Self::Ncf => "ncf",
            Self::Bert => "bert",
            Self::Square => "square",
            Self::Edge => "edge",
        }
    }

    pub fn shapes(self) -> Vec<Shape> {
        match self {
            Self::Quick => [
                (1, 784, 30),
                (10, 784, 30),
                (10, 30, 10),
                (32, 784, 100),
                (128, 784, 512),
                (128, 512, 10),
                (256, 13, 512),
                (256, 256, 128),
                (1024, 64, 64),
                (1, 1024, 1024),
                (256, 1024, 1024),
            ]
            .map(|(batch, inputs, outputs)| Shape::new(batch, inputs, outputs))
            .to_vec(),
            Self::Mnist => networks(&[&[784, 30, 10], &[784, 100, 10], &[784, 512, 512, 10]], &[1, 10, 32, 128]),
            Self::Dlrm => networks(&[&[13, 512, 256, 128], &[479, 1024, 1024, 512, 256, 1]], &[128, 256, 2048]),
            Self::Ncf => networks(&[&[128, 256, 128, 64, 1]], &[256, 1024]),
            Self::Bert => networks(&[&[768, 768], &[768, 3072], &[3072, 768]], &[128, 512]),
            Self::Square => {
                let sizes = [16, 32, 64, 128, 256, 512, 1024];
                sizes.iter().map(|&size| Shape::new(size, size, size)).collect()
            }
            Self::Edge => edge(),
        }
    }
}

/// The layers of networks given by their widths, each once, at each batch size.
fn networks(networks: &[&[usize]], batches: &[usize]) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for &batch in batches {
        for layer in networks.iter().flat_map(|widths| widths.windows(2)) {
            let shape = Shape::new(batch, layer[0], layer[1]);
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
    }
    shapes
}

/// Every output count up to 20, every input count up to 40, and batches on both sides of the tallest tiles.
fn edge() -> Vec<Shape> {
    let narrow = (1..=20).map(|outputs| Shape::new(37, 100, outputs));
    let short = (1..=40).map(|inputs| Shape::new(37, inputs, 45));
    let batches = [1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 15, 17, 63, 65].map(|batch| Shape::new(batch, 129, 65));
    narrow.chain(short).chain(batches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::collections::HashSet;

    #[test]
    fn suites_name_every_shape_once() {
        for suite in Suite::value_variants() {
            let shapes = suite.shapes();
            assert!(!shapes.is_empty());
            let distinct: HashSet<Shape> = shapes.iter().copied().collect();
            assert_eq!(distinct.len(), shapes.len(), "{}", suite.name());
        }
    }

    #[test]
    fn a_networks_layers_follow_its_widths() {
        let shapes = networks(&[&[784, 30, 10], &[784, 30]], &[1, 10]);
        let expected = [(1, 784, 30), (1, 30, 10), (10, 784, 30), (10, 30, 10)];
        assert_eq!(shapes, expected.map(|(batch, inputs, outputs)| Shape::new(batch, inputs, outputs)));
    }
}
