//! Named sets of layers and networks.

use super::shape::{Network, Pass, Shape};

/// A named set of layers and networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Eleven layers from tiny to large; for steps, five networks
    Quick,
    /// Digits: 784-30-10, 784-100-10 and 784-512-512-10 at batches of 1, 10, 32 and 128
    Mnist,
    /// Recommendation (DLRM): 13-512-256-128 and 479-1024-1024-512-256-1 at batches of 128, 256 and 2048
    Dlrm,
    /// Neural collaborative filtering: 256-256-128-64-1 at batches of 256 and 1024
    Ncf,
    /// Wide and deep: 845-1024-512-256-1 at batches of 512 and 2048
    Wnd,
    /// Deep interest evolution, its dense part: 162-200-80-2 at batches of 128 and 1024
    Dien,
    /// Transformers' layers: 768 with 3072, 1024 with 4096, at 128 and 512 tokens
    Bert,
    /// The same width in and out as in the batch, from 16 to 2048
    Square,
    /// Training: 64-100-10 at a batch of 200, 784-512-512-10 at 128, 784-100-10 at 32, 784-30-10 at 10
    Train,
    /// A single sample through wide layers: a step is little more than the optimiser's memory traffic
    Update,
    /// Awkward sizes: 1 to 20 outputs, 1 to 40 inputs, batches around the edges of tiles
    Edge,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Mnist => "mnist",
            Self::Dlrm => "dlrm",
            Self::Ncf => "ncf",
            Self::Wnd => "wnd",
            Self::Dien => "dien",
            Self::Bert => "bert",
            Self::Square => "square",
            Self::Train => "train",
            Self::Update => "update",
            Self::Edge => "edge",
        }
    }

    /// The shapes of a pass: whole networks for a step or an epoch, else their layers, each once.
    pub fn networks(self, pass: Pass) -> Vec<Network> {
        match (self, pass) {
            (Self::Quick, Pass::Step) => quick_networks(),
            (Self::Quick, Pass::Epoch) => vec![Network::new(10, &[784, 30, 10])],
            (_, Pass::Step | Pass::Epoch) => self.whole(),
            _ => layers(&self.whole()),
        }
    }

    fn whole(self) -> Vec<Network> {
        match self {
            Self::Quick => quick_layers(),
            Self::Mnist => crossed(&[&[784, 30, 10], &[784, 100, 10], &[784, 512, 512, 10]], &[1, 10, 32, 128]),
            Self::Dlrm => crossed(&[&[13, 512, 256, 128], &[479, 1024, 1024, 512, 256, 1]], &[128, 256, 2048]),
            Self::Ncf => crossed(&[&[256, 256, 128, 64, 1]], &[256, 1024]),
            Self::Wnd => crossed(&[&[845, 1024, 512, 256, 1]], &[512, 2048]),
            Self::Dien => crossed(&[&[162, 200, 80, 2]], &[128, 1024]),
            Self::Bert => crossed(
                &[&[768, 768], &[768, 3072], &[3072, 768], &[1024, 1024], &[1024, 4096], &[4096, 1024]],
                &[128, 512],
            ),
            Self::Square => {
                [16, 32, 64, 128, 256, 512, 1024, 2048].map(|size| Network::new(size, &[size, size])).to_vec()
            }
            Self::Train => vec![
                Network::new(200, &[64, 100, 10]),
                Network::new(128, &[784, 512, 512, 10]),
                Network::new(32, &[784, 100, 10]),
                Network::new(10, &[784, 30, 10]),
            ],
            Self::Update => [1024, 2048].map(|size| Network::new(1, &[size, size])).to_vec(),
            Self::Edge => edge(),
        }
    }
}

/// The layers of networks, each once.
pub fn layers(networks: &[Network]) -> Vec<Network> {
    let mut layers = Vec::new();
    for layer in networks.iter().flat_map(Network::layers).map(Network::from) {
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    layers
}

/// Every network at every batch size.
fn crossed(networks: &[&[usize]], batches: &[usize]) -> Vec<Network> {
    batches.iter().flat_map(|&batch| networks.iter().map(move |widths| Network::new(batch, widths))).collect()
}

fn quick_layers() -> Vec<Network> {
    [
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
    .map(|(batch, inputs, outputs)| Network::new(batch, &[inputs, outputs]))
    .to_vec()
}

fn quick_networks() -> Vec<Network> {
    vec![
        Network::new(10, &[784, 30, 10]),
        Network::new(32, &[784, 100, 10]),
        Network::new(128, &[784, 512, 512, 10]),
        Network::new(256, &[13, 512, 256, 128]),
        Network::new(256, &[479, 1024, 1024, 512, 256, 1]),
    ]
}

/// Every output count up to 20, every input count up to 40, and batches on both sides of the tallest tiles.
fn edge() -> Vec<Network> {
    let narrow = (1..=20).map(|outputs| Shape::new(37, 100, outputs));
    let short = (1..=40).map(|inputs| Shape::new(37, inputs, 45));
    let batches = [1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 15, 17, 63, 65].map(|batch| Shape::new(batch, 129, 65));
    narrow.chain(short).chain(batches).map(Network::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::collections::HashSet;

    #[test]
    fn suites_name_everything_once() {
        for suite in Suite::value_variants() {
            for pass in Pass::value_variants() {
                let networks = suite.networks(*pass);
                assert!(!networks.is_empty());
                let distinct: HashSet<Network> = networks.iter().cloned().collect();
                assert_eq!(distinct.len(), networks.len(), "{} {pass}", suite.name());
            }
        }
    }

    #[test]
    fn steps_take_whole_networks_and_passes_their_layers() {
        assert!(Suite::Mnist.networks(Pass::Step).contains(&Network::new(10, &[784, 30, 10])));
        let networks = crossed(&[&[784, 30, 10], &[784, 30]], &[1, 10]);
        let expected = [(1, 784, 30), (1, 30, 10), (10, 784, 30), (10, 30, 10)];
        assert_eq!(layers(&networks), expected.map(|(batch, k, n)| Network::new(batch, &[k, n])));
    }
}
