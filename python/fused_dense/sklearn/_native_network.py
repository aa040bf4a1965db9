"""Makes native networks for the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fused_dense import Adam, Network, Sgd

from ._data import Matrix
from ._initial import Parameters

_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


# Rows of a sparse matrix that are dense at the same time.
_DENSE_ROWS = 1024


class Head(NamedTuple):
    """The end of a network: the last layer's function and the cost, by their native names, and scikit-learn's."""

    activation: str
    cost: str
    name: str


SOFTMAX = Head("identity", "softmax_cross_entropy", "softmax")
LOGISTIC = Head("sigmoid", "binary_cross_entropy", "logistic")
IDENTITY = Head("identity", "quadratic", "identity")
# The native side has this loss beside the costs of networks: the last layer gives the logarithm.
EXPONENTIAL = Head("identity", "quadratic", "exp")


def new_network(
    units: Sequence[int], hidden: str, head: Head, parameters: Parameters, **settings: Any
) -> Network:
    """A network with these units in each layer, inputs first, and these parameters."""
    functions = [_ACTIVATIONS[hidden]] * (len(units) - 2) + [head.activation]
    layers = list(zip(units[1:], functions))
    network = Network(units[0], layers, cost=head.cost, init="zeros", **settings)
    network.set_parameters(parameters)
    return network


def remade(network: Network, *, threads: int, max_batch: int, optimizer: Adam | Sgd | None = None) -> Network:
    """The same network with other resources; with another optimiser it begins with the state of none."""
    copy = Network(
        network.inputs,
        network.layers,
        cost=network.cost,
        init="zeros",
        optimizer=optimizer or network.optimizer,
        threads=threads,
        max_batch=max_batch,
    )
    if optimizer is None:
        copy.load_state_dict(network.state_dict())
    else:
        copy.set_parameters(network.parameters())
    return copy


def native_loss(loss: str) -> str:
    """The native name of an estimator's loss: one of its own, or the network's cost."""
    return "poisson" if loss == "poisson" else "cost"


def outputs_of(network: Network, rows: Matrix, *, double: bool) -> NDArray[Any]:
    """Outputs for checked rows in float32: in double precision, or in single."""
    if not sparse.issparse(rows):
        outputs = network._predict_rows(rows, double)
        if outputs is None:
            # Scikit-learn was told to assume otherwise.
            raise ValueError("Input X contains NaN or infinity.")
        return outputs
    outputs = np.empty((rows.shape[0], network.outputs), dtype=np.float64 if double else np.float32)
    for start in range(0, rows.shape[0], _DENSE_ROWS):
        some = slice(start, start + _DENSE_ROWS)
        outputs[some] = outputs_of(network, rows[some].toarray(), double=double)
    return outputs
