//! Networks in files: what is written comes back to the bit, other programs' files fit, and what does not fit changes
//! nothing.

#![cfg(not(miri))]

#[path = "support/folder.rs"]
mod folder;

use folder::Folder;
use fused_dense::{Activation, Adam, Cost, Error, FileError, Fit, Network, NetworkBuilder, Optimizer, Sgd};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const SAMPLES: usize = 50;

/// Every rule, with settings of its own.
fn optimizers() -> [Optimizer; 7] {
    [
        Sgd::new(0.1).into(),
        Sgd::new(0.1).weight_decay(0.01).into(),
        Sgd::new(0.05).momentum(0.9).into(),
        Sgd::new(0.05).momentum(0.7).weight_decay(1e-4).nesterov().into(),
        Adam::new(0.01).into(),
        Adam::new(0.003).betas(0.8, 0.95).epsilon(1e-6).weight_decay(1e-3).into(),
        Adam::new(1e-3).decoupled_weight_decay(0.3).into(),
    ]
}

/// The same kind with other settings.
fn other_settings(optimizer: Optimizer) -> Optimizer {
    match optimizer {
        Optimizer::Sgd(_) if optimizer.state_arrays() == 0 => Sgd::new(0.7).weight_decay(0.5).into(),
        Optimizer::Sgd(_) => Sgd::new(0.7).momentum(0.1).into(),
        _ => Adam::new(0.7).betas(0.1, 0.1).epsilon(0.1).decoupled_weight_decay(0.1).into(),
    }
}

/// One layer without an activation, so that the modules' numbers are not the layers' doubled.
fn builder(optimizer: impl Into<Optimizer>) -> NetworkBuilder {
    Network::builder(5)
        .layer(8, Activation::Tanh)
        .layer(7, Activation::Identity)
        .layer(6, Activation::LeakyRelu { slope: 0.2 })
        .layer(3, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .optimizer(optimizer)
        .max_batch(16)
}

fn network(optimizer: impl Into<Optimizer>, seed: u64) -> Network {
    builder(optimizer).seed(seed).build().expect("a valid network")
}

fn data() -> (Vec<f32>, Vec<u8>) {
    let x: Vec<f32> = (0..SAMPLES * 5).map(|i| (i * i % 41) as f32 / 20.0 - 1.0).collect();
    let labels = x.chunks(5).map(|row| u8::from(row[0] > row[1]) + u8::from(row[2] > row[3])).collect();
    (x, labels)
}

/// Steps `range`, each on a batch of its own, with a learning rate that changes on the way.
fn train(network: &mut Network, range: core::ops::Range<usize>) {
    let (x, labels) = data();
    for step in range {
        if step % 4 == 2 {
            network.set_learning_rate(network.optimizer().learning_rate() * 0.83).expect("a valid rate");
        }
        let start = step * 7 % 40;
        network.step(&x[start * 5..(start + 10) * 5], &labels[start..start + 10]).expect("a valid step");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn parameters(network: &Network) -> Vec<Vec<u32>> {
    network.layers().iter().flat_map(|layer| [bits(layer.w()), bits(layer.b())]).collect()
}

/// All that a checkpoint holds; settings as text, which tells -0 from 0.
#[derive(Debug, PartialEq)]
struct State {
    parameters: Vec<Vec<u32>>,
    arrays: Vec<Vec<u32>>,
    settings: String,
    steps: u64,
    next_epoch: usize,
}

fn state(network: &Network) -> State {
    let arrays = network.layers().iter().flat_map(|layer| layer.optimizer_state().flatten().map(bits));
    State {
        parameters: parameters(network),
        arrays: arrays.collect(),
        settings: format!("{:?}", network.optimizer()),
        steps: network.steps(),
        next_epoch: network.next_epoch(),
    }
}

/// The tensors and metadata of a file, to be changed.
struct Contents {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    metadata: BTreeMap<String, String>,
}

impl Contents {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a file");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a valid file");
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        let file = SafeTensors::deserialize(&bytes).expect("a valid file");
        let tensors = file.iter().map(|(name, tensor)| {
            (name.to_string(), (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()))
        });
        Self { tensors: tensors.collect(), metadata }
    }

    fn write(&self, path: &Path) {
        let views = self.tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).expect("as many bytes as elements need"))
        });
        let bytes = safetensors::serialize(views, Some(self.metadata.clone().into_iter().collect()));
        fs::write(path, bytes.expect("a valid file")).expect("a file");
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let (dtype, _, data) = &self.tensors[name];
        assert_eq!(*dtype, Dtype::F32);
        data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    fn insert(&mut self, name: &str, dtype: Dtype, shape: &[usize]) {
        let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        self.tensors.insert(name.into(), (dtype, shape.to_vec(), vec![0; len]));
    }

    fn insert_count(&mut self, name: &str, count: u64) {
        self.tensors.insert(name.into(), (Dtype::U64, vec![], count.to_le_bytes().to_vec()));
    }
}

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

#[test]
fn resumed_steps_are_those_that_never_stopped() {
    let folder = Folder::new("steps");
    let path = folder.path("network.safetensors");
    for optimizer in optimizers() {
        let mut whole = network(optimizer, 1);
        train(&mut whole, 0..12);
        for stop in [0, 1, 3, 7, 11] {
            let mut first = network(optimizer, 1);
            train(&mut first, 0..stop);
            first.save_checkpoint(&path).expect("a file");
            let mut second = network(other_settings(optimizer), 9);
            second.load_checkpoint(&path).expect("a file that fits");
            train(&mut second, stop..12);
            assert_eq!(state(&second), state(&whole), "{optimizer}, stopped after {stop} steps");
        }
    }
}

#[test]
fn a_resumed_fit_is_one_that_never_stopped() {
    let folder = Folder::new("fit");
    let path = folder.path("network.safetensors");
    let (x, labels) = data();
    for optimizer in optimizers() {
        for has_schedule in [false, true] {
            let fit = || {
                let fit = Fit::new().batch(9).seed(3).hold_out(0.2);
                if has_schedule { fit.learning_rate(|epoch| 0.1 / epoch as f32) } else { fit }
            };
            let mut whole = network(optimizer, 1);
            let history = whole.fit(&x, &labels, fit().epochs(7)).expect("valid training");
            assert_eq!(whole.next_epoch(), 8);
            for stop in [0, 1, 4] {
                let mut first = network(optimizer, 1);
                first.fit(&x, &labels, fit().epochs(stop)).expect("valid training");
                first.save_checkpoint(&path).expect("a file");
                let mut second = network(other_settings(optimizer), 9);
                second.load_checkpoint(&path).expect("a file that fits");
                let next = second.next_epoch();
                assert_eq!(next, stop + 1);
                let rest = second.fit(&x, &labels, fit().first_epoch(next).epochs(7 - stop)).expect("valid training");
                assert_eq!(state(&second), state(&whole), "{optimizer}, stopped after {stop} epochs");
                let costs = |epochs: &[fused_dense::Epoch]| epochs.iter().map(|epoch| epoch.cost).collect::<Vec<_>>();
                assert_eq!(costs(rest.epochs()), costs(&history.epochs()[stop..]));
            }
        }
    }
}

/// The epoch goes back with the parameters that it made.
#[test]
fn early_stopping_goes_back_to_the_best_epoch() {
    let (x, labels) = data();
    let mut network = network(Sgd::new(0.1), 1);
    // No epoch behind the third changes anything.
    let fit = Fit::new().learning_rate(|epoch| if epoch > 3 { 0.0 } else { 0.1 }).early_stopping(2);
    let history = network.fit(&x, &labels, fit.validation(&x, &labels).epochs(10)).expect("valid training");
    assert_eq!((history.best_epoch(), network.next_epoch()), (3, 4));
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

/// Loads a file with a change in it, which must be an error that leaves the network alone.
fn refused(path: &Path, is_checkpoint: bool, target: &mut Network, change: impl FnOnce(&mut Contents)) -> FileError {
    let changed = path.with_extension("changed");
    let mut contents = Contents::read(path);
    change(&mut contents);
    contents.write(&changed);
    let before = state(target);
    let result = if is_checkpoint { target.load_checkpoint(&changed) } else { target.load(&changed) };
    assert_eq!(state(target), before, "{result:?}");
    result.expect_err("a misfit")
}

/// Faults for both ways of loading. The last tensors are changed: all before them have been found good.
#[test]
fn parameters_that_do_not_fit_change_nothing() {
    let folder = Folder::new("misfits");
    let path = folder.path("network.safetensors");
    network(Adam::new(0.01), 1).save_checkpoint(&path).expect("a file");
    let mut target = network(Adam::new(0.02), 2);
    train(&mut target, 0..2);
    for is_checkpoint in [false, true] {
        let mut error = |change: fn(&mut Contents)| refused(&path, is_checkpoint, &mut target, change).to_string();
        assert_eq!(
            error(|file| file.insert("5.weight", Dtype::F32, &[6, 3])),
            "tensor 5.weight: expected the shape [3, 6], found [6, 3]"
        );
        assert_eq!(
            error(|file| file.insert("5.bias", Dtype::F32, &[3, 1])),
            "tensor 5.bias: expected the shape [3], found [3, 1]"
        );
        for (dtype, name) in [(Dtype::F64, "F64"), (Dtype::F16, "F16"), (Dtype::BF16, "BF16"), (Dtype::I64, "I64")] {
            let change = |file: &mut Contents| file.insert("5.bias", dtype, &[3]);
            let found = refused(&path, is_checkpoint, &mut target, change).to_string();
            assert_eq!(found, format!("tensor 5.bias: expected elements of type F32, found {name}"));
        }
        let mut error = |change: fn(&mut Contents)| refused(&path, is_checkpoint, &mut target, change).to_string();
        assert_eq!(
            error(|file| {
                file.tensors.remove("5.weight");
                file.tensors.remove("5.bias");
            }),
            "file: expected the weights of 4 layers, found those of 3"
        );
        assert_eq!(
            error(|file| file.insert("6.weight", Dtype::F32, &[3, 3])),
            "file: expected the weights of 4 layers, found those of 5"
        );
        assert_eq!(
            error(|file| drop(file.tensors.remove("5.weight"))),
            "tensor 5.bias: expected none of this name, found it in the file"
        );
        assert_eq!(
            error(|file| file.insert("5.running_mean", Dtype::F32, &[3])),
            "tensor 5.running_mean: expected none of this name, found it in the file"
        );
    }
}

#[test]
fn checkpoints_that_do_not_fit_change_nothing() {
    let folder = Folder::new("checkpoints");
    let path = folder.path("network.safetensors");
    let mut saved = network(Adam::new(0.01), 1);
    train(&mut saved, 0..4);
    saved.save_checkpoint(&path).expect("a file");
    let mut target = network(Adam::new(0.02), 2);
    train(&mut target, 0..2);
    let mut error = |change: fn(&mut Contents)| refused(&path, true, &mut target, change).to_string();

    assert_eq!(
        error(|file| file.insert("training.5.bias.exp_avg_sq", Dtype::F32, &[4])),
        "tensor training.5.bias.exp_avg_sq: expected the shape [3], found [4]"
    );
    for missing in ["5.bias", "training.5.bias.exp_avg_sq", "training.steps", "training.epochs"] {
        let mut target = network(Adam::new(0.02), 2);
        let change = |file: &mut Contents| drop(file.tensors.remove(missing));
        let found = refused(&path, true, &mut target, change).to_string();
        assert_eq!(found, format!("tensor {missing}: expected it in the file, found none of this name"));
    }
    assert_eq!(
        error(|file| file.insert("training.5.bias.max_exp_avg_sq", Dtype::F32, &[3])),
        "tensor training.5.bias.max_exp_avg_sq: expected none of this name, found it in the file"
    );
    // Layers that would fit by their order, with arrays of other names.
    assert_eq!(
        error(|file| {
            for parameter in ["weight", "bias"] {
                let tensor = file.tensors.remove(&format!("5.{parameter}")).expect("a tensor");
                file.tensors.insert(format!("6.{parameter}"), tensor);
            }
        }),
        "tensor 5.weight: expected it in the file, found none of this name"
    );

    assert_eq!(
        error(|file| file.insert("training.steps", Dtype::I64, &[])),
        "tensor training.steps: expected elements of type U64, found I64"
    );
    assert_eq!(
        error(|file| file.insert("training.steps", Dtype::U64, &[2])),
        "tensor training.steps: expected the shape [], found [2]"
    );
    assert_eq!(
        error(|file| file.insert_count("training.steps", 1 << 63)),
        "tensor training.steps: expected a number of at most 9223372036854775807, found 9223372036854775808"
    );
    let found = error(|file| file.insert_count("training.epochs", u64::MAX));
    let max = isize::MAX;
    assert_eq!(found, format!("tensor training.epochs: expected a number of at most {max}, found {}", u64::MAX));

    assert_eq!(
        error(|file| drop(file.metadata.remove("optimizer"))),
        "metadata optimizer: expected sgd or adam, found no such key"
    );
    assert_eq!(
        error(|file| drop(file.metadata.insert("optimizer".into(), "rprop".into()))),
        "metadata optimizer: expected sgd or adam, found \"rprop\""
    );
    assert_eq!(
        error(|file| drop(file.metadata.remove("beta2"))),
        "metadata beta2: expected a number, found no such key"
    );
    assert_eq!(
        error(|file| drop(file.metadata.insert("epsilon".into(), "tiny".into()))),
        "metadata epsilon: expected a number, found \"tiny\""
    );
    assert_eq!(
        error(|file| drop(file.metadata.insert("decoupled".into(), "1".into()))),
        "metadata decoupled: expected true or false, found \"1\""
    );
    for (key, value) in [("learning_rate", "NaN"), ("beta1", "1"), ("weight_decay", "-1"), ("epsilon", "1e99")] {
        let mut target = network(Adam::new(0.02), 2);
        let change = |file: &mut Contents| drop(file.metadata.insert(key.into(), value.into()));
        match refused(&path, true, &mut target, change) {
            FileError::Network { source: Error::Setting { name, .. } } => assert_eq!(name, key),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn another_optimisers_checkpoint_is_refused() {
    let folder = Folder::new("optimizers");
    let path = folder.path("network.safetensors");
    for of_file in optimizers() {
        network(of_file, 1).save_checkpoint(&path).expect("a file");
        for of_network in optimizers() {
            let mut target = network(of_network, 2);
            let before = state(&target);
            let is_adam = |optimizer| matches!(optimizer, Optimizer::Adam(_));
            let fits = is_adam(of_file) == is_adam(of_network) && of_file.state_arrays() == of_network.state_arrays();
            match target.load_checkpoint(&path) {
                Ok(()) => assert!(fits && target.optimizer() == of_file),
                Err(FileError::Optimizer { expected, found }) => {
                    assert!(!fits && (expected, found) == (of_network, of_file));
                    assert_eq!(state(&target), before);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    let error = FileError::Optimizer { expected: optimizers()[4], found: optimizers()[2] };
    assert_eq!(
        error.to_string(),
        "file: expected a checkpoint for (Adam: learning rate 0.01, betas 0.9 and 0.999, epsilon 1e-8), found one of \
         (gradient descent: learning rate 0.05, momentum 0.9)"
    );

    // Metadata of one optimiser beside the arrays of another.
    network(Sgd::new(0.1), 1).save_checkpoint(&path).expect("a file");
    let lie = |file: &mut Contents| drop(file.metadata.insert("momentum".into(), "0.5".into()));
    let error = refused(&path, true, &mut network(Sgd::new(0.1), 2), lie);
    assert!(matches!(error, FileError::Optimizer { .. }), "{error:?}");
    let error = refused(&path, true, &mut network(Sgd::new(0.1).momentum(0.5), 2), lie);
    assert!(
        matches!(&error, FileError::Missing { tensor } if tensor == "training.0.weight.momentum_buffer"),
        "{error:?}"
    );
    // Parameters alone.
    network(Sgd::new(0.1), 1).save(&path).expect("a file");
    let error = refused(&path, true, &mut network(Sgd::new(0.1), 2), |_| ());
    assert!(matches!(error, FileError::Metadata { key: "optimizer", found: None, .. }), "{error:?}");
}

#[test]
fn files_that_are_none_and_exchanged_layers_are_errors() {
    let folder = Folder::new("none");
    let path = folder.path("network.safetensors");
    let mut target = network(Adam::new(0.01), 1);
    let before = state(&target);
    assert!(matches!(target.load(&path), Err(FileError::Io { .. })));
    assert!(matches!(target.load_checkpoint(&path), Err(FileError::Io { .. })));
    target.save_checkpoint(&path).expect("a file");
    let whole = fs::read(&path).expect("a file");
    for len in [0, 7, 100, whole.len() - 1] {
        fs::write(&path, &whole[..len]).expect("a file");
        assert!(matches!(target.load(&path), Err(FileError::Format { .. })), "{len} bytes");
        assert!(matches!(target.load_checkpoint(&path), Err(FileError::Format { .. })), "{len} bytes");
    }
    assert_eq!(state(&target), before);

    fs::write(&path, &whole).expect("a file");
    target.layers_mut().swap(0, 1);
    let results =
        [target.load(&path), target.load_checkpoint(&path), target.save(&path), target.save_checkpoint(&path)];
    for result in results {
        assert!(matches!(result, Err(FileError::Network { source: Error::Exchanged { .. } })), "{result:?}");
    }
    assert_eq!(fs::read(&path).expect("a file"), whole);
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

/// A file that cannot take its name: a folder has it.
#[test]
fn a_path_that_fails_is_an_error() {
    let folder = Folder::new("fails");
    let path = folder.path("network");
    fs::create_dir(&path).expect("a folder");
    fs::write(path.join("inside"), "").expect("a file");
    let network = network(Adam::new(0.01), 1);
    for path in [path, folder.path("none/network")] {
        assert!(matches!(network.save(&path), Err(FileError::Io { .. })));
        assert!(matches!(network.save_checkpoint(&path), Err(FileError::Io { .. })));
    }
    assert_eq!(folder.files(), ["network"]);
}

/// The system lets a process write files up to a limit, and ends it there, or says so where the signal is ignored.
#[cfg(unix)]
#[test]
fn the_old_file_stays_where_writing_is_cut_short() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const IN_CHILD: &str = "FUSED_DENSE_TEST_IS_CUT_SHORT";
    const LIMIT: libc::rlim_t = 4096;

    let large = Network::builder(64).layer(64, Activation::Relu).optimizer(Adam::new(0.01));
    let mut network = large.seed(1).build().expect("a valid network");
    if let Ok(how) = std::env::var(IN_CHILD) {
        let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
        // SAFETY: changes limits and a signal of this process, which does nothing else.
        unsafe {
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core), 0);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
            libc::signal(libc::SIGXFSZ, if how == "error" { libc::SIG_IGN } else { libc::SIG_DFL });
        }
        let path = std::env::var("FUSED_DENSE_TEST_PATH").expect("a path");
        assert!(matches!(network.save_checkpoint(path), Err(FileError::Io { .. })));
        return;
    }

    let folder = Folder::new("cut");
    let path = folder.path("network.safetensors");
    network.layers_mut()[0].b_mut().fill(7.0);
    network.save_checkpoint(&path).expect("a file");
    let old = fs::read(&path).expect("a file");
    for (how, files) in [("error", 1), ("end", 2)] {
        let mut child = Command::new(std::env::current_exe().expect("this test's path"));
        child.args(["the_old_file_stays_where_writing_is_cut_short", "--exact"]);
        let status = child.env(IN_CHILD, how).env("FUSED_DENSE_TEST_PATH", &path).output().expect("a process").status;
        if how == "error" {
            assert!(status.success(), "{status}");
        } else {
            assert_eq!(status.signal(), Some(libc::SIGXFSZ), "{status}");
        }
        // A process that was ended removes nothing.
        assert_eq!(folder.files().len(), files, "{how}: {:?}", folder.files());
        assert_eq!(fs::read(&path).expect("a file"), old);
    }
    network.load_checkpoint(&path).expect("a file that fits");
    network.save(&path).expect("a file beside what the process left");
    network.load(&path).expect("a file that fits");
}
