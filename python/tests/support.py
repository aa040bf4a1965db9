"""Parts that the tests of the network have in common. Its fixtures are imported where they are used."""

from __future__ import annotations

import numpy as np
import pytest

import fused_dense


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def make():
    """A small network, with any of its settings changed."""

    def make(layers=((5, "tanh"), (3, "identity")), inputs=4, **settings):
        settings.setdefault("cost", "softmax_cross_entropy")
        settings.setdefault("max_batch", 64)
        return fused_dense.Network(inputs, layers, **settings)

    return make


def same_bits(one, other):
    """Whether two arrays have the same type, shape and bits."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def same_state(one, other):
    """Whether two networks have the same parameters, optimiser's arrays and counters, to the bit."""
    one, other = one.state_dict(), other.state_dict()
    return list(one) == list(other) and all(same_bits(one[name], other[name]) for name in one)
