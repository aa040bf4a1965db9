//! Files that fit, of this crate and of PyTorch.

use crate::contents::Contents;
use crate::folder::Folder;
use crate::{SAMPLES, State, bits, data, network, optimizers, other_settings, parameters, state, train};
use fused_dense::{Activation, Adam, Error, Fit, Network, Optimizer, Sgd};
use safetensors::Dtype;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn parameters_come_back_to_the_bit() {
    let folder = Folder::new("parameters");
    let path = folder.path("network.safetensors");
    for optimizer in optimizers() {
        let mut saved = network(optimizer, 1);
        train(&mut saved, 0..5);
        saved.layers_mut()[2].w_mut()[..6].copy_from_slice(&[f32::NAN, -0.0, f32::INFINITY, 1e-45, f32::MIN, 0.1]);
        saved.save(&path).expect("a file");

        let mut loaded = network(other_settings(optimizer), 2);
        train(&mut loaded, 0..3);
        let before = state(&loaded);
        loaded.load(&path).expect("a file that fits");
        assert_eq!(state(&loaded), State { parameters: parameters(&saved), ..before });
    }
}

#[test]
fn a_file_has_pytorchs_names_and_shapes() {
    let folder = Folder::new("names");
    let path = folder.path("network.safetensors");
    let mut network = network(Adam::new(0.01), 1);
    network.save(&path).expect("a file");
    let contents = Contents::read(&path);
    let found: Vec<_> =
        contents.tensors.iter().map(|(name, (dtype, shape, _))| (&name[..], *dtype, &shape[..])).collect();
    let expected: [(&str, &[usize]); 8] = [
        ("0.bias", &[8]),
        ("0.weight", &[8, 5]),
        ("2.bias", &[7]),
        ("2.weight", &[7, 8]),
        ("3.bias", &[6]),
        ("3.weight", &[6, 7]),
        ("5.bias", &[3]),
        ("5.weight", &[3, 6]),
    ];
    assert_eq!(found, expected.map(|(name, shape)| (name, Dtype::F32, shape)));
    let metadata: Vec<_> = contents.metadata.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    let activations = "tanh, identity, leaky relu(0.2), identity";
    assert_eq!(metadata, [("activations", activations), ("cost", "softmax cross-entropy"), ("format", "pt")]);

    // The same network, the same bytes.
    let bytes = fs::read(&path).expect("a file");
    train(&mut network, 0..1);
    network.load(&path).expect("a file that fits");
    network.save(&path).expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
}

#[test]
fn a_checkpoint_is_the_whole_state() {
    let folder = Folder::new("checkpoint");
    let (path, copy) = (folder.path("network.safetensors"), folder.path("copy.safetensors"));
    let (x, labels) = data();
    for optimizer in optimizers() {
        let mut saved = network(optimizer, 1);
        saved.fit(&x, &labels, Fit::new().epochs(2)).expect("valid training");
        train(&mut saved, 0..3);
        saved.save_checkpoint(&path).expect("a file");
        assert_eq!(saved.next_epoch(), 3);

        let mut loaded = network(other_settings(optimizer), 2);
        train(&mut loaded, 0..1);
        loaded.load_checkpoint(&path).expect("a file that fits");
        assert_eq!(state(&loaded), state(&saved));
        loaded.save_checkpoint(&copy).expect("a file");
        assert_eq!(fs::read(&copy).expect("a file"), fs::read(&path).expect("a file"));

        // Its parameters alone.
        let mut loaded = network(Adam::new(0.5), 2);
        let before = state(&loaded);
        loaded.load(&path).expect("a file that fits");
        assert_eq!(state(&loaded), State { parameters: parameters(&saved), ..before });
    }
}

/// Numbers whose shortest digits are long, tiny or negative zero.
#[test]
fn settings_come_back_to_the_bit() {
    let folder = Folder::new("settings");
    let path = folder.path("network.safetensors");
    let awkward = [0.1, 1.0 / 3.0, 1e-45, f32::MIN_POSITIVE, 16_777_216.0, f32::MAX, 0.0, -0.0, 1e-8];
    for (index, &number) in awkward.iter().enumerate() {
        let below_one = awkward.map(|number| number % 1.0)[(index + 3) % awkward.len()].abs();
        let saved: [Optimizer; 4] = [
            Sgd::new(number).weight_decay(awkward[(index + 1) % awkward.len()]).into(),
            Sgd::new(number).momentum(1.0 - below_one / 2.0).nesterov().into(),
            Adam::new(number).betas(below_one, number % 1.0).epsilon(number).weight_decay(number).into(),
            Adam::new(number).decoupled_weight_decay(number).into(),
        ];
        for optimizer in saved {
            network(optimizer, 0).save_checkpoint(&path).expect("a file");
            let mut loaded = network(other_settings(optimizer), 0);
            loaded.load_checkpoint(&path).expect("a file that fits");
            assert_eq!(format!("{:?}", loaded.optimizer()), format!("{optimizer:?}"));
        }
    }
}

/// A session of before, and gradients that belong to other parameters.
#[test]
fn what_a_network_holds_stays_valid() {
    let folder = Folder::new("sessions");
    let (x, labels) = data();
    let trained = {
        let mut network = network(Adam::new(0.01), 1);
        train(&mut network, 0..3);
        network
    };
    let (path, checkpoint) = (folder.path("network.safetensors"), folder.path("checkpoint.safetensors"));
    trained.save(&path).expect("a file");
    trained.save_checkpoint(&checkpoint).expect("a file");
    let mut expected = vec![0.0; SAMPLES * 3];
    trained.predict(&x, &mut expected).expect("a valid call");
    for is_checkpoint in [false, true] {
        let mut network = network(Adam::new(0.01), 2);
        let mut a = vec![0.0; SAMPLES * 3];
        network.predict(&x, &mut a).expect("a valid call");
        network.gradients(&x[..50], &labels[..10]).expect("a valid call");
        match is_checkpoint {
            false => network.load(&path).expect("a file that fits"),
            true => network.load_checkpoint(&checkpoint).expect("a file that fits"),
        }
        network.predict(&x, &mut a).expect("a valid call");
        assert_eq!(bits(&a), bits(&expected));
        assert_eq!(network.forward(&x[..50]).map(bits), Ok(bits(&expected[..30])));
        assert_eq!(network.apply_gradients(), Err(Error::NoGradients));
    }
}

fn of_pytorch(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pytorch").join(file)
}

/// Written by `tests/data/pytorch/make.py`.
#[test]
fn pytorchs_files_predict_the_same() {
    let samples = Contents::read(&of_pytorch("samples.safetensors"));
    let x = samples.floats("x");
    let plain = Network::builder(5)
        .layer(9, Activation::LeakyRelu { slope: 0.1 })
        .layer(4, Activation::Tanh)
        .layer(3, Activation::Identity);
    let gaps = Network::builder(5).layer(7, Activation::Tanh).layer(6, Activation::Relu).layer(2, Activation::Sigmoid);
    for (name, builder) in [("plain", plain), ("gaps", gaps)] {
        let mut network = builder.build().expect("a valid network");
        network.layers_mut().iter_mut().for_each(|layer| layer.b_mut().fill(7.0));
        network.load(of_pytorch(&format!("{name}.safetensors"))).expect("a file that fits");
        let expected = samples.floats(name);
        let mut found = vec![0.0; expected.len()];
        network.predict(&x, &mut found).expect("a valid call");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-6, "{name}: {found} against {expected}");
        }
        let are_zero = network.layers().iter().map(|layer| layer.b().iter().all(|b| *b == 0.0));
        assert_eq!(are_zero.collect::<Vec<_>>(), [false, name == "gaps", false]);
    }
}

/// Layers without inputs or outputs are tensors without elements.
#[test]
fn empty_layers_have_files() {
    let folder = Folder::new("empty");
    let path = folder.path("network.safetensors");
    let builder = Network::builder(0).layer(3, Activation::Tanh).layer(0, Activation::Relu).layer(2, Activation::Tanh);
    let mut saved = builder.clone().build().expect("a valid network");
    saved.layers_mut()[2].b_mut().copy_from_slice(&[1.0, 2.0]);
    saved.save_checkpoint(&path).expect("a file");
    let mut loaded = builder.build().expect("a valid network");
    loaded.load_checkpoint(&path).expect("a file that fits");
    assert_eq!(state(&loaded), state(&saved));
}
