"""Parameters and state, in memory and in files."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from support import make, rng, same_bits, same_state

from fused_dense import Adam, Network, Sgd

OPTIMIZERS = [Sgd(0.1), Sgd(0.1, momentum=0.9, nesterov=True), Adam(0.01, weight_decay=0.1, decoupled=True)]


@pytest.fixture(params=OPTIMIZERS, ids=repr)
def trained(request, make, rng):
    """A network in the middle of training, and the steps that follow."""
    network = make(optimizer=request.param, class_weights=[1.0, 2.0, 3.0], summation="chain", seed=4)
    x = rng.standard_normal((6, 4)).astype(np.float32)
    labels = rng.integers(0, 3, 6)
    network.fit(x, labels, epochs=3, batch=4)
    return network, lambda network: [network.step(x, labels) for _ in range(3)]


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, *(lambda n, p=p: pickle.loads(pickle.dumps(n, p)) for p in range(2, 6))],
)
def test_copies_go_on_with_the_same_bits(trained, again):
    network, steps = trained
    same = again(network)
    assert same is not network and type(same) is Network
    assert same_state(same, network)
    assert repr(same) == repr(network) and same.layers == network.layers and same.max_batch == network.max_batch
    assert steps(same) == steps(network)
    assert same_state(same, network)


def test_classes_derived_from_it_are_pickled_with_their_attributes(make):
    network = Derived(4, [(3, "identity")], seed=2)
    network.note = "kept"
    same = pickle.loads(pickle.dumps(network))
    assert type(same) is Derived and same.note == "kept" and same_state(same, network)


class Derived(Network):
    pass


def test_parameters_are_copies(make):
    network = make()
    (w, b), _ = network.parameters()
    assert w.shape == (5, 4) and b.shape == (5,) and w.dtype == b.dtype == np.float32
    assert w.flags.writeable and w.flags.owndata
    w[...] = 7
    assert not (network.parameters()[0][0] == 7).any()
    for layer in (1, -1):
        assert same_bits(network.weights(layer)[0], network.parameters()[1][0])
    for layer in (2, -3):
        with pytest.raises(IndexError, match=f"layer: expected one of 2, found {layer}"):
            network.weights(layer)


def test_parameters_are_set(make):
    network, other = make(seed=1), make(seed=2)
    network.set_parameters(other.parameters())
    assert same_state(network, other)
    network.set_parameters(iter(make(seed=3).parameters()))
    assert same_state(network, make(seed=3))


@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda p: p[:1], ValueError, "parameters: expected 2 layers, found 1"),
        (lambda p: [p[0], (p[1][0],)], TypeError, "parameters: expected weights and bias of layer 1"),
        (lambda p: [(p[0][0].T, p[0][1]), p[1]], ValueError, r"weights of layer 0: expected an array of shape \(samples, 4\)"),
        (lambda p: [p[0], (p[1][0][:2], p[1][1])], ValueError, r"weights of layer 1: .*\(3, 5\), found \(2, 5\)"),
        (lambda p: [p[0], (p[1][0], p[1][1][:2])], ValueError, r"bias of layer 1: .*\(3,\), found \(2,\)"),
        (lambda p: [p[0], (p[1][0], p[1][1].astype(float))], TypeError, "bias of layer 1: .* found float64"),
        (lambda p: 5, TypeError, "int"),
    ],
)
def test_parameters_that_do_not_fit_change_nothing(make, change, error, text):
    network = make(seed=1)
    with pytest.raises(error, match=text):
        network.set_parameters(change(make(seed=2).parameters()))
    assert same_state(network, make(seed=1))


def test_a_state_is_taken_over_whole(trained, make):
    network, steps = trained
    state = network.state_dict()
    assert state["training.steps"].dtype == np.uint64 and state["training.steps"] == network.steps == 6
    assert state["training.epochs"] == 3
    other = copy.deepcopy(network)
    steps(other)
    assert not same_state(other, network)
    other.load_state_dict(state)
    assert same_state(other, network)
    assert steps(other) == steps(network)


def test_a_state_of_parameters_alone_leaves_the_rest(trained):
    network, _ = trained
    steps, before = network.steps, network.state_dict()
    parameters = {name: value + 1 for name, value in before.items() if not name.startswith("training.")}
    assert list(parameters) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    network.load_state_dict(parameters)
    after = network.state_dict()
    assert network.steps == steps
    for name, value in after.items():
        assert same_bits(value, parameters.get(name, before[name]))


@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda s: s.pop("0.bias"), KeyError, "state: expected an array 0.bias, found none"),
        (lambda s: s.pop("training.0.bias.exp_avg"), KeyError, "expected an array training.0.bias.exp_avg, found none"),
        (lambda s: s.pop("training.steps"), KeyError, "training.steps"),
        (lambda s: s.update(more=s["0.bias"]), ValueError, "state: expected no array more, found one"),
        (lambda s: s.update({"0.bias": s["0.bias"][:2]}), ValueError, r"0.bias: expected an array of shape \(5,\), found \(2,\)"),
        (lambda s: s.update({"0.bias": s["0.bias"].astype(float)}), TypeError, "0.bias: .*found float64"),
        (lambda s: s.update({"training.steps": np.int64(1)}), TypeError, "training.steps"),
        (lambda s: s.update({"training.steps": np.array(2**63, np.uint64)}), ValueError, "expected a number of at most 9223372036854775807"),
        (lambda s: s.update({"training.batches": np.array(1, np.uint64)}), ValueError, "training.batches: expected a number of at most 0"),
        (lambda s: s.update({"training.epochs": np.ones(1, np.uint64)}), ValueError, r"expected an array of shape \(\)"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(make, change, error, text):
    network, state = make(optimizer=Adam(), seed=1), make(optimizer=Adam(), seed=2).state_dict()
    change(state)
    with pytest.raises(error, match=text):
        network.load_state_dict(state)
    assert same_state(network, make(optimizer=Adam(), seed=1))
    with pytest.raises(TypeError, match="state: expected a mapping of names to arrays"):
        network.load_state_dict(5)


def test_files_of_parameters(make, tmp_path, trained):
    network, _ = trained
    path = tmp_path / "network.safetensors"
    network.save(path)
    same = make(seed=8)
    same.load(str(path))
    assert all(same_bits(a, b) for p, q in zip(same.parameters(), network.parameters()) for a, b in zip(p, q))
    with pytest.raises(ValueError, match="expected the weights of 1 layers, found those of 2"):
        make(layers=[(3, "identity")]).load(path)


def test_files_of_checkpoints(make, tmp_path, trained):
    network, steps = trained
    path = tmp_path / "checkpoint"
    network.save_checkpoint(path)
    same = make(optimizer=network.optimizer, class_weights=[1.0, 2.0, 3.0], summation="chain", seed=8)
    same.learning_rate = 0.5
    same.load_checkpoint(path)
    assert same_state(same, network) and same.optimizer == network.optimizer
    assert steps(same) == steps(network)


def test_the_package_safetensors_reads_and_writes_the_same(make, tmp_path, trained):
    safetensors = pytest.importorskip("safetensors.numpy")
    network, _ = trained
    network.save(tmp_path / "ours")
    found = safetensors.load_file(tmp_path / "ours")
    state = network.state_dict()
    assert set(found) == {name for name in state if not name.startswith("training.")}
    assert all(same_bits(found[name], state[name]) for name in found)
    network.save_checkpoint(tmp_path / "whole")
    found = safetensors.load_file(tmp_path / "whole")
    assert set(found) == {*state, "training.batches"} and all(same_bits(found[name], state[name]) for name in state)
    other = make(seed=8, optimizer=network.optimizer)
    other.load_state_dict(found)
    assert same_state(other, network)
    safetensors.save_file({name: value for name, value in state.items() if "training" not in name}, tmp_path / "theirs")
    third = make(seed=9)
    third.load(tmp_path / "theirs")
    assert same_bits(third.weights(0)[0], network.weights(0)[0])


def test_faults_of_files_are_errors_of_the_system(make, tmp_path):
    network = make()
    with pytest.raises(FileNotFoundError) as caught:
        network.load(tmp_path / "none")
    assert Path(caught.value.filename) == tmp_path / "none"
    with pytest.raises(OSError):
        network.save(tmp_path / "no folder" / "file")
    (tmp_path / "text").write_text("no safetensors file")
    with pytest.raises(ValueError, match="text"):
        network.load(tmp_path / "text")
    with pytest.raises(TypeError):
        network.save(5)
    network.save(tmp_path / "parameters")
    with pytest.raises(ValueError, match="metadata optimizer"):
        network.load_checkpoint(tmp_path / "parameters")
    assert sorted(os.listdir(tmp_path)) == ["parameters", "text"]
