"""Initial weights: those that scikit-learn draws from the same random state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Parameters = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def initial_parameters(units: Sequence[int], activation: str, random: np.random.RandomState) -> Parameters:
    """Weights (outputs × inputs) and biases of each layer, uniform within Glorot's bound."""
    factor = 2.0 if activation == "logistic" else 6.0
    parameters = []
    for inputs, outputs in zip(units, units[1:]):
        bound = np.sqrt(factor / (inputs + outputs))
        weights = random.uniform(-bound, bound, (inputs, outputs))
        biases = random.uniform(-bound, bound, outputs)
        parameters.append((weights.T.astype(np.float32), biases.astype(np.float32)))
    return parameters
