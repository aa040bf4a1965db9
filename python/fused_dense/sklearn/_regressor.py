"""The regressor."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from ._base import BaseMlp, Targets, assign
from ._course import Training
from ._data import in_float32, single_column
from ._native_network import EXPONENTIAL, IDENTITY
from ._parameters import ATTRIBUTES, CONSTRAINTS, DESCRIPTIONS, DIFFERENCES
from ._scores import r2


class MLPRegressor(RegressorMixin, BaseMlp):
    __doc__ = f"""Multi-layer perceptron that predicts numbers: scikit-learn's estimator on the kernels of fused-dense.

    Parameters
    ----------
    loss : {{'squared_error', 'poisson'}}, default='squared_error'
        Half the squared error, averaged over the outputs; or half the Poisson deviance of `y >= 0`, for which the
        network predicts the logarithm.{DESCRIPTIONS}

    Attributes
    ----------{ATTRIBUTES.format(score="R²")}

    Notes
    -----{DIFFERENCES} Scale targets as well as inputs: a float32 has seven digits.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fused_dense.sklearn import MLPRegressor
    >>> X, y = make_regression(n_features=8, random_state=0)
    >>> regressor = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.99
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
    ) -> None:
        assign(self, locals())

    def _targets(self, y: Any, *, is_incremental: bool) -> Targets:
        if single_column(y):
            y = column_or_1d(y, warn=True)
        values = in_float32(y)
        is_poisson = self.loss == "poisson"
        if is_poisson and (values < 0).any():
            raise ValueError("Some value(s) of y are out of the valid range of the loss 'poisson': y must be >= 0.")
        values = values.reshape(len(values), -1)
        return Targets(values, values.shape[1], EXPONENTIAL if is_poisson else IDENTITY)

    def _class_weights(self, y: Any, targets: Targets, *, is_incremental: bool) -> None:
        return None

    def _score_of(self, aside: Training) -> float:
        return r2(aside.targets, self._values(self._outputs_of_rows(aside)), aside.weights)

    def _values(self, outputs: NDArray[Any]) -> NDArray[Any]:
        if self.out_activation_ == "exp":
            np.exp(outputs, out=outputs)
        return outputs

    def predict(self, X: Any) -> NDArray[Any]:
        """Predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In float32 for float32 inputs, else in float64.
        """
        values = self._values(self._outputs(X))
        return values.ravel() if values.shape[1] == 1 else values

    @available_if(BaseMlp._check_solver)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch on this data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The trained estimator.
        """
        if not (sample_weight is None and self._quick_partial_fit(X, y)):
            self._slow_partial_fit(X, y, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def _slow_partial_fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        self._fit(X, y, sample_weight, is_incremental=True)

    def _is_quick(self) -> bool:
        return self.loss == "squared_error"

    def _quick_targets(self, y: Any) -> NDArray[Any] | None:
        if type(y) is not np.ndarray or y.dtype.kind != "f" or y.shape[1:] == (1,):
            return None
        # Values that float32 cannot hold become infinite, and are refused with the data.
        with np.errstate(over="ignore"):
            values = y.astype(np.float32)
        return values[:, None] if values.ndim == 1 else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags
