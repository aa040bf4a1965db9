//! `cargo xtask files`: whether PyTorch loads saved networks, strictly, and predicts the same.

use crate::peers::library::python;
use crate::workspace;
use anstream::println;
use anyhow::{Context, ensure};
use fused_dense::{Activation, Network};
use std::fs;
use std::process::{Command, Stdio};

const PROGRAM: &str = include_str!("load.py");

const INPUTS: usize = 11;

const SAMPLES: usize = 50;

/// The largest difference of a value of about 1.
const BOUND: f32 = 1e-5;

/// A layer's outputs, its activation, and that as PyTorch's module.
type Row = (usize, Activation, &'static str);

/// The identity is no module, wherever it stands.
const NETWORKS: [&[Row]; 3] = [
    &[
        (17, Activation::Tanh, "Tanh()"),
        (9, Activation::Identity, "none"),
        (13, Activation::LeakyRelu { slope: 0.2 }, "LeakyReLU(0.2)"),
        (8, Activation::Relu, "ReLU()"),
        (3, Activation::Sigmoid, "Sigmoid()"),
    ],
    &[(5, Activation::Relu, "ReLU()"), (2, Activation::Identity, "none")],
    &[(1, Activation::Identity, "none")],
];

/// Saves each network and has it loaded.
///
/// # Errors
/// Where PyTorch refuses a file, or predicts something else.
pub fn main() -> anyhow::Result<()> {
    let has_packages = Command::new(python())
        .args(["-c", "import numpy, safetensors.torch, torch; print(torch.__version__)"])
        .stderr(Stdio::null())
        .output();
    let Some(version) = has_packages.ok().filter(|output| output.status.success()) else {
        println!("skipped files: Python's packages torch, safetensors and numpy are not all installed");
        return Ok(());
    };
    let version = String::from_utf8_lossy(&version.stdout).trim().to_string();
    for layers in NETWORKS {
        let largest = check(layers)?;
        println!("PyTorch {version} loads {} layers: predictions differ by at most {largest:.1e}", layers.len());
    }
    Ok(())
}

/// The largest difference between the predictions.
fn check(layers: &[Row]) -> anyhow::Result<f32> {
    let builder = layers
        .iter()
        .fold(Network::builder(INPUTS), |builder, &(outputs, activation, _)| builder.layer(outputs, activation));
    let mut network = builder.seed(1).build()?;
    for layer in network.layers_mut() {
        layer.b_mut().iter_mut().enumerate().for_each(|(index, b)| *b = index as f32 / 16.0 - 0.25);
    }
    let x: Vec<f32> = (0..SAMPLES * INPUTS).map(|index| (index * index % 101) as f32 / 50.0 - 1.0).collect();
    let mut ours = vec![0.0; SAMPLES * network.outputs()];
    network.predict(&x, &mut ours)?;

    let folder = workspace::target().join("files");
    fs::create_dir_all(&folder)?;
    let [path, samples, outputs] = ["network.safetensors", "samples", "outputs"].map(|name| folder.join(name));
    network.save(&path)?;
    fs::write(&samples, x.iter().flat_map(|x| x.to_ne_bytes()).collect::<Vec<_>>())?;
    let mut program = Command::new(python());
    program.args(["-c", PROGRAM]).args([&path, &samples, &outputs]).arg(INPUTS.to_string());
    for (outputs, _, module) in layers {
        program.args([&outputs.to_string(), *module]);
    }
    workspace::output(&mut program)?;
    let theirs = fs::read(&outputs)?;
    let theirs: Vec<f32> = theirs.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
    ensure!(theirs.len() == ours.len(), "PyTorch predicts {} values, expected {}", theirs.len(), ours.len());
    let differences = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs() / theirs.abs().max(1.0));
    let largest = differences.fold(0.0, |largest: f32, difference| largest.max(difference));
    let is_close = ours.iter().chain(&theirs).all(|value| value.is_finite()) && largest <= BOUND;
    is_close.then_some(largest).with_context(|| format!("predictions differ by {largest:e}"))
}
