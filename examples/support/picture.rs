//! A picture of what was learnt: the cost of each epoch, and images that were read wrongly.

use super::mnist::Samples;
use std::fmt::Write as _;
use std::path::Path;

/// Misread images in the picture, in rows of ten.
const SHOWN: usize = 40;
const ROW: usize = 10;

/// Side of an image in the picture.
const SIDE: f64 = 56.0;

/// Writes `mnist.svg` into the build's folder, and says so.
pub(crate) fn write(curve: &[f64], samples: &Samples, misread: &[usize], read: &[u32]) {
    let path = Path::new(option_env!("CARGO_TARGET_DIR").unwrap_or("target")).join("mnist.svg");
    match std::fs::write(&path, svg(curve, samples, misread, read)) {
        Ok(()) => println!("learning curve and misread digits: {}", path.display()),
        Err(error) => println!("no picture: {}: {error}", path.display()),
    }
}

fn svg(curve: &[f64], samples: &Samples, misread: &[usize], read: &[u32]) -> String {
    let rows = misread.len().min(SHOWN).div_ceil(ROW) as f64;
    let (width, height) = (ROW as f64 * (SIDE + 8.0) + 16.0, 220.0 + rows * (SIDE + 24.0));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    learning_curve(&mut svg, curve, width);
    for (place, &index) in misread.iter().take(SHOWN).enumerate() {
        let (x, y) = ((place % ROW) as f64 * (SIDE + 8.0) + 12.0, 212.0 + (place / ROW) as f64 * (SIDE + 24.0));
        let pixels = samples.pixels();
        image(&mut svg, &samples.images[index * pixels..(index + 1) * pixels], x, y);
        let text = format!("{} read as {}", samples.labels[index], read[index]);
        writeln!(svg, "<text x=\"{x}\" y=\"{}\" font-size=\"10\">{text}</text>", y + SIDE + 12.0)
            .expect("a string grows");
    }
    svg + "</svg>\n"
}

/// The cost over the epochs, from zero up.
fn learning_curve(svg: &mut String, curve: &[f64], width: f64) {
    let highest = curve.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let at = |epoch: usize, cost: f64| {
        let share = epoch as f64 / curve.len().saturating_sub(1).max(1) as f64;
        (60.0 + share * (width - 80.0), 170.0 - 150.0 * cost / highest)
    };
    let points = curve.iter().enumerate().map(|(epoch, &cost)| at(epoch, cost));
    let points: String = points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
    let (left, right) = (at(0, 0.0), at(curve.len().saturating_sub(1).max(1), 0.0));
    write!(
        svg,
        "<path d=\"M{} 20V{}H{}\" fill=\"none\" stroke=\"#888\"/>\n\
         <polyline points=\"{points}\" fill=\"none\" stroke=\"#2166ac\" stroke-width=\"2\"/>\n\
         <text x=\"12\" y=\"26\">{highest:.3}</text><text x=\"40\" y=\"174\">0</text>\n\
         <text x=\"{}\" y=\"190\" text-anchor=\"middle\">cost of epochs 1 to {}</text>\n",
        left.0,
        left.1,
        right.0,
        width / 2.0,
        curve.len()
    )
    .expect("a string grows");
}

/// A square image, dark where its values are high.
fn image(svg: &mut String, pixels: &[f32], x: f64, y: f64) {
    let side = (pixels.len() as f64).sqrt() as usize;
    let size = SIDE / side as f64;
    writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"#f4f4f4\"/>")
        .expect("a string grows");
    for (at, &value) in pixels.iter().enumerate().filter(|(_, value)| **value > 0.05) {
        let (left, top) = (x + (at % side) as f64 * size, y + (at / side) as f64 * size);
        writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{size:.1}\" height=\"{size:.1}\" fill-opacity=\"{value:.2}\"/>"
        )
        .expect("a string grows");
    }
}
