"""Training by SciPy's L-BFGS-B over gradients of the whole data."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.utils.optimize import _check_optimize_result

from ._course import Training
from ._data import native_rows
from ._native_network import native_loss
from ._progress import Bar, progress

# From this version on SciPy prints nothing, and warns of the option.
_SILENT_SCIPY = (1, 15)


def train_by_lbfgs(estimator: Any, train: Training) -> None:
    """Trains on the whole data, from the network's parameters on."""
    network = estimator._network
    rows, alpha, loss = native_rows(train.X), float(estimator.alpha), native_loss(estimator.loss)

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return network._loss_and_gradient(rows, train.targets, train.weights, alpha, flat, loss)

    reports = progress(estimator.verbose, estimator.max_iter)
    try:
        result = minimize(
            objective,
            _packed(network.parameters()),
            method="L-BFGS-B",
            jac=True,
            callback=_report(reports) if isinstance(reports, Bar) else None,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
                **_printing(estimator.verbose),
            },
        )
    finally:
        reports.close()
    estimator.n_iter_ = _check_optimize_result("lbfgs", result, estimator.max_iter)
    estimator.loss_ = float(result.fun)
    # The last evaluation need not have been the best.
    objective(result.x)


def _packed(parameters: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> NDArray[np.float64]:
    """All parameters as one vector: weights as inputs × outputs first, then biases."""
    weights = [w.T.ravel() for w, _ in parameters]
    return np.concatenate(weights + [b for _, b in parameters], dtype=np.float64)


def _printing(verbose: bool | int) -> dict[str, int]:
    version = tuple(int(part) for part in scipy.__version__.split(".")[:2])
    return {} if version >= _SILENT_SCIPY else {"iprint": 1 if verbose else -1}


def _report(reports: Bar) -> Any:
    iterations = 0

    def report(intermediate_result: Any) -> None:
        nonlocal iterations
        iterations += 1
        reports.epoch(iterations, float(intermediate_result.fun))

    return report
