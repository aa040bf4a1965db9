"""Data and comparisons that the estimators' tests have in common."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

from sklearn.utils.fixes import parse_version

from fused_dense.sklearn import MLPClassifier, MLPRegressor

# For comparisons with what older versions of scikit-learn do not have, or do otherwise.
recent = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="compares with newer versions of scikit-learn"
)


class Pair(NamedTuple):
    """The two implementations of an estimator."""

    ours: type
    theirs: type


CLASSIFIERS = Pair(MLPClassifier, TheirClassifier)
REGRESSORS = Pair(MLPRegressor, TheirRegressor)


class Problem(NamedTuple):
    """Data, and the estimators that it is for."""

    name: str
    pair: Pair
    X: np.ndarray
    y: np.ndarray
    settings: dict[str, Any]


def _problems() -> list[Problem]:
    random = np.random.RandomState(7)
    X = random.standard_normal((130, 9))
    X[np.abs(X) < 0.3] = 0
    z = X @ random.standard_normal((9, 4)) + 0.3 * random.standard_normal((130, 4))
    return [
        Problem("multiclass", CLASSIFIERS, X, np.array(["b", "d", "a", "c"])[z.argmax(axis=1)], {}),
        Problem("binary", CLASSIFIERS, X, np.where(z[:, 0] > 0, 5, -3), {}),
        Problem("multilabel", CLASSIFIERS, X, (z > 0.5).astype(int), {}),
        Problem("regression", REGRESSORS, X, z[:, 0], {}),
        Problem("outputs", REGRESSORS, X, z[:, :3], {}),
        Problem("poisson", REGRESSORS, X, random.poisson(np.exp(0.4 * z[:, 0])), {"loss": "poisson"}),
    ]


PROBLEMS = {problem.name: problem for problem in _problems()}


# Newer versions of scikit-learn have what ours has with all of them.
THEY_HAVE_WEIGHTS = "sample_weight" in inspect.signature(TheirClassifier.fit).parameters
THEY_HAVE_LOSSES = "loss" in inspect.signature(TheirRegressor).parameters


def both(problem: Problem, **settings: Any) -> tuple[Any, Any]:
    """Our estimator and scikit-learn's, with the same settings."""
    if "loss" in problem.settings and not THEY_HAVE_LOSSES:
        pytest.skip("this version of scikit-learn has one loss")
    settings = {"hidden_layer_sizes": (12, 7), "random_state": 3, **problem.settings, **settings}
    return problem.pair.ours(**settings), problem.pair.theirs(**settings)


def quietly(method: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a method that may warn of training that ended early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return method(*args, **kwargs)


def fit_both(problem: Problem, X: Any = None, sample_weight: Any = None, **settings: Any) -> tuple[Any, Any]:
    """Both estimators, trained on the problem's data."""
    ours, theirs = both(problem, **settings)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    if weights and not THEY_HAVE_WEIGHTS:
        pytest.skip("this version of scikit-learn has no weights of samples")
    for estimator in (ours, theirs):
        quietly(estimator.fit, problem.X if X is None else X, problem.y, **weights)
    return ours, theirs


def assert_same_course(ours: Any, theirs: Any, rtol: float = 1e-3) -> None:
    """Loss curves and parameters agree up to rounding, and everything counted agrees exactly."""
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.out_activation_ == theirs.out_activation_
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=rtol)
    if hasattr(theirs, "loss_curve_"):
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    found, expected = (
        np.concatenate([np.ravel(array) for array in (*estimator.coefs_, *estimator.intercepts_)])
        for estimator in (ours, theirs)
    )
    # Adam's first steps have the gradient's sign: where that is all but zero, it is a matter of rounding.
    assert np.isclose(found, expected, rtol=rtol, atol=rtol).mean() > 0.98


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> Problem:
    """One of the problems after the other."""
    return PROBLEMS[request.param]


@pytest.fixture
def multiclass() -> Problem:
    """Four classes that exclude each other."""
    return PROBLEMS["multiclass"]
