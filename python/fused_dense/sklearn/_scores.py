"""Scores of the samples set aside: scikit-learn's, without its checks of data that has been checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from typing import Any


def share_of(hits: NDArray[np.bool_], weights: NDArray[Any] | None) -> float:
    """Weighted share of the samples that are hits: the accuracy."""
    return float(np.average(hits, weights=weights))


def r2(y: NDArray[Any], predicted: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """Coefficient of determination `1 - sum(s (y - p)²) / sum(s (y - mean)²)`, averaged over the outputs.

    An output that does not vary counts 1 where it is predicted exactly, else 0. NaN where a prediction is not finite.
    """
    if not np.isfinite(predicted).all():
        return float("nan")
    y, predicted = (values.reshape(len(values), -1).astype(np.float64) for values in (y, predicted))
    if len(y) < 2:
        return float("nan")
    s = np.ones(len(y)) if weights is None else weights.astype(np.float64)
    mean = np.average(y, axis=0, weights=s)
    missed = s @ (y - predicted) ** 2
    spread = s @ (y - mean) ** 2
    scores = np.where(missed == 0, 1.0, 0.0)
    varies = spread != 0
    scores[varies] = 1 - missed[varies] / spread[varies]
    return float(scores.mean())
