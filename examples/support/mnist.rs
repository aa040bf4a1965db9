//! The MNIST database of handwritten digits (LeCun, Cortes and Burges), which `cargo xtask data mnist` fetches.

use std::fs;
use std::path::{Path, PathBuf};

/// Of one side of an image.
const SIDE: usize = 28;

/// Of an image, row by row.
pub(crate) const PIXELS: usize = SIDE * SIDE;

/// Images to learn from, and others to measure what was learnt.
pub(crate) struct Mnist {
    pub(crate) train: Samples,
    pub(crate) test: Samples,
}

/// Images and the digits that they show.
pub(crate) struct Samples {
    /// Of each image its pixels, row by row, from 0 (paper) to 1 (ink).
    pub(crate) images: Vec<f32>,
    /// From 0 to 9.
    pub(crate) labels: Vec<u8>,
}

impl Samples {
    /// Pixels of one image.
    pub(crate) fn pixels(&self) -> usize {
        self.images.len() / self.labels.len().max(1)
    }
}

/// The data. Where it is not there, a line on the terminal says how to get it.
pub(crate) fn load() -> Option<Mnist> {
    let mnist = read(&folder());
    if mnist.is_none() {
        eprintln!("the MNIST data is not there, or broken: run `cargo xtask data mnist`");
    }
    mnist
}

/// Where the data is put: with the results of builds.
fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("data/mnist")
}

/// The data in a folder.
pub(crate) fn read(folder: &Path) -> Option<Mnist> {
    Some(Mnist { train: samples(folder, "train")?, test: samples(folder, "t10k")? })
}

fn samples(folder: &Path, part: &str) -> Option<Samples> {
    let images = fs::read(folder.join(format!("{part}-images-idx3-ubyte"))).ok()?;
    let labels = fs::read(folder.join(format!("{part}-labels-idx1-ubyte"))).ok()?;
    let ([count, SIDE, SIDE], pixels) = idx(&images)? else { return None };
    let ([labelled], labels) = idx(&labels)?;
    let images = pixels.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
    (count == labelled).then(|| Samples { images, labels: labels.to_vec() })
}

/// Lengths of the axes and the elements of an IDX file of bytes: two zeros, the type (8 for bytes), the number of axes, their
/// lengths as big-endian integers of 32 bits, and the elements.
fn idx<const AXES: usize>(file: &[u8]) -> Option<([usize; AXES], &[u8])> {
    let data = file.strip_prefix(&[0, 0, 8, AXES as u8])?;
    let (lengths, elements) = data.split_at_checked(4 * AXES)?;
    let mut axes = [0; AXES];
    for (axis, length) in axes.iter_mut().zip(lengths.as_chunks().0) {
        *axis = u32::from_be_bytes(*length) as usize;
    }
    let expected = axes.iter().try_fold(1, |len: usize, axis| len.checked_mul(*axis));
    (expected == Some(elements.len())).then_some((axes, elements))
}
