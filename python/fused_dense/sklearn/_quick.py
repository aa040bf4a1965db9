"""The quick way through `partial_fit`: for small arrays, where nothing but the data has changed since the last call."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter, is_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._course import AUTO_BATCH, ends, first_order, note_loss, note_progress_of_loss
from ._progress import Silent

# Beyond this the checks of the slow way cost next to nothing, and it can be interrupted.
_MOST_SAMPLES = 4096

_SILENT = Silent()


@lru_cache(maxsize=None)
def _getter(kind: Any) -> attrgetter[Any]:
    return attrgetter(*kind._get_param_names())


def _settings(estimator: Any) -> tuple[Any, ...]:
    kind: Any = type(estimator)
    return _getter(kind)(estimator)


def note_settings(estimator: Any) -> None:
    """Remembers the settings of a call that checked them, if the quick way serves them."""
    is_quick = (
        "_schedule" in estimator.__dict__
        and not estimator.verbose
        and not estimator.early_stopping
        and not estimator.warm_start
        and not hasattr(estimator, "feature_names_in_")
        and estimator._is_quick()
    )
    estimator._seen = _settings(estimator) if is_quick else None


def serves(estimator: Any, X: Any) -> bool:
    """Whether the quick way may be taken: the settings are those that were checked, and `X` is a plain matrix."""
    seen = estimator.__dict__.get("_seen")
    return (
        seen is not None
        and type(X) is np.ndarray
        and X.ndim == 2
        and 0 < X.shape[0] <= _MOST_SAMPLES
        and all(map(is_, seen, _settings(estimator)))
    )


def quick_epoch(estimator: Any, X: NDArray[Any], targets: NDArray[Any]) -> bool:
    """Trains for one epoch, and returns whether it did.

    Where it does not, nothing has changed, and the slow way says what is wrong with the data.
    """
    samples, batch_size = X.shape[0], estimator.batch_size
    batch = min(AUTO_BATCH, samples) if batch_size == "auto" else batch_size
    network = estimator._ready_network()
    if batch > samples or batch > network.max_batch:
        return False
    order = first_order(estimator.random_state, samples) if estimator.shuffle else np.arange(samples)
    loss = network._epoch(X, targets, batch, float(estimator.alpha), order)
    if loss is None:
        return False
    estimator._forget_views()
    estimator.n_iter_ = 0
    note_loss(estimator, loss, samples)
    note_progress_of_loss(estimator, loss)
    ends(estimator, _SILENT)
    return True
