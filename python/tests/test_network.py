"""How a network is made, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from support import make, rng, same_state

import fused_dense
from fused_dense import Adam, Network, Sgd


def test_properties_say_how_it_was_made():
    layers = [(30, "relu"), (20, "leaky relu(0.5)"), (10, "identity")]
    network = Network(784, layers, cost="softmax cross-entropy", threads=2, max_batch=17, optimizer=Sgd(0.1, momentum=0.5))
    assert (network.inputs, network.outputs, network.max_batch, network.threads, network.steps) == (784, 10, 17, 2, 0)
    assert network.layers == layers
    assert network.cost == "softmax_cross_entropy"
    assert network.optimizer == Sgd(0.1, momentum=0.5)
    assert network.learning_rate == 0.1
    assert repr(network) == (
        "Network(784, [(30, 'relu'), (20, 'leaky relu(0.5)'), (10, 'identity')], cost='softmax_cross_entropy', "
        "optimizer=Sgd(0.1, momentum=0.5, nesterov=False, weight_decay=0.0))"
    )


def test_the_package_has_a_version():
    from importlib.metadata import version

    assert fused_dense.__version__ == version("fused-dense")


def test_defaults_are_those_of_the_crate():
    network = Network(3, [(2, "identity")])
    assert (network.cost, network.max_batch, network.threads) == ("quadratic", 256, 1)
    assert network.optimizer == Adam() == Adam(0.001, betas=(0.9, 0.999), epsilon=1e-8)


def test_the_seed_decides_the_weights(make):
    assert same_state(make(seed=3), make(seed=3))
    assert not same_state(make(seed=3), make(seed=4))
    assert not any(w.any() or b.any() for w, b in make(init="zeros").parameters())
    limit = (6 / (4 + 5)) ** 0.5
    assert all(np.abs(w).max() <= limit * 1.2 for w, _ in make(init="glorot-uniform").parameters())


def test_names_of_settings_are_read_whatever_their_case(make):
    assert make(cost="Softmax Cross-Entropy").cost == "softmax_cross_entropy"
    assert make(layers=[(2, "Leaky_ReLU")], cost="QUADRATIC", summation="Lanes").layers == [(2, "leaky relu")]


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"inputs": -1}, ValueError, "inputs: expected an integer from 1 on, found -1"),
        ({"inputs": 0}, ValueError, "inputs: expected an integer from 1 on, found 0"),
        ({"inputs": 1.5}, TypeError, "inputs: expected an integer, found float"),
        ({"inputs": "4"}, TypeError, "inputs: expected an integer, found str"),
        ({"inputs": 10**30}, ValueError, "inputs: expected a number that fits memory"),
        ({"inputs": 2**62}, MemoryError, "expected a layer 0 that fits memory"),
        ({"layers": []}, ValueError, "expected at least one layer, found none"),
        ({"layers": 5}, TypeError, "layers: expected pairs of a number of outputs and an activation"),
        ({"layers": "ab"}, TypeError, "layers: expected pairs"),
        ({"layers": [5]}, TypeError, "layers: expected pairs .* found 5"),
        ({"layers": ["ab"]}, TypeError, "layers: expected pairs .* found ab"),
        ({"layers": [(5, 7)]}, TypeError, "layers: expected pairs"),
        ({"layers": [(0, "relu")]}, ValueError, "layers: outputs: expected an integer from 1 on, found 0"),
        ({"layers": [(5, "softmax")]}, ValueError, 'activation: expected identity, .* found "softmax"'),
        ({"layers": [(5, "relu")]}, ValueError, "expected identity activation in the last layer for softmax"),
        ({"cost": "hinge"}, ValueError, 'cost: expected one of quadratic, .* found "hinge"'),
        ({"optimizer": "adam"}, TypeError, "optimizer: expected Sgd, Adam or a learning rate, found str"),
        ({"optimizer": -1.0}, ValueError, "expected learning_rate to be a finite number from 0 on, found -1"),
        ({"init": "ones"}, ValueError, '"ones"'),
        ({"seed": -1}, OverflowError, "negative int"),
        ({"threads": 0}, ValueError, "threads: expected an integer from 1 on, found 0"),
        ({"threads": 10**6}, ValueError, "threads: expected at most 256, found 1000000"),
        ({"max_batch": 0}, ValueError, "max_batch: expected an integer from 1 on"),
        ({"max_batch": 2**61}, MemoryError, "fits memory with batches of"),
        ({"class_weights": [1.0]}, ValueError, "class_weights: expected 3 elements, found 1"),
        ({"class_weights": [1.0, -1.0, 1.0]}, ValueError, "class_weights: expected a finite value of at least 0"),
        ({"positive_weight": 2.0}, ValueError, "positive_weight: expected binary cross-entropy cost"),
        ({"summation": "pairwise"}, ValueError, "summation: expected one of auto, chain, lanes"),
    ],
)
def test_wrong_settings_are_refused(make, change, error, text):
    with pytest.raises(error, match=text):
        make(**change)


def test_attributes_cannot_be_set_but_for_the_optimiser(make):
    network = make()
    for name in ("inputs", "outputs", "layers", "steps", "cost", "anything"):
        with pytest.raises(AttributeError):
            setattr(network, name, 1)


def test_the_optimiser_changes_between_steps(make, rng):
    network = make(optimizer=Adam(0.1))
    network.optimizer = Adam(0.01, weight_decay=0.5, decoupled=True)
    assert network.optimizer == Adam(0.01, weight_decay=0.5, decoupled=True)
    network.learning_rate = 0.5
    assert network.optimizer == Adam(0.5, weight_decay=0.5, decoupled=True)
    with pytest.raises(ValueError, match="expected learning_rate to be a finite number"):
        network.learning_rate = float("nan")
    with pytest.raises(ValueError, match="state arrays"):
        network.optimizer = Sgd(0.1)
    with pytest.raises(TypeError, match="optimizer: expected Sgd, Adam or a learning rate, found NoneType"):
        network.optimizer = None
    assert network.optimizer == Adam(0.5, weight_decay=0.5, decoupled=True)
    plain = make(optimizer=0.25)
    plain.optimizer = 0.5
    assert plain.optimizer == Sgd(0.5)


def test_optimisers_are_values():
    import copy
    import pickle

    for optimizer in (Sgd(0.1), Sgd(0.3, momentum=0.9, nesterov=True, weight_decay=1e-4), Adam(1e-3, betas=(0.5, 0.7))):
        for same in (copy.copy(optimizer), copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
            assert same == optimizer and not same != optimizer and repr(same) == repr(optimizer)
        assert eval(repr(optimizer), vars(fused_dense)) == optimizer
    assert Sgd(0.1) != Sgd(0.2) and Sgd(0.1) != Adam(0.1) and Sgd(0.1) != 0.1
    assert (Sgd(0.1).learning_rate, Sgd(0.1, weight_decay=1e-4).weight_decay) == (0.1, 1e-4)
    adam = Adam(0.1, betas=(0.8, 0.9), epsilon=1e-6, weight_decay=0.25, decoupled=True)
    assert (adam.betas, adam.epsilon, adam.weight_decay, adam.decoupled) == ((0.8, 0.9), 1e-6, 0.25, True)
    for wrong, text in (
        (lambda: Sgd(float("inf")), "learning_rate"),
        (lambda: Sgd(0.1, momentum=1.5), "expected momentum to be a number from 0 to 1, found 1.5"),
        (lambda: Sgd(0.1, nesterov=True), "expected momentum to be more than 0 for Nesterov's rule"),
        (lambda: Adam(betas=(1.0, 0.9)), "expected beta1"),
        (lambda: Adam(epsilon=-1.0), "expected epsilon"),
        (lambda: Adam(weight_decay=-1.0), "expected weight_decay"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()
    with pytest.raises(TypeError):
        Sgd("fast")


def test_the_cost_has_to_fit_the_last_layer():
    with pytest.raises(ValueError, match="expected sigmoid activation in the last layer for binary cross-entropy"):
        Network(3, [(1, "relu")], cost="binary_cross_entropy")
