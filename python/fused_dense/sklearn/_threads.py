"""How many threads an estimator computes with."""

from __future__ import annotations

import joblib
from joblib.parallel import get_active_backend


def effective_threads(n_jobs: int | None) -> int:
    """The threads that `n_jobs` stands for here and now: one where the caller is a worker of joblib's already.

    An `n_jobs` of its own makes joblib start threads within workers too. Each worker has a core to itself, so that
    they would only get in each other's way.
    """
    if n_jobs == 1:
        return 1
    backend, _ = get_active_backend()
    if getattr(backend, "nesting_level", 0):
        return 1
    return int(joblib.effective_n_jobs(n_jobs))
