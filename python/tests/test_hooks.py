"""The hooks that the estimators use, against scikit-learn's own formulas in numpy's double precision."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from support import rng, same_bits, same_state

from fused_dense import Adam, DivergenceError, Network, Sgd

KINDS = {
    "classes": ([(6, "tanh"), (3, "identity")], "softmax_cross_entropy"),
    "two classes": ([(6, "tanh"), (1, "sigmoid")], "binary_cross_entropy"),
    "labels": ([(6, "tanh"), (3, "sigmoid")], "binary_cross_entropy"),
    "values": ([(6, "tanh"), (2, "identity")], "quadratic"),
    "counts": ([(6, "tanh"), (2, "identity")], "quadratic"),
}


def problem(kind, rng, samples=50):
    x = rng.standard_normal((samples, 4)).astype(np.float32)
    y = {
        "classes": lambda: rng.integers(0, 3, samples),
        "two classes": lambda: rng.integers(0, 2, samples),
        "labels": lambda: rng.integers(0, 2, (samples, 3)).astype(np.float32),
        "values": lambda: rng.standard_normal((samples, 2)).astype(np.float32),
        "counts": lambda: rng.poisson(2.0, (samples, 2)).astype(np.float32),
    }[kind]()
    return x, y


def loss_and_gradients(kind, parameters, x, y, s, alpha):
    """scikit-learn's loss of a batch, and its gradients."""
    layers, cost = KINDS[kind]
    activations = [activation for _, activation in layers]
    total = len(x) if s is None else float(np.sum(s, dtype=float))
    if kind == "counts":
        value, gradients = poisson(parameters, x, y, s)
    else:
        value, gradients = reference.cost_and_gradients(parameters, activations, cost, x, y, s)
        if kind == "values":
            value /= 2
    squares = sum((np.asarray(w, float) ** 2).sum() for w, _ in parameters)
    gradients = [(d_w + alpha * np.asarray(w, float) / total, d_b) for (w, _), (d_w, d_b) in zip(parameters, gradients)]
    return value + 0.5 * alpha * squares / total, gradients


def poisson(parameters, x, y, s):
    (w1, b1), (w2, b2) = [(np.asarray(w, float), np.asarray(b, float)) for w, b in parameters]
    a = np.tanh(x @ w1.T + b1)
    mean = np.exp(a @ w2.T + b2)
    s = np.ones(len(x)) if s is None else np.asarray(s, float)
    s = (s / s.sum())[:, None]
    y = y.astype(float)
    value = (s * (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mean), 0) - y + mean)).sum()
    d_z = s * (mean - y)
    below = (d_z @ w2) * (1 - a**2)
    return value, [(below.T @ x, below.sum(axis=0)), (d_z.T @ a, d_z.sum(axis=0))]


class Solver:
    """scikit-learn's optimisers."""

    def __init__(self, parameters, optimizer):
        self.parameters = [np.asarray(p, float) for pair in parameters for p in pair]
        self.optimizer, self.t = optimizer, 0
        self.first = [np.zeros_like(p) for p in self.parameters]
        self.second = [np.zeros_like(p) for p in self.parameters]

    def pairs(self):
        return list(zip(self.parameters[::2], self.parameters[1::2]))

    def step(self, gradients):
        self.t += 1
        rate = self.optimizer.learning_rate
        for i, gradient in enumerate(g for pair in gradients for g in pair):
            if isinstance(self.optimizer, Adam):
                beta1, beta2 = self.optimizer.betas
                self.first[i] = beta1 * self.first[i] + (1 - beta1) * gradient
                self.second[i] = beta2 * self.second[i] + (1 - beta2) * gradient**2
                scaled = rate * np.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
                self.parameters[i] -= scaled * self.first[i] / (np.sqrt(self.second[i]) + self.optimizer.epsilon)
            else:
                self.first[i] = self.optimizer.momentum * self.first[i] - rate * gradient
                update = self.first[i]
                if self.optimizer.nesterov:
                    update = self.optimizer.momentum * update - rate * gradient
                self.parameters[i] += update


def follow(kind, optimizer, x, y, s, alpha, orders, batch):
    """The losses of epochs in these orders, and the solver at their end."""
    solver = Solver(start(kind, optimizer).parameters(), optimizer)
    losses = []
    for order in orders:
        total = 0.0
        for i in range(0, len(order), batch):
            rows = order[i : i + batch]
            of_batch = None if s is None else s[rows]
            loss, gradients = loss_and_gradients(kind, solver.pairs(), x[rows], y[rows], of_batch, alpha)
            total += loss * len(rows)
            solver.step(gradients)
        losses.append(total / len(order))
    return losses, solver


def start(kind, optimizer, **settings):
    layers, cost = KINDS[kind]
    return Network(4, layers, cost=cost, optimizer=optimizer, seed=6, **settings)


def train(network, kind, x, y, s, alpha, orders, batch):
    losses, given = [], iter([*orders, None])

    def next_order(loss):
        losses.append(loss)
        return next(given)

    loss = "poisson" if kind == "counts" else "cost"
    assert network._train(x, y, s, batch, alpha, loss, next_order) is True
    assert losses.pop(0) is None
    return losses


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "optimizer",
    [Sgd(0.1), Sgd(0.05, momentum=0.9), Sgd(0.05, momentum=0.9, nesterov=True), Adam(0.01), Adam(0.01, epsilon=0.1)],
    ids=repr,
)
@pytest.mark.parametrize("kind", KINDS)
def test_training_follows_scikit_learn(rng, kind, optimizer, weighted, alpha):
    x, y = problem(kind, rng)
    s = rng.random(50).astype(np.float32) if weighted else None
    orders = [rng.permutation(50) for _ in range(4)]
    network = start(kind, optimizer)
    losses = train(network, kind, x, y, s, alpha, orders, 12)
    expected, solver = follow(kind, optimizer, x, y, s, alpha, orders, 12)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for pair, exact in zip(network.parameters(), solver.pairs()):
        for found, value in zip(pair, exact):
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=2e-4)
    assert network.steps == solver.t == 4 * 5
    assert network.optimizer == optimizer, "the settings of single steps do not show"


def test_an_order_may_leave_samples_out_and_repeat_others(rng):
    x, y = problem("classes", rng)
    network, other = start("classes", Adam()), start("classes", Adam())
    order = np.array([3, 3, 7, 1], np.intp)
    losses = train(network, "classes", x, y, None, 0.1, [order], 3)
    assert losses == train(other, "classes", x[order], y[order], None, 0.1, [np.arange(4)], 3)
    assert same_state(network, other)
    assert train(network, "classes", x, y, None, 0.1, [np.zeros(0, np.intp)], 3) == [0.0]


def test_the_penalty_of_long_epochs_is_sampled(rng):
    x, y = problem("values", rng, 1000)
    network = start("values", Sgd(1e-4))
    orders = [np.arange(1000)]
    losses = train(network, "values", x, y, None, 1.0, orders, 2)
    expected, _ = follow("values", Sgd(1e-4), x, y, None, 1.0, orders, 2)
    assert losses == pytest.approx(expected, rel=1e-3) and losses != pytest.approx(expected, rel=1e-9)


def csr(x, dtype):
    """The parts of a sparse matrix, as scipy has them."""
    columns = [np.flatnonzero(row) for row in x]
    starts = np.cumsum([0, *map(len, columns)]).astype(dtype)
    return x[x != 0], np.concatenate(columns).astype(dtype), starts, x.shape


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_sparse_rows_train_as_dense_ones(rng, dtype):
    x, y = problem("classes", rng)
    x[rng.random(x.shape) < 0.6] = 0
    x[3] = 0
    orders = [rng.permutation(50) for _ in range(3)]
    dense, sparse = start("classes", Adam()), start("classes", Adam())
    losses = [train(dense, "classes", x, y, None, 0.1, orders, 7)]
    losses.append(train(sparse, "classes", csr(x, dtype), y, None, 0.1, orders, 7))
    assert losses[0] == losses[1] and same_state(dense, sparse)
    flat = np.concatenate([p.ravel() for pair in dense.parameters() for p in pair]).astype(float)
    found = [network._loss_and_gradient(given, y, None, 0.1, flat) for network, given in ((dense, x), (sparse, csr(x, dtype)))]
    assert found[0][0] == found[1][0] and same_bits(found[0][1], found[1][1])


def pack(pairs):
    """scikit-learn's order: weights as inputs × outputs, then the biases."""
    return np.concatenate([np.asarray(w, float).T.ravel() for w, _ in pairs] + [np.asarray(b, float) for _, b in pairs])


@pytest.mark.parametrize("max_batch", [7, 256, 600])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_are_those_of_all_samples(rng, kind, weighted, max_batch):
    x, y = problem(kind, rng, 700)
    s = rng.random(700).astype(np.float32) if weighted else None
    network = start(kind, Sgd(0.1), max_batch=max_batch)
    parameters = [(w + 0.1, b - 0.1) for w, b in start(kind, Sgd(0.1)).parameters()]
    loss = "poisson" if kind == "counts" else "cost"
    for _ in range(2):
        found, gradient = network._loss_and_gradient(x, y, s, 0.5, pack(parameters), loss)
        expected, exact = loss_and_gradients(kind, parameters, x, y, s, 0.5)
        assert found == pytest.approx(expected, rel=1e-5)
        assert gradient.dtype == np.float64
        np.testing.assert_allclose(gradient, pack(exact), rtol=1e-3, atol=1e-5)
    assert all(same_bits(a, b) for p, q in zip(network.parameters(), parameters) for a, b in zip(p, q))
    assert network.steps == 0


def test_a_learning_rate_scales_the_velocity(rng):
    x, y = problem("classes", rng)
    optimizer = Sgd(0.1, momentum=0.9, nesterov=True)
    network = start("classes", optimizer)
    rows = [np.arange(0, 25), np.arange(25, 50)]
    solver = Solver(network.parameters(), optimizer)
    for rate, batch in ((0.1, rows[0]), (0.02, rows[1]), (0.004, rows[0])):
        network._set_sgd(rate, 0.9, True)
        solver.optimizer = Sgd(rate, momentum=0.9, nesterov=True)
        network.step(x[batch], y[batch])
        solver.step(loss_and_gradients("classes", solver.pairs(), x[batch], y[batch], None, 0.0)[1])
    for pair, exact in zip(network.parameters(), solver.pairs()):
        np.testing.assert_allclose(pair[0], exact[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="learning_rate"):
        network._set_sgd(-0.1, 0.9, True)
    with pytest.raises(ValueError, match="state arrays"):
        network._set_sgd(0.1, 0.0, False)
    plain = start("classes", Sgd(0.1))
    plain._set_sgd(0.2, 0.0, True)
    assert plain.optimizer == Sgd(0.2)


@pytest.mark.parametrize("optimizer", [Adam(0.5), Sgd(0.5), Sgd(0.5, momentum=0.5)], ids=repr)
def test_a_restart_keeps_the_parameters_alone(rng, optimizer):
    x, y = problem("classes", rng)
    network = start("classes", Adam())
    network.step(x, y)
    parameters = network.parameters()
    network._restart(optimizer)
    fresh = start("classes", optimizer)
    fresh.set_parameters(parameters)
    assert same_state(network, fresh) and network.steps == 0 and network.optimizer == optimizer
    assert network.step(x, y) == fresh.step(x, y) and same_state(network, fresh)


def test_a_snapshot_is_gone_back_to(rng):
    x, y = problem("classes", rng)
    network = start("classes", Adam())
    parameters, snapshot = network.parameters(), network._snapshot()
    network.step(x, y)
    state = network.state_dict()
    network._restore(snapshot)
    assert all(same_bits(a, b) for p, q in zip(network.parameters(), parameters) for a, b in zip(p, q))
    after = network.state_dict()
    assert all(same_bits(after[name], state[name]) for name in state if name.startswith("training."))
    with pytest.raises(ValueError, match="snapshot: expected one of a network with these layers"):
        start("labels", Adam())._restore(network._snapshot()) or start("values", Adam())._restore(snapshot)
    with pytest.raises(TypeError):
        network._restore(parameters)


@pytest.mark.parametrize("samples", [1, 700])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_rows_are_predicted_in_their_type_or_another(rng, kind, dtype, samples):
    network = start(kind, Adam())
    x = rng.standard_normal((samples, 4)).astype(dtype)
    expected = network.predict_proba(x.astype(np.float32))
    for given in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x[::-1].copy()[::-1], x.astype(x.dtype.newbyteorder())):
        single, double = network._predict_rows(given, False), network._predict_rows(given, True)
        assert same_bits(single, expected) and double.dtype == np.float64
        np.testing.assert_allclose(double, expected, rtol=1e-5)
        assert same_bits(network._predict_rows(given), double if dtype == np.float64 else single)
    if kind == "classes":
        np.testing.assert_allclose(double.sum(axis=1), 1, rtol=1e-15)
    for wrong in (np.nan, np.inf, -np.inf):
        bad = x.copy()
        bad[-1, 2] = wrong
        assert network._predict_rows(bad) is None
        assert network._predict_rows(np.asfortranarray(bad)) is None
    for other in (x[:0], x.astype(np.float16), x[:, :3], x.ravel(), x.tolist(), None, x.astype(object)):
        assert network._predict_rows(other) is None


def test_doubles_beyond_single_precision_are_left_to_others():
    assert start("classes", Adam())._predict_rows(np.full((1, 4), 1e300)) is None


X, Y = np.zeros((4, 4), np.float32), np.zeros(4, np.int64)


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"x": X.astype(np.float16)}, TypeError, "x: expected a numpy array of float32, found float16"),
        ({"x": np.ones((4, 3))}, ValueError, r"x: expected an array of shape \(samples, 4\), found \(4, 3\)"),
        ({"x": np.full((4, 4), 1e39)}, ValueError, "expected a finite x"),
        ({"x": X[:, :3]}, ValueError, r"x: expected an array of shape \(samples, 4\), found \(4, 3\)"),
        ({"x": np.asfortranarray(np.ones((4, 4), np.float32))}, ValueError, "x: expected a C-contiguous array"),
        ({"x": X.reshape(2, 2, 4)}, ValueError, r"found one of shape \(2, 2, 4\)"),
        ({"x": np.full((4, 4), np.nan, np.float32)}, ValueError, "expected a finite x"),
        ({"x": (X[0], Y, Y)}, ValueError, "tuple"),
        ({"targets": Y.astype(float)}, TypeError, "targets: .*found float64"),
        ({"targets": Y[:3]}, ValueError, "targets: expected classes of shape"),
        ({"targets": Y + 3}, ValueError, "expected a class from 0 and below 3 for sample 0, found 3"),
        ({"sample_weight": np.ones(4)}, TypeError, "sample_weight: .*found float64"),
        ({"batch": 0}, ValueError, "batch: expected an integer from 1 on"),
        ({"batch": 257}, ValueError, "batch: expected at most max_batch"),
        ({"alpha": -1.0}, ValueError, "alpha: expected a finite number from 0 on, found -1"),
        ({"alpha": float("nan")}, ValueError, "alpha: expected a finite number from 0 on, found NaN"),
        ({"loss": "hinge"}, ValueError, 'loss: expected cost or poisson, found "hinge"'),
        ({"loss": "poisson"}, TypeError, "targets: expected float32 for this loss, found classes"),
        ({"next_order": lambda loss: np.array([4])}, ValueError, "order: expected samples from 0 and below 4, found 4"),
        ({"next_order": lambda loss: np.array([-1])}, ValueError, "order: expected samples from 0 and below 4, found -1"),
        ({"next_order": lambda loss: np.zeros(4)}, TypeError, "order: expected a numpy array of int64, found float64"),
        ({"next_order": lambda loss: [0, 1]}, TypeError, "order: expected a numpy array of int64, found list"),
        ({"next_order": lambda loss: 1 / 0}, ZeroDivisionError, "division"),
        ({"next_order": None}, TypeError, "not callable"),
    ],
)
def test_data_that_do_not_fit_are_refused(change, error, text):
    network = start("classes", Adam())
    arguments = {"x": X, "targets": Y, "sample_weight": None, "batch": 2, "alpha": 0.0, "loss": "cost"}
    # A second epoch would be an error overlooked, and no third one shall come.
    orders = iter([np.arange(4), np.arange(4)])
    arguments["next_order"] = lambda loss: next(orders, None)
    with pytest.raises(error, match=text):
        network._train(**{**arguments, **change})
    assert same_state(network, start("classes", Adam()))


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda d, i, p, s: (d, i, p, (4, 5)), "x: expected 4 columns, found 5"),
        (lambda d, i, p, s: (d, i + 4, p, s), "columns: expected a column below the number of inputs"),
        (lambda d, i, p, s: (d, i - 1, p, s), "columns: expected a column below the number of inputs"),
        (lambda d, i, p, s: (d, i[1:], p, s), "columns: expected 4 elements, found 3"),
        (lambda d, i, p, s: (d, i, p[1:], s), r"x.indptr: expected 4 \+ 1 starts of rows, found 4"),
        (lambda d, i, p, s: (d, i, p[::-1], s), "row starts"),
        (lambda d, i, p, s: (d, i, p * 2, s), "row starts"),
    ],
)
def test_sparse_rows_that_do_not_fit_are_refused(change, text):
    network = start("classes", Adam())
    parts = (np.ones(4, np.float32), np.zeros(4, np.int32), np.arange(5, dtype=np.int32), (4, 4))
    with pytest.raises(ValueError, match=text):
        network._train(change(*parts), Y, None, 2, 0.0, "cost", lambda loss: np.arange(4))
    assert network.steps == 0


def test_sparse_rows_that_change_meanwhile_harm_nobody(rng):
    x, y = problem("classes", rng)
    parts, orders = csr(x, np.int32), [np.arange(50), np.arange(50)]
    expected = start("classes", Adam())
    losses = train(expected, "classes", x, y.copy(), None, 0.0, orders, 10)
    network, found, given = start("classes", Adam()), [], iter([*orders, None])

    def next_order(loss):
        found.append(loss)
        for array in (*parts[1:3], y):
            array[...] = 10**6
        return next(given)

    assert network._train(parts, y, None, 10, 0.0, "cost", next_order)
    assert found[1:] == losses and same_state(network, expected)


def test_divergence_is_an_error_of_its_own(rng):
    x, y = problem("values", rng)
    network = start("values", Sgd(1e30))
    with pytest.raises(DivergenceError):
        train(network, "values", x, y, None, 0.0, [np.arange(50)] * 5, 10)
    assert all(np.isfinite(w).all() for w, _ in network.parameters())
    assert network.optimizer == Sgd(1e30)


def test_samples_that_weigh_nothing_teach_nothing(rng):
    x, y = problem("classes", rng)
    s = np.ones(50, np.float32)
    s[:10] = 0
    network, other = start("classes", Adam()), start("classes", Adam())
    losses = train(network, "classes", x, y, s, 0.1, [np.arange(50)], 10)
    expected = train(other, "classes", x, y, s, 0.1, [np.arange(10, 50)], 10)
    assert network.steps == 4 and same_state(network, other)
    assert losses[0] == pytest.approx(expected[0] * 40 / 50)


def test_the_callback_may_use_the_network(rng):
    x, y = problem("classes", rng)
    network, accuracies = start("classes", Adam(0.05)), []

    def next_order(loss):
        accuracies.append(network.evaluate(x, y).accuracy)
        return np.arange(50) if len(accuracies) < 60 else None

    network._train(x, y, None, 10, 0.0, "cost", next_order)
    assert accuracies[-1] > accuracies[0]


def test_an_interrupt_in_the_callback_is_reported(rng):
    x, y = problem("classes", rng)

    def next_order(loss):
        raise KeyboardInterrupt

    assert start("classes", Adam())._train(x, y, None, 10, 0.0, "cost", next_order) is False
