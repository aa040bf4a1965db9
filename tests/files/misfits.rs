//! Files that do not fit: an error each, and the network stays as it was.

use crate::contents::Contents;
use crate::folder::Folder;
use crate::{network, optimizers, state, train};
use fused_dense::{Adam, Error, FileError, Network, Optimizer, Sgd};
use safetensors::Dtype;
use std::fs;
use std::path::Path;

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
