"""The course of training by batches: epochs, their order of samples, and when to stop."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from ._data import Matrix, native_rows
from ._native_network import native_loss
from ._progress import Silent, progress

# Samples of a batch, where `batch_size` is 'auto'.
AUTO_BATCH = 200

_CACHED_SAMPLES = 4096

Order = NDArray[np.intp]


def batch_of(batch_size: Any, samples: int) -> int:
    """Samples of a batch, with scikit-learn's warning where there are not as many."""
    if isinstance(batch_size, str):
        return min(AUTO_BATCH, samples)
    if batch_size > samples:
        warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    return min(int(batch_size), samples)


@lru_cache(maxsize=8)
def _order_of_seed(seed: int, samples: int) -> Order:
    order = np.random.RandomState(seed).permutation(samples)
    order.flags.writeable = False
    return order


def first_order(random_state: Any, samples: int) -> Order:
    """The order of the first epoch; of a small number of samples and a seed it is the same each time, and kept."""
    if type(random_state) is int and samples <= _CACHED_SAMPLES:
        return _order_of_seed(random_state, samples)
    return check_random_state(random_state).permutation(samples)


class Training:
    """The samples to train with, and those set aside to score."""

    def __init__(self, X: Matrix, targets: NDArray[Any], weights: NDArray[np.float32] | None) -> None:
        self.X = X
        self.targets = targets
        self.weights = weights
        self.samples = X.shape[0]

    def split(self, share: float, random: np.random.RandomState, stratify: Any) -> tuple[Training, Training]:
        """The samples to train with and those set aside, as scikit-learn chooses them."""
        if stratify is not None:
            # Scikit-learn's message names the classes as text.
            stratify = stratify.astype(str)
        parts = train_test_split(np.arange(self.samples), random_state=random, test_size=share, stratify=stratify)
        if len(parts[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        train, aside = (self._take(rows) for rows in parts)
        return train, aside

    def _take(self, rows: Order) -> Training:
        weights = None if self.weights is None else self.weights[rows]
        return Training(self.X[rows], self.targets[rows], weights)


class Course:
    """Epochs of one call of `fit`, written down in the estimator's attributes as they end."""

    def __init__(self, estimator: Any, train: Training, aside: Training | None, *, is_single: bool) -> None:
        self._estimator = estimator
        self._train = train
        self._aside = aside
        self._is_single = is_single
        self._order: Order = np.arange(train.samples, dtype=np.intp)
        self._progress: Silent = progress(estimator.verbose, 1 if is_single else estimator.max_iter)

    def run(self, batch: int, random: np.random.RandomState) -> None:
        """Trains until a rule stops it, or the user does."""
        estimator, train = self._estimator, self._train
        self._random = random
        estimator.n_iter_ = 0
        try:
            is_done = estimator._network._train(
                native_rows(train.X),
                train.targets,
                train.weights,
                batch,
                float(estimator.alpha),
                native_loss(estimator.loss),
                self._next_order,
            )
        except KeyboardInterrupt:
            is_done = False
        finally:
            self._progress.close()
        if not is_done:
            warnings.warn("Training interrupted by user.")

    def _next_order(self, loss: float | None) -> Order | None:
        if loss is not None and self._has_ended(loss):
            return None
        if self._estimator.shuffle:
            # Each epoch shuffles the order of the one before.
            self._order = self._order[self._random.permutation(self._train.samples)]
        return self._order

    def _has_ended(self, loss: float) -> bool:
        estimator = self._estimator
        note_loss(estimator, loss, self._train.samples)
        self._progress.epoch(estimator.n_iter_, loss)
        if self._aside is None:
            note_progress_of_loss(estimator, loss)
        else:
            self._validate(self._aside)
        if ends(estimator, self._progress) or self._is_single:
            return True
        if estimator.n_iter_ < estimator.max_iter:
            return False
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) "
            "reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
        )
        return True

    def _validate(self, aside: Training) -> None:
        """Scores the samples set aside, and keeps the parameters that score best."""
        estimator = self._estimator
        score = estimator._score_of(aside)
        self._progress.validation(score)
        estimator.validation_scores_.append(score)
        best = estimator.best_validation_score_
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if score < best + estimator.tol else 0
        if score > best:
            estimator.best_validation_score_ = score
            estimator._best_parameters = estimator._network.parameters()


def begin(estimator: Any, *, is_first: bool) -> None:
    """Sets the attributes of training by batches as they are before the first epoch.

    Training that goes on keeps them, where they are those of its rule of stopping. The parameters that scored best then
    count from here on: what an earlier call found has been trained further.
    """
    is_scored = bool(estimator.early_stopping)
    is_new = is_first or not hasattr(estimator, "loss_curve_")
    if is_new:
        estimator.loss_curve_ = []
    elif (estimator.validation_scores_ is not None) == is_scored:
        estimator._best_parameters = None
        return
    estimator._no_improvement_count = 0
    estimator.best_loss_ = None if is_scored else np.inf
    estimator.validation_scores_ = [] if is_scored else None
    estimator.best_validation_score_ = -np.inf if is_scored else None
    estimator._best_parameters = estimator._network.parameters() if is_scored else None


def note_loss(estimator: Any, loss: float, samples: int) -> None:
    """Writes down the loss of an epoch."""
    estimator.n_iter_ += 1
    estimator.loss_ = loss
    estimator.t_ += samples
    estimator.loss_curve_.append(loss)


def note_progress_of_loss(estimator: Any, loss: float) -> None:
    """Counts the epochs in which the loss did not improve."""
    best = estimator.best_loss_
    estimator._no_improvement_count = estimator._no_improvement_count + 1 if loss > best - estimator.tol else 0
    if loss < best:
        estimator.best_loss_ = loss


def ends(estimator: Any, progress: Silent) -> bool:
    """Whether training stops behind an epoch for lack of progress; sets the learning rate of the next one."""
    estimator._schedule.end_epoch(estimator._network, estimator.t_)
    if not estimator._no_improvement_count > estimator.n_iter_no_change:
        return False
    measure = "Validation score" if estimator.early_stopping else "Training loss"
    reason = (
        f"{measure} did not improve more than tol={estimator.tol:f}"
        f" for {estimator.n_iter_no_change} consecutive epochs."
    )
    if estimator._schedule.stops(estimator._network, reason, progress):
        return True
    estimator._no_improvement_count = 0
    return False
