"""Parts that both estimators have in common."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fused_dense import DivergenceError, Network

from ._course import Course, Training, batch_of, begin
from ._data import checked, checked_weights, checked_with_targets, weights_in_float32
from ._initial import Parameters, initial_parameters
from ._lbfgs import train_by_lbfgs
from ._native_network import Head, new_network, outputs_of, remade
from ._parameters import CONSTRAINTS, STOCHASTIC_SOLVERS
from ._quick import note_settings, quick_epoch, serves
from ._schedule import Schedule
from ._threads import effective_threads

DIVERGED = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

# Samples that L-BFGS sends through the network at a time.
_CHUNK = 1024

Arrays = tuple[NDArray[np.float32], ...]


class Targets(NamedTuple):
    """Targets as the native network takes them."""

    values: NDArray[Any]
    outputs: int
    head: Head
    # By which the split for early stopping keeps the shares of the classes.
    strata: NDArray[Any] | None = None


class BaseMlp(BaseEstimator, ABC):
    """A multi-layer perceptron whose parameters live in a native network."""

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    # Whether targets have to be numbers.
    _y_numeric: ClassVar[bool]

    loss: str
    _network: Network
    _schedule: Schedule
    _best_parameters: Parameters | None

    @abstractmethod
    def _targets(self, y: Any, *, is_incremental: bool) -> Targets:
        """The targets that `y` stands for."""

    @abstractmethod
    def _class_weights(self, y: Any, targets: Targets, *, is_incremental: bool) -> NDArray[Any] | None:
        """Weights of the samples by their classes."""

    @abstractmethod
    def _is_quick(self) -> bool:
        """Whether the quick way through `partial_fit` may be taken from now on."""

    @abstractmethod
    def _quick_targets(self, y: Any) -> NDArray[Any] | None:
        """The targets that `y` stands for, where that takes no more than a look."""

    @abstractmethod
    def _score_of(self, aside: Training) -> float:
        """The score of samples set aside."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BaseMlp:
        """Train on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or numbers for a regressor.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The trained estimator.
        """
        self._fit(X, y, sample_weight, is_incremental=False)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, is_incremental: bool) -> None:
        hidden = self._hidden_units()
        is_first = "_network" not in self.__dict__ or not (self.warm_start or is_incremental)
        epochs = self._most_epochs(is_incremental=is_incremental)
        X, y = checked_with_targets(self, X, y, reset=is_first, y_numeric=self._y_numeric, epochs=epochs)
        targets = self._targets(y, is_incremental=is_incremental)
        weights = self._weights(X, y, targets, sample_weight, is_incremental=is_incremental)
        random = check_random_state(self.random_state)
        if self.early_stopping and is_incremental and self.solver in STOCHASTIC_SOLVERS:
            raise ValueError("partial_fit does not support early_stopping=True")
        if is_first:
            self._begin([X.shape[1], *hidden, targets.outputs], targets.head, random)
        elif targets.outputs != self._network.outputs:
            raise ValueError(
                f"y has {targets.outputs} outputs, but {type(self).__name__} is expecting"
                f" {self._network.outputs} outputs as in the previous call."
            )
        train = Training(X, targets.values, weights)
        self._forget_views()
        self._is_training = True
        try:
            if self.solver in STOCHASTIC_SOLVERS:
                begin(self, is_first=is_first)
                self._train_by_batches(train, targets.strata, random, is_incremental=is_incremental)
            else:
                self._take_resources(min(train.samples, _CHUNK))
                train_by_lbfgs(self, train)
        except DivergenceError as error:
            raise DivergenceError(DIVERGED) from error
        finally:
            self.__dict__.pop("_is_training", None)
            self._forget_views()
        if not self._network._is_finite():
            raise DivergenceError(DIVERGED)
        note_settings(self)

    def _most_epochs(self, *, is_incremental: bool) -> float:
        """How often training goes through the data at most."""
        if self.solver not in STOCHASTIC_SOLVERS:
            return np.inf
        return 1 if is_incremental else self.max_iter

    def _hidden_units(self) -> list[int]:
        units = self.hidden_layer_sizes
        units = list(units) if isinstance(units, Iterable) else [units]
        if np.any(np.array(units) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {units}.")
        return units

    def _weights(
        self, X: Any, y: Any, targets: Targets, sample_weight: Any, *, is_incremental: bool
    ) -> NDArray[np.float32] | None:
        weights = None if sample_weight is None else checked_weights(sample_weight, X)
        of_classes = self._class_weights(y, targets, is_incremental=is_incremental)
        if of_classes is not None:
            weights = of_classes if weights is None else weights * of_classes
        return None if weights is None else weights_in_float32(weights)

    def _begin(self, units: list[int], head: Head, random: np.random.RandomState) -> None:
        """Makes the network, and sets the attributes that do not depend on the solver."""
        parameters = initial_parameters(units, self.activation, random)
        # The optimiser and the largest batch are set when they are known.
        self._network = new_network(units, self.activation, head, parameters, max_batch=1)
        self.__dict__.pop("_schedule", None)
        self.n_iter_ = 0
        self.t_ = 0
        self.n_outputs_ = units[-1]
        self.n_layers_ = len(units)
        self.out_activation_ = head.name

    def _train_by_batches(
        self, train: Training, strata: NDArray[Any] | None, random: np.random.RandomState, *, is_incremental: bool
    ) -> None:
        is_new = not is_incremental or "_schedule" not in self.__dict__
        aside = None
        if self.early_stopping:
            train, aside = train.split(self.validation_fraction, random, strata)
        batch = batch_of(self.batch_size, train.samples)
        if is_new:
            self._schedule = Schedule(self)
        self._take_resources(batch, is_new=is_new)
        course = Course(self, train, aside, is_single=is_incremental)
        try:
            course.run(batch, random)
        except DivergenceError:
            if aside is None:
                raise
            warnings.warn(
                f"{DIVERGED} The parameters that scored best on the validation set are kept.", ConvergenceWarning
            )
        if self._best_parameters is not None:
            self._network.set_parameters(self._best_parameters)

    def _take_resources(self, batch: int, *, is_new: bool = False) -> None:
        """Makes the network ready for batches of this size; a new optimiser starts afresh."""
        network, threads = self._network, effective_threads(self.n_jobs)
        if is_new:
            optimizer = self._schedule.optimizer()
            self._network = remade(network, threads=threads, max_batch=batch, optimizer=optimizer)
        elif network.max_batch < batch or network.threads != threads:
            self._network = remade(network, threads=threads, max_batch=max(batch, network.max_batch))

    def _ready_network(self) -> Network:
        """The network, on as many threads as may be used here."""
        # While another thread trains the network, it stays the one that is trained.
        if self.n_jobs is not None and self.n_jobs != 1 and "_is_training" not in self.__dict__:
            self._take_resources(1)
        return self._network

    def _outputs(self, X: Any) -> NDArray[Any]:
        """The last layer's output for `X`, in its type: float32, else float64."""
        values = self.__dict__
        if type(X) is np.ndarray and X.ndim == 2 and "_network" in values and "feature_names_in_" not in values:
            # The native side checks as strictly, and returns nothing where it would be an error.
            outputs = self._ready_network()._predict_rows(X)
            if outputs is not None:
                return outputs
        check_is_fitted(self)
        rows, dtype = checked(self, X)
        return outputs_of(self._ready_network(), rows, double=dtype == np.float64)

    def _outputs_of_rows(self, aside: Training) -> NDArray[Any]:
        return outputs_of(self._network, aside.X, double=False)

    def _quick_partial_fit(self, X: Any, y: Any) -> bool:
        """Whether the quick way was taken: small arrays without weights, in a call that is not the first one."""
        if not serves(self, X):
            return False
        targets = self._quick_targets(y)
        try:
            return targets is not None and quick_epoch(self, X, targets)
        except DivergenceError as error:
            raise DivergenceError(DIVERGED) from error

    def _forget_views(self) -> None:
        self.__dict__.pop("_views", None)

    def _parameter_views(self) -> tuple[Arrays, Arrays]:
        values = self.__dict__
        if "_network" not in values:
            raise AttributeError(f"This {type(self).__name__} instance has no parameters before it is fitted.")
        if "_views" not in values:
            parameters = self._network.parameters()
            views = tuple(np.ascontiguousarray(w.T) for w, _ in parameters), tuple(b for _, b in parameters)
            for array in (*views[0], *views[1]):
                array.flags.writeable = False
            values["_views"] = views
        return values["_views"]

    @property
    def coefs_(self) -> Arrays:
        """Weights of each layer, inputs × outputs: read-only copies."""
        return self._parameter_views()[0]

    @coefs_.setter
    def coefs_(self, coefs: Iterable[ArrayLike]) -> None:
        self._load(coefs, self.intercepts_)

    @property
    def intercepts_(self) -> Arrays:
        """Biases of each layer: read-only copies."""
        return self._parameter_views()[1]

    @intercepts_.setter
    def intercepts_(self, intercepts: Iterable[ArrayLike]) -> None:
        self._load(self.coefs_, intercepts)

    def _load(self, coefs: Iterable[ArrayLike], intercepts: Iterable[ArrayLike]) -> None:
        weights = [np.asarray(w, dtype=np.float32).T for w in coefs]
        biases = [np.asarray(b, dtype=np.float32) for b in intercepts]
        layers = self.n_layers_ - 1
        if (len(weights), len(biases)) != (layers, layers):
            raise ValueError(f"expected arrays of {layers} layers, found {len(weights)} and {len(biases)}")
        self._network.set_parameters(list(zip(weights, biases)))
        self._forget_views()

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_views", "_is_training"):
            state.pop(name, None)
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def assign(estimator: BaseMlp, parameters: dict[str, Any]) -> None:
    """Sets the arguments of `__init__` as attributes, unchanged and unchecked, as scikit-learn asks for."""
    for name, value in parameters.items():
        if name != "self":
            setattr(estimator, name, value)
