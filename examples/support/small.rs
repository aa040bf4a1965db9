//! The 1797 small images of handwritten digits (E. Alpaydin and C. Kaynak, 1998) that come with a crate.

use super::Random;
use super::mnist::{Mnist, Samples};
use smartcore::dataset::digits;

/// Pixels of an image: 8×8.
pub(crate) const PIXELS: usize = 64;

/// The images in an order of their own, a fifth of them to measure what was learnt.
pub(crate) fn load() -> Mnist {
    let data = digits::load_dataset();
    let mut all: Vec<_> = data.data.chunks_exact(PIXELS).zip(data.target).collect();
    Random(1797).shuffle(&mut all);
    let (test, train) = all.split_at(all.len() / 5);
    let samples = |part: &[(&[f32], f32)]| Samples {
        // Pixels are counts of 0 to 16.
        images: part.iter().flat_map(|(image, _)| image.iter().map(|pixel| pixel / 16.0)).collect(),
        labels: part.iter().map(|(_, digit)| *digit as u8).collect(),
    };
    Mnist { train: samples(train), test: samples(test) }
}
