"""The training loop."""

from __future__ import annotations

import numpy as np
import pytest
from support import make, rng, same_bits, same_state

from fused_dense import Adam, DivergenceError, Epoch, Evaluation, History, Network


@pytest.fixture
def data(rng):
    x = rng.standard_normal((120, 4)).astype(np.float32)
    return x, (x[:, :3] + 0.3 * rng.standard_normal((120, 3))).argmax(axis=1)


def test_a_fit_is_steps_on_batches(make, data):
    x, labels = data
    network, by_hand = make(), make()
    history = network.fit(x, labels, epochs=3, batch=32, shuffle=False)
    for epoch in range(3):
        costs = [(by_hand.step(x[i : i + 32], labels[i : i + 32]), len(x[i : i + 32])) for i in range(0, 120, 32)]
        expected = sum(cost * samples for cost, samples in costs) / 120
        assert history.epochs[epoch].cost == pytest.approx(expected, rel=1e-12)
    assert network.steps == 12
    # The guard knows the size of all data in the one and of each batch in the other; the steps are the same.
    assert all(same_bits(a, b) for p, q in zip(network.parameters(), by_hand.parameters()) for a, b in zip(p, q))


def test_a_history_says_what_happened(make, data):
    history = make().fit(*data, epochs=4, validation=data)
    assert isinstance(history, History) and isinstance(history.epochs[0], Epoch)
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3, 4]
    assert isinstance(history.epochs[0].validation, Evaluation)
    costs = [epoch.validation.cost for epoch in history.epochs]
    assert history.best_epoch == 1 + int(np.argmin(costs)) and history.end == "all epochs"
    assert history.epochs[history.best_epoch - 1].is_best
    assert make().fit(*data, epochs=0) == History([], 0, "all epochs")


def test_shuffled_epochs_follow_from_the_seed(make, data):
    networks = [make(), make(), make()]
    histories = [network.fit(*data, epochs=3, batch=10, seed=seed) for network, seed in zip(networks, (1, 1, 2))]
    assert histories[0] == histories[1] != histories[2]
    assert same_state(*networks[:2]) and not same_state(*networks[1:])
    # The second of two fits goes on with the orders of the first.
    resumed = make()
    resumed.fit(*data, epochs=1, batch=10, seed=1)
    assert [epoch.number for epoch in resumed.fit(*data, epochs=2, batch=10, seed=1).epochs] == [2, 3]
    assert same_state(resumed, networks[0])


def test_training_goes_on_from_a_checkpoint(make, data, tmp_path):
    at_once, resumed = make(), make(seed=3)
    at_once.fit(*data, epochs=2, batch=16)
    at_once.save_checkpoint(tmp_path / "checkpoint")
    at_once.fit(*data, epochs=2, batch=16)
    resumed.load_checkpoint(tmp_path / "checkpoint")
    resumed.fit(*data, epochs=2, batch=16)
    assert same_state(resumed, at_once)


def test_a_share_is_held_out(make, data):
    x, labels = data
    network = make(optimizer=Adam(0.01))
    history = network.fit(x, labels, epochs=5, batch=16, validation=0.25, seed=7)
    assert network.steps == 5 * 6, "ninety samples are left"
    assert all(epoch.validation is not None and epoch.validation.accuracy is not None for epoch in history.epochs)
    # Samples that are held out teach nothing.
    poisoned = labels.copy()
    kept = [i for i in range(120) if changes(make, x, labels, i)]
    assert len(kept) == 90
    poisoned[[i for i in range(120) if i not in kept]] = 0
    other = make(optimizer=Adam(0.01))
    other.fit(x, poisoned, epochs=5, batch=16, validation=0.25, seed=7)
    assert same_state(other, network)


def changes(make, x, labels, sample):
    """Whether a sample takes part in training."""
    networks = [make(layers=[(3, "identity")]), make(layers=[(3, "identity")])]
    other = labels.copy()
    other[sample] = (other[sample] + 1) % 3
    for network, labels in zip(networks, (labels, other)):
        network.fit(x, labels, epochs=1, validation=0.25, seed=7)
    return not same_state(*networks)


def test_early_stopping_goes_back_to_the_best_epoch(make, data):
    network = make(optimizer=Adam(0.3))
    states = {}
    history = network.fit(
        *data,
        epochs=200,
        batch=8,
        validation=0.5,
        early_stopping=3,
        on_epoch=lambda epoch: states.update({epoch.number: network.state_dict()}),
    )
    assert history.end == "no improvement" and len(history.epochs) == history.best_epoch + 3
    found = network.state_dict()
    assert all(same_bits(found[name], value) for name, value in states[history.best_epoch].items())
    assert found["training.epochs"] == history.best_epoch


def test_an_improvement_has_to_be_large_enough(make, data):
    history = make().fit(*data, epochs=50, early_stopping=2, least_improvement=100.0)
    assert (history.best_epoch, len(history.epochs), history.end) == (1, 3, "no improvement")


def test_callbacks_may_use_the_network(make, data):
    network, seen = make(optimizer=0.5), []

    def on_epoch(epoch):
        seen.append((epoch.number, network.steps, network.learning_rate, network.predict(data[0][:1]).shape))
        return epoch.number == 3

    def rate(epoch):
        assert network.evaluate(*data).cost > 0
        return 0.5 / epoch

    history = network.fit(*data, epochs=10, batch=60, learning_rate=rate, on_epoch=on_epoch)
    assert history.end == "callback" and len(history.epochs) == 3
    assert [(number, steps) for number, steps, _, _ in seen] == [(1, 2), (2, 4), (3, 6)]
    assert [rate for _, _, rate, _ in seen] == [0.5, 0.25, pytest.approx(0.5 / 3)]


def test_exceptions_of_callbacks_end_the_training(make, data):
    network = make()
    with pytest.raises(ZeroDivisionError):
        network.fit(*data, on_epoch=lambda epoch: 1 / 0)
    assert network.steps == 2
    with pytest.raises(TypeError, match="on_epoch: expected it to return True, False or None, found go on"):
        network.fit(*data, on_epoch=lambda epoch: "go on")
    with pytest.raises(ValueError, match="expected learning_rate to be a finite number from 0 on"):
        network.fit(*data, learning_rate=lambda epoch: -1.0)
    with pytest.raises(TypeError):
        network.fit(*data, learning_rate=lambda epoch: None)


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"epochs": -1}, ValueError, "epochs: expected an integer from 0 on, found -1"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer, found float"),
        ({"batch": 0}, ValueError, "batch: expected an integer from 1 on, found 0"),
        ({"batch": 65}, ValueError, "batch: expected at most max_batch, which is 64, found 65"),
        ({"early_stopping": -1}, ValueError, "early_stopping"),
        ({"validation": 1.5}, ValueError, "validation: expected a share between 0 and 1, found 1.5"),
        ({"validation": 0}, ValueError, "validation: expected a share between 0 and 1, found 0"),
        ({"validation": "half"}, TypeError, r"validation: expected a pair \(x, targets\), a share .* found str"),
        ({"validation": (1, 2, 3)}, TypeError, "validation: expected a pair"),
        ({"validation": (np.zeros((2, 4)), np.zeros(2, int))}, TypeError, "validation x: .*found float64"),
        ({"validation": (np.zeros((2, 4), np.float32), np.full(2, 7))}, ValueError, "expected a class from 0 and below 3"),
        ({"on_epoch": 5}, TypeError, "not callable"),
    ],
)
def test_wrong_options_are_refused(make, data, options, error, text):
    network = make()
    with pytest.raises(error, match=text):
        network.fit(*data, **options)
    assert network.steps == 0 or "on_epoch" in options


def test_divergence_leaves_the_last_step_that_did_not(data):
    network = Network(4, [(8, "relu"), (3, "identity")], optimizer=1e20, max_batch=64)
    y = np.zeros((120, 3), np.float32)
    with pytest.raises(DivergenceError):
        network.fit(data[0], y, epochs=50)
    assert all(np.isfinite(w).all() and np.isfinite(b).all() for w, b in network.parameters())


def test_weights_of_samples_count(make, data):
    x, labels = data
    some = np.zeros(120, np.float32)
    some[:64] = 1
    network, expected = make(optimizer=0.1), make(optimizer=0.1)
    network.fit(x, labels, epochs=2, batch=64, shuffle=False, sample_weight=some)
    expected.fit(x[:64], labels[:64], epochs=2, batch=64, shuffle=False)
    assert network.steps == 2, "a batch whose samples weigh nothing is no step"
    for pair, other in zip(network.parameters(), expected.parameters()):
        np.testing.assert_allclose(pair[0], other[0], rtol=1e-5, atol=1e-6)
