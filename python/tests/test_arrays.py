"""Arrays of every kind of memory, and those that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from support import make, rng, same_bits, same_state

LABELS = np.array([0, 2, 1, 1, 0, 2], np.int64)


@pytest.fixture
def x(rng):
    return rng.standard_normal((6, 4)).astype(np.float32)


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(np.float32).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned
    return view


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def wide(x, rows=1, cols=1):
    memory = np.full((x.shape[0] * rows, x.shape[1] * cols), np.nan, np.float32)
    memory[::rows, ::cols] = x
    return memory[::rows, ::cols]


MEMORY = {
    "Fortran's order": np.asfortranarray,
    "every other row": lambda x: wide(x, rows=2),
    "every third column": lambda x: wide(x, cols=3),
    "both": lambda x: wide(x, rows=3, cols=2),
    "transposed and strided": lambda x: wide(np.ascontiguousarray(x.T), rows=2, cols=2).T,
    "rows backwards": lambda x: x[::-1].copy()[::-1],
    "columns backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
    "read-only": read_only,
    "unaligned": unaligned,
    "swapped bytes": lambda x: x.astype(x.dtype.newbyteorder()),
    "a part of a structure": lambda x: np.rec.fromarrays([x, x * np.nan])["f0"],
    "a subclass": lambda x: x.view(np.matrix),
}


@pytest.mark.parametrize("memory", MEMORY)
def test_samples_come_from_any_memory(make, x, memory):
    same = MEMORY[memory](x)
    np.testing.assert_array_equal(same, x)
    expected, found = make(optimizer=0.1), make(optimizer=0.1)
    assert found.step(same, LABELS) == expected.step(x, LABELS)
    assert same_state(found, expected)
    for name in ("predict", "predict_proba", "predict_classes", "forward"):
        assert same_bits(getattr(found, name)(same), getattr(expected, name)(x))
    assert found.evaluate(same, LABELS) == expected.evaluate(x, LABELS)
    assert found.gradients(same, LABELS)[0] == expected.gradients(x, LABELS)[0]
    assert found.fit(same, LABELS, epochs=2, batch=4) == expected.fit(x, LABELS, epochs=2, batch=4)
    assert same_bits(found._predict_rows(same), expected._predict_rows(x))
    assert same_state(found, expected)


@pytest.mark.parametrize("memory", MEMORY)
def test_targets_weights_and_parameters_come_from_any_memory(make, x, rng, memory):
    y, s = rng.random((6, 3)).astype(np.float32), rng.random(6).astype(np.float32)
    settings = {"cost": "quadratic", "optimizer": 0.1}
    expected, found = make(**settings), make(**settings)
    weights = MEMORY[memory](s[:, None])[:, 0]
    if memory == "a subclass":
        weights = np.asarray(weights).ravel()
    assert found.step(x, MEMORY[memory](y), weights) == expected.step(x, y, s)
    assert same_state(found, expected)
    found.set_parameters([(MEMORY[memory](w), b) for w, b in make(seed=9).parameters()])
    expected.set_parameters(make(seed=9).parameters())
    assert same_state(found, expected)


def test_strided_labels_are_copied(make, x):
    expected, found = make(), make()
    strided = np.repeat(LABELS, 3)[::3]
    assert found.step(x, strided[::-1][::-1]) == expected.step(x, LABELS)


def test_repeated_rows_need_no_memory(make, x):
    network = make()
    broadcast = np.broadcast_to(x[0], (6, 4))
    assert broadcast.strides[0] == 0
    assert same_bits(network.predict(broadcast), network.predict(np.ascontiguousarray(broadcast)))


def test_leading_dimensions_are_rows(make, rng):
    network, same = make(optimizer=0.1), make(optimizer=0.1)
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    flat, labels = x.reshape(6, 4), LABELS.reshape(2, 3)
    assert network.predict(x).shape == (2, 3, 3)
    assert same_bits(network.predict(x).reshape(6, 3), network.predict(flat))
    assert network.predict_classes(x).shape == (2, 3)
    assert network.step(x, labels) == same.step(flat, LABELS)
    assert network.step(x, labels, np.ones((2, 3), np.float32)) == same.step(flat, LABELS, np.ones(6, np.float32))
    assert network.fit(x, labels, epochs=1) == same.fit(flat, LABELS, epochs=1)
    assert same_state(network, same)
    # One without a copy, though not contiguous.
    every_other = np.repeat(x, 2, axis=2)[..., ::2]
    assert same_bits(network.predict(every_other), network.predict(x))
    with pytest.raises(ValueError, match=r"x: expected leading dimensions that are one without a copy.*ascontiguousarray"):
        network.predict(np.concatenate([x, x], axis=1)[:, :3])
    with pytest.raises(ValueError, match=r"targets: expected classes of shape \(2, 3\), found the shape \(6,\)"):
        network.step(x, LABELS)


def test_out_is_filled_and_returned(make, x):
    network = make()
    for name in ("predict", "predict_proba", "forward"):
        out = np.full((6, 3), np.nan, np.float32)
        assert getattr(network, name)(x, out=out) is out
        assert same_bits(out, getattr(network, name)(x))


def test_out_may_share_memory_with_x(make, x):
    network = make(layers=[(4, "identity")], cost="quadratic")
    expected = network.predict(x)
    in_place = x.copy()
    network.predict(in_place, out=in_place)
    assert same_bits(in_place, expected)
    memory = np.zeros(40, np.float32)
    memory[:24] = x.ravel()
    network.predict(memory[:24].reshape(6, 4), out=memory[4:28].reshape(6, 4))
    assert same_bits(memory[4:28].reshape(6, 4), expected)


@pytest.mark.parametrize(
    "out, error, text",
    [
        (np.zeros((6, 3)), TypeError, "out: expected a numpy array of float32, found float64"),
        ([[0.0] * 3] * 6, TypeError, "out: expected a numpy array of float32, found list"),
        (np.zeros((6, 4), np.float32), ValueError, r"out: expected an array of shape \(6, 3\), found \(6, 4\)"),
        (np.zeros(18, np.float32), ValueError, r"out: expected an array of shape \(6, 3\), found \(18,\)"),
        (np.zeros((3, 6), np.float32).T, ValueError, "out: expected an aligned and C-contiguous array"),
        (np.zeros((6, 3), ">f4"), ValueError, "out: expected an aligned and C-contiguous array of native byte order"),
        (unaligned(np.zeros((6, 3), np.float32)), ValueError, "out: expected an aligned"),
        (read_only(np.zeros((6, 3), np.float32)), ValueError, "out: expected a writeable array, found a read-only one"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(make, x, out, error, text):
    before = np.array(out)
    with pytest.raises(error, match=text):
        make().predict(x, out=out)
    np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize(
    "wrong, error, text",
    [
        (np.zeros((6, 4)), TypeError, r"x: .*float32, found float64; convert it with x.astype\(numpy.float32\)"),
        (np.zeros((6, 4), np.float16), TypeError, "x: expected a numpy array of float32, found float16"),
        (np.zeros((6, 4), np.int64), TypeError, "x: expected a numpy array of float32, found int64"),
        (np.zeros((6, 4), bool), TypeError, "x: expected a numpy array of float32, found bool"),
        (np.zeros((6, 4), object), TypeError, "x: expected a numpy array of float32, found object"),
        (np.zeros((6, 4), "U3"), TypeError, "x: expected a numpy array of float32, found <U3"),
        (np.zeros((6, 4), np.complex64), TypeError, "x: expected a numpy array of float32, found complex64"),
        ([[0.0] * 4] * 6, TypeError, "x: expected a numpy array of float32, found list"),
        (None, TypeError, "x: expected a numpy array of float32, found NoneType"),
        (np.float32(1), TypeError, "x: expected a numpy array of float32, found float32"),
        (np.zeros((6, 5), np.float32), ValueError, r"x: expected an array of shape \(samples, 4\), found \(6, 5\)"),
        (np.zeros(4, np.float32), ValueError, r"found \(4,\); a single sample is x\[numpy.newaxis\]"),
        (np.zeros((), np.float32), ValueError, r"x: expected an array of shape \(samples, 4\), found \(\)"),
        (np.zeros((6, 0), np.float32), ValueError, r"found \(6, 0\)"),
    ],
)
def test_samples_that_do_not_fit_are_refused(make, wrong, error, text):
    network = make()
    for call in (
        lambda: network.step(wrong, LABELS),
        lambda: network.gradients(wrong, LABELS),
        lambda: network.evaluate(wrong, LABELS),
        lambda: network.fit(wrong, LABELS),
        lambda: network.predict(wrong),
        lambda: network.predict_proba(wrong),
        lambda: network.predict_classes(wrong),
        lambda: network.forward(wrong),
    ):
        with pytest.raises(error, match=text):
            call()
    assert network.steps == 0
    assert network._predict_rows(wrong) is None or np.shape(wrong) == (6, 4)


@pytest.mark.parametrize(
    "wrong, error, text",
    [
        (np.zeros((6, 3)), TypeError, "targets: expected a numpy array of float32 or of integers, found float64"),
        (np.zeros(6, bool), TypeError, "found bool; .*classes with targets.astype"),
        ([0] * 6, TypeError, "targets: expected a numpy array of float32 or of integers, found list"),
        (np.zeros(5, int), ValueError, r"targets: expected classes of shape \(6,\), found the shape \(5,\)"),
        (np.zeros((6, 1), int), ValueError, r"targets: expected classes of shape \(6,\), found the shape \(6, 1\)"),
        (np.full(6, 3), ValueError, "expected a class from 0 and below 3 for sample 0, found 3"),
        (np.array([0, 0, -1, 0, 0, 0]), ValueError, "expected a class from 0 and below 3 for sample 2, found -1"),
        (np.zeros((6, 2), np.float32), ValueError, r"targets: expected values of shape \(6, 3\), found the shape \(6, 2\)"),
        (np.zeros(6, np.float32), ValueError, r"targets: expected values of shape \(6, 3\), found the shape \(6,\)"),
        (np.zeros((6, 3), np.float32), ValueError, "expected probabilities with a sum of 1 for sample 0, found a sum of 0"),
        (np.full((6, 3), np.nan, np.float32), ValueError, "expected a probability from 0 to 1 at index 0, found NaN"),
    ],
)
def test_targets_that_do_not_fit_are_refused(make, x, wrong, error, text):
    network = make()
    for call in (network.step, network.gradients, network.evaluate, network.fit):
        with pytest.raises(error, match=text):
            call(x, wrong)
    assert network.steps == 0


@pytest.mark.parametrize(
    "wrong, error, text",
    [
        (np.ones(6), TypeError, "sample_weight: expected a numpy array of float32, found float64"),
        (np.ones(5, np.float32), ValueError, r"sample_weight: expected an array of shape \(6,\), found \(5,\)"),
        (-np.ones(6, np.float32), ValueError, "sample_weights: expected a finite value of at least 0"),
        (np.zeros(6, np.float32), ValueError, "sample_weights: expected a sum above 0"),
        (np.full(6, np.inf, np.float32), ValueError, "sample_weights: expected a finite value"),
    ],
)
def test_weights_that_do_not_fit_are_refused(make, x, wrong, error, text):
    network = make()
    for call in (network.step, network.gradients, network.evaluate):
        with pytest.raises(error, match=text):
            call(x, LABELS, wrong)
    with pytest.raises(error, match=text):
        network.fit(x, LABELS, sample_weight=wrong)
    assert network.steps == 0
