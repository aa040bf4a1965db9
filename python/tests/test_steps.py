"""Steps, gradients and predictions against numpy's double precision."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from support import make, rng, same_bits, same_state

from fused_dense import Adam, DivergenceError, Evaluation, Network, Sgd

NETWORKS = [
    ("quadratic", [(6, "tanh"), (3, "sigmoid")]),
    ("quadratic", [(3, "silu")]),
    ("binary_cross_entropy", [(7, "relu"), (5, "silu"), (3, "sigmoid")]),
    ("softmax_cross_entropy", [(8, "sigmoid"), (3, "identity")]),
]


def data(rng, cost, classes, samples=20, inputs=4):
    x = rng.standard_normal((samples, inputs)).astype(np.float32)
    if classes:
        return x, rng.integers(0, 3, samples)
    y = rng.random((samples, 3))
    return x, (y / y.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cost, layers", NETWORKS)
def test_gradients_are_those_of_double_precision(rng, cost, layers, classes, weighted):
    network = Network(4, layers, cost=cost)
    x, y = data(rng, cost, classes)
    weights = rng.random(20).astype(np.float32) if weighted else None
    found, gradients = network.gradients(x, y, weights)
    activations = [activation for _, activation in layers]
    expected, exact = reference.cost_and_gradients(network.parameters(), activations, cost, x, y, weights)
    assert found == pytest.approx(expected, rel=1e-5)
    for pair, of_layer in zip(gradients, exact):
        for gradient, value in zip(pair, of_layer):
            np.testing.assert_allclose(gradient, value, rtol=1e-4, atol=1e-6)
    assert network.steps == 0
    evaluation = network.evaluate(x, y, weights)
    assert isinstance(evaluation, Evaluation) and evaluation.cost == pytest.approx(expected, rel=1e-5)
    assert (evaluation.accuracy is None) is not classes


@pytest.mark.parametrize("cost, layers", NETWORKS)
def test_a_step_descends_along_the_gradients(rng, cost, layers):
    network = Network(4, layers, cost=cost, optimizer=0.5)
    x, y = data(rng, cost, True)
    before = network.parameters()
    cost_before, gradients = network.gradients(x, y)
    assert network.step(x, y) == cost_before
    assert network.steps == 1
    for old, gradient, new in zip(before, gradients, network.parameters()):
        for old, gradient, new in zip(old, gradient, new):
            np.testing.assert_allclose(new, old - np.float32(0.5) * gradient, rtol=1e-5, atol=1e-6)


def test_predictions_are_those_of_double_precision(make, rng):
    network = make()
    x = rng.standard_normal((700, 4)).astype(np.float32)
    _, outputs = reference.forward(network.parameters(), ["tanh", "identity"], x)
    np.testing.assert_allclose(network.predict(x), outputs[-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.predict_proba(x), reference.softmax(outputs[-1]), rtol=1e-4, atol=1e-6)
    classes = network.predict_classes(x)
    assert classes.dtype == np.uint32 and (classes == network.predict(x).argmax(axis=1)).all()
    hits = (classes == 1).mean()
    assert network.evaluate(x, np.ones(700, np.int64)).accuracy == pytest.approx(hits)
    np.testing.assert_allclose(network.forward(x[:64]), outputs[-1][:64], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="expected a batch of at most 64 samples, found 65"):
        network.forward(x[:65])
    with pytest.raises(ValueError, match="expected a batch of at most 64 samples, found 700"):
        network.step(x, np.zeros(700, np.int64))


def test_probabilities_of_other_costs_are_the_outputs(make, rng):
    network = make(layers=[(3, "sigmoid")], cost="quadratic")
    x = rng.standard_normal((5, 4)).astype(np.float32)
    assert same_bits(network.predict_proba(x), network.predict(x))


def test_a_single_output_has_classes_0_and_1(rng):
    network = Network(4, [(1, "sigmoid")], cost="binary_cross_entropy", optimizer=Adam(0.1))
    x = rng.standard_normal((64, 4)).astype(np.float32)
    labels = (x[:, 0] > 0).astype(np.int64)
    as_values = Network(4, [(1, "sigmoid")], cost="binary_cross_entropy", optimizer=Adam(0.1))
    for _ in range(200):
        network.step(x, labels)
        as_values.step(x, labels.astype(np.float32))
    assert network.evaluate(x, labels).accuracy == 1.0
    assert (network.predict_classes(x) == labels).all()
    np.testing.assert_allclose(network.predict(x), as_values.predict(x), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">i4", ">u2", np.intc, np.longlong])
def test_classes_come_in_any_integers(make, rng, dtype):
    x, labels = data(rng, None, True)
    expected, found = make(), make()
    assert found.step(x, labels.astype(dtype)) == expected.step(x, labels)
    assert same_state(found, expected)


def test_weights_of_classes_and_of_the_positive_class_count(rng):
    x, labels = data(rng, None, True)
    weighted = Network(4, [(3, "identity")], cost="softmax_cross_entropy", class_weights=[1.0, 2.0, 0.5])
    plain = Network(4, [(3, "identity")], cost="softmax_cross_entropy")
    s = np.array([1.0, 2.0, 0.5], np.float32)[labels]
    cost, gradients = weighted.gradients(x, labels)
    other, others = plain.gradients(x, labels, s)
    assert cost == pytest.approx(other * s.sum() / len(s), rel=1e-5)
    np.testing.assert_allclose(gradients[0][0], others[0][0] * s.sum() / len(s), rtol=1e-4, atol=1e-6)
    double = Network(4, [(1, "sigmoid")], cost="binary_cross_entropy", positive_weight=2.0)
    once = Network(4, [(1, "sigmoid")], cost="binary_cross_entropy")
    ones = np.ones(20, np.int64)
    assert double.evaluate(x, ones).cost == pytest.approx(2 * once.evaluate(x, ones).cost, rel=1e-6)


def test_a_step_that_diverges_is_refused(make):
    network = make(optimizer=Sgd(1.0), layers=[(3, "identity")], cost="quadratic")
    huge = np.full((2, 4), 3e38, np.float32)
    before = network.state_dict()
    with pytest.raises(DivergenceError, match="expected a finite .*found infinity or NaN") as caught:
        network.step(huge, np.zeros((2, 3), np.float32))
    assert isinstance(caught.value, ValueError)
    assert network.steps == 0 and all(same_bits(before[name], value) for name, value in network.state_dict().items())
    with pytest.raises(DivergenceError, match="expected a finite cost"):
        network.step(np.full((2, 4), np.nan, np.float32), np.zeros((2, 3), np.float32))
    unguarded = make(optimizer=Sgd(1.0), layers=[(3, "identity")], cost="quadratic", guarded=False)
    unguarded.step(huge, np.zeros((2, 3), np.float32))
    assert unguarded.steps == 1


def test_an_empty_batch_is_no_step(make):
    network = make()
    x, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    assert network.step(x, labels) == 0.0 and network.steps == 0
    assert network.predict(x).shape == (0, 3)
    assert network.predict_classes(x).shape == (0,)
    assert network.evaluate(x, labels) == Evaluation(0.0, None)


@pytest.mark.parametrize("threads", [2, 3])
def test_bits_do_not_depend_on_threads(rng, threads):
    layers = [(300, "relu"), (200, "tanh"), (10, "identity")]
    x = rng.standard_normal((256, 150)).astype(np.float32)
    labels = rng.integers(0, 10, 256)
    networks = [Network(150, layers, cost="softmax_cross_entropy", threads=n, seed=5) for n in (1, threads)]
    costs = [[network.step(x, labels) for _ in range(5)] for network in networks]
    assert costs[0] == costs[1] and same_state(*networks)
    assert same_bits(*(network.predict(x) for network in networks))
