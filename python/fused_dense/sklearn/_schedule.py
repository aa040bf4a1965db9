"""The optimiser of batches, and how its learning rate changes from epoch to epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fused_dense import Adam, Sgd

from ._progress import Silent

_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))

# Below this the rate of 'adaptive' is not divided any more.
_LEAST_RATE = 1e-6


class Schedule:
    """The settings of an optimiser as they were when it was made, and its learning rate of now.

    Calls of `partial_fit` go on with them, as scikit-learn's do, whatever the estimator's parameters are by then.
    """

    def __init__(self, estimator: Any) -> None:
        self.is_sgd = estimator.solver == "sgd"
        self.kind = estimator.learning_rate if self.is_sgd else "constant"
        self.initial = float(estimator.learning_rate_init)
        self.rate = self.initial
        self.power = float(estimator.power_t)
        self.momentum = float(estimator.momentum)
        self.is_nesterov = bool(estimator.nesterovs_momentum)
        self.betas = (float(estimator.beta_1), float(estimator.beta_2))
        self.epsilon = float(estimator.epsilon)

    def optimizer(self) -> Adam | Sgd:
        """The native optimiser. Settings that float32 would round to what they must not be stop short of it."""
        rate = min(self.rate, _LARGEST)
        if self.is_sgd:
            # Without momentum, Nesterov's rule is the plain one.
            return Sgd(rate, momentum=self.momentum, nesterov=self.is_nesterov and self.momentum > 0)
        beta1, beta2 = (min(beta, _BELOW_ONE) for beta in self.betas)
        epsilon = min(max(self.epsilon, _SMALLEST), _LARGEST)
        return Adam(rate, betas=(beta1, beta2), epsilon=epsilon)

    def end_epoch(self, network: Any, samples: int) -> None:
        """The rate after an epoch, when training has gone through so many samples."""
        if self.kind == "invscaling":
            self._set_rate(network, self.initial / (samples + 1) ** self.power)

    def stops(self, network: Any, reason: str, progress: Silent) -> bool:
        """Whether lack of progress ends training; the rate of 'adaptive' falls first."""
        if self.kind != "adaptive":
            progress.message(f"{reason} Stopping.")
            return True
        if self.rate <= _LEAST_RATE:
            progress.message(f"{reason} Learning rate too small. Stopping.")
            return True
        self._set_rate(network, self.rate / 5)
        progress.message(f"{reason} Setting learning rate to {self.rate:f}")
        return False

    def _set_rate(self, network: Any, rate: float) -> None:
        self.rate = rate
        network._set_sgd(min(rate, _LARGEST), self.momentum, self.is_nesterov and self.momentum > 0)
