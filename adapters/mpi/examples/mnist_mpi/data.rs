//! Images of handwritten digits: MNIST's where its files are there, else the small ones that come with a crate.

use smartcore::dataset::digits;
use std::fs;
use std::path::Path;

/// Images, and the digits that they show.
pub(crate) struct Images {
    /// Pixels from 0 to 1, image behind image.
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u8>,
}

impl Images {
    /// Pixels of one image.
    pub(crate) fn size(&self) -> usize {
        self.pixels.len() / self.labels.len().max(1)
    }
}

/// Those to learn from, and those to measure what was learnt, by MNIST's files in a folder.
pub(crate) fn mnist(folder: &Path) -> Option<[Images; 2]> {
    let part = |name: &str| {
        let pixels = idx(&folder.join(format!("{name}-images-idx3-ubyte")), 3)?;
        let labels = idx(&folder.join(format!("{name}-labels-idx1-ubyte")), 1)?;
        let pixels: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
        (!labels.is_empty() && pixels.len().is_multiple_of(labels.len())).then_some(Images { pixels, labels })
    };
    Some([part("train")?, part("t10k")?])
}

/// The bytes of an IDX file behind its header: a magic number and the length of each axis, of four bytes each.
fn idx(path: &Path, axes: u8) -> Option<Vec<u8>> {
    const BYTES: u8 = 8;
    let file = fs::read(path).ok()?;
    let data = file.get(4 + 4 * usize::from(axes)..)?;
    file.starts_with(&[0, 0, BYTES, axes]).then(|| data.to_vec())
}

/// 1797 images of 8×8 (E. Alpaydin and C. Kaynak, 1998), of which every fifth is to measure.
pub(crate) fn small() -> [Images; 2] {
    let data = digits::load_dataset();
    let part = |is_test: bool| {
        let chosen = (0..data.num_samples).filter(|sample| (sample % 5 == 0) == is_test);
        let (pixels, labels) = chosen
            .map(|sample| {
                let image = &data.data[sample * data.num_features..(sample + 1) * data.num_features];
                // Pixels are counts of 0 to 16.
                (image.iter().map(|pixel| pixel / 16.0).collect::<Vec<f32>>(), data.target[sample] as u8)
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        Images { pixels: pixels.concat(), labels }
    };
    [part(false), part(true)]
}
